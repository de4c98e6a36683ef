"""Names for what differs in a few settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

_UNSET = "(not set)"


def differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """For each of several settings those in which they differ, as a suffix: `` [batch=64, loss=ipo]``.

    Nested ones go by their last name where that is not ambiguous; one that is not set is not shown.
    """
    different = {repr(one): one for one in settings}  # thousands of runs share a few settings
    flat = {r: dict(leaves(one)) for r, one in different.items()}
    paths = sorted({path for one in flat.values() for path in one})
    paths = [path for path in paths if len({canonical(one.get(path, _UNSET)) for one in flat.values()}) > 1]
    lasts = [path.rpartition(".")[2] for path in paths]
    names = {path: last if lasts.count(last) == 1 else path for path, last in zip(paths, lasts, strict=True)}
    texts = {
        r: ", ".join(f"{names[path]}={canonical(one[path])}" for path in paths if path in one)
        for r, one in flat.items()
    }
    return [f" [{text}]" if text else "" for text in (texts[repr(one)] for one in settings)]


def leaves(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of everything in nested settings."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def canonical(value: Any) -> str:
    """A value as text, equal for equal values."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
