"""The `lm` encoder: what a frozen causal language model sees in its own responses. The cold start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from duelbench.assets.model_source import resolve_model
from duelbench.policies.causal_lm import CausalLMPolicy


class LanguageModelEncoder:
    """A causal language model's features of given texts, the ones that `CausalLMPolicy` has of what it samples.

    A policy with ``features="lm"`` computes them beside the log-probabilities of its reference and needs no encoder.

    Args:
        model: a packaged name, a local folder or a hub id.
        max_new_tokens: what is read of a response.
    """

    def __init__(self, model: str = "tiny", *, max_new_tokens: int = 32) -> None:
        self.name = f"lm:{model}"
        self._policy = CausalLMPolicy(resolve_model(model), max_new_tokens=max_new_tokens)
        self.dim = self._policy.feature_dim

    def encode(self, prompts: Sequence[str], responses: Sequence[Sequence[str]]) -> Tensor:
        """Features of M responses to each of B prompts, (B, M, D) float32."""
        rows = [
            torch.from_numpy(self._policy.score([prompt] * len(texts), texts).features)
            for prompt, texts in zip(prompts, responses, strict=True)
        ]
        return torch.stack(rows) if rows else torch.zeros(0, 0, self.dim)
