"""The shell around every command: streams, encodings, mistakes, what there is by name."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest
from command_line import call
from reports import write_pool_runs

from duelbench.acquisition.registry import RULES
from duelbench.agents import registry
from duelbench.cli import listing
from duelbench.cli.main import COMMANDS, EXAMPLES, parse
from duelbench.plugins import loader

DUELBENCH = [sys.executable, "-m", "duelbench"]


def duelbench(*argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*DUELBENCH, *argv], capture_output=True, env=os.environ | environment, check=False)


def test_python_m_and_version() -> None:
    done = duelbench("--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().strip() == f"duelbench {version('duelbench')}"


@pytest.mark.parametrize("argv", ["list", "list rules", "--help", "run --help"])
def test_a_reader_that_goes_away_ends_it_quietly(argv: str) -> None:
    command = f"{' '.join(DUELBENCH)} {argv} | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert done.stderr == b"" and len(done.stdout) == 1


ENCODINGS = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("environment", ENCODINGS, ids=lambda e: next(iter(e.values())))
def test_any_locale_prints_a_report_and_lists(environment: dict[str, str], tmp_path: Path) -> None:
    write_pool_runs(tmp_path, agents=("online", "ré→sea"))
    for argv in (["report", "--format", "md", str(tmp_path)], ["list", "oracles"], ["report", "--help"]):
        done = duelbench(*argv, **environment)
        assert (done.returncode, done.stderr) == (0, b"") and done.stdout
        done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


def test_a_pipe_gets_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    write_pool_runs(tmp_path, agents=("online", "ré→sea"))
    assert "ré→sea" in duelbench("report", "--format", "md", str(tmp_path), **ENCODINGS[-1]).stdout.decode("utf-8")


@pytest.mark.parametrize(
    "argv",
    [
        ["report", "nowhere"],
        ["report", "a_file"],
        ["run", "--env", "LLMDuelPool-v0", "--agent", "missing.py:Agent"],
        ["run", "--env", "LLMDuelPool-v0", "--agent", "broken.py:Agent"],
        ["sweep", "broken.py"],
        ["export", "nowhere", "--to", "csv"],
    ],
)
def test_a_mistake_of_the_users_is_one_line(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").write_text("no folder")
    Path("broken.py").write_text("1 / 0")
    assert call(*argv) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("duelbench: ") and len(said.err.strip().splitlines()) == 1


def test_a_defect_of_ours_is_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(listing, "table_printer", None)
    assert call("list") == 1
    assert "Traceback" in capsys.readouterr().err


def test_lists_name_all_agents_and_what_packages_announce(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def announced(*, group: str) -> list[EntryPoint]:
        return [EntryPoint(f"their_{group.partition('.')[2]}", "their.package:Thing", group)]

    monkeypatch.setattr(loader, "entry_points", announced)
    assert call("list") == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert {*registry.AGENTS["policy"], *registry.AGENTS["arms"], *RULES} <= names
    for kind in ("agent", "env", "oracle", "posterior", "rule", "task", "sweep"):
        assert f"their_{kind}s" in names


def test_one_list_of_agents_holds_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "agents") == 0
    printed = capsys.readouterr().out
    assert "rucb" in printed and "xpo" in printed and "smollm2" not in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_an_example_that_is_understood(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    printed = capsys.readouterr().out
    words = shlex.split(EXAMPLES[name])
    assert "Example: duelbench" in printed and words[:2] == ["duelbench", name]
    assert type(parse(words[1:])).__name__ in COMMANDS[name][0]


def test_agents_are_listed_in_groups_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "agents") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    names = [line.split()[0] for line in lines if not line.startswith(("agents ", "baselines", " name "))]
    table = [name for kind in registry.AGENTS.values() for name in kind]
    assert sorted(set(names)) == sorted(set(table)) and len(names) == len(table)
    assert "agents that play arms with features" in "\n".join(lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_fits_a_screen_and_begins_with_an_example(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert call(command, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(-(-max(len(line), 1) // 100) for line in lines) <= 40
    assert lines[2] == f"Example: {EXAMPLES[command]}"
    assert "{None}" not in "\n".join(lines) and "default: None" not in "\n".join(lines)
