"""Prompts that are conversations: a system turn, earlier questions and answers, and the request to be answered now.

A prompt is text everywhere: in observations, journals, records. One that is more than a single request of the user's
travels as the JSON of its messages, as chat models and data sets write them; any other text is one user turn.

>>> prompt = as_prompt([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}])
>>> prompt
'[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]'
>>> turns(prompt)[1]
{'role': 'user', 'content': 'Why?'}
>>> turns("Why?")
[{'role': 'user', 'content': 'Why?'}]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Turn = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""
ROLES = ("system", "user", "assistant")


def turns(prompt: str) -> list[Turn]:
    """The messages of a prompt, for a chat template."""
    if prompt.startswith("["):
        try:
            read = json.loads(prompt)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, list) and read and all(map(_is_turn, read)):
            return [{"role": turn["role"], "content": turn["content"]} for turn in read]
    return [{"role": "user", "content": prompt}]


def as_prompt(conversation: Sequence[Turn]) -> str:
    """A conversation as a prompt: the bare text of a single user turn, else JSON; ``turns`` reads it again."""
    if len(conversation) == 1 and turns(conversation[0]["content"]) == [*conversation]:
        return conversation[0]["content"]
    return json.dumps([{"role": turn["role"], "content": turn["content"]} for turn in conversation], ensure_ascii=False)


def transcript(prompt: str) -> str:
    """A prompt for people, and for models that are told about it: bare text as it is, else each turn under its role.

    >>> print(transcript('[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]'))
    System: Be brief.
    <BLANKLINE>
    User: Why?
    """
    read = turns(prompt)
    if [turn["role"] for turn in read] == ["user"]:
        return read[0]["content"]
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in read)


def _is_turn(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"role", "content"}
        and value["role"] in ROLES
        and isinstance(value["content"], str)
    )
