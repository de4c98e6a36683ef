"""Tables of the report: scores, labels, costs, settings, and responses before and after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from duelbench.metrics import LEADERBOARD, SHORT_LEADERBOARD
from duelbench.records.record import Run
from duelbench.results.report.comparison.naming import leaves
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.words.findings import (
    VERDICTS,
    Comparison,
    failure_rates,
    headline_metric,
    ranked,
)
from duelbench.results.report.comparison.words.wording import signed
from duelbench.results.report.grids import NOTHING
from duelbench.results.report.rendering import Table, dotted, joined, link, render
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Estimate, mean_interval

SHOWN_PROMPTS = 6
_COLUMNS = 4  # of scores that fit on a page


def agent_name(section: Section, agent: str) -> Markup:
    """An agent's name behind a dot in its colour; it leads to what the agent is, where the page says so."""
    about = f"#{anchor(section, agent, 'about')}" if section.agents.get(agent) else ""
    return dotted(section.looks, agent, about)


def anchor(section: Section, agent: str, what: str = "runs") -> str:
    """Where on the page an agent's runs are listed, ``runs`` (finished) or ``unfinished``, or what it is, ``about``."""
    return f"{what}-{section.slug}-{list(section.agents).index(agent)}"


def leaderboard(section: Section) -> Table:
    """The main final scores, best agent first; seeds lead to the runs behind them."""
    return _scores(section, [m for m in SHORT_LEADERBOARD if m in section.metrics][:_COLUMNS])


def further_scores(section: Section) -> Markup:
    """The other final scores, a few columns per table; empty where there are none."""
    shown = [m for m in SHORT_LEADERBOARD if m in section.metrics][:_COLUMNS]
    rest = [m for m in LEADERBOARD if m in section.metrics and m not in shown]
    tables = [_scores(section, rest[i : i + _COLUMNS]).__html__() for i in range(0, len(rest), _COLUMNS)]
    return render("details.html", title="All scores", body=joined(tables)) if tables else Markup("")


def _scores(section: Section, metrics: Sequence[str]) -> Table:
    stopped = Counter(agent for agent, _ in section.unfinished)
    rows = []
    for agent in ranked(section):
        runs = section.agents[agent]
        seeds = link(f"#{anchor(section, agent)}", str(len(runs))) if runs else Markup("none finished")
        if stopped[agent]:
            target = link(f"#{anchor(section, agent, 'unfinished')}", f"{stopped[agent]} unfinished")
            seeds += Markup(" <small>{}</small>").format(target)
        cells = [_score(list(section.final(agent, m).values())) for m in metrics]
        rows.append([agent_name(section, agent), seeds, *cells])
    return Table(["agent", "seeds", *(section.metric(m).title for m in metrics)], rows)


def comparisons_table(section: Section, found: Sequence[Comparison]) -> Table:
    """Every agent against the baseline, with its verdict among all."""
    head = ["agent", "verdict", "final difference", "whole curve", "ends better", "seeds"]
    rows = [
        [
            agent_name(section, c.agent),
            _pill(c.verdict),
            _difference(c.final),
            _difference(c.area),
            probability(c.improvement),
            str(c.n),
        ]
        for c in found
    ]
    return Table(head, rows, left=2)


def _pill(verdict: str) -> Markup:
    return Markup('<span class="pill {}">{}</span>').format(verdict, VERDICTS[verdict])


def spread(section: Section) -> Table | None:
    """Quantiles over seeds of the headline metric's final scores: a mean hides a heavy tail."""
    metric, failed = headline_metric(section), failure_rates(section)
    head = ["agent", "seeds", "median", "10 % quantile", "90 % quantile", "standard deviation"]
    rows = []
    for agent in ranked(section):
        values = np.array(list(section.final(agent, metric or "").values()))
        if len(values) < BAND_MIN_RUNS:
            continue
        numbers = [*np.quantile(values, [0.5, 0.1, 0.9]).tolist(), float(values.std(ddof=1))]
        share = [f"{100 * failed[agent]:.1f} %"] if failed else []
        rows.append([agent_name(section, agent), str(len(values)), *map(_plain, numbers), *share])
    return Table([*head, *(["failed"] if failed else [])], rows) if rows else None


def costs(section: Section) -> Table | None:
    """Labels, wall time and generated tokens (for arms: duels a second) of a whole run, mean over seeds."""
    rows: list[list[str]] = []
    tokens_known = not section.numeric and any(
        t.get("generated_tokens") for run in section.runs for t in run.timing[-1:]
    )
    for agent, runs in section.agents.items():
        last = [run.timing[-1] for run in runs if run.timing]
        if not last:
            continue
        labels, seconds, tokens = (
            float(np.mean([t.get(key, np.nan) for t in last])) for key in ("labels", "wall_seconds", "generated_tokens")
        )
        cells = [agent_name(section, agent), _count(labels), _duration(seconds)]
        if section.numeric:
            cells.append(_count(labels / seconds if seconds else np.nan))
        elif tokens_known:
            cells += [_count(tokens), _count(tokens / labels if labels else np.nan)]
        rows.append(cells)
    per_run = ["duels a second"] if section.numeric else ["generated tokens", "tokens per label"] * tokens_known
    return Table(["agent", "oracle labels", "wall time of a run", *per_run], rows) if rows else None


def about_agents(section: Section) -> Table | None:
    """What each agent is, where its code is, and its settings as they were resolved, defaults included."""
    rows = []
    for agent, runs in section.agents.items():
        if not runs:
            continue
        configs = {json.dumps(found, sort_keys=True) for run in runs if (found := _resolved(run))}
        texts = [", ".join(f"{k} = {v}" for k, v in json.loads(config).items()) for config in sorted(configs)]
        name = Markup('<span id="{}">{}</span>').format(anchor(section, agent, "about"), dotted(section.looks, agent))
        said = " / ".join(sorted({str(run.manifest["about"]) for run in runs if run.manifest.get("about")}))
        settings = Markup("<code>{}</code>").format(" / ".join(texts)) if texts else NOTHING
        rows.append([name, Markup("{}<br>{}").format(said, settings) if said else settings])
    return Table(["agent", "what it is, and its settings"], rows, left=2, wrap=True) if rows else None


def _resolved(run: Run) -> dict[str, Any]:
    """Settings of the agent, its learner and its policy, by dotted name; the agent's own go without a prefix."""
    resolved = run.spec.get("resolved") or {"agent": run.manifest.get("agent_config") or {}}
    own = dict(leaves(resolved.get("agent") or {}))
    others = {name: resolved.get(name) or {} for name in ("learner", "policy")}
    return {k: v for k, v in (own | dict(leaves(others))).items() if v != {}}


@dataclass(frozen=True)
class _Prompt:
    """A held-out prompt with (who, utility, response) before and after training."""

    text: str
    before: Sequence[tuple[str, Markup, str]]
    after: Sequence[tuple[str, Markup, str]]


def responses(section: Section) -> Markup:
    """Held-out prompts, the response before training and each agent's response after it, from one seed."""
    runs = {agent: [run for run in found if run.samples] for agent, found in section.agents.items()}
    runs = {agent: found for agent, found in runs.items() if found}
    if not runs:
        return Markup("")
    shared = set.intersection(*({int(run.spec["seed"]) for run in found} for found in runs.values()))
    chosen = {
        agent: next((run for run in found if int(run.spec["seed"]) == min(shared, default=-1)), found[0])
        for agent, found in runs.items()
    }
    prompts = list(dict.fromkeys(s["prompt"] for run in chosen.values() for s in run.samples))
    used = sorted({int(run.spec["seed"]) for run in chosen.values()})
    found = [_prompt(section, prompt, chosen) for prompt in prompts[:SHOWN_PROMPTS]]
    return render("responses.html", seeds=", ".join(map(str, used)), prompts=found)


def _prompt(section: Section, prompt: str, runs: dict[str, Run]) -> _Prompt:
    before: dict[str, Markup] = {}
    after = []
    for agent, run in runs.items():
        sample = next((s for s in run.samples if s["prompt"] == prompt), None)
        if sample is not None:
            before.setdefault(sample["before"], _utility(sample.get("utility_before")))
            after.append((agent_name(section, agent), _utility(sample.get("utility_after")), sample["after"]))
    return _Prompt(prompt, [("before", utility, text) for text, utility in before.items()], after)


def _utility(value: object) -> Markup:
    if not isinstance(value, float | int):
        return Markup("")
    return Markup("<small>utility {}</small>").format(f"{value:.2f}".replace("-", "−"))


def _score(values: list[float]) -> str:
    return estimate(mean_interval(values)) if values else NOTHING


def estimate(e: Estimate) -> Markup:
    """A score with its interval, if there is one."""
    return _with_interval(_plain(e.value), e, _plain)


def probability(e: Estimate) -> Markup:
    """A probability with its interval, if there is one."""
    return _with_interval(f"{e.value:.2f}", e, lambda x: f"{x:.2f}")


def _difference(e: Estimate | None) -> str:
    if e is None:
        return NOTHING
    return _with_interval(signed(e.value), e, signed)


def _with_interval(value: str, e: Estimate, shown: Any) -> Markup:
    text = Markup("{}").format(value)
    return text + Markup(" <small>[{}, {}]</small>").format(shown(e.low), shown(e.high)) if e.known else text


def _plain(value: float) -> str:
    return f"{value:,.{3 if abs(value) < 10 else 1}f}".replace("-", "−")


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
