"""A run of every agent on the small pool: its budget, its records, and what the oracle is asked."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journals import journal_of
from pool_runs import SILENT, WRITTEN, spec_of

from duelbench.envs.text.tasks import load_task
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.policy_game.game import OracleFailedError
from duelbench.runs.policy_loop import run
from duelbench.types import Verdict

agents = pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT))


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


@agents
def test_a_run_uses_its_budget_to_the_label_and_journals_each(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    told: list[int] = []
    spec = spec_of(agent, task)
    folder = run(spec, tmp_path, progress=told.append)
    (record,) = load_runs(tmp_path)
    assert record.finished and record.error is None
    assert told == sorted(told) and told[-1] == 70
    labels = [row["labels"] for row in record.rows]
    assert labels[0] == 0 and labels[-1] == 70 and labels == sorted(set(labels))
    journal = journal_of(folder)
    answers = journal.answers()
    journal.close()
    assert len(answers) == 70
    for answer in answers:  # two identical responses tie, and only they
        assert (answer.first == answer.second) == (answer.verdict == Verdict.TIE) == (answer.probability == 0.5)
    for name in ("cumulative_average_regret", "cumulative_weak_regret", "cumulative_probability_regret"):
        values = [row[name] for row in record.rows]
        assert values[0] == 0.0 and values == sorted(values)  # regret in a pool is never negative
    for row in record.rows:
        assert 0 <= row["offline_win_rate"] <= 1 and 0 <= row["offline_win_probability"] <= 1
        assert row["simple_regret"] >= 0 and row["invalid_answers"] == 0
        assert all(math.isfinite(value) for value in row.values())
    assert [s["prompt"] for s in record.samples] == [f"prompt {i} 🙂" for i in range(40, 46)]
    for name in ("before", "after"):  # the oracle reads a text's worth off its last word
        assert all(s[f"utility_{name}"] == pytest.approx(float(s[name].split()[-1])) for s in record.samples)


@agents
def test_the_same_spec_twice_gives_the_same_bytes(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task, labels=48)
    files = [(run(spec, tmp_path / name) / "metrics.jsonl").read_bytes() for name in ("one", "two")]
    other = (run(spec_of(agent, task, labels=48, seed=1), tmp_path / "three") / "metrics.jsonl").read_bytes()
    assert files[0] == files[1] != other


@agents
def test_a_finished_run_is_left_alone(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task, labels=32)
    folder = run(spec, tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert run(spec, tmp_path) == folder
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


@agents
def test_cumulative_regret_is_that_of_the_journaled_duels(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task)
    journal = journal_of(run(spec, tmp_path))
    references = assemble(spec).env.unwrapped.problem.task.references
    best = [max(float(text.split()[-1]) for text in row) for row in references]
    expected = 0.0
    for answer in journal.answers():
        u = [float(text.split()[-1]) for text in (answer.first, answer.second)]
        expected += best[int(answer.prompt.split()[1])] - sum(u) / 2
    journal.close()
    assert load_runs(tmp_path)[0].rows[-1]["cumulative_average_regret"] == pytest.approx(expected)


def test_agents_meet_the_same_prompts_under_one_seed(task: dict[str, Any], tmp_path: Path) -> None:
    asked = {}
    for agent in ("uniform", "online", "xpo"):
        spec = spec_of(agent, task, labels=32)
        journal = journal_of(run(spec, tmp_path))
        asked[agent] = {a.duel: a.prompt for a in journal.answers()}
        journal.close()
    for agent in ("online", "xpo"):
        shared = asked["uniform"].keys() & asked[agent].keys()
        assert len(shared) > 10
        assert all(asked["uniform"][duel] == asked[agent][duel] for duel in shared)


def test_an_oracle_without_utilities_runs_and_is_asked_exactly_its_labels(
    task_file: str, oracles: str, tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    spec = spec_of("sea", kwargs, judging=Judging(every=1000))
    folder = run(spec, tmp_path)
    (record,) = load_runs(tmp_path)
    assert record.finished and 0 < record.rows[-1]["offline_win_probability"] < 1
    assert "simple_regret" not in record.rows[-1]
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    duels = [duel for call in calls for duel in call]
    judged = [duel for duel in duels if int(duel[0].split()[1]) >= 40]
    bought = [duel for duel in duels if int(duel[0].split()[1]) < 40]
    assert answers_of(folder, spec, bought) == 70
    last = record.rows[-1]
    assert last["oracle_calls_duel"] == len(bought) and last["oracle_calls_judging"] == len(judged)
    assert 0 < len(judged) <= 2 * 70  # judging takes no more than twice the labels
    assert len(set(map(tuple, judged))) == len(judged)  # and never asks twice


def answers_of(folder: Path, spec: RunSpec, bought: list[list[str]]) -> int:
    """Number of a run's labels, once it is certain that each was bought from the oracle or is a tie of identicals."""
    journal = journal_of(folder)
    answers = journal.answers()
    journal.close()
    assert [[a.prompt, a.first, a.second] for a in answers if a.first != a.second] == bought
    for answer in answers:
        if answer.first == answer.second:
            assert answer.verdict == Verdict.TIE and answer.probability == 0.5
    assert load_runs(folder.parent.parent)[0].rows[-1]["labels"] == len(answers)
    return len(answers)


@agents
def test_labels_are_oracle_calls_and_none_is_spent_on_identical_responses(
    agent: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    spec = spec_of(agent, kwargs, judging=Judging(every=1000))
    folder = run(spec, tmp_path)
    duels = [duel for line in log.read_text().splitlines() for duel in json.loads(line)]
    bought = [duel for duel in duels if int(duel[0].split()[1]) < 40]  # the others judge
    assert answers_of(folder, spec, bought) == 70
    assert len(bought) == 70 and all(first != second for _, first, second in bought)


def test_failed_answers_use_labels_but_teach_nothing(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = spec_of("online", {"task": task_file, "oracle": f"{oracles}:Picky"})
    journal = journal_of(run(spec, tmp_path))
    answers = journal.answers()
    journal.close()
    odd = [a.first.startswith("odd") and a.first != a.second for a in answers]  # of identicals it is not asked
    assert [a.probability is None for a in answers] == odd and 0 < sum(odd) < 70
    assert load_runs(tmp_path)[0].rows[-1]["invalid_answers"] == sum(odd)


def test_a_run_whose_oracle_is_down_stops_and_goes_on_when_it_is_back(
    task_file: str, oracles: str, tmp_path: Path
) -> None:
    kwargs = {"task": task_file, "oracle": f"{oracles}:Down", "oracle_kwargs": {"log": str(tmp_path / "log")}}
    spec = spec_of("online", kwargs, judging=Judging(every=1000))
    down = tmp_path / "log.down"
    whole = (run(spec, tmp_path / "whole") / "metrics.jsonl").read_bytes()
    calls = 0

    def fall(labels: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            down.touch()

    with pytest.raises(OracleFailedError, match="no label was made up"):
        run(spec, tmp_path / "broken", progress=fall)
    (record,) = load_runs(tmp_path / "broken")
    assert not record.finished and "OracleFailedError" in str(record.error)
    down.unlink()
    assert (run(spec, tmp_path / "broken") / "metrics.jsonl").read_bytes() == whole
    assert load_runs(tmp_path / "broken")[0].error is None


@pytest.mark.parametrize("known", ["some", "none"])
def test_utilities_that_the_oracle_does_not_know_are_in_no_metric(
    known: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    oracle = {"some": "Forgetful", "none": "Blank"}[known]
    spec = spec_of(
        "uniform", {"task": task_file, "oracle": f"{oracles}:{oracle}"}, labels=200, judging=Judging(every=1000)
    )
    if known == "none":  # nothing but failures: the run stops, and its first row says nothing of utilities
        with pytest.raises(OracleFailedError):
            run(spec, tmp_path)
        (row,) = load_runs(tmp_path)[0].rows
        assert not {"offline_win_rate", "offline_win_probability", "offline_utility", "simple_regret"} & set(row)
        return
    journal = journal_of(run(spec, tmp_path))
    answers = journal.answers()
    journal.close()
    first, last = load_runs(tmp_path)[0].rows
    assert all(math.isfinite(value) for value in (*first.values(), *last.values()))
    assert "cumulative_average_regret" not in last  # a sum with an unknown part is not known
    pools = {}
    for i, row in enumerate(load_task(task_file).references):
        pools[f"prompt {i} 🙂"] = [float(text.split()[-1]) for text in row if not text.startswith("odd")]
    wins = []
    for answer in answers:
        if "odd" not in (answer.first.split()[0], answer.second.split()[0]):
            pool, u = pools[answer.prompt], [float(text.split()[-1]) for text in (answer.first, answer.second)]
            wins += [np.mean([(w > v) + 0.5 * (w == v) for v in pool]) for w in u]
    assert 0 < len(wins) < 300
    assert last["online_win_rate"] == pytest.approx(np.mean(wins))
    assert 0 < last["offline_win_rate"] < 1 and last["simple_regret"] >= 0


def test_a_run_that_dies_between_its_last_row_and_its_end_repeats_nothing(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of("online", task)
    whole = run(spec, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("duelbench.runs.recording.run_folder.RunFolder.finish", lambda self, *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(spec, tmp_path / "cut")
    cut = run(spec, tmp_path / "cut")
    for name in ("metrics.jsonl", "samples.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("setting", [{"horizon": 5}])
def test_a_run_sets_the_budget_itself(setting: dict[str, Any], task: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"the run itself sets .*{next(iter(setting))}"):
        assemble(spec_of("online", task | setting))


def test_a_task_without_held_out_prompts_is_refused(tmp_path: Path, task_file: str, task: dict[str, Any]) -> None:
    whole = load_task(task_file)
    dataclasses.replace(whole, n_duel=len(whole.prompts)).save(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="no held-out prompts"):
        run(spec_of("online", task | {"task": str(tmp_path / "none.npz")}), tmp_path)
