"""A causal language model that answers prompts and is not trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from duelbench.assets.model_source import resolve_model
from duelbench.policies.loading import load
from duelbench.policies.networks.network import TokenBatch
from duelbench.policies.samplers.own import OwnSampler
from duelbench.policies.tokens import Tokens


class LocalChat:
    """Texts in, texts out, through the model's chat template where it has one.

    Args:
        model: as ``duelbench.assets.model_source.resolve_model`` takes it.
        max_new_tokens: the most tokens of an answer.
        temperature: of sampling; 0 takes the likeliest token.
    """

    def __init__(self, model: str, *, max_new_tokens: int, temperature: float = 0.0) -> None:
        loaded = load(
            resolve_model(model), dtype="auto", device="auto", lora_rank=0, lora_alpha=None, checkpointing=False
        )
        self.generated_tokens = 0
        self._network, self._greedy = loaded.reference, temperature == 0
        self._tokens = Tokens(loaded.tokenizer, loaded.model, None, max_new_tokens)
        self._sampler = OwnSampler(
            self._network,
            self._network,
            self._tokens.end,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
        )

    def complete(self, prompts: Sequence[str], rng: np.random.Generator) -> list[str]:
        """An answer to each prompt."""
        tokens, lengths = self._tokens.prompts(prompts)
        drawn = self._sampler.draw(tokens, lengths, 1, rng, reference=True, greedy=self._greedy)
        self.generated_tokens += int(drawn.lengths.sum())
        return self._tokens.texts(drawn.tokens, drawn.lengths)

    def log_likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> NDArray[np.float64]:
        """Log-probability of each answer, its end included, to each of n prompts, (n, A)."""
        owner = torch.arange(len(prompts)).repeat_interleave(len(answers))
        batch = TokenBatch(*self._tokens.prompts(prompts), owner, *self._tokens.responses(list(answers) * len(prompts)))
        with torch.no_grad():
            scores, _ = self._network.score(batch, features=False)
        return scores.double().numpy().reshape(len(prompts), len(answers))
