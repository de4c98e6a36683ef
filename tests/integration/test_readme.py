"""The README's Python blocks run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from duelbench.cli.main import parse
from duelbench.cli.run import run_specs
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep
from duelbench.runs.policy_loop import run
from duelbench.study.sweep_files import load_sweep

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
COMMANDS = re.findall(r"^(?:duelbench .*)$", "\n".join(re.findall(r"```bash\n(.*?)```", README, re.S)), re.M)


def block(name: str) -> str:
    (found,) = [text for text in BLOCKS if name in text]
    return found


def test_the_first_example_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    example = block("gym.make")
    exec(compile(example, "README.md", "exec"), {})
    said = re.findall(r"print\(.*\)  # (.*)", example)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == said[0] and said[1].startswith(printed[1])


@pytest.mark.parametrize(("file", "name"), [("gap.py", "Gap"), ("mine.py", "MyAgent")])
def test_the_custom_agents_run(file: str, name: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(block(f"# {file}"))
    spec = RunSpec(
        env="LLMDuelPool-v0", agent=f"{tmp_path / file}:{name}", seed=0, labels=64, judging=Judging(every=64)
    )
    run(spec, tmp_path)
    (record,) = load_runs(tmp_path)
    assert record.finished and record.rows[-1]["labels"] == 64


def test_the_lock_step_agent_runs(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(block("# twice.py"))
    spec = RunSpec(
        env="MatrixDuel-v0",
        agent=f"{tmp_path / 'twice.py'}:Twice",
        seed=0,
        labels=1000,
        batch=1,
        judging=Judging(every=500),
        env_kwargs={"matrix": "bt10"},
        lockstep=20,
    )
    run_lockstep(spec, tmp_path)
    runs = load_runs(tmp_path)
    assert len(runs) == 20
    assert sum(run.rows[-1]["cumulative_average_regret"] for run in runs) / 20 < 0.7 * 232.6  # uniform pairs


def test_the_sweep_is_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "candidates.py").write_text(block("# candidates.py"))
    name, sweep = load_sweep(str(tmp_path / "candidates.py"))
    assert len(sweep.plan(name).runs) == 3 * 2 * 10


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_understood(line: str) -> None:
    command = parse(shlex.split(line.partition(" | ")[0], comments=True)[1:])
    elsewhere = (".py:", "hub:", "ifeval.npz")  # files that the reader writes, data that a hub holds
    if hasattr(command, "optimizer") and not any(mark in line for mark in elsewhere):
        assert run_specs(command)
