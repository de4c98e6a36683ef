"""GEB: the general exploratory bonus (Li et al. 2025, arXiv 2510.03269), for DPO's reverse KL.

The paper shows that under KL regularisation the bonus of XPO, SELM and VPO does not single out what has been seen
little, and derives bonuses that do: u f'(u) − f(u) with any decreasing function u of π. For the reverse KL and
u = 1 + α − π, the choice of the authors' released script, the loss gains κ · π_θ(y⁻|x) at the rejected responses. The
form was checked against that code, not against the paper's text. Sampling is passive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from duelbench.agents.alignment.base import LearningAgent, two_samples
from duelbench.learning.response_losses import ResponseLoss, geb_bonus
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation, Pair, Responses


@dataclass(frozen=True)
class GEBConfig(Checked):
    """Hyper-parameters of GEB.

    Attributes:
        kappa: weight of the bonus; 0 turns it off. The released script has 1, for texts whose probability is tiny; the
            default was chosen on the pool, tuning seeds 1000 to 1002, where 1 and 0.1 do harm.
    """

    kappa: NonNegative = 0.01


class GEB(LearningAgent):
    """Passive duels with a bonus that shrinks the probability of rejected responses while it is large."""

    Config = GEBConfig

    def propose(self, observation: Observation) -> Pair:
        """Two samples of the current policy."""
        return two_samples(self.policy, observation, self.rng, reference=False)

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss | None:
        """On the rejected responses."""
        if not self.config.kappa:
            return None
        return ResponseLoss(rejected, partial(geb_bonus, coefficient=self.config.kappa))
