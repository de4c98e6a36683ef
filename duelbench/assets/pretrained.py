"""Models of transformers, taken whole or not at all: nothing filled in, nothing left out, no code of the model's own.

A loader that misses a weight draws a random one, says so in a log, and goes on. Here that is an error, wherever a
model is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.constants import HF_HUB_DISABLE_PROGRESS_BARS
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging as bars
from transformers.utils.peft_utils import find_adapter_config_file

from duelbench.assets.model_source import AdapterError, ModelUnavailableError

_EXPECTED = (
    "Expected a packaged name, `smollm2-135m`, a folder that transformers' save_pretrained wrote whole, or a hub id "
    "that this machine can reach"
)
_LOADING = (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError, AssertionError, SafetensorError)


def pretrained(cls: Any, name: str | Path, *, kind: str, headless: bool = False, **options: Any) -> Any:
    """A model with exactly the weights of its checkpoint.

    Args:
        cls: class of transformers with ``from_pretrained``.
        name: folder or hub id.
        kind: what the model is expected to be, for errors: "a reward model".
        headless: the class leaves out a model's head, so that weights may be left over; nor does its pooler count.
        **options: of ``from_pretrained``.

    Raises:
        ModelUnavailableError: it cannot be loaded; it is an adapter; it asks for code of its own; or a weight is
            missing, left over, of another shape, or not finite, which is then named.
    """
    source = f"{name!s} cannot be loaded as {kind}"
    options["trust_remote_code"] = False
    with _whole_errors(source), _no_reports(), _no_bar(name):
        _refuse_adapter(name)
        model, report = cls.from_pretrained(name, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    reshaped = [f"{key} ({_size(had)}, expected {_size(want)})" for key, had, want in report["mismatched_keys"]]
    faults = {
        "its checkpoint lacks": [k for k in sorted(report["missing_keys"]) if not (headless and "pooler." in k)],
        "its checkpoint holds what the model has no place for:": [] if headless else sorted(report["unexpected_keys"]),
        "its checkpoint holds weights of another shape:": sorted(reshaped),
        "some numbers are not finite in": not_finite(model.state_dict()),
    }
    for fault, keys in faults.items():
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise ModelUnavailableError(f"{source}: {fault} {', '.join(keys[:3])}{more}. {_EXPECTED}")
    return model.eval()


def pretrained_tokenizer(name: str | Path, *, kind: str) -> Any:
    """The tokenizer of a model.

    Raises:
        ModelUnavailableError: as ``pretrained`` does.
    """
    with _whole_errors(f"{name!s} cannot be loaded as {kind}"):
        _refuse_adapter(name)
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)


def pretrained_config(name: str | Path) -> Any:
    """The configuration of a model's folder or hub id; None where it cannot be had."""
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError):
        return None


def _refuse_adapter(name: str | Path) -> None:
    if find_adapter_config_file(str(name)) is not None:
        raise AdapterError(name)


@contextmanager
def _whole_errors(source: str) -> Iterator[None]:
    """Whatever transformers raises, in one sentence."""
    try:
        yield
    except ModelUnavailableError:
        raise
    except _LOADING as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        if "trust_remote_code" in str(error):
            reason = "it needs Python code from its own repository, and duelbench never runs such code"
        raise ModelUnavailableError(f"{source}: {reason}. {_EXPECTED}") from error


@contextmanager
def _no_reports() -> Iterator[None]:
    """Without what transformers logs about a checkpoint: all of it is said here, as an error."""
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _no_bar(name: str | Path) -> Iterator[None]:
    """Without transformers' bar where nothing is fetched: it lasts a blink, and stands among what a command says."""
    quiet = Path(name).is_dir() and bars.is_progress_bar_enabled() and HF_HUB_DISABLE_PROGRESS_BARS is None
    if quiet:
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if quiet:
            bars.enable_progress_bar()


def not_finite(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors in which some number is not finite."""
    return [name for name, tensor in weights.items() if not _finite(tensor)]


def _finite(tensor: torch.Tensor) -> bool:
    """Whether all numbers are finite, looked at in parts: a flag for each weight of a large model takes memory."""
    parts = tensor.flatten().split(1 << 24)
    return not tensor.is_floating_point() or all(bool(part.float().isfinite().all()) for part in parts)


def _size(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))
