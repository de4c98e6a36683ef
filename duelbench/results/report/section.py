"""The part of the report about one task: the verdict in words, curves, tables, and the runs behind them, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from duelbench.results.report import plots, tables
from duelbench.results.report.calibration import NOTE, calibration_table, draw_calibration, predictions
from duelbench.results.report.comparison import Section, language_model
from duelbench.results.report.compute import compute
from duelbench.results.report.findings import (
    FAILED,
    Comparison,
    baseline_name,
    compare,
    failures,
    headline,
    headline_metric,
    multiplier_curves,
    notes,
    sentence,
)
from duelbench.results.report.formats import questions
from duelbench.results.report.origins import run_ids, unfinished
from duelbench.results.report.panels import Panel, default_panels, further_panels
from duelbench.results.report.people import people
from duelbench.results.statistics.estimates import BAND_MIN_RUNS

FURTHER_METRICS = (
    '<p class="quiet">With so many tasks further metrics are not drawn; all of them are in the output of '
    "<code>duelbench report FOLDER --format csv</code>.</p>"
)


def section_page(
    section: Section, folder: Path, baseline: str, thresholds: Sequence[float], *, further: bool = True
) -> str:
    """Everything about a task; its pictures and their data are written into the folder.

    Args:
        section: the task.
        folder: where pictures go.
        baseline: whom the others are compared with, if it has a finished run.
        thresholds: win rates for the table of labels needed.
        further: whether the metrics beyond the overview get a picture too.
    """
    slug, baseline = section.slug, baseline_name(section, baseline)
    comparisons = compare(section, baseline)
    parts = [
        f'<section id="{slug}">\n<h2>{escape(section.name)}</h2>',
        f'<p class="quiet">{escape(section.title)}</p>' if section.title != section.name else "",
        f'<p class="headline">{escape(headline(section, baseline, comparisons))}</p>',
        _sentences(section, comparisons),
        _facts(section),
        _warnings(section),
        picture(plots.overview(section, folder / f"{slug}-overview.png"), "learning curves of all agents"),
        _guides(section),
    ]
    if comparisons:
        parts += [f"<h3>Against {escape(baseline)}</h3>", tables.comparisons_table(section, comparisons)]
        parts += [_comparison_note(section, baseline)]
    if section.runs:
        parts += [_scores(section), _spread(section), _efficiency(section, folder, baseline, thresholds)]
        parts += [people(section), _questions(section), _cost(section, folder), _calibration(section, folder)]
        if shown := tables.responses(section):
            parts += [f"<details><summary>Responses before and after</summary>\n{shown}</details>"]
        if settings := tables.hyper_parameters(section):
            parts += [f"<details><summary>Hyper-parameters</summary>\n{settings}</details>"]
        parts += [_further(section, folder) if further else FURTHER_METRICS]
    if section.unfinished:
        parts += [f'<h3 id="unfinished-{slug}">Unfinished runs</h3>', unfinished(section)]
    parts += [f'<h3 id="runs-{slug}">Runs</h3>', run_ids(section), "</section>"]
    return "\n".join(part for part in parts if part)


def picture(path: Path | None, alt: str, kind: str = "") -> str:
    """A PNG inside the page, with the name of its data's file; nothing for None."""
    if path is None:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    data_link = f"data: <code>{escape(path.with_suffix('.csv').name)}</code>"
    return (
        f'<figure class="{kind}"><img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
        f'<figcaption class="quiet">{data_link}</figcaption></figure>'
    )


def _sentences(section: Section, comparisons: Sequence[Comparison]) -> str:
    items = [f"<li>{escape(sentence(section, c))}</li>" for c in comparisons]
    return f'<ul class="findings">{"".join(items)}</ul>' if items else ""


def _facts(section: Section) -> str:
    won = any(section.metric(metric).chance is not None for metric in section.metrics)
    facts = {
        "Win rates against": _said(section, "reference") if won or not section.numeric else [],
        "Duels decided by" if section.numeric else "Judged by": _said(section, "judge"),
        "Regret relative to": _said(section, "comparator"),
        "Model": sorted({model for run in section.runs if (model := language_model(run))}),
    }
    items = [f"<li>{k} <b>{escape(' / '.join(v))}</b></li>" for k, v in facts.items() if v]
    return f'<ul class="facts">{"".join(items)}</ul>' if items else ""


def _warnings(section: Section) -> str:
    said = []
    missing = sum(run.missing for _, run in section.unfinished)
    if n := len(section.unfinished):
        link = f'<a href="#unfinished-{section.slug}">{n:,} unfinished run{"s" if n > 1 else ""}</a>'
        link += f", {f'{missing:,} of them' if missing < n else 'all'} not begun," if missing else ""
        said.append(f"{link} left out of every number and picture.")
    said += [escape(note) for note in notes(section)]
    longest = max((run.rows[-1]["labels"] for run in section.runs), default=0)
    if longest > 1.05 * section.end:
        said.append(
            f"Some runs went on to {longest:,.0f} labels. Final scores are read at {section.end:,.0f}, "
            "which every finished run reached."
        )
    fewest = min((len(runs) for runs in section.agents.values() if runs), default=0)
    if 0 < fewest < BAND_MIN_RUNS:
        said.append(
            f"No more than {fewest} seed{'s' if fewest > 1 else ''} for some agents: their single runs are "
            "drawn, without a band."
        )
    for key, what in (("judge", "judge"), ("reference", "reference response")):
        if not section.numeric and len(_said(section, key)) > 1:
            said.append(f"The runs do not share one {what}: their win rates are not comparable.")
    return "".join(f'<p class="warning">{text}</p>' for text in said)


def _comparison_note(section: Section, baseline: str) -> str:
    metric = headline_metric(section)
    name = section.metric(metric).title if metric else ""
    same = "same arms, same noise of the answers" if section.numeric else "same prompts, same noise"
    return (
        f'<p class="quiet">Differences in {escape(name)}, agent minus {escape(baseline)}, paired by seed '
        f"({same}), with 95 % Student t intervals. “Not separated” means that the interval "
        "holds 0. Each interval and verdict stands for itself; “Holm” is the verdict once all agents of this table "
        "are counted, so that the chance of a single false one among them stays below 5 %. The probability that a run "
        f"ends better is Mann-Whitney’s, over all pairs of runs, with Newcombe’s 95 % interval from {BAND_MIN_RUNS} "
        "seeds on.</p>"
    )


def _scores(section: Section) -> str:
    win_rates = "" if section.numeric else " A win rate of 0.5 is as good as the reference."
    note = f'<p class="quiet">At {section.end:,.0f} oracle labels: mean over seeds ± standard error.{win_rates}</p>'
    return f"<h3>Leaderboard</h3>\n{tables.leaderboard(section)}\n{note}"


def _guides(section: Section) -> str:
    """What the thin grey lines of the picture are."""
    guides = {guide.name: guide.says for metric in section.metrics for guide in section.guides(metric)}
    if not guides:
        return ""
    items = "".join(f"<li>{escape(name)}: {escape(says)}</li>" for name, says in guides.items())
    return f"<details><summary>What the thin grey lines say</summary><ul>{items}</ul></details>"


def _spread(section: Section) -> str:
    if not (found := tables.spread(section)):
        return ""
    title = section.metric(headline_metric(section) or "").title
    note = f"{title[0].upper()}{title[1:]} at {section.end:,.0f} oracle labels."
    if failures(section):
        note += f" A seed failed if it ends at {100 * FAILED:.0f} % of what uniform pairs lose, or above."
    return f'<h3>Spread over seeds</h3>\n<p class="quiet">{escape(note)}</p>\n{found}'


def _questions(section: Section) -> str:
    grid = questions(section)
    if grid is None:
        return ""
    rows = [[tables.agent_name(section, agent), *map(escape, cells)] for agent, *cells in grid.rows]
    shown = tables.table([escape(name) for name in grid.header], rows)
    return f'<h3>Questions to the oracle</h3>\n<p class="quiet">{escape(grid.note)}</p>\n{shown}'


def _cost(section: Section, folder: Path) -> str:
    if not (cost := tables.costs(section)):
        return ""
    note = "Means over seeds, as measured."
    if section.numeric:
        note = "As measured. Seeds move in lock-step: the time of one is its share of the time of all."
    kind = "" if any(t.get("generated_tokens") for run in section.runs for t in run.timing[-1:]) else "narrow"
    shown = picture(compute(section, folder / f"{section.slug}-compute.png"), "results against compute", kind)
    return f'<h3>Cost</h3>\n<p class="quiet">{note}</p>\n{cost}\n{shown}'


def _calibration(section: Section, folder: Path) -> str:
    if not (found := predictions(section)):
        return ""
    shown = draw_calibration(section, found, folder / f"{section.slug}-calibration.png")
    note = f'<p class="quiet">{escape(NOTE)}</p>'
    drawn = picture(shown, "reliability of the posteriors, and their uncertainty against their error")
    return f"<h3>Calibration of the posteriors</h3>\n{calibration_table(section, found)}\n{note}\n{drawn}"


def _efficiency(section: Section, folder: Path, baseline: str, thresholds: Sequence[float]) -> str:
    if "offline_win_rate" not in section.metrics:
        return ""
    ratios = multiplier_curves(section, baseline, thresholds)
    note = (
        '<p class="quiet">Oracle labels until the mean curve first reaches a win rate that was chosen in advance; “not '
        "in 1,000” means not within 1,000 labels. Below: how many times fewer labels than "
        f"{escape(baseline)}, with a 95 % interval from {BAND_MIN_RUNS} seeds on. “At least”: {escape(baseline)} may "
        "not get there within its labels, so only one end is known; “at most”: the agent may not.</p>"
    )
    parts = [
        "<h3>Labels needed to reach a win rate</h3>",
        tables.labels_needed(section, baseline, thresholds, ratios),
        note,
        picture(
            plots.multiplier(section, baseline, ratios, folder / f"{section.slug}-multiplier.png"),
            f"label multiplier over {baseline} against win rate",
            "narrow",
        ),
    ]
    return "\n".join(part for part in parts if part)


def _further(section: Section, folder: Path) -> str:
    shown = {panel.metric for panel in default_panels(section)}
    rest = [Panel(metric) for metric in section.metrics if metric not in shown]
    panels = further_panels(section) if section.numeric else rest
    path = plots.overview(section, folder / f"{section.slug}-further.png", panels)
    drawn = picture(path, "further metrics, and what the agents recorded of their own learning")
    return f"<details><summary>Further metrics</summary>\n{drawn}</details>" if drawn else ""


def _said(section: Section, key: str) -> list[str]:
    return sorted({str(run.manifest[key]) for run in section.runs if run.manifest.get(key)})
