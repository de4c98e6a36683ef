"""The layouts in which tables hold prompts and responses: texts, conversations, preferences.

A prompt is a text or a conversation that ends with the user's turn. A response is a text, an assistant's turn, or the
last turn of a whole conversation that repeats the prompt. A preference set has the columns ``chosen`` and ``rejected``,
with a prompt column of its own or with the prompt as their common beginning; both responses become references.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duelbench.conversation import ROLES, Turn, as_prompt, turns
from duelbench.plugins import did_you_mean

Row = tuple[str, tuple[str, ...]]
"""A prompt and its references."""
PREFERENCE = ("chosen", "rejected")
_DIALOGUE = re.compile(r"\n\n(Human|Assistant):")  # of conversations written as one text
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_Response = tuple[list[Turn], str]
"""Turns that stand before a response in its own column, and the response."""


@dataclass(frozen=True)
class Layout:
    """Which columns hold what.

    Attributes:
        prompt: column of the prompt; None where it is what the preferred and the other response have in common.
        references: columns of the responses.
    """

    prompt: str | None
    references: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All columns that are read."""
        return [*filter(None, [self.prompt]), *self.references]

    def check(self, where: str, there: Sequence[str]) -> None:
        """Check that a table has the columns, each once.

        Raises:
            ValueError: naming the first that is missing.
        """
        for column in self.columns:
            if there.count(column) > 1:
                raise ValueError(f"{where} has {there.count(column)} columns {column!r}: rename all but one")
            if column not in there:
                raise ValueError(
                    f"{where} has no column {column!r}, it has {[*there]}{did_you_mean(column, there)}; name the "
                    'columns with task_options={"prompt": …, "reference": …}, in `duelbench task` with --prompt-column'
                )


def layout_of(prompt: str, reference: str | None, there: Sequence[str]) -> Layout:
    """The layout of a table.

    Args:
        prompt: the prompt's column.
        reference: the references' column; None takes ``chosen`` and ``rejected`` where they are, and there a prompt
            column may be missing.
        there: all columns.
    """
    if reference is not None:
        return Layout(prompt, (reference,))
    if not set(PREFERENCE) <= set(there):
        return Layout(prompt)
    return Layout(prompt if prompt in there or prompt != "prompt" else None, PREFERENCE)


def read_row(layout: Layout, row: Mapping[str, Any], at: str) -> Row:
    """One row of a table as a prompt with references.

    Args:
        layout: layout of the table.
        row: values by column.
        at: where the row stands, for messages.

    Raises:
        ValueError: a value is of another form.
    """
    if layout.prompt is None:
        return _preference_without_prompt(row, at)
    prompt = _conversation(row[layout.prompt], f"{at}, column {layout.prompt!r}")
    if (role := prompt[-1]["role"]) != "user":
        raise ValueError(
            f"{at}, column {layout.prompt!r}: expected text or a conversation that ends with the user's turn, got one "
            f"that ends with the {role}'s"
        )
    responses = [
        one for column in layout.references for one in _responses(row[column], f"{at}, column {column!r}", layout)
    ]
    return as_prompt(_joined(prompt, [before for before, _ in responses], at)), tuple(text for _, text in responses)


def _preference_without_prompt(row: Mapping[str, Any], at: str) -> Row:
    values = [_dialogue(row[column]) for column in PREFERENCE]
    if all(isinstance(value, str) for value in values):
        return _split_texts(values[0], values[1], at)
    (before, chosen), (other, rejected) = (
        _response(value, f"{at}, column {column!r}") for column, value in zip(PREFERENCE, values, strict=True)
    )
    if before != other or not before or before[-1]["role"] != "user":
        raise ValueError(
            f"{at}: expected chosen and rejected to be one conversation up to the assistant's last turn, since there "
            f"is no column of prompts; got the roles {[turn['role'] for turn in before]} and "
            f"{[turn['role'] for turn in other]} before it" + (" with other contents" if before != other else "")
        )
    return as_prompt(before), (chosen, rejected)


def _split_texts(chosen: str, rejected: str, at: str) -> Row:
    """Two texts where their common beginning ends, before a space there and never within a word."""
    size = next((i for i, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other), None)
    if size is None:
        size = min(len(chosen), len(rejected))
    while size and chosen[size - 1].isalnum() and any(text[size : size + 1].isalnum() for text in (chosen, rejected)):
        size -= 1
    if chosen[:size].endswith(" "):
        size -= 1
    if not chosen[:size].strip() or size in (len(chosen), len(rejected)):
        raise ValueError(
            f"{at}: chosen and rejected have no common beginning that leaves a response to each, and there is no "
            "column 'prompt': name it with task_options={\"prompt\": …}"
        )
    return _encodable(chosen[:size], at), (_encodable(chosen[size:], at), _encodable(rejected[size:], at))


def _dialogue(value: Any) -> Any:
    """A conversation that is written as one text, each turn under ``Human:`` or ``Assistant:``; others as they are."""
    if not (isinstance(value, str) and value.startswith("\n\nHuman:") and "\n\nAssistant:" in value):
        return value
    _, *parts = _DIALOGUE.split(value)
    return [
        {"role": _SPEAKERS[who], "content": said.strip()} for who, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def _responses(value: Any, at: str, layout: Layout) -> list[_Response]:
    """One response, or those of a list where one column holds them all."""
    several = isinstance(value, list) and bool(value) and not isinstance(value[0], Mapping)
    if several and len(layout.references) == 1:
        return [_response(one, at) for one in value]
    return [_response(value, at)]


def _response(value: Any, at: str) -> _Response:
    if isinstance(value, str):
        return [], _encodable(value, at)
    conversation = _conversation(value, at)
    if (role := conversation[-1]["role"]) != "assistant":
        raise ValueError(f"{at}: expected text or a conversation that ends with the assistant's turn, got {role}'s")
    return conversation[:-1], conversation[-1]["content"]


def _joined(prompt: list[Turn], before: list[list[Turn]], at: str) -> list[Turn]:
    """The prompt with the turns that responses repeat or add: all must agree on them."""
    repeated = [turns for turns in before if turns]
    if not repeated:
        return prompt
    first, n = repeated[0], len(prompt)
    whole = prompt + first if first[0]["role"] == "assistant" else first
    fits = whole[:n] == prompt or whole[-n:] == prompt  # a set may tell the first or the last request alone
    if len(repeated) < len(before) or any(turns != first for turns in repeated) or not fits:
        raise ValueError(
            f"{at}: expected all responses to go on from the same conversation, which holds the prompt; the turns "
            "before the assistant's last one differ from it or from each other"
        )
    if whole[-1]["role"] != "user":
        raise ValueError(f"{at}: expected the user's turn before the response, got the {whole[-1]['role']}'s")
    return whole


def _conversation(value: Any, at: str) -> list[Turn]:
    """Turns of a text (the user's), of a message, or of a list of messages."""
    if isinstance(value, str):
        return turns(_encodable(value, at))
    messages = value if isinstance(value, list) else [value]
    if not messages or not all(isinstance(turn, Mapping) and {"role", "content"} <= turn.keys() for turn in messages):
        raise ValueError(
            f'{at}: expected text or a conversation, [{{"role": …, "content": …}}, …], got {str(value)[:80]!r}'
        )
    return [{"role": _role(turn, at), "content": _content(turn, at)} for turn in messages]


def _role(turn: Mapping[str, Any], at: str) -> str:
    if turn["role"] not in ROLES:
        raise ValueError(f"{at}: expected the roles {', '.join(ROLES)}, got {turn['role']!r}")
    if turn.get("tool_calls"):
        raise ValueError(f"{at}: a turn calls tools, which no environment has: leave such rows out")
    return str(turn["role"])


def _content(turn: Mapping[str, Any], at: str) -> str:
    """The text of a turn, of one part or several."""
    content = turn["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    if not all(
        isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in parts
    ):
        raise ValueError(f"{at}: expected turns of text alone, got {str(content)[:80]!r}")
    return _encodable("".join(part["text"] for part in parts), at)


def _encodable(text: str, at: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"{at}: {text!r:.80} holds half of a character (a lone surrogate), which no tokenizer and no file takes: "
            "mend or remove it"
        ) from None
    return text
