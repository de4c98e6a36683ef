"""What a run shows of its answers: held-out prompts, answered before the first label and after the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.envs.duel.problem import Problem
from duelbench.runs.policy_game.tally import Tally
from duelbench.types import Responses


def shown_answers(
    problem: Problem, shown: NDArray[np.int64], at: Tally, deployed: Responses, worth: Sequence[float]
) -> list[dict[str, Any]]:
    """One for each prompt: ``prompt``, ``before``, ``after``, and what is known besides.

    That is ``utility_before`` and ``utility_after``, and ``before_unfinished`` or ``after_unfinished`` where an answer
    was cut off at the length limit.

    Args:
        problem: whose prompts they are.
        shown: the prompts.
        at: where the answers before the first label are.
        deployed: the answers after the last, of these prompts first.
        worth: their utilities; empty where these are not known.
    """
    after = problem.texts(shown, deployed.actions[: len(shown)])
    told = zip(problem.prompt_texts(shown), at.before, after, strict=True)
    samples: list[dict[str, Any]] = [{"prompt": prompt, "before": old, "after": new} for prompt, old, new in told]
    for name, cut in (("before", at.before_unfinished), ("after", deployed.unfinished.tolist())):
        for sample, unfinished in zip(samples, cut, strict=False):
            sample |= {f"{name}_unfinished": True} if unfinished else {}
    for name, utilities in (("before", at.before_utility), ("after", worth)):
        for sample, utility in zip(samples, utilities, strict=False):
            sample |= {f"utility_{name}": utility} if np.isfinite(utility) else {}
    return samples
