"""What travels between an OpenEnv client and the server."""

from __future__ import annotations

from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field


class DuelAction(Action):
    """A duel: two responses to the prompt, texts on ``LLMDuel-v0`` and numbers of stored ones on ``LLMDuelPool-v0``."""

    first: int | str = Field(description="the first response")
    second: int | str = Field(description="the second response")


class DuelObservation(Observation):
    """The prompt to answer next, and what came of the last duel.

    ``reward`` is the feedback itself: 1 where the first response was preferred, 0 where the second was, 0.5 for a tie,
    and nothing where there is no answer. Nothing in it tells more than an honest learner may know.
    """

    prompt: str = Field(description="to be answered next")
    prompt_id: int = Field(ge=0, description="its number in the task")
    verdict: str | None = Field(None, description="first, second, tie, invalid or skipped; nothing at first")


class DuelState(State):
    """Where an episode stands."""

    labels: int = Field(0, ge=0, description="labels used so far")
    horizon: int = Field(0, ge=0, description="labels of an episode")
