"""Speed of the numeric families, all in one run on one core, as ratios where there is something to compare with.

    OMP_NUM_THREADS=1 python tests/benchmarks/arms_speed.py --duelpy /path/to/duelpy/environment/bin/python

* duels a CPU second of 200 lock-step seeds on bt10, environment, agent and record included, beside duelpy's class of
  the same name (``duelpy_speed.py`` in its own environment; the two take turns, three times);
* Double TS beside the ceiling that its gamma draws set;
* environments alone at 1,000 and more rows;
* contextual agents at 20 seeds on C1;
* cost of a duel at t = 10³, 10⁴, 10⁵.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.arms.table import ARM_AGENTS
from duelbench.experiments.reference_regrets.references import HYPERCUBE
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep

DUELPY = {"rucb": "rucb", "double_ts": "double_thompson_sampling", "rmed1": "rmed1"}
CONTEXTUAL = [name for name, entry in ARM_AGENTS.items() if ".contextual." in entry.target]
SEEDS, LABELS, TURNS = 200, 10_000, 3


def speed(agent: str, env: str, kwargs: dict[str, Any], labels: int, seeds: int) -> float:
    """Duels a CPU second of a whole lock-step run, of the process's own clock."""
    spec = RunSpec(
        env=env,
        agent=agent,
        seed=0,
        labels=labels,
        batch=1,
        judging=Judging(every=labels // 10),
        env_kwargs=kwargs,
        lockstep=seeds,
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        run_lockstep(spec, Path(folder))
        return seeds * labels / (time.process_time() - started)


def duelpy(python: Path) -> dict[str, float]:
    """What the peer reaches, by its name of the algorithm."""
    script = Path(__file__).with_name("duelpy_speed.py")
    command = [str(python), str(script), "--matrix", "bt10", "--rounds", str(LABELS), "--seeds", "3", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {name: entry["duels_per_second"] for name, entry in found.items()}


def against_duelpy(python: Path) -> None:
    """The two take turns, so that a machine that slows down slows both."""
    bt10 = {"matrix": "bt10"}
    turns = []
    for _ in range(TURNS):
        peer = duelpy(python)
        turns.append({name: (speed(name, "MatrixDuel-v0", bt10, LABELS, SEEDS), peer[DUELPY[name]]) for name in DUELPY})
    for name in DUELPY:
        ours, theirs = (np.array([turn[name][k] for turn in turns]) for k in (0, 1))
        ratios = ours / theirs
        say(
            f"{name}, bt10, {SEEDS} seeds",
            f"{np.median(ours):,.0f} duels/s; duelpy {np.median(theirs):,.0f}",
            f"{np.median(ratios):.0f}x ({ratios.min():.0f}-{ratios.max():.0f})",
        )


def gamma_ceiling() -> None:
    """Double TS draws two gammas for each of 45 pairs and 9 rivals a round: nothing that draws them can be faster."""
    rng, started = np.random.default_rng(0), time.process_time()
    for _ in range(200):
        rng.standard_gamma(rng.integers(1, 2000, size=(SEEDS, 54)).astype(float))
        rng.standard_gamma(rng.integers(1, 2000, size=(SEEDS, 54)).astype(float))
    ceiling = 200 * SEEDS / (time.process_time() - started)
    ours = speed("double_ts", "MatrixDuel-v0", {"matrix": "bt10"}, LABELS, SEEDS)
    say("double_ts against its gamma draws", f"{ours:,.0f} duels/s; ceiling {ceiling:,.0f}", f"{ours / ceiling:.2f}x")


def environments() -> None:
    """``step`` of the vector environments, random actions."""
    for env_id, kwargs in (
        ("MatrixDuel-v0", {"matrix": "bt10"}),
        ("LinearDuel-v0", {}),
        ("LinearDuel-v0", {"fresh": True}),
    ):
        for rows in (200, 1000, 4000):
            env = gym.make_vec(env_id, num_envs=rows, horizon=10**9, **kwargs)
            env.reset(seed=0)
            actions = np.random.default_rng(0).integers(10, size=(16, rows, 2))
            rate = _rate(lambda k, env=env, actions=actions: env.step(actions[k % 16]), 300)
            say(f"{env_id} {kwargs or ''} alone, {rows} rows", f"{rows * rate:,.0f} duels/s", "")


def contextual() -> None:
    """Agents with features on C1."""
    for name in CONTEXTUAL:
        say(f"{name}, c1, 20 seeds", f"{speed(name, 'LinearDuel-v0', HYPERCUBE, 2000, 20):,.0f} duels/s", "")


def growth() -> None:
    """CPU microseconds a round between t and 1.1 t, for a count-based agent and for contextual ones."""
    fresh = {"design": "sphere", "dim": 10, "arms": 30, "fresh": True, "norm": 5.0}
    for name, env, kwargs, seeds, longest in (
        ("double_ts", "MatrixDuel-v0", {"matrix": "bt10"}, 200, 5),
        ("max_pair_ucb", "LinearDuel-v0", HYPERCUBE, 20, 5),
        ("max_pair_ucb", "LinearDuel-v0", fresh, 20, 5),
    ):
        spent = []
        for power in range(3, longest + 1):
            shorter, longer = (
                labels * seeds / speed(name, env, kwargs, labels, seeds) for labels in (10**power, 11 * 10**power // 10)
            )
            spent.append(1e6 * (longer - shorter) / (0.1 * 10**power))
        marks = ", ".join(f"t=1e{3 + k}: {cost:.0f} us" for k, cost in enumerate(spent))
        say(f"{name} {env}{' fresh' if 'fresh' in kwargs else ''}, a round of {seeds} seeds", marks, "")


def _rate(step: Callable[[int], object], times: int) -> float:
    started = time.process_time()
    for k in range(times):
        step(k)
    return times / (time.process_time() - started)


def say(what: str, figures: str, ratio: str) -> None:
    """One line of the result."""
    sys.stdout.write(f"{what:58s} {figures:52s} {ratio}\n")
    sys.stdout.flush()


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--duelpy", type=Path, help="Python of an environment with duelpy 1.0.0; left out: not compared"
    )
    options = parser.parse_args()
    if options.duelpy:
        against_duelpy(options.duelpy)
    gamma_ceiling()
    environments()
    contextual()
    growth()


if __name__ == "__main__":
    main()
