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
from torch import nn

from duelbench.types import Observation, Responses


class PoolPolicy:
    """Softmax over the N responses that an observation of a pool environment offers.

    Args:
        feature_dim: d, of one response.
        rng: draws the initial hidden layer.
        hidden: width of the hidden layer; 0 makes f linear.
    """

    def __init__(self, feature_dim: int, rng: np.random.Generator, hidden: int = 64) -> None:
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
    ) -> Responses:
        """n responses a prompt by inverse CDF, with replacement; ``greedy`` takes the most probable one."""
        features, reference_log_probs = observation["features"], _reference(observation)  # (B, N, d), (B, N)
        with torch.no_grad():
            log_probs = reference_log_probs if reference else self._all_log_probs(features, reference_log_probs).numpy()
        uniforms = rng.random((len(log_probs), n))
        if greedy:
            columns = np.repeat(log_probs.argmax(-1)[:, None], n, axis=1)
        else:
            cdf = np.exp(log_probs.astype(np.float64)).cumsum(-1)
            columns = (uniforms[:, :, None] * cdf[:, None, -1:] >= cdf[:, None, :]).sum(-1)  # (B, n)
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
        """The head's weights."""
        return dict(self._head.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the head's weights."""
        self._head.load_state_dict(state)


def _reference(observation: Observation) -> NDArray[np.float32]:
    """log π_ref of the N responses, (B, N); uniform where the observation does not say."""
    if "reference_log_probs" in observation:
        return observation["reference_log_probs"]
    shape = observation["features"].shape[:2]
    return np.full(shape, -np.log(shape[1]), np.float32)
