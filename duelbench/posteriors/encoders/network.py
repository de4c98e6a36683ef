"""What the neural encoders share: encoding in portions, without gradient, with their module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_ROWS_AT_ONCE = 64
"""Responses that are encoded together, about: fresh memory is slower than the products that fill it."""


class NetworkEncoder:
    """Satisfies `duelbench.protocols.TrainableEncoder`, given ``module`` and ``tokens``."""

    name: str
    dim: int
    module: nn.Module

    def tokens(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Any:
        """What ``module`` takes for M responses to each of B prompts."""
        raise NotImplementedError

    def encode(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Tensor:
        """Features of M responses to each of B prompts, (B, M, D) float32 on the CPU, without gradient.

        Raises:
            ValueError: prompts and responses are not equally many, or some prompt has more responses than another.
        """
        widths = sorted({len(row) for row in responses})
        if len(prompts) != len(responses) or len(widths) > 1:
            raise ValueError(
                f"encoder {self.name}: expected equally many responses to each prompt, got {len(prompts)} prompts and "
                f"{len(responses)} rows of {widths} responses"
            )
        if not prompts or not widths[0]:
            return torch.zeros(len(prompts), widths[0] if widths else 0, self.dim)
        step = max(1, _ROWS_AT_ONCE // widths[0])
        was_training = self.module.training
        self.module.eval()
        with torch.no_grad():
            parts = [
                self.module(self.tokens(prompts[i : i + step], responses[i : i + step]))
                for i in range(0, len(prompts), step)
            ]
        self.module.train(was_training)
        return torch.cat(parts).float().cpu().view(len(prompts), widths[0], self.dim)
