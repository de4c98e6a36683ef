"""``duelbench label`` as its user starts it, in a process that can be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from labelling import free_port, reachable

from duelbench.label.web.serving import token_of


class Served:
    """The command, with a port that stays over restarts.

    Args:
        out: output folder.
        options: more of the command line.
    """

    def __init__(self, out: Path, *options: str) -> None:
        self.out, self.port, self.options = out, free_port(), options
        self.base = f"http://127.0.0.1:{self.port}"
        self.token = token_of(out)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = out / "served.log"

    @property
    def address(self) -> str:
        return f"{self.base}/#{self.token}"

    def start(self) -> None:
        command = [sys.executable, "-m", "duelbench", "label", "--out", str(self.out), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log)
        process = self.process
        assert reachable(self.port, alive=lambda: process.poll() is None), self.log.read_text()

    def kill(self) -> None:
        """As ``kill -9``: nothing in it learns of it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        """Wait until the command is over; returns its exit status."""
        assert self.process is not None
        return self.process.wait(120)
