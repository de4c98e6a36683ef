"""The command line as a test gives it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from duelbench.cli.main import main


def call(*argv: str) -> int:
    """Exit status of ``duelbench ARGV``."""
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return ended.value.code  # type: ignore[return-value]


def last_json(text: str) -> dict[str, Any]:
    """The JSON object in the last line of what was printed."""
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found
