"""Nash-MD: Nash learning from human feedback (Munos et al. 2024, arXiv 2312.00886), the policy-gradient form.

Needs no utility behind the preferences: it seeks the policy that no other beats, the Nash equilibrium of
P(π ≻ π′) − τ KL(π ‖ π_ref) + τ KL(π′ ‖ π_ref), also where preferences run in circles. The current policy duels the
geometric mixture π^(1−β) π_ref^β of itself and the reference (a token-by-token mixture on language models) and climbs
the regularised preference with the answer itself in the place of its probability.

The exact algorithm is mirror descent with step η and share β = ητ. It converges to the equilibrium as η falls; with a
share that stays, as here and in the paper's experiments, the policy settles beside it, where the rival is the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.alignment.base import LearningAgent, Setup, first_column
from duelbench.learning.response_losses import ResponseLoss, nash_md
from duelbench.protocols import MixturePolicy
from duelbench.ranges import Checked, NonNegative, Share
from duelbench.types import Metrics, Observation, Pair, Responses


@dataclass(frozen=True)
class NashMDConfig(Checked):
    """Hyper-parameters of Nash-MD.

    Attributes:
        tau: τ, weight of the KL penalty on the scale of probabilities of preference. The default was chosen on the
            pool, tuning seeds 1000 to 1002.
        share: β, the reference's share of the rival mixture (the paper's best: 0.125); 0 is self-play, 1 plays
            against the reference.
    """

    tau: NonNegative = 0.005
    share: Share = 0.125


class NashMD(LearningAgent):
    """The current policy against its mixture with the reference."""

    Config = NashMDConfig
    policy: MixturePolicy

    def __init__(self, setup: Setup, config: Any = None) -> None:
        """As for every learning agent.

        Raises:
            TypeError: the policy cannot be mixed with its reference.
        """
        super().__init__(setup, config)
        if not isinstance(setup.policy, MixturePolicy):
            raise TypeError(f"Nash-MD needs a policy with sample_mixture; {type(setup.policy).__name__} has none")

    def propose(self, observation: Observation) -> Pair:
        """One sample of the current policy and one of the mixture, in random order."""
        column = first_column(observation)
        current = self.policy.sample(observation, 1, self.rng).pick(column)
        rival = self.policy.sample_mixture(observation, 1, self.rng, self.config.share).pick(column)
        swapped = self.rng.random(len(column)) < 0.5
        first, second = Responses.where(swapped, rival, current), Responses.where(swapped, current, rival)
        return Pair.of(first, second, swapped=swapped)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """One step on the answered duels; a tie counts a half, so that it still pulls towards the reference."""
        answered = ~np.isnan(feedback)
        if not np.isin(feedback, (0.0, 1.0)).any():
            return {}
        duels, swapped = pair.rows(answered), pair.payload["swapped"][answered]
        current = Responses.where(swapped, duels.second, duels.first)
        wins = np.where(swapped, 1.0 - feedback[answered], feedback[answered])
        return self.learner.fit(ResponseLoss(current, partial(nash_md, tau=self.config.tau), wins))
