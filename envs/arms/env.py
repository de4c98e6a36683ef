"""The coats of the numeric families: what all of their environments take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.envs.arms.problem import ArmProblem
from duelbench.envs.duel.env import DEFAULT_HORIZON, DuelEnv, DuelVectorEnv


class ArmEnv(DuelEnv):
    """One duel between two arms a step.

    Args:
        problem: what is played.
        horizon: label budget.
        feedback: ``bernoulli`` or ``deterministic``.
        flip: probability that a verdict is turned round.
        corrupted: duels at the beginning of an episode in which an adversary names the worse arm.
        delay: mean number of duels an answer waits; it then comes in ``info["answers"]``.
        delay_spread: standard deviation of that number.
        answer_batch: answers come together, with the last of every so many duels; 0 for none. Excludes a delay.
        render_mode: None or ``ansi``.
    """

    def __init__(
        self, problem: ArmProblem, *, horizon: int = DEFAULT_HORIZON, feedback: str = "bernoulli", flip: float = 0.0,
        corrupted: int = 0, delay: float = 0.0, delay_spread: float = 0.0, answer_batch: int = 0,
        render_mode: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            problem, horizon, feedback, flip, "ask", render_mode, corrupted, delay, delay_spread, answer_batch
        )

    def regrets(self, action: Any) -> dict[str, float]:
        """Each kind of regret that a duel has in the present context: for a recorder, not for an honest learner."""
        return {kind: float(values[0]) for kind, values in _regrets(self, self.problem.as_batch(action)).items()}


class ArmVectorEnv(DuelVectorEnv):
    """B duels a step, each row on its own instance. Arguments as for ``ArmEnv``, and ``num_envs`` = B."""

    def __init__(
        self, problem: ArmProblem, num_envs: int = 1, *, horizon: int = DEFAULT_HORIZON, feedback: str = "bernoulli",
        flip: float = 0.0, corrupted: int = 0, delay: float = 0.0, delay_spread: float = 0.0, answer_batch: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            problem, num_envs, horizon, feedback, flip, "ask", corrupted, delay, delay_spread, answer_batch
        )

    def regrets(self, actions: Any) -> dict[str, NDArray[np.float64]]:
        """Each kind of regret that the rows' duels have in their present contexts, (B,)."""
        return _regrets(self, actions)


def _regrets(env: ArmEnv | ArmVectorEnv, actions: Any) -> dict[str, NDArray[np.float64]]:
    problem = env.problem
    assert isinstance(problem, ArmProblem)
    return problem.regrets(env.engine.prompt_ids, *problem.split(actions))
