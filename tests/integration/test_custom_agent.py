"""The two ways to write an agent, as a user would do them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from duelbench.agents.alignment.sea import SEA
from duelbench.agents.registry import UnknownAgentError
from duelbench.protocols import Agent
from duelbench.records.record import load_runs
from duelbench.records.spec import RunSpec
from duelbench.runs.policy_loop import run

POOL = "LLMDuelPool-v0"
SCOUT = f"{Path(__file__).with_name('my_agent.py')}:Scout"


# First way: an acquisition function inside an existing agent


def cautious(rewards: NDArray[np.floating[Any]], rng: np.random.Generator) -> tuple[Any, Any]:
    """The best by the mean reward against the runner-up; a copy of the best is none, its duel would be a wasted tie."""
    mean = rewards.mean(0)  # (B, M); copies of a response have equal rewards
    return mean.argmax(-1), np.where(mean == mean.max(-1, keepdims=True), -np.inf, mean).argmax(-1)


class Cautious(SEA):
    def __init__(self, setup: Any, config: Any = None) -> None:
        super().__init__(setup, config)
        self.rule = cautious


@pytest.fixture
def env_kwargs(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def play(agent: str, env_kwargs: dict[str, Any], out: Path, **fields: Any) -> list[dict[str, float]]:
    spec = RunSpec(POOL, agent, 0, 256, batch=32, env_kwargs=env_kwargs, learner={"learning_rate": 1e-2}, **fields)
    run(spec, out)
    (record,) = load_runs(out)
    assert record.finished and record.rows[-1]["labels"] == 256
    return record.rows


def test_an_acquisition_function_makes_an_agent(env_kwargs: dict[str, Any], tmp_path: Path) -> None:
    options = {"candidates": 8, "posterior.samples": 5}
    rows = play(f"{__file__}:Cautious", env_kwargs, tmp_path, agent_options=options)
    assert load_runs(tmp_path)[0].spec["agent"] == "Cautious"
    assert rows[-1]["offline_win_rate"] > rows[0]["offline_win_rate"] + 0.1
    assert all(0.0 <= row["posterior_accuracy"] <= 1.0 for row in rows[1:])


def test_a_plain_class_makes_an_agent(env_kwargs: dict[str, Any], tmp_path: Path) -> None:
    rows = play(SCOUT, env_kwargs, tmp_path)
    assert rows[-1]["offline_win_rate"] > rows[0]["offline_win_rate"] + 0.1
    assert rows[-1]["weight_norm"] > 0 and "weight_norm" not in rows[0]
    record = load_runs(tmp_path)[0]
    assert record.spec["agent"] == "Scout" and len(record.samples) == 6


def test_a_plain_class_takes_no_options(env_kwargs: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no Config, so it takes no options; got \['speed'\]"):
        play(SCOUT, env_kwargs, tmp_path, agent_options={"speed": 3})


def test_a_class_without_the_three_methods_is_told_which_it_lacks(env_kwargs: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text("class Half:\n    def propose(self, observation): ...\n")
    with pytest.raises(UnknownAgentError, match="Half is no agent: it lacks update, respond"):
        play(f"{file}:Half", env_kwargs, tmp_path)


def test_the_plain_class_fits_the_protocol() -> None:
    from duelbench.agents.registry import find_agent

    found = find_agent(SCOUT)
    assert found.options == {} and not hasattr(found.cls, "state_dict")
    assert issubclass(found.cls, Agent)
