"""What a judge is asked in words, and how its reply is read."""

from __future__ import annotations

import re

from duelbench.oracles.checks import OracleError

TEMPLATE = """You compare two answers to a request and choose the better one.

Request: {prompt}

Answer A: {a}

Answer B: {b}

Which answer is better? Reply with the letter A or B only."""

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_UNFINISHED = re.compile(r"<think(?:ing)?>")
_BRACKETS = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", re.IGNORECASE)
_ALONE = re.compile(
    r"(?:the\s+)?(?:better\s+|best\s+)?(?:answer|response|choice|option|verdict)?\W*(A|B|C|tie)\W*", re.I
)
_FIRST = re.compile(r"\W*(A|B|C)\s*(?:[.:,;)\n]|\*\*|$)")
_NAMED = re.compile(
    r"\b(?:answer|response|choice|option|verdict|winner)\b(?:\s+is)?\W{1,4}(?:(?:answer|response|option)\s+)?([AB])\b"
    r"|\b([AB])\s+is\s+(?:clearly\s+|much\s+|slightly\s+)?better\b",
    re.IGNORECASE,
)
_BOTH = re.compile(r"\b[AB]\s+(?:and|or|versus|vs)\b.{0,20}\b[AB]\b", re.IGNORECASE)
_WORTH = {"A": 1.0, "B": 0.0, "C": 0.5, "TIE": 0.5}


def check_template(name: str, template: str) -> None:
    """Check that a question has its three fields and no other.

    Raises:
        OracleError: a field is missing or unknown.
    """
    fields = {"prompt": "\0p", "a": "\0a", "b": "\0b"}
    try:
        text = template.format(**fields)
    except (KeyError, IndexError, ValueError) as error:
        raise OracleError(f"{name}: a template field is none of {{prompt}}, {{a}}, {{b}}: {error!r}") from error
    missing = [f"{{{field}}}" for field, value in fields.items() if value not in text]
    if missing:
        raise OracleError(f"{name}: the template lacks {', '.join(missing)}: put it where the text goes")


def read_verdict(reply: str) -> float | None:
    """Which answer a reply names: 1.0 for A, 0.0 for B, 0.5 for C or a tie; None where it names none, or both.

    What a model thought aloud in ``<think>`` does not count. A verdict is a letter on its own, in ``[[A]]``, at the
    start before a stop, or after a word such as "answer"; where several are found they must agree, but for double
    brackets, of which the last counts.

    >>> [read_verdict(reply) for reply in ("A", "**B**", "Answer: A", "Both have merit. [[C]]", "A good question!")]
    [1.0, 0.0, 1.0, 0.5, None]
    """
    text = _THOUGHTS.sub("", reply).strip()
    if _UNFINISHED.search(text):
        return None  # it ran out of tokens while it thought
    if marked := _BRACKETS.findall(text):
        return _WORTH[marked[-1].upper()]
    if alone := _ALONE.fullmatch(text):
        return _WORTH[alone[1].upper()]
    if first := _FIRST.match(text):
        return _WORTH[first[1]]
    if _BOTH.search(text):
        return None
    named = {_WORTH[(one or other).upper()] for one, other in _NAMED.findall(text)}
    return named.pop() if len(named) == 1 else None
