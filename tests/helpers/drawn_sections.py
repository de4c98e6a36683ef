"""Small tasks with known curves, to draw: on responses, and on arms with guides."""

from __future__ import annotations

from typing import Any

import numpy as np
from reports import ROLES

from duelbench.records.record import Run, SeedRows
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.tasks import sections


def make_run(
    agent: str, seed: int, speed: float = 1.0, env: str = "LLMDuelPool-v0", policy: dict[str, Any] | None = None
) -> Run:
    rng = np.random.default_rng([seed, *agent.encode()])
    rows = []
    for labels in range(0, 101, 20):
        rate = 0.5 + 0.3 * (1 - np.exp(-speed * labels / 50)) + 0.005 * rng.standard_normal() * (labels > 0)
        rows.append(
            {"labels": float(labels + (labels > 0) * (seed % 2)), "offline_win_rate": float(rate)}
            | {"online_win_rate": float(rate - 0.02), "simple_regret": float(1 - rate)}
        )
    made: dict[str, Any] = {
        "run_id": f"{env}-{agent}-{seed}",
        "spec": {"env": env, "env_kwargs": {}, "agent": agent, "seed": seed, "labels": 100, "policy": policy or {}},
        "manifest": {"reference": "a stored response", "judge": "lexicon"},
    }
    return Run(rows=rows, timing=[], samples=[], finished=True, **made)


def section(seeds: int, agents: tuple[str, ...] = ("online", "sea"), env: str = "LLMDuelPool-v0") -> Section:
    runs = [make_run(a, s, 1.0 + 2 * i, env) for i, a in enumerate(agents) for s in range(seeds)]
    (found,) = sections(runs)
    return found


GUIDES = [
    {"metric": "cumulative_average_regret", "name": name, "shape": shape, "coefficient": c, "says": ""}
    for name, shape, c in (
        ("uniform pairs", "linear", 0.5),
        ("best vs uniform", "linear", 0.25),
        ("c ln T", "log", 7.0),
    )
]


def arms(slopes: dict[str, float], *, without: str = "", agents: int = 0) -> Section:
    """A task with arms: the regret of an agent is slope · labels, give or take a little in each of six seeds."""
    labels = np.array([0.0, 1.0, 10.0, 100.0, 1000.0, 4000.0])
    slopes = slopes | {f"agent{i}": 0.01 * (i + 1) for i in range(agents)}
    kinds = ["average", "weak"] if not without else []
    runs = []
    for agent, slope in slopes.items():
        for seed in range(6):
            columns = {
                f"cumulative_{k}_regret": labels * slope * (1 + 0.01 * seed) for k in [*kinds, "copeland", "borda"]
            }
            columns |= {"simple_regret": np.array([9.0, 1.0, 0.5, 0.2, 0.1, 0.05]), "parameter_error": 1 / (1 + labels)}
            manifest = {"guides": GUIDES, "arms": True, "role": ROLES.get(agent, "rival")}
            spec = {
                "env": "MatrixDuel-v0",
                "env_kwargs": {"matrix": "bt10"},
                "agent": agent,
                "seed": seed,
                "labels": 4000,
            }
            runs.append(Run(f"{agent}/{seed}", spec, SeedRows(labels, columns), [], [], True, manifest))
    (found,) = sections(runs)
    return found
