"""What draws the responses of a causal language model, whoever does: our own decoder, vLLM, another process.

A sampler only draws tokens. What they are worth (reference log-probabilities, features) is computed by the policy, the
same for every sampler, so that samplers are interchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Drawn:
    """N sampled responses.

    Attributes:
        tokens: padded on the right with 0, (N, max_new_tokens) int64.
        lengths: tokens of each response, its end-of-sequence token included, (N,) int64.
        log_probs: under the untempered model, (N,) float32.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor


@runtime_checkable
class Sampler(Protocol):
    """Draws responses from the policy or from its frozen reference."""

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, *, reference: bool, greedy: bool
    ) -> Drawn:
        """n responses to each prompt; row b * n + i is response i to prompt b.

        Args:
            prompts: prompt tokens, padded on the right, (B, P) int64.
            lengths: (B,) int64.
            n: responses a prompt.
            rng: settles everything random, together with the weights; greedy draws take nothing from it.
            reference: from the frozen reference instead of the policy.
            greedy: always the likeliest token.
        """
        ...

    def changed(self) -> None:
        """The policy's weights are no longer what they were: copies of them are stale."""
        ...


@runtime_checkable
class MixtureSampler(Sampler, Protocol):
    """A sampler that can also mix the policy with its reference, token by token."""

    def draw_mixture(self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, share: float) -> Drawn:
        """As ``draw``, from the geometric mixture of both with this share of the reference."""
        ...
