from __future__ import annotations

import numpy as np
from finished_runs import make_run, three_agents

from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.grids import labels_needed, power_laws


def test_a_power_law_is_told_with_its_interval() -> None:
    labels, law = np.array([16.0, 64.0, 256.0, 1024.0]), "offline_win_rate"
    runs = []
    for seed, b in enumerate((0.28, 0.30, 0.31, 0.32, 0.29)):
        rows = [{"labels": 0.0, law: 0.5}]
        rows += [{"labels": n, law: 1.0 - 0.5 * (n / 8.0) ** -b} for n in labels.tolist()]
        runs.append(make_run("sea", seed, 0.5, rows=rows))
    grid = power_laws(sections(runs)[0])
    assert grid is not None and grid.rows == (("sea", "0.300 [0.280, 0.320]", "8 [8, 8]"),)
    assert power_laws(sections(three_agents())[0]) is None  # two points make no law


def test_only_win_rates_that_somebody_reached_are_columns() -> None:
    (section,) = sections(three_agents())
    grid = labels_needed(section, "online", [0.55, 0.6, 0.95], {})
    assert grid is not None and grid.header == ("agent", "0.55", "0.6") and "left out" in grid.note
    assert labels_needed(section, "online", [0.95], {}) is None
