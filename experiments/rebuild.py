"""Build every committed table and picture again from the committed records, and look for the figures that prose quotes.

    python -m duelbench.experiments.rebuild            # tables, pictures, and the quoted figures that none of them has
    python -m duelbench.experiments.rebuild --check    # the quoted figures alone

A page quotes a figure as its table prints it, with the same digits: change the records and the command says which
sentences no longer follow from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.console import Console

from duelbench.experiments.biased_judge.study import BIASED_JUDGE
from duelbench.experiments.comparison import results as comparison
from duelbench.experiments.comparison.arms import ArmsStudy, arm_results
from duelbench.experiments.comparison.beliefs import path_of, read_beliefs
from duelbench.experiments.comparison.define import Comparison
from duelbench.experiments.headlines.study import HEADLINES
from duelbench.experiments.in_context import results as in_context
from duelbench.experiments.ladder.sweep import LADDER_STUDY
from duelbench.experiments.leaderboard import build as leaderboard
from duelbench.experiments.pool import describe as pool
from duelbench.experiments.pool_study.sweep import POOL_STUDY
from duelbench.experiments.posteriors import tables as posteriors
from duelbench.experiments.reader import tables as reader
from duelbench.experiments.records import Records
from duelbench.experiments.reference_regrets import check as reference_regrets
from duelbench.experiments.sea_paper import analysis as sea_paper
from duelbench.experiments.sea_paper.figures import draw_parts
from duelbench.experiments.selection_rules import analysis as selection_rules
from duelbench.experiments.selection_rules.figures import draw_all
from duelbench.experiments.speed import results as speed
from duelbench.experiments.tuning.study import TUNING
from duelbench.records.files import write_atomic

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Table:
    """A committed page that is written by a program alone.

    Attributes:
        path: the page.
        text: writes it, from committed records.
        draw: its pictures, from the same.
    """

    path: Path
    text: Callable[[], str]
    draw: Callable[[], None] | None = None


def _compared(study: Comparison) -> str:
    return comparison.results(study, Records.read(study.records), read_beliefs(path_of(study)))


def _drawn(study: Comparison) -> None:
    comparison.draw(study, Records.read(study.records))


def _arms(study: ArmsStudy) -> str:
    return arm_results(study, Records.read(study.records))


TABLES = (
    Table(leaderboard.PAGE, leaderboard.built),
    Table(
        HERE / "sea_paper" / "RESULTS.md",
        lambda: sea_paper.results(_records("sea_paper")),
        lambda: draw_parts(_records("sea_paper"), HERE / "sea_paper"),
    ),
    Table(
        HERE / "selection_rules" / "RESULTS.md",
        lambda: selection_rules.results(
            _records("selection_rules"),
            selection_rules.read_calibration(HERE / "selection_rules" / "calibration.csv"),
        ),
        lambda: draw_all(_records("selection_rules"), HERE / "selection_rules"),
    ),
    *(
        Table(study.folder / "RESULTS.md", partial(_compared, study), partial(_drawn, study))
        for study in (LADDER_STUDY, POOL_STUDY, TUNING)
    ),
    *(Table(study.folder / "RESULTS.md", partial(_arms, study)) for study in (HEADLINES, BIASED_JUDGE)),
    Table(HERE / "in_context" / "RESULTS.md", in_context.results),
    Table(HERE / "pool" / "RESULTS.md", pool.results),
    Table(HERE / "posteriors" / "RESULTS.md", lambda: posteriors.results(posteriors.read())),
    Table(HERE / "reader" / "RESULTS.md", reader.results),
    Table(HERE / "reference_regrets" / "RESULTS.md", reference_regrets.results),
    Table(HERE / "speed" / "RESULTS.md", speed.results),
)

PROSE: dict[Path, tuple[Path, ...]] = {
    HERE.parent / "docs" / "findings" / "index.md": tuple(table.path for table in TABLES),
    **{table.path.with_name("README.md"): (table.path,) for table in TABLES if table.path.name == "RESULTS.md"},
}
"""Pages that quote figures, and the tables that they quote."""

_NUMBER = r"[+−]?\d+(?:,\d{3})*(?:\.\d+)?"
FIGURE = re.compile(
    rf"{_NUMBER}×?\s+\[{_NUMBER},\s+{_NUMBER}\]†?"  # with its interval, marked or not
    rf"|{_NUMBER}\s+±\s+{_NUMBER}"
    rf"|[+−]\d+(?:,\d{{3}})*(?:\.\d+)?†?"  # a difference
    r"|\b\d\.\d{3}\b(?!†)"  # a rate
    rf"|{_NUMBER}×(?! \d)"  # a multiple
)
"""What is quoted: a number with its interval, its standard error, its sign or its ×, or with three decimals."""


@dataclass
class Options:
    """What to do."""

    check: bool = False
    """Write nothing; only look for the figures that pages quote."""


def figures(text: str) -> list[str]:
    """The figures in a page's sentences and tables; without code, links and what is only a range or a setting.

    >>> figures("ahead by +0.043 [+0.012, +0.075], at `lr=0.001`")
    ['+0.043 [+0.012, +0.075]']
    """
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL)
    return [re.sub(r"\s+", " ", found) for found in FIGURE.findall(prose.replace("**", ""))]


def rows(text: str) -> list[str]:
    """The rows of a page's tables that hold a measured number: a cell that begins with one that has decimals.

    >>> rows("| rucb | 12.5 |")
    ['| rucb | 12.5 |']
    >>> rows("| section 6.2 | 12 |")
    []
    """
    lines = (line.strip() for line in re.sub(r"```.*?```", "", text.replace("**", ""), flags=re.DOTALL).splitlines())
    return [line for line in lines if re.match(rf"\|.*\| *{_NUMBER}(?<=\.\d)", line)]


def unknown(page: Path) -> list[str]:
    """The figures that a page quotes and none of its tables has, and rows that none of them has as a whole."""
    text = page.read_text(encoding="utf-8")
    tables = "\n".join(path.read_text(encoding="utf-8") for path in PROSE[page]).replace("**", "")
    known = set(rows(tables))
    return [row for row in rows(text) if row not in known] + [f for f in figures(text) if not _holds(tables, f)]


def _holds(tables: str, figure: str) -> bool:
    """Whether the figure stands in the tables as a whole, with its mark or without one."""
    return re.search(rf"(?<![\d.+−]){re.escape(figure)}(?![\d.†])", tables) is not None


def _records(study: str) -> Records:
    return Records.read(HERE / study / "records.csv")


def main() -> None:
    """Write what follows from the records; the exit status is 1 if a page quotes what does not."""
    options, console = tyro.cli(Options, description=__doc__), Console()
    if not options.check:
        for table in TABLES:
            write_atomic(table.path, table.text())
            if table.draw is not None:
                table.draw()
            console.print(f"{table.path.relative_to(HERE.parent)}: written", markup=False)
    wrong = {page: found for page in PROSE if (found := unknown(page))}
    for page, found in wrong.items():
        for figure in found:
            console.print(f"{page.relative_to(HERE.parent)}: {figure} is in none of its tables", markup=False)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
