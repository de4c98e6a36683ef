"""Late answers reach agents that align a policy: each with the duel it belongs to, none lost, also over a kill."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journals import journal_of
from pool_runs import play_killed, spec_of

from duelbench.agents.alignment.online import Online
from duelbench.envs.text.tasks import load_task
from duelbench.records.answers.entries import Answer
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.policy_loop import run
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.types import Metrics, Observation, Pair, Verdict

LATE = [{"delay": 3}, {"delay": 2, "delay_spread": 1.5}, {"answer_batch": 4}]
late = pytest.mark.parametrize("how", LATE, ids=["delay", "spread", "batch"])


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Observation, Pair, Any]]:
    """Everything that the agent is told, as it is told."""
    told: list[tuple[Observation, Pair, Any]] = []
    update = Online.update

    def listening(self: Any, observation: Observation, pair: Pair, feedback: Any) -> Metrics:
        told.append((observation, pair, feedback))
        return update(self, observation, pair, feedback)

    monkeypatch.setattr(Online, "update", listening)
    return told


def setting(task_file: str, oracles: str, oracle: str = "Worth", **how: Any) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:{oracle}", **how}


def answers(folder: Path, spec: RunSpec) -> list[Answer]:
    journal = journal_of(folder)
    found = journal.answers()
    journal.close()
    return found


@late
def test_every_answered_duel_is_learned_from_once_with_its_own_answer(
    how: dict[str, Any], task_file: str, oracles: str, tmp_path: Path, learned: list[Any]
) -> None:
    spec = spec_of("online", setting(task_file, oracles, **how))
    bought = answers(run(spec, tmp_path), spec)
    (record,) = load_runs(tmp_path)
    assert len(bought) == record.rows[-1]["labels"] == 70
    texts = load_task(task_file).references
    told: Counter[tuple[str, str, str, float]] = Counter()
    for observation, pair, feedback in learned:
        assert len(observation["prompt"]) == len(pair) == len(feedback)
        assert tuple(observation["prompt"]) == pair.first.prompts
        for row in np.flatnonzero(np.isfinite(feedback)).tolist():
            one, two = (
                texts[int(observation["prompt_id"][row]), int(r.actions[row])] for r in (pair.first, pair.second)
            )
            told[observation["prompt"][row], one, two, float(feedback[row])] += 1
    decided = (a for a in bought if a.verdict in (Verdict.FIRST, Verdict.SECOND, Verdict.TIE))
    assert told == Counter((a.prompt, a.first, a.second, a.verdict.reward) for a in decided)


@late
@pytest.mark.parametrize("agent", ["xpo", "sea"])
def test_a_run_killed_while_answers_are_on_their_way_is_the_run_never_killed(
    how: dict[str, Any], agent: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    spec = spec_of(agent, setting(task_file, oracles, **how), labels=96, batch=8)
    whole = run(spec, tmp_path / "whole")
    folder = play_killed(spec, tmp_path / "killed", (5, 8, 11))  # after a checkpoint at 32 labels, around the next one
    for name in ("metrics.jsonl", "samples.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert answers(folder, spec) == answers(whole, spec)
    assert RunFolder(folder, spec).finished


def test_online_learns_as_well_from_late_answers(task_file: str, oracles: str, tmp_path: Path) -> None:
    final = {}
    for delay in (0, 3):
        values = []
        for seed in range(3):
            spec = spec_of(
                "online", setting(task_file, oracles, delay=delay), labels=384, seed=seed, judging=Judging(every=1000)
            )
            rows = (run(spec, tmp_path / str(delay)) / "metrics.jsonl").read_text().splitlines()
            first, last = json.loads(rows[0]), json.loads(rows[-1])
            assert last["offline_win_probability"] > first["offline_win_probability"] + 0.04
            values.append(last["offline_win_probability"])
        final[delay] = np.mean(values)
    assert final[3] == pytest.approx(final[0], abs=0.05)


def test_what_fails_late_is_counted(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = spec_of("online", setting(task_file, oracles, "Picky", delay=3))
    bought = answers(run(spec, tmp_path), spec)
    failed = sum(answer.probability is None for answer in bought)
    assert 0 < failed == load_runs(tmp_path)[0].rows[-1]["invalid_answers"]
