"""LOLA: a language model's predicted click rates as pseudo-counts of a bandit (Ye et al. 2025, arXiv 2406.02611).

Headline k was shown n_k times and clicked c_k times; μ̃_k is its predicted click rate, worth n_aux impressions.

* ``lola_ucb``, LLM-2UCBs: argmax_k of the smaller of two bounds, one from clicks alone and one with the prediction,
  min{c_k/n_k + a √(ln t/n_k), (c_k + n_aux μ̃_k)/(n_k + n_aux) + a √(ln t/(n_k + n_aux))}.
* ``lola_ts``: argmax_k of a sample from Beta(α₀ + n_aux μ̃_k + c_k, β₀ + n_aux (1 − μ̃_k) + n_k − c_k).
* ``lola_bai``: the largest rate (c_k + n_aux μ̃_k)/(n_k + n_aux) against the largest bound of the others.

**As duels.** Both sides of a duel choose by the rule on their own, so ``lola_ucb`` mostly shows one headline to two
readers, and ``lola_ts`` draws a sample for each side. t is the number of impressions so far, two per duel. A won duel
is a click of the winner; a lost or tied one counts as no click. A rate is thus estimated as p_i (1 − p_j), which falls
short by a share p_j, 1.4 % on average. Only on HeadlineDuel-v0 is a win a click: its duels tie unless one headline
alone was clicked. The agents ask for the predictions that it alone shows.

**Source.** Bounds, Beta prior and the defaults a = 0.08, n_aux = 1000, (α₀, β₀) = (1.38, 96.11) are those of a third
party's replication code; the paper's text was not read. That a variant for best-arm identification exists is known, its
rule is not: the one here is LUCB (Kalyanakrishnan et al. 2012) with the bound above. What is deployed has the largest
bound (``lola_ucb``), posterior mean (``lola_ts``) or rate (``lola_bai``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, argmax
from duelbench.ranges import Checked, NonNegative, Positive
from duelbench.types import Observation


@dataclass(frozen=True)
class LolaUCBConfig(Checked):
    """Hyper-parameters.

    Attributes:
        n_aux: impressions that a prediction is worth; 0 leaves it aside, which makes the agent plain UCB.
        a: width of the bounds.
    """

    n_aux: NonNegative = 1000.0
    a: NonNegative = 0.08


@dataclass(frozen=True)
class LolaTSConfig(Checked):
    """Hyper-parameters.

    Attributes:
        n_aux: impressions that a prediction is worth; 0 leaves it aside, which makes the agent plain Thompson sampling.
        alpha: α₀, prior clicks.
        beta: β₀, prior impressions without a click.
    """

    n_aux: NonNegative = 1000.0
    alpha: Positive = 1.38
    beta: Positive = 96.11


class Lola(ArmAgent):
    """Counts clicks, real and predicted. Subclasses choose the duels.

    Attributes:
        clicks: c, (S, K).
        shown: n, impressions, (S, K).
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.clicks, self.shown = np.zeros((2, setup.rows, setup.arms))

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count one impression of each side, and the winner's click."""
        known = ~np.isnan(feedback)
        for arms, won in ((firsts, feedback == 1.0), (seconds, feedback == 0.0)):
            self.shown[self.every_row, arms] += known
            self.clicks[self.every_row, arms] += won

    def predicted(self, observation: Observation) -> Floats:
        """μ̃, (S, K).

        Raises:
            ValueError: the environment predicts nothing.
        """
        if "predicted_rates" not in observation:
            raise ValueError(
                f"{type(self).__name__} begins with predicted click rates, and this environment shows none: take "
                "HeadlineDuel-v0"
            )
        return np.asarray(observation["predicted_rates"], np.float64)

    def rates(self, observation: Observation) -> Floats:
        """Click rates with n_aux predicted impressions; 0 where there is nothing to go by, (S, K)."""
        n_aux = self.config.n_aux
        return _per(self.clicks + n_aux * self.predicted(observation), self.shown + n_aux, 0.0)


class LolaUCB(Lola):
    """Both sides show the headline with the largest of the smaller bounds."""

    Config = LolaUCBConfig

    def propose(self, observation: Observation) -> Duels:
        """The same index for both sides; they part only where it ties."""
        bounds = self.bounds(observation)
        return argmax(bounds, self.rng), argmax(bounds, self.rng)

    def scores(self, observation: Observation) -> Floats:
        """The bounds: what it would deploy is what it shows."""
        return self.bounds(observation)

    def bounds(self, observation: Observation) -> Floats:
        """The smaller of the two bounds; infinite while nothing is known, (S, K)."""
        n_aux, log_t = self.config.n_aux, np.log(np.maximum(self.shown.sum(-1, keepdims=True), 1.0))
        aided = self.clicks + n_aux * self.predicted(observation)
        return np.minimum(self._bound(self.clicks, self.shown, log_t), self._bound(aided, self.shown + n_aux, log_t))

    def _bound(self, clicks: Floats, shown: Floats, log_t: Floats) -> Floats:
        return _per(clicks, shown, np.inf) + self.config.a * np.sqrt(_per(log_t, shown, 0.0))


class LolaBAI(LolaUCB):
    """The headline that seems best against the one that might be better."""

    def propose(self, observation: Observation) -> Duels:
        """The leader, and the others' largest bound."""
        leader = argmax(self.rates(observation), self.rng)
        bounds = self.bounds(observation)
        bounds[self.every_row, leader] = -np.inf
        return leader, argmax(bounds, self.rng)

    def scores(self, observation: Observation) -> Floats:
        """Click rates with the prediction."""
        return self.rates(observation)


class LolaTS(Lola):
    """Each side shows the best headline of a sample of its own."""

    Config = LolaTSConfig

    def propose(self, observation: Observation) -> Duels:
        """Two samples, two arms."""
        won, lost = self.posterior(observation)
        firsts, seconds = self.rng.beta(won, lost, size=(2, *won.shape)).argmax(-1)
        return firsts, seconds

    def posterior(self, observation: Observation) -> tuple[Floats, Floats]:
        """Both parameters of the Beta posteriors, (S, K) each."""
        config, predicted = self.config, self.predicted(observation)
        won = config.alpha + config.n_aux * predicted + self.clicks
        return won, config.beta + config.n_aux * (1.0 - predicted) + self.shown - self.clicks

    def scores(self, observation: Observation) -> Floats:
        """Posterior means."""
        won, lost = self.posterior(observation)
        return won / (won + lost)


def _per(values: Floats, counts: Floats, unseen: float) -> Floats:
    """Values / counts, with ``unseen`` where the count is 0."""
    return np.divide(values, counts, out=np.full(counts.shape, unseen), where=counts > 0)
