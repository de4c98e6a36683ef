"""The nearest known name, for errors about an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the known name that is nearest, or nothing.

    >>> did_you_mean("onlin", ["online", "offline"]), did_you_mean("xyz", ["online"])
    ("; did you mean 'online'?", '')
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
