"""Llama-type networks on a CPU: the same function as transformers' model, arranged for many short responses.

What makes it fast: each prompt is encoded once for all its responses; tokens are packed, so that padding costs nothing
outside attention; the vocabulary is looked at only where a response token is predicted; decoding lays the matrices out
for few rows; and the matrix products run in bfloat16 where the CPU multiplies faster in it. The trained weights are the
transformers model's own float32 parameters, which float32 products read in place: nothing is copied, and gradients land
where the optimizer wants them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear
from torch.utils.checkpoint import checkpoint

from duelbench.policies.networks.llama.decoder import LlamaDecoder
from duelbench.policies.networks.llama.kernels import RMSNorm, Rotate, SwiGLU, TokenLogProb, normalise
from duelbench.policies.networks.llama.packing import Packing
from duelbench.policies.networks.llama.weights import Layer, Shape, Weights
from duelbench.policies.networks.network import TokenBatch

Cache = list[tuple[Tensor, Tensor]]

#: Response tokens that are read together where no gradient is wanted, and those whose whole vocabulary is looked at
#: together: few, since fresh memory is slower than the products that fill it.
_READ_TOKENS = 1024
_SCORED_TOKENS = 512


class LlamaNetwork:
    """Scores and decodes with the weights of a ``LlamaForCausalLM``."""

    def __init__(self, model: Any, dtype: torch.dtype, *, checkpointing: bool = False) -> None:
        self.model = model
        self.checkpointing = checkpointing
        config = model.config
        self.hidden_size: int = config.hidden_size
        kv: int = config.num_key_value_heads
        angles = torch.outer(torch.arange(config.max_position_embeddings), model.model.rotary_emb.inv_freq.float())
        self.shape = Shape(
            dtype=dtype,
            eps=config.rms_norm_eps,
            kv=kv,
            groups=config.num_attention_heads // kv,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            turns=torch.polar(torch.ones_like(angles), angles),
        )
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
        """The network as it is now, without low-rank adapters, which nothing trains."""
        copied = type(self)(self.model, self.shape.dtype)
        with torch.no_grad():
            weights = self._weights(adapted=False)
        # What the optimizer moves is copied, once where it is shared: embeddings are often the head, too.
        moving = {p.data_ptr() for p in self.model.parameters() if p.requires_grad}
        copies: dict[int, Tensor] = {}

        def own(tensor: Tensor) -> Tensor:
            place = tensor.data_ptr()
            return copies.setdefault(place, tensor.detach().clone()) if place in moving else tensor.detach()

        layers = [Layer(*map(own, layer)) for layer in weights.layers]
        copied._frozen = Weights(own(weights.embed), layers, own(weights.norm), own(weights.head))
        return copied

    def casting(self) -> AbstractContextManager[None]:
        """Nothing to do: a decoder keeps the weights that it began with."""
        return nullcontext()

    def embeddings(self) -> Tensor:
        """The embedding of every token, (V, d) float32."""
        return self._frozen.embed if self._frozen else self.model.model.embed_tokens.weight

    def weights(self) -> Weights:
        """The matrices, part of the graph where gradients are enabled.

        They are taken anew for every pass: in bfloat16 that costs a few milliseconds, and nothing cheaper can tell that
        copies are stale, since fused optimizers change parameters without raising their version counters.
        """
        return self._frozen or self._weights()

    def _weights(self, *, adapted: bool = True) -> Weights:
        def matrix(module: Any) -> Tensor:
            return _weight(module, adapted=adapted).to(self.shape.dtype)

        model, layers = self.model.model, []
        for layer in model.layers:
            a, m = layer.self_attn, layer.mlp
            layers.append(
                Layer(
                    layer.input_layernorm.weight,
                    matrix(a.q_proj),
                    matrix(a.k_proj),
                    matrix(a.v_proj),
                    matrix(a.o_proj),
                    layer.post_attention_layernorm.weight,
                    matrix(m.gate_proj),
                    matrix(m.up_proj),
                    matrix(m.down_proj),
                )
            )
        return Weights(model.embed_tokens.weight, layers, model.norm.weight, matrix(self.model.lm_head))

    def score(self, batch: TokenBatch, *, features: bool) -> tuple[Tensor, Tensor | None]:
        """One parallel pass over prompts and responses; see ``Network.score``."""
        weights = self.weights()
        if torch.is_grad_enabled():
            return self._score(weights, batch, features)
        portions = batch.portions(_READ_TOKENS)
        log_probs, seen = zip(*(self._score(weights, batch.rows(rows), features) for rows in portions), strict=True)
        back = torch.cat(portions).argsort()
        return torch.cat(log_probs)[back], torch.cat(seen)[back] if features else None

    def _score(self, weights: Weights, batch: TokenBatch, features: bool) -> tuple[Tensor, Tensor | None]:
        order = batch.lengths.argsort(descending=True, stable=True)
        back = order.argsort()
        batch = replace(batch, owner=batch.owner[order], tokens=batch.tokens[order], lengths=batch.lengths[order])
        pack = Packing.of(batch, self.shape.kv, last=features)
        h, _ = self._hidden(weights, pack)
        y = RMSNorm.apply(h.index_select(0, pack.predictors), weights.norm, self.shape.eps, self.shape.dtype)
        per_token = _token_log_probs(y, weights.head, batch.tokens[pack.counted])  # (T,)
        log_probs = per_token.new_zeros(len(order)).index_add(0, pack.rows, per_token)  # (N,)
        return log_probs[back], self._features(h, weights.norm, pack, batch)[back] if features else None

    def _features(self, h: Tensor, norm: Tensor, pack: Packing, batch: TokenBatch) -> Tensor:
        tail = RMSNorm.apply(h[pack.prompt.size :], norm, self.shape.eps, torch.float32)
        last = tail[batch.lengths.cumsum(0) - 1]  # (N, d)
        total = torch.zeros_like(last).index_add_(0, pack.rows, tail)
        return torch.cat([last, total / batch.lengths[:, None]], -1)

    def states(self, batch: TokenBatch) -> Tensor:
        """The final hidden state at every response token, (N, R, d) float32, 0 past the end of a response."""
        order = batch.lengths.argsort(descending=True, stable=True)
        batch = replace(batch, owner=batch.owner[order], tokens=batch.tokens[order], lengths=batch.lengths[order])
        weights, pack = self.weights(), Packing.of(batch, self.shape.kv, last=True)
        h, _ = self._hidden(weights, pack)
        tail = RMSNorm.apply(h[pack.prompt.size :], weights.norm, self.shape.eps, torch.float32)
        padded = tail.new_zeros(*batch.tokens.shape, tail.shape[1]).index_put(pack.counted.nonzero(as_tuple=True), tail)
        return padded[order.argsort()]

    def _hidden(self, weights: Weights, pack: Packing) -> tuple[Tensor, Cache]:
        """The last block's output for every packed token, (T, d) float32, and each layer's prompt keys and values."""
        h = embedding(pack.tokens, weights.embed)
        turns = self.shape.turns[pack.positions]
        cache: Cache = []
        for layer in weights.layers:
            if self.checkpointing and torch.is_grad_enabled():
                h, prompt_kv = checkpoint(self._block, h, layer, turns, pack, use_reentrant=False)
            else:
                h, prompt_kv = self._block(h, layer, turns, pack)
            cache.append(prompt_kv)
        return h, cache

    def _block(self, h: Tensor, layer: Layer, turns: Tensor, pack: Packing) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x = RMSNorm.apply(h, layer.norm, self.shape.eps, self.shape.dtype)
        mixed, prompt_kv = self._attention(layer, x, turns, pack)
        h = h + linear(mixed, layer.out)
        x = RMSNorm.apply(h, layer.second_norm, self.shape.eps, self.shape.dtype)
        return h + linear(SwiGLU.apply(linear(x, layer.gate), linear(x, layer.up)), layer.down), prompt_kv

    def _attention(self, layer: Layer, x: Tensor, turns: Tensor, pack: Packing) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Prompt tokens see their prompt, response tokens their prompt and response: x (T, d) -> (T, kv * g * hd)."""
        q, k = (Rotate.apply(linear(x, m).unflatten(-1, (-1, self.shape.head_dim)), turns) for m in (layer.q, layer.k))
        tables = [table.reshape(len(x) * self.shape.kv, -1) for table in (q, k, linear(x, layer.v))]
        sizes = [part.size * self.shape.kv for part in (pack.prompt, *pack.responses)]
        ours, *theirs = zip(*(table.split(sizes) for table in tables), strict=True)
        q, k, v = (pack.prompt.pad(table) for table in ours)  # (U * kv, P, .)
        mixed = [pack.prompt.unpad(self._attend(q, k, v, pack.prompt.mask))]
        for part, packed in zip(pack.responses, theirs, strict=True):
            q, own_k, own_v = (part.pad(table) for table in packed)  # (n * kv, R, .)
            keys, values = (
                torch.cat([prefix.unflatten(0, (-1, self.shape.kv)).index_select(0, part.owner).flatten(0, 1), own], 1)
                for prefix, own in ((k, own_k), (v, own_v))
            )  # (n * kv, P + R, hd)
            mixed.append(part.unpad(self._attend(q, keys, values, part.mask)))
        return torch.cat(mixed), (k, v)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Softmax attention: q (H, R, g * hd), k and v (H, S, hd), mask (N or 1, 1, R, 1, S) -> (H, R, g * hd)."""
        scores = torch.bmm(q.reshape(len(q), -1, self.shape.head_dim), k.transpose(1, 2))  # (H, R * g, S)
        shape = (-1, self.shape.kv, q.shape[1], self.shape.groups, k.shape[1])
        scaled = torch.add(mask, scores.view(shape), alpha=self.shape.head_dim**-0.5)
        probabilities = scaled.softmax(-1)  # float32: bfloat16 is several times slower here
        return torch.bmm(probabilities.view(scores.shape).to(v.dtype), v).view(q.shape)

    def decoder(self, prompts: Tensor, lengths: Tensor, n: int, steps: int) -> tuple[LlamaDecoder, Tensor]:
        """Read each prompt once, then stand ready to decode n responses to it; see ``Network.decoder``."""
        weights = self.weights()
        nothing = torch.zeros(0, dtype=torch.int64)
        batch = TokenBatch(prompts, lengths, nothing, torch.zeros(0, 1, dtype=torch.int64), nothing)
        h, prefix = self._hidden(weights, Packing.of(batch, self.shape.kv, last=False))
        last = normalise(h[lengths.cumsum(0) - 1], weights.norm, self.shape.eps, self.shape.dtype)
        logits = linear(last, weights.head).float().repeat_interleave(n, 0)
        return LlamaDecoder(self.shape, weights, prefix, lengths, n, steps), logits


def _weight(module: Any, *, adapted: bool) -> Tensor:
    """The matrix of a linear layer, with its low-rank adapter added where it has one and that is asked."""
    if not hasattr(module, "lora_A"):
        return module.weight
    if not adapted:
        return module.base_layer.weight
    (name,) = module.active_adapters
    return module.base_layer.weight + module.scaling[name] * (module.lora_B[name].weight @ module.lora_A[name].weight)


def _token_log_probs(hidden: Tensor, head: Tensor, tokens: Tensor) -> Tensor:
    """log p of each token (T,) from the state that predicts it (T, d)."""
    if torch.is_grad_enabled():
        return TokenLogProb.apply(linear(hidden, head), tokens)
    parts = zip(hidden.split(_SCORED_TOKENS), tokens.split(_SCORED_TOKENS), strict=True)
    return torch.cat([TokenLogProb.apply(linear(states, head), chosen) for states, chosen in parts])
