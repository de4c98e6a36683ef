"""An oracle that costs something is asked about three times a label in all, and nothing twice, whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pool_runs import asked, play_killed, spec_of

from duelbench.envs.text.tasks import Task, load_task
from duelbench.errors import OracleRaisedError, explain
from duelbench.records.answers.journal import Journal
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.judging.budget import size_of
from duelbench.runs.judging.forecast import forecast_calls
from duelbench.runs.judging.schedule import evaluation_points
from duelbench.runs.policy_loop import run

ORACLES = '''
"""Oracles that write down what they are asked, in the file beside them."""
import json
from pathlib import Path
import numpy as np

LOG = Path(__file__).with_suffix(".log")
BROKEN = Path(__file__).with_suffix(".broken")


def write(questions):
    with LOG.open("a") as file:
        file.writelines(json.dumps(question) + "\\n" for question in questions)


class Comparing:
    name = "comparing"

    def preference(self, prompts, firsts, seconds):
        write(list(zip(prompts, firsts, seconds)))
        return np.array([float(a < b) for a, b in zip(firsts, seconds)])


class Portions(Comparing):
    portion = 5

    def preference(self, prompts, firsts, seconds):
        assert len(prompts) <= 5
        if BROKEN.exists() and LOG.exists() and len(LOG.read_text().splitlines()) >= 40:
            raise TimeoutError("the service is away")
        return super().preference(prompts, firsts, seconds)


def scoring(prompt, response):
    write([[prompt, response]])
    return float(response.split()[-1])
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(ORACLES)
    return path


def paid(task: str, mine: Path, oracle: str, **changes: Any) -> RunSpec:
    return spec_of("online", {"task": task, "oracle": f"{mine}:{oracle}"}, **changes)


@pytest.mark.parametrize("oracle", ["Comparing", "scoring"])
@pytest.mark.parametrize("labels", [8, 32, 70])
def test_questions_are_few_counted_and_forecast(
    oracle: str, labels: int, task_file: str, mine: Path, tmp_path: Path
) -> None:
    spec = paid(task_file, mine, oracle, labels=labels)
    forecast = forecast_calls(spec)
    assert not asked(mine)
    run(spec, tmp_path / "out")
    row, questions = load_runs(tmp_path / "out")[0].rows[-1], asked(mine)
    assert len(questions) <= 3 * labels
    assert row["oracle_calls_duel"] + row["oracle_calls_judging"] == len(questions)
    assert row["oracle_calls_duel"] <= forecast["duel"] and row["oracle_calls_judging"] <= forecast["judging"]
    if oracle == "scoring":
        assert len(set(map(tuple, questions))) == len(questions)


def test_a_large_task_costs_no_more(tmp_path: Path, mine: Path, task_file: str) -> None:
    small = load_task(task_file)
    n = 4000
    big = Task(
        name="big",
        prompts=tuple(f"prompt {i}" for i in range(n)),
        n_duel=n - 100,
        references=np.array([[f"a worth {i}", f"b worth {-i}"] for i in range(n)], dtype=object),
        features={"lm": np.random.default_rng(0).standard_normal((n, 2, 3)).astype(np.float32)},
        lm_log_probs=np.zeros((n, 2), np.float32),
        card=small.card,
    )
    big.save(tmp_path / "big.npz")
    run(paid(str(tmp_path / "big.npz"), mine, "scoring", labels=32), tmp_path / "out")
    assert 0 < len(asked(mine)) <= 3 * 32


@pytest.mark.parametrize("oracle", ["Comparing", "scoring"])
def test_a_killed_run_asks_no_question_twice_and_counts_the_same(
    oracle: str, task_file: str, mine: Path, tmp_path: Path
) -> None:
    spec = paid(task_file, mine, oracle, labels=96, batch=8)
    whole = run(spec, tmp_path / "whole")
    questions = asked(mine)
    mine.with_suffix(".log").unlink()
    folder = play_killed(spec, tmp_path / "killed", (3, 5, 8, 11))
    assert sorted(asked(mine)) == sorted(questions)
    for name in ("metrics.jsonl", "samples.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_an_oracle_that_raises_costs_only_the_questions_in_flight(task_file: str, mine: Path, tmp_path: Path) -> None:
    spec = paid(task_file, mine, "Portions")
    whole = run(spec, tmp_path / "whole")
    questions = asked(mine)
    mine.with_suffix(".log").unlink()
    mine.with_suffix(".broken").touch()
    with pytest.raises(OracleRaisedError, match="TimeoutError: the service is away") as caught:
        run(spec, tmp_path / "broken")
    assert "\n" not in explain(caught.value)
    mine.with_suffix(".broken").unlink()
    folder = run(spec, tmp_path / "broken")
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert sorted(asked(mine)) == sorted(questions)  # nothing was asked again


def test_an_agent_that_only_repeats_itself_ends_by_its_rounds(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from duelbench.agents.alignment.online import Online
    from duelbench.types import Observation, Pair

    propose = Online.propose

    def same(self: Any, observation: Observation) -> Pair:
        first = propose(self, observation).first
        return Pair.of(first, first)

    monkeypatch.setattr(Online, "propose", same)
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"}
    run(spec_of("online", kwargs), tmp_path)
    (record,) = load_runs(tmp_path)
    assert record.finished and record.manifest["ended"] == "rounds"
    assert record.rows[-1]["labels"] == 0 and record.rows[-1]["self_duel_share"] == 1.0
    monkeypatch.setattr(Online, "propose", propose)
    run(spec_of("online", kwargs, seed=1), tmp_path / "other")
    (record,) = load_runs(tmp_path / "other")
    assert record.manifest["ended"] == "labels" and 0 < record.rows[-1]["self_duel_share"] < 1


@pytest.mark.parametrize("utilities", [False, True])
@pytest.mark.parametrize("every", [1, 5, 64])
@pytest.mark.parametrize("labels", [3, 8, 64, 1000])
@pytest.mark.parametrize("stored", [1, 2, 30])
def test_the_allowance_holds_for_any_size(labels: int, every: int, stored: int, utilities: bool) -> None:
    size = size_of(
        Judging(every=every), labels, duel_prompts=300, heldout=128, stored=stored, free=False, utilities=utilities
    )
    asked = size.questions(utilities) + (300 * stored if size.exact else 0)
    assert size.prompts >= 1 and asked <= labels * (1 if utilities else 2)
    assert set(size.points) <= {0, *evaluation_points(labels, every, early=False)}


def test_journals_of_the_first_schema_are_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, "run")
    journal._db.execute("DROP TABLE questions")
    journal._db.execute("PRAGMA user_version=1")
    journal.close()
    journal = Journal(path, "run")
    assert journal.questions("oracle") == [] and journal.answers() == []
    journal.close()
