"""Preference losses of pairs: pure functions of a batch of log-probabilities.

Every loss maps n pairs to n losses; averaging and masking belong to the learner. The letters follow the papers: y+ is
the chosen and y- the rejected response, and

    Delta = [log pi(y+) - log pi_ref(y+)] - [log pi(y-) - log pi_ref(y-)]

is the difference of the policy's implicit rewards. The result has the dtype of the log-probabilities. Losses of single
responses are in ``duelbench.learning.response_losses``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from duelbench.learning.batches import PairBatch


def dpo(pairs: PairBatch, *, beta: float = 0.1, label_smoothing: float = 0.0) -> Tensor:
    r"""Direct preference optimisation: the logistic loss of the implicit reward.

    .. math:: -(1-\epsilon) \log\sigma(\beta\Delta) - \epsilon \log\sigma(-\beta\Delta)

    Args:
        pairs: n of them.
        beta: strength of the pull to the reference.
        label_smoothing: epsilon, the assumed probability that a label is flipped, in [0, 0.5).

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> two, four = torch.tensor([2.0]), torch.tensor([4.0])
    >>> pairs = PairBatch(two, -two, 0 * two, 0 * two, four, four)
    >>> round(dpo(pairs, beta=0.5).item(), 4)
    0.1269

    Reference: Rafailov et al. 2023, eq. 7 (arXiv 2305.18290); smoothing: Mitchell 2023, "cDPO".
    """
    logits = beta * pairs.log_ratio
    return -(1.0 - label_smoothing) * logsigmoid(logits) - label_smoothing * logsigmoid(-logits)


def ipo(pairs: PairBatch, *, beta: float = 0.2, length_average: bool = False) -> Tensor:
    r"""Identity preference optimisation: regress Delta to a fixed gap, so that it cannot grow without bound.

    .. math:: (\Delta - 1/(2\beta))^2

    Args:
        pairs: n of them.
        beta: inverse of twice the gap.
        length_average: take Delta of log-probabilities per token, as released implementations do. The default is
            the papers' Delta of whole sequences.

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> two, four = torch.tensor([2.0]), torch.tensor([4.0])
    >>> pairs = PairBatch(two, -two, 0 * two, 0 * two, four, four)
    >>> ipo(pairs, beta=0.25).tolist()
    [4.0]

    Reference: Azar et al. 2023, eq. 17 (arXiv 2310.12036); SEA, eq. 11 (arXiv 2411.01493).
    """
    delta = pairs.per_token().log_ratio if length_average else pairs.log_ratio
    return (delta - 1.0 / (2.0 * beta)).square()


def slic(pairs: PairBatch, *, beta: float = 0.2) -> Tensor:
    r"""Sequence likelihood calibration, in the form with a reference: the hinge of the implicit reward.

    .. math:: \max(0, 1 - \beta\Delta)

    Args:
        pairs: n of them.
        beta: inverse of the margin, 1/nats.

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> two, four = torch.tensor([2.0]), torch.tensor([4.0])
    >>> pairs = PairBatch(two, -two, 0 * two, 0 * two, four, four)
    >>> slic(pairs, beta=0.125).tolist()
    [0.5]

    Reference: SEA, eq. 12 (arXiv 2411.01493), after Zhao et al. 2023 (arXiv 2305.10425).
    """
    return relu(1.0 - beta * pairs.log_ratio)


def simpo(pairs: PairBatch, *, beta: float = 2.0, margin_ratio: float = 0.5) -> Tensor:
    r"""Simple preference optimisation: log-probabilities per token with a margin, and no reference.

    .. math:: -\log\sigma\big(\beta\,(\log\pi(y^+)/|y^+| - \log\pi(y^-)/|y^-| - \rho)\big)

    Args:
        pairs: n of them; the reference's log-probabilities are not used.
        beta: scale of the reward.
        margin_ratio: rho, the target margin divided by beta, nats per token.

    Returns:
        The loss of each pair, (n,).

    >>> import torch
    >>> two, four = torch.tensor([2.0]), torch.tensor([4.0])
    >>> pairs = PairBatch(two, -two, 0 * two, 0 * two, four, four)
    >>> round(simpo(pairs).item(), 4)
    0.3133

    Reference: Meng et al. 2024, eq. 6 (arXiv 2405.14734).
    """
    gap = pairs.chosen / pairs.chosen_lengths - pairs.rejected / pairs.rejected_lengths
    return -logsigmoid(beta * (gap - margin_ratio))


#: The losses by name. The defaults of ``beta`` are those of SEA's experiments (DPO 0.1, SLiC 0.2, IPO the smallest of
#: its grid) and of SimPO's examples.
LOSSES: dict[str, Callable[..., Tensor]] = {"dpo": dpo, "ipo": ipo, "slic": slic, "simpo": simpo}
