"""A second judge, whom nobody learns from: who games the taste of the first loses by the second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.envs.duel.problem import Problem
from duelbench.protocols import Oracle, UtilityOracle
from duelbench.records.answers.journaled_oracle import is_free
from duelbench.records.spec import RunSpec
from duelbench.runs.judging.budget import size_of
from duelbench.runs.judging.comparing import compared, scored
from duelbench.runs.judging.schedule import passed
from duelbench.streams import Streams

Ids = NDArray[np.int64]


class SecondJudge:
    """Judges the responses that the first judge is shown anyway, or some of them where its answers cost something.

    Nothing is generated for it, and which of them it sees disturbs no other random draw.

    Args:
        spec: the run.
        oracle: who judges; one that costs something asks through the journal.
        problem: what is played.
        stored: texts of the stored references, (P + H, N).
        temperature: of the preference between a response and a reference.
        prompts: those that the first judge is shown, each once.
        repeats: responses to each of them.
    """

    def __init__(
        self,
        spec: RunSpec,
        oracle: Oracle,
        problem: Problem,
        stored: NDArray[Any],
        temperature: float,
        prompts: Ids,
        repeats: int,
    ) -> None:
        self._oracle, self._problem, self._stored, self._temperature = oracle, problem, stored, temperature
        n, free = len(prompts), is_free(oracle)
        size = size_of(
            spec.judging,
            spec.labels,
            duel_prompts=0,  # the regret of duels is no matter of a second judge
            heldout=n,
            stored=stored.shape[1],
            free=free,
            utilities=isinstance(oracle, UtilityOracle),
        )
        rng = Streams(spec.seed).generator("judging/second")
        some = np.sort(rng.choice(n, size.prompts, replace=False)) if size.prompts < n else np.arange(n)
        chances = rng.random((len(some), stored.shape[1]))
        columns = np.sort(chances.argsort(-1)[:, : size.references], axis=-1)
        repeats = min(repeats, size.repeats)
        self._rows = np.concatenate([some + n * repeat for repeat in range(repeats)])
        self._ids = np.tile(prompts[some], repeats)  # (n,)
        self._references = stored[self._ids[:, None], np.tile(columns, (repeats, 1))]  # (n, R)
        self._points, self._free, self._once = size.points, free, len(some) * size.references
        self._judged = self._calls = 0

    @property
    def free_calls(self) -> int:
        """Questions so far that cost nothing; the journal counts the others."""
        return self._calls

    def judge(self, responses: NDArray[Any], labels: int) -> dict[str, float]:
        """Metrics of the responses that the first judge is shown; none between two points of the schedule.

        Args:
            responses: to all prompts and repeats of the first judge.
            labels: used so far.
        """
        before, self._judged = self._judged, passed(self._points, labels)
        if self._judged == before or not len(self._ids):
            return {}
        texts = self._problem.texts(self._ids, responses[self._rows])
        prompts = self._problem.prompt_texts(self._ids)
        if not isinstance(self._oracle, UtilityOracle):
            self._count(self._references.size)
            row = {"second_win_probability": compared(self._oracle, prompts, texts, self._references)}
        else:
            self._count(len(texts), once=self._once)
            truth = scored(self._oracle, prompts, texts, self._references, self._temperature, all_there_are=False)
            row = {
                "second_win_rate": truth.win_rate(),
                "second_win_probability": truth.win_probability(),
                "second_utility": truth.utilities,
            }
        return {name: float(regret.mean_of_known(values)) for name, values in row.items()}

    def _count(self, questions: int, once: int = 0) -> None:
        if self._free:
            self._calls += questions + (0 if self._calls else once)

    def state_dict(self) -> dict[str, int]:
        """How far it has come."""
        return {"judged": self._judged, "calls": self._calls}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore what ``state_dict`` gave."""
        self._judged, self._calls = state["judged"], state["calls"]
