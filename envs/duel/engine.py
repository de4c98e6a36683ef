"""Plays a problem for B rows at once: prompts, oracle calls, verdicts, budget. The Gymnasium classes wrap it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from duelbench.duels.preference import REWARD_OF_VERDICT, Feedback
from duelbench.envs.duel.feedback.delay import Delay
from duelbench.envs.duel.problem import InvalidActionError, Problem, Settled
from duelbench.types import Verdict

Identical = Literal["tie", "ask", "skip", "error"]
Duel = tuple[str, str, str]
"""Prompt, first and second response."""
_MOST_PAIRS = 400  # of arms, whose answers are worked out ahead
_SKIPPED = int(Verdict.SKIPPED)  # comparing an array with a member of an enum takes longer than a duel
Answered = tuple[NDArray[np.float64], NDArray[np.int8]]
"""The oracle's P(first preferred), NaN where it failed, and the verdicts, (n,) each."""


class AnswerStore(Protocol):
    """Holds the answers of earlier duels, so that a run that goes on buys none of them twice."""

    def answers(self, numbers: Sequence[int], duels: Sequence[Duel], ask: Callable[[list[int]], Answered]) -> Answered:
        """The answers to n duels; new ones are durable before this returns.

        Args:
            numbers: numbers of the duels within their run, (n,).
            duels: what is compared, (n,).
            ask: asks the oracle for the duels at some places of the batch; called for those that are not held, each
                once, all together or in portions.
        """
        ...


class Engine:
    """B rows of duels in lock-step.

    Row b draws its prompts and its noise from its own generator in fixed blocks: the k-th duel of a row meets the
    same prompt and the same noise whatever was answered before, which makes agents comparable under one seed and
    lets a run start again at any duel.

    Args:
        problem: what is played.
        rows: B.
        horizon: label budget of a row.
        feedback: how probabilities become verdicts.
        identical: what a pair of identical responses does: ``tie`` (0.5, one label of the budget, oracle not asked),
            ``ask`` (the oracle is asked), ``skip`` (no label; the next prompt comes), ``error``.
        delay: when answers come; None: at once.
    """

    def __init__(
        self,
        problem: Problem,
        rows: int,
        horizon: int,
        feedback: Feedback,
        identical: Identical = "skip",
        delay: Delay | None = None,
    ) -> None:
        if horizon < 2:
            raise ValueError(f"horizon is the label budget of an episode and must be at least 2, got {horizon}")
        if identical not in ("tie", "ask", "skip", "error"):
            raise ValueError(f"identical must be 'tie', 'ask', 'skip' or 'error', got {identical!r}")
        self.problem, self.rows, self.horizon = problem, rows, horizon
        self.feedback, self.identical, self.delay = feedback, identical, delay
        self.store: AnswerStore | None = None
        self.round = 0
        self.labels = np.zeros(rows, np.int64)
        self.abstaining = np.zeros(rows, bool)
        self._everyone = np.ones(rows, bool)
        problem.make_room(rows)
        self._ids = np.zeros((rows, problem.block), np.int64)
        self._noise = np.zeros((rows, problem.block, 2))
        self._all_rows = np.arange(rows)
        self._starts = self._all_rows * problem.block
        self._counters = np.stack([self._starts, self._starts])  # both move on in one addition
        self._duels[:] = 0
        self._rounds_left = 0  # no row can reach the end of its block within this many rounds
        self._ahead: NDArray[np.int8] | None = None
        self._settled = isinstance(problem, Settled) and problem.settled and problem.arms**2 <= _MOST_PAIRS
        if delay is not None:
            delay.make_room(rows)

    def reset(self, row: int, rng: np.random.Generator, start: int = 0, instance: int | None = None) -> None:
        """Begin a row's episode at its ``start``-th duel, on the problem instance of that number."""
        self.problem.begin(row, rng, instance)
        for _ in range(start // self.problem.block + 1):
            self._draw(row, rng)
        self._place[row] = self._starts[row] + start % self.problem.block
        self._rounds_left = 0
        self._duels[row] = start
        self.labels[row] = 0
        if self.delay is not None:
            self.delay.begin(row, rng)

    @property
    def _place(self) -> NDArray[np.int64]:
        """Places of the rows' next duels in the flattened blocks, (B,): no attribute, for a copy would be no view."""
        return self._counters[0]

    @property
    def _duels(self) -> NDArray[np.int64]:
        """Numbers of the rows' next duels in their episodes, those before an episode's start included, (B,)."""
        return self._counters[1]

    @property
    def prompt_ids(self) -> NDArray[np.int64]:
        """The prompt each row is at, (B,)."""
        return self._ids.reshape(-1).take(self._place)

    def step(
        self, actions: Any, rngs: Sequence[np.random.Generator], live: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
        """Ask the oracle and move on.

        Args:
            actions: batched actions.
            rngs: the rows' generators, for the next blocks.
            live: rows that play, (B,); the others are left as they are.

        Returns:
            Verdict codes (B,) and whether the row's budget is spent (B,).
        """
        firsts, seconds = self.problem.split(actions)
        if len(firsts) != self.rows:
            raise InvalidActionError(
                f"expected {self.rows} duels, one for each row, got {len(firsts)}; no label was used"
            )
        return self.play(firsts, seconds, rngs, live), self.labels >= self.horizon

    def play(
        self,
        firsts: NDArray[Any],
        seconds: NDArray[Any],
        rngs: Sequence[np.random.Generator],
        live: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int8]:
        """As ``step``, of actions that are split and checked; the verdict codes alone, (B,)."""
        asking = live
        if np.count_nonzero(self.abstaining):
            asking = ~self.abstaining if live is None else live & ~self.abstaining
        verdicts = self._answer(firsts, seconds, asking)
        if asking is not live:  # a step that failed has not used up that they abstain
            self.abstaining[:] = False
        self.labels += verdicts != _SKIPPED
        self.round += 1
        if self.delay is not None:
            verdicts = self.delay.hold_back(self._duels, verdicts, self._everyone if live is None else live)
        self._counters += 1 if live is None else live
        self._rounds_left -= 1
        if self._rounds_left < 0:
            self._turn_over(rngs)
        return verdicts

    @property
    def foresees(self) -> bool:
        """Whether ``play_alone`` may be called: a lone row whose every duel is asked, and answered at once."""
        at_once = self.identical == "ask" and self.store is None and self.delay is None
        return self.rows == 1 and self._settled and at_once

    def play_alone(self, first: int, second: int, rngs: Sequence[np.random.Generator]) -> int:
        """As ``play``, of a lone row and arms that are in range; returns the verdict code.

        The answers to all pairs of arms are worked out for a whole block at once, which takes as long as three duels.
        """
        if self._ahead is None:
            self._ahead = self._answers_ahead()
        place, arms = self._counters.item(0), self.problem.arms  # type: ignore[attr-defined]
        verdict: int = self._ahead.item((place * arms + first) * arms + second)
        self.labels += 1
        self.round += 1
        self._counters += 1
        self._rounds_left -= 1
        if self._rounds_left < 0:
            self._turn_over(rngs)
        return verdict

    def _answers_ahead(self) -> NDArray[np.int8]:
        """Verdict codes of all pairs at each place of the lone row's block, (block, K, K)."""
        arms, block = self.problem.arms, self.problem.block  # type: ignore[attr-defined]
        firsts, seconds = (grid.ravel() for grid in np.indices((arms, arms)))
        row, pairs = np.zeros(arms * arms, np.int64), arms * arms
        ties = self.problem.ties(row, firsts, seconds)
        duels = self._counters[1, 0] - self._counters[0, 0] + np.arange(block)
        verdicts = self.feedback.verdicts(
            np.tile(self.problem.preference(row, firsts, seconds), block),
            self._noise[0].repeat(pairs, 0),
            duels.repeat(pairs),
            None if ties is None else np.tile(ties, block),
        )
        return verdicts.reshape(block, arms, arms)

    def _turn_over(self, rngs: Sequence[np.random.Generator]) -> None:
        """Draw the next block of the rows that are at the end of one."""
        for row in np.flatnonzero(self._place - self._starts == self.problem.block).tolist():
            self._draw(row, rngs[row])
            self._place[row] = self._starts[row]
        self._rounds_left = self.problem.block - 1 - int((self._place - self._starts).max())

    @staticmethod
    def reward(verdicts: NDArray[np.int8]) -> NDArray[np.float64]:
        """1.0, 0.5, 0.0, or NaN where there is no answer."""
        return REWARD_OF_VERDICT.take(verdicts)

    def answers(self) -> list[list[tuple[int, float]]]:
        """For each row the answers that fell due in the last step: (number of the duel, reward)."""
        assert self.delay is not None
        due: list[list[tuple[int, float]]] = [[] for _ in range(self.rows)]
        for row, duel, verdict in zip(*(part.tolist() for part in self.delay.arrived), strict=True):
            due[row].append((duel, float(REWARD_OF_VERDICT[verdict])))
        return due

    def _draw(self, row: int, rng: np.random.Generator) -> None:
        self._ids[row] = self.problem.draw(row, rng)
        self._noise[row] = rng.random((self.problem.block, 2))
        self._ahead = None

    def _answer(
        self, firsts: NDArray[Any], seconds: NDArray[Any], asking: NDArray[np.bool_] | None
    ) -> NDArray[np.int8]:
        """Verdicts of the rows that ask, (B,); all of them if ``asking`` is None."""
        if self.identical == "ask" and (asking is None or asking.all()):
            return self._recall_or_ask(self._all_rows, firsts, seconds)
        asking = self._everyone if asking is None else asking
        same = np.asarray(firsts == seconds, bool) & asking
        verdicts = np.full(self.rows, _SKIPPED, np.int8)
        if self.identical == "error" and same.any():
            raise InvalidActionError(
                f"row {int(same.argmax())}: the two responses are identical, and this environment was made with "
                "identical='error'. Propose two different responses."
            )
        asked = np.flatnonzero(asking & ~same if self.identical == "skip" else asking)
        if len(asked):
            verdicts[asked] = self._recall_or_ask(asked, firsts[asked], seconds[asked])
        return verdicts

    def _recall_or_ask(self, rows: NDArray[np.int64], firsts: NDArray[Any], seconds: NDArray[Any]) -> NDArray[np.int8]:
        """Verdicts from the store where it has them, otherwise from the oracle."""
        if self.store is None:
            return self._ask(rows, firsts, seconds)[1]
        ids = self.prompt_ids[rows]
        numbers = (self.round * self.rows + rows).tolist()
        sides = self.problem.texts(ids, firsts), self.problem.texts(ids, seconds)
        duels = list(zip(self.problem.prompt_texts(ids), *sides, strict=True))
        return self.store.answers(numbers, duels, lambda at: self._ask(rows[at], firsts[at], seconds[at]))[1]

    def _ask(self, rows: NDArray[np.int64], firsts: NDArray[Any], seconds: NDArray[Any]) -> Answered:
        """The oracle's probabilities and verdicts; of a pair of identical responses it is asked only if it must be."""
        ids, duels, places = self.prompt_ids, self._duels, self._place
        if rows is not self._all_rows:
            ids, duels, places = ids[rows], duels[rows], places[rows]
        noise = self._noise.reshape(-1, 2).take(places, 0)
        if self.identical != "tie":
            probability = self.problem.preference(ids, firsts, seconds)
            return probability, self.feedback.verdicts(
                probability, noise, duels, self.problem.ties(ids, firsts, seconds)
            )
        tied = np.asarray(firsts == seconds, bool)
        probability = np.full(len(rows), 0.5)
        if not tied.all():
            probability[~tied] = self.problem.preference(ids[~tied], firsts[~tied], seconds[~tied])
        verdicts = self.feedback.verdicts(probability, noise, duels, self.problem.ties(ids, firsts, seconds))
        verdicts[tied] = Verdict.TIE
        return probability, verdicts
