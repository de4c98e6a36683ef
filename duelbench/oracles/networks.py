"""What the two neural oracles share: device, longest input, padding."""

from __future__ import annotations

from typing import Any

import torch


def pick_device(device: str | None) -> str:
    """The device asked for; else the GPU when there is one, else the CPU."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def longest_input(model: Any, tokenizer: Any, max_length: int) -> int:
    """The most tokens that the caller, the tokenizer and the model's positions all allow."""
    positions = getattr(model.config, "max_position_embeddings", None) or max_length
    return int(min(max_length, positions, tokenizer.model_max_length))


def pad(rows: list[list[int]], fill: int, *, left: bool) -> torch.Tensor:
    """Token lists of several lengths as one (n, longest) tensor, filled up on the left or on the right."""
    width = max(map(len, rows))
    blanks = [[fill] * (width - len(row)) for row in rows]
    return torch.tensor([b + row if left else row + b for row, b in zip(rows, blanks, strict=True)])
