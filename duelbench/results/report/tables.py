"""Pieces of the report as HTML: tables of scores, labels and costs, responses before and after.

Everything that came from outside (names, prompts, responses, tracebacks) passes through ``html.escape``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from duelbench.conversation import transcript
from duelbench.metrics import LEADERBOARD
from duelbench.records.record import Run
from duelbench.results.report.comparison import Section
from duelbench.results.report.findings import Comparison, failures, headline_metric, multiplier_text, signed
from duelbench.results.report.naming import leaves
from duelbench.results.report.styles import Style
from duelbench.results.statistics.curves import Multiplier, labels_to_threshold
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Estimate, standard_error

NOTHING = "–"
SHOWN_PROMPTS = 6


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, *, wrap: bool = False) -> str:
    """An HTML table that scrolls sideways on a narrow screen.

    Args:
        header: names of the columns.
        rows: their cells, as HTML.
        left: columns from the first on that are flush left.
        wrap: whether the last column breaks its lines.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        marks = [' class="left"' if i < left else "" for i in range(len(cells))]
        if wrap and tag == "td":
            marks[-1] = ' class="left wrap"'
        return "".join(f"<{tag}{m}>{cell}</{tag}>" for cell, m in zip(cells, marks, strict=True))

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    head = f"<thead><tr>{line(header, 'th')}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def agent_name(section: Section, agent: str) -> str:
    """An agent's name behind a dot in its colour."""
    return dotted(section.looks, agent)


def dotted(looks: Mapping[str, Style], agent: str) -> str:
    """The same with the looks of all agents."""
    dot = f'<span class="dot" style="background:{looks[agent][0]}"></span>'
    return f'<span class="name">{dot}<span>{escape(agent)}</span></span>'


def anchor(section: Section, agent: str, what: str = "runs") -> str:
    """Where on the page an agent's runs are listed: ``runs`` (finished) or ``unfinished``."""
    return f"{what}-{section.slug}-{list(section.agents).index(agent)}"


def leaderboard(section: Section) -> str:
    """Final scores, mean and standard error over seeds, best agent first; seeds lead to the runs behind them."""
    metrics = [m for m in LEADERBOARD if m in section.metrics]
    stopped = Counter(agent for agent, _ in section.unfinished)
    rows = []
    for agent in ranked(section):
        runs = section.agents[agent]
        seeds = f'<a href="#{anchor(section, agent)}">{len(runs)}</a>' if runs else "none finished"
        if stopped[agent]:
            link = f'<a href="#{anchor(section, agent, "unfinished")}">{stopped[agent]} unfinished</a>'
            seeds += f" <small>{link}</small>"
        cells = [_score(list(section.final(agent, m).values())) for m in metrics]
        rows.append([agent_name(section, agent), seeds, *cells])
    return table(["agent", "seeds", *(escape(section.metric(m).title) for m in metrics)], rows)


def comparisons_table(section: Section, found: Sequence[Comparison]) -> str:
    """Every agent against the baseline, with its verdict."""
    words = {"ahead": "ahead", "behind": "behind", "open": "not separated"}
    head = [
        "agent",
        "verdict",
        f"Holm, of {len(found)}",
        "final difference",
        "difference over the whole curve",
        "ends better with probability",
        "paired seeds",
    ]
    rows = [
        [
            agent_name(section, c.agent),
            f'<span class="pill {c.verdict}">{words[c.verdict]}</span>',
            f'<span class="pill {c.verdict_of_many}">{words[c.verdict_of_many]}</span>',
            _difference(c.final),
            _difference(c.area),
            _probability(c.improvement),
            str(c.n),
        ]
        for c in found
    ]
    return table(head, rows, left=3)


def spread(section: Section) -> str:
    """Quantiles over seeds of the headline metric's final scores: a mean hides a heavy tail."""
    metric, failed = headline_metric(section), failures(section)
    head = ["agent", "seeds", "median", "10 % quantile", "90 % quantile", "standard deviation"]
    rows = []
    for agent in ranked(section):
        values = np.array(list(section.final(agent, metric or "").values()))
        if len(values) < BAND_MIN_RUNS:
            continue
        numbers = [*np.quantile(values, [0.5, 0.1, 0.9]).tolist(), float(values.std(ddof=1))]
        share = [f"{100 * failed[agent]:.1f} %"] if failed else []
        rows.append([agent_name(section, agent), str(len(values)), *map(_plain, numbers), *share])
    return table([*head, *(["failed"] if failed else [])], rows) if rows else ""


def labels_needed(
    section: Section, baseline: str, thresholds: Sequence[float], ratios: dict[str, list[Multiplier]]
) -> str:
    """Labels to reach each offline win rate, and below it the multiplier against the baseline."""
    metric = "offline_win_rate"
    rows = []
    for agent in ranked(section):
        curves = section.curves(agent, metric)
        if curves is None:
            continue
        cells = []
        for i, threshold in enumerate(thresholds):
            needed = float(labels_to_threshold(curves.labels, curves.values.mean(axis=0), threshold))
            text = f"{needed:,.0f}" if np.isfinite(needed) else f"<small>not in {curves.labels[-1]:,.0f}</small>"
            ratio = escape(multiplier_text(ratios[agent][i])) if agent in ratios else ""
            cells.append(text + (f"<br><small>{ratio}</small>" if ratio else ""))
        rows.append([agent_name(section, agent), *cells])
    return table(["agent", *(f"{t:g}" for t in thresholds)], rows)


def costs(section: Section) -> str:
    """Labels, wall time and generated tokens (for arms: duels a second) of a whole run, mean over seeds."""
    rows = []
    for agent, runs in section.agents.items():
        last = [run.timing[-1] for run in runs if run.timing]
        if not last:
            continue
        labels, seconds, tokens = (
            float(np.mean([t.get(key, np.nan) for t in last])) for key in ("labels", "wall_seconds", "generated_tokens")
        )
        cells = [agent_name(section, agent), _count(labels), _duration(seconds)]
        if section.numeric:
            rows.append([*cells, _count(labels / seconds if seconds else np.nan)])
        else:
            rows.append([*cells, _count(tokens), _count(tokens / labels if labels else np.nan)])
    per_run = ["duels a second"] if section.numeric else ["generated tokens", "tokens per label"]
    return table(["agent", "oracle labels", "wall time of a run", *per_run], rows) if rows else ""


def hyper_parameters(section: Section) -> str:
    """Each agent's settings as they were resolved, defaults included; empty where no run recorded any."""
    rows = []
    for agent, runs in section.agents.items():
        configs = {json.dumps(found, sort_keys=True) for run in runs if (found := _resolved(run))}
        texts = [", ".join(f"{k} = {v}" for k, v in json.loads(config).items()) for config in sorted(configs)]
        if texts:
            rows.append([agent_name(section, agent), f"<code>{escape(' / '.join(texts))}</code>"])
    return table(["agent", "settings"], rows, left=2) if rows else ""


def _resolved(run: Run) -> dict[str, Any]:
    """Settings of the agent, its learner and its policy, by dotted name; the agent's own go without a prefix."""
    resolved = run.spec.get("resolved") or {"agent": run.manifest.get("agent_config") or {}}
    own = dict(leaves(resolved.get("agent") or {}))
    others = {name: resolved.get(name) or {} for name in ("learner", "policy")}
    return own | dict(leaves(others))


def responses(section: Section) -> str:
    """Held-out prompts, the response before training and each agent's response after it, from one seed."""
    runs = {agent: [run for run in found if run.samples] for agent, found in section.agents.items()}
    runs = {agent: found for agent, found in runs.items() if found}
    if not runs:
        return ""
    shared = set.intersection(*({int(run.spec["seed"]) for run in found} for found in runs.values()))
    chosen = {
        agent: next((run for run in found if int(run.spec["seed"]) == min(shared, default=-1)), found[0])
        for agent, found in runs.items()
    }
    prompts = list(dict.fromkeys(s["prompt"] for run in chosen.values() for s in run.samples))
    used = sorted({int(run.spec["seed"]) for run in chosen.values()})
    note = f'<p class="quiet">Held-out prompts, seed {", ".join(map(str, used))}; not selected by outcome.</p>'
    return note + "\n".join(_prompt(section, prompt, chosen) for prompt in prompts[:SHOWN_PROMPTS])


def ranked(section: Section) -> list[str]:
    """All agents, best first by the mean of the headline metric, those without a score last."""
    metric = headline_metric(section)
    if metric is None:
        return list(section.agents)
    sign = 1 if section.metric(metric).higher_is_better else -1
    scores = {agent: list(section.final(agent, metric).values()) for agent in section.agents}
    return sorted(scores, key=lambda agent: -sign * float(np.mean(scores[agent])) if scores[agent] else np.inf)


def _prompt(section: Section, prompt: str, runs: dict[str, Run]) -> str:
    found = {agent: next((s for s in run.samples if s["prompt"] == prompt), None) for agent, run in runs.items()}
    before: dict[str, str] = {}
    after = []
    for agent, sample in found.items():
        if sample is None:
            continue
        before.setdefault(sample["before"], _utility(sample.get("utility_before")))
        name = agent_name(section, agent) + _utility(sample.get("utility_after"))
        after.append(f"<dt>{name}</dt><dd>{escape(sample['after'])}</dd>")
    first = [f'<dt class="before">before{u}</dt><dd class="before">{escape(t)}</dd>' for t, u in before.items()]
    answers = "".join(first + after)
    return f'<article class="prompt"><header>{escape(transcript(prompt))}</header><dl>{answers}</dl></article>'


def _utility(value: object) -> str:
    return f"<small>utility {value:.2f}</small>".replace("-", "−") if isinstance(value, float | int) else ""


def _score(values: list[float]) -> str:
    if not values:
        return NOTHING
    error, mean = standard_error(values), float(np.mean(values))
    digits = 3 if abs(mean) < 10 else 1
    if error is None:
        return f"{mean:,.{digits}f}"
    spread = f"± {error:,.{digits}f}" if error == 0 or error >= 10**-digits else f"± &lt; {10**-digits:g}"
    return f"{mean:,.{digits}f} <small>{spread}</small>"


def _plain(value: float) -> str:
    return f"{value:,.{3 if abs(value) < 10 else 1}f}"


def _difference(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    if not np.isfinite(estimate.low):
        return f"{signed(estimate.value)} <small>no interval</small>"
    return f"{signed(estimate.value)} <small>[{signed(estimate.low)}, {signed(estimate.high)}]</small>"


def _probability(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}" + (
        f" <small>[{estimate.low:.2f}, {estimate.high:.2f}]</small>" if estimate.known else ""
    )


def _count(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else NOTHING


def _duration(seconds: float) -> str:
    if not np.isfinite(seconds):
        return NOTHING
    if seconds < 0.5:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
