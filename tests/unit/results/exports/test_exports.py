"""Reports as text, and what compute bought: the numbers again, computed independently."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from reports import pool_run, suite_run
from scipy import stats as scipy_stats

from duelbench.cli.main import main
from duelbench.records.record import Run
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.formats import COLUMNS, FORMATS, latex, markdown, tidy_csv
from duelbench.results.report.parts.compute import compute, priced_curves
from duelbench.results.report.subject import Subject
from duelbench.runs.policy_loop import run

FINALS = {"online": [0.60, 0.62, 0.61, 0.63, 0.64], "a_b & |c|": [0.70, 0.74, 0.72, 0.71, 0.73]}


def runs() -> list[Run]:
    pool = [pool_run(agent, seed, w) for agent, finals in FINALS.items() for seed, w in enumerate(finals)]
    arms = [suite_run("uniform", seed, 90.0 + seed, task) for seed in range(5) for task in ("basic", "noise")]
    return pool + arms + [suite_run("online", seed, 20.0 + 2 * seed) for seed in range(5)]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject.of(tmp_path, runs(), title="A <study>")


def t_interval(values: list[float]) -> tuple[float, float]:
    low, high = scipy_stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scipy_stats.sem(values))
    return float(low), float(high)


def test_markdown_tables_hold_the_numbers_and_have_a_width(subject: Subject) -> None:
    text = markdown(subject)
    for finals in FINALS.values():
        low, high = t_interval(finals)
        assert f"{np.mean(finals):.3f} [{low:.3f}, {high:.3f}]" in text
    low, high = t_interval([b - a for a, b in zip(*FINALS.values(), strict=True)])
    assert f"| ahead | +0.100 [+{low:.3f}, +{high:.3f}]" in text
    assert "24.0 [20.1, 27.9]" in text and "## basic" in text and "## 2 tasks with arms together" in text
    for block in (block for block in text.split("\n\n") if block.startswith("|")):
        widths = {line.replace(r"\|", "").count("|") for line in block.splitlines()}
        assert len(widths) == 1 and block.splitlines()[1].startswith("| ---")
    assert r"a_b & \|c\|" in text and "25 finished runs" in text


def test_latex_is_balanced_and_escaped(subject: Subject) -> None:
    text = latex(subject)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 7  # of three kinds
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 7
    assert r"a\_b \& |c|" in text and "−" not in text and "½" not in text
    for table in text.split(r"\begin{table}")[1:]:
        columns = table.split(r"\begin{tabular}{")[1].split("}")[0]
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert {line.replace(r"\&", "").count("&") + 1 for line in rows} == {len(columns)}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: whether the tables compile is not tested")
def test_latex_compiles(subject: Subject, tmp_path: Path) -> None:
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{latex(subject)}\end{{document}}"
    (tmp_path / "tables.tex").write_text(document.replace("% A", "%\n% A"), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout[-2000:]


def test_csv_has_one_line_for_each_point(subject: Subject) -> None:
    rows = list(csv.DictReader(io.StringIO(tidy_csv(subject))))
    assert tuple(rows[0]) == COLUMNS
    keys = [(r["task"], r["agent"], r["metric"], r["labels"]) for r in rows]
    assert len(set(keys)) == len(keys) == 2 * 3 + 3 * 3
    (row,) = (r for r in rows if r["agent"] == "a_b & |c|" and r["labels"] == "50")
    values = [0.5 + (w - 0.5) / 2 for w in FINALS["a_b & |c|"]]
    low, high = t_interval(values)
    assert [float(row[name]) for name in ("mean", "low", "high", "n")] == pytest.approx(
        [np.mean(values), low, high, 5], rel=1e-5
    )


def test_a_single_run_has_no_interval_in_any_format(tmp_path: Path) -> None:
    alone = Subject.of(tmp_path, [pool_run("online", 0, 0.6)])
    (row,) = (r for r in csv.DictReader(io.StringIO(tidy_csv(alone))) if r["labels"] == "100")
    assert (row["mean"], row["low"], row["high"], row["n"]) == ("0.6", "", "", "1")
    assert "| online | 1 | 0.600 |" in markdown(alone) and "inf" not in latex(alone)


def test_the_command_prints_each_format_and_nothing_else(
    task_file: str, oracles: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"}
    run(RunSpec("LLMDuelPool-v0", "online", 0, 32, batch=8, judging=Judging(every=32), env_kwargs=kwargs), tmp_path)
    starts = {"md": "# duelbench report\n", "latex": "% duelbench report", "csv": ",".join(COLUMNS) + "\n"}
    assert set(starts) == set(FORMATS)
    for name, start in starts.items():
        with pytest.raises(SystemExit) as stopped:
            main(["report", str(tmp_path), "--format", name])
        out = capsys.readouterr().out
        assert stopped.value.code == 0 and out.startswith(start) and "online" in out
    assert not (tmp_path / "report.html").exists()


# What labels cost


def test_curves_over_cost_put_each_evaluation_at_what_was_spent_by_then(tmp_path: Path) -> None:
    (section,) = sections([r for r in runs() if r.spec["env"] == "LLMDuelPool-v0"])
    other, online = priced_curves(section, "wall_seconds")
    assert online.curve.agent == "online" and online.cost.tolist() == other.cost.tolist() == [0.0, 5.0, 10.0]
    np.testing.assert_allclose(online.curve.mean, [0.5, 0.56, 0.62])
    assert priced_curves(section, "generated_tokens") == []  # a pool generates none
    assert compute(section, tmp_path / "compute.png") is not None
    with (tmp_path / "compute.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["cost"] for r in rows} == {"wall_seconds"} and len(rows) == 6


def test_without_timing_there_is_no_picture_of_cost(tmp_path: Path) -> None:
    (section,) = sections([pool_run("online", seed, 0.6, timing=[]) for seed in range(2)])
    assert compute(section, tmp_path / "compute.png") is None and list(tmp_path.iterdir()) == []
