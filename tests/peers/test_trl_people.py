"""TRL's own DPO script trains, as it is, on what people said on the page."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from labelling import served

from duelbench.label.session import Session

pytest.importorskip("trl", minversion="1.16")
MINI = resources.files("duelbench.assets") / "models" / "mini"


def test_the_dpo_script_trains_on_the_export_of_the_page(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()

    def make() -> Session:
        return Session("LLMDuelPool-v0", "online", out=tmp_path / "out", labels=8, batch=8)

    with served(make) as (client, _):
        while (question := client.next("ann"))["id"]:
            client.answer(question["id"], "ann", "first")
        (data / "train.jsonl").write_text(client.send("/api/export.jsonl")[1], encoding="utf-8")
    trained = tmp_path / "trained"
    options = {
        "dataset_name": data,
        "model_name_or_path": MINI,
        "output_dir": trained,
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "report_to": "none",
        "dtype": "float32",
        "bf16": "false",
        "gradient_checkpointing": "false",
        "use_cpu": "true",
    }
    command = [sys.executable, "-m", "trl.scripts.dpo"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    weights = (trained / "model.safetensors").read_bytes()
    assert weights != (Path(str(MINI)) / "model.safetensors").read_bytes()
