"""Make the pool file of a task: N responses of the reference LM to every prompt, with features and utilities.

    python -m duelbench.experiments.pool.build --out envs/text/tasks/data/short-writing.npz
    python -m duelbench.experiments.pool.build --out FILE --texts-of FILE      # other features of the same texts

The file is what LLMDuelPool-v0 plays on and what LLMDuel-v0 compares free text with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.progress import track

from duelbench.assets.model_source import resolve_model
from duelbench.envs.text.tasks.grammar import prompts
from duelbench.envs.text.tasks.load import load_task
from duelbench.envs.text.tasks.task import FEATURE_BOUND, Task
from duelbench.oracles import make_oracle
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.posteriors.encoders.preference import PreferenceEncoder
from duelbench.streams import Streams
from duelbench.types import Responses

_AT_ONCE = 8  # prompts in one sampling call
_MORE = 8  # times that as many are drawn again for a prompt whose responses are too much alike
READERS = ("reader-easy", "reader", "reader-hard")


@dataclass
class Build:
    """Options of the pool file."""

    out: Path
    """File to write."""
    model: str = "tiny"
    """Reference LM: a packaged name, a folder or a hub id."""
    duel_prompts: int = 192
    """Prompts that duels use."""
    heldout_prompts: int = 64
    """Prompts kept for judging."""
    responses: int = 64
    """N, distinct responses kept a prompt."""
    draws: int = 128
    """Responses sampled a prompt at a time, until N of them are distinct; the first N are kept."""
    dim: int = 192
    """d, principal components of the LM's features kept."""
    texts_of: Path | None = None
    """A pool file whose texts and features are taken, except those of `preference`, which are made anew."""
    temperature: float = 1.0
    """Of sampling."""
    seed: int = 0
    """Of sampling."""


def build(options: Build) -> Task:
    """Sample, or take what was sampled, and add the features of the `preference` encoder."""
    task = sample(options) if options.texts_of is None else load_task(str(options.texts_of))
    encoder = PreferenceEncoder()
    parts = [
        encoder.encode(task.prompts[at : at + _AT_ONCE], task.references[at : at + _AT_ONCE].tolist())
        for at in track(range(0, len(task.prompts), _AT_ONCE), "encoding")
    ]
    features = {"preference": torch.cat(parts).numpy()}
    return replace(task, name=options.out.stem, features=task.features | features)


def sample(options: Build) -> Task:
    """Sample, keep the first N distinct responses of every prompt, and describe them."""
    asked = [p.text for p in prompts("train", options.duel_prompts)]
    asked += [p.text for p in prompts("heldout", options.heldout_prompts)]
    policy = CausalLMPolicy(resolve_model(options.model), temperature=options.temperature, dtype="float32")
    rng = Streams(options.seed).generator("pool")
    kept: list[Responses] = []
    for start in track(range(0, len(asked), _AT_ONCE), "sampling"):
        chunk = tuple(asked[start : start + _AT_ONCE])
        drawn = policy.sample({"prompt": chunk}, options.draws, rng, reference=True)
        kept += [_distinct(policy, drawn.rows([row]), options.responses, rng) for row in range(len(chunk))]
    texts = np.array([responses.actions[0] for responses in kept], dtype=object)  # (P, N)
    features = np.stack([responses.features[0] for responses in kept])  # (P, N, D)
    return Task(
        name=options.out.stem,
        prompts=tuple(asked),
        n_duel=options.duel_prompts,
        references=texts,
        features={"lm": principal_components(features, options.duel_prompts, options.dim)},
        lm_log_probs=np.stack([responses.log_probs[0] for responses in kept]),
        utilities={name: _utilities(name, asked, texts) for name in READERS},
        card={
            "made_by": "duelbench.experiments.pool.build",
            "model": options.model,
            "seed": options.seed,
            "temperature": options.temperature,
            "draws": options.draws,
        },
    )


def _distinct(policy: CausalLMPolicy, drawn: Responses, n: int, rng: np.random.Generator) -> Responses:
    """The first n distinct, non-empty responses to one prompt, shape (1, n); where they are too few, more are drawn.

    Raises:
        ValueError: the model does not have as many to give.
    """
    observation, per_draw = {"prompt": drawn.prompts}, drawn.actions.shape[1]
    for _ in range(_MORE):
        first = [i for i, j in enumerate(drawn.canonical[0]) if i == j and drawn.actions[0, i]]
        if len(first) >= n:
            return drawn.columns(np.array(first[:n]))
        drawn = _beside(drawn, policy.sample(observation, per_draw, rng, reference=True))
    raise ValueError(
        f"only {len(first)} distinct responses to {drawn.prompts[0]!r} in {drawn.actions.size} draws, {n} are wanted: "
        "ask for fewer --responses, or a higher --temperature"
    )


def _beside(one: Responses, more: Responses) -> Responses:
    """More responses to the same prompts; of policy-private arrays nothing is kept."""
    names = ("actions", "log_probs", "reference_log_probs", "lengths", "features")
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in (one, more)], axis=1) for name in names
    }
    return replace(one, **arrays, payload={})


def principal_components(features: NDArray[np.float32], n_fit: int, dim: int) -> NDArray[np.float32]:
    """The leading components of standardised features (P, N, D), each with unit spread.

    The components are those of the variation *within* a prompt, which is all that a duel can see; on held-out prompts
    they keep more of the utility than components of the total variation. Fitted on the first n_fit prompts.
    """
    fit = features[:n_fit].reshape(-1, features.shape[-1])
    standard = (features - fit.mean(0)) / (fit.std(0) + 1e-6)
    within = (standard[:n_fit] - standard[:n_fit].mean(1, keepdims=True)).reshape(-1, features.shape[-1])
    _, directions = np.linalg.eigh(within.T.astype(np.float64) @ within / len(within))  # ascending
    components = standard @ directions[:, : -dim - 1 : -1]
    return np.clip(components / components[:n_fit].std((0, 1)), -FEATURE_BOUND, FEATURE_BOUND).astype(np.float32)


def _utilities(name: str, asked: list[str], texts: NDArray[np.object_]) -> NDArray[np.float64]:
    oracle: Any = make_oracle(name)
    flat = oracle.utilities([prompt for prompt in asked for _ in range(texts.shape[1])], texts.ravel().tolist())
    return np.asarray(flat, np.float64).reshape(texts.shape)


def main() -> None:
    """Build the file and say how large it is."""
    options = tyro.cli(Build)
    build(options).save(options.out)


if __name__ == "__main__":
    main()
