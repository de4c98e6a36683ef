"""The few differentiable operations of a Llama block that plain autograd does slowly on a CPU.

Each is one function of tensors with a hand-written backward pass, so that a training step touches memory a few times
where the composition of elementary operations would touch it a dozen times.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RMSNorm(torch.autograd.Function):
    """x / rms(x) times a weight over the last axis, in the compute dtype."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        """x (N, d) and weight (d,) float32 -> (N, d) of ``dtype``."""
        inverse = _inverse_rms(x, eps)  # (N, 1)
        ctx.save_for_backward(x, inverse, weight)
        return _scaled(x, inverse, weight, dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """dx = (g w - y mean(g w y)) / rms and dw = sum(g y), with y = x / rms."""
        x, inverse, weight = ctx.saved_tensors
        g = gradients[0].float()
        y = x * inverse
        gy = g * y
        along = torch.mv(gy, weight)[:, None] / x.shape[-1]  # (N, 1)
        return (g * weight).sub_(y.mul_(along)).mul_(inverse), gy.sum(0), None, None


def _inverse_rms(x: Tensor, eps: float) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


def _scaled(x: Tensor, inverse: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.mul(x * inverse, weight, out=torch.empty_like(x, dtype=dtype))


def normalise(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """``RMSNorm`` where no gradient is wanted."""
    return _scaled(x, _inverse_rms(x, eps), weight, dtype)


class SwiGLU(torch.autograd.Function):
    """silu(gate) * up."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        """Gate and up (N, f) -> (N, f)."""
        ctx.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of gate and up."""
        gate, up = ctx.saved_tensors
        down = torch.nn.functional.silu(gate).mul_(gradients[0])
        return torch.ops.aten.silu_backward(gradients[0] * up, gate), down


class Rotate(torch.autograd.Function):
    """Rotary position embedding: dimension i turns with dimension i + hd / 2 of the same head.

    The result's rotation pairs lie side by side: queries and keys are permuted alike, so their products are the same.
    """

    @staticmethod
    def forward(ctx: Any, heads: Tensor, turns: Tensor) -> Tensor:
        """Heads (N, h, hd), turns complex (N, hd / 2) -> (N, h, hd) of the same dtype."""
        ctx.save_for_backward(turns)
        return rotate(heads, turns).to(heads.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The rotation is linear and orthogonal: turn back."""
        (turns,) = ctx.saved_tensors
        pairs = torch.view_as_complex(gradients[0].float().unflatten(-1, (-1, 2))) * turns.conj()[:, None]
        return torch.cat([pairs.real, pairs.imag], -1).to(gradients[0].dtype), None


def rotate(heads: Tensor, turns: Tensor) -> Tensor:
    """Heads (N, h, hd) turned by turns, complex64 (N, hd / 2), rotation pairs laid side by side; float32."""
    return torch.view_as_real(torch.complex(*heads.float().chunk(2, -1)) * turns[:, None]).flatten(-2)


class Pad(torch.autograd.Function):
    """Packed rows laid out into padded slots; slots that pad hold some other row, to be masked by the caller."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, source: Tensor, home: Tensor) -> Tensor:
        """Packed (N, d), the row of each slot (S,), the slot of each row (N,) -> (S, d)."""
        ctx.save_for_backward(home)
        return packed.index_select(0, source)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Each row takes its own slot's gradient: a gather is much cheaper than adding rows up."""
        (home,) = ctx.saved_tensors
        return gradients[0].index_select(0, home), None, None


class Unpad(torch.autograd.Function):
    """The rows of padded slots, packed again; what padding slots hold gets no gradient."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, home: Tensor) -> Tensor:
        """Padded (S, d), the slot of each row (N,) -> (N, d)."""
        ctx.save_for_backward(home)
        ctx.slots = len(padded)
        return padded.index_select(0, home)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Rows back to their slots, zero elsewhere."""
        (home,) = ctx.saved_tensors
        out = gradients[0].new_zeros(ctx.slots, gradients[0].shape[1])
        return out.index_copy_(0, home, gradients[0]), None


class TokenLogProb(torch.autograd.Function):
    """Log-probability of given tokens, without the full log-softmax."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor) -> Tensor:
        """Logits (T, V), tokens (T,) -> (T,) float32."""
        probabilities = logits.softmax(-1, dtype=torch.float32)
        ctx.save_for_backward(probabilities, tokens)
        ctx.dtype = logits.dtype
        above = logits.gather(1, tokens[:, None]).squeeze(1).float() - logits.amax(-1)  # never underflows
        return above + probabilities.amax(-1).log_()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """(one-hot - softmax) g."""
        probabilities, tokens = ctx.saved_tensors
        g = gradients[0][:, None]
        out = probabilities * -g  # rounded at the end: of a likely token next to nothing is left, which must be right
        return out.scatter_add_(1, tokens[:, None], g).to(ctx.dtype), None
