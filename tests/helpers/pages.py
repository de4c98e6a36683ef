"""The code of a page: blocks of commands and of Python, the files that they make, and how they are checked.

A block is run as it is printed. An HTML comment on the line before it says where that is not so:

* ``<!-- parsed: REASON -->``: its commands are understood by the command line, its Python compiles;
* ``<!-- tested: PATH -->``: the test of that path runs it;
* ``<!-- shown: REASON -->``: it is no command of this project's.

A block of Python whose first line is ``# NAME.py`` is a file of that name; a block of another kind is one where the
line before it ends with ``NAME.csv``:
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import call

from duelbench.cli.main import parse
from duelbench.cli.run import run_specs

ROOT = Path(__file__).parents[2]
NOTES = ("parsed", "tested", "shown")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        kind: its language.
        text: what is printed.
        before: the lines that precede it.
        line: where it is.
    """

    kind: str
    text: str
    before: str
    line: int

    @property
    def note(self) -> tuple[str, str]:
        """How it is checked, if not by running it, and why."""
        found = re.search(r"<!-- (\w+): ((?:(?!-->).)*) -->\s*$", self.before, re.DOTALL)
        return (found[1], found[2]) if found else ("", "")

    @property
    def file(self) -> str:
        """The name of the file that it is; empty for none."""
        if self.kind == "python":
            found = re.match(r"# ([\w/]+\.py)\n", self.text)
        else:
            found = re.search(r"`([\w/]+\.\w+)`:\s*$", self.before)
        return found[1] if found else ""

    @property
    def commands(self) -> list[str]:
        """Its command lines, without comments; continued lines in one."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in joined if line.strip() and not line.lstrip().startswith("#")]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent = len(found["indent"])
        inner = "".join(line[indent:] if line.strip() else line for line in found["text"].splitlines(keepends=True))
        yield Block(found["kind"], inner, text[: found.start()].rstrip(), text.count("\n", 0, found.start()) + 1)


class Reader:
    """Does in a folder what a page says, block by block."""

    def __init__(self, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.page, self.capsys = page, capsys
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def go(self) -> None:
        """All blocks, in order, in the current folder."""
        for block in blocks(self.page):
            note, why = block.note
            if note == "tested":
                assert (ROOT / why).is_file(), why
            elif block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            elif block.kind == "python" and note != "shown":
                self._python(block, run=note != "parsed")
            elif block.kind == "bash" and note != "shown":
                for line in block.commands:
                    self._command(line, block, run=note != "parsed")

    def _python(self, block: Block, *, run: bool) -> None:
        code = compile(block.text, f"{self.page.name}:{block.line}", "exec")
        if not run:
            return
        self.capsys.readouterr()
        exec(code, self.names)
        printed = self.capsys.readouterr().out.splitlines()
        said = re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.MULTILINE)
        for text, line in zip(said, printed, strict=False):
            assert text.startswith(line), f"{self.page.name}:{block.line}: it prints {line!r}, not {text!r}"

    def _command(self, line: str, block: Block, *, run: bool) -> None:
        where = f"{self.page.name}:{block.line}: {line}"
        words = words_of(line)
        if words[:1] == ["duelbench"]:
            understood(words[1:])
            if run:
                assert call(*words[1:]) == 0, f"{where}\n{self.capsys.readouterr().err}"
        elif words[:1] == ["python"] and run:
            assert words[1] != "-m", f"{where}: say which test runs it"
            sys.argv = words[1:]
            runpy.run_path(words[1], run_name="__main__")
        elif words[:1] == ["make"]:
            targets = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{re.escape(words[1])}:", targets, re.MULTILINE), where
        elif words[:2] == ["pip", "install"]:
            for extra in re.findall(r"\[(\w+)\]", line):
                assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8"), where
        else:
            assert words[0] in ("cd", "python", "git"), f"{where}: neither run nor marked as shown"


def words_of(line: str) -> list[str]:
    """The words of a command: what comes before a comment, a pipe or a file that it writes."""
    return shlex.split(re.split(r"\s+[|>#]\s", line)[0])


def understood(words: list[str]) -> None:
    """Hold a command of ours to be one: its options exist, and what can be known before it runs fits."""
    if words == ["--version"] or "--help" in words:
        return
    command = parse(words)
    elsewhere = (".py:", "hub:", ".npz", ".csv")  # files that the reader writes, data that a hub holds
    if hasattr(command, "optimizer") and not any(mark in word for mark in elsewhere for word in words):
        assert run_specs(command)
