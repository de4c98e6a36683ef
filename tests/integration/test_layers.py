"""Arrows point down: every import, and every ``module:attribute`` string, read from the source."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "duelbench": "duelbench",
    "agents": "duelbench.agents",
    "envs": "duelbench.envs",
    "experiments": "duelbench.experiments",
}
"""Folder of the repository -> package."""

FORBIDDEN = {
    "core": ("agents", "envs", "runs", "study", "label", "rank", "cli", "experiments"),
    "results": ("acquisition", "chat", "learning", "oracles", "policies", "posteriors"),
    "records": ("acquisition", "chat", "learning", "oracles", "policies", "posteriors", "results"),
    "agents": ("envs", "runs", "study", "label", "rank", "cli", "experiments", "records", "results"),
    "envs": (
        "agents",
        "runs",
        "study",
        "label",
        "rank",
        "cli",
        "experiments",
        "records",
        "results",
        "learning",
        "policies",
    ),
    "runs": ("study", "label", "rank", "cli", "experiments"),
    "study": ("label", "rank", "cli"),
    "label": ("cli", "experiments"),
    "rank": ("runs", "study", "label", "cli", "experiments"),
    "cli": (),
}
"""Room -> rooms that it must not know. ``core`` stands for all rooms that no line here names."""

PENDING: set[str] = set()
BY_NAME: set[str] = set()
"""What still stands against the rules; both sets only ever shrink."""

TARGET = re.compile(r"duelbench(\.\w+)+:\w+")


def module_name(path: Path) -> str:
    top, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[top], *rest]).removesuffix(".__init__")


MODULES = {module_name(path): path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}


def known_as(name: str) -> str | None:
    """The module that a dotted name leads to: itself, or the one that holds it."""
    while name:
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def targets(tree: ast.AST) -> set[str]:
    """The ``module:attribute`` strings of a module, those of its docstrings left out: prose may name what it likes."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text.value for text in texts if id(text) not in prose and TARGET.fullmatch(text.value)}


@cache
def uses(module: str) -> frozenset[str]:
    """Modules of ours that a module imports, anywhere in it, or names in a string that is no docstring."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    names |= {target.replace(":", ".") for target in targets(tree)}
    found = {known_as(name) for name in names if name.split(".")[0] == "duelbench"}
    return frozenset(name for name in found if name not in (None, "duelbench", module))


def room(module: str) -> str:
    """The room a module stands in; the doors, ``__init__.py`` and ``__main__.py``, may know all of them."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else "door"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_arrows_point_down(module: str) -> None:
    own = room(module)
    if own in ("door", "experiments"):
        return
    forbidden = FORBIDDEN["core"] if own not in ("agents", "envs", "runs", "study", "label", "rank", "cli") else ()
    forbidden += FORBIDDEN.get(own, ())
    wrong = [used for used in sorted(uses(module)) if room(used) in forbidden]
    assert bool(wrong) == (module in PENDING), wrong


def test_no_circle_of_imports() -> None:
    graph = {module: uses(module) for module in MODULES if room(module) != "door"}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_nobody_imports_the_bare_folders(folder: str) -> None:
    bare = re.compile(r"^\s*(from|import) (agents|envs|experiments)\b", re.MULTILINE)
    assert [path for path in (ROOT / folder).rglob("*.py") if bare.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_places_named_in_strings_exist(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for place in targets(tree):
        target, _, attribute = place.partition(":")
        assert target in MODULES, f"{module} names {place}"
        body = ast.parse(MODULES[target].read_text(encoding="utf-8")).body
        assert attribute in {getattr(item, "name", None) for item in body}, f"{module} names {place}"


def test_nobody_imports_by_a_computed_name_to_get_round_the_rule() -> None:
    """Only the plugin loader, and tables of ``module:attribute`` strings that this file reads, import by name."""
    allowed = {"duelbench.plugins.loader", *BY_NAME}
    found = {
        module
        for module, path in MODULES.items()
        if room(module) != "experiments" and "import_module" in path.read_text(encoding="utf-8")
    }
    assert found <= allowed


ONE_FILE_EACH = {
    "duelbench": "the words that every room speaks",
    "agents/alignment": "one file an agent, read top to bottom",
    "agents/arms/contextual": "one file an agent, read top to bottom",
    "agents/arms/matrix": "one file an agent, read top to bottom",
    "duelbench/cli": "one file a command",
    "duelbench/posteriors": "one file a posterior",
    "envs/arms": "one file a family of environments",
    "experiments/speed": "one file a measurement",
}
"""Folders of many files of one kind, in which a reader looks for one by its name."""


@pytest.mark.parametrize("folder", sorted({path.parent.relative_to(ROOT).as_posix() for path in MODULES.values()}))
def test_few_modules_lie_open(folder: str) -> None:
    loose = [path.name for path in (ROOT / folder).glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    assert (len(loose) > 7) == (folder in ONE_FILE_EACH), loose
