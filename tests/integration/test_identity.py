"""A run is what decides its outcome: what is in its files and its whole configuration, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import call, last_json

from duelbench.agents.arms.matrix.rucb import RUCB
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.resolve import ChangedError, resolve

AGENT = """
from __future__ import annotations

import numpy as np

from duelbench.agents.arms.matrix.base import MatrixAgent
from pair import PAIR


class Mine(MatrixAgent):
    def propose(self, observation):
        return tuple(np.full(self.setup.rows, arm) for arm in PAIR)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "pair.py").write_text("PAIR = (0, 1)\n")
    (tmp_path / "mine.py").write_text(AGENT)
    return tmp_path / "mine.py"


def spec_of(**changes) -> RunSpec:
    kwargs = {"env": "MatrixDuel-v0", "agent": "rucb", "seed": 0, "labels": 60, "batch": 1, "lockstep": 2}
    return RunSpec(**kwargs | changes)


def run_id(**changes) -> str:
    return resolve(spec_of(**changes)).run_id


def regret(agent: str, out: Path, capsys: pytest.CaptureFixture[str]) -> float:
    line = ["run", "--env", "MatrixDuel-v0", "--agent", agent, "--seeds", "2", "--labels", "200", "--workers", "1"]
    assert call(*line, "--out", str(out), "--json") == 0
    (metrics,) = last_json(capsys.readouterr().out)["agents"].values()
    return metrics["cumulative_average_regret"]["mean"]


def test_an_edited_agent_is_played_anew_and_the_old_run_stays(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first = regret(f"{mine}:Mine", out, capsys)
    assert regret(f"{mine}:Mine", out, capsys) == first
    assert len(list((out / "runs").iterdir())) == 1
    mine.write_text(AGENT.replace("for arm in PAIR", "for arm in (2, 3)"))
    second = regret(f"{mine}:Mine", out, capsys)
    assert second != first and second == regret(f"{mine}:Mine", tmp_path / "fresh", capsys)
    mine.with_name("pair.py").write_text("PAIR = (4, 5)\n")  # unused now, but who knows
    mine.write_text(AGENT)
    third = regret(f"{mine}:Mine", out, capsys)
    assert third not in (first, second)
    assert len(list((out / "runs").iterdir())) == 3


def test_an_edited_matrix_is_another_run(tmp_path: Path) -> None:
    table = tmp_path / "matrix.csv"
    table.write_text("0.5,0.7\n0.3,0.5\n")
    before = run_id(env_kwargs={"matrix": str(table)})
    table.write_text("0.5,0.6\n0.4,0.5\n")
    assert run_id(env_kwargs={"matrix": str(table)}) != before


def test_an_edited_oracle_or_task_is_another_run(tmp_path: Path) -> None:
    oracle, task = tmp_path / "mine.py", tmp_path / "task.jsonl"
    lines = [{"prompt": f"p{i}", "references": ["a", "b"], "split": s} for i, s in enumerate(["train", "heldout"])]
    task.write_text("\n".join(map(json.dumps, lines)))
    oracle.write_text("def vowels(prompt, response):\n    return float(sum(c in 'aeiou' for c in response))\n")
    kwargs = {"task": str(task), "oracle": f"{oracle}:vowels"}

    def now() -> str:
        return resolve(RunSpec("LLMDuel-v0", "online", 0, 64, env_kwargs=kwargs, policy={"model": "mini"})).run_id

    ids = [now()]
    oracle.write_text(oracle.read_text().replace("aeiou", "xyz"))
    ids.append(now())
    task.write_text(task.read_text().replace('"b"', '"c"'))
    ids.append(now())
    assert len(set(ids)) == 3


def test_an_edited_judge_is_another_run(tmp_path: Path) -> None:
    judge = tmp_path / "judge.py"
    judge.write_text("def short(prompt, response):\n    return -float(len(response))\n")

    def now(file: Path) -> str:
        judging = Judging(oracle=f"{file}:short")
        return resolve(RunSpec("LLMDuelPool-v0", "online", 0, 64, judging=judging)).run_id

    before = now(judge)
    assert before != resolve(RunSpec("LLMDuelPool-v0", "online", 0, 64)).run_id
    judge.write_text(judge.read_text().replace("-float", "float"))
    assert now(judge) != before


def test_replaced_weights_are_another_run_and_a_copy_of_the_model_is_the_same(tmp_path: Path) -> None:
    from importlib import resources

    model = tmp_path / "model"
    shutil.copytree(str(resources.files("duelbench.assets") / "models" / "mini"), model)

    def now(name: str) -> str:
        kwargs = {"task": "short-writing-mini"}
        return resolve(RunSpec("LLMDuel-v0", "online", 0, 64, env_kwargs=kwargs, policy={"model": name})).run_id

    before = now(str(model))
    assert before == now("mini")
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    assert now(str(model)) != before


def test_a_changed_default_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_id()
    config = dataclasses.make_dataclass("Config", [("alpha", float, 0.6), ("unseen", float, 2.0)], frozen=True)
    monkeypatch.setattr(RUCB, "Config", config)
    assert run_id() != before


def test_an_option_that_is_set_to_its_default_changes_nothing() -> None:
    assert run_id(agent_options={"alpha": 0.51}) == run_id() != run_id(agent_options={"alpha": 0.52})
    assert run_id(env_kwargs={"matrix": "arxiv6", "permute": True}) == run_id()


def test_what_changed_between_planning_and_playing_is_one_error(mine: Path) -> None:
    planned = resolve(spec_of(agent=f"{mine}:Mine"))
    mine.write_text(AGENT + "\n# another line\n")
    with pytest.raises(ChangedError, match="agent's content changed"):
        resolve(planned)


def test_places_machines_and_days_do_not_decide(mine: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from duelbench.records.spec import Judging, RunSpec; "
        "from duelbench.runs.configuration.resolve import resolve; "
        "spec = RunSpec('MatrixDuel-v0', sys.argv[1], 0, 60, batch=1, lockstep=2, env_kwargs={'matrix': sys.argv[2]}); "
        "print(resolve(spec).run_id)"
    )
    np.savetxt(tmp_path / "m.csv", [[0.5, 0.7], [0.3, 0.5]], delimiter=",")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("mine.py", "pair.py", "m.csv"):
        shutil.copy(tmp_path / name, other / name)
    places = [
        (tmp_path, "mine.py", "m.csv", {}),
        (other, str(mine), str(tmp_path / "m.csv"), {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}),
        (other, "./mine.py", "../m.csv", {"HOME": str(other), "LANG": "de_DE.UTF-8"}),
    ]
    ids = set()
    for folder, agent, table, environment in places:
        command = [sys.executable, "-c", code, f"{agent}:Mine", table]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        ids.add(done.stdout.strip())
    assert len(ids) == 1


def test_the_record_holds_the_whole_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    regret("rucb", tmp_path, capsys)
    (run, _) = load_runs(tmp_path)
    assert run.manifest["spec"]["resolved"]["agent"] == {"alpha": 0.51, "unseen": 2.0}
    assert run.manifest["spec"]["resolved"]["env"]["matrix"] == "arxiv6"
    assert set(run.manifest["spec"]["content"]) == {"agent", "env"}
