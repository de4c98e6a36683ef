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


class DecodingLayer(NamedTuple):
    """One block with the matrices that read the same input joined: few rows then take few, larger products."""

    norm: Tensor  # (d,)
    qkv: Tensor  # (kv * (g + 2) * hd, d)
    out: Tensor  # (d, kv * g * hd)
    second_norm: Tensor  # (d,)
    gate_up: Tensor  # (2 f, d)
    down: Tensor  # (d, f)

    @classmethod
    def of(cls, layer: Layer) -> DecodingLayer:
        """Copies; float32 matrices are transposed in memory, which few rows multiply faster."""
        qkv, gate_up = torch.cat([layer.q, layer.k, layer.v]), torch.cat([layer.gate, layer.up])
        joined = cls(layer.norm, qkv, layer.out, layer.second_norm, gate_up, layer.down)
        return cls(*map(_column_major, joined)) if qkv.dtype == torch.float32 else joined


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
