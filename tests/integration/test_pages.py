"""What README and docs print runs as it is printed, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import NOTES, ROOT, Reader, blocks, understood, words_of

README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.md"))
PAGES = [README, *DOCS]
QUICK = {"README.md"}
"""What ``make test`` runs too."""
ELSEWHERE = {
    "docs/judge.md": "tests/unit/rank/test_ranking.py",
    "docs/rank.md": "tests/unit/rank/test_ranking.py",
    "docs/label.md": "tests/unit/label/test_docs.py",
    "docs/session.md": "tests/unit/label/test_docs.py",
}
"""Pages that need a server or people, and the tests that run what they print."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runs_something(page: Path) -> bool:
    return any(block.kind in ("python", "bash") for block in blocks(page))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name(page), marks=() if name(page) in QUICK else pytest.mark.slow)
        for page in PAGES
        if runs_something(page) and name(page) not in ELSEWHERE
    ],
)
def test_a_page_runs_as_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["duelbench"])
    Reader(page, capsys).go()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_note_on_a_block_is_one_that_is_known(page: Path) -> None:
    for block in blocks(page):
        note, why = block.note
        assert not note or (note in NOTES and why), f"{name(page)}:{block.line}"


@pytest.mark.parametrize("page", [*EXPERIMENTS, *(ROOT / page for page in ELSEWHERE)], ids=name)
def test_commands_that_take_long_are_understood(page: Path) -> None:
    for block in blocks(page):
        for line in block.commands if block.kind == "bash" else ():
            if line.startswith("duelbench "):
                understood(words_of(line)[1:])


@pytest.mark.parametrize("page", [*PAGES, *EXPERIMENTS], ids=name)
def test_a_link_leads_to_a_file(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(\s*([^)\s#]+)", prose):
        made = target.startswith(("http", "mailto:")) or is_generated(page, target)
        assert made or (page.parent / target).exists(), f"{name(page)}: {target}"


def is_generated(page: Path, target: str) -> bool:
    """Whether a link of the docs leads to a page that the site makes; ``make docs`` holds those to exist."""
    at = (page.parent / target).resolve()
    return any(at.is_relative_to(ROOT / "docs" / folder) for folder in ("agents", "environments", "api", "papers.md"))


def test_pages_that_are_tested_elsewhere_are_read_there() -> None:
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 1000
