"""Any causal language model of transformers as a network: padded batches through the model's own forward pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

from duelbench.policies.networks.network import Decoder, TokenBatch

#: What transformers calls the key-value cache: renamed in 5.24.
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"
#: Responses scored together where no gradient is wanted: the logits of all would not fit.
_SCORED_ROWS = 64


class GenericNetwork:
    """Scores and decodes with a transformers causal LM, on the model's device. Prompts are padded on the left.

    Args:
        model: the transformers model; trained weights stay float32.
        precision: of matrix products; below float32 by autocast.
        adapter: peft's wrapper of the model, if it is trained by one.
    """

    def __init__(self, model: Any, precision: torch.dtype = torch.float32, *, adapter: Any = None) -> None:
        self.model, self.precision, self.adapter = model, precision, adapter
        self.hidden_size: int = model.config.get_text_config().hidden_size
        self._without_adapter = False

    def frozen(self) -> Self:
        """The network as it was loaded: the same weights with the adapter off, or a copy that nothing trains."""
        if self.adapter is None:
            return type(self)(copy.deepcopy(self.model).requires_grad_(False), self.precision)
        reference = type(self)(self.model, self.precision, adapter=self.adapter)
        reference._without_adapter = True
        return reference

    def embeddings(self) -> Tensor:
        """The embedding of every token, (V, d)."""
        table: Tensor = self.model.get_input_embeddings().weight.cpu()
        return table

    def recompute_activations(self) -> None:
        """Keep no activations inside a block for the backward pass; compute them again."""
        for block in self.model.modules():
            if isinstance(block, GradientCheckpointingLayer):  # transformers' own switch would turn dropout on
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Autocast, and the adapter off where this is the reference."""
        off = self.adapter.disable_adapter() if self._without_adapter else nullcontext()
        with off, self.casting():
            yield

    @contextmanager
    def casting(self) -> Iterator[None]:
        """Autocast, which forgets the weights that it has cast when the outermost such block ends."""
        lower = self.precision != torch.float32
        with torch.autocast(self.model.device.type, self.precision, enabled=lower):
            yield

    def score(self, batch: TokenBatch, *, features: bool) -> tuple[Tensor, Tensor | None]:
        """One parallel pass over prompts and responses; see ``Network.score``."""
        at_once = len(batch.owner) if torch.is_grad_enabled() else _SCORED_ROWS
        portions = torch.arange(len(batch.owner)).split(at_once)
        parts = [self._score(batch.rows(rows), features) for rows in portions]
        log_probs, seen = zip(*parts, strict=True)
        return torch.cat(log_probs), torch.cat(seen) if features else None

    def _score(self, batch: TokenBatch, features: bool) -> tuple[Tensor, Tensor | None]:
        device = self.model.device
        prompts, valid = _pad_left(batch.prompts, batch.prompt_lengths)
        width = int(batch.lengths.amax())
        tokens = batch.tokens[:, :width]
        counted = torch.arange(width) < batch.lengths[:, None]  # (N, R)
        mask = torch.cat([valid[batch.owner], counted], 1)  # (N, P + R)
        with self._ready():
            output = self.model(
                input_ids=torch.cat([prompts[batch.owner], tokens], 1).to(device),
                attention_mask=mask.long().to(device),
                position_ids=_positions(mask).to(device),
                logits_to_keep=width + 1,
                output_hidden_states=features,
                use_cache=False,
            )
        logits = output.logits[:, -width - 1 : -1].float()  # (N, R, V)
        chosen = logits.gather(2, tokens[:, :, None].to(device)).squeeze(2) - logits.logsumexp(-1)
        log_probs = chosen.cpu().masked_fill(~counted, 0.0).sum(1)
        if not features:
            return log_probs, None
        hidden = output.hidden_states[-1][:, -width:].float().cpu()  # (N, R, d)
        last = hidden[torch.arange(len(hidden)), batch.lengths - 1]
        mean = (hidden * counted[:, :, None]).sum(1) / batch.lengths[:, None]
        return log_probs, torch.cat([last, mean], -1)

    def decoder(self, prompts: Tensor, lengths: Tensor, n: int, steps: int) -> tuple[Decoder, Tensor]:
        """Read each prompt once, then stand ready to decode n responses to it; see ``Network.decoder``."""
        prompts, valid = _pad_left(prompts, lengths)
        mask = valid.long().to(self.model.device)
        with self._ready():
            output = self.model(
                input_ids=prompts.to(self.model.device),
                attention_mask=mask,
                position_ids=_positions(mask),
                logits_to_keep=1,
                use_cache=True,
            )
        cache = output[CACHE]
        cache.batch_repeat_interleave(n)
        decoder = GenericDecoder(self.model, self._ready, cache, mask.repeat_interleave(n, 0))
        return decoder, output.logits[:, -1].float().repeat_interleave(n, 0)


class GenericDecoder:
    """Rows of unfinished responses with transformers' own cache."""

    def __init__(self, model: Any, ready: Callable[[], AbstractContextManager[None]], cache: Any, mask: Tensor) -> None:
        self.model, self._ready = model, ready
        self.cache, self.mask = cache, mask  # mask (rows, P + steps so far)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row; returns the next token's logits, (rows, V) float32."""
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        with self._ready():
            output = self.model(
                input_ids=tokens[:, None],
                attention_mask=self.mask,
                position_ids=self.mask.sum(1, keepdim=True) - 1,
                use_cache=True,
                **{CACHE: self.cache},
            )
        return output.logits[:, -1].float()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, by integer index."""
        self.mask = self.mask[rows]
        self.cache.batch_select_indices(rows)


def _pad_left(tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Right-padded tokens (B, P) moved to the right edge, and which places hold a token."""
    place = torch.arange(tokens.shape[1]) - (tokens.shape[1] - lengths)[:, None]
    return tokens.gather(1, place.clamp(min=0)), place >= 0


def _positions(mask: Tensor) -> Tensor:
    return (mask.long().cumsum(1) - 1).clamp(min=0)
