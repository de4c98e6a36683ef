"""A language model that learns in context: told of the duels so far, it names the next (after EVOLvE, 2410.06238).

A prompt tells the task, the history and the question. The history is the last duels (``raw``), wins by arm and by pair
(``summary``), or counts, means and upper confidence bounds of the arms (``guided``). Demonstrations of an agent that
knows the best arm may come first. The model's reply is read for two names of arms; a reply without them is counted as a
parse failure and answered by a uniformly random pair. With ``choice="likelihood"`` nothing is read: every pair is
scored by its log-probability as a reply, and the likeliest is played, or a sample at the temperature. No weight is
trained. What is deployed is the empirical Copeland winner, as for the other agents that count.

**Source.** After the idea of EVOLvE; rule stated here. In its code were seen: raw and summarised histories, a guide
with the exploration bonus √(½ ln t / n), few-shot demonstrations, and the uniformly random arm for an answer that names
none. It plays arms with scalar rewards; texts, duels and the choice by likelihood are our own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any, Literal

import numpy as np
from scipy.special import softmax

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids, draw
from duelbench.agents.arms.duel_text import NAMES, History, Told, answer, demonstrate, question, read, tell
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.chat.chat import Chat, is_endpoint, make_chat
from duelbench.ranges import Checked, Count, Natural, NonNegative
from duelbench.types import Observation


@dataclass(frozen=True)
class InContextConfig(Checked):
    """Hyper-parameters.

    Attributes:
        model: packaged name, folder or hub id, or ``URL#MODEL`` of an OpenAI-compatible endpoint
            (``duelbench.chat.chat.make_chat``).
        history: how duels are told.
        window: most recent duels that a raw history tells.
        choice: read the pair from the reply, or take the likeliest pair; an endpoint gives no likelihoods.
        temperature: sampling temperature; 0 is greedy.
        max_new_tokens: the most tokens of a reply.
        demonstrations: how many instances are shown solved before the task.
    """

    model: str = "smollm2-135m"
    history: History = "summary"
    window: Count = 20
    choice: Literal["reply", "likelihood"] = "reply"
    temperature: NonNegative = 0.0
    max_new_tokens: Count = 16
    demonstrations: Natural = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_endpoint(self.model) and self.choice == "likelihood":
            raise ValueError("an endpoint gives no likelihoods: take choice='reply', or a model without an endpoint")


class InContext(MatrixAgent):
    """Asks a language model for the next duel, all rows in one batch.

    Attributes:
        asked: replies that were to be read, in each row.
        failures: those that named no two arms, (S,).
    """

    Config = InContextConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        if setup.arms > len(NAMES):
            raise ValueError(f"in_context has names for {len(NAMES)} arms, and this environment has {setup.arms}")
        self.asked, self.failures = 0, np.zeros(setup.rows)
        self._recent = [deque[tuple[int, int, float]](maxlen=self.config.window) for _ in range(setup.rows)]
        self._pairs = np.array([*combinations_with_replacement(range(setup.arms), 2)])
        how = self.config.history, self.config.window
        self._demonstrations = demonstrate(self.config.demonstrations, setup.arms, *how, self.rng)

    @cached_property
    def chat(self) -> Chat:
        """The model, loaded when it is first asked."""
        c = self.config
        return make_chat(c.model, max_new_tokens=c.max_new_tokens, temperature=c.temperature)

    def propose(self, observation: Observation) -> Duels:
        """The pair that the model names, or finds likeliest."""
        prompts = [self.prompt(row) for row in range(self.setup.rows)]
        return self._likeliest(prompts) if self.config.choice == "likelihood" else self._replied(prompts)

    def prompt(self, row: int) -> str:
        """What the model is asked for a row now."""
        told = Told(self.wins[row], self.played[row], self._recent[row])
        return question(self.setup.arms, tell(told, self.config.history), self._demonstrations)

    def _replied(self, prompts: list[str]) -> Duels:
        firsts = self.rng.integers(self.setup.arms, size=self.setup.rows)  # where a reply cannot be read
        seconds = (firsts + self.rng.integers(1, self.setup.arms, size=self.setup.rows)) % self.setup.arms
        self.asked += 1
        for row, reply in enumerate(self.chat.complete(prompts, self.rng)):
            if (named := read(reply, self.setup.arms)) is None:
                self.failures[row] += 1.0
            else:
                firsts[row], seconds[row] = named
        return firsts, seconds

    def _likeliest(self, prompts: list[str]) -> Duels:
        answers = [answer(first, second) for first, second in self._pairs]
        scores = self.chat.log_likelihoods(prompts, answers)  # type: ignore[attr-defined]  # of a model run here
        temperature = self.config.temperature
        chosen = draw(softmax(scores / temperature, -1), self.rng) if temperature else scores.argmax(-1)
        return self._pairs[chosen, 0], self._pairs[chosen, 1]

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers, and remember the last ones."""
        super().update(observation, firsts, seconds, feedback)
        for row in np.flatnonzero(~np.isnan(feedback)).tolist():
            self._recent[row].append((int(firsts[row]), int(seconds[row]), float(feedback[row])))

    def measures(self) -> dict[str, Floats]:
        """Share of the replies so far that named no two arms."""
        return {"parse_failures": self.failures / max(1, self.asked)} if self.config.choice == "reply" else {}
