"""A language model is aligned by forty answers on the page, given by keyboard, over a kill of the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from page import answer, begin, wait
from serving import Served

from duelbench.envs.text.tasks import load_task
from duelbench.records.answers.votes import Votes
from duelbench.records.record import load_runs

torch = pytest.importorskip("torch")
LABELS, KILL_AT = 40, 21


def test_forty_answers_by_keyboard_align_a_model_over_a_kill(browser: Callable[..., Any], tmp_path: Path) -> None:
    questions = tmp_path / "questions.csv"
    prompts = load_task("short-writing").prompts[:40]  # what the embedded model was trained to answer
    questions.write_text("\n".join(["prompt", *prompts]), encoding="utf-8")
    options = ["--task", str(questions), "--model", "tiny", "--agent", "sea", "--labels", str(LABELS)]
    served = Served(tmp_path / "out", *options)
    served.start()
    driver = browser()
    begin(driver, served)
    seen: list[str] = []
    while driver.execute_script("return duel !== null"):
        seen.append(driver.execute_script("return duel.id"))
        shorter = driver.execute_script("return duel.first.length < duel.second.length")
        answer(driver, "1" if shorter else "2")
        if len(seen) == KILL_AT:
            served.kill()
            served.start()
            driver.refresh()
            wait(driver, "duel !== null && !busy", 120)
    assert served.end() == 0

    (run,) = load_runs(served.out)
    assert run.finished and run.rows[-1]["labels"] == LABELS and len(seen) == len(set(seen)) == LABELS
    assert run.folder is not None
    with closing(Votes(run.folder / "journal.sqlite", run.folder_id)) as journal:
        votes, answers = journal.votes(), journal.answers()
    assert [vote.shown.id for vote in votes] == seen and len(answers) == LABELS  # nothing lost, nothing twice
    for one in answers:
        shorter = one.first if len(one.first) < len(one.second) else one.second
        assert (one.first if one.verdict == 1 else one.second) == shorter or len(one.first) == len(one.second)
    learned(run.folder)
    page = (served.out / "report.html").read_text(encoding="utf-8")
    part = page.partition("The people who answered")[2].partition("<h3>")[0]
    assert '<td class="left">ann</td>' in part and "seconds, median" in part and "Krippendorff" in part


def learned(folder: Path) -> None:
    """The policy is another one than at the beginning: it left weights, and answers held-out prompts otherwise."""
    (weights,) = folder.glob("policy*")
    assert weights.stat().st_size > 0
    samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    assert samples and any(sample["before"] != sample["after"] for sample in samples)
