"""The tensors of a Llama-type network, and what it computes with beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Layer(NamedTuple):
    """One block: matrices in the compute dtype, norms in float32."""

    norm: Tensor  # (d,)
    q: Tensor  # (kv * g * hd, d)
    k: Tensor  # (kv * hd, d)
    v: Tensor  # (kv * hd, d)
    out: Tensor  # (d, kv * g * hd)
    second_norm: Tensor  # (d,)
    gate: Tensor  # (f, d)
    up: Tensor  # (f, d)
    down: Tensor  # (d, f)


class Weights(NamedTuple):
    """Everything a pass needs."""

    embed: Tensor  # (V, d) float32
    layers: list[Layer]
    norm: Tensor  # (d,) float32
    head: Tensor  # (V, d) in the compute dtype

    def for_few_rows(self) -> Weights:
        """The same with the blocks' float32 matrices transposed in memory: few rows then multiply faster."""
        if self.head.dtype != torch.float32:
            return self
        return self._replace(layers=[Layer(*(_column_major(tensor) for tensor in layer)) for layer in self.layers])


@dataclass(frozen=True)
class Shape:
    """What a Llama-type network computes with beside its weights.

    Attributes:
        dtype: of matrix products.
        eps: of the norms.
        kv: key-value heads.
        groups: query heads for each of them.
        head_dim: size of a head.
        turns: rotation of each position, (positions, head_dim / 2) complex64.
    """

    dtype: torch.dtype
    eps: float
    kv: int
    groups: int
    head_dim: int
    turns: Tensor


def _column_major(tensor: Tensor) -> Tensor:
    return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor
