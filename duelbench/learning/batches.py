"""What losses are functions of: log-probabilities of n pairs, or of n responses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class PairBatch:
    """n pairs of a chosen response y+ and a rejected one y-, under the policy and under its reference.

    Log-probabilities are sums over the tokens of a response, in nats, in any floating dtype.

    Attributes:
        chosen: log pi(y+), (n,).
        rejected: log pi(y-), (n,).
        reference_chosen: log pi_ref(y+), (n,).
        reference_rejected: log pi_ref(y-), (n,).
        chosen_lengths: tokens of y+, (n,).
        rejected_lengths: tokens of y-, (n,).
    """

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    chosen_lengths: Tensor
    rejected_lengths: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """Delta: how much more the policy prefers the chosen response than the reference does, (n,), nats.

        >>> import torch
        >>> one = torch.ones(1)
        >>> PairBatch(-4 * one, -7 * one, -5 * one, -6 * one, one, one).log_ratio.tolist()
        [2.0]
        """
        return (self.chosen - self.reference_chosen) - (self.rejected - self.reference_rejected)

    def per_token(self) -> PairBatch:
        """The same with log-probabilities divided by the number of tokens."""
        return PairBatch(
            self.chosen / self.chosen_lengths,
            self.rejected / self.rejected_lengths,
            self.reference_chosen / self.chosen_lengths,
            self.reference_rejected / self.rejected_lengths,
            self.chosen_lengths,
            self.rejected_lengths,
        )


@dataclass(frozen=True, slots=True)
class ResponseBatch:
    """n responses under the policy and under its reference.

    Attributes:
        log_probs: log pi(y), (n,), sums over tokens, nats.
        reference_log_probs: log pi_ref(y), (n,).
        values: a number for each response, (n,): an answer, a reward or a bonus; zeros where a loss needs none.
    """

    log_probs: Tensor
    reference_log_probs: Tensor
    values: Tensor
