"""ISARA: self-alignment from a handful of demonstrations and no label (Guo et al. 2024, arXiv 2401.06785).

The line that every curve over labels should rise above. Each round, for each prompt: retrieve the demonstrations whose
prompts are most alike, let the current policy write a response in their manner, and fine-tune it on what it wrote and
on the demonstrations. A language model reads them as examples before the prompt and is then trained to answer the bare
prompt so. A pool has no one to write: there the sampled response whose features are nearest to the demonstrations' is
imitated, which is retrieval only.

The loop of retrieval, in-context generation and supervised fine-tuning is the paper's, by its abstract and summaries;
likeness of prompts is shared words here. What it knows, stated plainly: for the first k duel prompts, the best stored
response by the oracle's utility. No duel is asked, but the demonstrations are chosen by the oracle that judges.

It needs a model that can follow examples. The embedded one cannot: reading any, it writes next to nothing, learns that,
and ends far below its reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.alignment.base import LearningAgent, Setup, first_column
from duelbench.learning.response_losses import ResponseLoss, likelihood
from duelbench.protocols import FinitePolicy
from duelbench.ranges import Checked, Count, Natural
from duelbench.types import Metrics, Observation, Pair, Responses, concatenate


@dataclass(frozen=True)
class ISARAConfig(Checked):
    """Hyper-parameters of ISARA.

    Attributes:
        demonstrations: k, prompts with a good response that are given.
        shots: demonstrations retrieved for each prompt; the embedded model has room for one.
        rounds: of retrieval, generation and fine-tuning.
        candidates: samples of which the nearest to the demonstrations is imitated, on a pool.
    """

    demonstrations: Count = 8
    shots: Natural = 1
    rounds: Count = 16
    candidates: Count = 8


class ISARA(LearningAgent):
    """Imitates demonstrations and itself, and asks nothing.

    Attributes:
        unlabelled_rounds: after how many rounds its run is over.
    """

    Config = ISARAConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        """As for every learning agent.

        Raises:
            ValueError: the task offers no demonstrations.
        """
        super().__init__(setup, config)
        self.unlabelled_rounds = self.config.rounds
        if setup.demonstrate is None:
            raise ValueError("ISARA learns from demonstrations: it needs a task with stored responses")
        self._observation, self._actions = setup.demonstrate(self.config.demonstrations)
        self._words = [frozenset(prompt.lower().split()) for prompt in self._observation["prompt"]]

    def propose(self, observation: Observation) -> Pair:
        """What it will imitate, next to itself; nothing is asked."""
        imitated = self._generate(observation)
        return Pair(imitated, imitated, np.zeros(len(imitated), bool))

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """One supervised step on the generated responses and the demonstrations."""
        return self.learner.fit(ResponseLoss(concatenate([pair.first, self._demonstrations]), likelihood))

    @cached_property
    def _demonstrations(self) -> Responses:
        """The demonstrations as the policy's own kind of responses, (k,)."""
        if isinstance(self.policy, FinitePolicy):
            return self.policy.everything(self._observation).pick(self._actions)
        return self._scored(self._observation["prompt"], self._actions)

    def _generate(self, observation: Observation) -> Responses:
        """A response to each prompt in the manner of the demonstrations retrieved for it, (B,)."""
        shots = self._retrieve(observation["prompt"])
        if isinstance(self.policy, FinitePolicy):
            sampled = self.policy.sample(observation, self.config.candidates, self.rng)
            wanted = self._demonstrations.features[shots].mean(1)  # (B, d)
            distances = np.square(sampled.features - wanted[:, None]).sum(-1)  # (B, M)
            return sampled.pick(distances.argmin(-1))
        examples = self._observation["prompt"]
        prompts = [
            "".join(f"Prompt: {examples[i]}\nResponse: {self._actions[i]}\n\n" for i in row)
            + f"Prompt: {prompt}\nResponse:"
            for row, prompt in zip(shots, observation["prompt"], strict=True)
        ]
        written = self.policy.sample({"prompt": prompts}, 1, self.rng).pick(first_column(observation))
        return self._scored(observation["prompt"], written.actions)

    def _retrieve(self, prompts: tuple[str, ...]) -> NDArray[np.int64]:
        """The demonstrations whose prompts share the largest part of their words with each prompt, (B, shots)."""
        words = [frozenset(prompt.lower().split()) for prompt in prompts]
        likeness = np.array([[len(mine & theirs) / len(mine | theirs) for theirs in self._words] for mine in words])
        nearest: NDArray[np.int64] = np.argsort(-likeness, axis=-1, kind="stable")[:, : self.config.shots]
        return nearest

    def _scored(self, prompts: tuple[str, ...], texts: NDArray[Any]) -> Responses:
        """Texts as responses to bare prompts."""
        scored: Responses = self.policy.score(prompts, [str(text) for text in texts])  # type: ignore[attr-defined]
        return scored
