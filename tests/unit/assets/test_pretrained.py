from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, DebertaV2Config, LlamaForSequenceClassification

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.assets.pretrained import pretrained
from duelbench.chat.local import LocalChat
from duelbench.oracles.models.pairrm import PairRanker, PairRMOracle
from duelbench.oracles.registry import make_oracle
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.loading import configuration

Weights = dict[str, torch.Tensor]
NORM = "model.layers.1.post_attention_layernorm.weight"


def changed(model: Path, folder: Path, change: Callable[[Weights], object]) -> str:
    """A copy of a model whose checkpoint was changed."""
    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def reward_model(llama: Path, folder: Path) -> Path:
    shutil.copytree(llama, folder)
    torch.manual_seed(0)
    LlamaForSequenceClassification.from_pretrained(llama, num_labels=1).save_pretrained(folder)
    return folder


def ranker(llama: Path, folder: Path) -> Path:
    """A DeBERTa ranker, with a tokenizer that knows the markers."""
    shutil.copytree(llama, folder)
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["extra_special_tokens"] = ["<|source|>", "<|candidate1|>", "<|candidate2|>"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    sizes = {"vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    deberta = DebertaV2Config(**sizes, intermediate_size=16, type_vocab_size=0, position_buckets=8)
    deberta.drop_out, deberta.n_tasks = 0.0, 1
    PairRanker(deberta).save_pretrained(folder)
    return folder


LOADERS: dict[str, Callable[[str], object]] = {
    "policy": lambda folder: CausalLMPolicy(folder),
    "chat": lambda folder: LocalChat(folder, max_new_tokens=2),
    "judge": lambda folder: make_oracle(f"judge:{folder}", device="cpu"),
    "reward model": lambda folder: make_oracle(f"reward-model:{folder}", device="cpu"),
    "ranker": lambda folder: make_oracle(f"pairrm:{folder}", device="cpu"),
}
LAST = {"reward model": "score.weight", "ranker": "head_layer.4.weight"}


@pytest.fixture(params=LOADERS)
def whoever(request: pytest.FixtureRequest, llama: Path, tmp_path: Path) -> tuple[Path, Callable[[str], object], str]:
    """A good model, who loads it, and a weight of it."""
    kind = request.param
    makers = {"reward model": reward_model, "ranker": ranker}
    model = makers[kind](llama, tmp_path / "whole") if kind in makers else llama
    LOADERS[kind](str(model))
    return model, LOADERS[kind], LAST.get(kind, NORM)


def test_a_checkpoint_that_is_not_whole_is_refused_by_the_weights_name(
    whoever: tuple[Path, Callable[[str], object], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, load, name = whoever
    broken: dict[str, Callable[[Weights], object]] = {
        f"checkpoint lacks {name}": lambda w: w.pop(name),
        "no place for: value_head.weight": lambda w: w.update({"value_head.weight": torch.ones(1)}),
        f"another shape: {name} .*3": lambda w: w.update({name: torch.ones(*w[name].shape[:-1], 3)}),
        f"not finite in {name}": lambda w: w[name].view(-1)[:1].fill_(torch.nan),
        f"not finite in {name}\\. ": lambda w: w[name].view(-1)[:1].fill_(torch.inf),
    }
    for number, (message, change) in enumerate(broken.items()):
        with pytest.raises(ModelUnavailableError, match=message):
            load(changed(model, tmp_path / str(number), change))
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


def test_a_file_that_is_cut_off_or_a_pointer_is_one_sentence(
    whoever: tuple[Path, Callable[[str], object], str], tmp_path: Path
) -> None:
    model, load, _ = whoever
    whole = (model / "model.safetensors").read_bytes()
    for number, content in enumerate([whole[:-100], whole[:4], b"version https://git-lfs.github.com/spec/v1\n"]):
        folder = tmp_path / f"cut{number}"
        shutil.copytree(model, folder)
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelUnavailableError, match=f"cut{number} cannot be loaded as a"):
            load(str(folder))


def test_code_of_a_model_is_neither_run_nor_asked_about(
    whoever: tuple[Path, Callable[[str], object], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    model, load, _ = whoever
    folder = tmp_path / "own"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    classes = ("AutoConfig", "AutoModelForCausalLM", "AutoModelForSequenceClassification", "AutoTokenizer")
    config |= {"model_type": "home-made", "auto_map": dict.fromkeys(classes, "own.Own")}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with suppress(ModelUnavailableError):  # a ranker needs no code but ours, whatever its configuration names
        assert isinstance(load(str(folder)), PairRMOracle)
    assert configuration(str(folder)) is None and not (tmp_path / "ran").exists()


def adapter(llama: Path, folder: Path) -> Path:
    shutil.copytree(llama, folder)
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft and transformers have to tell each other
        get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("options", [{}, {"lora_rank": 4}])
def test_an_adapter_is_never_left_out(llama: Path, tmp_path: Path, options: dict[str, int], whole: bool) -> None:
    folder = adapter(llama, tmp_path / "adapter")
    if whole:  # beside the weights of its base
        shutil.copytree(llama, folder, dirs_exist_ok=True)
    with pytest.raises(ModelUnavailableError, match=r"is an adapter .* merge it into its base"):
        CausalLMPolicy(str(folder), **options)
    for load in LOADERS.values():
        with pytest.raises(ModelUnavailableError, match="is an adapter"):
            load(str(folder))


def test_an_adapter_by_its_hub_id_is_never_left_out(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a hub's cache holds it: blobs by commit, and a reference to the commit."""
    cache = tmp_path / "models--house--adapter"
    adapter(llama, cache / "snapshots" / ("a" * 40))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for options in ({}, {"lora_rank": 4}):
        with pytest.raises(ModelUnavailableError, match="house/adapter is an adapter"):
            CausalLMPolicy("house/adapter", **options)


def test_a_folder_is_loaded_without_a_bar_among_what_a_command_says(
    llama: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pretrained(AutoModelForCausalLM, llama, kind="a language model")
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_cannot_be_reached_is_one_sentence() -> None:
    for load in LOADERS.values():
        with pytest.raises(ModelUnavailableError, match=r"organisation/model cannot be loaded as a .* Expected"):
            load("organisation/model")
