"""Serves a session until its last duel is answered, and goes on where it stood when it is started again."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import uvicorn

from duelbench.errors import UsageError
from duelbench.label.server import Server
from duelbench.label.session import Session

_LINGER_SECONDS = 3.0
"""How long the server stays after the last answer, so that every open page learns of the end."""


def serve(
    make: Callable[[], Session],
    *,
    token: str,
    host: str = "127.0.0.1",
    port: int = 8765,
    guidelines: str = "",
    title: str = "duelbench",
    ready: Callable[[Session, str], None] = lambda session, address: None,
) -> Session:
    """Answer requests until the run is over; returns the closed session.

    Args:
        make: opens the session; called in the thread that plays it.
        token: what every request must bring along.
        host: address to listen at; others than this machine's own are open to the network, without encryption.
        port: 0 takes any that is free.
        guidelines: Markdown beside the questions.
        title: of the page.
        ready: called with the session and the address of the page, once there is an answer there.

    Raises:
        UsageError: the port is taken.
        Exception: whatever stopped the run; the answers are safe.
    """
    listening = _listen(host, port)
    with ThreadPoolExecutor(1, "player") as player:
        session = player.submit(make).result()
        try:
            shown = f"[{host}]" if ":" in host else host
            address = f"http://{shown}:{listening.getsockname()[1]}/#{token}"
            asyncio.run(_run(session, player, listening, token, guidelines, title, lambda: ready(session, address)))
        finally:
            listening.close()
            player.submit(session.close).result()
    return session


async def _run(
    session: Session,
    player: ThreadPoolExecutor,
    listening: socket.socket,
    token: str,
    guidelines: str,
    title: str,
    ready: Callable[[], None],
) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True

    def done() -> None:
        loop.call_later(_LINGER_SECONDS, end)

    app = Server(session, player, token=token, guidelines=guidelines, title=title, done=done)
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
