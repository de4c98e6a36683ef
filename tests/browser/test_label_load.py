"""Twenty people, two thousand answers, and a server that is killed ten times: nothing is lost, nothing counts twice."""

from __future__ import annotations

import http.client
import random
import threading
import time
import urllib.error
from collections import Counter
from contextlib import closing
from pathlib import Path

from labelling import Client
from serving import Served

from duelbench.records.answers.votes import Votes
from duelbench.records.record import load_runs

PEOPLE, ANSWERS, KILLS = 20, 2000, 10
_AWAY = (urllib.error.URLError, http.client.HTTPException, OSError)  # also in the middle of an answer


class Person(threading.Thread):
    """Answers until there is nothing more, whatever becomes of the server meanwhile."""

    def __init__(self, name: str, served: Served) -> None:
        super().__init__()
        self.who, self.client, self.rng = name, Client(served.base, served.token), random.Random(name)
        self.taken: dict[str, str] = {}  # by question, what the server said it has
        self.unsure: set[str] = set()  # sent before a kill, so that it may have been taken without a word
        self.over = False

    def run(self) -> None:
        while not self.over:
            try:
                question = self.client.next(self.who, wait=5)
            except _AWAY:
                time.sleep(0.05)
                continue
            self.over = question["state"] == "done"
            if question["id"]:
                self.say(question["id"], self.rng.choice(["first", "second", "tie", "both_bad"]))

    def say(self, name: str, verdict: str) -> None:
        while True:
            try:
                code, said = self.client.answer(name, self.who, verdict, seconds=1.0)
            except _AWAY:
                self.unsure.add(name)
                time.sleep(0.05)
                continue
            assert code == 200 or (code == 409 and name in self.unsure), (code, said)
            self.taken[name] = verdict
            return


def test_nothing_is_lost_or_doubled_under_load(task_file: str, tmp_path: Path) -> None:
    options = ["--task", task_file, "--env", "LLMDuelPool-v0", "--agent", "online", "--labels", str(ANSWERS)]
    served = Served(tmp_path / "out", *options, "--batch", "50", "--ahead", "50")
    served.start()
    people = [Person(f"person {number}", served) for number in range(PEOPLE)]
    for person in people:
        person.client.base = served.base
        person.who = person.who.replace(" ", "-")
        person.start()
    rng = random.Random(1)
    for kill in range(1, KILLS + 1):
        while sum(len(person.taken) for person in people) < kill * ANSWERS / (KILLS + 2):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
        served.kill()
        served.start()
    for person in people:
        person.join(300)
        assert not person.is_alive()
    assert served.end() == 0

    (run,) = (served.out / "runs").iterdir()
    with closing(Votes(run / "journal.sqlite", run.name.rpartition("-")[2])) as journal:
        answers, votes = journal.answers(), journal.votes()
    assert len(answers) == ANSWERS
    said = {vote.shown.id: vote for vote in votes}
    assert len(said) == len(votes) == ANSWERS  # no question was answered twice
    assert max(Counter(vote.shown.number for vote in votes).values()) == 1
    told = {name: (person.who, verdict) for person in people for name, verdict in person.taken.items()}
    assert told.keys() == said.keys()  # whatever the server took is there, and nothing else is
    for name, (who, verdict) in told.items():
        vote = said[name]
        seen = {"first": "second", "second": "first"}.get(vote.said, vote.said) if vote.shown.swapped else vote.said
        assert (vote.shown.annotator, seen) == (who, verdict)
    (record,) = load_runs(served.out)
    assert record.finished and record.rows[-1]["labels"] == ANSWERS
