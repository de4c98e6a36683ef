"""A lone row plays number by number what a row among many plays as an array: the same duels, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from duelbench.agents.arms.base import ArmAgent
from duelbench.agents.arms.table import ARM_AGENTS
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.engine import Engine
from duelbench.envs.duel.problem import InvalidActionError
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep

COUNTING = [name for name, entry in ARM_AGENTS.items() if ".matrix." in entry.target or ".baselines" in entry.target]
WORLDS: dict[str, dict[str, Any]] = {
    "MatrixDuel-v0": {"matrix": "arxiv6", "flip": 0.1, "corrupted": 20},
    "HeadlineDuel-v0": {"position_bias": 0.1},  # whose answers tie
}


def played(out: Path, agent: str, env: str) -> dict[str, Any]:
    kwargs = {"judging": Judging(every=50), "env_kwargs": WORLDS[env], "batch": 1, "lockstep": 1}
    with np.load(run_lockstep(RunSpec(env, agent, 3, 400, **kwargs), out) / "curves.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("env", WORLDS)
@pytest.mark.parametrize("agent", COUNTING)
def test_a_lone_seed_plays_as_one_of_many(
    agent: str, env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = played(tmp_path / "alone", agent, env)
    begin = ArmAgent.__init__

    def as_arrays(self: ArmAgent, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.alone = False

    monkeypatch.setattr(ArmAgent, "__init__", as_arrays)
    monkeypatch.setattr(Engine, "foresees", False)
    among = played(tmp_path / "among", agent, env)
    assert alone.keys() == among.keys()
    for name, values in alone.items():
        np.testing.assert_array_equal(values, among[name], err_msg=name)


def test_a_bad_arm_of_a_lone_row_costs_no_label() -> None:
    env: Any = gym.make_vec("MatrixDuel-v0", num_envs=1, identical="ask").unwrapped
    env.reset(seed=0)
    assert env.engine.foresees
    for first, second in ((0, 6), (-1, 0), (0.5, 1)):
        with pytest.raises(InvalidActionError):
            env.duel(np.array([first]), np.array([second]))
    assert env.engine.labels.tolist() == [0]
    env.duel(np.array([0]), np.array([5]))
    assert env.engine.labels.tolist() == [1]


def test_what_changes_is_not_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FixedArms, "settled", False)
    env: Any = gym.make_vec("MatrixDuel-v0", num_envs=1, identical="ask").unwrapped
    env.reset(seed=0)
    assert not env.engine.foresees
