"""A trainable softmax policy over a finite pool of responses.

π_θ(y | x) ∝ π_ref(y | x) · exp(f_θ(φ(x, y))) with f a small network whose output layer starts at zero, so that
the policy starts as its reference and generalises to new prompts through the features φ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import nn

from duelbench.policies.finite import check_log_probs
from duelbench.ranges import Natural, check_values
from duelbench.types import Detail, Observation, Responses


class PoolPolicy:
    """Softmax over the N responses that an observation of a pool environment offers.

    Args:
        feature_dim: d, of one response.
        rng: draws the initial hidden layer.
        hidden: width of the hidden layer; 0 makes f linear.
    """

    def __init__(self, feature_dim: int, rng: np.random.Generator, hidden: Natural = 64) -> None:
        check_values(PoolPolicy, {"hidden": hidden})
        self.feature_dim = feature_dim
        self.generated_tokens = 0  # a pool generates nothing; kept so that every policy reports its compute
        if hidden:
            first, last = nn.Linear(feature_dim, hidden), nn.Linear(hidden, 1, bias=False)
            weight = rng.standard_normal((hidden, feature_dim)) / np.sqrt(feature_dim)
            with torch.no_grad():
                first.weight.copy_(torch.tensor(weight, dtype=torch.float32))
                first.bias.zero_()
            self._head: nn.Module = nn.Sequential(first, nn.Tanh(), last)
        else:
            last = nn.Linear(feature_dim, 1, bias=False)
            self._head = last
        nn.init.zeros_(last.weight)

    def sample(
        self,
        observation: Observation,
        n: int,
        rng: np.random.Generator,
        *,
        reference: bool = False,
        greedy: bool = False,
        detail: Detail = "all",
    ) -> Responses:
        """n responses a prompt by inverse CDF, with replacement; ``greedy`` takes the most probable one.

        A pool knows everything about its responses, so they carry it whatever ``detail`` asks for.
        """
        log_probs = _reference(observation) if reference else self._current(observation)  # (B, N)
        uniforms = rng.random((len(log_probs), n))
        if greedy:
            return _responses(observation, log_probs, np.repeat(log_probs.argmax(-1)[:, None], n, axis=1))
        return _responses(observation, log_probs, _invert(log_probs, uniforms))

    def referenced(self, responses: Responses) -> Responses:
        """The responses as they are: a pool's always carry the reference's log-probabilities."""
        return responses

    def sample_mixture(self, observation: Observation, n: int, rng: np.random.Generator, share: float) -> Responses:
        """n responses a prompt from the normalised geometric mixture π^(1 − share) π_ref^share, shape (B, n)."""
        mixed = (1.0 - share) * self._current(observation) + share * _reference(observation)
        log_probs = log_softmax(mixed, axis=-1)
        return _responses(observation, log_probs, _invert(log_probs, rng.random((len(log_probs), n))))

    def everything(self, observation: Observation) -> Responses:
        """All N responses of each prompt with the policy's log-probabilities, shape (B, N)."""
        log_probs = self._current(observation)
        return _responses(observation, log_probs, np.tile(np.arange(log_probs.shape[1]), (len(log_probs), 1)))

    def _current(self, observation: Observation) -> NDArray[np.float32]:
        """log π_θ of the N responses, (B, N)."""
        with torch.no_grad():
            everything: NDArray[np.float32] = self._all_log_probs(
                observation["features"], _reference(observation)
            ).numpy()
        check_log_probs(everything)
        return everything

    def log_probs(self, responses: Responses) -> torch.Tensor:
        """log π_θ(y | x) of responses (B,), with gradient."""
        everything = self._all_log_probs(responses.context["features"], responses.context["reference_log_probs"])
        return everything.gather(1, torch.from_numpy(responses.actions.astype(np.int64))[:, None]).squeeze(1)

    def _all_log_probs(self, features: NDArray[np.float32], reference_log_probs: NDArray[np.float32]) -> torch.Tensor:
        logits = self._head(torch.from_numpy(features)).squeeze(-1) + torch.from_numpy(reference_log_probs)
        return torch.log_softmax(logits, dim=-1)  # (B, N)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The head's weights."""
        return self._head.parameters()

    def changed(self) -> None:
        """There are no copies of the head elsewhere."""

    def state_dict(self) -> dict[str, Any]:
        """Copies of the head's weights."""
        return {name: weight.clone() for name, weight in self._head.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the head's weights."""
        self._head.load_state_dict(state)


def _reference(observation: Observation) -> NDArray[np.float32]:
    """log π_ref of the N responses, (B, N); uniform where the observation does not say."""
    if "reference_log_probs" in observation:
        check_log_probs(observation["reference_log_probs"])
        return observation["reference_log_probs"]
    shape = observation["features"].shape[:2]
    return np.full(shape, -np.log(shape[1]), np.float32)


def _invert(log_probs: NDArray[np.float32], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Columns drawn by inverse CDF: (B, N), (B, n) -> (B, n)."""
    cdf = np.exp(log_probs.astype(np.float64)).cumsum(-1)
    columns: NDArray[np.int64] = (uniforms[:, :, None] * cdf[:, None, -1:] >= cdf[:, None, :]).sum(-1)
    return columns


def _responses(observation: Observation, log_probs: NDArray[np.float32], columns: NDArray[np.int64]) -> Responses:
    """The responses in these columns (B, n), drawn from a distribution over the pool (B, N)."""
    features, reference_log_probs = observation["features"], _reference(observation)
    rows = np.arange(len(columns))[:, None]
    return Responses(
        prompts=tuple(observation.get("prompt", [""] * len(columns))),  # bare features have no text
        actions=columns.astype(np.int64),
        log_probs=log_probs[rows, columns].astype(np.float32),
        reference_log_probs=reference_log_probs[rows, columns],
        lengths=np.ones(columns.shape, np.int64),
        features=features[rows, columns],
        context={"features": features, "reference_log_probs": reference_log_probs},
    )
