"""Prompt sets that are fetched once from a Python package, verified and cached; none of them ships with this one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise

from duelbench.assets.wheel_source import WheelFile, fetch_file
from duelbench.envs.text.tasks.layouts import Row
from duelbench.envs.text.tasks.sources import TaskOptions, split_rows
from duelbench.envs.text.tasks.task import Task
from duelbench.oracles.ifeval.ifeval import IFEVAL, ifeval_examples

CHITCHAT = WheelFile(
    package="chitchat-dataset==0.9.0",
    member="chitchat_dataset/dataset.json",
    sha256="d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a",
    megabytes=8,
)
"""7,168 conversations of the Chit Chat Challenge between people, MIT licence."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FEWEST_WORDS, _MOST_WORDS = 6, 40
_OPENERS = _words("what which who where when why how if do did does have would could can are is should")
# Words that point to what was said before, or to the people of that conversation.
_POINTERS = _words("""
    it its that this they them their those these he she him her his hers one ones there then too also again same else
    so still we us our other another instead either""")

PROMPT_SETS: dict[str, str] = {
    "ifeval": "541 requests with instructions that the oracle `ifeval` checks; no references",
    "chitchat": "2,704 questions from conversations between people, each with the reply it got",
}
"""Prompt sets by name, and what they are."""


def is_known(name: str) -> bool:
    """Whether there is a prompt set of this name."""
    return name in PROMPT_SETS


def load(name: str, options: TaskOptions) -> Task:
    """A prompt set as a task.

    Raises:
        UnavailableError: it cannot be fetched.
    """
    readers: dict[str, tuple[WheelFile, Callable[[], list[Row]]]] = {
        "ifeval": (IFEVAL, _ifeval),
        "chitchat": (CHITCHAT, _chitchat),
    }
    source, read = readers[name]
    card = {"source": name, "package": source.package, "file": source.member, "sha256": source.sha256}
    return split_rows(name, read(), [], options, card)


def _ifeval() -> list[Row]:
    return [(example.prompt, ()) for example in ifeval_examples()]


def _chitchat() -> list[Row]:
    """Questions that can be understood by themselves, each with the other person's reply; a question is taken once."""
    talks = json.loads(fetch_file("the chitchat conversations", CHITCHAT).read_text(encoding="utf-8"))
    rows: dict[str, Row] = {}
    for talk in talks.values():
        turns = [[str(part["text"]).strip() for part in turn] for turn in talk["messages"]]
        for turn, reply in pairwise(turns):
            question, answer = turn[-1].rpartition(". ")[2], " ".join(reply).strip()
            if answer and _stands_alone(question):
                rows.setdefault(question.lower(), (question, (answer,)))
    return list(rows.values())


def _stands_alone(text: str) -> bool:
    """Whether a text is one question put to somebody, of a fitting length, that points to nothing said before."""
    words = re.findall(r"[a-z]+", text.lower())
    return (
        re.fullmatch(r"[A-Z][^.!?]*\?", text) is not None
        and _FEWEST_WORDS <= len(words) <= _MOST_WORDS
        and words[0] in _OPENERS
        and bool({"you", "your"} & set(words))
        and not _POINTERS & set(words)
    )
