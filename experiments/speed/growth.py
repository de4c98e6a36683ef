"""What a duel costs as history grows: the journal of a run with a paid oracle, and an agent on arms.

python -m duelbench.experiments.speed.growth                    # up to a million labels
python -m duelbench.experiments.speed.growth --most 100_000
"""

from __future__ import annotations

import logging
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from numpy.typing import NDArray

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.matrix.double_ts import DoubleTS
from duelbench.records.answers.entries import Answer
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import JournaledDuels, JournaledUtilityOracle
from duelbench.types import Verdict

BATCH, ROUNDS, DUELS = 32, 50, 5_000
_PORTION = 10_000


@dataclass
class Options:
    """How far it goes."""

    most: int = 1_000_000


class Paid:
    """An oracle with utilities that costs nothing but says nothing of it."""

    name = "paid"

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """A fair coin."""
        return np.full(len(prompts), 0.5)

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """Lengths."""
        return np.array([float(len(text)) for text in responses])


def duel(number: int) -> tuple[str, str, str]:
    """A prompt and two responses of ordinary length, the responses unlike those of any other duel."""
    return f"prompt {number % 5000} " + "x" * 60, f"first {number} " + "y" * 200, f"second {number} " + "z" * 200


def fill(journal: Journal, start: int, end: int) -> None:
    """Journal duels and the utilities of their responses, in large portions."""
    for first in range(start, end, _PORTION):
        some = [duel(number) for number in range(first, min(first + _PORTION, end))]
        journal.append(Answer(number, *texts, 0.5, Verdict.FIRST) for number, texts in enumerate(some, start=first))
        texts = [(prompt, side, None) for prompt, *sides in some for side in sides]
        journal.keep_questions("oracle", "duel", texts, [1.0] * len(texts))


def _fair_coins(places: list[int]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    return np.full(len(places), 0.5), np.ones(len(places), np.int8)


def journal_rounds(journal: Journal, start: int) -> float:
    """CPU milliseconds of a round of ``BATCH`` duels: both texts scored, the answer kept."""
    store, oracle = JournaledDuels(journal), JournaledUtilityOracle(Paid(), journal)
    started = time.process_time()
    for first in range(start, start + BATCH * ROUNDS, BATCH):
        numbers = list(range(first, first + BATCH))
        prompts, firsts, seconds = (list(column) for column in zip(*map(duel, numbers), strict=True))
        oracle.utilities(prompts, firsts)
        oracle.utilities(prompts, seconds)
        store.answers(numbers, list(map(duel, numbers)), _fair_coins)
        oracle.state_dict()
    return 1e3 * (time.process_time() - started) / ROUNDS


def arms_duels() -> Iterator[float]:
    """CPU microseconds of a duel of Double TS, a mean of ``DUELS`` each, for ever."""
    env: Any = gym.make_vec("MatrixDuel-v0", num_envs=1, matrix="arxiv6", identical="ask", horizon=10**9).unwrapped
    env.reset(seed=[0])
    agent = DoubleTS(ArmSetup(1, 6, 0, 10**9, np.random.default_rng(0)))
    while True:
        started = time.process_time()
        for _ in range(DUELS):
            observation = env.problem.observe(env.engine.prompt_ids)
            firsts, seconds = agent.propose(observation)
            agent.update(observation, firsts, seconds, env.duel(firsts, seconds))
        yield 1e6 * (time.process_time() - started) / DUELS


def peak() -> float:
    """Peak memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """A line for each power of ten."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = tyro.cli(Options, description=__doc__)
    done, costs = 0, list[float]()
    duels = arms_duels()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite", "run")
        for labels in (n for n in (1_000, 10_000, 100_000, 1_000_000) if n <= options.most):
            fill(journal, done, labels)
            cost = journal_rounds(journal, labels)
            done = labels + BATCH * ROUNDS
            while len(costs) * DUELS < labels + DUELS:
                costs.append(next(duels))
            logging.info(
                f"{labels:>9,} labels: a round with its journal {cost:.2f} ms, a duel on arms {costs[-1]:.0f} us, "
                f"peak memory {peak():.0f} MiB"
            )
        journal.close()


if __name__ == "__main__":
    main()
