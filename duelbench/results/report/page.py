"""One self-contained HTML page about a folder of runs, with the pictures and their data beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from duelbench.records.files import write_atomic
from duelbench.records.record import Run, unreadable
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import notes
from duelbench.results.report.parts import origins, overview
from duelbench.results.report.parts.section_page import section_page
from duelbench.results.report.rendering import joined, link, render
from duelbench.results.report.subject import Subject
from duelbench.results.statistics.estimates import standard_error

_FEW = 4  # tasks beyond which only the main metrics are drawn: pictures take most of the time, and of the page


def write_report(
    folder: Path,
    runs: Sequence[Run],
    *,
    baseline: str | None = None,
    thresholds: Sequence[float] | None = None,
    title: str | None = None,
    also_against: Sequence[str] = (),
    log_labels: bool = False,
) -> Path:
    """Write ``report.html`` with its pictures (PNG) and their data (CSV) into a folder.

    Title, baseline and thresholds are those of the folder's plan (``duelbench.records.plan``) if there is one and
    nothing else is asked for; its runs that nobody has begun are shown as missing.
    Records that cannot be read are named. Arguments as for ``Subject.of``.

    Returns:
        Path of the page. Every file is replaced atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subject = Subject.of(
        folder,
        runs,
        baseline=baseline,
        thresholds=thresholds,
        title=title,
        also_against=also_against,
        log_labels=log_labels,
    )
    parts = [origins.left_out(unreadable(folder, runs))]
    parts += [_overview(subject, folder)] if len(subject.sections) > 1 else []
    few = len(subject.sections) <= _FEW
    parts += [section_page(s, folder, subject, further=few) for s in subject.sections]
    body = joined([*parts, origins.how_made(subject)])
    path = folder / "report.html"
    write_atomic(path, render("page.html", title=subject.title, subtitle=origins.progress(subject), body=body))
    return path


def _overview(subject: Subject, folder: Path) -> Markup:
    """Tasks of a kind together, and the way to each task."""
    links = [link(f"#{s.slug}", s.name) for s in subject.sections] + [link("#provenance", "how this was made")]
    parts = [Markup("<nav>{}</nav>").format(Markup(" · ").join(links))]
    parts += [overview.overview_page(found, folder) for found in subject.overviews if found.tasks]
    if (table := origins.completeness(subject)) is not None:
        parts.append(Markup("<h3>What is finished</h3>\n{}").format(table))
    return joined(parts)


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Final scores as plain JSON: ``{"agents": {agent: {metric: {"mean", "se", "n"}}}}``.

    With several tasks ``agents`` are those of the first and ``envs`` holds all: ``{title: {"agents": ...}}``.
    Scores are read at the most labels that every finished run of the task reached; ``labels`` are those that the
    agent's runs consumed. ``se`` is the standard error over seeds, None for one seed. An agent without a finished
    run has no metrics. ``older_versions`` are runs that are left out for a newer version of them, ``notes`` what a
    reader has to know; both only where there are any.
    """
    found = {section.title: _results(section) for section in sections(runs)}
    first: dict[str, Any] = next(iter(found.values()), {"agents": {}})
    return first if len(found) < 2 else {"envs": found, "agents": first["agents"]}


def _results(section: Section) -> dict[str, Any]:
    """Final scores of a task, and what is to be said about them, if anything is."""
    older = [{"agent": o.agent, "runs": [run.run_id for run in o.runs], "changed": o.changed} for o in section.older]
    extras = {"older_versions": older, "notes": notes(section)}
    return {"agents": _final_scores(section)} | {name: value for name, value in extras.items() if value}


def _final_scores(section: Section) -> dict[str, dict[str, dict[str, float | None]]]:
    scores: dict[str, dict[str, dict[str, float | None]]] = {}
    for agent, runs in section.agents.items():
        found = {metric: list(section.final(agent, metric).values()) for metric in section.metrics}
        found["labels"] = [float(run.rows[-1]["labels"]) for run in runs]
        scores[agent] = {
            metric: {"mean": float(np.mean(values)), "se": standard_error(values), "n": len(values)}
            for metric, values in found.items()
            if values
        }
    return scores
