"""Preference losses of pairs: pure functions of log-probabilities.

Every loss maps arrays of n pairs to n losses; averaging and masking belong to the learner. The letters follow the
papers: y+ is the chosen and y- the rejected response, and

    Delta = [log pi(y+) - log pi_ref(y+)] - [log pi(y-) - log pi_ref(y-)]

is the difference of the policy's implicit rewards. Log-probabilities are sums over the response tokens, in any
floating dtype; the result has the same dtype. Losses of single responses are in ``duelbench.learning.response_losses``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import logsigmoid, relu


def log_ratio(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor) -> Tensor:
    """Delta: how much more the policy prefers the chosen response than the reference does.

    Args:
        chosen: log pi(y+), (n,), nats.
        rejected: log pi(y-), (n,), nats.
        reference_chosen: log pi_ref(y+), (n,), nats.
        reference_rejected: log pi_ref(y-), (n,), nats.

    Returns:
        Delta, (n,), nats.

    >>> import torch
    >>> log_ratio(*(torch.tensor([x]) for x in (-4.0, -7.0, -5.0, -6.0))).tolist()
    [2.0]
    """
    return (chosen - reference_chosen) - (rejected - reference_rejected)


def dpo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Direct preference optimisation: the logistic loss of the implicit reward.

    .. math:: -(1-\epsilon) \log\sigma(\beta\Delta) - \epsilon \log\sigma(-\beta\Delta)

    Args:
        chosen: log pi(y+), (n,), nats.
        rejected: log pi(y-), (n,), nats.
        reference_chosen: log pi_ref(y+), (n,), nats.
        reference_rejected: log pi_ref(y-), (n,), nats.
        beta: strength of the pull to the reference.
        label_smoothing: epsilon, the assumed probability that a label is flipped, in [0, 0.5).

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> two = torch.tensor([2.0])
    >>> round(dpo(two, -two, 0 * two, 0 * two, beta=0.5).item(), 4)
    0.1269

    Reference: Rafailov et al. 2023, eq. 7 (arXiv 2305.18290); smoothing: Mitchell 2023, "cDPO".
    """
    logits = beta * log_ratio(chosen, rejected, reference_chosen, reference_rejected)
    return -(1.0 - label_smoothing) * logsigmoid(logits) - label_smoothing * logsigmoid(-logits)


def ipo(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    lengths_chosen: Tensor | None = None,
    lengths_rejected: Tensor | None = None,
    beta: float = 0.2,
    length_average: bool = False,
) -> Tensor:
    r"""Identity preference optimisation: regress Delta to a fixed gap, so that it cannot grow without bound.

    .. math:: (\Delta - 1/(2\beta))^2

    Args:
        chosen: log pi(y+), (n,), nats.
        rejected: log pi(y-), (n,), nats.
        reference_chosen: log pi_ref(y+), (n,), nats.
        reference_rejected: log pi_ref(y-), (n,), nats.
        lengths_chosen: tokens of y+, (n,); needed with ``length_average`` only.
        lengths_rejected: tokens of y-, (n,); needed with ``length_average`` only.
        beta: inverse of twice the gap.
        length_average: take Delta of log-probabilities per token, as released implementations do. The default is
            the papers' Delta of whole sequences.

    Returns:
        The loss of each pair, (n,).

    Raises:
        ValueError: lengths are missing although ``length_average`` asks for them.

    >>> import torch
    >>> two = torch.tensor([2.0])
    >>> ipo(two, -two, 0 * two, 0 * two, beta=0.25).tolist()
    [4.0]

    Reference: Azar et al. 2023, eq. 17 (arXiv 2310.12036); SEA, eq. 11 (arXiv 2411.01493).
    """
    if length_average:
        if lengths_chosen is None or lengths_rejected is None:
            raise ValueError("ipo(length_average=True) needs lengths_chosen and lengths_rejected")
        chosen, reference_chosen = chosen / lengths_chosen, reference_chosen / lengths_chosen
        rejected, reference_rejected = rejected / lengths_rejected, reference_rejected / lengths_rejected
    delta = log_ratio(chosen, rejected, reference_chosen, reference_rejected)
    return (delta - 1.0 / (2.0 * beta)).square()


def slic(
    chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, *, beta: float = 0.2
) -> Tensor:
    r"""Sequence likelihood calibration, in the form with a reference: the hinge of the implicit reward.

    .. math:: \max(0, 1 - \beta\Delta)

    Args:
        chosen: log pi(y+), (n,), nats.
        rejected: log pi(y-), (n,), nats.
        reference_chosen: log pi_ref(y+), (n,), nats.
        reference_rejected: log pi_ref(y-), (n,), nats.
        beta: inverse of the margin, 1/nats.

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> two = torch.tensor([2.0])
    >>> slic(two, -two, 0 * two, 0 * two, beta=0.125).tolist()
    [0.5]

    Reference: SEA, eq. 12 (arXiv 2411.01493), after Zhao et al. 2023 (arXiv 2305.10425).
    """
    return relu(1.0 - beta * log_ratio(chosen, rejected, reference_chosen, reference_rejected))


def simpo(
    chosen: Tensor,
    rejected: Tensor,
    *,
    lengths_chosen: Tensor,
    lengths_rejected: Tensor,
    beta: float = 2.0,
    margin_ratio: float = 0.5,
) -> Tensor:
    r"""Simple preference optimisation: log-probabilities per token with a margin, and no reference.

    .. math:: -\log\sigma\big(\beta\,(\log\pi(y^+)/|y^+| - \log\pi(y^-)/|y^-| - \rho)\big)

    Args:
        chosen: log pi(y+), (n,), nats.
        rejected: log pi(y-), (n,), nats.
        lengths_chosen: tokens of y+, (n,).
        lengths_rejected: tokens of y-, (n,).
        beta: scale of the reward.
        margin_ratio: rho, the target margin divided by beta, nats per token.

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> four = torch.tensor([4.0])
    >>> round(simpo(-four, -2 * four, lengths_chosen=four, lengths_rejected=four).item(), 4)
    0.3133

    Reference: Meng et al. 2024, eq. 6 (arXiv 2405.14734).
    """
    per_token = chosen / lengths_chosen - rejected / lengths_rejected
    return -logsigmoid(beta * (per_token - margin_ratio))


#: The losses by name. A learner hands each one, by argument name, what its signature asks for; the defaults of
#: ``beta`` are those of SEA's experiments (DPO 0.1, SLiC 0.2, IPO the smallest of its grid) and of SimPO's examples.
LOSSES: dict[str, Callable[..., Tensor]] = {"dpo": dpo, "ipo": ipo, "slic": slic, "simpo": simpo}
