"""Arms are played and reported where no language model's packages are; what needs them says how to get them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from duelbench.errors import _LANGUAGE_MODELS

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LACKS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from duelbench.cli.main import main
for argv in COMMANDS:
    try:
        main(argv)
    except SystemExit as ended:
        print("ended with", ended.code, flush=True)
"""


def test_the_core_needs_no_language_models_packages(tmp_path: Path) -> None:
    arms = ["run", "--env", "MatrixDuel-v0", "--agent", "rucb", "--seeds", "2", "--labels", "40", "--workers", "1"]
    commands = [
        [*arms, "--out", str(tmp_path / "arms")],
        ["export", str(tmp_path / "arms"), "--to", "csv"],
        ["list"],
        ["run", "--env", "LLMDuelPool-v0", "--agent", "online", "--seeds", "1", "--out", str(tmp_path / "pool")],
        ["run", "--env", "LLMDuel-v0", "--agent", "uniform", "--seeds", "1", "--out", str(tmp_path / "live")],
    ]
    lacks = {*_LANGUAGE_MODELS, "tokenizers", "huggingface_hub"}
    code = WITHOUT.replace("LACKS", repr(lacks)).replace("COMMANDS", repr(commands))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended = [line for line in done.stdout.splitlines() if line.startswith("ended with")]
    assert ended == ["ended with 0"] * 3 + ["ended with 2"] * 2, done.stderr
    assert done.stderr.count("pip install -e '.[lm]'") == 2 and "Traceback" not in done.stderr
    assert "needs torch: language models need more packages" in done.stderr, done.stderr


def test_the_extra_holds_what_the_message_speaks_of() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {line.partition(">")[0] for line in extras["lm"]}
    assert names == _LANGUAGE_MODELS
