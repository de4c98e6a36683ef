"""Gymnasium spaces for free text and for pairs of indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import MultiDiscrete, Space
from numpy.typing import NDArray

_SAMPLE_WORDS = (
    "a",
    "fox",
    "in",
    "the",
    "rain",
    "sings",
    "softly",
    "naïve",
    "café",
    "雨",
    "—",
    "slowly",
    "🙂",
    "lamps",
)


class FreeText(Space[str]):
    """Any Unicode string that encodes to UTF-8, up to a length in characters.

    ``gymnasium.spaces.Text`` lists a character set, which for Unicode costs seconds and megabytes and rejects
    the empty response; free text needs neither. Asynchronous vector environments take it with ``shared_memory=False``:
    Gymnasium reads shared observations once, as arrays, which strings are not.

    Args:
        max_length: longest string, in characters.
        min_length: shortest string, in characters.
        seed: seed of ``sample``.
    """

    def __init__(self, max_length: int, *, min_length: int = 0, seed: int | None = None) -> None:
        if not 0 <= min_length <= max_length:
            raise ValueError(f"FreeText needs 0 <= min_length <= max_length, got {min_length} and {max_length}")
        super().__init__(shape=None, dtype=None, seed=seed)
        self.max_length = max_length
        self.min_length = min_length

    @property
    def is_np_flattenable(self) -> bool:
        """Text has no fixed-size array form."""
        return False

    def why_not(self, x: object) -> str | None:
        """What keeps x out of the space, in words for an error message; None if it belongs."""
        if not isinstance(x, str):
            return f"expected a str, got {type(x).__name__}"
        if not self.min_length <= len(x) <= self.max_length:
            return f"expected {self.min_length} to {self.max_length} characters, got {len(x)}"
        if not x.isascii() and any("\ud800" <= c <= "\udfff" for c in x):
            return "the text holds a lone surrogate, which cannot be encoded as UTF-8"
        return None

    def contains(self, x: Any) -> bool:
        """Whether x is a string of allowed length that encodes to UTF-8."""
        return self.why_not(x) is None

    def sample(self, mask: None = None, probability: None = None) -> str:
        """A few words, some not ASCII, within the length bounds."""
        if mask is not None or probability is not None:
            raise ValueError("FreeText.sample takes no mask and no probability")
        n_words = int(self.np_random.integers(1, 12))
        text = " ".join(_SAMPLE_WORDS[int(i)] for i in self.np_random.integers(len(_SAMPLE_WORDS), size=n_words))
        return text[: self.max_length].ljust(self.min_length, ".")

    def to_jsonable(self, sample_n: Any) -> list[str]:
        """Strings are JSON already."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[str]:
        """Strings are JSON already."""
        return list(sample_n)

    def __repr__(self) -> str:
        return f"FreeText({self.min_length}, {self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeText) and (self.min_length, self.max_length) == (
            other.min_length,
            other.max_length,
        )

    __hash__ = None  # type: ignore[assignment]  # spaces are mutable (they hold a generator)


class IndexPair(MultiDiscrete):
    """Two indices below n. ``sample`` draws two different ones: two identical responses are no question.

    Args:
        n: number of responses or arms.
        seed: seed of ``sample``.
    """

    def __init__(self, n: int, seed: int | np.random.Generator | None = None) -> None:
        super().__init__([n, n], seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> NDArray[np.int64]:
        """Two different indices, (2,)."""
        n = int(self.nvec[0])
        if n < 2 or mask is not None or probability is not None:
            return super().sample(mask, probability)
        first = self.np_random.integers(n)
        return np.array([first, (first + 1 + self.np_random.integers(n - 1)) % n], np.int64)
