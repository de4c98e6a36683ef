"""The client: one connection, one session."""

from __future__ import annotations

from typing import Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient

from duelbench.openenv.messages import DuelAction, DuelObservation, DuelState


class DuelClient(EnvClient[DuelAction, DuelObservation, DuelState]):
    """A session with a server of ``python -m duelbench.openenv``; ``DuelClient(url).sync()`` needs no ``await``."""

    def _step_payload(self, action: DuelAction) -> dict[str, Any]:
        sent: dict[str, Any] = action.model_dump()
        return sent

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[DuelObservation]:
        ended = {"reward": payload.get("reward"), "done": payload.get("done", False)}
        return StepResult(observation=DuelObservation(**payload["observation"], **ended), **ended)

    def _parse_state(self, payload: dict[str, Any]) -> DuelState:
        return DuelState(**payload)
