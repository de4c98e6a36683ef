"""Whether an agent learned to please the first judge alone: it rises by the first, and falls by the second."""

from __future__ import annotations

from duelbench.metrics import SECOND_WIN_RATES, WIN_RATES
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.words.wording import signed
from duelbench.results.statistics.estimates import Estimate, Floats, holm, mean_interval, p_value

Gains = tuple[Floats, Floats]


def gamed(section: Section) -> list[str]:
    """A sentence for each agent that gained by the first judge and lost by the second, from its start to its end.

    Both changes must stay separated from 0 when those of all agents are counted (Holm).
    """
    for first, second in zip(WIN_RATES, SECOND_WIN_RATES, strict=True):
        found: dict[str, Gains] = {}
        for agent in section.agents:
            by_first, by_second = _gains(section, agent, first), _gains(section, agent, second)
            if by_first is not None and by_second is not None:
                found[agent] = by_first, by_second
        if found:
            adjusted = holm([p_value(gain) for gains in found.values() for gain in gains]).reshape(-1, 2)
            title = section.metric(first).title
            return [
                f"{agent} gained by the first judge ({title} {_told(mean_interval(gains[0]))}) and lost by the second "
                f"({_told(mean_interval(gains[1]))}): a sign that it games the taste it learns from."
                for (agent, gains), p in zip(found.items(), adjusted, strict=True)
                if gains[0].mean() > 0 > gains[1].mean() and (p < 0.05).all()
            ]
    return []


def _gains(section: Section, agent: str, metric: str) -> Floats | None:
    """How far each seed's curve rose, (S,)."""
    curves = section.curves(agent, metric)
    return None if curves is None else curves.values[:, -1] - curves.values[:, 0]


def _told(e: Estimate) -> str:
    return f"{signed(e.value)} [{signed(e.low)}, {signed(e.high)}]"
