"""A KL budget: deploying an arm costs its divergence from a reference policy, as in the alignment of language models.

An arm's value is u + β log π_ref: playing it always has KL divergence −log π_ref from the reference. The oracle
prefers by the utilities u alone, so what wins duels need not be worth deploying.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray
from scipy.special import log_softmax

from duelbench.duels.guides import UNIFORM_PAIRS, Guide
from duelbench.envs.arms.family import Family, Instance
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.problem import Array, Ids, Truth

_FARTHEST_LOGIT = 4.0  # a bounded observation space needs bounded log-probabilities


class ReferredFamily(Family):
    """A family with utilities whose instances get a reference policy: softmax of N(0, 1) logits over the arms.

    Args:
        family: where the arms come from.
    """

    def __init__(self, family: Family) -> None:
        self.family, self.arms, self.dim, self.name = family, family.arms, family.dim, family.name

    def draw(self, rng: np.random.Generator) -> Instance:
        """The family's instance first, so that it is the same with a reference and without."""
        drawn = self.family.draw(rng)
        logits = np.clip(rng.standard_normal(self.arms), -_FARTHEST_LOGIT, _FARTHEST_LOGIT)
        return dataclasses.replace(drawn, reference_log_probs=log_softmax(logits))

    @property
    def lowest(self) -> float:
        """No log-probability is lower."""
        return float(-2.0 * _FARTHEST_LOGIT - np.log(self.arms))


class BudgetedArms(FixedArms):
    """Fixed arms whose regret is that of u + β log π_ref. Observations show ``reference_log_probs``.

    Args:
        family: where instances come from; they must have utilities.
        position_bias: see ``ArmProblem``.
        bound: largest absolute feature.
        kl_weight: β.
    """

    def __init__(self, family: Family, position_bias: float, bound: float, kl_weight: float) -> None:
        if not kl_weight > 0:
            raise ValueError(f"kl_weight must be positive, or 0 for no reference policy, got {kl_weight}")
        referred = ReferredFamily(family)
        super().__init__(referred, position_bias, bound)
        self.kl_weight = kl_weight
        self.comparator += f", {kl_weight:g} × KL from a reference policy paid"
        shown = {"reference_log_probs": Box(referred.lowest, 0.0, (self.arms,), np.float32)}
        assert isinstance(self.observation_space, Dict)
        self.observation_space = Dict(self.observation_space.spaces | shown)

    def make_room(self, rows: int) -> None:
        """Room for B instances and their references."""
        super().make_room(rows)
        self._log_probs = np.zeros((rows, self.arms), np.float32)

    def begin(self, row: int, rng: np.random.Generator, instance: int | None) -> None:
        """Draw the row's instance; what its arms lose is measured in value and in nothing else."""
        super().begin(row, rng, instance)
        drawn = self.instances[row]
        assert drawn is not None and drawn.utilities is not None and drawn.reference_log_probs is not None
        values = drawn.utilities + self.kl_weight * drawn.reference_log_probs
        self._losses = {"average": self._losses["average"]}
        self._losses["average"][row] = values.max() - values
        self._log_probs[row] = drawn.reference_log_probs

    def observe(self, ids: Ids) -> dict[str, Any]:
        """What fixed arms show, and the reference policy."""
        return super().observe(ids) | {"reference_log_probs": self._log_probs[ids]}

    def regrets(self, ids: Ids, firsts: Ids, seconds: Ids) -> dict[str, Array]:
        """Average, weak and strong regret, in value."""
        found = super().regrets(ids, firsts, seconds)
        del found["probability"]  # of being preferred to the best arm, which says nothing about value
        return found

    def truth(self, ids: Ids, responses: NDArray[Any]) -> Truth | None:
        """None: one utility cannot be both what wins duels and what a response is worth."""
        return None

    def guides(self, row: int) -> list[Guide]:
        """Uniform pairs."""
        uniform = float(self._losses["average"][row].mean())
        return [Guide("cumulative_average_regret", UNIFORM_PAIRS, "linear", uniform, "what random pairs lose")]
