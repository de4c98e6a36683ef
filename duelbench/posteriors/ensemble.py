"""The epistemic reward model of SEA: an ensemble of small networks pulled towards their own random initial weights.

Member k scores a (prompt, response) feature vector with an MLP d → h → h → 1. On n pairs the loss is

    L = mean_{k, i} −log σ(r_k(y⁺_i) − r_k(y⁻_i)) + λ · (128 / N) · mean_{k, p} (φ_{k,p} − φ⁰_{k,p})²

with N the labels seen so far (arXiv 2411.01493 eq. 8, with the squared penalty of the authors' code). Members differ
only by their random initial weights: there is no bootstrap and no prior network.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from duelbench.learning.optimizer_state import load_moments, moments
from duelbench.posteriors.pairs import PairBuffer, accuracy
from duelbench.ranges import Checked, Count, Natural, NonNegative, Positive
from duelbench.types import Metrics


@dataclass(frozen=True)
class EnsembleConfig(Checked):
    """Hyper-parameters of the ensemble; the defaults are the paper's (appendix D) or the authors' code's.

    Attributes:
        members: K.
        hidden: width h of both hidden layers.
        learning_rate: of Adam.
        weight_decay: L2 penalty inside Adam.
        anchor: λ, the pull towards each member's initial weights.
        anchor_decay: True scales the pull by 128 / N, so that it fades as labels come in; False keeps it constant.
        steps: gradient steps a round.
        minibatch: pairs a step, drawn without replacement from the buffer.
        min_pairs: no learning before the buffer holds this many (oat waits for a full minibatch).
        buffer: most pairs kept; the oldest are dropped.
        init_scale: standard deviation of initial weights is init_scale / √fan_in.
    """

    members: Count = 20
    hidden: Count = 128
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 5e-5
    anchor: NonNegative = 0.5
    anchor_decay: bool = True
    steps: Natural = 5
    minibatch: Count = 128
    min_pairs: Count = 32
    buffer: Count = 50_000
    init_scale: NonNegative = 0.5


class EnsemblePosterior:
    """K reward networks evaluated and trained as one batch of matrix products.

    Features are standardised by the mean and spread of the first batch that is scored.

    Args:
        dim: d.
        rng: draws the initial weights and the minibatches.
        config: hyper-parameters.

    Attributes:
        pairs: what it learns from.
    """

    Config: ClassVar[type[EnsembleConfig]] = EnsembleConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: EnsembleConfig | None = None) -> None:
        self.config = config = config or EnsembleConfig()
        self._rng = rng
        self._initial = initial_weights(dim, self._networks(), config, rng)
        self._weights = [tensor.clone().requires_grad_() for tensor in self._initial]
        self._optimizer = torch.optim.Adam(
            self._weights, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.pairs = PairBuffer(dim, config.buffer)

    def _networks(self) -> int:
        """How many networks there are."""
        return self.config.members

    def rewards(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """R: features (..., d) -> the K members' rewards (K, ...)."""
        flat = features.reshape(-1, features.shape[-1])
        self.pairs.fit_scale(flat)
        with torch.no_grad():
            scores = self._forward(torch.from_numpy(self.pairs.standardise(flat)))  # (K, n)
        return scores.numpy().reshape(-1, *features.shape[:-1])

    def update(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> Metrics:
        """Add n pairs of features (n, d) to the buffer and take ``steps`` gradient steps.

        Args:
            chosen: features of preferred responses.
            rejected: features of dispreferred ones.
            labels: N, all labels seen so far.
        """
        self.pairs.add(chosen, rejected)
        # before they are learned from; no pairs must not set the standardisation
        metrics = accuracy(self.rewards(chosen), self.rewards(rejected)) if len(chosen) else {}
        return metrics | self.learn(labels)

    def learn(self, labels: int) -> Metrics:
        """Take ``steps`` gradient steps on the pairs in the buffer, once it holds enough of them."""
        metrics: Metrics = {}
        if self.pairs.scaled and len(self.pairs) >= self.config.min_pairs:
            for _ in range(self.config.steps):
                metrics["posterior_loss"] = self._step(labels)
        return metrics

    def _step(self, labels: int) -> float:
        size = min(self.config.minibatch, len(self.pairs))
        index = self._rng.choice(len(self.pairs), size=size, replace=False)
        both = np.concatenate([self.pairs.chosen[index], self.pairs.rejected[index]])
        scores = self._learning(torch.from_numpy(self.pairs.standardise(both)))  # (K, 2n)
        loss = self._loss(scores[:, :size] - scores[:, size:], index)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._pull(labels)
        self._optimizer.step()
        return float(loss.detach())

    def _pull(self, labels: int) -> None:
        """Add the pull's gradient, which is linear in φ − φ⁰: autograd would go through all parameters three times."""
        strength = self.config.anchor * (128.0 / max(labels, 1) if self.config.anchor_decay else 1.0)
        scale = 2.0 * strength / sum(weight.numel() for weight in self._weights)
        with torch.no_grad():
            for weight, initial in zip(self._weights, self._initial, strict=True):
                assert weight.grad is not None
                weight.grad.add_(weight, alpha=scale).sub_(initial, alpha=scale)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Rewards (K, n) of standardised features (n, d)."""
        return self._forward(x)

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Units of the last hidden layer (K, n, h) of standardised features (n, d)."""
        return hidden(self._weights, x)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (K, n) of standardised features (n, d)."""
        return forward(self._weights, x)

    def _learning(self, x: torch.Tensor) -> torch.Tensor:
        """The same of n preferred and then n dispreferred responses (2n, d), while learning."""
        return self._forward(x)

    def _loss(self, gap: torch.Tensor, index: NDArray[np.int64]) -> torch.Tensor:
        """Loss of the reward differences (K, n) of the pairs with these places in the buffer (n,)."""
        return -F.logsigmoid(gap).mean()

    def state_dict(self) -> dict[str, Any]:
        """Weights, their initial values, optimizer, buffer, standardisation and random state."""
        return {
            "weights": {str(i): w.detach() for i, w in enumerate(self._weights)},
            "initial": {str(i): w for i, w in enumerate(self._initial)},
            "optimizer": moments(self._optimizer),
            "rng": self._rng.bit_generator.state,
        } | self.pairs.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        with torch.no_grad():
            for i, (weight, initial) in enumerate(zip(self._weights, self._initial, strict=True)):
                weight.copy_(state["weights"][str(i)])
                initial.copy_(state["initial"][str(i)])
        load_moments(self._optimizer, state["optimizer"])
        self.pairs.load_state_dict(state)
        self._rng.bit_generator.state = state["rng"]


def initial_weights(dim: int, networks: int, config: EnsembleConfig, rng: np.random.Generator) -> list[torch.Tensor]:
    """Initial weights and biases, layer by layer, each leading with the networks."""
    tensors: list[torch.Tensor] = []
    for fan_in, fan_out in pairwise([dim, config.hidden, config.hidden, 1]):
        weight = rng.standard_normal((networks, fan_in, fan_out)) * (config.init_scale / np.sqrt(fan_in))
        tensors += [torch.tensor(weight, dtype=torch.float32), torch.zeros(networks, 1, fan_out)]
    return tensors


def forward(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Scores (networks, n) of inputs (n, d), the same for all networks, or (networks, n, d)."""
    return torch.baddbmm(weights[5], hidden(weights, x), weights[4]).squeeze(-1)


def hidden(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Units of the last hidden layer, (networks, n, h)."""
    w1, b1, w2, b2 = weights[:4]
    h = torch.relu(torch.matmul(x, w1) + b1)  # (networks, n, h)
    return torch.relu(torch.baddbmm(b2, h, w2))
