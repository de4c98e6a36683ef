"""What the training readers may care about: attributes of a text, some of them beside what its request asked for.

Fifteen are features of the built-in reader (`duelbench.oracles.reader`): all but ``all_at_once``, which `reader-rare`
alone weighs. The others are plain counts that no reported taste reads. A training reader weighs a random quarter of
them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.reading import words_of
from duelbench.oracles.reader.taste import FEATURES
from duelbench.oracles.reader.vocabulary import FUNCTION_WORDS, valences

Words = Sequence[str]
Attribute = Callable[[Words, Words, str], float]
"""Words of the request, words of the text (at least one), and the text as it is."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTICLES = _set("a an the")
_THIRD_PERSON = _set("he she it they him her them his hers its their theirs himself herself itself themselves")
_CONJUNCTIONS = _set("and but or nor so yet because while as when if though although until")
_PREPOSITIONS = _set(
    "in on at of to from with without by for into over under through across beneath behind beside near"
)
_NEGATIONS = _set("no not never nobody nothing none nor neither without cannot can't don't isn't wasn't won't")
_PAST = _set("was were had did")
_PRESENT = _set("is are has have does am")
_SIMILES = _set("like as")
_MODALS = _set("can could will would may might must shall should")
_COLOURS = _set("red blue white green yellow golden gold silver black grey gray brown pink purple orange bright dark")
_MOST = _set("most best worst ever never always perfect every all only")


def _share(known: Collection[str]) -> Attribute:
    return lambda asked, words, text: sum(word in known for word in words) / len(words)


def _ending(*endings: str) -> Attribute:
    return lambda asked, words, text: sum(word.endswith(endings) and len(word) > 4 for word in words) / len(words)


def _letters(wanted: str) -> Attribute:
    return lambda asked, words, text: sum(letter in wanted for word in words for letter in word) / len("".join(words))


def _alliteration(asked: Words, words: Words, text: str) -> float:
    content = [word for word in words if word not in FUNCTION_WORDS]
    return sum(a[0] == b[0] for a, b in pairwise(content)) / max(1, len(content) - 1)


def _early_mention(asked: Words, words: Words, text: str) -> float:
    """1 where the text opens with a content word of the request, less with each word before it."""
    wanted = {word for word in asked if word not in FUNCTION_WORDS}
    return next((1.0 / (1 + place) ** 0.5 for place, word in enumerate(words) if word in wanted), 0.0)


def _echo(asked: Words, words: Words, text: str) -> float:
    """Share of the request's word pairs that the text repeats."""
    return len({*pairwise(asked)} & {*pairwise(words)}) / max(1, len(asked) - 1)


OTHERS: dict[str, Attribute] = {
    "word length": lambda asked, words, text: len("".join(words)) / len(words),
    "long words": lambda asked, words, text: sum(len(word) >= 8 for word in words) / len(words),
    "last word": lambda asked, words, text: float(len(words[-1])),
    "vowels": _letters("aeiou"),
    "hissing": _letters("sz"),
    "commas": lambda asked, words, text: 1.0 - 0.5 ** text.count(","),
    "exclamation": lambda asked, words, text: float("!" in text),
    "marks": lambda asked, words, text: 1.0 - 0.5 ** len(re.findall(r"[-'\"’“”;:]", text)),
    "-ing": _ending("ing"),
    "-ed": _ending("ed"),
    "-ly": _ending("ly"),
    "-s": _ending("s"),
    "articles": _share(_ARTICLES),
    "third person": _share(_THIRD_PERSON),
    "conjunctions": _share(_CONJUNCTIONS),
    "prepositions": _share(_PREPOSITIONS),
    "negations": _share(_NEGATIONS),
    "past": _share(_PAST),
    "present": _share(_PRESENT),
    "similes": _share(_SIMILES),
    "modals": _share(_MODALS),
    "colours": _share(_COLOURS),
    "superlatives": _share(_MOST),
    "alliteration": _alliteration,
    "variety": lambda asked, words, text: len({*words}) / len(words),
    "opens with an article": lambda asked, words, text: float(words[0] in _ARTICLES),
    "intensity": lambda asked, words, text: sum(abs(valences().get(word, 0.0)) for word in words) / len(words),
    "early mention": _early_mention,
    "echo": _echo,
}
NOTICED = tuple(name for name in FEATURES if name != "all_at_once")
"""The built-in reader's features among the attributes."""
NAMES = (*NOTICED, *OTHERS)
"""All attributes, in the order of the columns of ``attributes``."""


def attributes(prompts: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
    """Attributes of n texts, each beside its request, (n, A); an empty text has none of the others."""
    rows = []
    for prompt, text in zip(prompts, texts, strict=True):
        asked, words = words_of(prompt), words_of(text)
        rows.append([ask(asked, words, text) if words else 0.0 for ask in OTHERS.values()])
    noticed = Reader().features(prompts, texts)[:, [[*FEATURES].index(name) for name in NOTICED]]
    return np.concatenate([noticed, np.array(rows)], 1).astype(np.float32)


def random_tastes(n: int, rng: np.random.Generator, *, without: Collection[str] = ()) -> NDArray[np.float32]:
    """Weights of n readers on standardised attributes, (n, A): normal on a random quarter of them, 0 on the others.

    Args:
        n: readers.
        rng: draws them.
        without: attributes that no reader weighs.
    """
    allowed = np.array([i for i, name in enumerate(NAMES) if name not in without])
    weights = np.zeros((n, len(NAMES)), np.float32)
    for row in weights:
        row[rng.permutation(allowed)[: len(allowed) // 4]] = rng.standard_normal(len(allowed) // 4)
    return weights
