"""No command pays for the libraries of another: what each loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import call

from duelbench.cli.listing import _lists
from duelbench.cli.main import COMMANDS
from duelbench.posteriors.registry import find_posterior

SLOW = {"scipy", "torch", "transformers", "matplotlib"}


def loaded(code: str) -> set[str]:
    """The slow libraries that a piece of code has loaded when it ends."""
    program = (
        f"import sys, atexit\natexit.register(lambda: print(*({SLOW!r} & set(sys.modules)), file=sys.stderr))\n{code}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import duelbench; import duelbench.study.settings",
        "from duelbench.cli.main import main; main(['run', '--help'])",
        "from duelbench.cli.main import main; main(['list', 'envs'])",
    ],
)
def test_names_and_help_need_none_of_them(code: str) -> None:
    assert loaded(code) == set()


def test_all_that_there_is_by_name_takes_no_torch() -> None:
    assert loaded("from duelbench.cli.main import main; main(['list'])") == set()


def test_what_a_list_says_is_what_the_code_says_of_itself() -> None:
    for name, said in _lists("posteriors")["posteriors"].items():
        assert said == (find_posterior(name).__doc__ or "").partition("\n")[0] != ""


def test_agents_that_count_need_no_torch() -> None:
    code = "from duelbench.agents.registry import find_agent\nfor name in ('rucb', 'double_ts', 'max_inp', 'greedy'):\n"
    assert loaded(code + "    find_agent(name, arms=True)") <= {"scipy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: duelbench {name} ")


def test_the_overview_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    assert f"{{{','.join(COMMANDS)}}}" in capsys.readouterr().out
