"""A page to label on, served for real, and somebody who answers it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import uvicorn

from duelbench.label.web.server import Server
from duelbench.label.web.serving import _listen

TOKEN = "token-of-the-tests"


class Client:
    """Speaks JSON with a server.

    Args:
        base: ``http://host:port``.
        token: of the server.
    """

    def __init__(self, base: str, token: str = TOKEN) -> None:
        self.base, self.token = base, token

    def send(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, data: bytes | None = None
    ) -> tuple[int, Any]:
        """Status and body of an answer."""
        sent = {"Authorization": f"Bearer {self.token}"} | (
            {} if body is None else {"Content-Type": "application/json"}
        )
        content = data if data is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, content, sent | (headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, _read(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def next(self, annotator: str, wait: float = 20) -> dict[str, Any]:
        status, answer = self.send(f"/api/next?annotator={annotator}&wait={wait}")
        assert status == 200, answer
        return answer

    def answer(self, name: str, annotator: str, verdict: str = "first", **more: Any) -> tuple[int, Any]:
        return self.send("/api/answer", {"id": name, "annotator": annotator, "verdict": verdict, **more})


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def reachable(port: int, seconds: float = 120.0, alive: Callable[[], bool] = lambda: True, path: str = "/") -> bool:
    """Wait until something answers at a port; whether it does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode()


@contextmanager
def served(make: Callable[[], Any], *, grace: float = 0.0, **options: Any) -> Iterator[tuple[Client, Any]]:
    """A server in a thread of its own; by default nobody is given time to take the last answer back."""
    listening = _listen("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with ThreadPoolExecutor(1) as player:
        session = player.submit(make).result()
        stop: list[Callable[[], None]] = []

        async def run() -> None:
            app = Server(session, player, token=TOKEN, grace=grace, **options)
            server = uvicorn.Server(uvicorn.Config(app.app, log_level="error", timeout_graceful_shutdown=1))
            stop.append(lambda: setattr(server, "should_exit", True))
            await server.serve(sockets=[listening])

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            yield Client(base), session
        finally:
            stop[0]()
            thread.join(30)
            listening.close()
            player.submit(session.close).result()
