"""What names in a configuration stand for: files, folders, models and code, each by its content, not its place."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duelbench import plugins
from duelbench.assets.model_source import FETCHED, packaged_encoder, resolve_model
from duelbench.records.content import code_digest, digest, digest_text, state_digest

_PLACE = re.compile(r"(?P<place>.+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")
_DATA = frozenset(
    {
        ".arrow",
        ".bin",
        ".csv",
        ".gguf",
        ".json",
        ".jsonl",
        ".npy",
        ".npz",
        ".parquet",
        ".pt",
        ".py",
        ".safetensors",
        ".toml",
        ".tsv",
        ".txt",
        ".yaml",
        ".yml",
    }
)
"""Endings of files that an argument gives as data; a file of another ending may be one that an oracle writes to."""
_WRITTEN = frozenset({".csv", ".json", ".jsonl", ".tsv", ".txt"})
_REACHED_BY = "connection"
"""Argument of an oracle that says how it is reached, and nothing of what it answers: patience makes no other run."""
_PROSE = {".md", ".lock"}


def identified(value: Any, data: frozenset[str] = _DATA) -> Any:
    """The value with everything that names a file, or code, known by its content.

    An oracle may write to a table or a text that its arguments name, a log or a cache: such a file does not count, or
    every answer would make another run and buy its labels again.
    """
    if isinstance(value, Mapping):
        kept = {name: data - _WRITTEN if name in ("oracle_kwargs", "judging") else data for name in value}
        return {str(name): identified(_without_connection(name, inner), kept[name]) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [identified(inner, data) for inner in value]
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        return _identified_text(value, data)
    if value is None or isinstance(value, int | float):
        return value
    return f"content:{state_digest(value)}"  # an object that was registered with the environment


def _without_connection(name: Any, value: Any) -> Any:
    """Arguments of an oracle but those that say how it is reached."""
    if name == "oracle_kwargs" and isinstance(value, Mapping):
        return {option: inner for option, inner in value.items() if option != _REACHED_BY}
    return value


def _identified_text(text: str, data: frozenset[str]) -> str:
    if not text or len(text) > 1024 or "\n" in text or "\0" in text:
        return text
    if plugins.offered(text) is not None:
        return f"code:{plugins.offered_content(text)}:{text.partition(':')[2]}"
    path = Path(text).expanduser()
    if path.suffix in data and path.is_file():
        return f"content:{file_content(path)}"
    if (path / "config.json").is_file() and path.name != text:  # a model; a bare name is a name first
        return f"content:{folder_content(path)}"
    if (match := _PLACE.fullmatch(text)) and (code := code_digest(match["place"])):
        return f"code:{code}:{match['name']}"
    kind, colon, rest = text.partition(":")
    if colon and (found := _identified_text(rest, data)) != rest:
        return f"{kind}:{found}"
    return text


def file_content(path: Path) -> str:
    """Hash of a file's content, computed once as long as the file stays what it is."""
    state = path.stat()
    return _file_content(str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino)


@functools.lru_cache(maxsize=4096)
def _file_content(path: str, size: int, changed: int, inode: int) -> str:
    return digest([Path(path)], Path(path))


def folder_content(folder: Path) -> str:
    """Hash of the names and contents of the files of a folder, hidden ones and prose left out."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in _PROSE]
    shown = [p for p in files if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    lines = [f"{p.relative_to(folder).as_posix()}\0{file_content(p)}" for p in shown]
    return digest_text("\n".join(lines))


def model_content(name: str) -> str:
    """What a language model's name stands for: the hash of its folder, of the package that holds it, or its commit."""
    if name in FETCHED:
        return f"{FETCHED[name].package}:{FETCHED[name].sha256[:16]}"
    found = resolve_model(name)
    if Path(found).is_dir():
        return folder_content(Path(found))
    from duelbench.policies.loading import configuration

    known = configuration(found)
    return name if known is None else f"{name}@{known._commit_hash}"


def encoder_content(name: str) -> str:
    """What an encoder's name stands for: the hash of its weights, or of its code."""
    if name == "preference":
        return folder_content(packaged_encoder())
    kind, _, rest = name.partition(":")
    if kind in ("hf", "lm") and rest:
        return model_content(rest)
    return str(identified(plugins.announcements("encoder").get(name, name)))
