"""What runs record of themselves: every metric's name, title, direction and place in a report, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """How a recorded metric is called, read and shown.

    Attributes:
        name: its key in the records.
        title: what people call it; also the label of an axis.
        higher_is_better: None where neither direction is.
        chance: the level of a response that is just as good as the reference; None where there is no such level.
        meaning: what is measured, where responses are text.
        meaning_of_arms: the same where arms are duelled.
        unit: what is counted, or what it is a share of; empty for those without a unit.
        group: ``result`` measures how well an agent does, ``count`` what a run spent or passed over, ``diagnostic`` how
            an agent's own learning goes.
    """

    name: str
    title: str
    higher_is_better: bool | None = True
    chance: float | None = None
    meaning: str = ""
    meaning_of_arms: str = ""
    unit: str = ""
    group: Literal["result", "count", "diagnostic"] = "result"

    @property
    def accumulates(self) -> bool:
        """Whether it is a sum over the run so far, so that its last value is what counts."""
        return self.name.startswith("cumulative_") or self.group == "count"


def cumulative_regret(kind: str) -> str:
    """The name of a kind of regret, summed over the run.

    >>> cumulative_regret("weak")
    'cumulative_weak_regret'
    """
    return f"cumulative_{kind}_regret"


_DEPLOYED, _SHOWN = "deployed response on held-out prompts", "responses shown to the oracle"


def _regret(kind: str, title: str, meaning: str = "", meaning_of_arms: str = "") -> Metric:
    return Metric(cumulative_regret(kind), f"cumulative {title} regret", False, None, meaning, meaning_of_arms)


def _count(name: str, title: str, unit: str) -> Metric:
    return Metric(name, title, higher_is_better=None, unit=unit, group="count")


def _of_policy(name: str, title: str, unit: str) -> Metric:
    return Metric(name, title, None, None, _DEPLOYED, unit=unit, group="diagnostic")


_TABLE = (
    Metric("offline_win_rate", "offline win rate", True, 0.5, _DEPLOYED),
    Metric("offline_win_probability", "offline win probability", True, 0.5, _DEPLOYED),
    Metric("second_win_rate", "second judge's win rate", True, 0.5, _DEPLOYED),
    Metric("second_win_probability", "second judge's win probability", True, 0.5, _DEPLOYED),
    Metric("online_win_rate", "online win rate", True, 0.5, _SHOWN),
    Metric("online_win_probability", "online win probability", True, 0.5, _SHOWN),
    _regret("average", "average", "of both responses shown, summed", "of both arms, summed"),
    _regret("weak", "weak", "of the better response shown, summed", "of the better arm, summed"),
    _regret("strong", "strong"),
    _regret("probability", "probability", "on the probability scale, summed"),
    _regret("copeland", "Copeland", "", "Copeland score lost by both arms, summed"),
    _regret("borda", "Borda", "", "Borda score lost by both arms, summed"),
    _regret("von_neumann", "von Neumann", "", "against a von Neumann winner (ties: not the only one), summed"),
    Metric("simple_regret", "simple regret", False, None, _DEPLOYED, "of the arm it would deploy now"),
    Metric("best_arm_rate", "best arm rate", True, None, "", "how often it would deploy the best arm"),
    Metric("offline_utility", "offline utility", True, None, _DEPLOYED),
    Metric("second_utility", "second judge's utility", True, None, _DEPLOYED),
    Metric("parameter_error", "squared parameter error", False, None, "", "|θ̂ − θ|²"),
    Metric("posterior_accuracy", "posterior accuracy", True, group="diagnostic"),
    _of_policy("kl_to_start", "KL divergence from the start", "nats"),
    _of_policy("response_entropy", "entropy of a response", "nats"),
    _of_policy("response_length", "length of a response", "tokens"),
    _count("self_duel_share", "self-duel share", "proposed duels of two identical responses"),
    _count("prompts_seen", "different prompts asked about", "prompts"),
    _count("prompts_passed", "prompts passed", "prompts"),
    _count("oracle_calls_duel", "oracle calls for duels", "questions"),
    _count("oracle_calls_judging", "oracle calls for judging", "questions"),
    _count("invalid_answers", "invalid answers", "answers"),
    _count("tied_answers", "tied answers", "answers"),
    _count("flipped_answers", "answers that turned round with the order", "answers"),
    _count("rounds", "rounds", "rounds"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
"""By name, in the order in which they are shown."""

RESULTS = tuple(metric.name for metric in _TABLE if metric.group == "result")
"""How well an agent does, in the order in which they are shown."""

REGRETS = (cumulative_regret("average"), cumulative_regret("copeland"), "simple_regret")
"""Where arms are played the verdict is on the first of these that was recorded: the second where there is no Condorcet
winner."""

WIN_RATES = ("offline_win_rate", "offline_win_probability")
"""Where responses are judged the verdict is on the first of these that was recorded."""

SECOND_WIN_RATES = ("second_win_rate", "second_win_probability")
"""What a second judge says of the same responses, the first of these that was recorded."""

HEADLINE = (*WIN_RATES, *REGRETS)
"""The verdict is on the first of these that was recorded."""


QUESTIONS = ("self_duel_share", "prompts_seen", "prompts_passed", "oracle_calls_duel", "oracle_calls_judging")
"""What was asked of the oracle, and how often there was nothing to ask."""

LEADERBOARD = (
    "offline_win_rate",
    "offline_win_probability",
    *SECOND_WIN_RATES,
    "online_win_rate",
    *(cumulative_regret(kind) for kind in ("average", "weak", "probability", "copeland", "borda", "von_neumann")),
    "simple_regret",
    "best_arm_rate",
    "parameter_error",
    "offline_utility",
    "second_utility",
)
"""Columns of a leaderboard."""

SHORT_LEADERBOARD = ("offline_win_rate", "second_win_rate", "online_win_rate", *REGRETS, "offline_win_probability")
"""What comes first where there is room for a few columns."""

PICTURED = ("offline_win_rate", "second_win_rate", "online_win_rate", cumulative_regret("average"), "simple_regret")
"""The learning curves of a task with responses to judge."""


def metric(name: str) -> Metric:
    """The metric of a name; one that is not in the table is a diagnostic, whose direction its name may tell.

    >>> metric("offline_win_rate").chance, metric("third_party_regret").higher_is_better
    (0.5, False)
    """
    lower = "regret" in name or "loss" in name
    unknown = Metric(name, name.replace("_", " "), False if lower else None, group="diagnostic")
    return METRICS.get(name, unknown)
