"""What a report says as text to paste elsewhere: Markdown for a README, LaTeX for a paper, CSV for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

import numpy as np

from duelbench.results.report.comparison.section import Section
from duelbench.results.report.grids import grids
from duelbench.results.report.parts.origins import progress
from duelbench.results.report.subject import Subject
from duelbench.results.statistics.estimates import mean_band

COLUMNS = ("task", "agent", "metric", "labels", "mean", "low", "high", "n")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "½": r"$\tfrac12$",
    "“": "``",
    "”": "''",
    "’": "'",
    "<": "$<$",
    ">": "$>$",
    "\n": " ",
}


def markdown(subject: Subject, level: int = 1) -> str:
    """Leaderboards and comparisons as Markdown tables, under headings from this level on."""
    parts = [f"{'#' * level} {_markdown_text(subject.title)}", f"{progress(subject)}."]
    for grid in grids(subject):
        cells = [grid.header, ("---", *("---:" for _ in grid.header[1:])), *grid.rows]
        lines = ["| " + " | ".join(_markdown_text(cell) for cell in row) + " |" for row in cells]
        parts += [f"{'#' * (level + 1)} {_markdown_text(grid.title)}", "\n".join(lines), _markdown_text(grid.note)]
    return "\n\n".join(parts) + "\n"


def latex(subject: Subject) -> str:
    r"""The same tables for LaTeX, as floats in the style of ``booktabs``: ``\usepackage{booktabs}``."""
    parts = [rf"% {subject.title}: {progress(subject)}. Needs \usepackage{{booktabs}}.".replace("\n", " ")]
    for grid in grids(subject):
        rows = [" & ".join(map(_latex_text, row)) + r" \\" for row in grid.rows]
        parts += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex_text(f'{grid.title}. {grid.note}')}}}",
            r"\small",
            rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}",
            r"\toprule",
            " & ".join(map(_latex_text, grid.header)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return "\n".join(parts) + "\n"


def tidy_csv(subject: Subject) -> str:
    """One line for each task, agent, metric and number of labels: mean, 95 % Student t interval, n runs.

    The ends of an interval are empty for a single run.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for section in subject.sections:
        for agent in section.agents:
            for metric in section.metrics:
                writer.writerows(_tidy(section, agent, metric))
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Subject], str]] = {"md": markdown, "latex": latex, "csv": tidy_csv}


def _tidy(section: Section, agent: str, metric: str) -> Iterator[tuple[object, ...]]:
    curves = section.curves(agent, metric)
    if curves is None:
        return
    columns = (curves.labels, curves.values.mean(axis=0), *mean_band(curves.values))
    for labels, mean, low, high in zip(*(column.tolist() for column in columns), strict=True):
        ends = ("", "") if np.isnan(low) else (f"{low:.6g}", f"{high:.6g}")
        yield section.name, agent, metric, f"{labels:g}", f"{mean:.6g}", *ends, len(curves)


def _markdown_text(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ").replace("<", "&lt;")


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
