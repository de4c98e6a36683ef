"""Any function of (prompt, response) as an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

_PROBE = ("Say hello.", "Hello.")


class FunctionEncoder:
    """A rule f(prompt, response) -> D numbers.

    Args:
        function: features of one response, equally many for every text.
        name: what records call it; the function's own name by default.

    Raises:
        ValueError: the function gives no list of finite numbers for a short text.

    >>> def counts(prompt: str, response: str) -> list[float]:
    ...     return [len(response.split()), response.count(",")]
    >>> FunctionEncoder(counts).encode(["Say hi."], [["hi", "well, hello"]]).tolist()
    [[[1.0, 0.0], [2.0, 1.0]]]
    """

    def __init__(self, function: Callable[[str, str], ArrayLike], name: str | None = None) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.dim = 0
        self.dim = len(self._features(*_PROBE))

    def encode(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Tensor:
        """Features of M responses to each of B prompts, (B, M, D) float32.

        Raises:
            ValueError: the function gives something else than D finite numbers; the text is named.
        """
        rows = [
            [self._features(prompt, text) for text in texts] for prompt, texts in zip(prompts, responses, strict=True)
        ]
        shape = (len(rows), len(rows[0]) if rows else 0, self.dim)
        return torch.from_numpy(np.array(rows, np.float32).reshape(shape))

    def _features(self, prompt: str, response: str) -> NDArray[np.float32]:
        values = self.function(prompt, response)
        try:
            row = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            row = np.zeros((), np.float32)
        expected = f"{self.dim} finite numbers" if self.dim else "a list of finite numbers"
        if row.ndim != 1 or not len(row) or (self.dim and len(row) != self.dim) or not np.isfinite(row).all():
            raise ValueError(
                f"encoder {self.name}: expected {expected} for each text, got {str(values)[:80]!r} for the response "
                f"{response[:80]!r}"
            )
        return row
