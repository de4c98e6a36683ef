"""The one table of metrics: what it says fits together, and nobody keeps another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from duelbench.metrics import (
    HEADLINE,
    LEADERBOARD,
    METRICS,
    PICTURED,
    REGRETS,
    RESULTS,
    SHORT_LEADERBOARD,
    metric,
)

ROOT = Path(__file__).parents[3]


def test_every_list_names_metrics_of_the_table() -> None:
    assert {*HEADLINE, *REGRETS, *PICTURED} <= set(RESULTS)
    assert {*LEADERBOARD, *SHORT_LEADERBOARD} <= set(METRICS)
    assert all(METRICS[name].higher_is_better is not None for name in RESULTS)


@pytest.mark.parametrize(("name", "better"), [("my_regret", False), ("loss", False), ("pairs", None)])
def test_an_unknown_metric_is_a_diagnostic_whose_name_may_tell_its_direction(name: str, better: bool | None) -> None:
    assert metric(name).higher_is_better is better and metric(name).group == "diagnostic"
    assert metric("third_party_score").title == "third party score"


def test_sums_and_counts_count_with_their_last_value() -> None:
    assert metric("cumulative_weak_regret").accumulates and metric("oracle_calls_duel").accumulates
    assert not metric("offline_win_rate").accumulates


def test_no_module_of_the_library_keeps_a_table_of_metric_names_of_its_own() -> None:
    """A tuple, list or dict of three names of results is such a table."""
    found = []
    for path in sorted((ROOT / "duelbench").rglob("*.py")):
        if path.name == "metrics.py" or path.is_relative_to(ROOT / "duelbench" / "runs"):
            continue  # the loops compute them
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            if sum(isinstance(item, ast.Constant) and item.value in RESULTS for item in items) > 2:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
