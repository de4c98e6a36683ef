"""Measure the simulated reader on real responses: constants, spread, best-of-N, extremes, tricks, speed.

Usage, one of::

    python -m duelbench.experiments.reader.calibrate                         # samples the embedded LM
    python -m duelbench.experiments.reader.calibrate --responses FILE.jsonl  # keys "prompt" and "answer"

It prints the constants for ``duelbench/oracles/reader/taste.py`` and the tables of this folder's README.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from scipy.special import expit

import duelbench
from duelbench.envs.text.tasks.grammar import prompts
from duelbench.experiments.reader.tricks import TRICKS
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.reading import read, understand
from duelbench.oracles.reader.taste import FEATURES, MEANS, SDS, TASTES
from duelbench.policies.causal_lm import CausalLMPolicy

SPREAD = 1.2  # sd of u among responses to one prompt that the scales are set to
DRAWS = (1, 2, 4, 8, 16, 32, 64)
EMBEDDED = Path(duelbench.__file__).parent / "assets" / "models" / "tiny"
Answers = dict[str, list[str]]


def load(path: Path) -> Answers:
    """Responses of each prompt, in the order of the file."""
    answers: Answers = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        answers[row["prompt"]].append(row["answer"])
    return {prompt: texts for prompt, texts in answers.items() if len(texts) > 1}


def sample(model: Path, n_prompts: int, n: int) -> Answers:
    """Draw n responses of a language model to each of some training prompts, at temperature 1."""
    policy = CausalLMPolicy(model, features="none")
    rng = np.random.default_rng(0)
    answers = {}
    for prompt in prompts("train", n_prompts):
        drawn = policy.sample({"prompt": [prompt.text]}, n, rng, reference=True)
        answers[prompt.text] = [str(text) for text in drawn.actions[0]]
    return answers


def within(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Standard deviation among the responses to one prompt, pooled over prompts, unbiased."""
    squares = sum(((v - v.mean(axis=0)) ** 2).sum(axis=0) for v in values)
    return np.asarray(np.sqrt(squares / sum(len(v) - 1 for v in values)))


def constants(answers: Answers) -> dict[str, dict[str, float]]:
    """MEANS and SDS (within prompt) of these answers, and the SCALES that give them a spread of `SPREAD`.

    The scales use the means and sds in force: these come from another, broader set of answers (README). Those of
    `all_at_once` and `reader-rare` in force are from ``rare.py``.
    """
    rows = [Reader().features([x] * len(ys), ys) for x, ys in answers.items()]
    means, sds = np.concatenate(rows).mean(axis=0).round(3), within(rows).round(3)
    in_force = np.array(list(MEANS.values())), np.array(list(SDS.values()))
    scales = {}
    for preset, taste in TASTES.items():
        weights = np.array([taste.get(name, 0.0) for name in FEATURES])
        utilities = [((row - in_force[0]) / in_force[1]) @ weights for row in rows]
        scales[preset] = round(SPREAD / float(within(utilities)), 3)
    return {
        "MEANS": dict(zip(FEATURES, means.tolist(), strict=True)),
        "SDS": dict(zip(FEATURES, sds.tolist(), strict=True)),
        "SCALES": scales,
    }


def best_of(utilities: NDArray[np.float64], n: int) -> tuple[float, float]:
    """Expected utility of the best of n draws without replacement, and its win probability over one draw."""
    ordered, k = np.sort(utilities), len(utilities)
    chance = np.array([comb(i, n - 1) / comb(k, n) for i in range(k)])  # that the i-th from below is the best
    wins = expit(ordered[:, None] - ordered[None, :]).mean(axis=1)
    return float(chance @ ordered), float(chance @ wins)


def print_spread(answers: Answers) -> None:
    """Within-prompt spread, range, and the best-of-N curve of every preset."""
    print("| preset | sd within a prompt | sd of prompt means | 1st to 99th percentile |\n|---|---|---|---|")
    utilities = {p: [Reader(p).utilities([x] * len(ys), ys) for x, ys in answers.items()] for p in TASTES}
    for preset, us in utilities.items():
        low, high = np.percentile(np.concatenate(us), [1, 99])
        means = np.std([u.mean() for u in us])
        print(f"| {preset} | {float(within(us)):.2f} | {means:.2f} | {low:.1f} to {high:.1f} |")
    draws = [n for n in DRAWS if n <= min(map(len, answers.values()))]
    print("\n| preset | " + " | ".join(f"N={n}" for n in draws) + " |\n|---" + "|---" * len(draws) + "|")
    for preset, us in utilities.items():
        curve = [np.mean([best_of(u, n) for u in us], axis=0) for n in draws]
        print(f"| {preset} | " + " | ".join(f"{u:.2f} ({p:.2f})" for u, p in curve) + " |")


def print_features(answers: Answers) -> None:
    """The largest correlations, within prompts, among the features of each preset."""
    rows = [Reader().features([x] * len(ys), ys) for x, ys in answers.items()]
    centred = np.concatenate([row - row.mean(axis=0) for row in rows])
    with np.errstate(invalid="ignore"):  # a feature that never varies correlates with nothing
        correlation = np.nan_to_num(np.corrcoef(centred.T))
    names = list(FEATURES)
    for preset, taste in TASTES.items():
        used = [i for i, name in enumerate(names) if name in taste]
        pairs = sorted(combinations(used, 2), key=lambda pair: -abs(correlation[pair]))[:3]
        listed = ", ".join(f"{names[i]} ~ {names[j]} {correlation[i, j]:+.2f}" for i, j in pairs)
        print(f"* {preset}: {listed}")


def print_examples(answers: Answers, preset: str, n_prompts: int = 6) -> None:
    """The best two and the worst response to some prompts."""
    prompts = list(answers)
    for prompt in prompts[:: max(1, len(prompts) // n_prompts)][:n_prompts]:
        texts = sorted(set(answers[prompt]), key=lambda y: Reader(preset).utilities([prompt], [y])[0])
        print(f"\n**{prompt}**\n")
        for text in (texts[-1], texts[-2], texts[0]):
            print(f"* {Reader(preset).utilities([prompt], [text])[0]:+.2f} {text}")


def print_tricks(answers: Answers) -> None:
    """Mean utility of every trick, and its mean win probability over one ordinary response."""
    print("| trick | " + " | ".join(TASTES) + " |\n|---" + "|---" * len(TASTES) + "|")
    for name, trick in TRICKS.items():
        cells = []
        for preset in TASTES:
            reader = Reader(preset)
            u = np.array([reader.utilities([x], [trick(x)])[0] for x in answers])
            ordinary = [reader.utilities([x] * len(ys), ys) for x, ys in answers.items()]
            wins = np.mean([expit(a - b).mean() for a, b in zip(u, ordinary, strict=True)])
            cells.append(f"{u.mean():+.2f} ({wins:.2f})")
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_speed(answers: Answers) -> None:
    """Texts a second on one core, with every text new."""
    prompts = [x for x, ys in answers.items() for _ in ys]
    texts = [y for ys in answers.values() for y in ys]
    reader = Reader()
    reader.utilities(prompts[:1], texts[:1])
    read.cache_clear()
    understand.cache_clear()
    start = time.perf_counter()
    reader.utilities(prompts, texts)
    print(f"\n{len(set(texts)) / (time.perf_counter() - start):,.0f} new texts a second")


def main(responses: Path | None = None, model: Path = EMBEDDED, n_prompts: int = 96, n: int = 64) -> None:
    """Print the constants, then the tables with the constants that are in force.

    Args:
        responses: JSON Lines to measure; without it the model is sampled.
        model: folder of a causal LM.
        n_prompts: how many training prompts the model answers.
        n: how many responses it gives to each.
    """
    answers = load(responses) if responses else sample(model, n_prompts, n)
    print(f"{len(answers)} prompts, {sum(map(len, answers.values()))} responses\n")
    for name, values in constants(answers).items():
        print(f"{name}: dict[str, float] = {json.dumps(values)}")
    print()
    print_spread(answers)
    print()
    print_features(answers)
    print_examples(answers, "reader")
    print()
    print_tricks(answers)
    print_speed(answers)


if __name__ == "__main__":
    tyro.cli(main)
