"""Environments of a user's own: registered from a file, found by name, played by the loops."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import duelbench
from duelbench.envs.duel.problem import (
    Arms,
    AsksOracle,
    Demonstrates,
    Guided,
    KnowsParameter,
    KnowsRegret,
    StoresReferences,
)
from duelbench.envs.duel.settings import RunSettings
from duelbench.errors import UsageError
from duelbench.plugins import PluginError
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep
from duelbench.runs.policy_loop import run
from duelbench.study.settings import register, settings_of
from duelbench.study.sweep import EnvSetting, Sweep

ARMS_FILE = """
from __future__ import annotations

import duelbench
from duelbench.envs.arms.matrix import MatrixFamily
from duelbench.envs.arms.problem import FixedArms


class Mine(FixedArms):
    \"\"\"Three arms.\"\"\"

    def __init__(self, gap: float = 1.0) -> None:
        super().__init__(MatrixFamily([2 * gap, gap, 0.0], one_hot=True))


duelbench.envs.register("Mine-v0", Mine)
"""
TEXT_FILE = """
import numpy as np
import duelbench
from duelbench.envs.text.llm_duel import LLMDuel
from duelbench.envs.text.tasks import Task


def brevity(prompt, response):
    return -float(len(response))


class Short(LLMDuel):
    def __init__(self, references: int | None = None) -> None:
        texts = np.array([[f"answer {i}", f"a longer answer {i}"] for i in range(6)], dtype=object)
        task = Task("short", tuple(f"question {i}" for i in range(6)), 4, texts)
        super().__init__(task=task, oracle=brevity, references=references)


duelbench.envs.register("Short-v0", Short)
"""


@pytest.fixture
def arms_file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(ARMS_FILE)
    return str(path)


def test_agents_of_both_kinds_play_an_environment_of_a_users_file(arms_file: str, tmp_path: Path) -> None:
    name = f"{arms_file}:Mine-v0"
    for agent in ("rucb", "double_ts"):
        folder = run_lockstep(RunSpec(name, agent, 0, 40, batch=1, judging=Judging(every=20), lockstep=3), tmp_path)
        with np.load(folder / "curves.npz") as curves:
            assert curves["cumulative_average_regret"].shape[0] == 3
    folder = run(RunSpec(name, "online", 0, 16, batch=4, judging=Judging(every=8), env_kwargs={"gap": 2.0}), tmp_path)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["labels"] == 16 and "cumulative_average_regret" in rows[-1]


def test_a_file_of_prompts_and_a_function_is_an_environment(tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    path.write_text(TEXT_FILE)
    env = gym.make(duelbench.envs.resolve_env(f"{path}:Short-v0"), feedback="deterministic", references=1)
    observation, _ = env.reset(seed=0)
    assert observation["prompt"].startswith("question")
    assert env.step(("brief", "not so brief"))[1] == 1.0
    assert "1 stored" in env.unwrapped.problem.comparator  # type: ignore[attr-defined]


def test_two_files_may_use_one_id_and_an_edited_file_is_the_newer_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text(ARMS_FILE)
    two.write_text(ARMS_FILE.replace("gap, 0.0]", "gap, 0.0, 0.0]"))
    arms = []
    for path in (one, two, one):
        arms.append(gym.make(duelbench.envs.resolve_env(f"{path}:Mine-v0")).action_space.nvec[0])  # type: ignore[attr-defined]
    one.write_text(ARMS_FILE.replace("gap, 0.0]", "gap, 0.0, 0.0, 0.0]"))
    arms.append(gym.make(duelbench.envs.resolve_env(f"{one}:Mine-v0")).action_space.nvec[0])  # type: ignore[attr-defined]
    assert arms == [3, 4, 3, 5]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LLMDul-v0", "did you mean 'LLMDuel-v0'"),
        ("nowhere.py:Mine-v0", "no file"),
        ("no_such_module:Mine-v0", "cannot be imported"),
        ("FILE:Mien-v0", "did you mean 'Mine-v0'"),
        ("CartPole-v1", "is no duel environment"),
    ],
)
def test_a_name_that_leads_nowhere_gets_one_clear_error(name: str, words: str, arms_file: str) -> None:
    with pytest.raises(PluginError, match=words):
        duelbench.envs.resolve_env(name.replace("FILE", arms_file))


def test_a_module_of_the_working_folder_and_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_duels_of_a_test.py").write_text(ARMS_FILE.replace("Mine-v0", "Moduled-v0"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert duelbench.envs.resolve_env("my_duels_of_a_test:Moduled-v0") == "Moduled-v0"
    monkeypatch.setattr("duelbench.plugins.announcements", lambda kind: {"Told-v0": "my_duels_of_a_test:Mine"})
    assert duelbench.envs.resolve_env("Told-v0") == "Told-v0" and gym.make("Told-v0")


def test_a_registered_environment_is_as_good_as_ours(arms_file: str) -> None:
    env_id = duelbench.envs.resolve_env(f"{arms_file}:Mine-v0")
    env = gym.make(env_id, gap=2.0, delay=3, horizon=9)
    check_env(gym.make(env_id).unwrapped)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))  # type: ignore[union-attr]
    assert again.spec == env.spec
    env.reset(seed=1)
    twins: list[Any] = [env.unwrapped, copy.deepcopy(env).unwrapped, pickle.loads(pickle.dumps(env.unwrapped))]
    played = [[twin.step([0, 1])[4] for _ in range(8)] for twin in twins]
    assert played[0] == played[1] == played[2] and played[0][-1]["answers"]
    assert next(iter(inspect.signature(type(env.unwrapped)).parameters)) == "gap"
    assert gym.make_vec(env_id, num_envs=3).reset(seed=0)[0]["features"].shape == (3, 3, 3)


@pytest.mark.parametrize("env_id", sorted(duelbench.ENV_IDS))
def test_arguments_defaults_and_documentation_of_a_family_stand_in_its_classes(env_id: str) -> None:
    single, vector = duelbench.envs.registration.env_classes(env_id)
    for made in (single, vector):
        parameters = inspect.signature(made).parameters
        shared = {"horizon": 1024, "identical": "skip", "flip": 0.0, "delay": 0.0, "answer_batch": 0, "corrupted": 0}
        assert shared.items() <= {name: p.default for name, p in parameters.items()}.items()
        assert made.__doc__ is not None
        for name in parameters:
            assert f"{name}:" in made.__doc__ or f"{name}," in made.__doc__ or name in ("num_envs", "render_mode")
    with pytest.raises(TypeError, match="did you mean 'horizon'"):
        gym.make(env_id, horizn=4)


@pytest.mark.parametrize("env_id", sorted(duelbench.ENV_IDS))
@pytest.mark.parametrize(
    "conditions",
    [
        {"delay": 2.0},
        {"answer_batch": 3},
        {"delay": 1.0, "delay_spread": 1.0},
        {"corrupted": 4},
        {"flip": 0.5},
        {"identical": "ask"},
        {"identical": "tie"},
        {"feedback": "deterministic"},
    ],
    ids=str,
)
def test_every_family_plays_under_every_condition(env_id: str, conditions: dict[str, Any]) -> None:
    env = gym.make(env_id, horizon=6, render_mode="ansi", **conditions)
    env.reset(seed=0)
    text = env_id == "LLMDuel-v0"
    for _ in range(6):
        _, reward, _, truncated, info = env.step(("a", "bb") if text else [0, 1])
        assert np.isnan(reward) == (info["verdict"] == "pending")
    assert truncated and "labels 6/6" in str(env.render())
    assert ("answers" in info) == bool({"delay", "answer_batch"} & conditions.keys())


@pytest.mark.parametrize(
    ("env_id", "able"),
    [
        ("LLMDuel-v0", {AsksOracle, Demonstrates, Guided, StoresReferences}),
        ("LLMDuelPool-v0", {AsksOracle, Demonstrates, Guided, StoresReferences}),
        ("MatrixDuel-v0", {KnowsRegret, Arms, Guided, KnowsParameter}),
        ("LinearDuel-v0", {KnowsRegret, Arms, Guided, KnowsParameter}),
    ],
)
def test_what_a_family_can_do_is_a_protocol(env_id: str, able: set[type]) -> None:
    problem = gym.make(env_id).unwrapped.problem  # type: ignore[attr-defined]
    every = (AsksOracle, Demonstrates, StoresReferences, KnowsRegret, Arms, Guided, KnowsParameter)
    assert {protocol for protocol in every if isinstance(problem, protocol)} == able


def test_any_registered_environment_has_settings(arms_file: str, tmp_path: Path) -> None:
    assert settings_of(f"{arms_file}:Mine-v0").arms
    assert settings_of("LLMDuel-v0").policy == {"model": "tiny", "features": "preference"}
    path = tmp_path / "short.py"
    path.write_text(TEXT_FILE)
    assert settings_of(f"{path}:Short-v0") == settings_of("LLMDuel-v0")  # those of the family it extends
    own = "RunSettings(labels=77)\n\n    def __init__(self, references"
    path.write_text(
        TEXT_FILE.replace("def __init__(self, references", f"settings = {own}").replace(
            "import duelbench\n", "import duelbench\nfrom duelbench.envs.duel.settings import RunSettings\n", 1
        )
    )
    assert settings_of(f"{path}:Short-v0").labels == 77
    path.write_text(TEXT_FILE.replace("Short-v0", "Told-of-v0"))
    register("Told-of-v0", RunSettings(labels=78))
    assert settings_of(f"{path}:Told-of-v0").labels == 78


def test_a_request_takes_a_users_environment(arms_file: str) -> None:
    name = f"{arms_file}:Mine-v0"
    (spec,) = Sweep("x", [EnvSetting(name, options={"gap": 2})], ["rucb"], seeds=3, labels=20).specs()
    assert spec.env == name and spec.env_kwargs["gap"] == 2 and spec.lockstep == 3
    with pytest.raises(UsageError, match="registers no 'Mien-v0'"):
        Sweep("x", [f"{arms_file}:Mien-v0"]).specs()
