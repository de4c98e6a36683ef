"""A judge over HTTP, against a real server on this machine that misbehaves in every way."""

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from chat_server import chat_server, completion

from duelbench.errors import OracleRaisedError, UnansweredError
from duelbench.oracles import make_oracle
from duelbench.oracles.chat_judge import ChatJudge
from duelbench.oracles.checks import OracleError
from duelbench.oracles.question import read_verdict
from duelbench.protocols import Oracle
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import JournaledDuels, journaled
from duelbench.types import Verdict

PROMPTS, FIRSTS, SECONDS = ["p"] * 3, ["long answer", "no", "same"], ["yes", "longer still", "size"]
QUICK = {"pause": 0.0, "attempts": 2}


def judge(server, **options):
    return make_oracle(f"judge:{server.url}#small", **{"connection": QUICK, **options})


def answers_of(body):
    text = body["messages"][0]["content"]
    found = re.search(r"Answer A: (.*)\n\nAnswer B: (.*)\n", text)
    return found.groups() if found else ("aa", "a")  # the probe


def longer(number, body):
    """A judge that likes the longer answer, and A where both are as long."""
    a, b = answers_of(body)
    return 200, completion("A" if len(a) >= len(b) else "B")


def test_both_orders_are_asked_and_a_verdict_that_turns_with_them_is_a_tie():
    with chat_server(longer) as server:
        oracle = judge(server)
        assert isinstance(oracle, Oracle) and oracle.gives_verdicts
        assert oracle.preference(PROMPTS, FIRSTS, SECONDS).tolist() == [1.0, 0.0, 0.5]
    shown = {answers_of(body) for body in server.bodies}
    assert shown == {*zip(FIRSTS, SECONDS, strict=True), *zip(SECONDS, FIRSTS, strict=True)} and len(shown) == 6
    counts = oracle.counts
    assert (counts.asked, counts.flipped, counts.unreadable, counts.requests) == (3, 1, 0, 6)
    assert counts.chose_first == 4 and counts.replies == 6


def test_no_question_is_asked_twice_in_a_call():
    with chat_server(longer) as server:
        found = judge(server).preference(["p"] * 3, ["aa", "b", "aa"], ["b", "aa", "b"])
    assert found.tolist() == [1.0, 0.0, 1.0] and len(server.bodies) == 2


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A", 1.0),
        (" b.\n", 0.0),
        ("**A**", 1.0),
        ("Answer: B", 0.0),
        ("Answer B", 0.0),
        ("The better answer is A.", 1.0),
        ("Better answer: A", 1.0),
        ("A: it is shorter", 1.0),
        ("B\n\nBecause A rambles.", 0.0),
        ("Response B is better because it is polite.", 0.0),
        ("A is better, and B is rude.", 1.0),
        ("I weigh [[A]] against [[B]].\n[[B]]", 0.0),
        ("[[C]]", 0.5),
        ("tie", 0.5),
        ("C", 0.5),
        ("<think>Is it A? Answer A? No: B.</think>\n\nB", 0.0),
        ("<think>Is it A? Answer: A", None),
        ("A good question!", None),
        ("A or B?", None),
        ("Answer A and answer B are alike.", None),
        ("Both answer A and B have merits", None),
        ("Neither.", None),
        ("", None),
        ("7", None),
        ("D", None),
    ],
)
def test_what_a_reply_says(reply, verdict):
    assert read_verdict(reply) == verdict


def test_a_reply_that_names_nothing_is_no_verdict():
    with chat_server(
        lambda k, body: (200, completion("hm")) if "no" in answers_of(body) else longer(k, body)
    ) as server:
        oracle = judge(server)
        found = oracle.preference(PROMPTS, FIRSTS, SECONDS)
    assert np.isnan(found[1]) and found[[0, 2]].tolist() == [1.0, 0.5]
    assert oracle.counts.unreadable == 1 and oracle.counts.asked == 3


@pytest.mark.parametrize(
    "failure",
    [(400, b"too long"), (403, b"flagged"), (500, b"crash"), (200, b'{"error": {}}'), (200, b"{cut"), None],
    ids=str,
)
@pytest.mark.parametrize("alone", [False, True])
def test_a_question_that_the_endpoint_cannot_answer_has_no_verdict_as_long_as_it_answers_others(failure, alone, caplog):
    with chat_server(lambda k, body: failure if "no" in answers_of(body) else longer(k, body)) as server:
        oracle = judge(server)
        some = slice(1, 2) if alone else slice(None)
        found = oracle.preference(PROMPTS[some], FIRSTS[some], SECONDS[some])
    assert np.isnan(found[0 if alone else 1]) and np.isnan(found).sum() == 1
    assert oracle.counts.refused == 1 and oracle.counts.unreadable == 0
    assert "no reply to 2 of" in caplog.text


@pytest.mark.parametrize("failure", [(401, b"bad key"), (429, b"busy"), (500, b"oops"), (200, b"[]"), None], ids=str)
def test_an_endpoint_that_answers_nobody_raises_and_makes_nothing_up(failure):
    with chat_server(lambda k, body: failure) as server:
        oracle = judge(server)
        with pytest.raises(UnansweredError) as raised:
            oracle.preference(PROMPTS, FIRSTS, SECONDS)
    assert raised.value.answered == frozenset() and server.url in str(raised.value)
    assert oracle.counts.asked == 0


def test_an_endpoint_that_dies_on_the_way_loses_no_answer_and_asks_none_twice(tmp_path):
    """Through the journal: killed after 5 requests, one whole duel is durable; afterwards the rest is asked, once."""
    alive = threading.Event()
    alive.set()

    def mortal(number, body):
        if number >= 5:
            alive.clear()
        return longer(number, body) if alive.is_set() else (503, b"dead")

    duels = list(zip(PROMPTS, FIRSTS, SECONDS, strict=True))
    with chat_server(mortal) as server:
        oracle = judge(server, connection=QUICK | {"concurrency": 1})
        oracle.portion = 3
        store = JournaledDuels(Journal(tmp_path / "j.sqlite", "run"), 3)
        wrapped = journaled(oracle, store.journal)

        def ask(places):
            columns = zip(*(duels[place] for place in places), strict=True)
            p = wrapped.preference(*map(list, columns))
            return p, np.array([Verdict.TIE if q == 0.5 else Verdict(int(q)) for q in p], np.int8)

        with pytest.raises(OracleRaisedError, match="The 1 questions of that call have no answer"):
            store.answers(range(3), duels, ask)
        assert len(store.journal) == 2
        before = len(server.bodies)
        answered = {answers_of(body) for body in server.bodies[:5]}
        alive.set()
        with pytest.raises(OracleRaisedError):  # still dead: number >= 5
            store.answers(range(3), duels, ask)
        assert {answers_of(body) for body in server.bodies[before:]} - {("aa", "a")} == {("size", "same")}
    assert len(answered) == 5
    with chat_server(longer) as server:
        oracle.chat.url = server.url + "/chat/completions"  # it is back
        p, verdicts = store.answers(range(3), duels, ask)
    assert p.tolist() == [1.0, 0.0, 0.5] and verdicts.tolist() == [1, 0, int(Verdict.TIE)]
    assert len(server.bodies) == 1  # the half of the third duel that was missing
    store.journal.close()


def test_judging_keeps_what_came_before_it_died(tmp_path):
    with chat_server(lambda k, body: longer(k, body) if k < 4 else (503, b"dead")) as server:
        oracle = judge(server, connection=QUICK | {"concurrency": 1})
        oracle.portion = 3
        journal = Journal(tmp_path / "j.sqlite", "run")
        wrapped = journaled(oracle, journal)
        with wrapped.judging(), pytest.raises(OracleRaisedError):
            wrapped.preference(PROMPTS, FIRSTS, SECONDS)
    assert [question.value for question in journal.questions("oracle")] == [1.0, 0.0]
    journal.close()


def test_tokens_are_counted_and_the_counts_survive():
    reply = {"choices": [{"message": {"content": "A"}}], "usage": {"prompt_tokens": 50, "completion_tokens": 2}}
    with chat_server(lambda k, body: (200, json.dumps(reply).encode())) as server:
        oracle = judge(server)
        oracle.preference(["p"], ["a"], ["b"])
        other = judge(server)
    assert (oracle.counts.read, oracle.counts.written) == (100, 4)
    other.load_state_dict(oracle.state_dict())
    assert other.counts == oracle.counts


def test_a_sampled_question_always_has_the_same_seed():
    with chat_server(longer) as server:
        for _ in range(2):
            judge(server, temperature=1.0).preference(["p"], ["aa"], ["b"])
    seeds = {answers_of(body): set() for body in server.bodies}
    for body in server.bodies:
        seeds[answers_of(body)].add(body["seed"])
    assert [len(found) for found in seeds.values()] == [1, 1] and len(set(map(frozenset, seeds.values()))) == 2


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("judge:http://localhost:8000/v1", {}, "expected judge:URL#MODEL"),
        ("judge:http://localhost:8000/v1#m", {"template": "{prompt} {a}"}, "lacks {b}"),
        ("judge:http://localhost:8000/v1#m", {"connection": {"speed": 9}}, "unexpected keyword argument 'speed'"),
        ("judge:http://localhost:8000/v1#m", {"connection": {"timeout": -1}}, "must be positive"),
        ("judge:http://localhost:8000/v1#m", {"speed": 9}, "cannot be made with the arguments"),
        ("judge:http://#m", {}, "expected an endpoint such as"),
    ],
)
def test_mistakes_are_named_before_anything_is_asked(target, options, said):
    with pytest.raises(OracleError, match=re.escape(said)):
        make_oracle(target, **options)


def test_texts_that_hold_a_field_stay_as_they_are():
    with chat_server(longer) as server:
        assert ChatJudge(f"{server.url}#m").preference(["{a}"], ["{b} {b}"], ["x"]).tolist() == [1.0]
    assert any("Request: {a}\n\nAnswer A: {b} {b}" in prompt for prompt in server.prompts)


def test_the_module_takes_no_torch():
    """A judge over HTTP is of use where no language model runs."""
    source = Path(__file__).parents[3] / "duelbench/oracles/chat_judge.py"
    assert "torch" not in source.read_text()


def test_a_conversation_is_told_turn_by_turn():
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    with chat_server(longer) as server:
        judge(server).preference([json.dumps(turns)], ["aa"], ["b"])
    assert "Request: System: Be brief.\n\nUser: Why?" in server.prompts[0]
