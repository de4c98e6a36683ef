"""Losses of single responses: exploration bonuses next to a pair loss, and what learns without pairs.

Pure functions of a batch of n responses to n numbers, all to be minimised; averaging belongs to the learner. Three of
the bonuses are one idea. Under a KL penalty the reward that a policy stands for is r = β log(π / π_ref) + constant, and
if the constant makes the mean reward of the reference 0, then the best achievable value is
max_π E r − β KL = −β E_{y ~ π_ref} log(π / π_ref). To be optimistic is to add that value to the likelihood, hence to
lower the log-probability of what the reference says; XPO, SELM and VPO differ in scale and in when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from duelbench.learning.batches import ResponseBatch
from duelbench.types import Responses


@dataclass(frozen=True, slots=True)
class ResponseLoss:
    """A loss of n responses that a learner can take a step on.

    Attributes:
        responses: shape (n,).
        function: gives the n losses of a ``ResponseBatch``.
        values: a number for each response, (n,), e.g. an answer or a bonus; None means zeros.
    """

    responses: Responses
    function: Callable[[ResponseBatch], Tensor]
    values: NDArray[Any] | None = None

    def rows(self, index: NDArray[Any]) -> ResponseLoss:
        """Of some of the responses only."""
        values = None if self.values is None else self.values[index]
        return replace(self, responses=self.responses.rows(index), values=values)

    def __call__(self, log_probs: Tensor) -> Tensor:
        """The n losses at the policy's log-probabilities."""
        values = torch.zeros_like(log_probs) if self.values is None else torch.as_tensor(self.values)
        reference = torch.as_tensor(self.responses.reference_log_probs)
        return self.function(ResponseBatch(log_probs, reference, values.to(log_probs.dtype)))


def xpo_bonus(batch: ResponseBatch, *, coefficient: float) -> Tensor:
    r"""Exploration bonus of XPO: added to a loss, it pushes probability away from what the reference says.

    .. math:: \alpha \log\pi_\theta(\tilde y), \qquad \tilde y \sim \pi_\mathrm{ref}

    Args:
        batch: responses that the reference sampled.
        coefficient: alpha, at least 0.

    Returns:
        The term of each sample, (n,); its mean is added to the mean loss, and both are minimised.

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> xpo_bonus(batch, coefficient=0.25).tolist()
    [-0.5]

    Reference: Xie et al. 2024, algorithm 1 (arXiv 2405.21046).
    """
    return coefficient * batch.log_probs


def selm_bonus(batch: ResponseBatch, *, alpha: float, beta: float) -> Tensor:
    r"""Exploration bonus of SELM: XPO's, scaled by the loss's beta and counted from the reference.

    .. math:: \alpha\beta \, [\log\pi_\theta(y) - \log\pi_\mathrm{ref}(y)], \qquad y \sim \pi_\mathrm{ref}

    The paper maximises minus the DPO loss minus alpha beta E log pi, so the term is added to the loss with a plus.

    Args:
        batch: responses that the reference sampled.
        alpha: weight of optimism, at least 0.
        beta: the pair loss's.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> selm_bonus(batch, alpha=0.5, beta=0.5).tolist()
    [0.25]

    Reference: Zhang et al. 2024, eq. 4.2 (arXiv 2405.19332), and the authors' code.
    """
    return alpha * beta * (batch.log_probs - batch.reference_log_probs)


def vpo_bonus(batch: ResponseBatch, *, alpha: float, beta: float, pessimistic: bool = False) -> Tensor:
    r"""VPO's value term: SELM's bonus with a sign, optimistic online and pessimistic offline.

    .. math:: \pm\alpha\beta \, [\log\pi_\theta(y) - \log\pi_\mathrm{ref}(y)], \qquad y \sim \pi_\mathrm{cal}

    Args:
        batch: responses that the calibration policy sampled.
        alpha: weight of the value, at least 0.
        beta: the pair loss's.
        pessimistic: take the minus, which holds the policy near what the reference says.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> vpo_bonus(batch, alpha=0.5, beta=0.5, pessimistic=True).tolist()
    [-0.25]

    Reference: after the principle of Cen et al. 2024 (arXiv 2405.19320): maximum likelihood regularised by plus or
    minus the value J* of the reward. The formula is derived here (see above) and checked numerically in the tests.
    """
    bonus = selm_bonus(batch, alpha=alpha, beta=beta)
    return -bonus if pessimistic else bonus


def geb_bonus(batch: ResponseBatch, *, coefficient: float) -> Tensor:
    r"""General exploratory bonus for the reverse KL with u = 1 + alpha - pi: the less likely, the larger.

    .. math:: \kappa \, \pi_\theta(y^-)

    The bonus of a divergence f is u f'(u) - f(u) with a decreasing function u of pi. Reverse KL, f(u) = u log u,
    makes it u itself; it is subtracted from the loss, and the constant is dropped. The probability is that of the
    whole response: on long texts it vanishes, and the bonus with it.

    Args:
        batch: the rejected responses.
        coefficient: kappa, at least 0.

    Returns:
        The term of each response, (n,).

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> round(geb_bonus(batch, coefficient=3.0).item(), 4)
    0.406

    Reference: Li et al. 2025 (arXiv 2510.03269), in the form of the authors' released code (``geb_p`` with ``kl``).
    """
    return coefficient * batch.log_probs.exp()


def score_function(batch: ResponseBatch, *, coefficient: float) -> Tensor:
    r"""A loss whose gradient is that of minus the expected value of the policy's own samples (REINFORCE).

    .. math:: -c \, v(y) \log\pi_\theta(y), \qquad y \sim \pi_\theta

    Args:
        batch: the policy's samples.
        coefficient: c.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> score_function(batch, coefficient=0.5).tolist()
    [1.0]
    """
    return -coefficient * batch.values * batch.log_probs


def nash_md(batch: ResponseBatch, *, tau: float) -> Tensor:
    r"""Policy gradient of the regularised preference P(pi > pi') - tau KL(pi | pi_ref), pi' fixed.

    .. math:: -\big[z - \tfrac12 - \tau \log\tfrac{\pi_\theta(y)}{\pi_\mathrm{ref}(y)}\big] \log\pi_\theta(y)

    No gradient flows through the bracket. Its 1/2 is a baseline.

    Args:
        batch: the policy's samples y.
        tau: weight of the KL penalty, at least 0.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> nash_md(batch, tau=0.25).tolist()
    [0.5]

    Reference: Munos et al. 2024 (arXiv 2312.00886), the approach without a preference model. The KL of whole
    responses is used, whose gradient is exact, not a product of token terms.
    """
    advantage = batch.values - 0.5 - tau * (batch.log_probs.detach() - batch.reference_log_probs)
    return -advantage * batch.log_probs


def likelihood(batch: ResponseBatch) -> Tensor:
    r"""Supervised fine-tuning: the negative log-likelihood of a response.

    .. math:: -\log\pi_\theta(y)

    Args:
        batch: the responses to imitate.

    Returns:
        The loss of each response, (n,).

    >>> import torch
    >>> batch = ResponseBatch(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]))
    >>> likelihood(batch).tolist()
    [2.0]
    """
    return -batch.log_probs
