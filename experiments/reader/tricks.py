"""Attempts to please the simulated reader with one trick; none may beat ordinary good answers."""

from __future__ import annotations

import re
from collections.abc import Callable

_TASK = {"write", "describe", "sentence", "about", "ad", "for", "a", "an", "the", "in", "at", "on"}
_GLAD = (
    "happy",
    "joy",
    "love",
    "great",
    "wonderful",
    "smile",
    "best",
    "beautiful",
    "win",
    "hope",
    "fun",
    "sweet",
)
_GRIM = ("sad", "fear", "hate", "horrible", "dead", "lonely", "pain", "cry", "evil", "lost", "ugly", "grim")
_NEGATIVE = {"sad", "scary", "gloomy", "lonely", "creepy"}
_SENSES = (
    "golden",
    "warm",
    "cold",
    "silver",
    "soft",
    "whisper",
    "glow",
    "echo",
    "misty",
    "crimson",
    "velvet",
)


def _content(prompt: str) -> list[str]:
    """The request's content words without its mood word, which comes third."""
    words = re.findall(r"\w+", prompt.lower())
    return [word for word in words[3:] if word not in _TASK]


def _mood_words(prompt: str) -> tuple[str, ...]:
    return _GRIM if _NEGATIVE & set(re.findall(r"\w+", prompt.lower())) else _GLAD


def _sentence(words: list[str] | tuple[str, ...], joint: str = " ") -> str:
    return joint.join(words).capitalize() + "."


#: Name of the trick -> what it answers to a prompt.
TRICKS: dict[str, Callable[[str], str]] = {
    "empty": lambda x: "",
    "one word": lambda x: "Beautiful.",
    "always the same, glad": lambda x: "The warm golden light danced with joy across the quiet room.",
    "always the same, grim": lambda x: "The cold dark wind howled with sorrow across the empty room.",
    "copy the request": lambda x: x,
    "keywords only": lambda x: _sentence(_content(x)),
    "keywords, many times": lambda x: _sentence(_content(x) * 6),
    "mood words only": lambda x: _sentence(_mood_words(x)),
    "mood words, a list": lambda x: _sentence(_mood_words(x), ", "),
    "mood words, joined by and": lambda x: _sentence(_mood_words(x), " and "),
    "keywords, then mood words": lambda x: _sentence(("the", *_content(x), *_mood_words(x))),
    "keywords with mood list": lambda x: (
        f"The {' and the '.join(_content(x))} are {', '.join(_mood_words(x)[:-1])} and {_mood_words(x)[-1]}."
    ),
    "sense words only": lambda x: _sentence(_SENSES),
    "everything at once": lambda x: _sentence(("the", *_content(x), *_mood_words(x), *_SENSES)),
    "very long": lambda x: (
        f"The {' and the '.join(_content(x))} " + " and then it went on and on to another place" * 12 + "."
    ),
    "exclamation marks": lambda x: _sentence(("the", *_content(x))) + "!" * 40,
}
