"""An oracle whose process is killed once, in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


class Mortal:
    """Prefers the longer response; lists every batch that it answered, one line each, and dies after three of them.

    Args:
        log: the list. A file beside it says that the death has been.
        dies: False never dies.
    """

    name = "mortal"

    def __init__(self, log: str, dies: bool) -> None:
        self.log, self.grave, self.dies = Path(log), Path(f"{log}.died"), dies

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        answered = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        if self.dies and answered == 3 and not self.grave.exists():
            self.grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps([prompts, firsts, seconds]) + "\n")
        return expit([(len(first) - len(second)) / 10 for first, second in zip(firsts, seconds, strict=True)])
