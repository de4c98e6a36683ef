"""Takes the pictures of the documentation from the things themselves.

    PYTHONPATH=tests/helpers python tests/browser/pictures.py docs/pictures

``label``, ``session``, ``judge`` and ``rank`` take only those of one page. Somebody who prefers the shorter response
answers. The judge is SmolLM2-135M-Instruct (``duelbench run --model smollm2-135m`` fetches it once) behind an endpoint
on this machine.
"""

from __future__ import annotations

import code
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from page import answer, begin
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from selenium import webdriver
from serving import Served

GUIDE = """## What is better?

Prefer the response that **answers the request** and that you would rather read.

- A whole thought beats a list of words.
- Short beats long, if nothing is missing.
- Use *both bad* if neither answers.
"""
SESSION = """\
import duelbench
session = duelbench.Session("LLMDuelPool-v0", "sea", out="results/mine", labels=16, batch=8)
(duel,) = session.ask(1, annotator="ann")
duel
session.tell(duel.id, "second", seconds=4.2)
session.ask(1, annotator="ann")[0].prompt
session.undo("ann") == duel
session.tell(duel.id, "both_bad", seconds=2.0)
session.status()
"""
ITEMS = """name,slogan
plain,We sell boots
rhyme,Boots that suit all roots
short,Good boots
long,"We have been selling boots of many kinds, and for many kinds of feet, for a very long time"
"""
TASTE = "def brevity(prompt: str, text: str) -> float:\n    return -len(text) / 10\n"
# One part of a report, from its heading to the next one, in an element of its own.
_ALONE = """
const heading = [...document.querySelectorAll("h3")].find((h) => h.textContent === arguments[0]);
const part = document.createElement("div"), here = [heading];
let next = heading.nextElementSibling;
for (; next && next.tagName !== "H3"; next = next.nextElementSibling) here.push(next);
heading.before(part);
part.id = "alone";
part.append(...here);
"""
_PAPER = TerminalTheme((250, 250, 248), (31, 35, 40), [(31, 35, 40), (170, 40, 40), (30, 120, 60), (150, 100, 0)] * 2)


@contextlib.contextmanager
def window(width: int, height: int) -> Iterator[Any]:
    """A browser of this size in CSS pixels."""
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    resize(driver, width, height)
    yield driver
    driver.quit()


def resize(driver: Any, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def terminal(driver: Any, text: str, place: Path) -> None:
    """What a terminal shows, with its colours, as a picture."""
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip()), highlight=False)
    page = place.with_suffix(".html")
    text = console.export_html(theme=_PAPER, inline_styles=True).replace('<pre style="', '<pre style="padding:16px;')
    page.write_text(text, encoding="utf-8")
    element(driver, page, "pre", place)
    page.unlink()


def element(driver: Any, page: Path, selector: str, place: Path) -> None:
    """One element of a page in a file."""
    driver.get(page.resolve().as_uri())
    driver.find_element("css selector", selector).screenshot(str(place))


def said(command: str, folder: Path) -> str:
    """A command and all that it says, as a terminal shows it."""
    there = os.environ | {
        "COLUMNS": "110",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(command, shell=True, cwd=folder, env=there, capture_output=True, text=True, check=True)
    return f"$ {command}\n{done.stderr}{done.stdout}"


def label(place: Path, folder: Path) -> None:
    """A run of SEA on the embedded model, answered to its end; the page at two widths, and the people in the report."""
    from duelbench.envs.text.tasks import load_task

    (folder / "guide.md").write_text(GUIDE, encoding="utf-8")
    (folder / "questions.csv").write_text("\n".join(["prompt", *load_task("short-writing").prompts[:40]]), "utf-8")
    options = ["--task", str(folder / "questions.csv"), "--model", "tiny", "--agent", "sea", "--labels", "40"]
    served = Served(folder / "out", *options, "--guidelines", str(folder / "guide.md"), "--repeats", "0.1")
    served.start()
    with window(1400, 900) as driver:
        begin(driver, served)
        driver.execute_script("guide(true)")
        while driver.execute_script("return duel !== null"):
            if driver.execute_script("return bar.value === 12"):
                driver.save_screenshot(str(place / "label.png"))
                resize(driver, 390, 844)
                driver.execute_script("guide(false)")
                driver.save_screenshot(str(place / "label-phone.png"))
                resize(driver, 1400, 900)
            answer(driver, "1" if driver.execute_script("return duel.first.length <= duel.second.length") else "2")
        assert served.end() == 0
        driver.get((served.out / "report.html").as_uri())
        driver.execute_script(_ALONE, "The people who answered")
        driver.find_element("id", "alone").screenshot(str(place / "label-report.png"))


def session(place: Path, folder: Path) -> None:
    """Ask and tell at Python's prompt."""
    os.chdir(folder)
    shown = io.StringIO()
    console = code.InteractiveConsole()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        for line in SESSION.splitlines():
            print(f">>> {line}")
            console.push(line)
    console.locals["session"].close()
    with window(1000, 600) as driver:
        terminal(driver, shown.getvalue(), place / "session.png")


def judge(place: Path, folder: Path) -> None:
    """A chat model that is served on this machine judges a run."""
    from chat_server import chat_server, completion

    from duelbench.chat.local import LocalChat

    model = LocalChat("smollm2-135m", max_new_tokens=8)

    def reply(number: int, body: dict[str, Any]) -> tuple[int, bytes]:
        texts = [message["content"] for message in body["messages"]]
        return 200, completion(model.complete(texts[-1:], np.random.default_rng(0))[0])

    with chat_server(reply, port=8000), window(1000, 600) as driver:
        command = "duelbench run --env LLMDuelPool-v0 -a online --seeds 1 --labels 16 --judge-prompts 4"
        command += " --set env.oracle=judge:http://localhost:8000/v1#smollm2"
        told, _, _ = said(command, folder).partition("\nHeld-out prompts")
        terminal(driver, told, place / "judge.png")


def rank(place: Path, folder: Path) -> None:
    """The first example of docs/rank.md."""
    (folder / "items.csv").write_text(ITEMS, encoding="utf-8")
    (folder / "taste.py").write_text(TASTE, encoding="utf-8")
    command = "duelbench rank items.csv --judge taste.py:brevity --question 'Which slogan is better?' --votes 300"
    said(f"{command} --out results/slogans", folder)
    with window(1200, 900) as driver:
        element(driver, folder / "results" / "slogans" / "ranking.html", "main", place / "ranking.png")


def main(place: Path, *names: str) -> None:
    """Take them; all if none is named."""
    takers = {"label": label, "session": session, "judge": judge, "rank": rank}
    for name in names or takers:
        with tempfile.TemporaryDirectory() as folder:
            takers[name](place.resolve(), Path(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
