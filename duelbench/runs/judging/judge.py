"""Judging what an agent would deploy: on which held-out prompts, against which references, and by whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.envs.duel.problem import AsksOracle, Problem, StoresReferences, Truth
from duelbench.errors import UsageError
from duelbench.oracles import make_oracle
from duelbench.protocols import Oracle, UtilityOracle
from duelbench.records.answers.entries import Purpose
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import JournaledUtilityOracle, is_free, journaled
from duelbench.records.spec import RunSpec
from duelbench.runs.judging.budget import questions_per_duel, size_of
from duelbench.runs.judging.comparing import compared, scored
from duelbench.runs.judging.second import SecondJudge
from duelbench.streams import Streams

SAMPLES_SHOWN = 8

Ids = NDArray[np.int64]


class Judge:
    """Judges responses to the held-out prompts, and keeps count of every question that the run asks.

    A run's oracle judges what it answers duels about, unless the run names another; a second judge sees the same
    responses, where one is named. An oracle that costs something is
    asked through the journal from here on, for duels too.

    Args:
        spec: the run.
        problem: what it plays.
        journal: where answers are kept.

    Attributes:
        ids: the held-out prompts, each as often as it is judged.
        exact: whether the regret of duels is worked out.
    """

    def __init__(self, spec: RunSpec, problem: Problem, journal: Journal) -> None:
        self.problem = problem
        own = oracle_of(problem)
        self._paid = [] if own is None or is_free(own) else [journaled(own, journal)]
        if self._paid and isinstance(problem, AsksOracle):
            problem.oracle = self._paid[0]
        self._asks = next(iter(self._paid), own)
        other = make_oracle(spec.judging.oracle, **spec.judging.oracle_kwargs) if spec.judging.oracle else None
        if other is not None and not is_free(other):
            other = journaled(other, journal, "judge")
            self._paid.append(other)
        self._judge: Oracle | None = other or self._asks
        heldout = problem.heldout_ids()
        self._stored = stored = problem.stored_references if isinstance(problem, StoresReferences) else None
        if stored is None and (spec.judging.oracle or spec.judging.second):
            raise UsageError(
                f"{type(problem).__name__} stores no references that another oracle could compare responses with: "
                "leave out --judge-oracle and --judge-second"
            )
        self._size = size_of(
            spec.judging,
            spec.labels,
            duel_prompts=problem.n_prompts,
            heldout=len(heldout),
            stored=0 if stored is None else stored.shape[1],
            free=self._judge is None or is_free(self._judge),
            utilities=isinstance(self._judge, UtilityOracle),
        )
        self.exact = self._size.exact if other is None else self._asks is None or is_free(self._asks)
        self.points = self._size.points
        rng = Streams(spec.seed).generator("judging")
        self._all = self._size.prompts == len(heldout)
        prompts = heldout if self._all else np.sort(rng.choice(heldout, self._size.prompts, replace=False))
        self.ids = np.tile(prompts, self._size.repeats)
        self.shown = (prompts if len(prompts) else heldout)[:SAMPLES_SHOWN]
        self._columns: Ids | None = None  # (n, R)
        if stored is not None:
            chances = rng.random((len(prompts), stored.shape[1]))
            some = np.sort(chances.argsort(-1)[:, : self._size.references], axis=-1)
            self._columns = np.tile(some, (self._size.repeats, 1))
        self._second = self._second_judge(spec, journal, prompts) if spec.judging.second else None
        # questions that cost nothing, and comparisons for duels
        self._nominal: dict[Purpose, int] = {"duel": 0, "judging": 0}

    def _second_judge(self, spec: RunSpec, journal: Journal, prompts: Ids) -> SecondJudge:
        assert isinstance(self.problem, StoresReferences) and self._stored is not None and spec.judging.second
        oracle = make_oracle(spec.judging.second, **spec.judging.second_kwargs)
        if not is_free(oracle):
            oracle = journaled(oracle, journal, "second")
            self._paid.append(oracle)
        temperature, repeats = self.problem.temperature, self._size.repeats
        return SecondJudge(spec, oracle, self.problem, self._stored, temperature, prompts, repeats)

    @property
    def calls(self) -> dict[Purpose, int]:
        """Questions so far under their purpose."""
        paid = [oracle.calls for oracle in self._paid]
        calls = {purpose: sum(calls[purpose] for calls in [self._nominal, *paid]) for purpose in self._nominal}
        if self._second is not None:
            calls["judging"] += self._second.free_calls
        return calls

    def count_duels(self, ids: Ids, *responses: NDArray[Any]) -> None:
        """Count the questions for the duels that the oracle was asked."""
        by_utility = isinstance(self._asks, UtilityOracle) and getattr(self._asks, "prefers_by_utility", False)
        if by_utility and isinstance(self._asks, JournaledUtilityOracle):  # each text once; recalled from the journal
            for side in responses:
                self._asks.utilities(self.problem.prompt_texts(ids), self.problem.texts(ids, side))
        else:
            self._nominal["duel"] += questions_per_duel(by_utility) * len(ids)

    def knows_the_truth(self, responses: NDArray[Any]) -> bool:
        """Whether utilities are known, and cost nothing."""
        own = self._asks is None or is_free(self._asks)
        return own and self.problem.truth(self.shown[:1], responses[:1]) is not None

    def worth(self, responses: NDArray[Any]) -> list[float]:
        """Utilities of responses to the prompts in ``shown``; empty where they are not known, or cost something."""
        if not self.knows_the_truth(responses):
            return []
        truth = self.problem.truth(self.shown, responses[: len(self.shown)])
        return [] if truth is None else np.asarray(truth.utilities, np.float64).tolist()

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Within it questions judge."""
        for oracle in self._paid:
            oracle.purpose = "judging"
        try:
            yield
        finally:
            for oracle in self._paid:
                oracle.purpose = "duel"

    def judge(self, responses: NDArray[Any], labels: int) -> dict[str, float]:
        """Metrics of responses to the prompts in ``ids``; none of what could not be known.

        Args:
            responses: to each of ``ids``.
            labels: used so far.
        """
        if not len(self.ids):
            return {}
        with self.judging():
            row = self._judged(responses)
            return row if self._second is None else row | self._second.judge(responses, labels)

    def _judged(self, responses: NDArray[Any]) -> dict[str, float]:
        """What the first judge says."""
        truth = self._truth(responses)
        if truth is None:
            return {"offline_win_probability": float(regret.mean_of_known(self._beats_references(responses)))}
        row = {
            "offline_win_rate": truth.win_rate(),
            "offline_win_probability": truth.win_probability(),
            "offline_utility": truth.utilities,
            "simple_regret": regret.simple_regret(truth.best, truth.utilities),
        }
        return {name: float(regret.mean_of_known(values)) for name, values in row.items()}

    def _truth(self, responses: NDArray[Any]) -> Truth | None:
        """Utilities of the responses and of the references they meet; None if the judge has none."""
        if self._judge is self._asks and (self._columns is None or self._free):
            truth = self.problem.truth(self.ids, responses)
            if truth is not None:
                self._count_free(len(self.ids), once=truth.references[: self._prompts].size)
            if truth is None or self._columns is None:
                return truth
            return dataclasses.replace(truth, references=np.take_along_axis(truth.references, self._columns, -1))
        if not isinstance(self._judge, UtilityOracle):
            return None
        assert self._stored is not None
        references = self._references()
        self._count_free(len(self.ids), once=references[: self._prompts].size)
        return scored(
            self._judge,
            self.problem.prompt_texts(self.ids),
            self.problem.texts(self.ids, responses),
            references,
            self.problem.temperature if isinstance(self.problem, StoresReferences) else 1.0,
            all_there_are=references.shape[1] == self._stored.shape[1],
        )

    def _beats_references(self, responses: NDArray[Any]) -> NDArray[np.float64]:
        """P(response ≻ a reference), averaged over the references it meets."""
        if self._columns is None or self._judge is None:
            return self.problem.beats_reference(self.ids, responses)
        references = self._references()
        self._count_free(references.size)
        prompts, texts = self.problem.prompt_texts(self.ids), self.problem.texts(self.ids, responses)
        return compared(self._judge, prompts, texts, references)

    def _references(self) -> NDArray[Any]:
        """Texts of the references that each response meets, (n, R)."""
        assert self._stored is not None and self._columns is not None
        return self._stored[self.ids[:, None], self._columns]

    @property
    def _free(self) -> bool:
        return self._judge is None or is_free(self._judge)

    @property
    def _prompts(self) -> int:
        """Number of prompts that are judged."""
        return self._size.prompts

    def _count_free(self, questions: int, once: int = 0) -> None:
        """Count questions that cost nothing, and those that are asked in the first evaluation alone."""
        if self._free and self._judge is not None:
            self._nominal["judging"] += questions + (0 if self._nominal["judging"] else once)

    def forget_failures(self) -> None:
        """Let an oracle that is back be asked again what it last failed on."""
        for oracle in self._paid:
            oracle.forget_failures()

    def state_dict(self) -> dict[str, Any]:
        """What was counted so far."""
        state = {"nominal": self._nominal, "paid": [oracle.state_dict() for oracle in self._paid]}
        return state if self._second is None else state | {"second": self._second.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._nominal = dict(state["nominal"])
        for oracle, its in zip(self._paid, state["paid"], strict=True):
            oracle.load_state_dict(its)
        if self._second is not None:
            self._second.load_state_dict(state["second"])


def oracle_of(problem: Problem) -> Oracle | None:
    """Who answers the duels of a problem; None where no one is asked, for the answers are known."""
    return problem.oracle if isinstance(problem, AsksOracle) else None


def judge_name(spec: RunSpec, problem: Problem) -> str:
    """Who judges, for people."""
    own = oracle_of(problem)
    return spec.judging.oracle or (type(problem).__name__ if own is None else own.name)
