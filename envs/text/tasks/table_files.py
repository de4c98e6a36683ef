"""Tables in files: JSON lines, CSV and TSV, Parquet, folders and hub data sets. Every row comes with its place.

A row that cannot be read is an error that names file and line; nothing is guessed, cut or left out.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duelbench.assets.wheel_source import UnavailableError
from duelbench.envs.text.tasks.layouts import Layout
from duelbench.errors import install

HUB = "hub:"
Rows = Iterator[tuple[str, Mapping[str, Any]]]
"""Places of rows, as messages name them, and their values by column."""
Choose = Callable[[Sequence[str]], Layout]
"""All columns of a table -> those that are wanted."""
_MARKS = (  # the longer first: one begins with another
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Table:
    """Rows of the wanted columns.

    Attributes:
        layout: which columns hold what.
        rows: with their places.
    """

    layout: Layout
    rows: Rows


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in the UTF-8, -16 or -32 that its byte order mark declares.

    Raises:
        ValueError: it is in another encoding, with the line.
    """
    data = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is no {encoding.upper()}: save the file as UTF-8 "
            "(a spreadsheet calls it CSV UTF-8)"
        ) from None
    if "\0" in text.partition("\n")[0]:
        raise ValueError(f"{path}:1: NUL characters, as of UTF-16 without a byte order mark: save the file as UTF-8")
    return text


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines with their places; blank lines are passed over.

    Raises:
        ValueError: a line is no JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():  # not splitlines(): JSON may hold other line separators as they are
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path}:{number}: expected one JSON object per line, got {line[:80]!r} ({error})"
            ) from None
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: expected one JSON object per line, got {line[:80]!r}")
        yield f"{path}:{number}", row


def _jsonl(path: Path, choose: Choose) -> Table:
    rows = list(json_lines(path))
    if not rows:
        raise ValueError(f"{path} is empty")
    layout = choose(list(rows[0][1]))
    for place, row in rows:
        layout.check(place, list(row))
    return Table(layout, iter(rows))


def _csv(path: Path, choose: Choose) -> Table:
    """A table with a header; columns apart by commas, or by semicolons or tabs where the header is written so."""
    text = read_text(path)
    with _cells_of_any_size():
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        (_, names), *_ = _cells(path, text.lstrip("\r\n").partition("\n")[0], delimiter, strict=False)
        if len(names) == 1:
            delimiter = next((other for other in ";\t" if other in names[0]), delimiter)
        (_, names), *rows = _cells(path, text, delimiter)
    layout = choose(names)
    layout.check(str(path), names)
    return Table(layout, ((f"{path}:{line}", dict(zip(names, row, strict=True))) for line, row in rows))


def _parquet(path: Path, choose: Choose) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UnavailableError(f"{path} needs pyarrow: {install('data')}") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            layout = choose(names)
            layout.check(str(path), names)
            rows = file.read(layout.columns).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no Parquet file, or a damaged one: {error}") from error
    return Table(layout, ((f"{path}, row {number}", row) for number, row in enumerate(rows)))


READERS: dict[str, Callable[[Path, Choose], Table]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
"""Readers by the end of a file's name."""


def data_set(name: str, split: str, choose: Choose, subset: str | None, revision: str | None) -> Table:
    """One split of a hub data set or of a folder in a data set's layout, e.g. ``data/train-00000.parquet``."""
    try:
        import datasets
    except ImportError as error:
        raise UnavailableError(f"{name} needs the package datasets: {install('data')}") from error
    try:
        with _without_patterns(name.removeprefix(HUB)) as place:
            table: Any = datasets.load_dataset(place, subset, split=split, revision=revision)
    except ValueError as error:  # a split or a subset that is not there; its own words name those that are
        raise ValueError(f"{name}, split {split!r}: {error}") from error
    except Exception as error:  # datasets, huggingface_hub and httpx each have their own; all mean the same here
        raise UnavailableError(
            f"could not load the data set {name}: {type(error).__name__}: {error}. Check the name and the network, or "
            "download its files and give the folder they are in"
        ) from error
    layout = choose(table.column_names)
    layout.check(f"{name}, split {split!r},", table.column_names)
    rows = table.select_columns(layout.columns)
    return Table(layout, ((f"{name}, split {split}, row {number}", row) for number, row in enumerate(rows)))


@contextmanager
def _without_patterns(place: str) -> Iterator[str]:
    """A path to the same files that holds no character which ``datasets`` takes for a pattern."""
    if not (Path(place).is_dir() and re.search(r"[][*?]", str(Path(place).resolve()))):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="duelbench-") as folder:
        yield str(shutil.copytree(place, Path(folder) / "files", copy_function=_link))


def _link(source: str, target: str) -> None:
    """The same file under a second name, or a copy where file systems differ."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _cells(path: Path, text: str, delimiter: str, *, strict: bool = True) -> list[tuple[int, list[str]]]:
    """The header and the rows of a CSV text, each with the line it begins on and as many cells as the header."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    rows, line = [], 1
    try:
        for row in reader:
            if row:  # a blank line is no row
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{line}: {error}: put cells with quotes or line breaks in double quotes") from None
    if not rows:
        raise ValueError(f"{path} is empty")
    wide = len(rows[0][1])
    for line, row in rows:
        if len(row) != wide:
            raise ValueError(
                f"{path}:{line}: {len(row)} cells where the header has {wide}: put cells with commas in double quotes"
            )
    return rows


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters per cell."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)
