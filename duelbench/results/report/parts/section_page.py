"""The part of the report about one task: the verdict in words, curves, tables, and the runs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from duelbench.results.report.comparison.section import Section, language_model
from duelbench.results.report.comparison.words.findings import (
    FAILED,
    Comparison,
    baseline_name,
    compare,
    counted,
    failure_rates,
    headline,
    headline_metric,
    multiplier_curves,
    notes,
    sentence,
)
from duelbench.results.report.grids import Grid, labels_needed, power_laws, questions
from duelbench.results.report.parts import tables
from duelbench.results.report.parts.calibration import NOTE, calibration_table, draw_calibration, predictions
from duelbench.results.report.parts.compute import compute
from duelbench.results.report.parts.origins import run_ids, unfinished
from duelbench.results.report.parts.people import NOTE as NOTE_ON_PEOPLE
from duelbench.results.report.parts.people import people
from duelbench.results.report.pictures import plots
from duelbench.results.report.pictures.panels import Panel, default_panels, further_panels
from duelbench.results.report.rendering import Table, joined, link, picture, render
from duelbench.results.report.subject import Subject
from duelbench.results.statistics.estimates import BAND_MIN_RUNS

FURTHER_METRICS = Markup(
    '<p class="quiet">With so many tasks further metrics are not drawn; all of them are in the output of '
    "<code>duelbench report FOLDER --format csv</code>.</p>"
)


@dataclass(frozen=True)
class Part:
    """A piece of a section: a heading, what is said before it and after it, and what it shows."""

    body: Markup | Table
    title: str = ""
    lead: str = ""
    note: str = ""
    anchor: str = ""


def section_page(section: Section, folder: Path, subject: Subject, *, further: bool = True) -> Markup:
    """Everything about a task; its pictures and their data are written into the folder.

    Args:
        section: the task.
        folder: where pictures go.
        subject: whom the others are compared with, win rates for the table of labels needed, and so on.
        further: whether the metrics beyond the overview get a picture too, and the overview one for narrow screens.
    """
    baseline = baseline_name(section, subject.baseline)
    comparisons = compare(section, baseline)
    parts = [_overview(section, folder, subject, narrow=further), _guides(section)]
    if comparisons:
        shown = tables.comparisons_table(section, comparisons)
        parts.append(Part(shown, f"Against {baseline}", note=_comparison_note(section, baseline, comparisons)))
    if section.runs:
        parts += [*_scores(section), _spread(section), *_efficiency(section, folder, subject)]
        parts += [_people(section), _questions(section), *_cost(section, folder), *_calibration(section, folder)]
        parts += [_folded("Responses before and after", tables.responses(section))]
        parts += [_folded("The agents and their settings", tables.about_agents(section))]
        parts += [_further(section, folder) if further else Part(FURTHER_METRICS)]
    if section.unfinished:
        parts.append(Part(unfinished(section, folder), "Unfinished runs", anchor=f"unfinished-{section.slug}"))
    parts.append(Part(run_ids(section, folder), "Runs", anchor=f"runs-{section.slug}"))
    return render(
        "section.html",
        section=section,
        headline=headline(section, baseline, comparisons),
        sentences=[sentence(section, c) for c in comparisons],
        facts=_facts(section),
        warnings=_warnings(section),
        parts=[part for part in parts if part is not None],
    )


def _folded(title: str, body: Markup | Table | None) -> Part | None:
    return Part(render("details.html", title=title, body=body)) if body else None


def _overview(section: Section, folder: Path, subject: Subject, *, narrow: bool) -> Part:
    """The learning curves; those for a narrow screen stand below each other."""
    panels = default_panels(section, subject.log_labels)
    path = plots.overview(section, folder / f"{section.slug}-overview.png", panels)
    small = None
    if narrow and path is not None:
        small = plots.overview(section, folder / f"{section.slug}-overview-narrow.png", panels, columns=1)
    return Part(picture(path, "learning curves of all agents", "" if small else "wide", small))


def _facts(section: Section) -> list[tuple[str, str]]:
    won, scored = any(section.metric(m).chance is not None for m in section.metrics), headline_metric(section)
    facts = {
        "Win rates against": _said(section, "reference") if won else [],
        "Duels decided by" if section.numeric or not scored else "Judged by": _said(section, "judge"),
        "Second judge": sorted({run.second_judge for run in section.runs if run.second_judge}),
        "Regret relative to": _said(section, "comparator") if any("regret" in m for m in section.metrics) else [],
        "Model": sorted({model for run in section.runs if (model := language_model(run))}),
    }
    return [(name, " / ".join(said)) for name, said in facts.items() if said]


def _warnings(section: Section) -> list[str]:
    said: list[str] = []
    missing = sum(run.missing for _, run in section.unfinished)
    if n := len(section.unfinished):
        text = link(f"#unfinished-{section.slug}", f"{n:,} unfinished run{'s' if n > 1 else ''}")
        text += f", {f'{missing:,} of them' if missing < n else 'all'} not begun," if missing else ""
        said.append(text + " left out of every number and picture.")
    said += notes(section)
    longest = max((run.rows[-1]["labels"] for run in section.runs), default=0)
    if longest > 1.05 * section.end:
        said.append(
            f"Some runs went on to {longest:,.0f} labels. Final scores are read at {section.end:,.0f}, "
            "which every finished run reached."
        )
    fewest = min((len(runs) for runs in section.agents.values() if runs), default=0)
    if 0 < fewest < BAND_MIN_RUNS and headline_metric(section):
        said.append(
            f"No more than {fewest} seed{'s' if fewest > 1 else ''} for some agents: their single runs are "
            "drawn, without a band."
        )
    for key, what in (("judge", "judge"), ("reference", "reference response")):
        if not section.numeric and len(_said(section, key)) > 1:
            said.append(f"The runs do not share one {what}: their win rates are not comparable.")
    return said


def _comparison_note(section: Section, baseline: str, found: Sequence[Comparison]) -> str:
    metric = headline_metric(section)
    name = section.metric(metric).title if metric else ""
    same = "same arms, same noise of the answers" if section.numeric else "same prompts, same noise"
    return (
        f"Differences in {name}, agent minus {baseline}, paired by seed ({same}), with 95 % Student t intervals; "
        f"“whole curve”: of its mean height. {counted(found)} “Ends better”: probability that a run of the agent ends "
        f"better than one of {baseline}, Mann–Whitney’s over all pairs of runs, with Newcombe’s interval from "
        f"{BAND_MIN_RUNS} seeds on. A single seed has no interval."
    )


def _scores(section: Section) -> list[Part | None]:
    win_rates = "" if section.numeric else " A win rate of 0.5 is as good as the reference."
    note = f"At {section.end:,.0f} oracle labels: means over seeds with 95 % Student t intervals.{win_rates}"
    shown, rest = tables.leaderboard(section), tables.further_scores(section)
    if section.runs and list(shown.header) == ["agent", "seeds"]:
        note = f"After {section.end:,.0f} oracle labels. No policy was judged, so there are no scores."
    return [Part(shown, "Leaderboard", note=note), Part(rest) if rest else None]


def _guides(section: Section) -> Part | None:
    """What the thin grey lines of the picture are."""
    guides = {guide.name: guide.says for metric in section.metrics for guide in section.guides(metric)}
    items = [Markup("<li>{}: {}</li>").format(name, says) for name, says in guides.items()]
    return _folded("What the thin grey lines say", Markup("<ul>{}</ul>").format(joined(items)) if items else None)


def _spread(section: Section) -> Part | None:
    if (found := tables.spread(section)) is None:
        return None
    title = section.metric(headline_metric(section) or "").title
    note = f"{title[0].upper()}{title[1:]} at {section.end:,.0f} oracle labels."
    if failure_rates(section):
        note += f" A seed failed if it ends at {100 * FAILED:.0f} % of what uniform pairs lose, or above."
    return Part(found, "Spread over seeds", note)


def _grid(section: Section, grid: Grid | None) -> Part | None:
    """A table of text as a part of the page, its first column the agents."""
    if grid is None:
        return None
    rows = [[tables.agent_name(section, agent), *cells] for agent, *cells in grid.rows]
    return Part(Table(grid.header, rows), grid.title.rpartition(": ")[2].capitalize(), note=grid.note)


def _questions(section: Section) -> Part | None:
    return _grid(section, questions(section))


def _people(section: Section) -> Part | None:
    shown = people(section)
    return Part(shown, "The people who answered", note=NOTE_ON_PEOPLE) if shown else None


def _cost(section: Section, folder: Path) -> list[Part]:
    if (cost := tables.costs(section)) is None:
        return []
    note = "Means over seeds, as measured."
    if section.numeric:
        note = "As measured. Seeds move in lock-step: the time of one is its share of the time of all."
    tokens = any(t.get("generated_tokens") for run in section.runs for t in run.timing[-1:])
    drawn = compute(section, folder / f"{section.slug}-compute.png")
    shown = picture(drawn, "results against compute", "wide" if tokens else "narrow")
    return [Part(cost, "Cost", note), Part(shown)]


def _calibration(section: Section, folder: Path) -> list[Part]:
    if not (found := predictions(section)):
        return []
    drawn = draw_calibration(section, found, folder / f"{section.slug}-calibration.png")
    shown = picture(drawn, "reliability of the posteriors, and their uncertainty against their error", "wide")
    return [Part(calibration_table(section, found), "Calibration of the posteriors", note=NOTE), Part(shown)]


def _efficiency(section: Section, folder: Path, subject: Subject) -> list[Part | None]:
    """Labels to the preset win rates with the multipliers over each baseline, and the power laws of the curves."""
    found: list[Part | None] = []
    for base in dict.fromkeys((baseline_name(section, subject.baseline), *subject.also_against)):
        if section.agents.get(base):
            ratios = multiplier_curves(section, base, subject.thresholds)
            found.append(_grid(section, labels_needed(section, base, subject.thresholds, ratios)))
            place = list(section.agents).index(base)
            drawn = plots.multiplier(section, base, ratios, folder / f"{section.slug}-multiplier-{place}.png")
            shown = picture(drawn, f"labels saved over {base} at preset win rates", "narrow")
            found.append(Part(shown) if shown else None)
    return [*found, _grid(section, power_laws(section))]


_OF_ONE_ROUND = {"posterior_accuracy"}
"""Recorded of the handful of pairs of a single round: a curve of it is noise, and calibration says it better."""


def _further(section: Section, folder: Path) -> Part | None:
    shown = {panel.metric for panel in default_panels(section)}
    rest = [
        Panel(metric)
        for metric in section.metrics
        if metric not in shown | _OF_ONE_ROUND and not section.always_zero(metric)
    ]
    panels = further_panels(section) if section.numeric else rest
    path = plots.overview(section, folder / f"{section.slug}-further.png", panels)
    drawn = picture(path, "further metrics, and what the agents recorded of their own learning", "wide")
    return _folded("Further metrics", drawn)


def _said(section: Section, key: str) -> list[str]:
    return sorted({str(run.manifest[key]) for run in section.runs if run.manifest.get(key)})
