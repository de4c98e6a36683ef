"""The page of ``duelbench label`` in a real browser: by keyboard alone, over kills, for everybody, in every script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from labelling import Client
from page import answer, begin, press, wait
from serving import Served
from texts import ROWS, write_pairs

from duelbench.records.answers.votes import Vote, Votes
from duelbench.records.record import load_runs

Browser = Callable[..., Any]


def a_run(folder: Path, task: str) -> list[str]:
    """An agent that duels responses of a pool."""
    return ["--task", task, "--env", "LLMDuelPool-v0", "--agent", "online", "--labels", "12", "--batch", "4"]


def ready_pairs(folder: Path, task: str) -> list[str]:
    """One pair of each kind of text."""
    return ["--pairs", write_pairs(folder / "pairs.jsonl")]


@pytest.fixture
def served(task_file: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    guide = tmp_path / "guide.md"
    guide.write_text("## What is better?\n\nPrefer the response that **answers the question**.\n", encoding="utf-8")
    command = Served(tmp_path / "out", *request.param(tmp_path, task_file), "--guidelines", str(guide))
    command.start()
    yield command
    if command.process is not None and command.process.poll() is None:
        command.kill()


def votes(served: Served) -> list[Vote]:
    (run,) = (served.out / "runs").iterdir()
    with closing(Votes(run / "journal.sqlite", run.name.rpartition("-")[2])) as found:
        return found.votes()


@pytest.mark.parametrize("served", [a_run], indirect=True)
def test_a_whole_run_by_keyboard_alone_over_a_kill(browser: Browser, served: Served) -> None:
    driver = browser()
    begin(driver, served)
    assert driver.execute_script("return location.hash") == ""  # no token in the address bar
    for key in "120b":
        answer(driver, key)
    answer(driver, "s")
    answer(driver, "1")
    assert driver.execute_script("return document.getElementById('count').textContent") == "5 of 12"
    shown = driver.execute_script("return [duel.prompt, duel.first, duel.second]")
    answer(driver, "2")
    press(driver, "u")
    wait(driver, "!busy && document.getElementById('count').textContent === '5 of 12'")
    assert driver.execute_script("return [duel.prompt, duel.first, duel.second]") == shown

    served.kill()
    press(driver, "1")
    wait(driver, "document.getElementById('message').textContent.startsWith('No connection')")
    served.start()
    wait(driver, "!busy && document.getElementById('count').textContent === '6 of 12'", 120)

    driver.refresh()  # the token is kept for this window, the name for this browser
    wait(driver, "duel !== null && !busy")
    for _ in range(40):
        if driver.execute_script("return duel === null"):
            break
        answer(driver, "1")
    thanks = "document.getElementById('message').textContent.startsWith('All questions are answered')"
    wait(driver, thanks)
    press(driver, "u")  # even the very last answer
    wait(driver, "!busy && document.getElementById('count').textContent === '11 of 12'")
    answer(driver, "2")
    wait(driver, thanks)
    assert served.end() == 0
    said = votes(served)
    counted = [vote for vote in said if not vote.taken_back and vote.said != "skip"]
    assert len({vote.shown.number for vote in counted}) == len(counted) == 12
    assert {vote.said for vote in said} == {"first", "second", "tie", "both_bad", "skip"}
    assert sum(vote.taken_back for vote in said) == 2
    assert all(vote.seconds is not None and 0 <= vote.seconds < 120 for vote in said)
    (run,) = load_runs(served.out)
    assert run.finished and run.rows[-1]["labels"] == 12
    page = (served.out / "report.html").read_text(encoding="utf-8")
    assert "The people who answered" in page and "ann" in page
    serious = [line for line in driver.get_log("browser") if "ERR_CONNECTION_REFUSED" not in line["message"]]
    assert [line for line in serious if line["level"] == "SEVERE" and "ERR_" not in line["message"]] == []


def a_run_that_ends_early(folder: Path, task: str) -> list[str]:
    """Its agent has nothing to ask after two rounds."""
    agent = Path(__file__).parents[1] / "helpers" / "settled_agent.py"
    return [*a_run(folder, task), "--agent", f"{agent}:Settled"]


@pytest.mark.parametrize("served", [a_run_that_ends_early], indirect=True)
def test_a_run_that_ends_early_does_not_say_that_all_is_answered(browser: Browser, served: Served) -> None:
    driver = browser()
    begin(driver, served)
    for _ in range(8):
        answer(driver, "1")
    said = driver.execute_script("return document.getElementById('message').textContent")
    early = "The run ended early, with 8 of 12 answers: it found no more pairs to ask about."
    assert said.startswith(f"{early} Thank you! For")
    assert served.end() == 0
    wait(driver, f"document.getElementById('message').textContent === '{early} Thank you! You can close this page.'")


@pytest.mark.parametrize("served", [ready_pairs], indirect=True)
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_overflows(
    browser: Browser, served: Served, axe: str, width: int, dark: bool
) -> None:
    driver = browser(width, dark=dark)
    driver.get(served.address)
    wait(driver, "document.activeElement.id === 'annotator'")
    driver.execute_script(axe)
    check(driver, "name")
    press(driver, "ann", "\ue007")
    wait(driver, "duel !== null && !busy")
    seen: set[str] = set()
    while len(seen) < len(ROWS):
        prompt = driver.execute_script("return duel.prompt")
        if prompt not in seen:
            check(driver, prompt)
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), prompt
        seen.add(prompt)
        answer(driver, "s")
    press(driver, "g")
    check(driver, "guide")
    press(driver, "p")
    check(driver, "plain text")
    assert driver.title == "Which response is better?"  # what the texts tried did not happen


def check(driver: Any, where: str) -> None:
    found = driver.execute_async_script("axe.run(document, {}).then(arguments[arguments.length - 1])")
    said = {v["id"]: [node["html"][:120] for node in v["nodes"]] for v in found["violations"]}
    assert said == {}, f"{where}: {json.dumps(said, indent=1)}"
    assert len(found["passes"]) > 10


@pytest.mark.parametrize("served", [ready_pairs], indirect=True)
def test_texts_read_as_they_are_written_and_scroll_together(browser: Browser, served: Served) -> None:
    driver = browser()
    begin(driver, served)
    seen: dict[str, bool] = {}
    while len(seen) < len(ROWS):
        prompt, rtl = driver.execute_script(
            "return [duel.prompt, getComputedStyle(document.querySelector('#first > *')).direction === 'rtl']"
        )
        seen[prompt] = rtl
        if prompt.startswith("How do I bake"):
            check_scrolling(driver)
        answer(driver, "s")
    assert [prompt for prompt, rtl in seen.items() if rtl] == [ROWS[1][0]]


def check_scrolling(driver: Any) -> None:
    """The sides end together, whichever has more; a key scrolls without a mouse."""
    tall = "[...document.querySelectorAll('.response .text')].sort((a, b) => b.scrollHeight - a.scrollHeight)[0]"
    assert driver.execute_script(f"return {tall}.scrollHeight > {tall}.clientHeight")
    press(driver, "\ue015")
    wait(driver, f"{tall}.scrollTop > 0")


@pytest.mark.parametrize("served", [ready_pairs], indirect=True)
def test_two_windows_answer_one_question_once(browser: Browser, served: Served) -> None:
    one, two = browser(), browser()
    begin(one, served)
    begin(two, served)
    assert one.execute_script("return duel.id") == two.execute_script("return duel.id")
    answer(one, "1")
    answer(two, "2")
    assert two.execute_script("return document.getElementById('count').textContent") == "1 of 5"
    assert two.execute_script("return duel.id") == one.execute_script("return duel.id")
    (_, status) = Client(served.base, served.token).send("/api/status")
    assert status["annotators"]["ann"].keys() == {"first", "median_seconds"} and status["answered"] == 1


@pytest.mark.parametrize("served", [ready_pairs], indirect=True)
def test_buttons_do_what_keys_do_and_a_stranger_sees_nothing(browser: Browser, served: Served) -> None:
    driver = browser(390, 844)
    begin(driver, served)
    for name in ("first", "second", "tie", "both_bad"):
        before = driver.execute_script("return duel.id")
        driver.find_element("css selector", f"[data-verdict={name}]").click()
        wait(driver, f"!busy && duel.id !== '{before}'")
    driver.find_element("id", "undo").click()
    wait(driver, "!busy && document.getElementById('count').textContent === '3 of 5'")
    stranger = browser()
    stranger.get(served.base + "/#wrong-token")
    wait(stranger, "document.getElementById('message').textContent.includes('token')")
    assert stranger.execute_script("return document.getElementById('question').hidden")
