"""Ask and tell: a run whose duels somebody else answers, in any order, at any time, or never."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from duelbench.errors import UsageError
from duelbench.label.asking.checking import Checks
from duelbench.label.asking.desk import Desk
from duelbench.label.questionnaire import Questionnaire
from duelbench.label.rounds import ToldAnswers, number_of, questions
from duelbench.label.specify import RunOptions, check_spec, people_spec
from duelbench.records.answers.votes import Votes
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.policy_game.game import Game
from duelbench.runs.policy_game.lesson import Lesson, Place
from duelbench.runs.policy_loop import game_of
from duelbench.runs.recording.lock import PATIENCE_SECONDS
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.library import default_folder
from duelbench.types import Verdict


class Session(Questionnaire):
    """One run of an agent, answered from outside: by people, a program, a judge.

    The agent learns when a round is complete, or when enough of its answers have come, and then proposes the next one.
    Every answer is durable before ``tell`` returns. A session that was killed goes on where it stood when it is opened
    again with the same arguments; with an oracle's own answers its records are those of ``duelbench.run``.

    Args:
        env: environment id, one with texts; or the run itself, a ``duelbench.records.spec.RunSpec``, in place of
            ``agent`` and ``run``.
        agent: name, ``package.module:Class``, ``path/to/file.py:Class``, or a class.
        out: output folder; None for ``results/ENV``.
        ahead: duels that may lack their answer when the agent goes on. 0 waits for complete rounds; a whole round lets
            people answer it while the agent learns from the one before, so that it is always a round behind.
        annotators: how many people judge each duel; the majority is the answer.
        lease: seconds after which a duel that is not answered goes to somebody else.
        shuffle: whether the sides change at random from duel to duel.
        checks: hidden repeats and gold pairs.
        command: for the record.
        patience: seconds to wait for another process that has the session open.
        clock: of the lease.
        **run: ``labels``, ``batch``, ``seed``, ``model``, ``options`` … (``duelbench.label.specify.RunOptions``).

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
        env: str | RunSpec = "LLMDuel-v0",
        agent: str | type = "sea",
        *,
        out: str | Path | None = None,
        ahead: int = 0,
        annotators: int = 1,
        lease: float = 600.0,
        shuffle: bool = True,
        checks: Checks | None = None,
        command: str = "duelbench (Python)",
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        **run: Unpack[RunOptions],
    ) -> None:
        super().__init__()
        if ahead < 0:
            raise UsageError(f"ahead is a number of duels, at least 0, got {ahead}")
        if isinstance(env, RunSpec) and run:
            raise UsageError(f"a RunSpec is the whole run: leave {', '.join(run)} out")
        spec = env if isinstance(env, RunSpec) else people_spec(env, agent, **run)
        check_spec(spec)
        self.folder = RunFolder.at(default_folder(spec.env) if out is None else Path(out), spec)
        self.spec = resolve(self.folder.spec)
        self.budget, self.ahead, self._command = self.spec.labels, ahead, command
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
        self._all_asked = False

    @property
    def due(self) -> bool:
        """Whether the agent has something to do before people are needed."""
        if self.finished or self._failed or self._all_asked:
            return False
        if self._game is None:
            return True
        return self.desk.outstanding <= (self.ahead if self._game.proposed is not None else 0)

    @property
    def complete(self) -> bool:
        """Whether the agent has learned from every duel, so that its run can be finished."""
        return self._all_asked and not self.desk.outstanding and not self._failed

    @property
    def ending(self) -> str:
        """How it ended: a run that finds no different responses ends at its bound on rounds, before its budget."""
        if self.desk.answered >= self.budget:
            return super().ending
        return (
            f"The run ended early, with {self.desk.answered:,} of {self.budget:,} answers: it found no more pairs to "
            "ask about."
        )

    def go_on(self) -> None:
        """Let the agent learn and propose until people are needed, or nothing is left to ask.

        Raises:
            Exception: whatever stopped it; the answers are safe, and the traceback is in ``error.txt``.
        """
        while self.due:
            with self._failing():
                self._step()

    def finish(self) -> None:
        """Judge what was trained and write the records, if every duel has its answer.

        Raises:
            Exception: whatever stopped it; the answers are safe, and the traceback is in ``error.txt``.
        """
        with self.desk.lock:
            if self._finished or not self.complete:
                return
            self.desk.seal_all()
        assert self._game is not None
        with self._failing():
            self._revise(self._game)
            if not self._game.over:
                self._game.evaluate()
            self._game.finish()
        self._finished = True

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Whatever is raised within stops the session, and is kept beside its records."""
        try:
            yield
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
            self._all_asked = not game.asking and not game.late
            if not self._all_asked:
                game.evaluate()
            if game.asking:
                game.propose()
            game.save()
            if game.proposed is None:
                return  # only late answers are missing, or nothing
        self.desk.pose(list(questions(game, self._rows)))

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
        game.parts.env.engine.store = ToldAnswers(self.desk)
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

    def _number(self, place: Place) -> int:
        """Number of a duel within the run."""
        return number_of(place, self._rows)
