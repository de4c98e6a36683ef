"""Serves a questionnaire until its last duel is answered; started again, it goes on where it stood."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvicorn

from duelbench.errors import UsageError
from duelbench.label.questionnaire import Questionnaire
from duelbench.label.web.server import Server

GRACE_SECONDS = 20.0
"""How long the last answers can still be taken back when nothing is left to ask."""
LINGER_SECONDS = 3.0
"""How long the server stays after the end, so that every open page hears of it."""


Asked = TypeVar("Asked", bound=Questionnaire)


@dataclass(frozen=True)
class Page:
    """The page, and where it is served.

    Attributes:
        token: what every request must bring along.
        host: address to listen at; others than this machine's own are open to the network, without encryption.
        port: 0 takes any that is free.
        guidelines: Markdown beside the questions.
        title: of the page.
    """

    token: str
    host: str = "127.0.0.1"
    port: int = 8765
    guidelines: str = ""
    title: str = "duelbench"


def serve(make: Callable[[], Asked], page: Page, ready: Callable[[Asked, str], None]) -> Asked:
    """Answer requests until everything is answered; returns the closed questionnaire.

    Args:
        make: opens the questionnaire; called in the thread in which it goes on.
        page: what is served, and where.
        ready: called with the questionnaire and the address of the page, once there is an answer there.

    Raises:
        UsageError: the port is taken.
        Exception: whatever stopped it; the answers are safe.
    """
    listening = _listen(page.host, page.port)
    with ThreadPoolExecutor(1, "player") as player:
        asked = player.submit(make).result()
        try:
            host = f"[{page.host}]" if ":" in page.host else page.host
            address = f"http://{host}:{listening.getsockname()[1]}/#{page.token}"
            asyncio.run(_run(asked, player, listening, page, lambda: ready(asked, address)))
        finally:
            listening.close()
            player.submit(asked.close).result()
    return asked


async def _run(
    asked: Questionnaire, player: ThreadPoolExecutor, listening: socket.socket, page: Page, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True

    def done() -> None:
        loop.call_later(LINGER_SECONDS, end)

    about = {"token": page.token, "guidelines": page.guidelines, "title": page.title}
    app = Server(asked, player, **about, grace=GRACE_SECONDS, done=done)
    config = uvicorn.Config(
        app.app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False
    )
    server = uvicorn.Server(config)
    ready()
    await server.serve(sockets=[listening])
    if app.error is not None:
        raise app.error


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise UsageError(f"cannot listen at {host}, port {port}: {error}. Choose another with --port") from error
    return listening


def token_of(folder: Path) -> str:
    """The token of an output folder, made when it is wanted first, so that an open page goes on after a restart."""
    path = folder / "label-token"
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="ascii") as made:
            made.write(secrets.token_urlsafe(18))
    token = path.read_text(encoding="ascii").strip()
    if not token:
        raise UsageError(f"{path} is empty: remove it, and a new token is made")
    return token
