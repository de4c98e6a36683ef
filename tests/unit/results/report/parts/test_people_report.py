"""The report of a run that people answered tells of them."""

from __future__ import annotations

from pathlib import Path

from duelbench.label.asking.checking import Checks
from duelbench.label.session import Session
from duelbench.records.answers.votes import Posed
from duelbench.records.record import load_runs
from duelbench.results.report.page import write_report


def test_people_stand_in_the_report(task_file: str, tmp_path: Path) -> None:
    gold = tuple(Posed(-number, f"gold {number}", "good", "bad") for number in range(1, 9))
    checks = Checks(repeats=0.3, gold=gold, gold_share=0.3)
    settings = {"labels": 24, "batch": 8, "options": {"env.task": task_file}}
    names = ("ann", "<b>ö</b>")
    with Session("LLMDuelPool-v0", "online", out=tmp_path, annotators=2, checks=checks, **settings) as session:  # type: ignore[arg-type]
        while not session.finished:
            for who in names:
                for duel in session.ask(4, annotator=who):
                    said = "first" if duel.first == "good" or duel.first > duel.second != "good" else "second"
                    session.tell(duel.id, said, who, seconds=len(duel.first))  # type: ignore[arg-type]
        votes = session.desk.said()
    kinds = {vote.shown.kind for vote in votes}
    assert kinds == {"duel", "repeat", "gold"} and len([v for v in votes if v.shown.kind == "duel"]) == 48
    page = write_report(tmp_path, load_runs(tmp_path)).read_text(encoding="utf-8")
    part = page.partition("The people who answered")[2].partition("<h3>")[0]
    assert "24 duels with several labels: 1.00" in part and "&lt;b&gt;ö&lt;/b&gt;" in part and "<b>ö" not in part
    assert "No policy was judged, so there are no scores" in page and "Duels decided by <b>people" in page
    assert not {
        said for said in ("Win rates against", "of 0 stored", "No finished run of", "A win rate") if said in page
    }
    n_gold = sum(vote.shown.kind == "gold" and vote.shown.annotator == "ann" for vote in votes)
    assert f"100 % <small>of {n_gold}</small>" in part


def test_no_run_of_another_oracle_tells_of_people(task_file: str, oracles: str, tmp_path: Path) -> None:
    from pool_runs import spec_of

    from duelbench.runs.policy_loop import run

    run(spec_of("online", {"task": task_file, "oracle": f"{oracles}:Worth"}, labels=16), tmp_path)
    assert "The people who" not in write_report(tmp_path, load_runs(tmp_path)).read_text(encoding="utf-8")
