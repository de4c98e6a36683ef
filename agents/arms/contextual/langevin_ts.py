"""Langevin TS and FGTS.CDB: draws from the posterior of θ by Langevin dynamics (Li, Zhao & Gu 2024, ICML).

FGTS.CDB has one chain for each arm. It draws θ¹ and θ² from, for j = 1, 2,

    exp(−Σ_s [η log(1 + exp(−y_s z_s·θ)) − μ (max_a x_{s,a}·θ − x_{s,a(3−j)}·θ)]) N(θ; 0, I / λ)

with z_s the difference of duel s, y_s = ±1 its answer and a(3−j) the arm that the *other* chain chose in it, and plays
argmax_a x_a·θ¹ against argmax_a x_a·θ². The feel-good term, of weight μ, favours θ that promise much. Langevin TS is
the same without it, μ = 0.

A chain makes ``steps`` steps per round from where it stood, preconditioned by P = H⁻¹, the Laplace covariance:

    θ ← θ − ε P ∇U(θ) + √(2ε − ε²) P^½ ξ

The noise is √(2ε) to first order; −ε² makes a step exact where the posterior is Gaussian. Cost does not grow with t.
Where arms keep their features, ∇U is exact: sums over pairs for the likelihood, t x_max − Σ_s x_{a(3−j)} for the rest.
Where they are fresh, the gradient is stochastic: a minibatch of all duels, with θ̂ as a control variate, for the
likelihood, and a minibatch of a uniform sample of the contexts, drawn once per round, for Σ_s x_max (Σ_s x_{a(3−j)} is
exact again).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids
from duelbench.agents.arms.contextual.base import UtilityAgent, UtilityConfig
from duelbench.ranges import Count, NonNegative, Positive
from duelbench.types import Observation


@dataclass(frozen=True)
class LangevinTSConfig(UtilityConfig):
    """Hyper-parameters of Langevin TS.

    Attributes:
        eta: η, weight of the likelihood.
        steps: Langevin steps per round.
        step_size: ε, in (0, 1]; a chain forgets a share 1 − (1 − ε)^steps of where it stood.
        minibatch: duels of a stochastic gradient; only where arms are fresh.
    """

    eta: Positive = 1.0
    steps: Count = 10
    step_size: Annotated[float, Interval(gt=0, le=1)] = 0.2
    minibatch: Count = 64


class LangevinTS(UtilityAgent):
    """Double Thompson sampling without an approximation of the posterior's shape.

    Attributes:
        chains: θ¹ and θ², (S, 2, d); they begin as draws from the prior.
    """

    Config = LangevinTSConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.chains = self.rng.standard_normal((setup.rows, 2, setup.dim)) / np.sqrt(self.config.ridge)

    def propose(self, observation: Observation) -> Duels:
        """The best arm of each chain, after its steps."""
        features = self.features(observation)
        self._walk()
        best = np.matmul(self.chains, features.transpose(0, 2, 1)).argmax(-1)
        return best[:, 0], best[:, 1]

    def weights(self, z: Floats) -> Floats:
        """η, (S,)."""
        return np.full(len(z), self.config.eta)

    def _walk(self) -> None:
        c, shape = self.config, self.chains.shape
        self.model.fit()
        covariance = self.model.inverse_hessian
        noise = self.rng.standard_normal((c.steps, *shape))
        noise = np.matmul(noise, np.linalg.cholesky(covariance).transpose(0, 2, 1))
        noise *= np.sqrt(2.0 * c.step_size - c.step_size**2)
        for kick in noise:
            drift = np.matmul(self.gradient(), covariance)
            drift *= c.step_size
            self.chains = np.subtract(self.chains, drift, out=drift)
            self.chains += kick

    def gradient(self) -> Floats:
        """∇U at both chains, or an estimate of it, (S, 2, d)."""
        if self.setup.fixed_features:
            return self.model.gradient(self.chains)
        return self.model.gradient(self.chains, self.rng.random((self.setup.rows, self.config.minibatch)))


@dataclass(frozen=True)
class FGTSCDBConfig(LangevinTSConfig):
    """Hyper-parameters of FGTS.CDB.

    Attributes:
        mu: μ, weight of the feel-good term. Regret is sensitive to it: 0.1 is already far too much on small problems.
        contexts: past contexts that are kept for its stochastic gradient; only where arms are fresh.
        context_batch: contexts of these that a round uses.
    """

    mu: NonNegative = 0.005
    contexts: Count = 256
    context_batch: Count = 16


class FGTSCDB(LangevinTS):
    """Feel-good Thompson sampling for contextual dueling bandits.

    Attributes:
        answered: duels with an answer, (S,).
        played: sums of the features of the first and of the second arms of these, (S, 2, d).
    """

    Config = FGTSCDBConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.answered = np.zeros(setup.rows, np.int64)
        self.played = np.zeros((setup.rows, 2, setup.dim))
        kept = 0 if setup.fixed_features else self.config.contexts
        self._kept = np.zeros((setup.rows, kept, setup.arms, setup.dim), np.float32)

    def propose(self, observation: Observation) -> Duels:
        """The best arm of each chain, after its steps."""
        if self.setup.fixed_features:
            self._contexts = self.features(observation)[:, None]
        else:
            self._draw_contexts()
        return super().propose(observation)

    def _draw_contexts(self) -> None:
        """The minibatch of this round, (S, b, K, d)."""
        c = self.config
        known = np.clip(self.answered, 1, c.contexts)[:, None]
        slots = (self.rng.random((self.setup.rows, c.context_batch)) * known).astype(np.int64)
        self._contexts = self._kept[self.every_row[:, None], slots].astype(np.float64)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Remember the duels and, where arms are fresh, a uniform sample of their contexts."""
        super().update(observation, firsts, seconds, feedback)
        rows = np.flatnonzero(~np.isnan(feedback))
        features = observation["features"]
        self.answered[rows] += 1
        self.played[rows, 0] += features[rows, firsts[rows]]
        self.played[rows, 1] += features[rows, seconds[rows]]
        if not self.setup.fixed_features:  # reservoir sampling: duel t takes a random place of t
            places = (self.rng.random(self.setup.rows)[rows] * self.answered[rows]).astype(np.int64)
            places = np.where(self.answered[rows] <= self.config.contexts, self.answered[rows] - 1, places)
            rows, places = rows[places < self.config.contexts], places[places < self.config.contexts]
            self._kept[rows, places] = features[rows]

    def gradient(self) -> Floats:
        """That of the likelihood and prior, less μ (Σ_s x_{s,max} − Σ_s x_{s,a(3−j)})."""
        missed = self._mean_best()
        missed *= self.answered[:, None, None]
        missed -= self.played[:, ::-1]
        missed *= self.config.mu
        return np.subtract(super().gradient(), missed, out=missed)

    def _mean_best(self) -> Floats:
        """Mean of x_max, the arm that is best for each chain, over the contexts of this round, (S, 2, d)."""
        rows, several, arms, dim = self._contexts.shape
        if several == 1:
            best = np.matmul(self.chains, self._contexts[:, 0].transpose(0, 2, 1)).argmax(-1)
            return self._contexts[:, 0].reshape(-1, dim).take(best + self.row_starts[:, None], 0)
        values = np.matmul(self._contexts.reshape(rows, -1, dim), self.chains.transpose(0, 2, 1))
        best = values.reshape(rows, several, arms, 2).argmax(2)
        return np.take_along_axis(self._contexts, best[..., None], axis=2).mean(1)
