"""A small grammar of short writing requests, each with a mood that the answer should fit.

Three families: a story sentence, an advertisement, a description. Every combination of words belongs to
exactly one split: prompts for distillation, training and held-out judging share words but never overlap.

Example:
    >>> parse("Write a sad sentence about an owl in the rain.").keywords
    ('owl', 'rain')
    >>> set(prompts("train", 500)) & set(prompts("heldout", 500))
    set()
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

#: The moods of each family, with the valence of the text they ask for.
FAMILY_MOODS: dict[str, dict[str, int]] = {
    "story": {"happy": 1, "hopeful": 1, "funny": 1, "calm": 0, "sad": -1, "scary": -1},
    "product": {"cheerful": 1, "bold": 1, "funny": 1, "honest": 0, "gloomy": -1},
    "place": {"lovely": 1, "sunny": 1, "quiet": 0, "lonely": -1, "creepy": -1, "gloomy": -1},
}
#: Valence of every mood word: +1 asks for a positive text, -1 for a negative one, 0 for neither.
MOODS: dict[str, int] = {mood: sign for moods in FAMILY_MOODS.values() for mood, sign in moods.items()}
#: Share of the combinations that each split owns, in order.
SPLITS: dict[str, float] = {"distil": 0.6, "train": 0.3, "heldout": 0.1}
_SPLIT_SEED = 20240229  # fixes which combination belongs to which split: changing it changes the data


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WHO = _words("""
    fox dog cat owl bear wolf horse rabbit mouse bird duck frog turtle lion tiger elephant monkey penguin
    whale dolphin goat cow pig hen donkey squirrel crow spider bee dragon ghost witch wizard king queen
    prince knight pirate robot sailor farmer teacher doctor nurse baker chef painter singer dancer soldier
    thief detective girl boy child student mother father grandmother clown""")
WHERE = (
    *(
        f"in the {noun}"
        for noun in _words("""
        rain snow forest garden city desert kitchen library dark mountains village castle cave jungle market
        park school hospital museum attic fog storm wind sun moonlight""")
    ),
    *(f"at the {noun}" for noun in _words("beach river lake station window door party wedding circus")),
    *(f"on the {noun}" for noun in _words("bridge roof train island ship road")),
)
PRODUCTS = _words("""
    chair table lamp sofa bed pillow blanket clock mirror candle vase rug shelf desk door window car bicycle
    boat truck scooter motorcycle train phone camera laptop printer television radio keyboard headset robot
    toaster kettle oven blender fridge freezer dishwasher vacuum broom mop knife spoon mug bottle pan teapot
    hat coat scarf shirt jacket sweater dress shoe boot glove umbrella watch ring necklace bag wallet
    suitcase backpack tent lantern map guitar piano violin drum flute book notebook pencil calendar puzzle
    kite ball toy soap shampoo perfume towel toothbrush pizza sandwich cake cookie apple""")
PLACES = _words("""
    beach forest garden village city castle lake river mountain valley desert island farm harbor market park
    school library museum hospital church temple cemetery station hotel cafe restaurant bakery theater
    street bridge tunnel cave cabin house attic cellar kitchen playground lighthouse meadow swamp jungle
    field road town factory prison zoo orchard""")
LOOKS = _words("red blue white small big new old")
TIMES = ("in spring", "in summer", "in autumn", "in winter", "at dawn", "at noon", "at sunset", "at night")
_SLOTS = {"story": (WHO, WHERE), "product": (PRODUCTS, LOOKS), "place": (PLACES, TIMES)}


@dataclass(frozen=True)
class Prompt:
    """One writing request.

    Attributes:
        text: The request as the policy sees it.
        family: "story", "product" or "place".
        mood: The slot word that the answer should fit; a key of `MOODS`.
        topic: The noun that the answer must mention.
        keywords: The topic, then the last word of the setting.
    """

    text: str
    family: str
    mood: str
    topic: str
    keywords: tuple[str, ...]


def article(word: str) -> str:
    """Return the indefinite article of a word of this grammar: `article("owl") == "an"`."""
    return "an" if word.startswith(("a", "e", "i", "o", "um", "hon")) else "a"


def _make(family: str, mood: str, topic: str, setting: str) -> Prompt:
    text = {
        "story": f"Write {article(mood)} {mood} sentence about {article(topic)} {topic} {setting}.",
        "product": f"Write {article(mood)} {mood} ad for {article(setting)} {setting} {topic}.",
        "place": f"Describe {article(mood)} {mood} {topic} {setting}.",
    }[family]
    return Prompt(text, family, mood, topic, (topic, setting.split()[-1]))


@cache
def pool(split: str, family: str) -> tuple[Prompt, ...]:
    """Return every prompt of one family that a split owns, in an order that never changes."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    rng = np.random.Generator(np.random.PCG64(_SPLIT_SEED))
    combinations = {f: list(product(FAMILY_MOODS[f], *slots)) for f, slots in _SLOTS.items()}
    orders = {f: rng.permutation(len(every)) for f, every in combinations.items()}
    edges = np.round(np.cumsum([0.0, *SPLITS.values()]) * len(orders[family])).astype(int)
    at = list(SPLITS).index(split)
    return tuple(_make(family, *combinations[family][i]) for i in orders[family][edges[at] : edges[at + 1]])


def prompts(split: str, n: int, seed: int = 0, family: str | None = None) -> list[Prompt]:
    """Draw distinct prompts of a split, families in turn until one runs out.

    Args:
        split: "distil", "train" or "heldout"; the three are disjoint.
        n: How many prompts; a longer list starts with the shorter one.
        seed: Chooses which prompts, and their order.
        family: Draw from this family alone.

    Raises:
        ValueError: The split is unknown or holds fewer than `n` prompts.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    pools = [pool(split, f) for f in ([family] if family else FAMILY_MOODS)]
    decks = [[deck[i] for i in rng.permutation(len(deck))] for deck in pools]
    drawn = [deck[i] for i in range(max(map(len, decks))) for deck in decks if i < len(deck)]
    if n > len(drawn):
        raise ValueError(f"split {split!r} has {len(drawn)} prompts, {n} were asked for")
    return drawn[:n]


_PATTERNS = {
    "story": re.compile(r"Write an? (?P<mood>\w+) sentence about an? (?P<topic>\w+) (?P<setting>.+)\."),
    "product": re.compile(r"Write an? (?P<mood>\w+) ad for an? (?P<setting>\w+) (?P<topic>\w+)\."),
    "place": re.compile(r"Describe an? (?P<mood>\w+) (?P<topic>\w+) (?P<setting>.+)\."),
}


def parse(text: str) -> Prompt:
    """Recover a `Prompt` from its text alone; ValueError if it is not of this grammar."""
    for family, pattern in _PATTERNS.items():
        match = pattern.fullmatch(text.strip())
        if match and match["mood"] in FAMILY_MOODS[family]:
            prompt = _make(family, **match.groupdict())
            if prompt.text == text.strip():  # the articles agree
                return prompt
    raise ValueError(f"not a request of this grammar: {text!r}")
