"""Any causal language model of transformers as a network: padded batches through the model's own forward pass."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Tensor

from duelbench.policies.network import TokenBatch


class GenericNetwork:
    """Scores and decodes with a transformers causal LM, in float32. Prompts are padded on the left."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.hidden_size: int = model.config.get_text_config().hidden_size

    def frozen(self) -> Self:
        """A copy that nothing trains."""
        return type(self)(copy.deepcopy(self.model).requires_grad_(False))

    def score(self, batch: TokenBatch, *, features: bool) -> tuple[Tensor, Tensor | None]:
        """One parallel pass over prompts and responses; see ``Network.score``."""
        prompts, valid = _pad_left(batch.prompts, batch.prompt_lengths)
        width = int(batch.lengths.amax())
        tokens = batch.tokens[:, :width]
        counted = torch.arange(width) < batch.lengths[:, None]  # (N, R)
        mask = torch.cat([valid[batch.owner], counted], 1)  # (N, P + R)
        output = self.model(
            input_ids=torch.cat([prompts[batch.owner], tokens], 1),
            attention_mask=mask.long(),
            position_ids=_positions(mask),
            logits_to_keep=width + 1,
            output_hidden_states=features,
            use_cache=False,
        )
        logits = output.logits[:, -width - 1 : -1].float()  # (N, R, V)
        chosen = logits.gather(2, tokens[:, :, None]).squeeze(2) - logits.logsumexp(-1)
        log_probs = chosen.masked_fill(~counted, 0.0).sum(1)
        if not features:
            return log_probs, None
        hidden = output.hidden_states[-1][:, -width:]  # (N, R, d)
        last = hidden[torch.arange(len(hidden)), batch.lengths - 1]
        mean = (hidden * counted[:, :, None]).sum(1) / batch.lengths[:, None]
        return log_probs, torch.cat([last, mean], -1)

    def decoder(self, prompts: Tensor, lengths: Tensor, n: int, steps: int) -> tuple[GenericDecoder, Tensor]:
        """Read each prompt once, then stand ready to decode n responses to it; see ``Network.decoder``."""
        prompts, valid = _pad_left(prompts, lengths)
        output = self.model(
            input_ids=prompts,
            attention_mask=valid.long(),
            position_ids=_positions(valid),
            logits_to_keep=1,
            use_cache=True,
        )
        output.past_key_values.batch_repeat_interleave(n)
        decoder = GenericDecoder(self.model, output.past_key_values, valid.long().repeat_interleave(n, 0))
        return decoder, output.logits[:, -1].float().repeat_interleave(n, 0)


class GenericDecoder:
    """Rows of unfinished responses with transformers' own cache."""

    def __init__(self, model: Any, cache: Any, mask: Tensor) -> None:
        self.model, self.cache, self.mask = model, cache, mask  # mask (rows, P + steps so far)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row; returns the next token's logits, (rows, V) float32."""
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        output = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.mask,
            position_ids=self.mask.sum(1, keepdim=True) - 1,
            past_key_values=self.cache,
            use_cache=True,
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
