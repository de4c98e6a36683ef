"""A causal language model loaded for alignment: what is trained, in which precision, on which device."""

from __future__ import annotations

import functools
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from duelbench.assets.pretrained import pretrained, pretrained_config, pretrained_tokenizer
from duelbench.policies.networks.generic import GenericNetwork
from duelbench.policies.networks.llama.llama import LlamaNetwork
from duelbench.policies.networks.llama.recomputing import RecomputingNetwork
from duelbench.policies.networks.network import Network
from duelbench.policies.networks.probe import check_causal, has_cache

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to be aligned.

    Attributes:
        tokenizer: of transformers.
        model: of transformers; its trainable parameters are those that require a gradient.
        adapter: peft's wrapper of it, None for full fine-tuning.
        network: the policy.
        reference: the same as it was loaded, frozen.
    """

    tokenizer: Any
    model: Any
    adapter: Any
    network: Network
    reference: Network


def load(
    folder: str | Path, *, dtype: str, device: str, lora_rank: int, lora_alpha: int | None, checkpointing: bool
) -> Loaded:
    """Load a model; see ``CausalLMPolicy`` for the arguments.

    Raises:
        ModelUnavailableError: it is not there, or no causal language model.
        ValueError: the options do not fit each other, the model or the machine.
    """
    tokenizer, model = _pretrained(folder)
    device = _device(device)
    fast = device == "cpu" and LlamaNetwork.supports(model.config)
    precision = _precision(dtype, device, fast)
    if not fast:
        check_causal(model)
    kind = GenericNetwork if fast or has_cache(model) else RecomputingNetwork
    adapter = _with_adapter(model, lora_rank, lora_alpha) if lora_rank else None
    if fast:
        llama = LlamaNetwork(model, precision, checkpointing=checkpointing)
        return Loaded(tokenizer, model, adapter, llama, llama.frozen())
    generic = kind(model.to(device), precision, adapter=adapter)
    reference = generic.frozen()
    if checkpointing:
        generic.recompute_activations()
    return Loaded(tokenizer, model, adapter, generic, reference)


def _pretrained(folder: str | Path) -> tuple[Any, Any]:
    kind = "a causal language model"
    model = pretrained(AutoModelForCausalLM, folder, kind=kind, dtype=torch.float32)
    return pretrained_tokenizer(folder, kind=kind), model


@functools.cache
def configuration(name: str) -> Any:
    """The configuration of a model's folder or hub id, asked for once; None where it cannot be had."""
    return pretrained_config(name)


def computes_with(folder: str | Path | None, *, dtype: str, device: str) -> dict[str, str]:
    """What ``auto`` means on this machine: the ``dtype`` of matrix products and the ``device`` that ``load`` chooses.

    Args:
        folder: of the model, or its hub id; None for a model of Llama type that is not there yet.
        dtype: as ``load`` takes it.
        device: the same.
    """
    device = _device(device)
    known = None if folder is None else configuration(str(folder))
    if folder is not None and known is None:  # whoever loads it says what is wrong
        return {"dtype": dtype, "device": device}
    fast = device == "cpu" and (known is None or LlamaNetwork.supports(known))
    return {"dtype": str(_precision(dtype, device, fast)).removeprefix("torch."), "device": device}


def _device(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def multiplies_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are faster there than in float32.

    The environment variable ``DUELBENCH_DTYPE`` decides instead of the machine where it is ``float32`` or ``bfloat16``.
    """
    if chosen := os.environ.get("DUELBENCH_DTYPE"):
        if chosen not in _DTYPES:
            raise ValueError(f"DUELBENCH_DTYPE is {chosen!r}: expected {' or '.join(_DTYPES)}")
        return chosen == "bfloat16"
    if device != "cpu":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_amx_tile_supported() or (torch.cpu._is_avx512_bf16_supported() and _is_amd())


def _is_amd() -> bool:
    """Whether AVX-512 multiplies twice as fast in bfloat16 as in float32: AMD's does, Intel's no faster."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # no Linux
        return False


def _precision(dtype: str, device: str, fast: bool) -> torch.dtype:
    """The precision of matrix products."""
    if dtype == "auto":
        dtype = "bfloat16" if (fast or device != "cpu") and multiplies_bfloat16(device) else "float32"
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {dtype!r} is not available: expected auto, {' or '.join(_DTYPES)}")
    return _DTYPES[dtype]


def _with_adapter(model: Any, rank: int, alpha: int | None) -> Any:
    """Freeze the model and add low-rank adapters to all its linear layers but the head."""
    from peft import LoraConfig, get_peft_model

    options = LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # what peft and transformers have to tell each other is not for our users
        torch.manual_seed(0)  # peft draws from the global generator: adapters begin the same in every process
        return get_peft_model(model, options)
