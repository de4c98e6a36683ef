"""Losses of single responses: exploration bonuses beside a pair loss, and what learns without pairs.

Pure functions of n log-probabilities (sums over tokens, nats) to n numbers, all to be minimised; averaging belongs to
the learner. Three of the bonuses are one idea. Under a KL penalty the reward that a policy stands for is
r = β log(π / π_ref) + constant, and if the constant makes the mean reward of the reference 0, then the best achievable
value is max_π E r − β KL = −β E_{y ~ π_ref} log(π / π_ref). To be optimistic is to add that value to the likelihood,
hence to lower the log-probability of what the reference says; XPO, SELM and VPO differ in scale and in when.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from duelbench.types import Responses


@dataclass(frozen=True, slots=True)
class ResponseLoss:
    """A loss of n responses that a learner can take a step on.

    Attributes:
        responses: shape (n,).
        function: gives n losses; gets, by argument name, those of ``log_probs``, ``reference_log_probs`` and
            ``values`` that its signature asks for, each (n,).
        values: a number for each response, (n,), e.g. an answer or a bonus.
    """

    responses: Responses
    function: Callable[..., Tensor]
    values: NDArray[Any] | None = None

    def rows(self, index: NDArray[Any]) -> ResponseLoss:
        """Of some of the responses only."""
        values = None if self.values is None else self.values[index]
        return replace(self, responses=self.responses.rows(index), values=values)

    def __call__(self, log_probs: Tensor) -> Tensor:
        """The n losses at the policy's log-probabilities."""
        arguments = {
            "log_probs": log_probs,
            "reference_log_probs": torch.as_tensor(self.responses.reference_log_probs),
        }
        if self.values is not None:
            arguments["values"] = torch.as_tensor(self.values, dtype=log_probs.dtype)
        taken = inspect.signature(self.function).parameters
        return self.function(**{name: tensor for name, tensor in arguments.items() if name in taken})


def xpo_bonus(log_probs: Tensor, *, coefficient: float) -> Tensor:
    r"""Exploration bonus of XPO: added to a loss, it pushes probability away from what the reference says.

    .. math:: \alpha \log\pi_\theta(\tilde y), \qquad \tilde y \sim \pi_\mathrm{ref}

    Args:
        log_probs: log pi of responses that the reference sampled, (n,), nats.
        coefficient: alpha, at least 0.

    Returns:
        The term of each sample, (n,); its mean is added to the mean loss, and both are minimised.

    >>> import torch
    >>> xpo_bonus(torch.tensor([-8.0]), coefficient=0.25).tolist()
    [-2.0]

    Reference: Xie et al. 2024, algorithm 1 (arXiv 2405.21046).
    """
    return coefficient * log_probs


def selm_bonus(log_probs: Tensor, reference_log_probs: Tensor, *, alpha: float, beta: float) -> Tensor:
    r"""Exploration bonus of SELM: XPO's, scaled by the loss's beta and counted from the reference.

    .. math:: \alpha\beta \, [\log\pi_\theta(y) - \log\pi_\mathrm{ref}(y)], \qquad y \sim \pi_\mathrm{ref}

    The paper maximises minus the DPO loss minus alpha beta E log pi, so the term is added to the loss with a plus.

    Args:
        log_probs: log pi of responses that the reference sampled, (n,), nats.
        reference_log_probs: log pi_ref of them, (n,), nats; a constant, which the released code subtracts.
        alpha: weight of optimism, at least 0.
        beta: the pair loss's.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> selm_bonus(torch.tensor([-8.0]), torch.tensor([-4.0]), alpha=0.5, beta=0.5).tolist()
    [-1.0]

    Reference: Zhang et al. 2024, eq. 4.2 (arXiv 2405.19332), and the authors' code.
    """
    return alpha * beta * (log_probs - reference_log_probs)


def vpo_bonus(
    log_probs: Tensor, reference_log_probs: Tensor, *, alpha: float, beta: float, pessimistic: bool = False
) -> Tensor:
    r"""VPO's value term: SELM's bonus with a sign, optimistic online and pessimistic offline.

    .. math:: \pm\alpha\beta \, [\log\pi_\theta(y) - \log\pi_\mathrm{ref}(y)], \qquad y \sim \pi_\mathrm{cal}

    Args:
        log_probs: log pi of responses that the calibration policy sampled, (n,), nats.
        reference_log_probs: log pi_ref of them, (n,), nats.
        alpha: weight of the value, at least 0.
        beta: the pair loss's.
        pessimistic: take the minus, which holds the policy near what the reference says.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> vpo_bonus(torch.tensor([-8.0]), torch.tensor([-4.0]), alpha=0.5, beta=0.5, pessimistic=True).tolist()
    [1.0]

    Reference: after the principle of Cen et al. 2024 (arXiv 2405.19320): maximum likelihood regularised by plus or
    minus the value J* of the reward. The formula is derived here (see above) and checked numerically in the tests.
    """
    bonus = selm_bonus(log_probs, reference_log_probs, alpha=alpha, beta=beta)
    return -bonus if pessimistic else bonus


def geb_bonus(log_probs: Tensor, *, coefficient: float) -> Tensor:
    r"""General exploratory bonus for the reverse KL with u = 1 + alpha - pi: the less likely, the larger.

    .. math:: \kappa \, \pi_\theta(y^-)

    The bonus of a divergence f is u f'(u) - f(u) with a decreasing function u of pi. Reverse KL, f(u) = u log u,
    makes it u itself; it is subtracted from the loss, and the constant is dropped. The probability is that of the
    whole response: on long texts it vanishes, and the bonus with it.

    Args:
        log_probs: log pi of the rejected responses, (n,), nats.
        coefficient: kappa, at least 0.

    Returns:
        The term of each response, (n,).

    >>> import torch
    >>> geb_bonus(torch.tensor([0.5]).log(), coefficient=3.0).tolist()
    [1.5]

    Reference: Li et al. 2025 (arXiv 2510.03269), in the form of the authors' released code (``geb_p`` with ``kl``).
    """
    return coefficient * log_probs.exp()


def score_function(log_probs: Tensor, values: Tensor, *, coefficient: float) -> Tensor:
    r"""A loss whose gradient is that of minus the expected value of the policy's own samples (REINFORCE).

    .. math:: -c \, v(y) \log\pi_\theta(y), \qquad y \sim \pi_\theta

    Args:
        log_probs: log pi of the policy's samples, (n,), nats.
        values: v, (n,), perhaps less a baseline.
        coefficient: c.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> score_function(torch.tensor([-2.0]), torch.tensor([3.0]), coefficient=0.5).tolist()
    [3.0]
    """
    return -coefficient * values * log_probs


def nash_md(log_probs: Tensor, reference_log_probs: Tensor, values: Tensor, *, tau: float) -> Tensor:
    r"""Policy gradient of the regularised preference P(pi > pi') - tau KL(pi | pi_ref), pi' fixed.

    .. math:: -\big[z - \tfrac12 - \tau \log\tfrac{\pi_\theta(y)}{\pi_\mathrm{ref}(y)}\big] \log\pi_\theta(y)

    No gradient flows through the bracket. Its 1/2 is a baseline.

    Args:
        log_probs: log pi of the policy's samples y, (n,), nats.
        reference_log_probs: log pi_ref of them, (n,), nats.
        values: z, the probability that y beats its rival y' ~ pi', or the answer itself, (n,).
        tau: weight of the KL penalty, at least 0.

    Returns:
        The term of each sample, (n,).

    >>> import torch
    >>> nash_md(torch.tensor([-2.0]), torch.tensor([-3.0]), torch.tensor([1.0]), tau=0.25).tolist()
    [0.5]

    Reference: Munos et al. 2024 (arXiv 2312.00886), the approach without a preference model. The KL of whole
    responses is used, whose gradient is exact, not a product of token terms.
    """
    advantage = values - 0.5 - tau * (log_probs.detach() - reference_log_probs)
    return -advantage * log_probs


def likelihood(log_probs: Tensor) -> Tensor:
    r"""Supervised fine-tuning: the negative log-likelihood of a response.

    .. math:: -\log\pi_\theta(y)

    Args:
        log_probs: log pi of the responses to imitate, (n,), nats.

    Returns:
        The loss of each response, (n,).

    >>> import torch
    >>> likelihood(torch.tensor([-2.0])).tolist()
    [2.0]
    """
    return -log_probs
