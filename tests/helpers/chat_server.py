"""A small OpenAI-compatible endpoint on this machine that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(content: Any) -> bytes:
    """The body of an answer."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


@dataclass
class ChatServer:
    """What a server was asked: paths, headers, bodies and by which connection, in order."""

    url: str
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    clients: list[tuple[str, int]] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.bodies]


@contextmanager
def chat_server(answer: Callable[[int, dict[str, Any]], tuple[Any, ...] | None], port: int = 0) -> Iterator[ChatServer]:
    """Serve: ``answer(number of the request, its body)`` gives status, body and perhaps headers, or None to hang up.

    A ``Content-Length`` among the headers may be a lie.
    """
    count = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with count:
                asked.paths.append(self.path)
                asked.clients.append(self.client_address)
                asked.headers.append(dict(self.headers))
                asked.bodies.append(body)
                number = len(asked.bodies) - 1
            answered = answer(number, body)
            if answered is None:
                self.close_connection = True
                return
            headers = {"Content-Length": str(len(answered[1]))} | (answered[2] if len(answered) > 2 else {})
            self.send_response(answered[0])
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answered[1])
            self.close_connection = int(headers["Content-Length"]) > len(answered[1])

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """A client that hung up is no news."""

    server = Server(("127.0.0.1", port), Handler)
    asked = ChatServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
