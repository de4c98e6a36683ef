"""A task: prompts to duel on, held-out prompts to judge on, and stored responses of the reference policy."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION = 1
FEATURE_BOUND = 8.0
"""Stored features lie in [-8, 8] and are kept as 8-bit integers, in steps of 8 / 127."""


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts and what the reference policy said to them.

    Attributes:
        name: for people.
        prompts: prompts that duels use, then the held-out ones; (P + H,) strings.
        n_duel: P, how many of them duels use.
        references: N stored responses of the reference policy to each prompt, (P + H, N) strings; N is 0 for a bare
            set of prompts, which can be given references (``duelbench task``) but not be played on.
        features: of each stored response, (P + H, N, d) float32; None if the task has none.
        lm_log_probs: of each stored response under the reference LM, (P + H, N) float32; None likewise.
        utilities: of each stored response by oracle name, (P + H, N); those that were computed beforehand.
        card: what made it.
    """

    name: str
    prompts: tuple[str, ...]
    n_duel: int
    references: NDArray[Any]
    features: NDArray[np.float32] | None = None
    lm_log_probs: NDArray[np.float32] | None = None
    utilities: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def content(self) -> str:
        """Hash of all that a run can see of it: prompts, references, features, utilities; 16 hexadecimal digits."""
        total = hashlib.sha256(json.dumps([self.prompts, self.n_duel, self.references.tolist()]).encode())
        arrays = {"features": self.features, "lm_log_probs": self.lm_log_probs} | self.utilities
        for name, array in sorted(arrays.items()):
            total.update(name.encode())
            if array is not None:
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()[:16]

    @property
    def heldout_ids(self) -> NDArray[np.int64]:
        """Indices of the held-out prompts, (H,)."""
        return np.arange(self.n_duel, len(self.prompts))

    def head(self, limit: int | None = None, heldout: int | None = None) -> Task:
        """The task of the first ``limit`` duel prompts and the first ``heldout`` held-out ones; None keeps all."""
        if limit is None and heldout is None:
            return self
        kept = np.concatenate([np.arange(self.n_duel)[:limit], self.heldout_ids[:heldout]])
        return Task(
            self.name,
            tuple(self.prompts[i] for i in kept),
            len(range(self.n_duel)[:limit]),
            self.references[kept],
            None if self.features is None else self.features[kept],
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
        if self.features is not None:
            if not np.abs(self.features).max() <= FEATURE_BOUND:
                raise ValueError(f"features must lie in [-{FEATURE_BOUND}, {FEATURE_BOUND}], each is stored in a byte")
            arrays["features"] = np.round(self.features * (127 / FEATURE_BOUND)).astype(np.int8)
        if self.lm_log_probs is not None:
            arrays["lm_log_probs"] = self.lm_log_probs
        arrays |= {f"utilities/{name}": value.astype(np.float32) for name, value in self.utilities.items()}
        scratch = path.with_name(f".{path.name}.tmp")
        with scratch.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        scratch.replace(path)
