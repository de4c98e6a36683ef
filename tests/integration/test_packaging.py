"""The wheel holds the whole tree, nothing draws from a global generator, and envs load without torch."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {
    "duelbench": "duelbench",
    "agents": "duelbench/agents",
    "envs": "duelbench/envs",
    "experiments": "duelbench/experiments",
}
"""Folder of the repository -> folder of the wheel."""


def package_modules(folder: str) -> Iterator[Path]:
    """Python files whose folders are packages all the way up."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        if all(
            (parent / "__init__.py").exists() for parent in path.parents if (ROOT / folder) in [parent, *parent.parents]
        ):
            yield path


def data_files(folder: str) -> Iterator[Path]:
    """What the modules read while they run; experiments' result files and prose stay in the repository."""
    for path in sorted((ROOT / folder).rglob("*")):
        hidden = any(part.startswith((".", "__pycache__")) for part in path.parts)
        results = folder == "experiments" and not (path.parent / "__init__.py").exists()
        if (
            path.is_file()
            and not hidden
            and not results
            and path.suffix in (".npz", ".json", ".safetensors", ".html", ".typed", ".txt")
        ):
            yield path


def setuptools_is_new() -> bool:
    try:
        return int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from a copy of the tree."""
    if not setuptools_is_new():
        pytest.skip("building the wheel needs setuptools >= 77 in this environment")
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in PLACES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(copy),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    (file,) = out.glob("duelbench-*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def in_wheel(path: Path) -> str:
    folder, *rest = path.relative_to(ROOT).parts
    return "/".join([PLACES[folder], *rest])


@pytest.mark.parametrize("folder", PLACES)
def test_every_module_is_in_the_wheel_under_its_mapped_name(folder: str, wheel: set[str]) -> None:
    expected = {in_wheel(path) for path in package_modules(folder)}
    assert expected and expected - wheel == set()


@pytest.mark.parametrize("folder", PLACES)
def test_models_tasks_and_templates_are_in_the_wheel(folder: str, wheel: set[str]) -> None:
    assert {in_wheel(path) for path in data_files(folder)} - wheel == set()


def test_nothing_but_duelbench_is_in_the_wheel(wheel: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"duelbench"}
    assert not [name for name in wheel if "test" in name.split("/")[1] or "__pycache__" in name]
    assert "duelbench/py.typed" in wheel


def test_every_folder_with_modules_is_a_package() -> None:
    strays = [p for folder in PLACES for p in (ROOT / folder).rglob("*.py") if p not in set(package_modules(folder))]
    assert strays == []


# Layers, read from the source


def imports(path: Path) -> set[str]:
    """Every module that a file imports by a statement, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


NAMED = {"Generator", "PCG64", "SeedSequence", "BitGenerator", "default_rng"}


@pytest.mark.parametrize("folder", PLACES)
def test_nobody_draws_from_a_global_generator(folder: str) -> None:
    found = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Attribute | ast.Call):
                continue
            text = ast.unparse(node)
            if isinstance(node, ast.Attribute) and text.startswith(("np.random.", "numpy.random.")):
                if text.split(".")[2] not in NAMED:
                    found.append(f"{path.name}:{node.lineno} {text}")
            elif isinstance(node, ast.Call) and text.endswith("default_rng()"):
                found.append(f"{path.name}:{node.lineno} unseeded {text}")
        found += [f"{path.name} imports {name}" for name in imports(path) if name.split(".")[0] == "random"]
    assert found == []


def test_envs_and_core_types_load_without_torch() -> None:
    light = [
        "types",
        "protocols",
        "streams",
        "duels/preference",
        "duels/regret",
        "records/answers/journal",
        "records/spec",
    ]
    pure = [ROOT / "envs", ROOT / "duelbench" / "acquisition"]
    for path in [
        *(path for folder in pure for path in folder.rglob("*.py")),
        *(ROOT / "duelbench" / f"{name}.py" for name in light),
    ]:
        tops = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {a.name for n in tops if isinstance(n, ast.Import) for a in n.names}
        names |= {str(n.module) for n in tops if isinstance(n, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & {"torch", "transformers"}, path
