"""The JSON form of the page, over a real connection: a run by a program, and everything that is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelling import Client, served
from pool_runs import spec_of

from duelbench.label.session import Session
from duelbench.label.web.markdown import rendered

SETTLED = f"{Path(__file__).parents[3] / 'helpers' / 'settled_agent.py'}:Settled"


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


@pytest.fixture
def client(task: dict[str, Any], tmp_path: Path) -> Iterator[Client]:
    spec = spec_of("online", task, labels=24, batch=6)
    with served(lambda: Session(spec, out=tmp_path), guidelines="Prefer the **longer**.") as (client, _):
        yield client


def worth(text: str) -> float:
    return float(text.rpartition(" ")[2])


def test_a_program_labels_a_run(client: Client) -> None:
    asked = []
    while (question := client.next("robot"))["id"]:
        assert set(question) == {"id", "prompt", "first", "second", "asked", "budget", "state"}
        asked.append(question["asked"])
        verdict = "first" if worth(question["first"]) > worth(question["second"]) else "second"
        assert client.answer(question["id"], "robot", verdict, seconds=1.5)[0] == 200
    assert asked == list(range(24))
    ending = "All questions are answered."
    assert question == {"id": None, "asked": 24, "budget": 24, "state": "done", "ending": ending}
    _, status = client.send("/api/status")
    assert status["state"] == "done" and status["answered"] == 24
    assert status["annotators"]["robot"]["median_seconds"] == 1.5
    code, lines = client.send("/api/export.jsonl")
    rows = [json.loads(line) for line in lines.splitlines()]
    assert code == 200 and len(rows) == 24
    for row in rows:
        assert list(row) == ["prompt", "chosen", "rejected"]
        assert worth(row["chosen"][0]["content"]) > worth(row["rejected"][0]["content"])


def test_nobody_answers_without_the_token(client: Client) -> None:
    for path in ("/api/next?annotator=a", "/api/status", "/api/export.jsonl", "/api/about"):
        for token in ("", "wrong", client.token + "x", "tökén"):
            code, said = client.send(path, headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")})
            assert code == 401 and "token" in said["error"]
    for path in ("/api/answer", "/api/undo"):
        assert client.send(path, {}, headers={"Authorization": ""})[0] == 401
    for path in ("/", "/page.js", "/page.css"):  # say nothing of the run
        code, text = client.send(path, headers={"Authorization": ""})
        assert code == 200 and "prompt 1" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_are_refused(client: Client, headers: dict[str, str]) -> None:
    duel = client.next("a")["id"]
    body = {"id": duel, "annotator": "a", "verdict": "first"}
    assert client.send("/api/answer", body, headers=headers)[0] == 403
    assert client.send("/api/status", headers=headers)[0] == 403
    assert client.send("/api/answer", body, headers={"Origin": client.base})[0] == 200


def test_bad_input_is_said_in_a_sentence(client: Client) -> None:
    duel = client.next("a")["id"]
    good = {"id": duel, "annotator": "a", "verdict": "first"}
    wrong: list[tuple[int, Any, str]] = [
        (422, good | {"verdict": "left"}, "verdict must be one of"),
        (422, good | {"verdict": 1}, "verdict must be a text"),
        (422, good | {"seconds": "3"}, "seconds must be a number"),
        (422, good | {"seconds": True}, "seconds must be a number"),
        (422, good | {"seconds": -1}, "seconds must be a number from 0"),
        (422, good | {"annotator": " "}, "annotator must be a name"),
        (422, good | {"annotator": "a\nb"}, "annotator must be a name"),
        (422, good | {"annotator": "a" * 101}, "annotator must be a name"),
        (422, good | {"model": "x"}, "unknown field 'model'"),
        (422, {"id": duel}, "annotator must be a text"),
        (422, [good], "expected a JSON object"),
        (404, good | {"id": "ffff"}, "no duel 'ffff' was shown"),
        (404, good | {"annotator": "b"}, "was shown to 'b'"),
    ]
    for code, body, words in wrong:
        got, said = client.send("/api/answer", body)
        assert (got, list(said)) == (code, ["error"]) and words in said["error"] and "\n" not in said["error"], body
    json_type = {"Content-Type": "application/json"}
    for code, data, headers in (
        (400, b"{", json_type),
        (400, b'{"id": NaN}', json_type),
        (400, b"\xff\xfe", json_type),
        (415, json.dumps(good).encode(), {"Content-Type": "text/plain"}),
        (413, b'{"id": "' + b"x" * 5000 + b'"}', json_type),
    ):
        assert client.send("/api/answer", data=data, headers=headers)[0] == code
    for query in ("", "annotator=", "annotator=a&wait=x", "annotator=a&wait=nan", "annotator=a&wait=1e9"):
        assert client.send(f"/api/next?{query}")[0] == 422
    assert client.send("/api/answer", headers={"X": "y"})[0] == 405 and client.send("/nothing")[0] == 404
    assert client.answer(duel, "a")[0] == 200  # and none of it was an answer
    assert client.send("/api/status")[1]["answered"] == 1


def test_two_tabs_never_answer_one_question_twice(client: Client) -> None:
    first, second = client.next("a"), client.next("a")
    assert first == second  # both tabs show the same
    assert client.answer(first["id"], "a")[0] == 200
    code, said = client.answer(second["id"], "a", "second")
    assert code == 409 and "answered already" in said["error"]
    assert client.send("/api/status")[1]["answered"] == 1


def test_undo_and_skip(client: Client) -> None:
    question = client.next("a")
    assert client.send("/api/undo", {"annotator": "a"})[0] == 409
    client.answer(question["id"], "a", "both_bad")
    code, back = client.send("/api/undo", {"annotator": "a"})
    assert code == 200 and back["id"] == question["id"] and back["asked"] == 0
    client.answer(question["id"], "a", "skip")
    other = client.next("a")
    assert other["prompt"] != question["prompt"] or other["id"] != question["id"]
    seen = client.next("b")
    assert (seen["prompt"], {seen["first"], seen["second"]}) == (
        question["prompt"],
        {question["first"], question["second"]},
    )  # what one person skips goes to another


def test_the_very_last_answer_can_be_taken_back(task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of("online", task, labels=8, batch=4)
    with served(lambda: Session(spec, out=tmp_path), grace=3600.0) as (client, session):
        while (question := client.next("a"))["id"]:
            last = question["id"]
            client.answer(last, "a")
        assert question["state"] == "done"
        for verdict in ("second", "tie"):
            code, back = client.send("/api/undo", {"annotator": "a"})
            assert (code, back["id"], back["asked"]) == (200, last, 7)
            assert client.next("a")["id"] == last
            client.answer(last, "a", verdict)
            assert client.next("a")["state"] == "done"
        assert session.complete and not session.finished
    with Session(spec, out=tmp_path) as session:  # stopped in that time, it ends when it is opened again
        assert session.ask() == [] and session.finished
        assert [vote.said for vote in session.desk.said()][-1] == "tie"
    with served(lambda: Session(spec, out=tmp_path)) as (client, _):
        assert client.send("/api/undo", {"annotator": "a"})[0] == 409


def test_a_run_that_ends_before_its_budget_says_so(task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(SETTLED, task, labels=24, batch=6)
    with served(lambda: Session(spec, out=tmp_path)) as (client, session):
        while (question := client.next("a"))["id"]:
            client.answer(question["id"], "a")
        early = "The run ended early, with 12 of 24 answers: it found no more pairs to ask about."
        assert question == {"id": None, "asked": 12, "budget": 24, "state": "done", "ending": early}
    with Session(spec, out=tmp_path) as session:  # opened again, it knows
        assert session.finished and session.ending == early


def test_nothing_tells_who_wrote_what(client: Client) -> None:
    """No name of an agent, a model or a score travels to the page."""
    for path in ("/api/next?annotator=a&wait=20&html", "/api/about", "/", "/page.js"):
        text = json.dumps(client.send(path)[1]).replace("localStorage", "").lower()
        assert not {word for word in ("online", "llmduel", "tiny", "swapped", "probability") if word in text}
    assert client.send("/api/next?annotator=a&wait=20&html")[1]["html"]["first"].startswith("<p>")


def test_what_a_model_wrote_cannot_run_load_or_lead_astray() -> None:
    text = (
        "# Title\n<script>alert(1)</script><img src=x onerror=alert(1)>\n\n![i](http://a.b/c.png) "
        "[l](javascript:alert(1)) <http://a.b> &lt;b&gt;\n\n<iframe src='http://a.b'></iframe>\n\n[r]: http://a.b\n[r]\n\n```\n</code><b>\n```"
    )
    shown = rendered(text)
    assert "<h1>Title</h1>" in shown
    for tag in ("<script", "<img", "<a", "<iframe", "<b>", "href", "src="):
        assert tag not in shown.replace("&lt;img src=x", "").replace("&lt;iframe src=", ""), tag
