"""Language models that are asked in words: one that runs here, or one behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from duelbench.assets.model_source import resolve_model
from duelbench.assets.wheel_source import Say
from duelbench.ranges import Count, NonNegative, check_values


class Chat(Protocol):
    """Texts in, texts out.

    Attributes:
        generated_tokens: of all answers so far, as far as they are known.
    """

    generated_tokens: int

    def complete(self, prompts: Sequence[str], rng: np.random.Generator) -> list[str]:
        """An answer to each prompt."""
        ...


def make_chat(name: str, *, max_new_tokens: Count, temperature: NonNegative, say: Say = lambda text: None) -> Chat:
    """The model of a name.

    Args:
        name: a model (``duelbench.assets.model_source.resolve_model``), or ``URL#MODEL`` of an OpenAI-compatible
            endpoint, as in ``http://localhost:8000/v1#qwen``.
        max_new_tokens: the most tokens of an answer.
        temperature: of sampling; 0 takes the likeliest token.
        say: told what takes long.

    Raises:
        ValueError: an endpoint without a model.
        ModelUnavailableError: there is no such model.
    """
    check_values(make_chat, {"max_new_tokens": max_new_tokens, "temperature": temperature})
    if is_endpoint(name):
        from duelbench.chat.endpoint import ChatEndpoint

        url, _, model = name.partition("#")
        if not model:
            raise ValueError(f"an endpoint is given as URL#MODEL, as in http://localhost:8000/v1#qwen, got {name!r}")
        return ChatEndpoint(url, model, max_new_tokens=max_new_tokens, temperature=temperature)
    from duelbench.chat.local import LocalChat  # takes torch

    return LocalChat(resolve_model(name, say), max_new_tokens=max_new_tokens, temperature=temperature)


def is_endpoint(name: str) -> bool:
    """Whether a name is that of an endpoint, which gives no likelihoods."""
    return name.startswith(("http://", "https://"))
