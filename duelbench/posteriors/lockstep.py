"""Ensembles of reward networks of many learners that never meet, trained as one batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from duelbench.posteriors.ensemble import EnsembleConfig, forward, initial_weights

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam


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
        self._start = torch.cat([w.flatten(1) for w in self._initial], 1)  # (S E, parameters of a network)
        self._flat, self._slopes = self._start.clone(), torch.zeros_like(self._start)
        self._weights, self._gradients = (self._layers(flat) for flat in (self._flat, self._slopes))
        self._mean, self._square = torch.zeros_like(self._start), torch.zeros_like(self._start)  # of Adam
        shape = (4, rows * config.members, 2 * config.minibatch, config.hidden)
        self._units, self._room = torch.empty(shape), torch.empty_like(self._start)
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
        with torch.no_grad():
            self._differentiate(x, size)
            self._steps += learning
            self._adam(learning)

    def _layers(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Views of weights and biases, layer by layer, into all parameters of each network (S E, parameters)."""
        sizes = [w[0].numel() for w in self._initial]
        return [part.view(w.shape) for part, w in zip(flat.split(sizes, 1), self._initial, strict=True)]

    def _differentiate(self, x: torch.Tensor, size: int) -> None:
        """Gradient of −Σ log σ(r⁺ − r⁻) / (n E), inputs (S E, 2n, d) with the n preferred first; rows do not mix.

        Written out, as a tape of so small products takes as long as they do.
        """
        w1, b1, w2, b2, w3, _ = self._weights
        g1, c1, g2, c2, g3, c3 = self._gradients
        first, second, back, product = self._units  # (S E, 2n, h) each: room that is used again in every step
        last = w3.transpose(1, 2)  # (S E, 1, h): sums of products are faster than matrices of one column
        torch.baddbmm(b1, x, w1, out=first).relu_()
        torch.baddbmm(b2, first, w2, out=second).relu_()
        scores = torch.mul(second, last, out=product).sum(-1, keepdim=True)  # (S E, 2n, 1), less b3, which cancels
        slope = torch.sigmoid(scores[:, size:] - scores[:, :size]).div_(size * self.config.members)
        slope = torch.cat([-slope, slope], 1)
        g3.copy_(torch.mul(second, slope, out=product).sum(1)[..., None])
        c3.copy_(slope.sum(1, keepdim=True))
        torch.mul(slope, last, out=back)
        _switched_off(back, second)
        g2.copy_(torch.bmm(first.transpose(1, 2), back))
        c2.copy_(back.sum(1, keepdim=True))
        torch.bmm(back, w2.transpose(1, 2), out=product)
        _switched_off(product, first)
        g1.copy_(torch.bmm(x.transpose(1, 2), product))
        c1.copy_(product.sum(1, keepdim=True))

    def _adam(self, learning: NDArray[np.bool_]) -> None:
        """One step of Adam in the rows that learn, each with its own number of steps and its own pull."""
        c = self.config
        n_parameters = c.members * self._start.shape[1]
        decay = 128.0 / np.maximum(self.labels, 1) if c.anchor_decay else np.ones(self.rows)
        pull = 2.0 * c.anchor / n_parameters * decay
        steps = np.maximum(self._steps, 1)
        size = learning * c.learning_rate / (1.0 - _BETA1**steps)
        rowwise = (pull, learning * (1.0 - _BETA1), learning * (1.0 - _BETA2), size, 1.0 - _BETA2**steps)
        pulls, fresh1, fresh2, sizes, corrections = (
            torch.tensor(values.repeat(c.members)[:, None], dtype=torch.float32) for values in rowwise
        )
        slopes, room = self._slopes, self._room
        slopes.addcmul_(pulls, torch.sub(self._flat, self._start, out=room)).add_(self._flat, alpha=c.weight_decay)
        self._mean.addcmul_(fresh1, torch.sub(slopes, self._mean, out=room))
        self._square.addcmul_(fresh2, slopes.mul_(slopes).sub_(self._square))
        torch.div(self._square, corrections, out=room).sqrt_().add_(_EPSILON)
        self._flat.addcdiv_(torch.mul(self._mean, sizes, out=slopes), room, value=-1.0)

    def _standardise(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self._centre is not None and self._scale is not None
        return (features - self._centre) / self._scale


def _switched_off(gradient: torch.Tensor, units: torch.Tensor) -> None:
    """Set a gradient to 0, in place, where a unit is off."""
    torch.ops.aten.threshold_backward.grad_input(gradient, units, 0, grad_input=gradient)
