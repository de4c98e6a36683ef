"""``duelbench tune`` as a user meets it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from command_line import call, last_json

pytest.importorskip("optuna")

from duelbench.cli.main import parse
from duelbench.cli.run import run_specs
from duelbench.records.record import load_runs

RATE = "learner.learning_rate=log:1e-3:1e-1"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-a", "online", "--search", RATE, "--first-seed", "0"], "tuning seeds begin at 1000"),
        (["-a", "online"], "nothing to tune"),
        (["--search", RATE], "one agent at a time"),
        (["-a", "online", "-a", "sea", "--search", RATE], "one agent at a time"),
        (["-a", "online", "--search", "learner.learning_rte=log:1e-3:1"], "did you mean 'learning_rate'"),
        (["-a", "online", "--search", "learner.learning_rate=lgo:1e-3:1"], "did you mean 'log'"),
        (["-a", "sea", "--search", "sea.candidates=choice:4,many"], "expects int, got 'many'"),
        (["-a", "sea", "--search", "online.candidates=int:4:8"], "no options can be set of 'online'"),
        (["-a", "online", "--search", RATE, "--metric", "simple_regrets"], "did you mean 'simple_regret'"),
        (["-a", "online", "--search", RATE, "--sampler", "grid"], "a grid needs choices"),
        (["-a", "online", "--search", RATE, "--seeds", "1", "--pruner", "median"], "leave --pruner out"),
        (["-a", "online", "--search", RATE, "--sampler", "llm", "--proposer", "./no"], "there is no folder"),
    ],
)
def test_bad_usage_is_one_clear_line_and_leaves_nothing(
    argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("tune", "--env", "LLMDuelPool-v0", *argv, "--out", str(tmp_path / "out")) == 2
    printed = capsys.readouterr()
    assert said in printed.err and len(printed.err.strip().splitlines()) == 1 and printed.out == ""
    assert not (tmp_path / "out").exists()


def test_without_optuna_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert call("tune", "-a", "online", "--search", RATE) == 2
    assert "pip install -e '.[tune]'" in capsys.readouterr().err


def test_a_study_ends_with_a_line_that_runs_its_best_setting(
    task_file: str, oracles: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = [
        "tune",
        "--env",
        "LLMDuelPool-v0",
        "--agent",
        "online",
        "--labels",
        "64",
        "--seeds",
        "2",
        "--workers",
        "1",
        "--set",
        f"env.task={task_file}",
        "--set",
        f"env.oracle={oracles}:Worth",
        "--sampler",
        "grid",
        "--search",
        "learner.learning_rate=choice:1e-3,0.1",
        "--out",
        str(out),
    ]
    assert call(*command, "--json") == 0
    printed = capsys.readouterr()
    content = last_json(printed.out)
    assert content["objective"] == "anytime mean of offline win rate" and content["direction"] == "maximize"
    assert len(printed.out.strip().splitlines()) == 1 and "Budget: 2 trials" in printed.err

    runs = load_runs(out)
    assert {run.spec["seed"] for run in runs} == {1000, 1001} and len(runs) == 4
    for trial in content["trials"]:
        rate = trial["setting"]["learner.learning_rate"]
        curves = [r.rows for r in runs if r.spec["learner"]["learning_rate"] == rate]
        by_hand = [(rows[0]["offline_win_rate"] + rows[-1]["offline_win_rate"]) / 2 for rows in curves]  # two points
        assert trial["scores"] == pytest.approx(by_hand)
    best = max(content["trials"], key=lambda trial: trial["score"])
    assert content["best"]["setting"] == best["setting"]
    assert content["budget"]["labels"] == sum(run.rows[-1]["labels"] for run in runs)
    for run in runs:
        labels, rounds, same = (run.rows[-1][name] for name in ("labels", "rounds", "self_duel_share"))
        if run.spec["learner"]["learning_rate"] == 1e-3:
            assert labels == 64
        else:  # one step at 0.1, and the policy answers most prompts twice with the same: those are no questions
            assert labels == round((1.0 - same) * rounds * 32) < 64 and same > 0.5
            assert rounds == 4 * (1 + 64 // 32)  # where a run that finds nothing to ask ends

    line = shlex.split(content["best"]["command"])
    assert line[:2] == ["duelbench", "run"]
    specs = run_specs(parse(line[1:]))
    (played,) = {json.dumps(spec.to_json() | {"seed": 0}) for spec in specs}
    tuned = next(r for r in runs if r.spec["learner"]["learning_rate"] == best["setting"]["learner.learning_rate"])
    assert json.loads(played) == tuned.spec | {"seed": 0} and {spec.seed for spec in specs} == {0, 1, 2}

    saved = json.loads((out / "tuning.json").read_text())
    assert saved == {name: value for name, value in content.items() if name != "out"}
    assert content["best"]["command"] in (out / "tuning.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    assert call(*command) == 0  # again: nothing is played, the same is said
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before
    assert "Best: trial" in capsys.readouterr().out
    assert call(*command, "--seeds", "3") == 2
    assert "differs in seeds" in capsys.readouterr().err


def test_arms_are_tuned_for_regret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "tune",
        "--env",
        "MatrixDuel-v0",
        "--preset",
        "bt10",
        "-a",
        "rucb",
        "--labels",
        "300",
        "--seeds",
        "4",
        "--search",
        "rucb.alpha=float:0.51:3",
        "--trials",
        "3",
        "--out",
        str(tmp_path),
        "--json",
    ]
    assert call(*command) == 0
    content = last_json(capsys.readouterr().out)
    assert content["objective"] == "final cumulative average regret" and content["direction"] == "minimize"
    finals: dict[float, list[float]] = {}
    for run in load_runs(tmp_path):
        finals.setdefault(run.spec["agent_options"]["alpha"], []).append(run.rows[-1]["cumulative_average_regret"])
    assert all(len(values) == 4 for values in finals.values()) and len(finals) == 3
    assert content["best"]["score"] == pytest.approx(min(sum(values) / 4 for values in finals.values()))
    assert content["budget"]["runs"] == 12 and content["budget"]["labels"] == 3 * 4 * 300
