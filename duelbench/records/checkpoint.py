"""Checkpoints: a nested state as one safetensors file and one JSON file, replaced in one step. No pickle."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from duelbench.records.files import write_atomic

SCHEMA_VERSION = 1
_ARRAY, _TENSOR = "__array__", "__tensor__"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a nested dict of tensors, arrays, numbers, strings, lists and None; the old one stays until it is whole.

    Args:
        folder: the checkpoint's folder; a sibling ``….new`` is used while writing.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    new, old = folder.with_suffix(".new"), folder.with_suffix(".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    arrays: dict[str, NDArray[Any]] = {}
    tree = _split(state, "", arrays)
    _save(arrays, new / "arrays.safetensors")
    with (new / "arrays.safetensors").open("rb+") as file:
        os.fsync(file.fileno())
    write_atomic(new / "state.json", json.dumps({"schema": SCHEMA_VERSION, "state": tree}))
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    new.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """What ``save_checkpoint`` wrote, tensors as tensors and arrays as arrays; None if there is no whole checkpoint."""
    if not folder.exists() and folder.with_suffix(".old").exists():  # killed between the two renames
        folder.with_suffix(".old").replace(folder)
    if not folder.exists():
        return None
    document = json.loads((folder / "state.json").read_text())
    if document["schema"] > SCHEMA_VERSION:
        raise RuntimeError(f"{folder} has checkpoint schema {document['schema']}; this version reads {SCHEMA_VERSION}")
    state: dict[str, Any] = _join(document["state"], load_file(folder / "arrays.safetensors"))
    return state


def _save(arrays: dict[str, NDArray[Any]], path: Path) -> None:
    """``save_file``, whose errors do not say by their type that the system refused to write."""
    try:
        save_file(arrays, path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        path.unlink(missing_ok=True)
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def _split(node: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(node, dict):
        return {key: _split(value, f"{path}/{key}", arrays) for key, value in node.items()}
    if isinstance(node, torch.Tensor):
        path = _name(path, arrays)
        arrays[path] = node.detach().cpu().contiguous().numpy().copy()
        return {_TENSOR: path}
    if isinstance(node, np.ndarray):
        path = _name(path, arrays)
        arrays[path] = np.array(node, order="C")
        return {_ARRAY: path}
    if isinstance(node, list | tuple):
        return [_split(value, f"{path}/{i}", arrays) for i, value in enumerate(node)]
    return node.item() if isinstance(node, np.generic) else node


def _name(path: str, arrays: dict[str, NDArray[Any]]) -> str:
    """A readable name of its own: keys may hold slashes, so paths alone can meet."""
    return f"{len(arrays)}:{path}"


def _join(node: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(node, dict):
        if _ARRAY in node:
            return arrays[node[_ARRAY]]
        if _TENSOR in node:
            return torch.from_numpy(arrays[node[_TENSOR]])
        return {key: _join(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [_join(value, arrays) for value in node]
    return node
