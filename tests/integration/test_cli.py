"""The command line as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import call, last_json

from duelbench import ENV_IDS
from duelbench.agents.alignment.table import POLICY_AGENTS
from duelbench.cli.main import parse
from duelbench.cli.run import RunCommand, run_specs
from duelbench.oracles import ORACLES
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.execute import execute
from duelbench.runs.policy_loop import run
from duelbench.study.settings import settings_of

FAST = ["--set", "sea.candidates=6", "--set", "sea.posterior.samples=8"]


@pytest.fixture
def small(task_file: str, oracles: str) -> list[str]:
    return ["--set", f"env.task={task_file}", "--set", f"env.oracle={oracles}:Worth"]


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list") == 0
    said = capsys.readouterr().out
    for name in [*ENV_IDS, *POLICY_AGENTS, *(oracle.split(":")[0] for oracle in ORACLES)]:
        assert name in said
    assert call("list", "agents") == 0
    assert "LLMDuel" not in capsys.readouterr().out


def test_run_aligns_reports_and_does_nothing_the_second_time(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = [
        "run",
        "--env",
        "LLMDuelPool-v0",
        "--agent",
        "online",
        "--agent",
        "sea",
        "--seeds",
        "2",
        "--labels",
        "96",
        "--out",
        str(out),
        "--workers",
        "1",
        "--json",
        *FAST,
        *small,
    ]
    assert call(*command) == 0
    printed = capsys.readouterr()
    summary = last_json(printed.out)
    assert len(printed.out.strip().splitlines()) == 1  # everything else goes to standard error
    assert summary["out"] == str(out)
    assert set(summary["agents"]) == {"online", "sea"}
    for metrics in summary["agents"].values():
        numbers = metrics["offline_win_rate"]
        assert set(numbers) >= {"mean", "se", "n"} and numbers["n"] == 2 and 0 <= numbers["mean"] <= 1
        assert metrics["labels"] == {"mean": 96.0, "se": 0.0, "n": 2}
    assert "cumulative_average_regret" in summary["agents"]["sea"]
    page = out / "report.html"
    assert "online" in page.read_text() and str(page) in printed.err.replace("\n", "")
    runs = load_runs(out)
    assert len(runs) == 4 and all(run.finished and run.rows[-1]["labels"] == 96 for run in runs)
    assert runs[0].manifest["command"].startswith("duelbench run --env LLMDuelPool-v0")
    by_hand = [run.rows[-1]["offline_win_rate"] for run in runs if run.spec["agent"] == "sea"]
    assert summary["agents"]["sea"]["offline_win_rate"]["mean"] == pytest.approx(sum(by_hand) / 2)

    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    assert call(*command) == 0
    assert last_json(capsys.readouterr().out) == summary
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before

    assert call("report", str(out), "--json") == 0
    assert last_json(capsys.readouterr().out)["agents"] == summary["agents"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--env", "LLMDuelPool-v1"], "did you mean 'LLMDuelPool-v0'"),
        (["--agent", "onlin"], "did you mean 'online'"),
        (["--agent", "no.such.module:Agent"], "no.such.module"),
        (["--agent", "nofile.py:Agent"], "no file nofile.py"),
        (["--preset", "hardd"], "did you mean 'hard'"),
        (["--agent", "sea", "--set", "sea.candidate=3"], "did you mean 'candidates'"),
        (["--agent", "sea", "--set", "sea.candidates=few"], "expects int, got 'few'"),
        (["--agent", "sea", "--set", "sea.selection.scale=prob"], "expects one of"),
        (["--agent", "sea", "--set", "seaa.candidates=3"], "did you mean 'sea'"),
        (["--agent", "sea", "--set", "candidates"], "NAME.OPTION=VALUE"),
        (["--agent", "online", "--set", "online.speed=3"], "no option 'speed'"),
        (["--agent", "online", "--labels", "0"], "labels must be at least 1"),
        (["--agent", "online", "--batch", "0"], "batch must be at least 1"),
        (["--agent", "online", "--seeds", "0"], "seeds must be at least 1"),
        (["--agent", "online", "--set", "env.horizon=9"], "the run itself sets horizon"),
        (["--agent", "online", "--set", "env.temprature=9"], "did you mean 'temperature'"),
    ],
)
def test_bad_usage_is_one_clear_line_and_exit_code_two(
    argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = [] if "--env" in argv else ["--env", "LLMDuelPool-v0"]
    assert call("run", *env, *argv, "--out", str(tmp_path / "out")) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.startswith("duelbench:")
    assert len(printed.err.strip().splitlines()) == 1 and printed.out == ""
    assert not (tmp_path / "out").exists()


GAP = """
from dataclasses import dataclass
from duelbench.agents.alignment.online import Online
@dataclass(frozen=True)
class Options:
    candidates: int = 2
class Gap(Online):
    Config = Options
"""


def test_options_of_an_agent_given_by_path_go_by_its_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gap.py", "other.py"):
        (tmp_path / name).write_text(GAP)
    agent, other = f"{tmp_path}/gap.py:Gap", f"{tmp_path}/other.py:Gap"
    specs = run_specs(RunCommand(agent=(agent, "online"), seeds=1, set=("Gap.candidates=8",)))
    assert {spec.agent: spec.agent_options for spec in specs} == {agent: {"candidates": 8}, "online": {}}
    assert call("run", "--agent", agent, "--set", "Gap.candidate=8", "--out", str(tmp_path / "out")) == 2
    assert "did you mean 'candidates'" in capsys.readouterr().err
    assert call("run", "-a", agent, "--set", "gap.candidates=8", "--out", str(tmp_path / "out")) == 2
    assert "['Gap', 'env', 'learner', 'policy']" in capsys.readouterr().err
    assert call("run", "-a", agent, "-a", other, "--set", "Gap.candidates=8", "--out", str(tmp_path / "out")) == 2
    assert "may mean" in capsys.readouterr().err


def test_a_folder_without_runs_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report", str(tmp_path)) == 2
    assert "holds no runs" in capsys.readouterr().err


FAILING = """
class Failing:
    def __init__(self, setup): pass
    def propose(self, observation): raise ArithmeticError("this agent [always] fails")
    def update(self, observation, pair, feedback): return {}
    def respond(self, observation): raise ArithmeticError("this agent [always] fails")
"""


def test_a_failing_agent_is_exit_code_one_and_shown_and_stops_no_other(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    out = tmp_path / "out"
    command = [
        "run",
        "--env",
        "LLMDuelPool-v0",
        "--agent",
        f"{tmp_path}/failing.py:Failing",
        "--agent",
        "online",
        "--seeds",
        "1",
        "--labels",
        "32",
        "--workers",
        "1",
        "--out",
        str(out),
        "--json",
        *small,
    ]
    assert call(*command) == 1
    printed = capsys.readouterr()
    assert "failed:" in printed.err and "this agent [always] fails" in printed.err
    runs = {run.spec["agent"]: run for run in load_runs(out)}
    assert runs["online"].finished and not runs["Failing"].finished
    assert "ArithmeticError" in str(runs["Failing"].error)
    assert "Failing" in (out / "report.html").read_text()
    agents = last_json(printed.out)["agents"]
    assert agents["online"]["offline_win_rate"]["n"] == 1
    assert not agents.get("Failing")  # no number is made up for it


def test_a_run_that_cannot_even_begin_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "run",
        "--env",
        "LLMDuelPool-v0",
        "-a",
        "online",
        "--set",
        "env.oracle=nobody",
        "--workers",
        "1",
    ]
    assert call(*command, "--seeds", "1", "--out", str(tmp_path)) == 2
    assert "unknown oracle 'nobody'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_same_agent_named_twice_runs_once(small: list[str], tmp_path: Path) -> None:
    command = [
        "run",
        "--env",
        "LLMDuelPool-v0",
        "-a",
        "uniform",
        "-a",
        "uniform",
        "--seeds",
        "1",
        "--labels",
        "32",
        "--workers",
        "1",
        "--out",
        str(tmp_path),
        *small,
    ]
    assert call(*command) == 0
    assert len(load_runs(tmp_path)) == 1


def test_processes_give_what_one_process_gives(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # execute() sets them for its workers
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"}
    specs = [RunSpec("LLMDuelPool-v0", "online", seed, 48, env_kwargs=kwargs) for seed in (0, 1)]
    broken = RunSpec("LLMDuelPool-v0", "nobody", 0, 48, env_kwargs=kwargs)
    alone = [run(spec, tmp_path / "one") for spec in specs]
    together = execute([*specs, broken], tmp_path / "two", workers=2)
    assert [outcome.error is None for outcome in together] == [True, True, False]
    assert "unknown agent 'nobody'" in str(together[2].error)
    for folder, outcome in zip(alone, together, strict=False):
        assert outcome.folder is not None and outcome.folder.name == folder.name
        assert (outcome.folder / "metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agent", "max_inp"], "needs features"),
        (["--set", "env.matrix=[[0.5, 0.6], [0.5, 0.5]]"], "P[i, j] + P[j, i] = 1"),
        (["--set", "env.matrix=nowhere.csv"], "nowhere.csv"),
        (["--preset", "bt", "--set", "env.arms=1"], "arms"),
        (["--agent", "rucbb"], "did you mean 'rucb'"),
        (["--agent", "sea"], "needs features"),
    ],
)
def test_a_bad_numeric_run_is_one_clear_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "--env", "MatrixDuel-v0", *arguments) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


def test_many_seeds_of_a_classic_agent_take_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--env", "MatrixDuel-v0", "--preset", "bt10", "--agent", "rucb", "--agent", "double_ts"]
    arguments += ["--seeds", "20", "--labels", "500", "--out", str(tmp_path), "--workers", "1", "--json"]
    assert call(*arguments) == 0
    agents = last_json(capsys.readouterr().out)["agents"]
    assert agents["rucb"]["cumulative_average_regret"]["n"] == 20
    assert (
        agents["double_ts"]["cumulative_average_regret"]["mean"] < agents["rucb"]["cumulative_average_regret"]["mean"]
    )
    assert (tmp_path / "MatrixDuel-v0-overview.png").exists()


def test_training_options_reach_policy_and_learner_and_wrong_ones_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (spec,) = run_specs(
        RunCommand(agent=("online",), seeds=1, set=("policy.lora_rank=8", "learner.micro_batch=4", "learner.beta=0.2"))
    )
    assert spec.policy == {"model": "tiny", "features": "preference", "lora_rank": 8}
    assert spec.learner == {"learning_rate": 5e-4, "loss": "dpo", "micro_batch": 4, "beta": 0.2}
    for setting, said in (("policy.lora=8", "'lora_rank'"), ("learner.betas=1", "'beta'"), ("policy.rng=1", "rng")):
        assert call("run", "-a", "online", "--set", setting, "--out", str(tmp_path)) == 2
        assert said in capsys.readouterr().err
    assert call("run", "--env", "LLMDuelPool-v0", "--set", "policy.lora_rank=8", "--out", str(tmp_path)) == 2
    assert "the policy has no option 'lora_rank'" in capsys.readouterr().err


def test_a_model_brings_its_own_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (large,) = run_specs(RunCommand(agent=("online",), seeds=1, model="smollm2-135m"))
    (unknown,) = run_specs(RunCommand(agent=("online",), seeds=1, model="someone/model"))
    assert large.policy["model"] == "smollm2-135m" and large.batch == unknown.batch == 16
    assert unknown.learner["learning_rate"] < large.learner["learning_rate"] < 5e-4
    assert call("run", "--env", "LLMDuelPool-v0", "--model", "tiny", "--out", str(tmp_path)) == 2
    assert "runs no language model" in capsys.readouterr().err


def test_ipo_of_a_language_model_takes_log_probabilities_per_token_unless_told_otherwise() -> None:
    (ipo,) = run_specs(RunCommand(agent=("online",), seeds=1, optimizer="ipo", set=("learner.beta=0.5",)))
    assert ipo.learner == {"learning_rate": 5e-4, "loss": "ipo", "beta": 0.5, "length_average": True}
    for command in (RunCommand(seeds=1), RunCommand(env="LLMDuelPool-v0", optimizer="ipo", seeds=1)):
        assert all(spec.learner.keys() == {"learning_rate", "loss"} for spec in run_specs(command))


def test_how_the_policy_is_judged_is_asked_for_by_options() -> None:
    command = parse(["run", "-a", "online", "--seeds", "1", "--judge-every", "7", "--judge-prompts", "5"])
    (spec,) = run_specs(command)
    usual = settings_of("LLMDuel-v0")
    assert spec.judging == Judging(every=7, prompts=5, repeats=usual.evaluation_repeats)
