"""Texts to learn from: responses of the embedded LM to prompts that no task uses.

They are written in shards; a restart goes on from the last one.

python -m duelbench.experiments.preference_encoder.sample --folder ~/.cache/duelbench/preference_encoder
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from duelbench.assets.model_source import resolve_model
from duelbench.envs.text.tasks.grammar import prompts
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.records.files import write_atomic
from duelbench.streams import Streams

SPLIT = "distil"
"""Where the prompts come from: no task may use a prompt of this split, see the tests."""
PROMPT_SEED = 77
TEMPERATURES = {0.7: 4, 1.0: 8, 1.3: 4}
"""Responses to a prompt by the temperature that they were sampled at."""
SHARD = 128
_AT_ONCE = 32  # prompts in one sampling call


@dataclass
class Sample:
    """Options of the texts."""

    folder: Path
    """Where the shards go."""
    prompts: int = 6144
    """How many prompts."""
    model: str = "tiny"
    """Who answers."""


def sample(options: Sample) -> None:
    """Write the shards that are not there yet."""
    options.folder.mkdir(parents=True, exist_ok=True)
    asked = [prompt.text for prompt in prompts(SPLIT, options.prompts, seed=PROMPT_SEED)]
    policies = {
        heat: CausalLMPolicy(resolve_model(options.model), temperature=heat, features="none") for heat in TEMPERATURES
    }
    for index, start in enumerate(range(0, len(asked), SHARD)):
        path = options.folder / f"texts-{index:03d}.json"
        if not path.is_file():
            write_atomic(path, json.dumps(_answer(policies, asked[start : start + SHARD], index)))
            Console(stderr=True).print(f"{path.name}: {start + SHARD} of {len(asked)} prompts")


def load_texts(folder: Path) -> list[tuple[str, list[str]]]:
    """Prompts and their responses, of all shards in their order."""
    return [(prompt, texts) for path in sorted(folder.glob("texts-*.json")) for prompt, texts in _read(path)]


def _read(path: Path) -> list[tuple[str, list[str]]]:
    rows: list[tuple[str, list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _answer(policies: dict[float, CausalLMPolicy], asked: list[str], index: int) -> list[Any]:
    rng = Streams(index).generator("preference_encoder")
    rows: list[Any] = [[prompt, []] for prompt in asked]
    for start in range(0, len(asked), _AT_ONCE):
        chunk = tuple(asked[start : start + _AT_ONCE])
        for heat, policy in policies.items():
            drawn = policy.sample({"prompt": chunk}, TEMPERATURES[heat], rng, reference=True)
            for row, texts in zip(rows[start : start + _AT_ONCE], drawn.actions.tolist(), strict=True):
                row[1] += texts
    return rows


if __name__ == "__main__":
    sample(tyro.cli(Sample))
