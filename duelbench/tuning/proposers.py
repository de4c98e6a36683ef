"""Language models that are asked for a setting: one loaded here, or one behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from duelbench.model_source import resolve_model
from duelbench.wheel_source import Say, UnavailableError

MAX_NEW_TOKENS = 128
TEMPERATURE = 0.7
_PATIENCE_SECONDS = 120.0


class Proposer(Protocol):
    """Answers a question."""

    def __call__(self, question: str, rng: np.random.Generator) -> tuple[str, int]:
        """The answer and the number of its tokens."""
        ...


def make_proposer(name: str, say: Say = lambda text: None) -> Proposer:
    """The model of a name.

    Args:
        name: a model (``duelbench.model_source.resolve_model``), or ``URL#MODEL`` of an OpenAI-compatible endpoint,
            e.g. ``http://localhost:8000/v1#qwen``.
        say: told what takes long.

    Raises:
        ValueError: an endpoint without a model.
        ModelUnavailableError: there is no such model.
    """
    if not name.startswith(("http://", "https://")):
        return LocalModel(resolve_model(name, say))
    url, _, model = name.partition("#")
    if not model:
        raise ValueError(f"an endpoint is given as URL#MODEL, e.g. http://localhost:8000/v1#qwen, got {name!r}")
    return Endpoint(url.rstrip("/"), model)


class LocalModel:
    """A causal language model in this process, asked through its chat template; loaded when it is first asked."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @cached_property
    def _policy(self) -> Any:
        from duelbench.policies.causal_lm import CausalLMPolicy

        return CausalLMPolicy(self.folder, max_new_tokens=MAX_NEW_TOKENS, temperature=TEMPERATURE, features=False)

    def __call__(self, question: str, rng: np.random.Generator) -> tuple[str, int]:
        """One sampled answer."""
        drawn = self._policy.sample({"prompt": (question,)}, 1, rng, reference=True)
        return str(drawn.actions[0, 0]), int(drawn.lengths[0, 0])


class Endpoint:
    """A chat model behind an OpenAI-compatible endpoint; ``OPENAI_API_KEY`` is sent where it is set."""

    def __init__(self, url: str, model: str) -> None:
        self.url, self.model = f"{url}/chat/completions", model

    def __call__(self, question: str, rng: np.random.Generator) -> tuple[str, int]:
        """One sampled answer. The endpoint may take no notice of the seed.

        Raises:
            UnavailableError: nobody answers, or not in the expected form.
        """
        body = {
            "model": self.model, "messages": [{"role": "user", "content": question}], "temperature": TEMPERATURE,
            "max_tokens": MAX_NEW_TOKENS, "seed": int(rng.integers(2**31)),
        }  # fmt: skip
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as reply:
                answer = json.load(reply)
            return answer["choices"][0]["message"]["content"] or "", int(answer["usage"]["completion_tokens"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UnavailableError(
                f"the endpoint {self.url} gave no answer: {error!r}. Nothing is lost: the same command goes on"
            ) from error
