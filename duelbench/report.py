"""One self-contained HTML page about a folder of runs, with the pictures and their data beside it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from duelbench import plots, tables
from duelbench.comparison import METRICS, Section, sections
from duelbench.findings import FAILED, Comparison, baseline_name, compare, headline, headline_metric, sentence
from duelbench.panels import Panel, further_panels
from duelbench.record import Run, write_atomic
from duelbench.stats import BAND_MIN_RUNS, IQM_MIN_SCORES, standard_error

THRESHOLDS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


def write_report(
    folder: Path,
    runs: Sequence[Run],
    *,
    baseline: str = "online",
    thresholds: Sequence[float] = THRESHOLDS,
    title: str = "duelbench report",
) -> Path:
    """Write ``report.html`` with its pictures (PNG) and their data (CSV) into a folder.

    Args:
        folder: where to write; created if missing.
        runs: finished and unfinished runs of one or several tasks. Only finished ones enter any number.
        baseline: the agent that all others are compared with.
        thresholds: offline win rates for the table of labels needed; choose them before looking at the runs.
        title: heading of the page.

    Returns:
        Path of the page. Every file is replaced atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = sections(runs)
    body = [_section(section, folder, baseline, thresholds) for section in found]
    done = sum(len(section.runs) for section in found)
    left = sum(len(section.unfinished) for section in found)
    subtitle = f"{done} finished run{'s' if done != 1 else ''}"
    if left:
        subtitle += f", {left} unfinished (shown as such, in no average)"
    page = Template(files("duelbench").joinpath("templates/report.html").read_text(encoding="utf-8")).substitute(
        title=escape(title), subtitle=escape(subtitle), body="\n".join([*body, _provenance(found)])
    )
    path = folder / "report.html"
    write_atomic(path, page)
    return path


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Final scores as plain JSON: ``{"agents": {agent: {metric: {"mean", "se", "n"}}}}``.

    With several tasks ``agents`` are those of the first and ``envs`` holds all: ``{title: {"agents": ...}}``.
    Scores are read at the most labels that every finished run of the task reached; ``labels`` are those that the
    agent's runs consumed. ``se`` is the standard error over seeds, None for one seed. An agent without a finished
    run has no metrics.
    """
    found = {section.title: {"agents": _final_scores(section)} for section in sections(runs)}
    agents = next(iter(found.values()), {"agents": {}})["agents"]
    return {"agents": agents} if len(found) < 2 else {"envs": found, "agents": agents}


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


def _section(section: Section, folder: Path, baseline: str, thresholds: Sequence[float]) -> str:
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", section.title).strip("-")
    baseline = baseline_name(section, baseline)
    comparisons = compare(section, baseline)
    parts = [
        f"<section>\n<h2>{escape(section.title)}</h2>",
        f'<p class="headline">{escape(headline(section, baseline, comparisons))}</p>',
        _sentences(section, comparisons),
        _facts(section),
        _warnings(section, slug),
        _picture(plots.overview(section, folder / f"{slug}-overview.png"), "learning curves of all agents"),
        _guides(section),
    ]
    if comparisons:
        parts += [f"<h3>Against {escape(baseline)}</h3>", tables.comparisons_table(section, comparisons)]
        parts += [_comparison_note(section, baseline)]
    if section.runs:
        parts += [_scores(section, slug), _spread(section)]
        parts += [_efficiency(section, folder, slug, baseline, thresholds), _cost(section)]
        if shown := tables.responses(section):
            parts += ["<h3>Responses before and after</h3>", shown]
        if settings := tables.hyper_parameters(section):
            parts += [f"<details><summary>Hyper-parameters</summary>\n{settings}</details>"]
        parts += [_every_metric(section, folder, slug)]
    if section.unfinished:
        parts += [f'<h3 id="unfinished-{slug}">Unfinished runs</h3>', tables.unfinished(section)]
    parts += [f'<h3 id="runs-{slug}">Runs</h3>', tables.run_ids(section), "</section>"]
    return "\n".join(part for part in parts if part)


def _sentences(section: Section, comparisons: Sequence[Comparison]) -> str:
    items = [f"<li>{escape(sentence(section, c))}</li>" for c in comparisons]
    return f'<ul class="findings">{"".join(items)}</ul>' if items else ""


def _facts(section: Section) -> str:
    won = any(section.metric(metric).chance is not None for metric in section.metrics)
    facts = {
        "Win rates against": _said(section, "reference") if won or not section.numeric else [],
        "Duels decided by" if section.numeric else "Judged by": _said(section, "judge"),
        "Regret relative to": _said(section, "comparator"),
        "Model": sorted({str(model) for run in section.runs if (model := _model(run))}),
    }
    items = [f"<li>{k} <b>{escape(' / '.join(v))}</b></li>" for k, v in facts.items() if v]
    return f'<ul class="facts">{"".join(items)}</ul>' if items else ""


def _model(run: Run) -> object:
    return (run.spec.get("policy") or {}).get("model") or run.spec.get("model")


def _warnings(section: Section, slug: str) -> str:
    said = []
    if n := len(section.unfinished):
        link = f'<a href="#unfinished-{slug}">{n} unfinished run{"s" if n > 1 else ""}</a>'
        said.append(f"{link} left out of every number and picture.")
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
        f"({same}), with 95 % Student t intervals. “Not separated” means that the interval "
        "holds 0. Each interval stands for itself: there is no correction for comparing several agents. The "
        "probability that a run ends better is Mann-Whitney’s, over all pairs of runs, with a 95 % bootstrap "
        f"interval from {BAND_MIN_RUNS} seeds on.</p>"
    )


def _scores(section: Section, slug: str) -> str:
    win_rates = "" if section.numeric else " A win rate of 0.5 is as good as the reference."
    note = f'<p class="quiet">At {section.end:,.0f} oracle labels: mean over seeds ± standard error.{win_rates}</p>'
    return f"<h3>Leaderboard</h3>\n{tables.leaderboard(section, f'runs-{slug}')}\n{note}"


def _guides(section: Section) -> str:
    """What the thin grey lines of the picture are."""
    guides = {guide.name: guide.says for metric in section.metrics for guide in section.guides(metric)}
    if not guides:
        return ""
    items = "".join(f"<li>{escape(name)}: {escape(says)}</li>" for name, says in guides.items())
    return f"<details><summary>What the thin grey lines say</summary><ul>{items}</ul></details>"


def _spread(section: Section) -> str:
    if not section.numeric or not (found := tables.spread(section)):
        return ""
    title = section.metric(headline_metric(section) or "").title
    note = (
        f"{title[0].upper()}{title[1:]} at {section.end:,.0f} oracle labels. A seed failed if it ends at "
        f"{100 * FAILED:.0f} % of what uniform pairs lose, or above."
    )
    return f'<h3>Spread over seeds</h3>\n<p class="quiet">{escape(note)}</p>\n{found}'


def _cost(section: Section) -> str:
    if not (cost := tables.costs(section)):
        return ""
    note = "Means over seeds, as measured."
    if section.numeric:
        note = "As measured. Seeds move in lock-step: the time of one is its share of the time of all."
    return f'<h3>Cost</h3>\n<p class="quiet">{note}</p>\n{cost}'


def _efficiency(section: Section, folder: Path, slug: str, baseline: str, thresholds: Sequence[float]) -> str:
    if "offline_win_rate" not in section.metrics:
        return ""
    ratios = plots.multiplier_curves(section, baseline, thresholds)
    note = (
        '<p class="quiet">Oracle labels until the mean curve (interquartile mean from '
        f"{IQM_MIN_SCORES} seeds on) first reaches a win rate; “&gt; 1,000” means not within 1,000 labels. "
        f"Below: how many times fewer labels than {escape(baseline)}, with a 95 % whole-run bootstrap "
        f"interval from {BAND_MIN_RUNS} seeds on; “&gt;” is a lower bound, where {escape(baseline)} did not "
        "get there in more than 2.5 % of the resamples.</p>"
    )
    parts = [
        "<h3>Labels needed to reach a win rate</h3>",
        tables.labels_needed(section, baseline, thresholds, ratios),
        note,
        _picture(
            plots.multiplier(section, baseline, thresholds, folder / f"{slug}-multiplier.png"),
            f"label multiplier over {baseline} against win rate",
            "narrow",
        ),
    ]
    return "\n".join(part for part in parts if part)


def _every_metric(section: Section, folder: Path, slug: str) -> str:
    if section.numeric:
        path = plots.overview(section, folder / f"{slug}-further.png", further_panels(section))
        shown = _picture(path, "further metrics of all agents")
        return f"<details><summary>Further metrics</summary>\n{shown}</details>" if shown else ""
    pictures = []
    for metric in (metric for metric in section.metrics if metric in METRICS):
        name = re.sub(r"[^A-Za-z0-9_]+", "-", metric)
        path = plots.single(section, metric, folder / f"{slug}-{name}.png")
        pictures.append(_picture(path, section.metric(metric).title, "narrow"))
    diagnostics = [Panel(metric) for metric in section.metrics if metric not in METRICS]
    path = plots.overview(section, folder / f"{slug}-diagnostics.png", diagnostics)
    pictures.append(_picture(path, "what the agents recorded of their own learning"))
    return f"<details><summary>Every metric on its own</summary>\n{''.join(pictures)}</details>"


def _picture(path: Path | None, alt: str, kind: str = "") -> str:
    if path is None:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    data_link = f"data: <code>{escape(path.with_suffix('.csv').name)}</code>"
    return (
        f'<figure class="{kind}"><img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
        f'<figcaption class="quiet">{data_link}</figcaption></figure>'
    )


def _provenance(found: list[Section]) -> str:
    manifests = [run.manifest for s in found for run in [*s.runs, *(run for _, run in s.unfinished)]]
    commands = dict.fromkeys(str(m["command"]) for m in manifests if m.get("command"))
    revisions = sorted({str(m["git"]) for m in manifests if m.get("git")})
    versions = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in sorted(m["versions"].items()))
        for m in manifests
        if m.get("versions")
    )
    created = sorted(str(m["created"]) for m in manifests if m.get("created"))
    parts = ["<section>\n<h2>How this was made</h2>"]
    parts += [f"<pre>{escape(command)}</pre>" for command in commands]
    parts += [f'<p class="quiet">Versions: {escape(text)}</p>' for text in versions]
    if revisions:
        parts.append(f'<p class="quiet">Revision: <code>{escape(", ".join(revisions))}</code></p>')
    if created:
        span = created[0] if created[0] == created[-1] else f"{created[0]} to {created[-1]}"
        parts.append(f'<p class="quiet">Runs created: {escape(span)}</p>')
    settings = {s.title: s.runs[0].spec.get("env_kwargs") for s in found if s.runs}
    text = json.dumps(settings, indent=2, default=str)
    parts.append(f"<details><summary>Settings of the tasks</summary><pre>{escape(text)}</pre></details></section>")
    return "\n".join(parts)


def _said(section: Section, key: str) -> list[str]:
    return sorted({str(run.manifest[key]) for run in section.runs if run.manifest.get(key)})
