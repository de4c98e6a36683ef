"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"duelbench": "duelbench", "agents": "duelbench.agents", "envs": "duelbench.envs"}
ELSEWHERE = {"duelbench/cluster.py", "duelbench/policies/samplers/ray.py", "duelbench/oracles/wrappers/remote.py"}
"""Modules that need Ray, which has a group of tests of its own."""


def with_examples() -> list[str]:
    """Dotted names of the modules that hold an example."""
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8") and str(path.relative_to(ROOT)) not in ELSEWHERE:
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                found.append(".".join([package, *parts]).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", with_examples())
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed
