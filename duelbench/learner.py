"""The gradient step on a policy: one batch of preferred and dispreferred responses in, one optimizer step out."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duelbench.losses import LOSSES, xpo_bonus
from duelbench.protocols import Policy
from duelbench.types import Metrics, Responses, concatenate


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is not a finite number. The weights are as they were before the step."""


@dataclass(frozen=True)
class LearnerConfig:
    """How the policy learns from pairs.

    Attributes:
        loss: name of a loss in ``duelbench.losses.LOSSES``.
        beta: the loss's beta; None takes the loss's own default.
        label_smoothing: assumed probability of a flipped label; only for losses that take it (DPO).
        length_average: use log-probabilities per token; only for losses that take it (IPO).
        margin_ratio: the target margin divided by beta; only for losses that take it (SimPO).
        learning_rate: step size of AdamW.
        adam_betas: decay of AdamW's two running moments.
        weight_decay: AdamW's decoupled weight decay.
        clip: largest Euclidean norm of the whole gradient; a longer one is scaled down to it.
        warmup_steps: steps over which the learning rate rises linearly to its value.
    """

    loss: str = "dpo"
    beta: float | None = None
    label_smoothing: float | None = None
    length_average: bool | None = None
    margin_ratio: float | None = None
    learning_rate: float = 1e-4
    adam_betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    clip: float = 1.0
    warmup_steps: int = 0

    def loss_options(self) -> dict[str, Any]:
        """The options that were set, for the loss.

        Raises:
            ValueError: the loss is unknown, or an option is set that it does not take.
        """
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}; known: {', '.join(LOSSES)}")
        names = ("beta", "label_smoothing", "length_average", "margin_ratio")
        options = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if unused := options.keys() - inspect.signature(LOSSES[self.loss]).parameters:
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
        bonus_responses: Responses | None = None,
        bonus_coefficient: float = 0.0,
    ) -> Metrics:
        """One gradient step on the mean loss of n pairs.

        A pair of identical responses, or one of weight 0, adds nothing, but the mean still divides by n. Such a row
        counts for nothing in the bonus either. With no row left the weights stay as they are.

        Args:
            chosen: the preferred responses, shape (n,).
            rejected: the dispreferred responses to the same prompts, shape (n,).
            weights: factor of each pair's loss, (n,); None means 1.
            bonus_responses: samples of the reference for the exploration bonus, shape (n,).
            bonus_coefficient: alpha of ``xpo_bonus``.

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
        parts = [part.rows(kept) for part in (chosen, rejected, bonus_responses) if part is not None]
        log_probs = self.policy.log_probs(concatenate(parts)).split(len(kept))
        losses = self._pair_losses(parts[0], parts[1], log_probs[0], log_probs[1])
        losses = losses * torch.as_tensor(factor[kept], dtype=losses.dtype)
        if bonus_responses is not None:
            losses = losses + xpo_bonus(log_probs[2], coefficient=bonus_coefficient)
        loss = losses.sum() / n
        gradient = self._descend(loss)
        margin = (log_probs[0] - log_probs[1]).detach().numpy() - _reference_gap(parts[0], parts[1])
        return {
            "loss": loss.item(),
            "accuracy": float((margin > 0).mean()),
            "margin": float(margin.mean()),
            "grad_norm": gradient,
            "pairs": float(len(kept)),
        }

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state: nested dicts of tensors and numbers."""
        state = self._optimizer.state_dict()["state"]
        moments = {f"{i}.{name}": tensor.clone() for i, entry in state.items() for name, tensor in entry.items()}
        return {"steps": self.steps, "optimizer": moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        entries: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state["optimizer"].items():
            index, _, name = key.partition(".")
            entries.setdefault(int(index), {})[name] = tensor.clone()
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": entries, "param_groups": groups})
        self.steps = int(state["steps"])

    def _pair_losses(self, chosen: Responses, rejected: Responses, plus: Tensor, minus: Tensor) -> Tensor:
        """The loss of each pair, (n,): the loss function gets the arguments that its signature names."""
        function = LOSSES[self.config.loss]
        arguments = {
            "chosen": plus,
            "rejected": minus,
            "reference_chosen": torch.as_tensor(chosen.reference_log_probs),
            "reference_rejected": torch.as_tensor(rejected.reference_log_probs),
            "lengths_chosen": torch.as_tensor(chosen.lengths),
            "lengths_rejected": torch.as_tensor(rejected.lengths),
        }
        taken = inspect.signature(function).parameters
        return function(**{name: arguments[name] for name in taken if name in arguments}, **self._options)

    def _descend(self, loss: Tensor) -> float:
        """Backward, clip, step; returns the gradient's norm before clipping."""
        if not torch.isfinite(loss):
            raise NonFiniteLossError(f"the {self.config.loss} loss is {loss.item()} at step {self.steps}")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.config.clip, foreach=True).item()
        if not np.isfinite(norm):
            raise NonFiniteLossError(
                f"the gradient of the {self.config.loss} loss has norm {norm} at step {self.steps}"
            )
        warm = min(1.0, (self.steps + 1) / max(1, self.config.warmup_steps))
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.learning_rate * warm
        before = None if self.steps else [p.detach().clone() for p in self._parameters]
        self._optimizer.step()
        self.steps += 1
        if before is not None and all(torch.equal(old, new) for old, new in zip(before, self._parameters, strict=True)):
            raise RuntimeError(
                f"the first step of AdamW (lr {self.config.learning_rate * warm:g}, gradient norm {norm:g}) moved none "
                f"of the {len(self._parameters)} parameters; is the policy's graph detached from them, or the learning "
                "rate too small for their precision?"
            )
        return norm


def _reference_gap(chosen: Responses, rejected: Responses) -> NDArray[np.float32]:
    return chosen.reference_log_probs - rejected.reference_log_probs
