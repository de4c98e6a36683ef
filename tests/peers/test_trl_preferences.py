"""TRL's DPOTrainer takes the exported preferences as they are."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from duelbench.policies.tokens import Tokens
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.exports.preferences import Preferences, collect, write
from duelbench.runs.policy_loop import run

pytestmark = pytest.mark.filterwarnings("ignore")  # of a package whose warnings are not ours
pytest.importorskip("trl", minversion="1.16")

MINI = str(resources.files("duelbench.assets") / "models" / "mini")
PAIRS = 4


def assert_tokens_are_those_our_policy_sees(prepared: Any, found: Preferences) -> None:
    """Chat template and end token included."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ours = Tokens(AutoTokenizer.from_pretrained(MINI), AutoModelForCausalLM.from_pretrained(MINI), None, 100)
    for theirs, row in zip(prepared, found.rows, strict=True):
        prompt, size = ours.prompts([row["prompt"]])
        assert theirs["prompt_ids"] == prompt[0, : size[0]].tolist()
        for side in ("chosen", "rejected"):
            tokens, size = ours.responses([row[side]])
            assert theirs[f"{side}_ids"] == tokens[0, : size[0]].tolist()


@pytest.mark.parametrize("plain", [False, True])
def test_dpo_trainer_takes_a_step_on_the_export(plain: bool, tmp_path: Path) -> None:
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    run(RunSpec("LLMDuelPool-v0", "uniform", 0, 16, batch=16, judging=Judging(repeats=1)), tmp_path)
    found = collect(tmp_path, load_runs(tmp_path), plain=plain)
    path = write(found, tmp_path)
    pairs = load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(MINI, dtype="float32"), AutoTokenizer.from_pretrained(MINI)
    before = model.get_input_embeddings().weight.detach().clone()
    options: dict[str, Any] = {
        "output_dir": str(tmp_path / "trl"),
        "report_to": [],
        "use_cpu": True,
        "max_steps": 1,
        "per_device_train_batch_size": PAIRS,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "save_strategy": "no",
        "bf16": False,
        "gradient_checkpointing": False,
    }
    trainer = DPOTrainer(model, args=DPOConfig(**options), train_dataset=pairs, processing_class=tokenizer)
    if not plain:
        assert_tokens_are_those_our_policy_sees(
            trainer.train_dataset, collect(tmp_path, load_runs(tmp_path), plain=True)
        )
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)  # policy is still the reference
    assert not before.equal(model.get_input_embeddings().weight)
