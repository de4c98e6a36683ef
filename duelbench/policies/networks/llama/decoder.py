"""Token-by-token decoding of a Llama-type network: many short responses to few prompts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear, silu

from duelbench.policies.networks.llama.kernels import normalise, rotate
from duelbench.policies.networks.llama.weights import DecodingLayer, Shape, Weights


class LlamaDecoder:
    """Unfinished responses, n to each of B prompts at first, one row each.

    All responses to a prompt share its keys and values: their queries meet them in one matrix product. A row's own
    keys and values lie in a preallocated cache, which only its own queries meet. It is laid out step by step, so that
    what has been written lies together: products of many rows would otherwise wait for memory at each row.
    """

    def __init__(
        self,
        shape: Shape,
        weights: Weights,
        prefix: list[tuple[Tensor, Tensor]],
        lengths: Tensor,
        n: int,
        steps: int,
    ) -> None:
        self.shape, self.weights, self.steps = shape, weights, steps
        self.layers = [DecodingLayer.of(layer) for layer in weights.layers]
        self.starts = lengths.repeat_interleave(n)  # position of each row's first token
        self.prefix = [(k.transpose(1, 2).float().contiguous(), v.float()) for k, v in prefix]
        width = prefix[0][0].shape[1]
        blocked = torch.arange(width) >= lengths[:, None]  # (B, P)
        self.mask = torch.zeros(blocked.shape).masked_fill_(blocked, -torch.inf).repeat_interleave(shape.kv, 0)[:, None]
        self.time = 0
        size = (steps, len(lengths) * n, shape.kv, shape.head_dim)
        self.cache = [(torch.empty(size), torch.empty(size)) for _ in prefix]
        self.spare = torch.empty(size)  # what a cache is copied to when rows leave: fresh memory is slow
        # Rows of a prompt stand side by side, head by head: (B, kv, n); what leaves keeps its last, unread content.
        places = torch.arange(len(lengths) * shape.kv * n).view(-1, shape.kv, n)
        self.places = places.transpose(1, 2).reshape(-1, shape.kv)  # of each row and head
        self.queries = torch.zeros(places.numel(), shape.groups * shape.head_dim)
        self.shares = torch.zeros(places.numel(), shape.groups * width)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row; returns the next token's logits, (rows, V) float32."""
        shape, dtype = self.shape, self.shape.dtype
        turns = shape.turns[self.starts + self.time]
        h = embedding(tokens, self.weights.embed)
        for index, layer in enumerate(self.layers):
            x = normalise(h, layer.norm, shape.eps, dtype)
            h = h + linear(self._attention(index, layer, x, turns).to(dtype), layer.out)
            x = normalise(h, layer.second_norm, shape.eps, dtype)
            gate, up = linear(x, layer.gate_up).chunk(2, -1)
            h = h + linear(silu(gate).mul_(up), layer.down)
        self.time += 1
        return linear(normalise(h, self.weights.norm, shape.eps, dtype), self.weights.head).float()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, by integer index."""
        self.places, self.starts = self.places[rows], self.starts[rows]
        self.cache = [(self._kept(keys, rows), self._kept(values, rows)) for keys, values in self.cache]

    def _kept(self, cache: Tensor, rows: Tensor) -> Tensor:
        kept = self.spare.flatten()[: cache[:, : len(rows)].numel()].view(-1, len(rows), *cache.shape[2:])
        torch.index_select(cache[: self.time], 1, rows, out=kept[: self.time])
        self.spare = cache
        return kept

    def _attention(self, index: int, layer: DecodingLayer, x: Tensor, turns: Tensor) -> Tensor:
        """One query for each row and head over prompt and own tokens: x (rows, d) -> (rows, kv * g * hd)."""
        shape, rows, end = self.shape, len(x), self.time + 1
        keys, values = self.cache[index]  # (steps, rows, kv, hd)
        prompt_keys, prompt_values = self.prefix[index]  # (B * kv, hd, P), (B * kv, P, hd)
        heads = linear(x, layer.qkv).view(rows, -1, shape.head_dim)
        turned, value = heads.split([shape.kv * (shape.groups + 1), shape.kv], 1)
        q, k = rotate(turned, turns).split([shape.kv * shape.groups, shape.kv], 1)
        q = (q * shape.head_dim**-0.5).view(rows, shape.kv, shape.groups, shape.head_dim)
        keys[self.time], values[self.time] = k, value
        # (rows * kv, end, hd)
        past_keys, past_values = (past[:end].flatten(1, 2).transpose(0, 1) for past in (keys, values))
        own = torch.bmm(q.flatten(0, 1), past_keys.transpose(1, 2)).view(rows, shape.kv, shape.groups, end)
        places = self.places.flatten()
        met = self._meet(self.queries, q, places, prompt_keys, self.mask)  # (rows, kv, g, P)
        shared, own = torch.cat([met, own], -1).softmax(-1).split([met.shape[-1], end], -1)
        mixed = torch.bmm(own.flatten(0, 1), past_values).view(q.shape)
        return (mixed + self._meet(self.shares, shared, places, prompt_values, None)).view(rows, -1)

    def _meet(self, grid: Tensor, rows: Tensor, places: Tensor, prompt: Tensor, mask: Tensor | None) -> Tensor:
        """Rows (rows, kv, g, d) times their own prompt's matrix (B * kv, d, e), plus mask: (rows, kv, g, e)."""
        grid.index_copy_(0, places, rows.reshape(len(places), -1))
        side = grid.view(len(prompt), -1, rows.shape[-1])  # (B * kv, n * g, d)
        product = torch.bmm(side, prompt) if mask is None else torch.baddbmm(mask, side, prompt)
        return product.view(len(grid), -1).index_select(0, places).view(*rows.shape[:-1], -1)
