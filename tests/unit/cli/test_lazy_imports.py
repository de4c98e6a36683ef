"""No command pays for the libraries of another: what each loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import call

from duelbench.cli.listing import _lists
from duelbench.cli.main import COMMANDS
from duelbench.posteriors.registry import find_posterior

SLOW = {"scipy", "torch", "transformers", "matplotlib", "jinja2", "optuna"}
NUMERIC = {"numpy", "gymnasium"}


def loaded(code: str) -> set[str]:
    """The slow libraries that a piece of code has loaded when it ends."""
    watched = SLOW | NUMERIC
    program = (
        f"import sys, atexit\n"
        f"atexit.register(lambda: print(*({watched!r} & set(sys.modules)), file=sys.stderr))\n{code}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import duelbench.study.settings",
        "from duelbench.cli.main import main; main(['list', 'envs'])",
        "from duelbench.cli.main import main; main(['list'])",
    ],
)
def test_names_need_none_of_them(code: str) -> None:
    assert loaded(code) <= NUMERIC


def test_help_needs_gymnasium_alone() -> None:
    for argv in (["--help"], ["--version"], ["list", "--help"], ["run", "--help"]):  # the first loads all commands
        assert loaded(f"from duelbench.cli.main import main; main({argv})") <= NUMERIC
    assert loaded("import duelbench") <= NUMERIC


def test_what_a_list_says_is_what_the_code_says_of_itself() -> None:
    for name, said in _lists("posteriors")["posteriors"].items():
        assert said == (find_posterior(name).__doc__ or "").partition("\n")[0] != ""


def test_agents_that_count_need_no_torch() -> None:
    code = "from duelbench.agents.registry import find_agent\nfor name in ('rucb', 'double_ts', 'max_inp', 'greedy'):\n"
    assert loaded(code + "    find_agent(name, arms=True)") <= {"scipy", *NUMERIC}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: duelbench {name} ")


def test_the_overview_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    assert f"{{{','.join(COMMANDS)}}}" in capsys.readouterr().out
