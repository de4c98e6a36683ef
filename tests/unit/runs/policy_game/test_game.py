"""A run driven step by step, with answers that come from elsewhere, is the run that the loop plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pool_runs import spec_of

from duelbench.agents.alignment.sea import SEA
from duelbench.envs.duel.engine import Answered, Duel
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.policy_game.lesson import Lesson
from duelbench.runs.policy_loop import game_of, run
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.types import Metrics, Observation, Pair, Verdict


class Desk:
    """A store that has no answer when it is asked, and gets all of them from the oracle behind it."""

    def __init__(self) -> None:
        self.waiting: dict[int, float] = {}

    def answers(self, numbers: Sequence[int], duels: Sequence[Duel], ask: Callable[[list[int]], Answered]) -> Answered:
        _, verdicts = ask(list(range(len(numbers))))
        self.waiting |= {n: Verdict(int(v)).reward for n, v in zip(numbers, verdicts, strict=True)}
        return np.full(len(numbers), np.nan), np.full(len(numbers), Verdict.PENDING, np.int8)

    def take(self, rows: int, some: int | None) -> list[tuple[int, int, float]]:
        """Some answers, the latest first: row, round, reward."""
        numbers = sorted(self.waiting, reverse=True)[:some]
        return [(n % rows, n // rows, self.waiting.pop(n)) for n in numbers]


def play_by_hand(spec: RunSpec, out: Path, *, at_once: int | None) -> Path:
    """Drive the game as one would who asks people, of whom ``at_once`` answers come after each round."""
    folder, desk = RunFolder.at(out, spec), Desk()

    def play() -> None:
        with game_of(resolve(folder.spec), folder) as game:
            game.parts.env.engine.store = desk
            while not game.over:
                game.evaluate()
                lesson = game.ask(game.propose()) if game.asking else Lesson(None, np.zeros(0, object))
                game.learn(lesson.and_late(desk.take(game.parts.env.num_envs, at_once)))
            game.finish()

    return folder.play(play)


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


@pytest.mark.parametrize("agent", ["online", "xpo"])
def test_answers_at_the_end_of_each_round_give_the_same_bytes(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task)
    by_loop, by_hand = run(spec, tmp_path / "loop"), play_by_hand(spec, tmp_path / "hand", at_once=None)
    for name in ("metrics.jsonl", "samples.json"):
        assert (by_hand / name).read_bytes() == (by_loop / name).read_bytes()


def test_answers_out_of_order_are_all_learned_from(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Any] = []
    update = SEA.update

    def listening(self: Any, observation: Observation, pair: Pair, feedback: Any) -> Metrics:
        learned.append(feedback)
        return update(self, observation, pair, feedback)

    monkeypatch.setattr(SEA, "update", listening)
    spec = spec_of("sea", task)
    folder = play_by_hand(spec, tmp_path, at_once=5)  # of rounds of seven: the others come at the end
    assert RunFolder(folder, spec).finished
    assert sum(int(np.isfinite(feedback).sum()) for feedback in learned) == spec.labels
