"""TRL's contender of the race does the work that it is said to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", minversion="1.16")

REPOSITORY = Path(__file__).parents[2]
SIZES = {"batch": 3, "prompt-len": 12, "new-tokens": 5, "warm": 1, "steps": 2}


@pytest.mark.parametrize(("setting", "checkpointing"), [("--autocast", False), ("--stock", True)])
def test_a_step_has_the_agreed_work(setting: str, checkpointing: bool) -> None:
    command = [sys.executable, "experiments/speed/trl_online.py", "--model", "duelbench/assets/models/mini", setting]
    sizes = [word for name, size in SIZES.items() for word in (f"--{name}", str(size))]
    safe = os.environ | {"PYTHONSAFEPATH": "1"}  # as beside a duelbench that is not installed
    done = subprocess.run([*command, *sizes], cwd=REPOSITORY, env=safe, capture_output=True, text=True, check=True)
    record = json.loads(done.stdout.splitlines()[-1])
    assert record["tokens_per_step"] == 3 * 2 * 5
    assert record["gradient_checkpointing"] is checkpointing and record["bf16"]
    assert record["split_wall_cpu_s"].keys() >= {"generate", "ref_forward", "policy_forward", "policy_backward"}
    assert len(record["step_wall_s_all"]) == 2
