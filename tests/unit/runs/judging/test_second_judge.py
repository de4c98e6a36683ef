"""A second judge sees what the first one sees, changes nothing, and shows who games the first one's taste."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pool_runs import asked, play_killed, spec_of

from duelbench.errors import UsageError
from duelbench.records.answers.journal import Journal
from duelbench.records.record import Run, load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.judging.forecast import forecast_calls, requests_text
from duelbench.runs.policy_loop import run

SECONDS = '''
"""Second judges that write down what they are asked, in the file beside them."""
import json
from pathlib import Path
import numpy as np

LOG = Path(__file__).with_suffix(".log")


def write(questions):
    with LOG.open("a") as file:
        file.writelines(json.dumps(question) + "\\n" for question in questions)


class Contrary:
    """Likes what the first judge dislikes."""
    name, prefers_by_utility, free = "contrary", True, True

    def utilities(self, prompts, responses):
        return np.array([-float(text.split()[-1]) for text in responses])

    def preference(self, prompts, firsts, seconds):
        return 1 / (1 + np.exp(self.utilities(prompts, seconds) - self.utilities(prompts, firsts)))


class Comparing:
    name = "comparing"

    def preference(self, prompts, firsts, seconds):
        write(list(zip(prompts, firsts, seconds)))
        return np.array([float(a < b) for a, b in zip(firsts, seconds)])


def scoring(prompt, response):
    write([[prompt, response]])
    return float(response.split()[-1])
'''
PAID = ("Comparing", "scoring")


@pytest.fixture
def seconds(tmp_path: Path) -> Path:
    path = tmp_path / "seconds.py"
    path.write_text(SECONDS)
    return path


def judged(task: str, oracles: str, second: str | None, **changes: Any) -> RunSpec:
    judging = Judging(**({"every": 16, "second": second} | changes.pop("judging", {})))
    return spec_of("online", {"task": task, "oracle": f"{oracles}:Worth"}, judging=judging, **changes)


def played(spec: RunSpec, out: Path) -> Run:
    run(spec, out)
    (record,) = load_runs(out)
    return record


def test_it_sees_the_same_responses_and_changes_nothing(task_file: str, oracles: str, tmp_path: Path) -> None:
    alone = played(judged(task_file, oracles, None), tmp_path / "alone")
    both = played(judged(task_file, oracles, f"{oracles}:Worth"), tmp_path / "both")
    assert len(both.rows) > 3 and len(alone.rows) == len(both.rows)
    for before, row in zip(alone.rows, both.rows, strict=True):
        for name in ("win_rate", "win_probability", "utility"):
            assert row[f"second_{name}"] == pytest.approx(row[f"offline_{name}"], abs=1e-12)
        same = {name: value for name, value in row.items() if not name.startswith("second_")}
        calls = same.pop("oracle_calls_judging"), before["oracle_calls_judging"]
        assert calls[0] == 2 * calls[1]  # what it is asked is counted as judging
        assert same == {name: value for name, value in before.items() if name != "oracle_calls_judging"}
    assert both.samples == alone.samples and both.second_judge == f"{oracles}:Worth" and not alone.second_judge
    tokens = [[row["generated_tokens"] for row in record.timing] for record in (alone, both)]
    assert tokens[0] == tokens[1]


def test_who_pleases_the_first_judge_alone_loses_by_the_second(
    task_file: str, oracles: str, seconds: Path, tmp_path: Path
) -> None:
    rows = played(judged(task_file, oracles, f"{seconds}:Contrary", labels=320), tmp_path / "out").rows
    for row in rows:
        assert row["second_win_rate"] == pytest.approx(1 - row["offline_win_rate"])
        assert row["second_utility"] == pytest.approx(-row["offline_utility"])
    assert rows[-1]["offline_win_rate"] > rows[0]["offline_win_rate"] + 0.1
    assert rows[-1]["second_win_rate"] < rows[0]["second_win_rate"] - 0.1


@pytest.mark.parametrize("name", PAID)
@pytest.mark.parametrize("labels", [8, 70])
def test_one_that_costs_something_is_asked_little_and_its_questions_are_kept_counted_and_forecast(
    name: str, labels: int, task_file: str, oracles: str, seconds: Path, tmp_path: Path
) -> None:
    spec = judged(task_file, oracles, f"{seconds}:{name}", labels=labels)
    forecast = forecast_calls(spec)
    assert forecast["duel"] == 0 and not asked(seconds)
    record, without = played(spec, tmp_path / "out"), played(judged(task_file, oracles, None, labels=labels), tmp_path)
    questions = asked(seconds)
    assert 0 < len(questions) <= forecast["judging"] <= 2 * labels
    paid = record.rows[-1]["oracle_calls_judging"] - without.rows[-1]["oracle_calls_judging"]
    assert paid == len(questions) == len(set(map(tuple, questions)))
    assert record.folder is not None
    journal = Journal(record.folder / "journal.sqlite", resolve(spec).run_id)
    kept = journal.questions("second")
    journal.close()
    assert len(kept) == len(questions) and {question.purpose for question in kept} == {"judging"}
    shown = {question.prompt for question in kept}
    assert shown <= {sample["prompt"] for sample in record.samples} and "second_win_probability" in record.rows[-1]
    assert ("second_utility" in record.rows[-1]) == (name == "scoring")


@pytest.mark.parametrize("name", ["Contrary", *PAID])
def test_a_killed_run_asks_it_nothing_twice_and_ends_the_same(
    name: str, task_file: str, oracles: str, seconds: Path, tmp_path: Path
) -> None:
    spec = judged(task_file, oracles, f"{seconds}:{name}", labels=96, batch=8)
    whole = run(spec, tmp_path / "whole")
    questions = asked(seconds)
    seconds.with_suffix(".log").unlink(missing_ok=True)
    folder = play_killed(spec, tmp_path / "killed", (1, 3, 5, 8, 11))
    assert sorted(asked(seconds)) == sorted(questions)
    for file in ("metrics.jsonl", "samples.json"):
        assert (folder / file).read_bytes() == (whole / file).read_bytes()


def test_few_labels_pay_for_few_judgements_and_the_last_is_always_one(
    task_file: str, oracles: str, seconds: Path, tmp_path: Path
) -> None:
    spec = judged(task_file, oracles, f"{seconds}:Comparing", labels=8, batch=2, judging={"every": 1, "references": 3})
    rows = played(spec, tmp_path).rows
    assert 0 < sum("second_win_probability" in row for row in rows) < len(rows)
    assert "second_win_probability" in rows[-1]


def test_a_first_judge_that_costs_something_is_asked_no_more_for_the_second(
    task_file: str, oracles: str, seconds: Path, tmp_path: Path
) -> None:
    env, logs = {"task": task_file, "oracle": f"{seconds}:Comparing"}, []
    for second in (None, f"{oracles}:Worth"):
        spec = dataclasses.replace(judged(task_file, oracles, second), env_kwargs=env)
        record = played(spec, tmp_path / str(second is None))
        logs.append(asked(seconds))
        seconds.with_suffix(".log").unlink()
    assert logs[0] == logs[1] and 0 < len(logs[0]) <= 3 * spec.labels and "second_win_rate" in record.rows[-1]


def test_ids_of_runs_without_one_stay_and_its_place_decides_nothing(
    task_file: str, oracles: str, seconds: Path, tmp_path: Path
) -> None:
    alone, both = judged(task_file, oracles, None), judged(task_file, oracles, f"{seconds}:Contrary")
    assert "second" not in json.dumps(resolve(alone).to_json()) and "second" not in json.dumps(alone.to_json())
    assert resolve(alone).run_id != resolve(both).run_id
    assert RunSpec.from_json(json.loads(json.dumps(resolve(both).to_json()))) == resolve(both)
    (tmp_path / "other").mkdir()
    moved = shutil.copy(seconds, tmp_path / "other" / "seconds.py")
    again = judged(task_file, oracles, f"{moved}:Contrary")
    assert resolve(again).run_id == resolve(both).run_id
    Path(moved).write_text(SECONDS.replace("-float", "-2 * float"))
    assert resolve(again).run_id != resolve(both).run_id


def test_an_endpoint_that_judges_second_is_forecast() -> None:
    spec = RunSpec("LLMDuelPool-v0", "online", 0, 64, judging=Judging(second="judge:http://localhost:1/v1#qwen"))
    assert forecast_calls(spec) == {"duel": 0, "judging": 128}
    assert requests_text([spec]).startswith("Up to 256 requests to judge:http://localhost:1/v1#qwen")


@pytest.mark.parametrize("field", ["oracle", "second"])
def test_where_no_references_are_stored_nobody_else_can_judge(field: str, tmp_path: Path) -> None:
    spec = RunSpec("NeuralDuel-v0", "online", 0, 16, judging=Judging(**{field: "reader"}), env_kwargs={"heldout": 4})
    with pytest.raises(UsageError, match=r"stores no references .* leave out --judge-oracle and --judge-second"):
        run(spec, tmp_path)


def test_prompts_seen_are_those_that_labels_were_spent_on(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = judged(task_file, oracles, None, labels=96, batch=8)
    record = played(dataclasses.replace(spec, env_kwargs={"task": task_file, "oracle": f"{oracles}:Judge"}), tmp_path)
    assert record.folder is not None
    journal = Journal(record.folder / "journal.sqlite", resolve(spec).run_id)
    journal.run = record.run_id
    answers = journal.answers()
    journal.close()
    for row in record.rows:
        first = answers[: int(row["labels"])]
        assert row["prompts_seen"] == len({answer.prompt for answer in first})
    seen = np.array([row["prompts_seen"] for row in record.rows])
    assert seen[0] == 0 and (np.diff(seen) >= 0).all() and 8 < seen[-1] <= 40
