"""A chat model behind an OpenAI-compatible HTTP endpoint: a hosted one, or vLLM, llama.cpp or Ollama on a machine.

A prompt is one POST of ``{"model", "messages", "max_tokens", "temperature"}`` to ``<url>/chat/completions``, its answer
``choices[0].message.content``. The key, if the endpoint wants one, is read from the environment variable
``OPENAI_API_KEY`` (or another, ``Connection.key_variable``) when it is sent, and written nowhere.

Several prompts go out at once over one pool of connections. A busy or unreachable endpoint is asked again after a pause
that grows, with jitter, and is at least as long as the endpoint itself asks for (``Retry-After``); nobody else is sent
there meanwhile. What no patience helps against, a refusal, is not repeated.
"""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from duelbench.assets.wheel_source import UnavailableError
from duelbench.chat.pacing import Pace, seconds_asked_for
from duelbench.errors import install

try:
    import httpx
    import tenacity
except ModuleNotFoundError as error:  # pragma: no cover
    raise ModuleNotFoundError(f"talking to an endpoint takes httpx and tenacity: {install('http')}") from error

_LATER = frozenset({408, 409, 425, 429})
"""Refusals that may be an answer later; so may every error of the server's own, from 500 up."""
_SHOWN = 200  # characters of a refusal
_LARGEST = 16 * 2**20  # bytes of an answer


class EndpointError(UnavailableError):
    """The endpoint refused, cannot be reached, or answered with something that is no answer."""


class _Busy(Exception):
    """Worth another attempt, not before some seconds are over."""

    def __init__(self, said: str, wait: float = 0.0) -> None:
        super().__init__(said)
        self.wait = wait


@dataclass(frozen=True)
class Connection:
    """How an endpoint is reached. None of it decides what the answers are.

    Attributes:
        concurrency: requests under way at once, at most.
        per_minute: requests begun in a minute, at most; None for no limit of ours.
        timeout: seconds that one request may take in all.
        attempts: requests before a busy or unreachable endpoint is given up.
        pause: seconds before the second attempt, about twice as many before each further one.
        longest_pause: seconds; an endpoint that asks for a longer one is given up at once.
        key_variable: environment variable with the key.
    """

    concurrency: int = 8
    per_minute: float | None = None
    timeout: float = 60.0
    attempts: int = 6
    pause: float = 1.0
    longest_pause: float = 120.0
    key_variable: str = "OPENAI_API_KEY"

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("attempts", 1), ("pause", 0), ("longest_pause", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"connection.{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("timeout", "per_minute"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"connection.{name} must be positive, got {value}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back to one prompt: a text, or why there is none.

    Attributes:
        text: the answer; None where there is none.
        failure: why there is none.
        read: tokens of the prompt, as far as the endpoint says.
        written: tokens of the answer, likewise.
        ended: when the last attempt ended, on the process's own clock.
    """

    text: str | None
    failure: str = ""
    read: int = 0
    written: int = 0
    ended: float = field(default_factory=time.monotonic)


class ChatEndpoint:
    """Texts in, texts out, one request each.

    Args:
        url: up to and including the version, as in ``http://localhost:8000/v1``.
        model: as the endpoint calls it.
        max_new_tokens: the most tokens of an answer.
        temperature: of sampling; 0 takes the likeliest token.
        connection: how the endpoint is reached.

    Attributes:
        generated_tokens: of all answers so far, as far as the endpoint says.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        connection: Connection | None = None,
    ) -> None:
        try:
            right = httpx.URL(url).scheme in ("http", "https") and httpx.URL(url).host
        except httpx.InvalidURL:
            right = False
        if not right:
            raise ValueError(f"expected an endpoint such as http://localhost:8000/v1, got {url!r}")
        self.url = url.rstrip("/") + "/chat/completions"
        self.model, self.max_new_tokens, self.temperature = model, max_new_tokens, temperature
        self.connection = connection or Connection()
        self.generated_tokens = 0
        self._pace = Pace(self.connection.per_minute)

    @property
    def requests(self) -> int:
        """HTTP requests so far, repeated ones included."""
        return self._pace.begun

    def complete(self, prompts: Sequence[str], rng: np.random.Generator) -> list[str]:
        """An answer to each prompt; sampled ones are asked for with a seed from the generator.

        Raises:
            EndpointError: saying what came back, if a prompt got no answer.
        """
        seeds = rng.integers(2**31, size=len(prompts)).tolist() if self.temperature else []
        replies = self.ask(prompts, seeds)
        for reply in replies:
            if reply.text is None:
                raise EndpointError(reply.failure)
        return [reply.text or "" for reply in replies]

    def ask(self, prompts: Sequence[str], seeds: Sequence[int] = ()) -> list[Reply]:
        """What comes back to each prompt, in their order; one that fails costs the others nothing.

        Args:
            prompts: n texts.
            seeds: of sampling, one for each; none at temperature 0.
        """
        bodies = [self._body(prompt, seeds[k] if len(seeds) else None) for k, prompt in enumerate(prompts)]
        interrupted = threading.Event()
        with ThreadPoolExecutor(max(1, min(self.connection.concurrency, len(bodies)))) as pool:
            try:
                replies = list(pool.map(lambda body: self._reply(body, interrupted), bodies))
            except BaseException:  # Ctrl-C: what is under way ends, nothing more begins
                interrupted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self.generated_tokens += sum(reply.written for reply in replies)
        return replies

    def _body(self, prompt: str, seed: int | None) -> bytes:
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": self.max_new_tokens,
            "temperature": self.temperature,
        }
        if seed is not None:
            asked["seed"] = seed
        return json.dumps(asked).encode()

    def _reply(self, body: bytes, interrupted: threading.Event) -> Reply:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Busy),
            stop=tenacity.stop_after_attempt(self.connection.attempts) | tenacity.stop_when_event_set(interrupted),
            wait=self._wait,
            sleep=tenacity.sleep_using_event(interrupted),
            reraise=True,
        )
        try:
            return attempts(self._attempt, body)
        except _Busy as error:
            tried = f"{self.connection.attempts} attempt{'s' if self.connection.attempts > 1 else ''}"
            return Reply(None, f"{self.url} gave no answer in {tried}, at last {error}")
        except EndpointError as error:
            return Reply(None, str(error))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next attempt: between half of and the whole of a pause that doubles."""
        assert state.outcome is not None
        error: Any = state.outcome.exception()
        pause = min(self.connection.pause * 2.0 ** (state.attempt_number - 1), self.connection.longest_pause)
        return max(error.wait, tenacity.wait_random(0.5 * pause, pause)(state))

    def _attempt(self, body: bytes) -> Reply:
        """One request.

        Raises:
            _Busy: it may help to ask again.
            EndpointError: it will not.
        """
        self._pace.wait()
        try:
            status, headers, answer = self._post(body)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _Busy(f"{type(error).__name__}: {error}") from error
        if status == httpx.codes.OK:
            return self._read(answer)
        failure = f"status {status}: {_shown(answer)}"
        if status not in _LATER and status < httpx.codes.INTERNAL_SERVER_ERROR:
            raise EndpointError(f"{self.url} refused with {failure}")
        wait = seconds_asked_for(headers.get("retry-after"))
        if wait > self.connection.longest_pause:
            raise EndpointError(f"{self.url} wants to be asked again in {wait:.0f} seconds: {failure}")
        self._pace.hold(wait)
        raise _Busy(failure, wait)

    def _post(self, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and content; a server that sends them drop by drop runs out of time like any other."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.connection.key_variable, "").strip():
            if not (key.isascii() and key.isprintable()):
                raise EndpointError(f"the key in {self.connection.key_variable} holds characters that no header takes")
            headers["Authorization"] = f"Bearer {key}"
        end, content = time.monotonic() + self.connection.timeout, bytearray()
        with self._client.stream("POST", self.url, content=body, headers=headers) as response:
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise EndpointError(f"{self.url} answered with more than {_LARGEST // 2**20} MiB")
                if time.monotonic() > end:
                    raise httpx.ReadTimeout(f"no whole answer in {self.connection.timeout:g} seconds")
        return response.status_code, response.headers, bytes(content)

    @cached_property
    def _client(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=self.connection.concurrency)
        client = httpx.Client(timeout=self.connection.timeout, limits=limits)
        weakref.finalize(self, client.close)
        return client

    def _read(self, answer: bytes) -> Reply:
        try:
            reply = json.loads(answer)
        except ValueError as error:  # cut off on the way
            raise _Busy(f"an answer that is no JSON: {_shown(answer)}") from error
        try:
            content = reply["choices"][0]["message"]["content"]
            usage = reply.get("usage") or {}
            read, written = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise EndpointError(f"{self.url} answered no chat completion: {_shown(answer)}") from error
        if not isinstance(content, str):
            raise EndpointError(f"{self.url} answered without a text: {_shown(answer)}")
        return Reply(content, "", read, written)


def _shown(answer: bytes) -> str:
    return repr(answer.decode("utf-8", "replace")[:_SHOWN])
