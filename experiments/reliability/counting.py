"""The packaged reader behind a ledger: what was asked is written down before it is answered."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duelbench.oracles.reader.reader import Reader


class CountingReader:
    """Asks the reader, whose utilities it keeps to itself, so that every duel is a question.

    Args:
        ledger: a file; one line for each batch that was asked.
    """

    name = "counting reader"

    def __init__(self, ledger: str) -> None:
        self._reader, self._ledger = Reader(), Path(ledger)

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """The reader's probabilities."""
        line = json.dumps(list(zip(prompts, firsts, seconds, strict=True))) + "\n"
        handle = os.open(self._ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode())  # one write, so that lines of several processes do not mix
        os.close(handle)
        return self._reader.preference(prompts, firsts, seconds)
