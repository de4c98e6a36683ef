"""The library plays what the command line plays, and gives numbers to compute with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import duelbench
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.agents.arms.matrix.rucb import RUCB
from duelbench.cli.main import parse
from duelbench.cli.run import run_specs
from duelbench.errors import UsageError

LINE = "run --env MatrixDuel-v0 --preset bt10 -a rucb -a uniform --seeds 3 --labels 40 --set rucb.alpha=0.6"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> duelbench.Results:
    return duelbench.run(
        "MatrixDuel-v0",
        ["rucb", "uniform"],
        preset="bt10",
        seeds=3,
        labels=40,
        options={"rucb.alpha": 0.6},
        judging={"every": 10},
        out=tmp_path_factory.mktemp("out"),
        workers=1,
    )


def test_python_plays_the_runs_of_the_command_line(played: duelbench.Results) -> None:
    asked = run_specs(parse([*LINE.split(), "--judge-every", "10"]))
    assert {run.folder_id for run in played.runs} == {spec.run_id for spec in asked}
    by_default = run_specs(parse(["run", "--env", "LLMDuelPool-v0"]))
    assert by_default == duelbench.Sweep("x", ["LLMDuelPool-v0"], seeds=None).specs()


def test_a_sweep_of_the_same_plays_nothing_again(played: duelbench.Results) -> None:
    before = {path: path.stat().st_mtime_ns for path in (played.folder / "runs").rglob("*")}
    sweep = duelbench.Sweep(
        "same",
        [duelbench.EnvSetting("MatrixDuel-v0", "bt10")],
        ["uniform", duelbench.AgentSetting("rucb", {"alpha": 0.6})],
        seeds=3,
        labels=40,
        judging={"every": 10},
    )
    again = duelbench.sweep(sweep, out=played.folder, workers=1)
    assert {run.run_id for run in again.runs} == {run.run_id for run in played.runs}
    assert {path: path.stat().st_mtime_ns for path in (played.folder / "runs").rglob("*")} == before
    with pytest.raises(UsageError, match="out=FOLDER"):
        duelbench.sweep(sweep)


@pytest.mark.parametrize("pandas", [True, False])
def test_curves_and_final_values_are_columns(
    played: duelbench.Results, pandas: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pandas:
        frame = pytest.importorskip("pandas").DataFrame
    else:
        frame = dict
        monkeypatch.setitem(sys.modules, "pandas", None)
    metric = "cumulative_average_regret"
    finals, curves = played.finals(metric), played.curves(metric)
    assert isinstance(finals, frame) and isinstance(curves, frame)
    assert list(finals) == list(curves) == ["task", "agent", "seed", "run_id", "labels", metric]
    assert len(finals["seed"]) == 6 and set(finals["labels"]) == {40.0}
    for run in played.runs:
        mine = np.asarray(curves["run_id"] == run.run_id)
        assert np.asarray(curves["labels"])[mine].tolist() == [row["labels"] for row in run.rows]
        assert np.asarray(curves[metric])[mine].tolist() == [row[metric] for row in run.rows]
        (final,) = np.asarray(finals[metric])[np.asarray(finals["run_id"] == run.run_id)]
        assert final == run.rows[-1][metric]
    assert {metric, "simple_regret"} <= set(played.finals()) == set(played.curves())
    with pytest.raises(KeyError, match="no run recorded"):
        played.finals("offline_win_rate")


def test_a_folder_is_loaded_shown_and_reported(played: duelbench.Results, tmp_path: Path) -> None:
    found = duelbench.load(played.folder)
    assert {run.run_id for run in found.runs} == {run.run_id for run in played.runs}
    assert "rucb" in found.table() and "uniform" in found.table()
    assert found.report().read_text(encoding="utf-8").count("rucb")
    with pytest.raises(FileNotFoundError, match="holds no runs"):
        duelbench.load(tmp_path)


def test_a_mistake_is_said_before_anything_is_played(tmp_path: Path) -> None:
    for change, said in (
        ({"agents": ["rucbb"]}, "did you mean 'rucb'"),
        ({"options": {"rucb.alpah": 1.0}}, "did you mean 'alpha'"),
        ({"preset": "bt11"}, "did you mean"),
        ({"seeds": 0}, "at least 1"),
        ({"labels": 0}, "at least 1"),
    ):
        asked = {"env": "MatrixDuel-v0", "agents": ["rucb"], "seeds": 1, "labels": 20, "out": tmp_path} | change
        with pytest.raises(ValueError, match=said):
            duelbench.run(**asked)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_class_is_taken_where_a_name_is_and_known_by_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def regrets(agent: type) -> list[float]:
        found = duelbench.run("MatrixDuel-v0", [agent], seeds=2, labels=30, out=tmp_path, workers=2)
        assert "no other can import" in capsys.readouterr().err
        return np.asarray(found.finals("cumulative_average_regret")["cumulative_average_regret"]).tolist()

    first = {"propose": lambda self, observation: (np.zeros(self.setup.rows, int), np.ones(self.setup.rows, int))}
    other = {"propose": lambda self, observation: (np.full(self.setup.rows, 2), np.full(self.setup.rows, 3))}
    classes = [type("Mine", (MatrixAgent,), own | {"__module__": "__main__"}) for own in (first, other, first)]
    values = [regrets(cls) for cls in classes]
    assert values[0] == values[2] != values[1]
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_an_importable_class_goes_by_its_target() -> None:
    (spec,) = duelbench.Sweep("x", ["MatrixDuel-v0"], [RUCB], seeds=2, labels=20).specs()
    assert spec.agent == "duelbench.agents.arms.matrix.rucb:RUCB"


def test_a_function_is_taken_as_the_oracle_and_known_by_its_code(task_file: str) -> None:
    def planned(oracle: object) -> str:
        sweep = duelbench.Sweep(
            "x", [duelbench.EnvSetting("LLMDuelPool-v0", options={"task": task_file, "oracle": oracle})], ["online"]
        )
        return sweep.specs()[0].run_id

    code = ("lambda prompt, response: float(len(response))", "lambda prompt, response: -float(len(response))")
    first, same, other = (eval(text, {"__name__": "__main__"}) for text in (code[0], code[0], code[1]))
    assert planned(first) == planned(same) != planned(other)


def test_the_import_stays_light() -> None:
    code = "import duelbench, sys; assert not {'torch', 'matplotlib', 'duelbench.study.library'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        duelbench.nothing_of_ours  # noqa: B018
