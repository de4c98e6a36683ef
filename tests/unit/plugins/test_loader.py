"""One loader: files, modules, entry points, clear errors; and the hash of what was loaded."""

import os
import sys

import pytest

from duelbench.plugins import PluginError, find, load
from duelbench.records.content import code_digest, sources

STYLE = """
from __future__ import annotations
from dataclasses import dataclass
import neighbour

@dataclass
class Config:
    width: int = neighbour.WIDTH
"""


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "neighbour.py").write_text("WIDTH = 3\n")
    (tmp_path / "mine.py").write_text(STYLE)
    return tmp_path / "mine.py"


def test_a_file_in_the_style_of_the_house_loads(plugin):
    assert load(f"{plugin}:Config", kind="agent")().width == 3


def test_an_edited_file_and_an_edited_neighbour_are_executed_anew(plugin):
    first = load(f"{plugin}:Config", kind="agent")
    assert load(f"{plugin}:Config", kind="agent") is first
    plugin.with_name("neighbour.py").write_text("WIDTH = 44\n")
    assert load(f"{plugin}:Config", kind="agent")().width == 44
    plugin.write_text(STYLE.replace("neighbour.WIDTH", "5"))
    assert load(f"{plugin}:Config", kind="agent")().width == 5


def test_a_module_of_the_working_folder_is_found(plugin, monkeypatch):
    monkeypatch.chdir(plugin.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (plugin.parent / "somewhere_here.py").write_text("def rule(R, rng):\n    return 0\n")
    assert callable(load("somewhere_here:rule", kind="rule"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.py:X", "there is no file nowhere.py"),
        ("no_such_module:X", "cannot be imported"),
        ("math:copysig", "did you mean 'copysign'"),
        ("math", "unknown agent 'math'"),
        ("online:", "expected package.module:Name"),
    ],
)
def test_what_cannot_be_loaded_is_one_clear_error(target, message):
    with pytest.raises(PluginError, match=message):
        find(target, {"online": 1}, kind="agent")


def test_code_that_fails_says_so(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        load(f"{tmp_path / 'broken.py'}:X", kind="oracle")


def test_the_hash_follows_the_content_of_a_file_and_its_neighbours_alone(plugin, tmp_path_factory):
    before = code_digest(str(plugin))
    assert {path.name for path in sources(str(plugin))} == {"mine.py", "neighbour.py"}
    plugin.with_name("unrelated.py").write_text("x = 1\n")
    assert code_digest(str(plugin)) == before
    copy = tmp_path_factory.mktemp("elsewhere")
    for name in ("mine.py", "neighbour.py"):
        (copy / name).write_text(plugin.with_name(name).read_text())
    assert code_digest(str(copy / "mine.py")) == before
    plugin.with_name("neighbour.py").write_text("WIDTH = 4\n")
    assert code_digest(str(plugin)) != before


def test_the_hash_of_an_agent_of_ours_reaches_its_base_and_no_other_agent():
    names = {path.name for path in sources("duelbench.agents.alignment.xpo")}
    assert {"xpo.py", "base.py"} <= names and "apl.py" not in names


def test_an_edit_within_the_second_that_keeps_the_size_is_seen(tmp_path, monkeypatch):
    """Python's own cache of compiled files goes by time in seconds and size, and would take it for unchanged."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file, beside, below = tmp_path / "edited.py", tmp_path / "beside_edited.py", tmp_path / "below_edited" / "deep.py"
    below.parent.mkdir()
    (below.parent / "__init__.py").write_text("")
    for value in (1, 2, 3):
        imports = "from beside_edited import one\nfrom below_edited.deep import two\n"
        file.write_text(f"{imports}class Mine:\n    value = {value}, one, two\n", encoding="utf-8")
        beside.write_text(f"one = {value}\n", encoding="utf-8")
        below.write_text(f"two = {value}\n", encoding="utf-8")
        for edited in (file, beside, below):
            os.utime(edited, (1_700_000_000, 1_700_000_000))
        assert load(f"{file}:Mine", kind="agent").value == (value, value, value)
