"""Measure the simulated reader on responses of your own: the constants of its taste, and the tables of RESULTS.md.

Usage, one of::

    python -m duelbench.experiments.reader.calibrate                         # samples the embedded LM
    python -m duelbench.experiments.reader.calibrate --responses FILE.jsonl  # keys "prompt" and "answer"
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console

import duelbench
from duelbench.envs.text.tasks.grammar import prompts
from duelbench.experiments.reader.measures import within
from duelbench.experiments.reader.tables import (
    Answers,
    best_of_table,
    correlations,
    examples,
    spread,
    trick_table,
)
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.reading import read, understand
from duelbench.oracles.reader.taste import FEATURES, MEANS, SDS, TASTES
from duelbench.policies.causal_lm import CausalLMPolicy

SPREAD = 1.2  # sd of u among responses to one prompt that the scales are set to
EMBEDDED = Path(duelbench.__file__).parent / "assets" / "models" / "tiny"


def load(path: Path) -> Answers:
    """Responses of each prompt, in the order of the file."""
    answers: dict[str, list[str]] = defaultdict(list)
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


def constants(answers: Answers) -> dict[str, dict[str, float]]:
    """MEANS and SDS (within prompt) of these answers, and the SCALES that give them a spread of `SPREAD`.

    The scales use the means and sds in force: these come from another, broader set of answers (README). Those of
    `all_at_once` and `reader-rare` in force are from ``rare.py``.
    """
    rows = [Reader().features([x] * len(ys), list(ys)) for x, ys in answers.items()]
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


def texts_per_second(answers: Answers) -> float:
    """Texts a second on one core, with every text new."""
    prompts = [x for x, ys in answers.items() for _ in ys]
    texts = [y for ys in answers.values() for y in ys]
    reader = Reader()
    reader.utilities(prompts[:1], texts[:1])
    read.cache_clear()
    understand.cache_clear()
    start = time.perf_counter()
    reader.utilities(prompts, texts)
    return len(set(texts)) / (time.perf_counter() - start)


def main(responses: Path | None = None, model: Path = EMBEDDED, n_prompts: int = 96, n: int = 64) -> None:
    """Print the constants, then the tables with the constants that are in force.

    Args:
        responses: JSON Lines to measure; without it the model is sampled.
        model: folder of a causal LM.
        n_prompts: how many training prompts the model answers.
        n: how many responses it gives to each.
    """
    answers = load(responses) if responses else sample(model, n_prompts, n)
    parts = [f"{len(answers)} prompts, {sum(map(len, answers.values()))} responses"]
    parts += [f"{name}: dict[str, float] = {json.dumps(values)}" for name, values in constants(answers).items()]
    parts += [table(answers) for table in (spread, best_of_table, correlations, examples, trick_table)]
    parts += [f"{texts_per_second(answers):,.0f} new texts a second"]
    Console(soft_wrap=True).print("\n\n".join(parts), markup=False, highlight=False)


if __name__ == "__main__":
    tyro.cli(main)
