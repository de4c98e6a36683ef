"""Responses drawn by our own decoder, in this process."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from duelbench.policies.networks.mixture import MixtureDecoder, mix
from duelbench.policies.networks.network import Network
from duelbench.policies.samplers.base import Drawn
from duelbench.policies.samplers.drawing import generate
from duelbench.ranges import Count, NonNegative, check_values


class OwnSampler:
    """Decodes with the networks themselves: one pass over each prompt for its n responses; a ``MixtureSampler``.

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
        with torch.no_grad(), network.casting():
            decoder, logits = network.decoder(prompts, lengths, n, self._steps)
            return generate(decoder, logits, uniforms, self._end, self._steps, self._temperature)

    def draw_mixture(self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, share: float) -> Drawn:
        """As ``draw``, from the geometric mixture with this share of the reference."""
        uniforms = torch.from_numpy(rng.random((len(prompts) * n, self._steps)))
        with torch.no_grad(), self._policy.casting():
            decoder, logits = self._policy.decoder(prompts, lengths, n, self._steps)
            second, reference = self._reference.decoder(prompts, lengths, n, self._steps)
            both, first = MixtureDecoder(decoder, second, share), mix(logits, reference, share)
            return generate(both, first, uniforms, self._end, self._steps, self._temperature)

    def changed(self) -> None:
        """Nothing is copied, so nothing goes stale."""
