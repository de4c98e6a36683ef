"""People answer a ranking: on the page's engine and through its JSON form, over kills, skips and changes of mind."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelling import served

from duelbench.label.asking.duel import AnsweredError
from duelbench.label.rank_by_people import RankByPeople
from duelbench.rank.contest import Contest
from duelbench.rank.ranking import Ranking
from duelbench.rank.report import write_report

NAMES = tuple("abcde")


def ranking(folder: Path) -> Ranking:
    return Ranking(Contest(NAMES, ("",), {(0, k): name for k, name in enumerate(NAMES)}), folder)


def asked(folder: Path, votes: int = 200, annotators: int = 1) -> RankByPeople:
    return RankByPeople(ranking(folder), folder, votes=votes, annotators=annotators)


def verdict(first: str, second: str) -> str:
    """Who comes later in the alphabet is better."""
    return "first" if first > second else "second"


def end(these: RankByPeople) -> None:
    these.close()
    these.ranking.close()


def test_people_settle_the_best_and_the_report_tells_of_them(tmp_path: Path) -> None:
    with served(lambda: asked(tmp_path)) as (client, these):
        who = ("ann", "bob")
        for turn in range(200):
            question = client.next(who[turn % 2])
            if question["id"] is None:
                break
            said = verdict(question["first"], question["second"])
            assert client.answer(question["id"], who[turn % 2], said, seconds=2.0)[0] == 200
        assert question["state"] == "done" and these.ranking.settled
        assert question["ending"] == f"The ranking is settled after {question['asked']} of at most 200 answers."
        assert [NAMES[k] for k in these.ranking.best] == ["e"]
        assert {vote.annotator for vote in these.ranking.votes} == set(who)
    page = write_report(these.ranking, tmp_path, these.desk.said()).read_text("utf-8")
    assert "The people who answered" in page and "ann" in page and "The best is e." in page
    these.ranking.close()


def test_a_ranking_that_was_killed_hears_every_answer_once(tmp_path: Path) -> None:
    these = asked(tmp_path)
    told = 0
    while not these.complete:
        these.go_on()
        if duels := these.take("ann"):
            these.tell(duels[0].id, verdict(duels[0].first, duels[0].second))  # type: ignore[arg-type]
            told += 1
        end(these)  # before the ranking has heard it
        these = asked(tmp_path)
        these.go_on()
        assert these.ranking.answered == told == these.desk.answered
    assert these.ranking.settled and these.ask() == [] and these.finished
    end(these)


def test_a_slip_is_forgotten_when_it_is_taken_back(tmp_path: Path) -> None:
    one, other = asked(tmp_path / "one"), asked(tmp_path / "other")
    for turn in range(8):
        (duel,), (same,) = one.ask(), other.ask()
        assert (duel.first, duel.second) == (same.first, same.second)
        right = verdict(duel.first, duel.second)
        if turn == 5:
            one.tell(duel.id, "both_bad")
            one.go_on()
            assert one.ranking.answered == 6
            assert one.undo() == duel and one.ranking.answered == 5
        one.tell(duel.id, right)  # type: ignore[arg-type]
        other.tell(same.id, right)  # type: ignore[arg-type]
        if turn == 5:
            break
    one.go_on()
    other.go_on()
    heard = [[(vote.asked, vote.said) for vote in these.ranking.votes] for these in (one, other)]
    assert heard[0] == heard[1] and len(heard[0]) == 6
    assert one.ranking.strengths.mean == pytest.approx(other.ranking.strengths.mean)
    assert one.ranking.evidence.wealth.tolist() == other.ranking.evidence.wealth.tolist()
    end(one)
    end(other)


def test_the_last_answer_can_be_taken_back_until_it_is_finished(tmp_path: Path) -> None:
    these = asked(tmp_path)
    while not these.complete:
        these.go_on()
        for duel in these.take("ann"):
            these.tell(duel.id, verdict(duel.first, duel.second))  # type: ignore[arg-type]
        these.go_on()
    assert these.ranking.settled and these.take("ann") == []
    duel = these.undo("ann")
    assert not these.complete and these.take("ann") == [duel]
    these.tell(duel.id, verdict(duel.first, duel.second))  # type: ignore[arg-type]
    these.go_on()
    these.finish()
    with pytest.raises(AnsweredError):
        these.undo("ann")
    end(these)


def test_a_skipped_pair_makes_room_for_another_and_comes_back_in_the_end(tmp_path: Path) -> None:
    these = asked(tmp_path, votes=3)
    seen = []
    for _ in range(3):
        (duel,) = these.ask(annotator="ann")
        seen.append(duel)
        these.tell(duel.id, "skip")
    assert len({duel.id for duel in seen}) == 3
    assert these.ask(annotator="ann")[0].prompt and these.desk.outstanding == 3  # no more than the votes allow
    for _ in range(3):
        (duel,) = these.ask(annotator="ann")
        these.tell(duel.id, "tie")
    assert these.ask(annotator="ann") == [] and these.finished and these.ranking.answered == 3
    assert these.ending == "All questions are answered."
    end(these)


def test_a_ranking_without_a_pair_left_says_so(tmp_path: Path) -> None:
    contest = Contest(NAMES, ("",), {(0, k): name for k, name in enumerate(NAMES)})
    these = RankByPeople(Ranking(contest, tmp_path, repeats=False), tmp_path, votes=200)
    while duels := these.ask():
        these.tell(duels[0].id, "tie")
    assert these.finished and not these.ranking.settled
    early = "The ranking ended early, with 10 of at most 200 answers: no pair is left to ask about."
    assert these.ending == early
    end(these)


def test_several_people_judge_a_pair_and_the_majority_counts(tmp_path: Path) -> None:
    these = asked(tmp_path, votes=2, annotators=3)
    for said in (("first", "both_bad", "first"), ("both_bad", "both_bad", "both_bad")):
        for who, one in zip("xyz", said, strict=True):
            (duel,) = these.ask(annotator=who)
            these.tell(duel.id, one, annotator=who)  # type: ignore[arg-type]
    these.go_on()
    assert [vote.said for vote in these.ranking.votes] == ["first", "both_bad"]
    end(these)
