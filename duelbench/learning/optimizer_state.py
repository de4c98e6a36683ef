"""What an optimizer remembers, as a checkpoint keeps it: nested dicts of tensors with string keys."""

from __future__ import annotations

from typing import Any

import torch


def moments(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    """Copies of the running moments and step counts, by the parameter's number and their name."""
    state = optimizer.state_dict()["state"]
    return {str(i): {name: tensor.clone() for name, tensor in slots.items()} for i, slots in state.items()}


def load_moments(optimizer: torch.optim.Optimizer, state: dict[str, dict[str, Any]]) -> None:
    """Restore what ``moments`` gave."""
    slots = {int(i): {name: tensor.clone() for name, tensor in kept.items()} for i, kept in state.items()}
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
