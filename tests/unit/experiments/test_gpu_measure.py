"""The measuring script on toy sizes; its figures mean nothing here, but its path is the GPU's."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, GPTNeoXConfig

from duelbench.experiments.gpu.measure import (
    SHAPES,
    WORKS,
    Cell,
    in_a_process,
    main,
    make_model,
    measure,
    play_cell,
    table,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("random")
    make_model("tiny", path)
    return str(path)


def cell(folder: str, training: str) -> Cell:
    return Cell("random", folder, training, "own", {}, asdict(WORKS["tiny"]))


@pytest.mark.parametrize("training", ["full", "lora"])
def test_a_row_has_every_figure(folder: str, training: str) -> None:
    row = measure(cell(folder, training))
    assert all(value > 0 for name, value in row.items() if name.endswith("_per_s"))
    (line,) = table([{"model": "random", "training": training, "sampler": "own", **row}]).splitlines()[2:]
    assert "" not in [entry.strip() for entry in line.strip("|").split("|")]


def test_a_row_that_fails_says_why(tmp_path: Path) -> None:
    play_cell(cell(str(tmp_path / "nothing"), "full"), tmp_path / "row.json")
    row = json.loads((tmp_path / "row.json").read_text())
    assert "nothing" in row["failed"]
    assert "failed: " in table([{"model": "random", "training": "full", "sampler": "own", **row}])


def test_a_row_for_which_no_time_is_left_says_so(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    main(["--out", str(out), "--shape", "tiny", "--models", "tiny", "--samplers", "own", "--minutes", "0"])
    rows = json.loads(out.read_text())["rows"]
    assert [(row["model"], row["training"]) for row in rows] == [
        ("tiny", "full"),
        ("random tiny", "full"),
        ("tiny", "lora"),
        ("random tiny", "lora"),
    ]
    assert {row["failed"] for row in rows} == {"no time was left"}
    assert "not done when the time was up" in in_a_process(cell(folder, "full"), 0.01)["failed"]


def test_the_random_billion_has_as_many_weights_as_pythia_1b() -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(GPTNeoXConfig(**SHAPES["pythia-1b"]))
    assert sum(p.numel() for p in model.parameters()) == 1_011_781_632  # of EleutherAI's checkpoint
