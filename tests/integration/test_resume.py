"""Kill a run at random moments: it ends as if nothing had happened, and buys no label twice."""

from __future__ import annotations

import json
import random
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from journals import journal_of

from duelbench.records.answers.entries import Answer
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.policy_loop import run
from duelbench.runs.recording.lock import RunBusyError
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.types import Verdict

KILLS, LABELS, BATCH = 10, 150, 8
SCOUT = f"{Path(__file__).with_name('my_agent.py')}:Scout"

_forkserver = get_context("forkserver")  # imports torch once, not once a kill
_forkserver.set_forkserver_preload(
    ["torch._dynamo", "duelbench.runs.policy_loop", "duelbench.agents.alignment.sea", "duelbench.envs.text.pool_duel"]
)


def spec_of(agent: str, task_file: str, oracles: str, log: Path) -> RunSpec:
    small = {"candidates": 6, "posterior.samples": 8, "burn_in": 0.1, "real_share": 0.5}
    return RunSpec(
        "LLMDuelPool-v0",
        agent,
        4,
        LABELS,
        batch=BATCH,
        judging=Judging(every=32, repeats=1),
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}},
        agent_options=small if agent == "sea" else {},
    )


def bought(log: Path) -> list[list[str]]:
    """The duels that the oracle was asked for labels, in order; held-out prompts (40 and up) are the evaluation's."""
    calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [duel for line in calls for duel in json.loads(line) if int(duel[0].split()[1]) < 40]


def journaled(folder: Path, spec: RunSpec) -> list[Answer]:
    if not (folder / "journal.sqlite").exists():
        return []
    journal = journal_of(folder)
    answers = journal.answers()
    journal.close()
    return answers


def ties(answers: list[Answer]) -> int:
    """Number of labels that no oracle was asked for: two identical responses tie."""
    same = [answer for answer in answers if answer.first == answer.second]
    assert all(answer.verdict == Verdict.TIE and answer.probability == 0.5 for answer in same)
    return len(same)


def wait_for_calls(process: BaseProcess, log: Path, calls: int) -> None:
    """Until the oracle was called so many times, or the run is over."""
    while process.is_alive() and (len(log.read_bytes().splitlines()) if log.exists() else 0) < calls:
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["sea", SCOUT], ids=["checkpointed", "replayed"])
def test_a_run_killed_ten_times_is_the_run_never_killed(
    agent: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    whole_spec = spec_of(agent, task_file, oracles, tmp_path / "whole.jsonl")
    whole = run(whole_spec, tmp_path / "whole")

    log, rng = tmp_path / "killed.jsonl", random.Random(7)
    spec = spec_of(agent, task_file, oracles, log)
    folder = tmp_path / "killed" / "runs" / resolve(spec).folder_name
    lost, kills = 0, 0
    total_calls = len((tmp_path / "whole.jsonl").read_bytes().splitlines())
    for k in range(KILLS):
        calls = len(log.read_bytes().splitlines()) if log.exists() else 0
        process = _forkserver.Process(target=run, args=(spec, tmp_path / "killed"))
        process.start()
        wait_for_calls(process, log, max(calls + 1, total_calls * (k + 1) // (KILLS + 2)))
        time.sleep(rng.uniform(0.0, 0.01))
        kills += process.is_alive()
        process.kill()
        process.join()
        answers = journaled(folder, spec)
        now_lost = len(bought(log)) - lost - (len(answers) - ties(answers))
        assert 0 <= now_lost <= BATCH  # bought, but not yet journaled at the very kill
        lost += now_lost
    assert kills > KILLS // 2, "the run was over before it was killed: give it more labels"

    assert run(spec, tmp_path / "killed") == folder
    for name in ("metrics.jsonl", "samples.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    answers = journaled(folder, spec)
    assert answers == journaled(whole, whole_spec)
    assert len(answers) == LABELS
    assert len(bought(log)) + ties(answers) == LABELS + lost  # nothing that was journaled was ever bought again
    assert len(bought(tmp_path / "whole.jsonl")) + ties(answers) == LABELS


def test_a_run_that_does_not_repeat_itself_is_stopped(task_file: str, oracles: str, tmp_path: Path) -> None:
    """A journal of other duels than the resumed run proposes is an error, never a wrong label."""
    spec = spec_of("online", task_file, oracles, tmp_path / "log.jsonl")
    folder = run(spec, tmp_path)
    n_ties = ties(journaled(folder, spec))
    (folder / "DONE").unlink()
    journal = journal_of(folder)
    journal._db.execute("UPDATE answers SET first = 'something else' WHERE duel = (SELECT max(duel) FROM answers)")
    journal.close()
    with pytest.raises(RuntimeError, match="did not repeat itself"):
        run(spec, tmp_path)
    assert "JournalMismatchError" in (folder / "error.txt").read_text()
    assert len(bought(tmp_path / "log.jsonl")) + n_ties == LABELS


def test_two_processes_never_play_one_run(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duelbench.runs.recording.run_folder.PATIENCE_SECONDS", 0.0)
    log = tmp_path / "log.jsonl"
    spec = spec_of("online", task_file, oracles, log)
    folder = tmp_path / "runs" / resolve(spec).folder_name
    process = _forkserver.Process(target=hold, args=(spec, folder))
    process.start()
    wait_until_held(folder)
    with pytest.raises(RunBusyError, match="another process is playing this run"):
        run(spec, tmp_path)
    assert not (folder / "error.txt").exists() and not bought(log)  # the other's run is left alone
    process.kill()
    process.join()
    assert run(spec, tmp_path) == folder and (folder / "DONE").exists()
    with RunFolder(folder, spec).playing():  # a finished run is read, not played
        assert run(spec, tmp_path) == folder


def hold(spec: RunSpec, folder: Path) -> None:
    with RunFolder(folder, spec).playing():
        (folder / "held").touch()
        time.sleep(600)


def wait_until_held(folder: Path) -> None:
    while not (folder / "held").exists():
        time.sleep(0.01)


def test_a_run_plays_where_files_cannot_be_locked(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duelbench.runs.recording.lock.fcntl", None)  # as on Windows
    spec = spec_of("uniform", task_file, oracles, tmp_path / "log.jsonl")
    assert (run(spec, tmp_path) / "DONE").exists()


def test_a_changed_checkpoint_row_count_is_measured_again(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were written after the last checkpoint are dropped and come back the same."""
    spec: Any = spec_of("online", task_file, oracles, tmp_path / "log.jsonl")
    metrics = (run(spec, tmp_path / "whole") / "metrics.jsonl").read_bytes()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run(spec, tmp_path)
    folder = tmp_path / "runs" / resolve(spec).folder_name
    assert (folder / "checkpoint").exists() and not (folder / "DONE").exists()
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"labels": 999}\n{"lab')
    run(spec, tmp_path)
    assert (folder / "metrics.jsonl").read_bytes() == metrics
