"""A chat model behind an OpenAI-compatible HTTP endpoint: a hosted one, or vLLM, llama.cpp or Ollama on a machine.

A prompt is one POST of ``{"model", "messages", "max_tokens", "temperature"}`` to ``<url>/chat/completions``, its answer
``choices[0].message.content``. The key, if the endpoint wants one, is read from the environment variable
``OPENAI_API_KEY`` when it is sent, and written nowhere.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from duelbench.assets.wheel_source import UnavailableError

_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500  # and above
_SHOWN = 200  # characters of a refusal


class EndpointError(UnavailableError):
    """The endpoint refused, cannot be reached, or answered with something that is no answer."""


class ChatEndpoint:
    """Texts in, texts out, one request each.

    Args:
        url: up to and including the version, as in ``http://localhost:8000/v1``.
        model: as the endpoint calls it.
        max_new_tokens: the most tokens of an answer.
        temperature: of sampling; 0 takes the likeliest token.
        timeout: seconds that a request may take.
        attempts: requests before a busy or unreachable endpoint is given up.
        pause: seconds before the second attempt, twice as many before each further one.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        timeout: float = 60.0,
        attempts: int = 5,
        pause: float = 1.0,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"expected an endpoint such as http://localhost:8000/v1, got {url!r}")
        self.url = url.rstrip("/") + "/chat/completions"
        self.model, self.max_new_tokens, self.temperature = model, max_new_tokens, temperature
        self.timeout, self.attempts, self.pause = timeout, attempts, pause
        self.generated_tokens = 0

    def complete(self, prompts: Sequence[str], rng: np.random.Generator) -> list[str]:
        """An answer to each prompt; sampled ones are asked for with a seed from the generator.

        Raises:
            EndpointError: saying what came back.
        """
        return [self._complete(prompt, rng) for prompt in prompts]

    def _complete(self, prompt: str, rng: np.random.Generator) -> str:
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": self.max_new_tokens,
            "temperature": self.temperature,
        }
        if self.temperature:
            asked["seed"] = int(rng.integers(2**31))
        answer = self._post(json.dumps(asked).encode())
        try:
            reply = json.loads(answer)
            content = reply["choices"][0]["message"]["content"]
            self.generated_tokens += int((reply.get("usage") or {}).get("completion_tokens", 0))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise EndpointError(f"{self.url} answered no chat completion: {_shown(answer)}") from error
        if not isinstance(content, str):
            raise EndpointError(f"{self.url} answered without a text: {_shown(answer)}")
        return content

    def _post(self, body: bytes) -> bytes:
        """The answer to a request, asked again while the endpoint is busy or out of reach."""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(self._request(body), timeout=self.timeout) as response:
                    answer: bytes = response.read()
                    return answer
            except urllib.error.HTTPError as error:
                with error:
                    failure = f"status {error.code}: {_shown(error.read())}"
                if error.code != _TOO_MANY_REQUESTS and error.code < _SERVER_ERRORS:
                    raise EndpointError(f"{self.url} refused with {failure}") from error
            except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
                failure = f"{type(error).__name__}: {error}"
        raise EndpointError(f"{self.url} gave no answer in {self.attempts} attempts, at last {failure}")

    def _request(self, body: bytes) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        return urllib.request.Request(self.url, body, headers)


def _shown(answer: bytes) -> str:
    return repr(answer.decode("utf-8", "replace")[:_SHOWN])
