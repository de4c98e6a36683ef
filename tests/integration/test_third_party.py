"""What others wrote outside the repository, environments, tasks, oracles and agents, plays by every door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import last_json

import duelbench
from duelbench.envs.arms.matrix import MatrixFamily
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.text.tasks import Task, load_task
from duelbench.plugins import PluginError
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.study.sweep import EnvSetting, Sweep

MODULE = """
from __future__ import annotations

import numpy as np

import duelbench
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.envs.arms.matrix import MatrixFamily
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.settings import RunSettings
from duelbench.envs.text.llm_duel import LLMDuel
from duelbench.envs.text.tasks import Task


class Gaps(FixedArms):
    \"\"\"Four arms, equally far apart.\"\"\"

    settings = RunSettings(labels=60, evaluate_every=20, seeds=4, agents=("rucb", "uniform"), arms=True)

    def __init__(self, gap: float = 1.0) -> None:
        super().__init__(MatrixFamily([3 * gap, 2 * gap, gap, 0.0], one_hot=True))


def narrow() -> Gaps:
    return Gaps(gap=0.5)


duelbench.envs.register("Wide-v0", Gaps, gap=3.0)


class Stubborn(MatrixAgent):
    def propose(self, observation):
        return np.zeros(self.setup.rows, int), np.ones(self.setup.rows, int)


def brevity(prompt: str, response: str) -> float:
    return -float(len(response))


brevity.free = True


def task() -> Task:
    references = np.array([[f"word {i}", f"many more words {i}"] for i in range(12)], dtype=object)
    features = np.tile(np.eye(2, dtype=np.float32), (12, 1, 1))
    return Task("brief", tuple(f"question {i}" for i in range(12)), 8, references, {"mine": features})
"""
AGENTS = ["rucb", "double_ts", "uniform"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``mymod.py``, where one works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mymod", raising=False)
    Path("mymod.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize("name", ["mymod:Gaps", "mymod.py:Gaps", "mymod:Wide-v0", "mymod.py:narrow"])
def test_an_environment_of_a_file_is_run_swept_and_reported(folder: Path, name: str) -> None:
    played = duelbench.run(name, AGENTS, seeds=3, labels=40, out="out", workers=1)
    assert {(run.spec["agent"], run.finished) for run in played.runs} == {(agent, True) for agent in AGENTS}
    swept = duelbench.sweep(Sweep("mine", [EnvSetting(name)], AGENTS, seeds=3, labels=40), out="out", workers=1)
    assert {run.run_id for run in swept.runs} == {run.run_id for run in played.runs}
    assert len(list(Path("out/runs").iterdir())) == 3  # nothing was played twice
    if name == "mymod:Gaps":
        text = swept.report().read_text(encoding="utf-8")
        assert all(agent in text for agent in [*AGENTS, "Gaps"])
    assert set(np.asarray(played.finals("cumulative_average_regret")["agent"])) == set(AGENTS)


def test_the_command_line_plays_a_module_of_the_working_folder_in_several_processes(folder: Path) -> None:
    line = ["run", "--env", "mymod:Gaps", "--agent", "rucb", "--agent", "mymod:Stubborn", "--agent", "double_ts"]
    line += ["--seeds", "2", "--labels", "20", "--workers", "2", "--out", "out", "--json"]
    done = subprocess.run(
        [Path(sys.executable).with_name("duelbench"), *line],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(last_json(done.stdout)["agents"]) == {"rucb", "Stubborn", "double_ts"}
    runs = duelbench.load("out").runs
    assert len(runs) == 3 * 2 and all(run.finished and run.spec["env"] == "mymod:Gaps" for run in runs)
    again = duelbench.run("mymod:Gaps", ["rucb"], seeds=2, labels=20, out="out", workers=2)
    assert {run.run_id for run in again.runs} < {run.run_id for run in runs}


def test_what_an_environment_of_ones_own_plays_by_default_comes_with_it(folder: Path) -> None:
    played = duelbench.run("mymod:Gaps", out="out", workers=1).runs
    assert {(run.spec["agent"], run.spec["labels"]) for run in played} == {("rucb", 60), ("uniform", 60)}
    assert len(played) == 8


class Typed(FixedArms):
    """Three arms."""

    def __init__(self, best: float = 2.0) -> None:
        super().__init__(MatrixFamily([best, 1.0, 0.0]))


def test_a_class_is_taken_where_the_name_of_an_environment_is(tmp_path: Path) -> None:
    played = duelbench.run(Typed, AGENTS, options={"env.best": 3.0}, seeds=2, labels=20, out=tmp_path, workers=1)
    assert len(played.runs) == 6 and all(run.finished for run in played.runs)
    with pytest.raises(PluginError, match=r"expected a .*Problem class"):
        duelbench.run(Path, AGENTS, out=tmp_path)  # type: ignore[arg-type]


def small_task(word: str = "word") -> Task:
    references = np.array([[f"{word} {i}", f"many more words {i}"] for i in range(12)], dtype=object)
    features = np.tile(np.eye(2, dtype=np.float32), (12, 1, 1))
    return Task("brief", tuple(f"question {i}" for i in range(12)), 8, references, {"mine": features})


class Longest:
    """Prefers the longer response, by as much as it is told."""

    name, prefers_by_utility, free = "longest", True, True

    def __init__(self, weight: float) -> None:
        self.weight, self.asked = weight, 0

    def utilities(self, prompts: list[str], responses: list[str]) -> Any:
        self.asked += 1  # what it holds changes while it is asked
        return self.weight * np.array([float(len(response)) for response in responses])

    def preference(self, prompts: list[str], firsts: list[str], seconds: list[str]) -> Any:
        raise AssertionError("follows from the utilities")


def test_a_task_and_an_oracle_are_taken_where_names_are_and_known_by_what_they_hold(tmp_path: Path) -> None:
    def played(task: Task, oracle: Longest) -> set[str]:
        options = {"env.task": task, "env.oracle": oracle}
        found = duelbench.run("LLMDuelPool-v0", ["online", "uniform"], seeds=2, labels=8, batch=4, options=options,
                              out=tmp_path)  # fmt: skip
        assert len(found.runs) == 4 and all(run.finished for run in found.runs)
        return {run.run_id for run in found.runs}

    oracle = Longest(0.1)
    ids = played(small_task(), oracle)
    assert oracle.asked and played(small_task(), oracle) == ids == played(small_task(), Longest(0.1))
    assert not ids & played(small_task("other"), oracle)
    assert not ids & played(small_task(), Longest(0.2))


def test_a_task_of_a_file_is_a_task(folder: Path) -> None:
    for name in ("mymod:task", "mymod.py:task"):
        assert load_task(name).name == "brief" and load_task(name, {"limit": 3}).n_duel == 3
    with pytest.raises(PluginError, match="expected a Task"):
        load_task("mymod:Gaps")
    options = {"env.task": "mymod.py:task", "env.oracle": "mymod.py:brevity"}
    played = duelbench.run("LLMDuelPool-v0", ["online"], seeds=2, labels=8, batch=4, options=options, workers=2)
    assert len(played.runs) == 2 and all(run.finished for run in played.runs)


def test_an_edited_environment_is_another_run(folder: Path) -> None:
    def ids() -> list[str]:
        return [
            resolve(RunSpec(f"mymod.py:{name}", "rucb", 0, 40, batch=1, lockstep=2)).run_id
            for name in ("Gaps", "Wide-v0", "narrow")
        ]

    before = ids()
    assert ids() == before and len(set(before)) == 3
    Path("mymod.py").write_text(MODULE.replace("gap=3.0", "gap=2.0"))
    assert not set(ids()) & set(before)  # the file as a whole is what they are
    assert resolve(RunSpec("mymod.py:Wide-v0", "rucb", 0, 40, batch=1, lockstep=2)).resolved["env"]["gap"] == 2.0
