"""Agents by name, and their options."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pool_runs import spec_of

from duelbench.agents.alignment.sea import SEA, SEAConfig
from duelbench.agents.registry import AGENTS, UnknownAgentError, find_agent, make_agent, make_config
from duelbench.plugins import resolved_config, with_options
from duelbench.posteriors.registry import choose_posterior
from duelbench.runs.configuration.assemble import assemble


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def test_options_reach_nested_configs_and_keep_the_preset() -> None:
    parts = {
        "selection": "ee",
        "posterior": "ensemble",
        "posterior.members": 3,
        "posterior.hidden": 8,
        "real_share": 1,
        "best_of": 4,
    }
    config = with_options(SEAConfig(), parts)
    assert (config.selection.name, config.posterior.config.members, config.posterior.config.hidden) == ("ee", 3, 8)
    assert config.real_share == 1.0 and type(config.real_share) is float and config.best_of == 4
    assert config.posterior.config.steps == choose_posterior("ensemble").config.steps
    assert SEAConfig().posterior.name == "evidence"  # the default is untouched


def test_make_agent_builds_with_options(task: dict[str, Any]) -> None:
    setup = assemble(spec_of("online", task)).agent.setup  # type: ignore[attr-defined]
    agent = make_agent("sea-ee", setup, {"posterior.samples": 3, "candidates": 8})
    assert isinstance(agent, SEA)
    assert (agent.config.selection.name, agent.config.candidates, agent.config.posterior.config.samples) == ("ee", 8, 3)
    with pytest.raises(ValueError, match="unknown rule 'baii'"):
        make_agent("sea", setup, {"selection": "baii"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"candidate": 8}, "no option 'candidate'.*did you mean 'candidates'"),
        ({"posterior.sample": 8}, "EvidenceConfig has no option 'sample'.*did you mean 'samples'"),
        ({"zzz": 8}, "no option 'zzz': expected one of"),
        ({"candidates": "many"}, "'candidates' expects int, got 'many'"),
        ({"candidates": 2.5}, "'candidates' expects int, got 2.5"),
        ({"candidates": True}, "'candidates' expects int, got True"),
        ({"real_share": True}, "'real_share' expects float, got True"),
        ({"selection.scale": "prob"}, "'scale' expects one of .*'probability'.*got 'prob'"),
        ({"selection.scales": "logit"}, "rule 'bai' has no option 'scales'.*did you mean 'scale'"),
        ({"posterior": "laplas"}, "unknown posterior 'laplas'.*did you mean 'laplace'"),
        ({"mixing": "counts"}, "'mixing' expects one of .*'count'.*got 'counts'"),
        ({"candidates.x": 1}, "'candidates' .*has no options"),
    ],
)
def test_a_bad_option_says_what_was_expected(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_options(SEAConfig(), options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("onlin", "did you mean 'online'"),
        ("nothing like it", "expected one of"),
        ("no.such.module:Agent", "no.such.module"),
        ("no/such/file.py:Agent", "no file"),
        ("duelbench.agents.alignment.sea:Sea", "has no 'Sea'"),
        ("duelbench.agents.alignment.base:Setup", "lacks propose, update, respond"),
    ],
)
def test_an_unknown_agent_says_what_is_missing(name: str, said: str) -> None:
    with pytest.raises(UnknownAgentError, match=said):
        find_agent(name)


def test_the_table_says_what_each_agent_is_and_plays() -> None:
    for kind, table in AGENTS.items():
        for name, entry in table.items():
            found = find_agent(name, arms=kind == "arms")
            assert entry.kind == kind == found.kind and found.target == entry.target
            assert 20 < len(entry.summary) < 120
            make_config(found, {})  # the options that make a name exist


def test_listing_agents_imports_none_of_them() -> None:
    code = "import sys; from duelbench.agents.registry import AGENTS; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_class_does_as_well_as_its_name(task: dict[str, Any]) -> None:
    found = find_agent(SEA)
    assert (found.cls, found.name, found.kind) == (SEA, "SEA", "policy")
    assert find_agent(found.target).cls is SEA
    with pytest.raises(UnknownAgentError, match="lacks propose"):
        find_agent(dict)


@pytest.mark.parametrize("target", sorted({entry.target for table in AGENTS.values() for entry in table.values()}))
def test_a_copy_of_every_agents_file_loads_as_a_users(target: str, tmp_path: Path) -> None:
    module, _, name = target.partition(":")
    source = importlib.util.find_spec(module)
    assert source is not None and source.origin is not None
    copy = shutil.copy(source.origin, tmp_path / "mine.py")
    found = find_agent(f"{copy}:{name}")
    assert found.cls.__name__ == name and found.cls is not find_agent(target).cls
    make_config(found, {})


def test_a_resolved_config_is_plain_data_with_every_default() -> None:
    resolved = resolved_config(with_options(SEAConfig(), {"candidates": 4}))
    assert json.loads(json.dumps(resolved)) == resolved
    assert resolved["candidates"] == 4 and resolved["real_share"] == 0.7
    assert resolved_config(None) == {}
