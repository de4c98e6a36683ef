"""Whole runs whose oracle is a chat model over HTTP: forecast, ties, a server that dies, and going on."""

import dataclasses
import re

import pytest
from chat_server import chat_server, completion
from oracles import worth
from pool_runs import spec_of
from rich.console import Console

from duelbench.errors import OracleRaisedError
from duelbench.records.answers.journal import Journal
from duelbench.records.record import load_runs
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import notes
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.execute import execute
from duelbench.runs.judging.forecast import forecast_calls, requests_text
from duelbench.runs.policy_loop import run

TIED, FLIPPED = 0.3, 0.8
QUICK = {"pause": 0.0, "attempts": 2}


def better(number, body):
    """Likes what is worth more; of two that are about equal it names the first, and closer ones are a tie."""
    found = re.search(r"Answer A: (.*)\n\nAnswer B: (.*)\n", body["messages"][0]["content"])
    a, b = map(worth, found.groups()) if found else (1.0, 0.0)
    return 200, completion("C" if abs(a - b) < TIED else "A" if a > b - FLIPPED else "B")


def spec(server, task, **changes):
    kwargs = {"task": task, "oracle": f"judge:{server.url}#small", "oracle_kwargs": {"connection": QUICK}}
    return spec_of("online", kwargs, **{"labels": 24, **changes})


def curve(out):
    (record,) = load_runs(out)
    return record.rows


def test_a_judge_answers_a_run_within_its_forecast_and_flips_are_ties(task_file, tmp_path, capsys):
    with chat_server(better) as server:
        asked = spec(server, task_file)
        console = Console(stderr=True, width=300)
        execute([asked], tmp_path / "out", console=console)
        said = capsys.readouterr().err
    calls, row = forecast_calls(asked), curve(tmp_path / "out")[-1]
    assert f"Up to {2 * sum(calls.values())} requests to judge:{server.url}#small" in said
    assert 0 < len(server.bodies) <= 2 * sum(calls.values())
    assert row["oracle_calls_duel"] <= calls["duel"] and row["oracle_calls_judging"] <= calls["judging"]
    (record,) = load_runs(tmp_path / "out")
    journal = Journal(next((tmp_path / "out").rglob("journal.sqlite")), record.run_id)
    answers = journal.answers()
    journal.close()
    apart = [abs(worth(a.first) - worth(a.second)) for a in answers]
    undecided = [a for a, gap in zip(answers, apart, strict=True) if gap < FLIPPED]
    flips = sum(TIED <= gap < FLIPPED for gap in apart)
    ties = len(undecided) - flips
    assert flips and ties and all(a.probability == 0.5 and a.verdict == 2 for a in undecided)
    assert (row["flipped_answers"], row["tied_answers"]) == (flips, flips + ties)
    (said,) = notes(*sections(load_runs(tmp_path / "out")))
    assert f"asked about 24 duels in both orders: {flips / 24:.1%} of its verdicts turned round" in said
    assert f"{ties / 24:.1%} said tie; 0.0% could not be read" in said
    others = [a for a in answers if a not in undecided]
    assert all(a.verdict == (worth(a.first) > worth(a.second)) for a in others)


def test_a_server_that_dies_stops_the_run_and_the_same_command_goes_on(task_file, tmp_path):
    with chat_server(better) as server:
        whole = spec(server, task_file)
        run(whole, tmp_path / "whole")
        total = len(server.bodies)
        port = int(server.url.split(":")[2].split("/")[0])
    asked = []
    with chat_server(lambda k, body: better(k, body) if k < 21 else (503, b"dead"), port) as server:
        with pytest.raises(OracleRaisedError, match="the same command goes on"):
            run(spec(server, task_file), tmp_path / "broken")
        asked += server.prompts[:21]
    with chat_server(better, port) as server:
        run(spec(server, task_file), tmp_path / "broken")
        asked += server.prompts
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")
    assert total <= len(asked) <= total + 8  # of a duel that was half answered, the half is asked again


def test_how_the_judge_is_reached_makes_no_other_run(task_file):
    with chat_server(better) as server:
        one = spec(server, task_file)
    kwargs = one.env_kwargs | {"oracle_kwargs": {"connection": {"concurrency": 2, "timeout": 5}}}
    patient = dataclasses.replace(one, env_kwargs=kwargs)
    other = dataclasses.replace(one, env_kwargs=one.env_kwargs | {"oracle_kwargs": {"max_new_tokens": 4}})
    assert resolve(one).run_id == resolve(patient).run_id != resolve(other).run_id


def test_a_free_oracle_needs_no_forecast(task_file):
    assert requests_text([spec_of("online", {"task": task_file, "oracle": "reader"})]) == ""
