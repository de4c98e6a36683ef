"""Duels as plain data, for checkpoints, and duels of several rounds as one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from duelbench.types import Pair, Responses, concatenate


def end_to_end(values: list[Any]) -> Any:
    """Batches one after another: of arrays, tuples, responses or pairs, or of mappings to these."""
    if isinstance(values[0], Responses):
        return concatenate(values)
    if isinstance(values[0], Pair):
        fields = {field.name: [getattr(pair, field.name) for pair in values] for field in dataclasses.fields(Pair)}
        return Pair(**{name: end_to_end(parts) for name, parts in fields.items()})
    if isinstance(values[0], Mapping):
        return {name: end_to_end([value[name] for value in values]) for name in values[0]}
    if isinstance(values[0], tuple):
        return tuple(item for part in values for item in part)
    return np.concatenate(values)


_CLASSES = {cls.__name__: cls for cls in (Pair, Responses)}


def pack(node: Any) -> Any:
    """Data as a checkpoint keeps it."""
    if isinstance(node, Pair | Responses):
        fields = {field.name: pack(getattr(node, field.name)) for field in dataclasses.fields(node)}
        return {"is": type(node).__name__, "fields": fields}
    if isinstance(node, Mapping):
        return {"is": "dict", "fields": {name: pack(value) for name, value in node.items()}}
    if isinstance(node, tuple | list):
        return {"is": type(node).__name__, "items": [pack(value) for value in node]}
    if isinstance(node, np.ndarray) and node.dtype == object:
        return {"is": "objects", "items": node.tolist()}
    return node


def unpack(node: Any) -> Any:
    """What ``pack`` was given."""
    if not isinstance(node, dict):
        return node
    kind = node["is"]
    if kind == "objects":
        array = np.empty(len(node["items"]), dtype=object)
        array[:] = node["items"]
        return array
    if kind in ("tuple", "list"):
        items = [unpack(value) for value in node["items"]]
        return tuple(items) if kind == "tuple" else items
    fields = {name: unpack(value) for name, value in node["fields"].items()}
    return fields if kind == "dict" else _CLASSES[kind](**fields)
