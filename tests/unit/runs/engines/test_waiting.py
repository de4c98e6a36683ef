from __future__ import annotations

import heapq
import itertools

from duelbench.records.spec import RunSpec
from duelbench.runs.engines.waiting import Waiting

SECONDS = {"online": 34.0, "apl": 60.0, "xpo": 40.0, "sea": 95.0, "ide": 165.0}
"""Of an agent's runs, about as the demo's are."""


def specs(agents: list[str], seeds: int, labels: int = 64) -> list[RunSpec]:
    return [RunSpec("LLMDuel-v0", agent, seed, labels) for seed in range(seeds) for agent in agents]


def order(waiting: Waiting) -> list[tuple[str, int]]:
    """Everything, one run after the other."""
    played = []
    while waiting:
        spec = waiting.next()
        played.append((spec.agent, spec.seed))
        waiting.took(spec, SECONDS[spec.agent])
    return played


def finished(runs: list[RunSpec], workers: int) -> float:
    """When the last of them ends, each worker taking the next run when it is free."""
    waiting, now = Waiting(runs), 0.0
    playing: list[tuple[float, int, RunSpec]] = []
    number = itertools.count()
    while waiting or playing:
        while waiting and len(playing) < workers:
            spec = waiting.next()
            heapq.heappush(playing, (now + SECONDS[spec.agent], next(number), spec))
        now, _, spec = heapq.heappop(playing)
        waiting.took(spec, SECONDS[spec.agent])
    return now


def test_later_seeds_begin_with_what_took_longest() -> None:
    agents = list(SECONDS)
    played = order(Waiting(specs(agents, 3)))
    longest_first = ["ide", "sea", "apl", "xpo", "online"]
    assert played == [(a, s) for s, names in enumerate([agents, longest_first, longest_first]) for a in names]


def test_a_run_is_known_by_all_but_its_seed() -> None:
    short, long = specs(["online"], 2, labels=64), specs(["online"], 2, labels=128)
    waiting = Waiting([short[0], long[0], short[1], long[1]])
    for spec, seconds in ((short[0], 1.0), (long[0], 2.0)):
        assert waiting.next() is spec
        waiting.took(spec, seconds)
    assert [waiting.next(), waiting.next()] == [long[1], short[1]]


def test_what_is_unknown_comes_before_what_is_known() -> None:
    waiting = Waiting(specs(["online", "sea", "ide"], 2))
    first, second, third = (waiting.next() for _ in range(3))
    waiting.took(second, 9.0)  # the others are still playing
    assert [waiting.next().agent for _ in range(3)] == [first.agent, third.agent, "sea"]


def test_a_run_whose_worker_died_comes_again() -> None:
    waiting = Waiting(specs(["online"], 1))
    spec = waiting.next()
    assert not waiting
    waiting.again(spec)
    assert waiting and waiting.next() is spec and not waiting


def test_no_worker_is_idle_for_long_at_the_end() -> None:
    runs, workers = specs(list(SECONDS), 3), 2
    least = sum(SECONDS[spec.agent] for spec in runs) / workers
    assert finished(runs, workers) < least + SECONDS["online"]
