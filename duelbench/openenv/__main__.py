"""Serve a text environment to OpenEnv clients: ``python -m duelbench.openenv --env LLMDuel-v0``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import tyro
import uvicorn
from openenv.core.env_server.http_server import create_fastapi_app

from duelbench.openenv.environment import DuelEnvironment
from duelbench.openenv.messages import DuelAction, DuelObservation


@dataclass
class Serve:
    """Serve a text environment to OpenEnv clients. Whoever reaches the port can play: by default this machine alone."""

    env: str = "LLMDuel-v0"
    """`LLMDuel-v0` or `LLMDuelPool-v0`."""
    env_options: str = "{}"
    """Arguments of the environment as a JSON object, e.g. `{"task": "questions.csv", "horizon": 100}`."""
    sessions: int = 8
    """Sessions at once, each with an environment of its own."""
    host: str = "127.0.0.1"
    """Address to listen at. Another than this machine's own is open to your network, without encryption."""
    port: int = 8000
    """Port to listen at."""


def app(serve: Serve) -> Any:
    """The web application, after one environment was made, so that a mistake is said before anybody connects."""
    options = json.loads(serve.env_options)

    def make() -> DuelEnvironment:
        return DuelEnvironment(serve.env, **options)

    make().close()
    return create_fastapi_app(make, DuelAction, DuelObservation, max_concurrent_envs=serve.sessions)


def main() -> None:
    """Serve until interrupted."""
    serve = tyro.cli(Serve, description=Serve.__doc__)
    uvicorn.run(app(serve), host=serve.host, port=serve.port, log_level="warning")


if __name__ == "__main__":
    main()
