"""The geometric mixture of a policy and its reference, token by token: what Nash-MD plays against.

π_mix(token | prefix) ∝ π(token | prefix)^(1 − β) · π_ref(token | prefix)^β. Each token's distribution is normalised on
its own, so the product over a response is not the normalised mixture of whole responses, from which no one can sample
(Munos et al. 2024, arXiv 2312.00886, the one-step-at-a-time regularised policy). The two networks keep a cache each.
"""

from __future__ import annotations

from torch import Tensor

from duelbench.policies.networks.network import Decoder


def mix(policy: Tensor, reference: Tensor, share: float) -> Tensor:
    """Log-probabilities (n, V) of the mixture, from two sets of logits (n, V); ``share`` is the reference's, β."""
    return ((1.0 - share) * policy.log_softmax(-1) + share * reference.log_softmax(-1)).log_softmax(-1)


class MixtureDecoder:
    """Two decoders that are fed the same tokens.

    Args:
        policy: stands after the prompts.
        reference: likewise.
        share: β, of the reference.
    """

    def __init__(self, policy: Decoder, reference: Decoder, share: float) -> None:
        self._policy, self._reference, self._share = policy, reference, share

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row; returns the mixture's next log-probabilities, (N, V)."""
        return mix(self._policy.step(tokens), self._reference.step(tokens), self._share)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, by integer index."""
        self._policy.keep(rows)
        self._reference.keep(rows)
