"""An exported model answers as the run deployed it, and loads wherever transformers' models do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import call, last_json
from transformers import AutoModelForCausalLM, AutoTokenizer

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.policy_loop import run
from duelbench.runs.recording.export_models import write

LORA = {"lora_rank": 4, "lora_alpha": 16}


def spec_of(model: Path, task_file: str, oracles: str, agent: str = "online", **policy: Any) -> RunSpec:
    return RunSpec(
        "LLMDuel-v0",
        agent,
        0,
        24,
        batch=8,
        judging=Judging(every=12, repeats=1),
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Worth"},
        policy={"model": str(model), "max_new_tokens": 10, **policy},
        learner={"learning_rate": 0.05},
    )


def after(folder: Path) -> list[str]:
    return [sample["after"] for sample in json.loads((folder / "samples.json").read_text())]


def deployed(spec: RunSpec) -> list[str]:
    """What a fresh agent of this specification would deploy, untrained, for the run's first held-out prompts."""
    parts = assemble(spec)
    problem = parts.env.unwrapped.problem
    ids = problem.heldout_ids()
    texts: list[str] = problem.texts(ids, parts.agent.respond(problem.observe(ids)).actions)
    return texts


@pytest.mark.parametrize("policy", [{}, LORA], ids=["full", "lora"])
def test_the_exported_model_deploys_what_the_run_deployed(
    policy: dict[str, Any], llama: Path, task_file: str, oracles: str, tmp_path: Path
) -> None:
    folder = run(spec_of(llama, task_file, oracles, **policy), tmp_path)
    found = write(load_runs(tmp_path), tmp_path / "models")
    assert found.folders == [tmp_path / "models" / folder.name]
    trained = deployed(spec_of(found.folders[0], task_file, oracles))
    assert trained == after(folder)
    assert trained != deployed(spec_of(llama, task_file, oracles)), "training changed nothing: the test shows nothing"


def test_transformers_loads_it_with_the_tokenizer_and_nothing_else(
    llama: Path, task_file: str, oracles: str, tmp_path: Path
) -> None:
    run(spec_of(llama, task_file, oracles), tmp_path)
    (folder,) = write(load_runs(tmp_path), tmp_path / "models").folders
    model, before = (AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (folder, llama))
    moved = [name for name, p in model.named_parameters() if not torch.equal(p, before.get_parameter(name))]
    assert len(moved) == len(list(before.named_parameters()))
    assert model.generation_config.eos_token_id == before.generation_config.eos_token_id
    messages = [{"role": "user", "content": "the fox"}]
    texts = [AutoTokenizer.from_pretrained(p).apply_chat_template(messages, tokenize=False) for p in (folder, llama)]
    assert texts[0] == texts[1]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_finished_run_keeps_its_weights_and_not_the_optimizers_state(
    llama: Path, task_file: str, oracles: str, tmp_path: Path
) -> None:
    folder = run(spec_of(llama, task_file, oracles), tmp_path)
    weights = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(llama).parameters()) * np.float32().nbytes
    assert not (folder / "checkpoint").exists()
    assert weights <= sum(path.stat().st_size for path in (folder / "policy").iterdir()) < 1.5 * weights


def test_the_command_exports_chosen_runs_and_says_what_it_leaves_out(
    llama: Path, task_file: str, oracles: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned = run(spec_of(llama, task_file, oracles), tmp_path)
    run(spec_of(llama, task_file, oracles, agent="uniform"), tmp_path)
    assert call("export", str(tmp_path), "--to", "model", "--json") == 0
    printed = last_json(capsys.readouterr().out)
    assert printed["what"] == "1 model; left out: 0 unfinished runs, 1 that trained no language model"
    run_id = json.loads((learned / "manifest.json").read_text())["run_id"]
    for name in (run_id, learned.name):
        out = tmp_path / f"of-{name}"
        assert call("export", str(tmp_path), "--to", "model", "--run", name, "--out", str(out)) == 0
        assert [path.name for path in out.iterdir()] == [learned.name]
    assert call("export", str(tmp_path), "--to", "model", "--run", "nosuch") == 2
    assert run_id in capsys.readouterr().err


def test_without_a_trained_model_nothing_is_written(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = RunSpec(
        "LLMDuelPool-v0",
        "online",
        0,
        16,
        batch=8,
        judging=Judging(every=16),
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Worth"},
    )
    run(spec, tmp_path)
    with pytest.raises(ValueError, match=r"no model to export.*1 that trained no language model"):
        write(load_runs(tmp_path), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_model_by_relative_path_is_exported_from_anywhere(
    llama: Path, task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(llama, tmp_path / "here" / "m")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run(spec_of(Path("m"), task_file, oracles), tmp_path / "out")
    monkeypatch.chdir(tmp_path / "there")
    shutil.copytree(llama, "m")
    (tmp_path / "there" / "m" / "config.json").write_text((llama / "config.json").read_text() + " ")  # another model
    found = write(load_runs(tmp_path / "out"), tmp_path / "models")
    assert len(found.folders) == 1 and (found.folders[0] / "config.json").exists()
    shutil.rmtree(tmp_path / "here")
    with pytest.raises(ModelUnavailableError, match=r"'m' that run .* started from is gone, or another one is in"):
        write(load_runs(tmp_path / "out"), tmp_path / "again")
    assert not (tmp_path / "again").exists()


FULL = """
import resource, signal
import duelbench.policies.loading
from duelbench.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is then an error
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main({argv})
"""


def test_a_model_export_that_fails_leaves_nothing(llama: Path, task_file: str, oracles: str, tmp_path: Path) -> None:
    run(spec_of(llama, task_file, oracles), tmp_path / "out")
    code = FULL.format(argv=["export", str(tmp_path / "out"), "--to", "model"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("duelbench: could not write")  # after transformers' progress
    assert not [p for p in (tmp_path / "out" / "export").rglob("*") if p.is_file()]
