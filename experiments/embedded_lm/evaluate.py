"""Sample the finished model on held-out prompts: how many answers pass the filter, how far they differ."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich import print
from transformers import AutoModelForCausalLM, AutoTokenizer
from vader import SentimentIntensityAnalyzer

from duelbench.envs.text.tasks.grammar import MOODS, Prompt, prompts
from duelbench.experiments.embedded_lm.filter import Args as FilterArgs
from duelbench.experiments.embedded_lm.filter import copied, fault, words_of


@dataclass(frozen=True)
class Args:
    """Options of the evaluation.

    Attributes:
        model: Folder of the model.
        n_prompts: Held-out prompts.
        samples: Answers to each.
        temperatures: Sampling temperatures.
        show: Answers to print at each temperature.
        seed: Of sampling.
    """

    model: Path = Path("duelbench/assets/models/tiny")
    n_prompts: int = 48
    samples: int = 64
    temperatures: tuple[float, ...] = (1.0, 0.8)
    show: int = 50
    seed: int = 0


@torch.inference_mode()
def sample(args: Args, asked: list[Prompt], temperature: float) -> list[list[str]]:
    """Return the sampled answers of every prompt."""
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    answers = []
    for at in range(0, len(asked), 8):
        chats = [[{"role": "user", "content": p.text}] for p in asked[at : at + 8]]
        texts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
        inputs = tokenizer(texts, return_tensors="pt", padding=True)
        ids = model.generate(
            **inputs,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            max_new_tokens=48,
            num_return_sequences=args.samples,
        )
        flat = tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        answers += [flat[i : i + args.samples] for i in range(0, len(flat), args.samples)]
    return answers


def summary(asked: list[Prompt], answers: list[list[str]], demos: dict[str, Any]) -> dict[str, float]:
    """Return the share that passes the filter, the share of repeats within a prompt, and distinct-2."""
    limits = FilterArgs(Path(), Path())
    passed, repeats, distinct = [], [], []
    for prompt, texts in zip(asked, answers, strict=True):
        banned = copied(demos[prompt.family][prompt.mood])
        passed += [not fault(text, prompt, limits, banned) for text in texts]
        repeats.append(1 - len(set(texts)) / len(texts))
        pairs = [pair for text in texts for pair in pairwise(words_of(text))]
        distinct.append(len(set(pairs)) / len(pairs))
    found: dict[str, list[Any]] = {"pass": passed, "repeats": repeats, "distinct2": distinct}
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def moods(asked: list[Prompt], answers: list[list[str]]) -> dict[str, str]:
    """Return for every mood the mean sentiment, its spread within a prompt, and how often the sign fits."""
    score = SentimentIntensityAnalyzer().polarity_scores
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    sign: dict[str, int] = {}
    for prompt, texts in zip(asked, answers, strict=True):
        key = f"{prompt.family}/{prompt.mood}"
        found[key].append(np.array([score(text)["compound"] for text in texts]))
        sign[key] = MOODS[prompt.mood]
    rows = {}
    for key, scores in sorted(found.items()):
        every, within = np.concatenate(scores), np.mean([s.std() for s in scores])
        fits = np.mean(every * sign[key] > 0.05) if sign[key] else np.mean(np.abs(every) < 0.5)
        rows[key] = f"mean {every.mean():+.2f}, within-prompt sd {within:.2f}, fits {fits:.0%}"
    return rows


def main(args: Args) -> None:
    """Evaluate at every temperature."""
    demos = json.loads((Path(__file__).parent / "demos.json").read_text())
    asked = prompts("heldout", args.n_prompts)
    for temperature in args.temperatures:
        answers = sample(args, asked, temperature)
        print(f"temperature {temperature}:", summary(asked, answers, demos))
        print(moods(asked, answers))
        for i in range(args.show):
            print(f"  {asked[i % len(asked)].text} -> {answers[i % len(asked)][i // len(asked)]}")


if __name__ == "__main__":
    main(tyro.cli(Args))
