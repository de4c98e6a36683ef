"""Causal language models without a key-value cache: every step reads the whole text again. Slow, and right for all.

Rows are padded on the right, where a causal model never looks, so that nothing depends on how it treats padding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from duelbench.policies.networks.generic import GenericNetwork
from duelbench.policies.networks.network import Decoder, TokenBatch


class RecomputingNetwork(GenericNetwork):
    """As ``GenericNetwork``, for recurrent models and whatever else keeps no cache of keys and values."""

    def _score(self, batch: TokenBatch, features: bool) -> tuple[Tensor, Tensor | None]:
        starts = batch.prompt_lengths[batch.owner]
        rows = [
            torch.cat([batch.prompts[owner, :start], tokens[:size]])
            for owner, start, tokens, size in zip(batch.owner, starts, batch.tokens, batch.lengths, strict=True)
        ]
        whole = pad_sequence(rows, batch_first=True)  # (N, T)
        width = int(batch.lengths.amax())
        tokens, place = batch.tokens[:, :width], torch.arange(width)
        counted = place < batch.lengths[:, None]  # (N, R)
        at = (starts[:, None] + place).clamp(max=whole.shape[1] - 1)  # where each response token stands
        each = torch.arange(len(rows))[:, None]
        with self._ready():
            output = self.model(input_ids=whole.to(self.model.device), output_hidden_states=features, use_cache=False)
        logits = output.logits[each, at - 1].float()  # (N, R, V)
        chosen = logits.gather(2, tokens[:, :, None].to(logits.device)).squeeze(2) - logits.logsumexp(-1)
        log_probs = chosen.cpu().masked_fill(~counted, 0.0).sum(1)
        if not features:
            return log_probs, None
        hidden = output.hidden_states[-1][each, at].float().cpu()  # (N, R, d)
        last = hidden[each[:, 0], batch.lengths - 1]
        mean = (hidden * counted[:, :, None]).sum(1) / batch.lengths[:, None]
        return log_probs, torch.cat([last, mean], -1)

    def decoder(self, prompts: Tensor, lengths: Tensor, n: int, steps: int) -> tuple[Decoder, Tensor]:
        """Read each prompt, then stand ready to decode n responses to it; see ``Network.decoder``."""
        read = RecomputingDecoder(self.model, self._ready, prompts, lengths)
        logits = read.logits().repeat_interleave(n, 0)
        read.keep(torch.arange(len(prompts)).repeat_interleave(n))
        return read, logits


class RecomputingDecoder:
    """Rows of unfinished responses, each with its prompt in front."""

    def __init__(
        self, model: Any, ready: Callable[[], AbstractContextManager[None]], tokens: Tensor, lengths: Tensor
    ) -> None:
        self.model, self._ready = model, ready
        self.tokens, self.lengths = tokens.to(model.device), lengths.to(model.device)

    def logits(self) -> Tensor:
        """Of each row's next token, (rows, V) float32."""
        with self._ready():
            output = self.model(input_ids=self.tokens, use_cache=False)
        rows = torch.arange(len(self.tokens), device=self.tokens.device)
        return torch.as_tensor(output.logits[rows, self.lengths - 1]).float()

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row; returns the next token's logits, (rows, V) float32."""
        self.tokens = torch.nn.functional.pad(self.tokens, (0, 1))
        self.tokens.scatter_(1, self.lengths[:, None], tokens[:, None])
        self.lengths = self.lengths + 1
        return self.logits()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only, by integer index."""
        self.tokens, self.lengths = self.tokens[rows], self.lengths[rows]
