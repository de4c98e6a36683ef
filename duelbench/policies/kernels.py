"""The few differentiable operations of a Llama block that plain autograd does slowly on a CPU.

Each is one function of tensors with a hand-written backward pass, so that a training step touches memory a few times
where the composition of elementary operations would touch it a dozen times.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RMSNorm(torch.autograd.Function):
    """x / rms(x) over the last axis, in the compute dtype; a norm's weight is folded into the matrix after it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        """x (N, d) float32 -> (N, d) of ``dtype``."""
        inverse = _inverse_rms(x, eps)  # (N, 1)
        ctx.save_for_backward(x, inverse)
        return torch.mul(x, inverse, out=torch.empty_like(x, dtype=dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """dx = (g - y mean(g y)) / rms with y = x / rms."""
        x, inverse = ctx.saved_tensors
        g = gradients[0].float()
        along = torch.einsum("nd,nd->n", g, x)[:, None] * (inverse.pow(3) / x.shape[-1])
        return (g * inverse).sub_(x * along), None, None


def _inverse_rms(x: Tensor, eps: float) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


def normalise(x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """``RMSNorm`` where no gradient is wanted."""
    return torch.mul(x, _inverse_rms(x, eps), out=torch.empty_like(x, dtype=dtype))


class SwiGLU(torch.autograd.Function):
    """silu(gate) * up of a fused (N, 2 f) projection."""

    @staticmethod
    def forward(ctx: Any, fused: Tensor) -> Tensor:
        """Fused (N, 2 f) -> (N, f)."""
        ctx.save_for_backward(fused)
        gate, up = fused.chunk(2, -1)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Both halves of the gradient written into one (N, 2 f) tensor."""
        (fused,) = ctx.saved_tensors
        gate, up = fused.chunk(2, -1)
        out = torch.empty_like(fused)
        left, right = out.chunk(2, -1)
        torch.mul(torch.nn.functional.silu(gate), gradients[0], out=right)
        torch.mul(torch.ops.aten.silu_backward(gradients[0], gate), up, out=left)
        return out


class Rotate(torch.autograd.Function):
    """Rotary position embedding: heads whose rotation pairs lie side by side, times exp(i angle)."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, turns: Tensor) -> Tensor:
        """Heads (N, h, hd), turns complex (N, hd / 2) -> (N, h, hd) of the same dtype."""
        ctx.save_for_backward(turns)
        return rotate(heads, turns).to(heads.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The rotation is linear and orthogonal: turn back."""
        (turns,) = ctx.saved_tensors
        return rotate(gradients[0], turns.conj().resolve_conj()).to(gradients[0].dtype), None


def rotate(heads: Tensor, turns: Tensor) -> Tensor:
    """Heads (N, h, hd) turned by turns, complex64 (N, hd / 2); float32."""
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns[:, None]).flatten(-2)


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
        out = (probabilities * -g).to(ctx.dtype)
        return out.scatter_add_(1, tokens[:, None], g.to(ctx.dtype)), None
