"""What the simulated reader makes of real responses: spread, best of N, correlations, examples, tricks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from duelbench.envs.text.tasks.load import load_task
from duelbench.experiments.reader import rare
from duelbench.experiments.reader.measures import best_of, within
from duelbench.experiments.reader.tricks import TRICKS
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.taste import FEATURES, TASTES

DRAWS = (1, 2, 4, 8, 16, 32, 64)
TASK = "short-writing"
"""The pool that ships with the package."""

Answers = Mapping[str, Sequence[str]]
"""Responses of each prompt."""


def results() -> str:
    """All tables, as Markdown, of the embedded language model's stored responses to the duel prompts of the pool."""
    answers = stored(TASK)
    n = sum(map(len, answers.values()))
    return (
        "\n\n".join(
            [
                "# Results",
                f"Written by a program from the pool's {n:,} stored responses to {len(answers)} duel prompts.",
                "## The tastes: weights on standardised features",
                weights(),
                "## Spread",
                spread(answers),
                "Expected utility of the best of N, and its probability to win against one ordinary response:",
                best_of_table(answers),
                "## Utilities less the mean of their prompt",
                rare.table(),
                "## Largest correlations of features within prompts",
                correlations(answers),
                "## Tricks: mean utility, and mean probability to win against one ordinary response",
                trick_table(answers),
                "## Best two and worst of 64 responses",
                examples(answers),
            ]
        )
        + "\n"
    )


def stored(task: str) -> Answers:
    """The responses to a task's duel prompts."""
    loaded = load_task(task)
    return {
        prompt: [str(text) for text in texts]
        for prompt, texts in zip(loaded.prompts[: loaded.n_duel], loaded.references, strict=False)
    }


def weights() -> str:
    """What each taste reads; an empty cell is a feature that it does not read."""
    rows = [
        [f"`{name}`", asks.replace("|", "\\|"), *(_weight(taste.get(name)) for taste in TASTES.values())]
        for name, asks in FEATURES.items()
    ]
    return _table(["feature", "asks", *TASTES], rows)


def _weight(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}".replace("-", "−")


def spread(answers: Answers) -> str:
    """Spread of the utilities of every preset."""
    rows = []
    for preset in TASTES:
        us = _utilities(preset, answers)
        low, high = np.percentile(np.concatenate(us), [1, 99])
        means = np.std([u.mean() for u in us])
        rows.append([preset, f"{float(within(us)):.2f}", f"{means:.2f}", f"{low:.1f} to {high:.1f}".replace("-", "−")])
    return _table(["preset", "sd within a prompt", "sd of prompt means", "1st to 99th percentile"], rows)


def best_of_table(answers: Answers) -> str:
    """The best-of-N curve of every preset."""
    draws = [n for n in DRAWS if n <= min(map(len, answers.values()))]
    rows = []
    for preset in TASTES:
        us = _utilities(preset, answers)
        curve = [np.mean([best_of(u, n) for u in us], axis=0) for n in draws]
        rows.append([preset, *(f"{u:.2f} ({p:.2f})" for u, p in curve)])
    return _table(["preset", *(f"N={n}" for n in draws)], rows)


def correlations(answers: Answers) -> str:
    """The largest correlations, within prompts, among the features of each preset."""
    rows = [Reader().features([x] * len(ys), list(ys)) for x, ys in answers.items()]
    centred = np.concatenate([row - row.mean(axis=0) for row in rows])
    with np.errstate(invalid="ignore"):  # a feature that never varies correlates with nothing
        correlation = np.nan_to_num(np.corrcoef(centred.T))
    names, lines = list(FEATURES), []
    for preset, taste in TASTES.items():
        used = [i for i, name in enumerate(names) if name in taste]
        pairs = sorted(combinations(used, 2), key=lambda pair: -abs(correlation[pair]))[:3]
        listed = ", ".join(f"{names[i]} and {names[j]} {_signed(correlation[i, j])}" for i, j in pairs)
        lines.append(f"* {preset}: {listed}")
    return "\n".join(lines)


def examples(answers: Answers, preset: str = "reader", count: int = 6) -> str:
    """The best two and the worst response to some prompts, with their utilities."""
    prompts, parts = list(answers), []
    for prompt in prompts[:: max(1, len(prompts) // count)][:count]:
        texts = sorted(set(answers[prompt]))
        utilities = Reader(preset).utilities([prompt] * len(texts), texts)
        worst, *_, second, best = np.argsort(utilities)
        told = [f"* {_signed(utilities[i])} {texts[i]}" for i in (best, second, worst)]
        parts.append(f"**{prompt}**\n\n" + "\n".join(told))
    return "\n\n".join(parts)


def trick_table(answers: Answers) -> str:
    """Mean utility of every trick, and its mean win probability over one ordinary response."""
    prompts = list(answers)
    cells: dict[str, list[str]] = {name: [name] for name in TRICKS}
    for preset in TASTES:
        ordinary = _utilities(preset, answers)
        for name, trick in TRICKS.items():
            u = Reader(preset).utilities(prompts, [trick(x) for x in prompts])
            wins = np.mean([expit(a - b).mean() for a, b in zip(u, ordinary, strict=True)])
            cells[name].append(f"{_signed(u.mean())} ({wins:.2f})")
    return _table(["trick", *TASTES], list(cells.values()))


def _utilities(preset: str, answers: Answers) -> list[NDArray[np.float64]]:
    reader = Reader(preset)
    return [reader.utilities([x] * len(ys), list(ys)) for x, ys in answers.items()]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
