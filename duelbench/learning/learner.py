"""The gradient step on a policy: one batch of preferred and dispreferred responses in, one optimizer step out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Interval
from numpy.typing import NDArray
from torch import Tensor

from duelbench.learning.batches import PairBatch
from duelbench.learning.optimizer_state import load_moments, moments
from duelbench.learning.pair_losses import LOSSES
from duelbench.learning.response_losses import ResponseLoss
from duelbench.plugins import find
from duelbench.protocols import Policy
from duelbench.ranges import Checked, Count, Natural, NonNegative, Positive
from duelbench.types import Metrics, Responses, concatenate

Momentum = Annotated[float, Interval(ge=0, lt=1)]
"""Decay of a running moment."""


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is not a finite number. The weights are as they were before the step."""


@dataclass(frozen=True)
class LearnerConfig(Checked):
    """How the policy learns from pairs.

    Attributes:
        loss: name of a loss in ``duelbench.learning.pair_losses.LOSSES``, or a target: ``mine.py:my_loss``.
        beta: the loss's beta; None takes the loss's own default.
        label_smoothing: assumed probability of a flipped label; only for losses that take it (DPO).
        length_average: use log-probabilities per token; only for losses that take it (IPO).
        margin_ratio: the target margin divided by beta; only for losses that take it (SimPO).
        learning_rate: step size of AdamW.
        adam_betas: decay of AdamW's two running moments.
        weight_decay: AdamW's decoupled weight decay.
        clip: largest Euclidean norm of the whole gradient; a longer one is scaled down to it.
        warmup_steps: steps over which the learning rate rises linearly to its value.
        decay_steps: steps until which it then falls along a cosine to a tenth of its value; 0 keeps it.
        steps: gradient steps a round. Further ones of agents that learn from duels are on duels drawn from all so far;
            of agents that learn from their own samples, on the same samples again.
        micro_batch: pairs of one forward and backward pass; their gradients are added up to the whole batch's. 0 takes
            all pairs at once.
    """

    loss: str = "dpo"
    beta: Positive | None = None
    label_smoothing: Annotated[float, Interval(ge=0, lt=0.5)] | None = None
    length_average: bool | None = None
    margin_ratio: NonNegative | None = None
    learning_rate: NonNegative = 1e-4
    adam_betas: tuple[Momentum, Momentum] = (0.9, 0.95)
    weight_decay: NonNegative = 0.0
    clip: Positive = 1.0
    warmup_steps: Natural = 0
    decay_steps: Natural = 0
    steps: Count = 1
    micro_batch: Natural = 0

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay_steps <= self.warmup_steps:
            return self.learning_rate
        gone = min(1.0, (step - self.warmup_steps) / (self.decay_steps - self.warmup_steps))
        return self.learning_rate * (0.1 + 0.45 * (1.0 + math.cos(math.pi * gone)))

    def loss_options(self) -> dict[str, Any]:
        """The options that were set, for the loss.

        Raises:
            ValueError: the loss is unknown, or an option is set that it does not take.
        """
        loss = find(self.loss, LOSSES, kind="loss")
        names = ("beta", "label_smoothing", "length_average", "margin_ratio")
        options = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if unused := options.keys() - inspect.signature(loss).parameters:
            raise ValueError(f"the loss {self.loss!r} does not take {', '.join(sorted(unused))}")
        return options


class PreferenceLearner:
    """Trains a policy on pairs with AdamW, one step a call."""

    def __init__(self, policy: Policy, config: LearnerConfig) -> None:
        """Take hold of the policy's parameters.

        Raises:
            ValueError: the configuration names an unknown loss or an option that the loss does not take.
        """
        self.policy = policy
        self.config = config
        self.steps = 0
        self._loss = find(config.loss, LOSSES, kind="loss")
        self._options = config.loss_options()
        self._parameters = [p for p in policy.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            lr=config.learning_rate,
            betas=config.adam_betas,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def step(
        self,
        chosen: Responses,
        rejected: Responses,
        *,
        weights: NDArray[np.floating[Any]] | None = None,
        bonus: ResponseLoss | None = None,
    ) -> Metrics:
        """One gradient step on the mean loss of n pairs.

        A pair of identical responses, or one of weight 0, adds nothing, but the mean still divides by n. Such a row
        counts for nothing in the bonus either. With no row left the weights stay as they are.

        Args:
            chosen: the preferred responses, shape (n,).
            rejected: the dispreferred responses to the same prompts, shape (n,).
            weights: factor of each pair's loss, (n,); None means 1.
            bonus: a term added to the loss, of n responses: row i belongs to pair i.

        Returns:
            ``loss``; ``accuracy``, share of the counted pairs whose chosen response has the larger implicit reward;
            ``margin``, mean difference of the implicit rewards in nats (log-ratios, not scaled by beta);
            ``grad_norm`` before clipping; ``pairs``, how many rows counted.

        Raises:
            NonFiniteLossError: loss or gradient is not finite; the weights have not been touched.
            RuntimeError: the first step did not move the parameters.
        """
        n = len(chosen)
        factor = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
        kept = np.flatnonzero((chosen.actions != rejected.actions).astype(bool) & (factor != 0))
        if not kept.size:
            return {"loss": 0.0, "accuracy": float("nan"), "margin": float("nan"), "grad_norm": 0.0, "pairs": 0.0}
        margins = []

        def losses(rows: NDArray[np.int64]) -> Tensor:
            extra = None if bonus is None else bonus.rows(rows)
            pair_losses, margin = self._batch_loss(chosen.rows(rows), rejected.rows(rows), factor[rows], extra)
            margins.append(margin)
            return pair_losses

        loss, gradient = self._step(kept, n, losses)
        margin = np.concatenate(margins)
        return {
            "loss": loss,
            "accuracy": float((margin > 0).mean()),
            "margin": float(margin.mean()),
            "grad_norm": gradient,
            "pairs": float(len(kept)),
        }

    def fit(self, loss: ResponseLoss) -> Metrics:
        """The steps of a round (``steps``) on the mean loss of n responses, without pairs.

        Returns:
            ``loss``, and ``grad_norm`` before clipping, of the first step.

        Raises:
            NonFiniteLossError: loss or gradient is not finite; the weights have not been touched.
            RuntimeError: the first step did not move the parameters.
        """
        n = len(loss.responses)

        def losses(rows: NDArray[np.int64]) -> Tensor:
            part = loss.rows(rows)
            return part(self.policy.log_probs(part.responses))

        (value, gradient), *_ = [self._step(np.arange(n), n, losses) for _ in range(self.config.steps)]
        return {"loss": value, "grad_norm": gradient}

    @property
    def beta(self) -> float:
        """The pair loss's beta: the one that was set, or the loss's own default."""
        default = inspect.signature(self._loss).parameters["beta"].default
        return float(default if self.config.beta is None else self.config.beta)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state: nested dicts of tensors and numbers."""
        return {"steps": self.steps, "optimizer": moments(self._optimizer)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        load_moments(self._optimizer, state["optimizer"])
        self.steps = int(state["steps"])

    def _step(
        self, rows: NDArray[np.int64], n: int, losses: Callable[[NDArray[np.int64]], Tensor]
    ) -> tuple[float, float]:
        """Step on the sum of these rows' losses divided by n; returns it, and the gradient's norm."""
        size = self.config.micro_batch or len(rows)
        self._optimizer.zero_grad(set_to_none=True)
        parts = []
        for start in range(0, len(rows), size):
            loss = losses(rows[start : start + size]).sum() / n
            self._backward(loss)
            parts.append(loss.item())
        return sum(parts), self._descend()

    def _batch_loss(
        self, chosen: Responses, rejected: Responses, factor: NDArray[np.float64], bonus: ResponseLoss | None
    ) -> tuple[Tensor, NDArray[np.float32]]:
        """Losses (n,) of pairs with their bonus, and how far the log-ratios of each pair are apart (n,)."""
        parts = [chosen, rejected] if bonus is None else [chosen, rejected, bonus.responses]
        log_probs = self.policy.log_probs(concatenate(parts)).split(len(factor))
        pairs = PairBatch(
            chosen=log_probs[0],
            rejected=log_probs[1],
            reference_chosen=torch.as_tensor(chosen.reference_log_probs),
            reference_rejected=torch.as_tensor(rejected.reference_log_probs),
            chosen_lengths=torch.as_tensor(chosen.lengths),
            rejected_lengths=torch.as_tensor(rejected.lengths),
        )
        losses = self._loss(pairs, **self._options)
        losses = losses * torch.as_tensor(factor, dtype=losses.dtype)
        if bonus is not None:
            losses = losses + bonus(log_probs[2])
        return losses, pairs.log_ratio.detach().numpy()

    def _backward(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise NonFiniteLossError(f"the {self.config.loss} loss is {loss.item()} at step {self.steps}")
        loss.backward()

    def _descend(self) -> float:
        """Clip the gradient and step; returns its norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.config.clip, foreach=True).item()
        if not np.isfinite(norm):
            raise NonFiniteLossError(
                f"the gradient of the {self.config.loss} loss has norm {norm} at step {self.steps}"
            )
        rate = self.config.rate(self.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        steepest = max(self._parameters, key=_steepness) if not self.steps else None
        before = steepest.detach().clone() if steepest is not None else None  # all of them would double the memory
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)  # gradients of a large model would lie idle until the next step
        self.steps += 1
        self.policy.changed()
        if steepest is not None and before is not None and torch.equal(before, steepest):
            raise RuntimeError(
                f"the first step of AdamW (lr {rate:g}, gradient norm {norm:g}) did not move the parameters of the "
                "largest gradient; is the policy's graph detached from them, or the learning rate too small for their "
                "precision?"
            )
        return norm


def _steepness(parameter: torch.nn.Parameter) -> float:
    return 0.0 if parameter.grad is None else parameter.grad.abs().max().item()
