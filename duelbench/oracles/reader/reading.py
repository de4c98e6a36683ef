"""What the simulated reader notices: one pass over a text, one over a request. Both are cached by text.

Neither knows where requests come from. A request's mood is the first of its words that has a valence, its
keywords are its content words; that serves any short writing request in English.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from duelbench.oracles.reader.vocabulary import (
    ADVERTS,
    FIRST_PERSON,
    FUNCTION_WORDS,
    MOODS,
    SECOND_PERSON,
    SENSES,
    TASK_WORDS,
    negations,
    valences,
)

#: The reader stops here. Far beyond one sentence, and it bounds the cost of hostile input.
MAX_CHARS = 2000
_NEGATED = -0.74  # VADER's factor for a valence word within three words after a negation
_CACHE = 1 << 16

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE_END = re.compile(r"""[.!?…]+["'”)]*(?=\s+["'“(]*[A-ZÀ-Þ]|\s*$)""")
_LAST_MARK = re.compile(r"""[^.!?…\s][.!?]["'”)]*\s*$""")


class Reading(NamedTuple):
    """One text as the reader took it in.

    Attributes:
        words: the distinct words, lower case.
        length: number of words.
        charged: distinct words with a valence, and that valence.
        n_charged: how many words have a valence, repeats included.
        senses: distinct words for what is seen, heard, felt, smelt or tasted.
        complete: share of the five marks of one whole sentence: a capital, a single end mark, no second
            sentence, paired quotes, five words with two small ones among them.
        repetition: share of content words and of word pairs that were there before, 0 to 1.
        longest_run: most content words in a row without a small word between them.
        speaks: "you" in any form occurs.
        narrates: "I" in any form occurs.
    """

    words: frozenset[str]
    length: int
    charged: tuple[tuple[str, float], ...]
    n_charged: int
    senses: frozenset[str]
    complete: float
    repetition: float
    longest_run: int
    speaks: bool
    narrates: bool


class Wish(NamedTuple):
    """What a request asks for.

    Attributes:
        valence: the mood's valence on VADER's scale of -4 to 4; 0 asks for an even tone.
        keywords: for each content word of the request, the forms that count as a mention of it.
        task_words: words of the request that name the task or the mood: repeating them tells, not shows.
        words: all words of the request: their valence is not the answer's own.
        advert: the answer should speak to its reader.
    """

    valence: float
    keywords: tuple[frozenset[str], ...]
    task_words: frozenset[str]
    words: frozenset[str]
    advert: bool


def words_of(text: str) -> list[str]:
    """The words of a text in order: lower case, typographic apostrophes made plain, possessives dropped."""
    found = _WORD.findall(text[:MAX_CHARS].lower().replace("’", "'"))
    return [word.removesuffix("'s") for word in found]


@lru_cache(maxsize=_CACHE)
def read(text: str) -> Reading:
    """Read one response; see `Reading`."""
    tokens = words_of(text)
    words = frozenset(tokens)
    charged, n_charged = _charged(tokens)
    return Reading(
        words=words,
        length=len(tokens),
        charged=charged,
        n_charged=n_charged,
        senses=words & SENSES,
        complete=_completeness(text[:MAX_CHARS], tokens) if tokens else 0.0,
        repetition=_repetition(tokens),
        longest_run=_longest_run(tokens),
        speaks=not words.isdisjoint(SECOND_PERSON),
        narrates=not words.isdisjoint(FIRST_PERSON),
    )


@lru_cache(maxsize=_CACHE)
def understand(prompt: str) -> Wish:
    """Read one request; see `Wish`."""
    tokens = words_of(prompt)
    mood = next((word for word in tokens if word in MOODS or abs(valences().get(word, 0.0)) >= 0.5), None)
    valence = MOODS.get(mood, valences().get(mood, 0.0)) if mood else 0.0
    task = TASK_WORDS | ({mood} if mood else set())
    keywords = dict.fromkeys(word for word in tokens if word not in FUNCTION_WORDS and word not in task)
    words = frozenset(tokens)
    return Wish(valence, tuple(map(_forms, keywords)), words & task, words, not words.isdisjoint(ADVERTS))


def _forms(word: str) -> frozenset[str]:
    forms = {word + ending for ending in ("", "s", "es", "y", "ing", "ed")}
    if word.endswith("y"):
        forms.add(word[:-1] + "ies")
    if word.endswith(("f", "fe")):
        forms.add(word.removesuffix("e")[:-1] + "ves")
    return frozenset(forms)


def _charged(tokens: list[str]) -> tuple[tuple[tuple[str, float], ...], int]:
    lexicon, turned = valences(), negations()
    found: dict[str, float] = {}
    count = 0
    for i, word in enumerate(tokens):
        value = lexicon.get(word)
        if value is not None:
            count += 1
            if word not in found:
                found[word] = value if turned.isdisjoint(tokens[max(0, i - 3) : i]) else value * _NEGATED
    return tuple(found.items()), count


def _completeness(text: str, tokens: list[str]) -> float:
    first = next((char for char in text if char.isalnum()), "")
    marks = (
        first.isupper(),
        _LAST_MARK.search(text) is not None,
        len(_SENTENCE_END.findall(text)) == 1 and "\n" not in text.strip(),
        text.count('"') % 2 == 0 and text.count("“") == text.count("”"),
        len(tokens) >= 5 and sum(word in FUNCTION_WORDS for word in tokens) >= 2,
    )
    return sum(marks) / len(marks)


def _repetition(tokens: list[str]) -> float:
    content = [word for word in tokens if word not in FUNCTION_WORDS]
    pairs = list(pairwise(tokens))
    again = len(content) - len(set(content)) + len(pairs) - len(set(pairs))
    return again / max(1, len(content) + len(pairs))


def _longest_run(tokens: list[str]) -> int:
    longest = run = 0
    for word in tokens:
        run = 0 if word in FUNCTION_WORDS else run + 1
        longest = max(longest, run)
    return longest
