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


class LockstepEnsembles:
    """The ensembles of S learners that never meet, evaluated and trained as one batch of S · E networks.

    Every row learns as an ``EnsemblePosterior`` of its own does, but draws its minibatches with replacement. A row that
    has nothing to learn from stays as it is, to the last bit.

    Args:
        rows: S.
        dim: d.
        rng: draws the initial weights and the minibatches.
        config: hyper-parameters of each row's ensemble; E is its ``members``.
    """

    def __init__(self, rows: int, dim: int, rng: np.random.Generator, config: EnsembleConfig) -> None:
        self.config, self.rows = config, rows
        self._rng = rng
        self._initial = initial_weights(dim, rows * config.members, config, rng)
        self._weights = [tensor.clone().requires_grad_() for tensor in self._initial]
        self._moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in self._initial]
        self._steps = np.zeros(rows, np.int64)  # of Adam
        self._centre: NDArray[np.float32] | None = None
        self._scale: NDArray[np.float32] | None = None
        self.labels = np.zeros(rows, np.int64)
        self._pairs = np.zeros((rows, 2, 16, dim), np.float32)  # chosen, rejected; grows up to the buffer, then a ring

    def rewards(self, features: NDArray[np.float32], members: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Features (S, n, d) -> rewards by all members (S, E, n), or by those named (S, C) in each row (S, C, n)."""
        if self._centre is None:
            self._centre = features.mean(1, keepdims=True)
            self._scale = features.std(1, keepdims=True) + np.float32(1e-6)
        weights: list[torch.Tensor] = list(self._weights)
        if members is not None:
            first = np.arange(self.rows)[:, None] * self.config.members
            index = torch.from_numpy((first + members).reshape(-1))
            weights = [weight[index] for weight in weights]
        with torch.no_grad():
            x = torch.from_numpy(self._standardise(features))
            scores = forward(weights, x.repeat_interleave(len(weights[0]) // self.rows, 0))
        return scores.numpy().reshape(self.rows, -1, features.shape[1])

    def add(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Remember one pair of features, (n, d) and (n, d), in each of n rows."""
        places = self.labels[rows] % self.config.buffer
        while places.max(initial=0) >= self._pairs.shape[2]:
            self._pairs = np.concatenate([self._pairs, np.zeros_like(self._pairs)], axis=2)
        self._pairs[rows, 0, places], self._pairs[rows, 1, places] = chosen, rejected
        self.labels[rows] += 1

    def learn(self, rows: NDArray[np.bool_]) -> None:
        """Take ``steps`` gradient steps in these rows (S,), as far as they hold ``min_pairs``."""
        learning = rows & (self.labels >= max(1, self.config.min_pairs))
        if self._centre is not None and learning.any():
            for _ in range(self.config.steps):
                self._step(learning)

    def _step(self, learning: NDArray[np.bool_]) -> None:
        size, c = self.config.minibatch, self.config
        held = np.minimum(self.labels, c.buffer)[:, None]
        places = (self._rng.random((self.rows, size)) * held).astype(np.int64)
        pairs = self._pairs[np.arange(self.rows)[:, None], :, places]  # (S, size, 2, d)
        both = pairs.swapaxes(1, 2).reshape(self.rows, 2 * size, -1)
        x = torch.from_numpy(self._standardise(both)).repeat_interleave(c.members, 0)
        scores = forward(self._weights, x)  # (S E, 2 size)
        loss = -F.logsigmoid(scores[:, :size] - scores[:, size:]).sum() / (size * c.members)  # rows do not mix
        gradients = torch.autograd.grad(loss, self._weights)
        self._steps += learning
        self._adam(gradients, learning)

    def _adam(self, gradients: tuple[torch.Tensor, ...], learning: NDArray[np.bool_]) -> None:
        """One step of Adam in the rows that learn, each with its own number of steps and its own pull."""
        c = self.config
        n_parameters = sum(weight[: c.members].numel() for weight in self._weights)
        decay = 128.0 / np.maximum(self.labels, 1) if c.anchor_decay else np.ones(self.rows)
        pull = 2.0 * c.anchor / n_parameters * decay
        steps = np.maximum(self._steps, 1)
        size = learning * c.learning_rate / (1.0 - _BETA1**steps)
        rowwise = (pull, learning * (1.0 - _BETA1), learning * (1.0 - _BETA2), size, 1.0 - _BETA2**steps)
        pulls, fresh1, fresh2, sizes, corrections = (
            torch.tensor(values.repeat(c.members)[:, None, None], dtype=torch.float32) for values in rowwise
        )
        with torch.no_grad():
            parts = zip(self._weights, self._initial, gradients, self._moments, strict=True)
            for weight, initial, gradient, (mean, square) in parts:
                gradient = gradient + pulls * (weight - initial) + c.weight_decay * weight
                mean += fresh1 * (gradient - mean)
                square += fresh2 * (gradient * gradient - square)
                weight -= sizes * mean / ((square / corrections).sqrt() + _EPSILON)

    def _standardise(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self._centre is not None and self._scale is not None
        return (features - self._centre) / self._scale


_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam


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
