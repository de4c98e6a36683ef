"""Ask and tell, votes that outlive the process, sources of answers, and the command."""

import contextlib
import json
import re
import shlex
import threading
from pathlib import Path

import numpy as np
import pytest
from chat_server import chat_server, completion
from labelling import Client, free_port, reachable
from scipy.special import expit

from duelbench.cli.main import main
from duelbench.errors import UsageError
from duelbench.label.web import serving
from duelbench.oracles import make_oracle
from duelbench.rank import sources
from duelbench.rank.contest import Contest, read_contest
from duelbench.rank.ranking import Ranking
from duelbench.rank.report import summary

NUMBERS = tuple(str(k) for k in range(5))


def contest(names=NUMBERS):
    return Contest(tuple(names), ("",), {(0, k): n for k, n in enumerate(names)})


def answer(ranking, rng, n=1):
    for question in ranking.ask(n):
        chance = expit(1.5 * (float(question.first) - float(question.second)))
        ranking.tell(question.id, "first" if rng.random() < chance else "second")


def exit_code(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.mark.parametrize("by", ["information", "random", "double_ts"])
def test_it_finds_the_best_and_stops(by, tmp_path):
    ranking, rng = Ranking(contest(), tmp_path, by=by), np.random.default_rng(0)
    while not ranking.settled:
        assert ranking.answered < 1000
        answer(ranking, rng)
    assert [NUMBERS[k] for k in ranking.best] == ["4"] and ranking.remaining() == 0
    found = summary(ranking)
    assert found["settled"] and found["items"][0]["item"] == "4" and found["votes"] == ranking.answered
    ranking.close()


@pytest.mark.parametrize(("until", "names"), [("top2", NUMBERS), ("order", NUMBERS[::2])])
def test_other_goals_are_reached(until, names, tmp_path):
    ranking, rng = Ranking(contest(names), tmp_path, until=until), np.random.default_rng(1)
    assert ranking.remaining() > 0
    while not ranking.settled:
        assert ranking.answered < 1000
        answer(ranking, rng)
    assert {*ranking.order[:2]} == {len(names) - 1, len(names) - 2}
    ranking.close()


def test_a_ranking_that_was_killed_goes_on_with_all_it_had(tmp_path):
    whole, rng = Ranking(contest(), tmp_path), np.random.default_rng(0)
    for _ in range(30):
        answer(whole, rng)
    open_one, other = whole.ask(2)
    whole.tell(other.id, "skip", annotator="ann", seconds=2.5)
    again = Ranking(contest(), tmp_path)  # nothing was closed
    assert again.answered == 30 and again.evidence.wealth.tolist() == whole.evidence.wealth.tolist()
    np.testing.assert_allclose(again.strengths.mean, whole.strengths.mean, atol=1e-4)
    assert again.votes[-1].said == "skip" and again.votes[-1].seconds == 2.5
    assert again.ask(1) == [open_one]  # what was asked and not answered comes first
    whole.close()
    again.close()


def test_an_answer_is_taken_once_and_only_to_what_was_asked(tmp_path):
    ranking = Ranking(contest(), tmp_path)
    (question,) = ranking.ask()
    ranking.tell(question.id, "both_bad")
    for id, said in ((question.id, "first"), ("99", "first"), ("x", "first")):
        with pytest.raises(UsageError, match="waits for an answer"):
            ranking.tell(id, said)
    (question,) = ranking.ask()
    with pytest.raises(UsageError, match="a verdict is one of"):
        ranking.tell(question.id, "left")
    assert ranking.answered == 1
    ranking.close()


def test_votes_on_other_items_are_refused(tmp_path):
    Ranking(contest(), tmp_path).close()
    with pytest.raises(UsageError, match="other items"):
        Ranking(contest(NUMBERS[:4]), tmp_path)


def test_sides_are_drawn_by_a_fair_coin(tmp_path):
    ranking = Ranking(contest(("a", "b")), tmp_path, by="random")
    firsts = [question.first for question in ranking.ask(100)]
    assert 30 <= firsts.count("a") <= 70
    ranking.close()


def test_two_identical_texts_never_meet_and_a_judge_is_never_asked_the_same_again(tmp_path):
    texts = {(0, 0): "x", (0, 1): "x", (0, 2): "y", (1, 0): "p", (1, 2): "q"}
    ranking = Ranking(Contest(("a", "b", "c"), ("one", "two"), texts), tmp_path, by="random", repeats=False)
    asked = sorted((q.prompt, *sorted((q.first, q.second))) for q in ranking.ask(100))
    assert asked == [("one", "x", "y"), ("one", "x", "y"), ("two", "p", "q")]  # a and b each meet c once
    assert ranking.ask() == []
    ranking.close()


def longer(number, body):
    found = re.search(r"Answer A: (.*)\n\nAnswer B: (.*)\n", body["messages"][0]["content"])
    a, b = found.groups() if found else ("aa", "a")
    return 200, completion("A" if len(a) >= len(b) else "B")


def test_a_judge_over_http_ranks_models_and_a_dead_one_stops_it_with_all_votes_kept(tmp_path):
    path, out = tmp_path / "models.jsonl", tmp_path / "out"
    sizes = {"s": 2, "m": 4, "l": 6}
    rows = [{"prompt": f"p{k}", "responses": {m: f"{k} " + "x" * n for m, n in sizes.items()}} for k in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = json.dumps({"connection": {"pause": 0, "attempts": 2, "concurrency": 2}})

    def command(url):
        return exit_code("rank", path, "--judge", f"judge:{url}#m", "--judge-options", options, "--out", out)

    with chat_server(lambda k, body: longer(k, body) if k < 8 else (503, b"")) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        assert command(server.url) == 1
        first = server.prompts[:8]
    kept = Ranking(read_contest(path), out)
    assert kept.answered == 4
    kept.close()
    with chat_server(longer, port) as server:
        assert command(server.url) == 0
        again = server.prompts
    assert len({*first, *again}) == len(first) + len(again)  # nothing was asked twice
    found = json.loads((out / "ranking.json").read_text())
    assert found["settled"] and found["items"][0]["item"] == "l" and "<svg" in (out / "ranking.html").read_text()


def test_an_oracle_that_only_fails_stops_it_and_makes_no_vote_up(tmp_path):
    def fails(prompt, text):
        raise RuntimeError("no")

    ranking = Ranking(contest(), tmp_path)
    with pytest.raises(sources.DownError, match="no vote was made up"):
        sources.play(ranking, make_oracle(fails), votes=100)
    assert ranking.answered == 0 and not ranking.votes
    ranking.close()


def test_a_function_ranks_a_table_and_goes_on_where_it_was_stopped(tmp_path):
    def worth(prompt, text):
        return 2 * float(text)

    for votes in (16, 400):
        ranking = Ranking(contest(), tmp_path)
        sources.play(ranking, make_oracle(worth), votes=votes)
        assert ranking.answered <= votes
        ranking.close()
    assert ranking.settled and ranking.order[0] == 4


def test_old_votes_are_replayed_once(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "votes.csv"
    lines = ["model_a,model_b,winner"]
    for _ in range(200):
        a, b = rng.choice(3, 2, replace=False)
        lines.append(f"m{a},m{b}," + ("tie" if rng.random() < 0.1 else "model_a" if a > b else "model_b"))
    path.write_text("\n".join(lines))
    assert [exit_code("rank", path, "--out", tmp_path / "out") for _ in range(2)] == [0, 0]
    found = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert found["votes"] == 200 and found["settled"]
    assert [row["item"] for row in found["items"]] == ["m2", "m1", "m0"]


def test_nobody_to_answer_is_said_before_anything_else(tmp_path, capsys):
    (tmp_path / "items.csv").write_text("text\none\ntwo\n")
    assert exit_code("rank", tmp_path / "items.csv", "--out", tmp_path / "out") == 2
    assert (
        "say with --judge who answers" in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "out").exists()
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "text\none\n", "at least two items"),
        ("a.csv", "id,text\nx,1\nx,2\n", "two items are called 'x'"),
        ("a.csv", "", "has a header and no rows"),
        ("a.csv", "a,b\n1\n", "another number of cells"),
        ("v.csv", "first,second,verdict\nx,y,maybe\n", "v.csv:2: expected two different items"),
        ("v.csv", "first,second,verdict\nx,x,tie\n", "v.csv:2: expected two different items"),
        ("m.jsonl", '{"prompt": "p", "model": "a"}\n', "m.jsonl:1: expected"),
        ("m.jsonl", '{"prompt": "p", "responses": {"a": "1", "b": 2}}\n', "m.jsonl:1: expected"),
        ("m.jsonl", '{"prompt":"p","responses":{"a":"1"}}\n{"prompt":"p","responses":{"a":"2"}}\n', "two answers"),
    ],
)
def test_files_that_cannot_be_ranked_are_named(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        read_contest(tmp_path / name)


def test_columns_and_names_of_a_table(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("id,title,body\nx,T,B\ny,U,C\n")
    assert read_contest(path).texts == {(0, 0): "title: T\nbody: B", (0, 1): "title: U\nbody: C"}
    assert read_contest(path, columns=["body"]).texts == {(0, 0): "B", (0, 1): "C"}
    with pytest.raises(UsageError, match="no column 'nope'"):
        read_contest(path, columns=["nope"])


@contextlib.contextmanager
def somebody(monkeypatch):
    """A person who prefers the longer text on a page that is served meanwhile; gives the options of the page."""
    for name in ("GRACE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(serving, name, 0.0)
    token, port = Path("results/people/label-token"), free_port()
    client = Client(f"http://127.0.0.1:{port}")

    def answer():
        with contextlib.suppress(OSError):  # the server has ended
            while (question := client.next("ann"))["id"]:
                verdict = "first" if len(question["first"]) > len(question["second"]) else "second"
                assert client.answer(question["id"], "ann", verdict)[0] == 200

    client.token = serving.token_of(token.parent)
    person = threading.Thread(target=lambda: (reachable(port), answer()))
    person.start()
    yield ["--port", port]
    person.join()


@pytest.mark.parametrize("page", ["rank.md", "judge.md"])
def test_the_examples_of_the_pages_run(page, tmp_path, monkeypatch):
    """Every file that a page shows is written, every program and command runs, against a server on this machine."""
    with chat_server(longer) as server:
        text = (Path(__file__).parents[3] / "docs" / page).read_text("utf-8")
        text = text.replace("http://localhost:8000/v1", server.url)
        monkeypatch.chdir(tmp_path)
        for file, content in re.findall(r"`([\w.]+\.(?:py|csv|jsonl))`:\n\n```\w*\n(.*?)```", text, re.S):
            Path(file).write_text(content)
        ran = 0
        for kind, block in re.findall(r"```(python|bash)\n(.*?)```", text, re.S):
            if kind == "python" and f":\n\n```python\n{block}" not in text:
                exec(compile(block, page, "exec"), {})
                ran += 1
            for line in re.findall(r"^duelbench .*$", block.replace("\\\n", " "), re.M) if kind == "bash" else ():
                with somebody(monkeypatch) if "--judge people" in line else contextlib.nullcontext([]) as more:
                    assert exit_code(*shlex.split(line)[1:], *more) == 0, line
                ran += 1
        assert ran
