"""The TL;DR card: the paper's numbers, and its whole path on stand-ins of the same architecture and file layout."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from duelbench.agents import registry
from duelbench.envs.text.tasks import load_task
from duelbench.experiments.tldr.card import OPTIONS, SCALES, Setting, run_spec
from duelbench.experiments.tldr.run import main
from duelbench.learning.learner import LearnerConfig
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.records.record import load_runs

POST = "SUBREDDIT: r/foxes\n\nTITLE: Fox {}\n\nPOST: A fox came in the rain and took hat {}.\n\nTL;DR:"
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}"
    "<|eot_id|>{% endfor %}"
)


def tokenizer(special: list[str]) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([POST.format("red", 1)] * 4, trainer)
    return made


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pythia's layout: GPT-NeoX, no chat template, one end-of-text token."""
    folder = tmp_path_factory.mktemp("pythia")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(["<|endoftext|>"]), eos_token="<|endoftext|>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=256,
        rotary_pct=0.25,
        use_parallel_residual=True,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.2,
    )
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Skywork's layout: Llama with one label, Llama 3's chat template and a tokenizer that adds a BOS of its own."""
    folder = tmp_path_factory.mktemp("skywork")
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|pad|>"]
    made = tokenizer(special)
    made.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=special[0], eos_token=special[3], pad_token=special[4]
    )
    fast.chat_template = CHAT
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        num_labels=1,
        pad_token_id=4,
        bos_token_id=0,
        eos_token_id=3,
        initializer_range=0.4,
    )
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder


def parquet(path: Path, n: int, first: int = 0) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{"prompt": POST.format(i, i), "completion": f" A fox took hat {i}."} for i in range(first, first + n)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def arguments(policy: Path, oracle: Path, task: Path, out: Path) -> list[str]:
    return [
        "--scale",
        "1b",
        "--agent",
        "sea",
        "--agent",
        "online",
        "--seeds",
        "1",
        "--model",
        str(policy),
        "--oracle",
        f"reward-model:{oracle}",
        "--task",
        str(task),
        "--labels",
        "12",
        "--batch",
        "4",
        "--heldout",
        "3",
        "--evaluate-every",
        "12",
        "--sampler",
        "own",
        "--dtype",
        "float32",
        "--threads",
        "1",
        "--out",
        str(out),
    ]


def test_one_command_runs_the_card_on_stand_ins_and_goes_on(policy: Path, oracle: Path, tmp_path: Path) -> None:
    task = parquet(tmp_path / "tldr.parquet", 20)
    line = arguments(policy, oracle, task, tmp_path / "out")
    assert main(line) == 0
    runs = load_runs(tmp_path / "out")
    assert sorted(run.spec["agent"] for run in runs) == ["online", "sea"] and all(run.finished for run in runs)
    for run in runs:
        last = run.rows[-1]
        assert last["labels"] == 12 and 0 <= last["offline_win_rate"] <= 1
        assert np.isfinite(last["cumulative_average_regret"])  # the oracle has utilities
    assert (tmp_path / "out" / "report.html").is_file()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("metrics.jsonl")}
    assert len(before) == 2 and main(line) == 0 and before == {path: path.stat().st_mtime_ns for path in before}


def test_a_folder_in_the_hubs_layout_gives_the_same_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    parquet(tmp_path / "tldr/data/train-00000-of-00001.parquet", 16)
    parquet(tmp_path / "tldr/data/test-00000-of-00001.parquet", 4, first=100)
    spec = run_spec("1b", "online", 0, setting=Setting(task=str(tmp_path / "tldr"), labels=10, heldout=3))
    task = load_task(spec.env_kwargs["task"], spec.env_kwargs["task_options"])
    assert task.n_duel == 10 and len(task.heldout_ids) == 3
    assert all("Fox 10" in prompt for prompt in task.prompts[10:])  # 100 to 103
    assert all(text.startswith(" A fox took hat") for text in task.references.ravel())


def test_dry_run_prints_the_papers_numbers_and_runs_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--scale", "2.8b", "--dry-run"]) == 0
    specs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(specs) == 3 * len(OPTIONS) and not list(tmp_path.iterdir())
    sea = next(spec for spec in specs if spec["agent"] == "sea")
    assert (sea["labels"], sea["batch"], sea["judging"]["every"]) == (50_000, 128, 2560)
    assert sea["policy"]["model"] == "trl-lib/pythia-2.8b-deduped-tldr-sft"
    assert (sea["policy"]["max_new_tokens"], sea["policy"]["temperature"]) == (53, 0.7)
    assert sea["env_kwargs"]["task_options"] == {
        "prompt": "prompt",
        "reference": "completion",
        "split": "train",
        "heldout_split": "test",
        "limit": 50_000,
        "heldout": 1000,
    }
    assert (sea["learner"]["learning_rate"], sea["learner"]["beta"]) == (5e-7, 0.1)
    assert sea["agent_options"]["candidates"] == sea["agent_options"]["posterior.members"] == 20
    assert sea["agent_options"]["burn_in"] * sea["labels"] == 1000
    online = next(spec for spec in specs if spec["agent"] == "online")
    assert (online["learner"]["decay_steps"], online["learner"]["warmup_steps"]) == (391, 12)
    assert (sea["learner"]["decay_steps"], sea["learner"]["warmup_steps"]) == (559, 12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("agent", OPTIONS)
def test_every_option_of_the_card_exists(scale: str, agent: str) -> None:
    spec = run_spec(scale, agent, 0, "ipo", Setting(task="tldr.npz"))
    registry.make_config(registry.find_agent(agent), spec.agent_options)
    LearnerConfig(**spec.learner).loss_options()
    assert spec.policy.keys() <= inspect.signature(CausalLMPolicy).parameters.keys()
    assert spec.env_kwargs["task_options"] == {"limit": 50_000, "heldout": 1000}  # a task file has no columns


def test_an_agent_that_is_not_in_the_card_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--agent", "nobody", "--dry-run"]) == 2
    assert "no agent 'nobody': expected one of offline" in capsys.readouterr().err
