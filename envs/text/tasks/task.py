"""A task: prompts to duel on, held-out prompts to judge on, and stored responses of the reference policy."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION = 2
FEATURE_BOUND = 8.0
"""Stored features are kept as 8-bit integers, in steps of 8 / 127; a component that leaves [-8, 8], in larger ones."""


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts and what the reference policy said to them.

    Attributes:
        name: name shown to people.
        prompts: prompts that duels use, then the held-out ones; (P + H,) strings.
        n_duel: P, how many of them duels use.
        references: N stored responses of the reference policy to each prompt, (P + H, N) strings; N is 0 for a bare
            set of prompts, which can be given references (``duelbench task``) but not be played on.
        features: features of each stored response, (P + H, N, d) float32, by the name of the encoder that made them
            (``duelbench.posteriors.encoders``).
        lm_log_probs: log-probability of each stored response under the reference LM, (P + H, N) float32; None if there
            is none.
        utilities: utility of each stored response by oracle name, (P + H, N); those that were computed beforehand.
        card: what made it.
    """

    name: str
    prompts: tuple[str, ...]
    n_duel: int
    references: NDArray[Any]
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    lm_log_probs: NDArray[np.float32] | None = None
    utilities: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def content(self) -> str:
        """Hash of all that a run can see of it: prompts, references, features, utilities; 16 hexadecimal digits."""
        total = hashlib.sha256(json.dumps([self.prompts, self.n_duel, self.references.tolist()]).encode())
        arrays = {"features": self.features.get("lm"), "lm_log_probs": self.lm_log_probs} | self.utilities
        arrays |= {f"features/{name}": array for name, array in self.features.items() if name != "lm"}
        for name, array in sorted(arrays.items()):
            total.update(name.encode())
            if array is not None:
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()[:16]

    @property
    def heldout_ids(self) -> NDArray[np.int64]:
        """Indices of the held-out prompts, (H,)."""
        return np.arange(self.n_duel, len(self.prompts))

    def head(self, limit: int | None = None, heldout: int | None = None, only: str | None = None) -> Task:
        """The task of the first ``limit`` duel prompts and the first ``heldout`` held-out ones; None keeps all.

        Args:
            limit: duel prompts, at most.
            heldout: held-out prompts, at most.
            only: regular expression; prompts in which it is not found do not count.

        Raises:
            ValueError: no duel prompt is left.
        """
        if limit is None and heldout is None and only is None:
            return self
        fits = np.array([only is None or re.search(only, prompt) is not None for prompt in self.prompts])
        duel, held = np.flatnonzero(fits[: self.n_duel])[:limit], self.heldout_ids[fits[self.n_duel :]][:heldout]
        if not len(duel):
            raise ValueError(f"task {self.name!r} has no duel prompt in which {only!r} is found")
        kept = np.concatenate([duel, held])
        return Task(
            self.name,
            tuple(self.prompts[i] for i in kept),
            len(duel),
            self.references[kept],
            {name: array[kept] for name, array in self.features.items()},
            None if self.lm_log_probs is None else self.lm_log_probs[kept],
            {name: values[kept] for name, values in self.utilities.items()},
            self.card,
        )

    def save(self, path: Path) -> None:
        """Write the task as one compressed ``.npz`` file without pickled objects; the file is whole or not there."""
        header = {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "n_duel": self.n_duel,
            "card": self.card,
            "prompts": self.prompts,
            "references": self.references.tolist(),
        }
        arrays: dict[str, NDArray[Any]] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
        for name, features in self.features.items():
            largest = np.abs(features).max((0, 1))  # (d,)
            if not np.isfinite(largest).all():
                raise ValueError(f"features {name!r} of task {self.name!r} hold a number that is not finite")
            step = np.maximum(largest, FEATURE_BOUND) / 127
            arrays[f"features/{name}"] = np.round(features / step).astype(np.int8)
            arrays[f"steps/{name}"] = step.astype(np.float32)
        if self.lm_log_probs is not None:
            arrays["lm_log_probs"] = self.lm_log_probs
        arrays |= {f"utilities/{name}": value.astype(np.float32) for name, value in self.utilities.items()}
        scratch = path.with_name(f".{path.name}.tmp")
        try:
            with scratch.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
