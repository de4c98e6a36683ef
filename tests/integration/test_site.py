"""What the site generates covers everything public: agents, environments, papers, and every name of the API."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import duelbench
from duelbench.acquisition.registry import RULES
from duelbench.agents.registry import AGENTS
from duelbench.cli.main import COMMANDS
from duelbench.posteriors.registry import POSTERIORS

ROOT = Path(__file__).parents[2]
HEADINGS = ["Paper", "What it does", "What was verified, and how", "Options", "Logged metrics", "Command"]


@pytest.fixture(scope="module")
def makers() -> Iterator[dict[str, Any]]:
    """The modules that write the pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs" / "generate"))
        names = ("agent_pages", "env_pages", "paper_pages", "api_pages", "sources")
        yield {name: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def pages(makers: dict[str, Any]) -> dict[str, str]:
    made: dict[str, str] = {}
    for name in ("agent_pages", "env_pages", "paper_pages", "api_pages"):
        made |= makers[name].pages()
    return made


def test_every_agent_is_listed_and_has_a_page_with_the_same_headings(
    makers: dict[str, Any], pages: dict[str, str]
) -> None:
    for entries in AGENTS.values():
        for name, entry in entries.items():
            place = f"{entry.target.partition(':')[0].rpartition('.')[2]}.md"
            assert f"[`{name}`]({place})" in pages["agents/index.md"]
            page = pages[f"agents/{place}"]
            assert f"| `{name}` |" in page and re.findall(r"^## (.*)", page, re.MULTILINE) == HEADINGS


def test_every_agent_was_verified_somehow(makers: dict[str, Any]) -> None:
    for module, entries in makers["agent_pages"].families().items():
        assert makers["agent_pages"]._verified(module, entries), module


def test_every_option_of_an_agent_has_a_meaning(makers: dict[str, Any]) -> None:
    for entries in AGENTS.values():
        for name, entry in entries.items():
            place, _, attribute = entry.target.partition(":")
            config = getattr(getattr(importlib.import_module(place), attribute), "Config", None)
            for option, _, meaning in makers["sources"].options(config) if config else ():
                assert meaning, f"{name}: {option}"


def test_every_environment_has_a_page_with_all_its_arguments(pages: dict[str, str]) -> None:
    for env_id in duelbench.ENV_IDS:
        page = pages[f"environments/{env_id}.md"]
        arguments, presets = page.split("## Arguments")[1].split("## Presets")
        assert arguments.count("\n|") > 3 and presets.count("\n|") > 2


@pytest.mark.parametrize("kind", ["rule", "posterior"])
def test_cited_parts_are_in_the_table_of_papers(kind: str, pages: dict[str, str], makers: dict[str, Any]) -> None:
    for name, part in (RULES if kind == "rule" else POSTERIORS).items():
        text = part.__doc__ or "" if callable(part) else " ".join(makers["sources"].docstring(part.partition(":")[0]))
        assert ("arXiv" not in text) or f"{kind} `{name}`" in pages["papers.md"], name


def test_every_public_name_has_a_page(makers: dict[str, Any], pages: dict[str, str]) -> None:
    for name in duelbench.__all__:
        assert name.startswith("__") or re.search(rf"^### {name}$", pages["api/index.md"], re.MULTILINE), name
    shown = set(re.findall(r"^::: (\S+)", "\n".join(pages.values()), re.MULTILINE))
    for path in (path for folder in ("duelbench", "agents", "envs") for path in (ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts if parts[0] == "duelbench" else ("duelbench", *parts)).removesuffix(".__init__")
        private = any(part.startswith("_") for part in name.split("."))
        internal = private or name.startswith(makers["api_pages"].INTERNAL)
        assert internal or name in shown or name == "duelbench", name


def test_every_public_name_says_what_it_is() -> None:
    for path in (path for folder in ("duelbench", "agents", "envs") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
            overload = public and "overload" in map(ast.unparse, node.decorator_list)
            if public and not overload and "templates" not in path.parts:
                assert ast.get_docstring(node), f"{path}: {node.name}"


def test_the_help_of_every_command_is_on_the_site(pages: dict[str, str]) -> None:
    text = pages["api/commands.md"]
    assert re.findall(r"^## duelbench (\w+)$", text, re.MULTILINE) == list(COMMANDS)
    assert text.count("usage: duelbench") == len(COMMANDS)
