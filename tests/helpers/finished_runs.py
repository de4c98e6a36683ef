"""Finished runs with known outcomes, made in memory: three agents on a pool, and four on arms."""

from __future__ import annotations

from typing import Any

import numpy as np
from reports import ROLES

from duelbench.records.record import Run, SeedRows


def make_run(agent: str, seed: int, final: float, env: str = "LLMDuelPool-v0", **changes: Any) -> Run:
    rows = [
        {"labels": 0.0, "offline_win_rate": 0.5, "simple_regret": 1.0},
        {"labels": 50.0, "offline_win_rate": 0.25 + final / 2, "simple_regret": 0.9},
        {"labels": 100.0, "offline_win_rate": final, "simple_regret": 1 - final},
    ]
    sample = {"prompt": "Why is the sky blue?", "before": "Because.", "after": f"{agent} says: scattering."}
    made: dict[str, Any] = {
        "run_id": f"{env}-{agent}-{seed}-{sorted(changes)}",
        "spec": {"env": env, "env_kwargs": {}, "agent": agent, "seed": seed, "labels": 100},
        "rows": rows,
        "timing": [{"labels": 100.0, "wall_seconds": 12.5, "generated_tokens": 6400.0}],
        "samples": [sample],
        "finished": True,
        "manifest": {"command": "duelbench sweep", "versions": {"numpy": "2.4"}, "judge": "lexicon"},
    }
    return Run(**(made | changes))


ONLINE = {0: 0.60, 1: 0.64, 2: 0.62, 3: 0.61, 4: 0.63}


SEA = {0: 0.71, 1: 0.72, 2: 0.74, 3: 0.70, 4: 0.73}


APL = {0: 0.61, 1: 0.63, 2: 0.63, 3: 0.60, 4: 0.63}


def three_agents(seeds: int = 5) -> list[Run]:
    scores = {"online": ONLINE, "sea": SEA, "apl": APL}
    return [make_run(agent, s, scores[agent][s]) for agent in scores for s in range(seeds)]


UNIFORM_PAIRS = 0.5


LABELS = np.array([0.0, 1.0, 10.0, 100.0, 200.0])


def arms_runs(finals: dict[str, list[float]], regret: str = "cumulative_average_regret", **env: Any) -> list[Run]:
    """Lock-step runs: an agent's seeds end at the regrets given, and grow to them linearly."""
    guides = [
        {"metric": regret, "name": "uniform pairs", "shape": "linear", "coefficient": UNIFORM_PAIRS, "says": "chance"},
        {"metric": regret, "name": "c ln T", "shape": "log", "coefficient": 7.0, "says": "slope <only>"},
    ]
    spec = {"env": "MatrixDuel-v0", "env_kwargs": {"matrix": "bt10"} | env, "labels": 200}
    manifest = {"guides": guides, "comparator": "the best arm", "reference": "nobody", "judge": "known preferences"}
    manifest["arms"] = True
    return [
        make_run(
            agent,
            seed,
            0.0,
            run_id=f"{agent}0123/{seed}",
            samples=[],
            spec=spec | {"agent": agent, "seed": seed, "lockstep": len(values)},
            rows=SeedRows(LABELS, {regret: LABELS / 200 * final, "simple_regret": np.full(5, 0.25)}),
            timing=[{"labels": 200.0, "wall_seconds": 0.05}],
            manifest=manifest
            | {"agent_config": {"alpha": 0.51} if agent == "rucb" else {}, "role": ROLES.get(agent, "rival")},
        )
        for agent, values in finals.items()
        for seed, final in enumerate(values)
    ]


FINALS = {
    "oracle": [0.0] * 10,
    "rucb": [20.0, 22.0, 24.0, 26.0, 28.0, 30.0, 32.0, 34.0, 36.0, 90.0],
    "uniform": [100.0 + 0.1 * seed for seed in range(10)],
    "greedy": [10.0, 12.0, 14.0, 16.0, 18.0, 97.0, 98.0, 99.0, 100.0, 89.9],
}
