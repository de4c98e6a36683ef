"""Ask and tell: a run whose duels somebody else answers, in any order, at any time, or never."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from duelbench.errors import UsageError
from duelbench.label.checking import Checks
from duelbench.label.desk import Desk, Duel
from duelbench.label.specify import check_spec, people_spec
from duelbench.records.journal import Answer
from duelbench.records.spec import RunSpec
from duelbench.records.votes import Posed, Said, Votes
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.policy_game.game import Game
from duelbench.runs.policy_game.lesson import Lesson, Place
from duelbench.runs.policy_loop import game_of
from duelbench.runs.recording.lock import PATIENCE_SECONDS
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.library import default_folder
from duelbench.types import Verdict

State = Literal["thinking", "asking", "done", "failed"]


class Session:
    """One run of an agent, answered from outside: by people, a program, a judge.

    The agent learns when a round is complete, or when enough of its answers have come, and then proposes the next one.
    Every answer is durable before ``tell`` returns. A session that was killed goes on where it stood when it is opened
    again with the same arguments; with an oracle's own answers its records are those of ``duelbench.run``.

    Args:
        env: environment id, one with texts.
        agent: name, ``package.module:Class``, ``path/to/file.py:Class``, or a class.
        out: output folder; None for ``results/ENV``.
        labels: duels to be answered.
        batch: duels a round.
        seed: of the run.
        model: language model of ``LLMDuel-v0``.
        options: by name, as for ``--set``: ``{"sea.candidates": 8, "env.task": "questions.csv"}``.
        judging: fields of ``duelbench.records.spec.Judging``. By default nothing is judged: people cost too much.
        ahead: duels that may lack their answer when the agent goes on. 0 waits for complete rounds; a whole round lets
            people answer it while the agent learns from the one before, so that it is always a round behind.
        annotators: how many people judge each duel; the majority is the answer.
        lease: seconds after which a duel that is not answered goes to somebody else.
        shuffle: whether the sides change at random from duel to duel.
        checks: hidden repeats and gold pairs.
        spec: the run itself, in place of all arguments from ``env`` to ``judging`` but ``out``.
        command: for the record.
        patience: seconds to wait for another process that has the session open.
        clock: of the lease.

    Raises:
        UsageError: for what does not exist or does not fit together, before anything is asked.
        RunBusyError: another process has this session open.

    >>> import tempfile
    >>> session = Session("LLMDuelPool-v0", "online", out=tempfile.mkdtemp(), labels=6, batch=3)
    >>> while duels := session.ask(3, annotator="ann"):
    ...     for duel in duels:
    ...         session.tell(duel.id, "first" if len(duel.first) < len(duel.second) else "second", seconds=2.5)
    >>> session.finished, session.status()["answered"]
    (True, 6)
    >>> session.close()
    """

    def __init__(
        self,
        env: str = "LLMDuel-v0",
        agent: str | type = "sea",
        *,
        out: str | Path | None = None,
        labels: int | None = None,
        batch: int | None = None,
        seed: int = 0,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
        judging: Mapping[str, Any] | None = None,
        ahead: int = 0,
        annotators: int = 1,
        lease: float = 600.0,
        shuffle: bool = True,
        checks: Checks | None = None,
        spec: RunSpec | None = None,
        command: str = "duelbench (Python)",
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if ahead < 0:
            raise UsageError(f"ahead is a number of duels, at least 0, got {ahead}")
        if spec is None:
            spec = people_spec(
                env, agent, labels=labels, batch=batch, seed=seed, model=model, options=options, judging=judging
            )
        check_spec(spec)
        self.folder = RunFolder.at(default_folder(spec.env) if out is None else Path(out), spec)
        self.spec = resolve(self.folder.spec)
        self.ahead, self._command = ahead, command
        self._open = ExitStack()
        try:
            self._open.enter_context(self.folder.playing(patience))
            votes = Votes(self.folder.path / "journal.sqlite", self.spec.run_id)
            self._open.callback(votes.close)
            self.desk = Desk(votes, annotators=annotators, lease=lease, shuffle=shuffle, checks=checks, clock=clock)
        except BaseException:
            self._open.close()
            raise
        self._game: Game | None = None
        self._rows = self.spec.batch
        self._finished = self.folder.finished
        self._failed = ""

    @property
    def finished(self) -> bool:
        """Whether every duel has its answer, and the agent has learned from all."""
        return self._finished

    def ask(self, n: int = 1, annotator: str = "me") -> list[Duel]:
        """Up to n duels for somebody; first the agent learns and proposes, if that is due.

        What they were given before and have not answered comes again, in the same form. There are none when the run is
        finished, or when all that are left lie before others.
        """
        self.go_on()
        return self.desk.take(annotator, n)

    def tell(self, name: str, said: Said, annotator: str | None = None, seconds: float | None = None) -> None:
        """Answer a duel; durable when this returns.

        Args:
            name: the duel's id.
            said: ``first`` or ``second``, as they were shown; ``tie``, ``both_bad``, or ``skip`` for no answer.
            annotator: who answers; None for whoever was asked.
            seconds: how long it took.

        Raises:
            UnknownDuelError: there is no such duel, or it was shown to somebody else.
            AnsweredError: it has been answered.
        """
        self.desk.tell(name, said, annotator or self.desk.asked(name), seconds)

    def undo(self, annotator: str = "me") -> Duel:
        """Take back the last thing that somebody said; the duel is before them again.

        If the agent has just learned from it, it learns from that round anew before the next one, without the answer
        or with the new one.

        Raises:
            AnsweredError: there is nothing to take back, or the agent has moved on since.
        """
        return self.desk.undo(annotator)

    @property
    def state(self) -> State:
        """``thinking`` while the agent is to learn or propose, ``asking`` while it waits for answers, or the end."""
        if self._failed:
            return "failed"
        if self.finished:
            return "done"
        return "thinking" if self.due else "asking"

    def status(self) -> dict[str, Any]:
        """Where the session stands: answers, budget, and what each person said."""
        said = self.desk.said()
        people: dict[str, Any] = {}
        for name in dict.fromkeys(vote.shown.annotator for vote in said):
            votes = [vote for vote in said if vote.shown.annotator == name]
            seconds = [vote.seconds for vote in votes if vote.seconds is not None and vote.said != "skip"]
            counts = Counter(vote.said for vote in votes)
            people[name] = dict(counts) | {"median_seconds": median(seconds) if seconds else None}
        return {
            "state": self.state,
            "answered": self.desk.answered,
            "budget": self.spec.labels,
            "outstanding": self.desk.outstanding,
            "annotators": people,
            "error": self._failed,
        }

    @property
    def due(self) -> bool:
        """Whether the agent has something to do before people are needed."""
        if self.finished or self._failed:
            return False
        if self._game is None:
            return True
        return self.desk.outstanding <= (self.ahead if self._game.proposed is not None else 0)

    def go_on(self) -> None:
        """Let the agent learn and propose until people are needed, or the run is over.

        Raises:
            Exception: whatever stopped it; the answers are safe, and the traceback is in ``error.txt``.
        """
        while self.due:
            try:
                self._step()
            except Exception as error:
                self._failed = f"{type(error).__name__}: {error}"
                with suppress(OSError):
                    self.folder.fail(traceback.format_exc())
                raise

    def _step(self) -> None:
        if self._game is None:
            game = self._game = self._begin()
        else:
            game = self._game
            self._teach(game)
        if game.proposed is None:
            if not game.over:
                game.evaluate()
            if game.over:
                self.desk.seal_all()
                game.finish()
                self._finished = True
                return
            if game.asking:
                game.propose()
            game.save()
            if game.proposed is None:
                return  # only late answers are missing
        self.desk.pose(list(self._questions(game)))

    def _begin(self) -> Game:
        """The game where it stood."""
        game = self._open.enter_context(game_of(self.spec, self.folder, self._command))
        keeps_state = hasattr(game.parts.agent, "state_dict") and hasattr(game.parts.agent, "load_state_dict")
        if self.ahead and not keeps_state:
            raise UsageError(
                f"agent {self.spec.agent!r} has no state_dict, so it can only learn from complete rounds: leave "
                f"ahead={self.ahead} out"
            )
        game.revisable = keeps_state
        game.parts.env.engine.store = _Told(self.desk)
        self._rows = game.parts.env.num_envs
        free = {place for place, _ in game.lesson.answers()} if game.lesson else set[Place]()
        free |= set(game.late.waiting())
        if game.proposed is not None:
            free |= {(row, game.proposed.number) for row in range(self._rows)}
        self.desk.seal_all(but={self._number(place) for place in free})
        return game

    def _teach(self, game: Game) -> None:
        """Let the agent learn from the answers that have come; what it learned last is mended first.

        A round in which nothing was asked leaves that for later, so that nobody's last answer becomes final by it.
        """
        nothing: NDArray[Any] = np.zeros(0, object)
        proposed, late = game.proposed, list(self._late(game))
        if late or (proposed is not None and (proposed.pair.ask & ~proposed.pair.identical).any()):
            self._revise(game)
        if not game.revisable:
            self.desk.seal_all()
        lesson = Lesson(None, nothing) if proposed is None else game.ask(proposed)
        game.learn(lesson.and_late(late))

    def _revise(self, game: Game) -> None:
        """What people took back, or changed, of the answers that the agent learned from last."""
        if game.lesson is None:
            return
        with self.desk.lock:
            learned = {p: v for p, v in game.lesson.answers() if v != Verdict.PENDING and self._number(p) in self.desk}
            now = {place: self.desk.verdict(self._number(place)) for place in learned}
            self.desk.seal([self._number(place) for place, verdict in now.items() if verdict != Verdict.PENDING])
        if changed := {place: verdict for place, verdict in now.items() if verdict != learned[place]}:
            game.revise(changed)

    def _late(self, game: Game) -> Iterator[tuple[int, int, float]]:
        for row, number in game.late.waiting():
            verdict = self.desk.verdict(self._number((row, number)))
            if verdict != Verdict.PENDING:
                yield row, number, verdict.reward

    def _questions(self, game: Game) -> Iterator[Posed]:
        """The duels of the round that people are asked about; two identical texts are no question."""
        assert game.proposed is not None
        proposed, problem = game.proposed, game.parts.env.problem
        sides = [problem.texts(proposed.ids, side.actions) for side in (proposed.pair.first, proposed.pair.second)]
        texts = zip(problem.prompt_texts(proposed.ids), *sides, strict=True)
        for row, (prompt, first, second) in enumerate(texts):
            if proposed.pair.ask[row] and first != second:
                yield Posed(self._number((row, proposed.number)), prompt, first, second)

    def _number(self, place: Place) -> int:
        """Number of a duel within the run."""
        row, number = place
        return number * self._rows + row

    def close(self) -> None:
        """Close the session; it can be opened again."""
        self._open.close()

    def __enter__(self) -> Session:
        """The session, which is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class _Told:
    """Answers that people gave, for the environment's engine: ``duelbench.envs.duel.engine.AnswerStore``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def answers(
        self, numbers: Sequence[int], duels: Sequence[tuple[str, str, str]], ask: object
    ) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """The verdicts that there are; ``PENDING`` for the others."""
        same = [
            Answer(n, *duel, 0.5, Verdict.TIE) for n, duel in zip(numbers, duels, strict=True) if duel[1] == duel[2]
        ]
        self._desk.tie(same)
        verdicts = [self._desk.verdict(number) for number in numbers]
        return np.full(len(verdicts), np.nan), np.array(verdicts, np.int8)
