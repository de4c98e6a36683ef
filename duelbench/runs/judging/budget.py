"""How many questions a run may put to its oracle, for duels and for judging, and how many that will be at most."""

from __future__ import annotations

from dataclasses import dataclass

from duelbench.records.spec import Judging
from duelbench.runs.judging.schedule import evaluation_points

QUESTIONS_PER_LABEL = 3
"""An oracle that costs something is asked so many questions per label in all, unless more are asked for."""


@dataclass(frozen=True)
class Size:
    """How much is judged.

    Attributes:
        points: labels at which the deployed response is judged.
        prompts: held-out prompts that are judged.
        repeats: responses to each.
        references: stored responses that each is compared with.
        exact: whether the regret of duels is worked out, for which every stored response is scored.
    """

    points: list[int]
    prompts: int
    repeats: int
    references: int
    exact: bool

    def questions(self, utilities: bool) -> int:
        """Questions at most over the run: texts where the oracle has utilities, else comparisons."""
        responses = len(self.points) * self.prompts * self.repeats
        return responses + self.prompts * self.references if utilities else responses * self.references


def questions_per_duel(utilities: bool) -> int:
    """One, or one for each of the two texts where the oracle has utilities."""
    return 2 if utilities else 1


def allowance(labels: int, utilities: bool) -> int:
    """Questions for judging that go with a number of labels, where nothing else is asked for."""
    return labels * (QUESTIONS_PER_LABEL - questions_per_duel(utilities))


def size_of(
    judging: Judging, labels: int, *, duel_prompts: int, heldout: int, stored: int, free: bool, utilities: bool
) -> Size:
    """How much is judged: what was asked for, and all there is, or all that the allowance pays for, where nothing was.

    Args:
        judging: what was asked for.
        labels: the run's budget.
        duel_prompts: number of prompts for duels.
        heldout: number of held-out prompts.
        stored: number of reference responses to each prompt.
        free: whether asking costs nothing.
        utilities: whether the oracle has utilities.
    """
    points = evaluation_points(labels, judging.every, early=False)
    if free:
        prompts = heldout if judging.prompts is None else min(judging.prompts, heldout)
        references = stored if judging.references is None else min(judging.references, stored)
        return Size(points, prompts, judging.repeats, references, exact=True)
    left = allowance(labels, utilities)
    everything = duel_prompts * stored
    exact = utilities and everything <= left // 2
    left -= everything if exact else 0
    references = min(1 if judging.references is None else judging.references, stored)
    if judging.prompts is not None:
        return Size(points, min(judging.prompts, heldout), judging.repeats, references, exact)
    for some in (points, [0, labels], [labels]):  # few labels pay for few evaluations
        if prompts := min(heldout, left // Size(some, 1, 1, references, exact).questions(utilities)):
            break
    whole = Size(some, heldout, judging.repeats, references, exact)
    return whole if whole.questions(utilities) <= left else Size(some, max(1, prompts), 1, references, exact)
