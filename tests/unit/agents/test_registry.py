"""Agents by name, and their options."""

from __future__ import annotations

from typing import Any

import pytest
from pool_runs import SILENT, WRITTEN, spec_of

from duelbench.agents.alignment.sea import SEA, SEAConfig
from duelbench.agents.registry import (
    UnknownAgentError,
    find_agent,
    make_agent,
    summary_line,
    with_options,
)
from duelbench.runs.assemble import assemble

agents = pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT))


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def test_options_reach_nested_configs_and_keep_the_preset() -> None:
    parts = {"selection": "ee", "ensemble.members": 3, "ensemble.hidden": 8, "real_share": 1, "best_of": 4}
    config = with_options(SEAConfig(), parts)
    assert (config.selection, config.ensemble.members, config.ensemble.hidden) == ("ee", 3, 8)
    assert config.real_share == 1.0 and type(config.real_share) is float and config.best_of == 4
    assert config.ensemble.steps == SEAConfig().ensemble.steps
    assert SEAConfig().ensemble.members == 20  # the default is untouched


def test_make_agent_builds_with_options(task: dict[str, Any]) -> None:
    setup = assemble(spec_of("online", task)).agent.setup  # type: ignore[attr-defined]
    agent = make_agent("sea-ee", setup, {"ensemble.members": 3, "candidates": 8})
    assert isinstance(agent, SEA)
    assert (agent.config.selection, agent.config.candidates, agent.config.ensemble.members) == ("ee", 8, 3)
    with pytest.raises(ValueError, match="unknown selection 'baii'"):
        make_agent("sea", setup, {"selection": "baii"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"candidate": 8}, "no option 'candidate'.*did you mean 'candidates'"),
        ({"ensemble.member": 8}, "EnsembleConfig has no option 'member'.*did you mean 'members'"),
        ({"zzz": 8}, "no option 'zzz': expected one of"),
        ({"candidates": "many"}, "'candidates' expects int, got 'many'"),
        ({"candidates": 2.5}, "'candidates' expects int, got 2.5"),
        ({"candidates": True}, "'candidates' expects int, got True"),
        ({"real_share": True}, "'real_share' expects float, got True"),
        ({"bai_scale": "prob"}, "'bai_scale' expects one of .*'probability'.*got 'prob'"),
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
        ("duelbench.agents.alignment.sea:Sea", "no class 'Sea'"),
        ("duelbench.agents.alignment.base:Setup", "lacks propose, update, respond"),
    ],
)
def test_an_unknown_agent_says_what_is_missing(name: str, said: str) -> None:
    with pytest.raises(UnknownAgentError, match=said):
        find_agent(name)


@agents
def test_every_agent_has_a_line_about_itself(agent: str) -> None:
    assert len(summary_line(agent)) > 20
