"""Who draws the responses of a causal language model: our own decoder here, vLLM in ``vllm_sampler``.

A sampler only draws tokens. What they are worth (reference log-probabilities, features) is computed by the policy, the
same for every sampler, so that samplers are interchangeable.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from duelbench.policies.networks.mixture import MixtureDecoder, mix
from duelbench.policies.networks.network import Network
from duelbench.policies.samplers.drawing import Drawn, generate
from duelbench.ranges import Count, NonNegative, check_values


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


class OwnSampler:
    """Decodes with the networks themselves: one pass over each prompt for its n responses.

    Args:
        policy: whose weights are read anew for every draw.
        reference: frozen.
        end: the tokens that end a response, (K,).
        max_new_tokens: the most tokens of a response.
        temperature: of sampling.
    """

    def __init__(
        self, policy: Network, reference: Network, end: Tensor, *, max_new_tokens: Count, temperature: NonNegative
    ) -> None:
        check_values(OwnSampler, {"max_new_tokens": max_new_tokens, "temperature": temperature})
        self._policy, self._reference, self._end = policy, reference, end
        self._steps, self._temperature = max_new_tokens, temperature

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, *, reference: bool, greedy: bool
    ) -> Drawn:
        """By inversion at uniforms that are drawn first, (B * n, max_new_tokens)."""
        network = self._reference if reference else self._policy
        uniforms = None if greedy else torch.from_numpy(rng.random((len(prompts) * n, self._steps)))
        with torch.no_grad():
            decoder, logits = network.decoder(prompts, lengths, n, self._steps)
            return generate(decoder, logits, uniforms, self._end, self._steps, self._temperature)

    def draw_mixture(self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, share: float) -> Drawn:
        """As ``draw``, from the geometric mixture with this share of the reference."""
        uniforms = torch.from_numpy(rng.random((len(prompts) * n, self._steps)))
        with torch.no_grad():
            decoder, logits = self._policy.decoder(prompts, lengths, n, self._steps)
            second, reference = self._reference.decoder(prompts, lengths, n, self._steps)
            both, first = MixtureDecoder(decoder, second, share), mix(logits, reference, share)
            return generate(both, first, uniforms, self._end, self._steps, self._temperature)

    def changed(self) -> None:
        """Nothing is copied, so nothing goes stale."""
