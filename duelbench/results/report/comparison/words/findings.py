"""What the numbers say, in words: who beats whom, by how much, and what cannot be told apart.

Sentences state intervals as found. A difference whose interval holds 0 is "not separated", whichever way it
leans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from duelbench.duels.guides import UNIFORM_PAIRS
from duelbench.metrics import HEADLINE, REGRETS
from duelbench.records.record import Run
from duelbench.results.report.comparison.section import Section, asks_no_more
from duelbench.results.report.comparison.words.gaming import gamed
from duelbench.results.report.comparison.words.wording import signed
from duelbench.results.statistics.curves import Multiplier, area_under_curve, multipliers
from duelbench.results.statistics.estimates import (
    Estimate,
    holm,
    mean_interval,
    p_value,
    paired_differences,
    probability_of_improvement,
)
from duelbench.streams import Streams

FAILED = 0.9
VERDICTS = {"ahead": "ahead", "behind": "behind", "open": "not separated"}
WIN_RATE = "offline_win_rate"
"""What label multipliers are about."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An agent against the baseline, on one metric, over the seeds that both have.

    Attributes:
        agent: the agent.
        baseline: whom it is compared with.
        metric: the metric's name.
        better: whether a positive difference is good.
        n: number of seeds that both have.
        final: mean paired difference agent - baseline of final scores; None without a shared seed.
        area: the same for the average over the whole curve.
        improvement: probability that a run of the agent ends better than a run of the baseline; without an interval
            where there are too few seeds for one.
        p: p value of no difference of the final scores, by Student's t; NaN with fewer than two shared seeds.
        adjusted: the same by Holm's correction for all agents that are compared with the baseline on this task.
    """

    agent: str
    baseline: str
    metric: str
    better: bool
    n: int
    final: Estimate | None
    area: Estimate | None
    improvement: Estimate
    p: float
    adjusted: float = float("nan")

    @property
    def verdict(self) -> str:
        """``ahead``, ``behind`` or ``open`` by Holm: one false finding among all comparisons has a chance below 5 %."""
        return self.alone if self.adjusted < 0.05 else "open"

    @property
    def alone(self) -> str:
        """The same as if this were the only comparison."""
        if self.final is None or not self.final.separated:
            return "open"
        return "ahead" if (self.final.value > 0) == self.better else "behind"


def headline_metric(section: Section) -> str | None:
    """The metric on which the verdict is given, None where none of ``HEADLINE`` was recorded."""
    candidates = REGRETS if section.numeric else HEADLINE
    return next((metric for metric in candidates if metric in section.metrics), None)


def baseline_name(section: Section, asked: str) -> str:
    """The agent to compare with: the one asked for, or uniform pairs where it has no finished run."""
    name = section.named(asked)
    return name if section.agents.get(name) else section.floor or name


def compare(section: Section, baseline: str) -> list[Comparison]:
    """Every other agent with a final score against the baseline, best first, without those that are told the truth."""
    metric = headline_metric(section)
    if metric is None or not section.final(baseline, metric):
        return []
    found = [
        _compare(section, agent, baseline, metric)
        for agent in section.rivals
        if agent != baseline and section.final(agent, metric)
    ]
    adjusted = holm([c.p for c in found])
    found = [replace(c, adjusted=float(p)) for c, p in zip(found, adjusted, strict=True)]
    sign = 1 if section.metric(metric).higher_is_better else -1
    means = {c.agent: sign * float(np.mean(list(section.final(c.agent, metric).values()))) for c in found}
    return sorted(found, key=lambda c: -means[c.agent])


def _compare(section: Section, agent: str, baseline: str, metric: str) -> Comparison:
    better = bool(section.metric(metric).higher_is_better)
    ours, theirs = section.final(agent, metric), section.final(baseline, metric)
    final = paired_differences(ours, theirs)
    area = paired_differences(_areas(section, agent, metric), _areas(section, baseline, metric))
    x, y = np.array(list(ours.values())), np.array(list(theirs.values()))
    return Comparison(
        agent=agent,
        baseline=baseline,
        metric=metric,
        better=better,
        n=len(final),
        final=mean_interval(final) if len(final) else None,
        area=mean_interval(area) if len(area) else None,
        improvement=probability_of_improvement([(x, y) if better else (-x, -y)]),
        p=p_value(final) if len(final) else float("nan"),
    )


def _areas(section: Section, agent: str, metric: str) -> dict[int, float]:
    """{seed: average height of the curve}, up to the labels that all finished runs reached."""
    curves = section.curves(agent, metric, until=section.end)
    if curves is None or len(curves.labels) < 2:
        return {}
    return dict(zip(section.final(agent, metric), area_under_curve(curves).tolist(), strict=True))


def ranked(section: Section) -> list[str]:
    """All agents, best first by the mean of the headline metric, those without a score last."""
    metric = headline_metric(section)
    if metric is None:
        return list(section.agents)
    sign = 1 if section.metric(metric).higher_is_better else -1
    scores = {agent: list(section.final(agent, metric).values()) for agent in section.agents}
    return sorted(scores, key=lambda agent: -sign * float(np.mean(scores[agent])) if scores[agent] else np.inf)


def sentence(section: Section, c: Comparison) -> str:
    """One comparison in words, for example ``sea beats online by 0.094 [0.081, 0.107]``."""
    title, seeds = section.metric(c.metric).title, f"{c.n} paired seed{'s' if c.n != 1 else ''}"
    if c.final is None:
        return f"{c.agent} and {c.baseline} share no seed: not compared."
    if c.n == 1:
        return f"{c.agent} against {c.baseline}: {signed(c.final.value)} {title} in one seed: no interval."
    interval = f"{signed(c.final.value)} {title} [{signed(c.final.low)}, {signed(c.final.high)}], {seeds}"
    if c.verdict != c.alone:
        interval += "; taken alone it would be, but not once all comparisons are counted (Holm)"
    words = {"ahead": "beats", "behind": "is behind", "open": "is not separated from"}
    return f"{c.agent} {words[c.verdict]} {c.baseline}: {interval}."


def counted(comparisons: Sequence[Comparison]) -> str:
    """How the verdicts of a table are decided."""
    if len(comparisons) == 1:
        return "Not separated: the interval of the final difference holds 0."
    return (
        f"The verdict counts all {len(comparisons)} comparisons (Holm), so that a single false one among them has a "
        "chance below 5 %; an interval stands for itself, and may leave out 0 where the verdict is “not separated”."
    )


def headline(section: Section, baseline: str, comparisons: list[Comparison]) -> str:
    """The result of a section in one or two sentences."""
    metric = headline_metric(section)
    if not section.runs:
        return "No run is finished yet: nothing can be said."
    if metric is None:
        return "No policy was judged: there is nothing to compare."
    if not section.final(baseline, metric):
        return f"No finished run of {baseline} to compare with."
    if not comparisons:
        return f"Only {baseline} has finished runs: nothing to compare it with."
    groups = {v: [c.agent for c in comparisons if c.verdict == v] for v in ("ahead", "behind", "open")}
    parts = []
    if groups["ahead"]:
        parts.append(f"{_listed(groups['ahead'])} {_verb(groups['ahead'], 'beat')} {baseline}")
    if groups["behind"]:
        parts.append(f"{_listed(groups['behind'])} {_verb(groups['behind'], 'lose')} to {baseline}")
    if groups["open"]:
        is_are = "is" if len(groups["open"]) == 1 else "are"
        parts.append(f"{_listed(groups['open'])} {is_are} not separated from {baseline}")
    said = f"{'; '.join(parts)}: {section.metric(metric).title} after {section.end:,.0f} oracle labels."
    return f"{said} {_lead(section, metric, comparisons)}".rstrip() if section.numeric else said


def _lead(section: Section, metric: str, comparisons: list[Comparison]) -> str:
    """Who has the least regret, and who may have: on arms, beating uniform pairs says little."""
    if len(comparisons) < 2:
        return ""
    best, *others = [c.agent for c in comparisons]
    ours = section.final(best, metric)
    gaps = {agent: paired_differences(ours, section.final(agent, metric)) for agent in others}
    close = [agent for agent, gap in gaps.items() if len(gap) > 1 and not mean_interval(gap).separated]
    mean = float(np.mean(list(ours.values())))
    tied = f"; {_listed(close)} {'is' if len(close) == 1 else 'are'} not separated from it" if close else ""
    return f"Least: {best}, {mean:,.{3 if mean < 10 else 1}f} on average{tied}."


def failure_rates(section: Section) -> dict[str, float]:
    """Share of each agent's seeds that end at ``FAILED`` of what uniform pairs lose, or above it.

    Empty where there is no such guide. Where every seed has its own instance the guide is the instances' average.
    """
    metric = headline_metric(section)
    guide = next((g for g in section.guides(metric or "") if g.name == UNIFORM_PAIRS), None)
    if metric is None or guide is None:
        return {}
    limit = FAILED * float(guide.value(section.end))
    scores = {agent: np.array(list(section.final(agent, metric).values())) for agent in section.agents}
    return {agent: float((values >= limit).mean()) for agent, values in scores.items() if len(values)}


def notes(section: Section) -> list[str]:
    """What every form of a report says besides its numbers: older versions, runs that stopped asking, a gamed taste."""
    said = [str(older) for older in section.older]
    for agent, runs in section.agents.items():
        early = [run for run in runs if asks_no_more(run)]
        if early:
            labels = sorted(int(run.rows[-1]["labels"]) for run in early)
            used = f"{labels[0]:,}" if labels[0] == labels[-1] else f"{labels[0]:,} to {labels[-1]:,}"
            said.append(
                f"{len(early):,} of {len(runs):,} runs of {agent} stopped asking after {used} of "
                f"{early[0].spec['labels']:,} labels, at their bound on rounds: the policy has collapsed, and proposed "
                "two identical responses, which is no question. Their last values are kept up to the last label."
            )
    return said + gamed(section) + _chat_judges(section)


def _chat_judges(section: Section) -> list[str]:
    """How often a chat model that was asked in both orders contradicted itself, and how often it gave no verdict."""
    said, runs_of = [], dict[str, list[Run]]()
    for run in section.runs:
        oracle = str(run.spec.get("env_kwargs", {}).get("oracle", ""))
        if oracle.removeprefix("ray:").startswith(("judge:http://", "judge:https://")) and run.rows:
            runs_of.setdefault(oracle, []).append(run)
    for oracle, runs in runs_of.items():
        asked = sum(run.rows[-1]["labels"] for run in runs)
        if not asked:
            continue
        flipped, tied, invalid = (
            sum(run.rows[-1].get(name, 0.0) for run in runs) / asked
            for name in ("flipped_answers", "tied_answers", "invalid_answers")
        )
        ties = (
            f"{flipped:.1%} of its verdicts turned round with the order and count as ties, "
            f"{tied - flipped:.1%} said tie"
        )
        if not all("flipped_answers" in run.rows[-1] for run in runs):  # written before they were told apart
            ties = f"{tied:.1%} of its verdicts were ties or turned round with the order, which counts as a tie"
        said.append(
            f"{oracle} was asked about {asked:,.0f} duels in both orders: {ties}; {invalid:.1%} could not be read or "
            "had no reply and count as nothing."
        )
    return said


def multiplier_curves(
    section: Section, base: str, thresholds: Sequence[float], metric: str = WIN_RATE
) -> dict[str, list[Multiplier]]:
    """For each other agent: how many times more labels the base needs to reach each threshold."""
    base_curves = section.curves(base, metric)
    found: dict[str, list[Multiplier]] = {}
    for agent in section.agents:
        curves = section.curves(agent, metric)
        if base_curves is not None and curves is not None and agent != base:
            rng = Streams(0).generator(f"multiplier/{agent}/{metric}")
            found[agent] = multipliers(base_curves, curves, thresholds, rng)
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verb(names: list[str], verb: str) -> str:
    return f"{verb}s" if len(names) == 1 else verb
