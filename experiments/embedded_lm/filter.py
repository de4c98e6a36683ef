"""Keep the raw answers that are one clean sentence on the topic, and say why the others went."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import tyro
from rich import print

from duelbench.envs.text.tasks.grammar import Prompt, article, parse

PLAIN = re.compile(r"[A-Z][a-z]*(?:[ ,;'-]+(?:[a-z]+|I))*[.!?]")  # a capital inside is a name: out
#: Words that may come twice in one answer.
LITTLE = frozenset(
    re.findall(
        r"[\w']+",
        """a an the and or but of in on at to for with from by as is was are it its it's that this you your he
        she they his her their them who will can can't have has be been not no so into than where when like
        every one""",
    )
)
META = re.compile(
    r"\b(sentence|here is|here's|sorry|as an ai|describe\w*|advert\w*|ads?|rewrite\w*|word|example)\b", re.I
)


@dataclass(frozen=True)
class Args:
    """Options of the filter.

    Attributes:
        raw: JSON Lines written by generate.py.
        out: JSON Lines to write.
        min_words: Fewest words of an answer.
        max_words: Most words of an answer.
        min_count: Every word must occur in this many raw answers: rarer ones are mostly noise.
        max_opening: Largest share of the data with the same first five words (topic masked).
    """

    raw: Path
    out: Path
    min_words: int = 6
    max_words: int = 26
    min_count: int = 6
    max_opening: float = 0.02


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def mentions(word: str, words: list[str]) -> bool:
    """Say whether a noun occurs, in the singular or the plural or with 's."""
    plurals = {word + "s", word + "es", re.sub("f$|fe$", "ves", word), re.sub("y$", "ies", word)}
    return not ({word, word + "'s"} | plurals).isdisjoint(words)


def fault(answer: str, prompt: Prompt, args: Args, banned: set[tuple[str, ...]]) -> str:
    """Return why an answer is not wanted, or "".

    Args:
        answer: One raw answer.
        prompt: Its request.
        args: The limits.
        banned: Runs of words that would be copied from a demonstration.
    """
    words = words_of(answer)
    content = [w for w in words if w not in LITTLE and w not in prompt.keywords]
    pairs = [pair for pair in pairwise(words) if not LITTLE.issuperset(pair)]
    grams = {tuple(words[i : i + n]) for n in (1, 4) for i in range(len(words))}
    articles = re.findall(r"\b(an?) (\w+)", answer, re.I)
    checks = {
        "form": PLAIN.fullmatch(answer) is None,
        "length": not args.min_words <= len(words) <= args.max_words,
        "topic": not mentions(prompt.topic, words),
        "meta": META.search(answer) is not None,
        "repeats": any(len(set(x)) < len(x) for x in (content, pairs)) or words.count(prompt.topic) > 2,
        "demonstration": not banned.isdisjoint(grams),
        "article": any((article(w) == "an") != (a.lower() == "an") for a, w in articles if w[0] not in "uoh"),
    }
    return next((name for name, bad in checks.items() if bad), "")


def copied(demos: list[list[str]]) -> set[tuple[str, ...]]:
    """Return the nouns of the demonstrations and every four words in a row of their answers."""
    nouns = ("sled", "spade", "puppy", "pilot", "lamb", "camel", "mall", "canal")
    banned: set[tuple[str, ...]] = {(noun,) for noun in nouns}
    for _, answer in demos:
        words = words_of(answer)
        banned |= {tuple(words[i : i + 4]) for i in range(len(words) - 3)}
    return banned


def sift(rows: list[dict[str, Any]], demos: dict[str, Any], args: Args) -> tuple[list[dict[str, str]], Counter[str]]:
    """Return the rows that pass every check, and how many fell at each."""
    spread = Counter(word for row in rows for word in set(words_of(row["answer"])))
    banned = {(f, m): copied(d) for f, moods in demos.items() for m, d in moods.items()}
    kept: list[dict[str, str]] = []
    reasons: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    openings: Counter[tuple[str, ...]] = Counter()
    limit = max(5, args.max_opening * len(rows) / 3)  # about a third survives
    for row in rows:
        prompt, answer = parse(row["prompt"]), row["answer"]
        why = fault(answer, prompt, args, banned[prompt.family, prompt.mood])
        first = tuple("*" if w in prompt.keywords else w for w in words_of(answer)[:5])
        if not why and min(spread[w] for w in words_of(answer)) < args.min_count:
            why = "rare word"
        elif not why and (row["prompt"], answer) in seen:
            why = "duplicate"
        elif not why and openings[first] >= limit:
            why = "common opening"
        reasons[why or "kept"] += 1
        if not why:
            seen.add((row["prompt"], answer))
            openings[first] += 1
            kept.append({"prompt": row["prompt"], "answer": answer})
    return kept, reasons


def main(args: Args) -> None:
    """Filter one file."""
    demos = json.loads((Path(__file__).parent / "demos.json").read_text())
    rows = [json.loads(line) for line in args.raw.read_text().splitlines()]
    kept, reasons = sift(rows, demos, args)
    args.out.write_text("".join(json.dumps(row) + "\n" for row in kept))
    asked = len({row["prompt"] for row in kept})
    print(f"{len(kept)} of {len(rows)} kept ({len(kept) / len(rows):.0%}), {asked} prompts")
    print(dict(reasons.most_common()))


if __name__ == "__main__":
    main(tyro.cli(Args))
