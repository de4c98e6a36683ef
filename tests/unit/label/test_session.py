"""A session: the run loop's labels and records, whoever answers, in whatever order, over kills and changes of mind."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answering import Respondent
from journals import journal_of
from pool_runs import FAST, spec_of

from duelbench.agents.alignment.online import Online
from duelbench.envs.text.tasks.load import load_task
from duelbench.errors import UsageError
from duelbench.label.asking.duel import AnsweredError, UnknownDuelError
from duelbench.label.session import Session
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.judging.forecast import forecast_calls
from duelbench.runs.policy_loop import run
from duelbench.runs.recording.lock import RunBusyError
from duelbench.types import Verdict

SCOUT = f"{Path(__file__).parents[2] / 'integration' / 'my_agent.py'}:Scout"
RECORDS = ("metrics.jsonl", "samples.json")


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def labels(folder: Path) -> list[tuple[Any, ...]]:
    journal = journal_of(folder)
    found = [(a.duel, a.prompt, a.first, a.second, a.verdict) for a in journal.answers()]
    journal.close()
    return found


def play(session: Session, respondent: Respondent, n: int = 5) -> None:
    while duels := session.ask(n):
        for duel in duels:
            respondent.answer(session, duel.id)


@pytest.mark.parametrize("agent", ["uniform", "online", "sea", "xpo", SCOUT, "offline"])
def test_a_session_and_the_run_loop_leave_the_same_labels_and_records(
    agent: str, task: dict[str, Any], tmp_path: Path
) -> None:
    options = {"agent_options": FAST | {"real_share": 0.6, "burn_in": 0.1}} if agent == "sea" else {}
    spec = resolve(spec_of(agent, task, labels=44, batch=8, **options))
    whole = run(spec, tmp_path / "run")
    with Session(spec, out=tmp_path / "session") as session:
        play(session, Respondent(spec))
        assert session.finished and session.ask() == []
    folder = session.folder.path
    assert labels(folder) == labels(whole)
    for name in [*RECORDS, *(["calibration.json"] if agent == "sea" else [])]:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_answers_in_any_order_from_several_people_make_the_same_run(task: dict[str, Any], tmp_path: Path) -> None:
    spec = resolve(spec_of("online", task, labels=40, batch=8))
    whole = run(spec, tmp_path / "run")
    rng, respondent = random.Random(3), Respondent(spec)
    with Session(spec, out=tmp_path / "session") as session:
        while not session.finished:
            duels = [(duel, who) for who in "abc" for duel in session.ask(rng.randint(1, 4), annotator=who)]
            rng.shuffle(duels)
            for duel, who in duels[: rng.randint(1, len(duels))] if duels else []:
                respondent.answer(session, duel.id, who)
    assert labels(session.folder.path) == labels(whole)
    assert (session.folder.path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("agent", ["online", SCOUT])
def test_a_session_killed_after_any_answer_goes_on_and_ends_the_same(
    agent: str, task: dict[str, Any], tmp_path: Path
) -> None:
    """A closed session has written nothing that a killed one would not have: it is left where it stands."""
    spec = resolve(spec_of(agent, task, labels=40, batch=8))
    whole = run(spec, tmp_path / "run")
    rng, respondent, told = random.Random(5), Respondent(spec), 0
    before: list[str] = []
    for _ in range(200):
        session = Session(spec, out=tmp_path / "session")
        duels = session.ask(3)
        assert [duel.id for duel in duels][: len(before)] == before  # what lay before somebody lies there still
        for duel in duels[: rng.randint(0, 3)]:
            respondent.answer(session, duel.id)
            told += 1
        before = [duel.id for duel in duels if duel.id in session.desk._ledger.before["me"]]
        finished = session.finished
        session.close()
        if finished:
            break
    assert finished and told == 40
    assert labels(session.folder.path) == labels(whole)
    assert (session.folder.path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.mark.parametrize("place", ["save", "propose", "learn", "ask", "_write", "finish", "evaluate"])
def test_a_session_killed_within_a_step_goes_on_and_ends_the_same(
    place: str, task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = resolve(spec_of("sea", task, labels=40, batch=8, judging=Judging(every=16), agent_options=FAST))
    whole = run(spec, tmp_path / "run")
    rng, respondent = random.Random(place), Respondent(spec)
    from duelbench.runs.policy_game.game import Game

    method = getattr(Game, place)

    def deadly(self: Any, *args: Any, **kwargs: Any) -> Any:
        when = rng.random()
        if when < 0.3:
            raise Killed
        result = method(self, *args, **kwargs)
        if when < 0.5:
            raise Killed
        return result

    monkeypatch.setattr(Game, place, deadly)
    kills, finished = 0, False
    while not finished:
        session = Session(spec, out=tmp_path / "session")
        try:
            play(session, respondent, 3)
            finished = session.finished
        except Killed:
            kills += 1
        session.close()
    assert kills or place == "finish"
    assert labels(session.folder.path) == labels(whole)
    assert (session.folder.path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], list[float]]]:
    told: list[tuple[list[str], list[float]]] = []
    update = Online.update

    def listening(self: Any, observation: Any, pair: Any, feedback: Any) -> Any:
        told.append((list(observation["prompt"]), feedback.tolist()))
        return update(self, observation, pair, feedback)

    monkeypatch.setattr(Online, "update", listening)
    return told


@pytest.mark.parametrize("ahead", [3, 8, 20])
def test_the_agent_goes_on_when_enough_has_come_and_learns_from_each_answer_once(
    ahead: int, task: dict[str, Any], tmp_path: Path, learned: list[Any]
) -> None:
    spec = spec_of("online", task, labels=40, batch=8)
    rng, most = random.Random(1), 0
    session = Session(spec, out=tmp_path, ahead=ahead)
    respondent = Respondent(session.spec)
    while not session.finished:
        session.go_on()
        most = max(most, session.desk.outstanding)
        duels = session.ask(99)
        rng.shuffle(duels)
        for duel in duels[: rng.randint(1, 6)]:
            respondent.answer(session, duel.id)
        session.close()  # what waits is in the checkpoint, or in the journal
        session = Session(spec, out=tmp_path, ahead=ahead)
    session.close()
    given = [value for _, values in learned for value in values if value == value]
    assert len(given) == 40 and most > 8
    assert len(labels(session.folder.path)) == 40
    assert sum(given) == sum(Verdict(v).reward for *_, v in labels(session.folder.path))
    assert load_runs(tmp_path)[0].rows[-1]["labels"] == 40


def test_what_nobody_answers_goes_to_another_and_the_first_answer_counts(task: dict[str, Any], tmp_path: Path) -> None:
    now = [0.0]
    spec = spec_of("online", task, labels=16, batch=8)
    with Session(spec, out=tmp_path, lease=60, clock=lambda: now[0]) as session:
        lying = session.ask(8, annotator="away")
        assert session.ask(1, annotator="here") == []
        now[0] = 61
        taken = session.ask(8, annotator="here")
        assert {(d.prompt, frozenset([d.first, d.second])) for d in taken} == {
            (d.prompt, frozenset([d.first, d.second])) for d in lying
        }
        session.tell(taken[0].id, "first", "here")
        number = session.desk._ledger.shown[taken[0].id].number
        (late,) = [d for d in lying if session.desk._ledger.shown[d.id].number == number]
        with pytest.raises(AnsweredError, match="by others meanwhile"):
            session.tell(late.id, "second", "away")
        session.tell(next(d for d in lying if d is not late).id, "tie", "away")  # late, and the first to come
        assert session.desk.answered == 2


def test_an_answer_is_taken_once(task: dict[str, Any], tmp_path: Path) -> None:
    with Session(spec_of("online", task, labels=16, batch=8), out=tmp_path) as session:
        (duel,) = session.ask()
        for wrong in ("left", "", None, "INVALID"):
            with pytest.raises(UsageError, match="verdict must be one of first, second, tie, both_bad, skip"):
                session.tell(duel.id, wrong)  # type: ignore[arg-type]
        with pytest.raises(UnknownDuelError):
            session.tell(duel.id, "first", annotator="somebody else")
        with pytest.raises(UnknownDuelError):
            session.tell("no such id", "first")
        session.tell(duel.id, "first")
        with pytest.raises(AnsweredError):
            session.tell(duel.id, "first")
        assert session.desk.answered == 1
        with pytest.raises(RunBusyError):
            Session(spec_of("online", task, labels=16, batch=8), out=tmp_path, patience=0.0)


def updates_of(spec: RunSpec, out: Path, respondent: Respondent, mind: str, reopen: bool) -> Any:
    """A session whose annotator presses the wrong key at the end of the first round, and notices in the second."""
    session = Session(spec, out=out)
    first = session.ask(8)
    for duel in first[:-1]:
        respondent.answer(session, duel.id)
    if mind == "right at once":
        respondent.answer(session, first[-1].id)
    else:
        session.tell(first[-1].id, "both_bad")
    second = session.ask(8)  # the agent has learned
    if mind == "changed":
        if reopen:
            session.close()
            session = Session(spec, out=out)
        assert session.undo() == first[-1]
        assert session.desk.answered == len(first) - 1
        respondent.answer(session, session.ask()[0].id)
    for duel in second:
        respondent.answer(session, duel.id)
    session.go_on()
    agent = session._game.parts.agent.state_dict()  # type: ignore[union-attr]
    weights = {name: value.tolist() for name, value in agent["policy"].items()}
    session.close()
    return weights


@pytest.mark.parametrize("reopen", [False, True], ids=["at once", "after a kill"])
def test_what_is_taken_back_is_unlearned_by_the_next_round(reopen: bool, task: dict[str, Any], tmp_path: Path) -> None:
    """The third round finds the policy of somebody who had pressed the right key at once.

    The agent duels samples of the reference, so that the mistake does not show in what it proposes next.
    """
    spec = spec_of("offline", task, labels=40, batch=8)
    respondent = Respondent(resolve(spec))
    wrong, right, changed = (
        updates_of(spec, tmp_path / mind, respondent, mind, reopen) for mind in ("wrong", "right at once", "changed")
    )
    assert wrong != right and changed == right


def test_votes_are_kept_when_they_are_taken_back(task: dict[str, Any], tmp_path: Path) -> None:
    with Session(spec_of("online", task, labels=16, batch=8), out=tmp_path) as session:
        a, b = session.ask(2)
        session.tell(a.id, "first", seconds=1.0)
        session.tell(b.id, "skip", seconds=2.0)
        assert session.undo().id == b.id and session.undo().id == a.id
        with pytest.raises(AnsweredError, match="has said nothing"):
            session.undo()
        assert session.desk.answered == 0 and [d.id for d in session.ask(2)] == [a.id, b.id]
        session.tell(a.id, "second")
        votes = session.desk._votes.votes()
    assert [(v.shown.id, v.taken_back, v.seconds) for v in votes] == [
        (a.id, True, 1.0),
        (b.id, True, 2.0),
        (a.id, False, None),
    ]


def test_an_answer_that_was_built_on_stays(task: dict[str, Any], tmp_path: Path) -> None:
    with Session(spec_of("online", task, labels=40, batch=2), out=tmp_path) as session:
        for _ in range(3):
            last = session.ask(2)  # fewer where a round has a pair of identical responses
            for duel in last:
                session.tell(duel.id, "first")
        session.ask(2)
        for _ in last:
            session.undo()  # the last round, which the agent has just learned from
        with pytest.raises(AnsweredError, match="can no longer be taken back"):
            session.undo()


@pytest.mark.parametrize("reopen", [False, True], ids=["at once", "after a kill"])
def test_the_last_answer_can_be_taken_back_over_rounds_that_asked_nothing(
    reopen: bool, task: dict[str, Any], tmp_path: Path
) -> None:
    """With two responses to a prompt many rounds propose nothing but identical ones, and are learned from at once."""
    two = few_responses(task["task"], 2, tmp_path / "two.npz")
    spec = spec_of("online", task | {"task": two}, labels=12, batch=2)
    session, rounds = Session(spec, out=tmp_path / "out"), set[int]()
    while duels := session.ask():
        session.tell(duels[0].id, "first")
        if session.ask():
            rounds.add(session._game.proposed.number)  # type: ignore[union-attr]
            if reopen:
                session.close()
                session = Session(spec, out=tmp_path / "out")
            assert session.undo() == duels[0]
            session.tell(duels[0].id, "second")
    assert session.finished and max(rounds) > len(rounds)  # some rounds asked nothing
    answers = labels(session.folder.path)
    assert len(answers) == 12
    session.close()


@pytest.mark.parametrize("reopen", [False, True], ids=["at once", "after a kill"])
def test_a_slip_in_the_last_answer_leaves_no_trace_once_it_is_mended(
    reopen: bool, task: dict[str, Any], tmp_path: Path
) -> None:
    spec = resolve(spec_of("online", task, labels=24, batch=8, judging=Judging(oracle=task["oracle"])))
    whole = run(spec, tmp_path / "run")
    respondent = Respondent(spec)
    session = Session(spec, out=tmp_path / "session")
    while session.desk.answered < 23:
        session.go_on()
        (duel,) = session.take("me")
        respondent.answer(session, duel.id)
    session.go_on()
    (last,) = session.take("me")
    session.tell(last.id, "both_bad")
    session.go_on()
    assert session.complete and session.state == "done" and not session.finished
    if reopen:
        session.close()
        session = Session(spec, out=tmp_path / "session")
        session.go_on()
    assert session.undo() == last and not session.complete
    session.finish()  # nothing, as long as the answer is missing
    respondent.answer(session, last.id)
    session.finish()
    assert session.finished and labels(session.folder.path) == labels(whole)
    assert [(session.folder.path / name).read_bytes() for name in RECORDS] == [
        (whole / name).read_bytes() for name in RECORDS
    ]
    with pytest.raises(AnsweredError, match="can no longer be taken back"):
        session.undo()
    session.close()


def few_responses(task: str, n: int, path: Path) -> str:
    """A pool with n responses to a prompt, those of another one."""
    whole = load_task(task)
    features = {name: values[:, :n] for name, values in whole.features.items()}
    few = replace(whole, references=whole.references[:, :n], features=features, lm_log_probs=whole.lm_log_probs[:, :n])
    few.save(path)
    return str(path)


def test_the_majority_of_several_people_is_the_answer(task: dict[str, Any], tmp_path: Path) -> None:
    with Session(spec_of("online", task, labels=16, batch=4), out=tmp_path, annotators=3) as session:
        for who in "abc":
            duels = session.ask(4, annotator=who)
            assert len(duels) >= 2 and session.desk.answered == 0
            for duel in duels:
                shown = session.desk._ledger.shown[duel.id]
                meant = "first" if shown.number % 2 or who == "a" else "second"
                said = {"first": "second", "second": "first"}[meant] if shown.swapped else meant
                session.tell(duel.id, said, who)  # type: ignore[arg-type]
    found = labels(session.folder.path)
    assert len(found) == len(duels)
    assert all(verdict == (Verdict.FIRST if duel % 2 else Verdict.SECOND) for duel, *_, verdict in found)


def test_the_run_loop_leaves_people_to_a_session(task_file: str, tmp_path: Path) -> None:
    spec = spec_of("online", {"task": task_file, "oracle": "people"})
    with pytest.raises(UsageError, match="use duelbench label or"):
        run(spec, tmp_path)
    assert forecast_calls(spec) == {"duel": 70, "judging": 140} and not list(tmp_path.iterdir())


def test_what_cannot_be_answered_from_outside_is_refused(task: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MatrixDuel-v0 duels arms, which have no texts to show"):
        Session("MatrixDuel-v0", "rucb", out=tmp_path)
    with pytest.raises(UsageError, match="leave delay of LLMDuelPool-v0 out"):
        Session(spec_of("online", task | {"delay": 2}), out=tmp_path)
    with pytest.raises(UsageError, match="people answer duels alone"):
        Session("LLMDuelPool-v0", "online", judging={"prompts": 4}, out=tmp_path)
    with pytest.raises(UsageError, match="ahead"):
        Session(spec_of("online", task), out=tmp_path, ahead=-1)
    with Session(spec_of(SCOUT, task), out=tmp_path, ahead=4) as session, pytest.raises(UsageError, match="state"):
        session.ask()
