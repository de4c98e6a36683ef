"""Llama-type networks on a CPU: the same function as transformers' model, arranged for many short responses.

What makes it fast: each prompt is encoded once for all its responses; tokens are packed, so that padding costs nothing
outside attention; a norm's weight and the attention scale are folded into the matrices; the vocabulary is looked at
only where a response token is predicted; and the matrix products run in bfloat16 where the CPU has instructions for
it. The trained weights stay the transformers model's own float32 parameters.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear

from duelbench.policies.kernels import RMSNorm, Rotate, SwiGLU, TokenLogProb
from duelbench.policies.llama_decoder import LlamaDecoder
from duelbench.policies.network import TokenBatch
from duelbench.policies.packing import Packing

Cache = list[tuple[Tensor, Tensor]]


class Layer(NamedTuple):
    """The matrices of one block in the compute dtype, input norms folded in."""

    qkv: Tensor  # (kv * (g + 1) * hd + kv * hd, d): for each kv head its g query heads and its key; then the values
    out: Tensor  # (d, kv * g * hd)
    gate_up: Tensor  # (2 f, d)
    down: Tensor  # (d, f)


class Weights(NamedTuple):
    """Everything a pass needs."""

    embed: Tensor  # (V, d) float32
    layers: list[Layer]
    head: Tensor  # (V, d)


class LlamaNetwork:
    """Scores and decodes with the weights of a ``LlamaForCausalLM``."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self.model = model
        self.dtype = dtype
        config = model.config
        self.hidden_size: int = config.hidden_size
        self.eps: float = config.rms_norm_eps
        self.kv: int = config.num_key_value_heads
        self.groups: int = config.num_attention_heads // self.kv
        self.head_dim: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        angles = torch.outer(torch.arange(config.max_position_embeddings), model.model.rotary_emb.inv_freq.float())
        self.turns = torch.polar(torch.ones_like(angles), angles)  # (positions, hd / 2) complex64
        self._frozen: Weights | None = None

    @staticmethod
    def supports(config: Any) -> bool:
        """Whether a model of this configuration computes what this file computes."""
        rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
        return (
            config.model_type == "llama"
            and config.hidden_act == "silu"
            and not (config.attention_bias or config.mlp_bias)
            and rope in ("default", "linear", "llama3")
        )

    def frozen(self) -> Self:
        """A copy that nothing trains; its matrices are folded once."""
        copied = type(self)(copy.deepcopy(self.model).requires_grad_(False), self.dtype)
        copied._frozen = copied._fold()
        return copied

    def weights(self) -> Weights:
        """The folded matrices, part of the graph where gradients are enabled.

        They are folded anew for every pass: that costs a few milliseconds, and nothing cheaper can tell that they
        are stale, since fused optimizers change parameters without raising their version counters.
        """
        return self._frozen or self._fold()

    def _fold(self) -> Weights:
        model, dtype = self.model.model, self.dtype
        layers = []
        for layer in model.layers:
            a, m = layer.self_attn, layer.mlp
            q = self._interleave(a.q_proj.weight * self.head_dim**-0.5, self.groups)  # (kv, g, hd, d)
            k = self._interleave(a.k_proj.weight, 1)
            qkv = torch.cat([torch.cat([q, k], 1).flatten(0, 2), a.v_proj.weight]) * layer.input_layernorm.weight
            gate_up = torch.cat([m.gate_proj.weight, m.up_proj.weight]) * layer.post_attention_layernorm.weight
            folded = (qkv, a.o_proj.weight, gate_up, m.down_proj.weight)
            layers.append(Layer(*(matrix.to(dtype) for matrix in folded)))
        head = (self.model.lm_head.weight * model.norm.weight).to(dtype)
        return Weights(model.embed_tokens.weight, layers, head)

    def _interleave(self, weight: Tensor, heads: int) -> Tensor:
        """Rows of each head reordered from (all first, all second halves) to rotation pairs: (kv, heads, hd, d)."""
        pairs = weight.view(self.kv, heads, 2, self.head_dim // 2, -1)
        return pairs.transpose(2, 3).reshape(self.kv, heads, self.head_dim, -1)

    def score(self, batch: TokenBatch, *, features: bool) -> tuple[Tensor, Tensor | None]:
        """One parallel pass over prompts and responses; see ``Network.score``."""
        weights = self.weights()
        order = batch.lengths.argsort(descending=True, stable=True)
        back = order.argsort()
        batch = replace(batch, owner=batch.owner[order], tokens=batch.tokens[order], lengths=batch.lengths[order])
        pack = Packing.of(batch, self.kv, last=features)
        h, _ = self._hidden(weights, pack)
        y = RMSNorm.apply(h, self.eps, self.dtype)
        logits = linear(y.index_select(0, pack.predictors), weights.head)  # (T, V)
        per_token = TokenLogProb.apply(logits, batch.tokens[pack.counted])
        log_probs = per_token.new_zeros(len(order)).index_add(0, pack.rows, per_token)  # (N,)
        return log_probs[back], self._features(h, pack, batch)[back] if features else None

    def _features(self, h: Tensor, pack: Packing, batch: TokenBatch) -> Tensor:
        tail = RMSNorm.apply(h[pack.prompt.size :], self.eps, torch.float32) * self.model.model.norm.weight
        last = tail[batch.lengths.cumsum(0) - 1]  # (N, d)
        total = torch.zeros_like(last).index_add_(0, pack.rows, tail)
        return torch.cat([last, total / batch.lengths[:, None]], -1)

    def _hidden(self, weights: Weights, pack: Packing) -> tuple[Tensor, Cache]:
        """The last block's output for every packed token, (T, d) float32, and each layer's prompt keys and values."""
        h = embedding(pack.tokens, weights.embed)
        turns = self.turns[pack.positions]
        cache: Cache = []
        for layer in weights.layers:
            mixed, prompt_kv = self._attention(layer, RMSNorm.apply(h, self.eps, self.dtype), turns, pack)
            cache.append(prompt_kv)
            h = h + linear(mixed, layer.out)
            fused = linear(RMSNorm.apply(h, self.eps, self.dtype), layer.gate_up)
            h = h + linear(SwiGLU.apply(fused), layer.down)
        return h, cache

    def _attention(self, layer: Layer, x: Tensor, turns: Tensor, pack: Packing) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Prompt tokens see their prompt, response tokens their prompt and response: x (T, d) -> (T, kv * g * hd)."""
        qk, v = linear(x, layer.qkv).split([self.kv * (self.groups + 1) * self.head_dim, self.kv * self.head_dim], -1)
        qk = Rotate.apply(qk.unflatten(-1, (-1, self.head_dim)), turns)
        q, k = qk.view(len(x), self.kv, self.groups + 1, self.head_dim).split([self.groups, 1], 2)
        tables = [table.reshape(len(x) * self.kv, -1) for table in (q, k, v)]
        sizes = [part.size * self.kv for part in (pack.prompt, *pack.responses)]
        ours, *theirs = zip(*(table.split(sizes) for table in tables), strict=True)
        q, k, v = (pack.prompt.pad(table) for table in ours)  # (U * kv, P, .)
        mixed = [pack.prompt.unpad(self._attend(q, k, v, pack.prompt.mask))]
        for part, packed in zip(pack.responses, theirs, strict=True):
            q, own_k, own_v = (part.pad(table) for table in packed)  # (n * kv, R, .)
            keys, values = (
                torch.cat([prefix.unflatten(0, (-1, self.kv))[part.owner].flatten(0, 1), own], 1)
                for prefix, own in ((k, own_k), (v, own_v))
            )  # (n * kv, P + R, hd)
            mixed.append(part.unpad(self._attend(q, keys, values, part.mask)))
        return torch.cat(mixed), (k, v)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Softmax attention: q (H, R, g * hd), k and v (H, S, hd), mask (N or 1, 1, R, 1, S) -> (H, R, g * hd)."""
        scores = torch.bmm(q.reshape(len(q), -1, self.head_dim), k.transpose(1, 2))  # (H, R * g, S)
        shape = (-1, self.kv, q.shape[1], self.groups, k.shape[1])
        probabilities = (scores.view(shape) + mask).softmax(-1)  # float32: bfloat16 is several times slower here
        return torch.bmm(probabilities.view(scores.shape).to(v.dtype), v).view(q.shape)

    def decoder(self, prompts: Tensor, lengths: Tensor, n: int, steps: int) -> tuple[LlamaDecoder, Tensor]:
        """Read each prompt once, then stand ready to decode n responses to it; see ``Network.decoder``."""
        weights = self.weights()
        nothing = torch.zeros(0, dtype=torch.int64)
        batch = TokenBatch(prompts, lengths, nothing, torch.zeros(0, 1, dtype=torch.int64), nothing)
        h, prefix = self._hidden(weights, Packing.of(batch, self.kv, last=False))
        last = RMSNorm.apply(h[lengths.cumsum(0) - 1], self.eps, self.dtype)
        logits = linear(last, weights.head).float().repeat_interleave(n, 0)
        return LlamaDecoder(self, weights, prefix, lengths, n, steps), logits
