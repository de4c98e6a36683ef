"""What a run's labels are worth to somebody else: a reward model trained from scratch on the pairs it collected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior
from duelbench.posteriors.laplace import LaplaceConfig, LaplacePosterior
from duelbench.protocols import Posterior
from duelbench.records.answers.journal import Journal
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import Parts, assemble
from duelbench.runs.configuration.resolve import resolve
from duelbench.types import Verdict

Features = NDArray[np.float32]
Floats = NDArray[np.float64]
_DUELS, _DUELS_OF_TEXT = 4000, 1000  # held out; a language model has to read the latter
_AT_ONCE = 64  # prompts of the language model's features


@dataclass(frozen=True)
class HeldOut:
    """Duels between two random responses to held-out prompts, the same for every run of a place and seed.

    Attributes:
        first: features of the first responses, (n, d).
        second: of their rivals, (n, d).
        chance: true probability that the first wins, (n,).
    """

    first: Features
    second: Features
    chance: Floats


def data_scores(spec: RunSpec, folder: Path) -> dict[str, float]:
    """Held-out accuracy and log-loss of reward models that learned from a run's pairs alone.

    ``rm`` is the agents' own kind of model, an ensemble of networks, with its defaults but more steps; ``linear`` is
    Bradley–Terry's logistic regression, whose optimum is unique. Accuracy is of who is truly better; log-loss is of the
    true probabilities.
    """
    parts = assemble(spec)
    chosen, rejected = collected(spec, folder, parts)
    held_out = held_out_duels(parts, spec.seed)
    parts.env.close()
    scores = {"pairs": float(len(chosen))}
    models: dict[str, Posterior] = {
        "rm": EnsemblePosterior(
            chosen.shape[1], np.random.default_rng(spec.seed), EnsembleConfig(members=5, hidden=64, steps=60)
        ),
        "linear": LaplacePosterior(chosen.shape[1], np.random.default_rng(spec.seed), LaplaceConfig()),
    }
    for name, model in models.items():
        model.rewards(np.concatenate([held_out.first, held_out.second]))  # one scale, whatever was collected
        model.update(chosen, rejected, len(chosen))
        gap = (model.rewards(held_out.first) - model.rewards(held_out.second)).mean(0).astype(np.float64)
        told = held_out.chance != 0.5
        scores[f"{name}_accuracy"] = float(((gap > 0) == (held_out.chance > 0.5))[told].mean())
        scores[f"{name}_log_loss"] = float(log_loss(expit(gap), held_out.chance))
    return scores


def log_loss(said: Floats, true: Floats) -> float:
    """Mean cross-entropy of what was said under the true probabilities, in nats."""
    said = np.clip(said, 1e-9, 1 - 1e-9)
    return float(-(xlogy(true, said) + xlogy(1.0 - true, 1.0 - said)).mean())


def collected(spec: RunSpec, folder: Path, parts: Parts) -> tuple[Features, Features]:
    """Features of the preferred and the dispreferred response of every journaled duel that had a winner.

    The journal holds texts. Prompts do not depend on what was answered, so they are met again by playing the
    environment without asking it anything.
    """
    journal = Journal(folder / "journal.sqlite", resolve(spec).run_id)
    answers = {answer.duel: answer for answer in journal.answers()}
    journal.close()
    won = {d: a for d, a in answers.items() if a.verdict in (Verdict.FIRST, Verdict.SECOND) and a.first != a.second}
    if hasattr(parts.policy, "score"):
        sides = [
            [(a.prompt, a.first), (a.prompt, a.second)][:: 1 if a.verdict == Verdict.FIRST else -1]
            for a in won.values()
        ]
        texts = np.array(sides, dtype=object)  # (n, 2, 2)
        return text_features(parts, texts[:, 0]), text_features(parts, texts[:, 1])
    env = parts.env
    observation, _ = parts.env.reset(seed=parts.seeds, options={"start": 0, "instance": spec.seed})
    pairs: dict[int, Features] = {}
    for round_ in range(1 + max(answers) // env.num_envs):
        ids, features = env.engine.prompt_ids, observation["features"]
        for row in range(env.num_envs):
            if answer := won.get(round_ * env.num_envs + row):
                columns = env.problem.texts(ids[row].repeat(features.shape[1]), np.arange(features.shape[1]))
                places = [columns.index(answer.first), columns.index(answer.second)]
                pairs[answer.duel] = features[row, places[:: 1 if answer.verdict == Verdict.FIRST else -1]]
        env.abstain(np.ones(env.num_envs, bool))
        observation = parts.env.step(np.zeros((env.num_envs, 2), np.int64))[0]
    found = np.stack([pairs[duel] for duel in won])  # (n, 2, d)
    return found[:, 0], found[:, 1]


def text_features(parts: Parts, texts: NDArray[Any]) -> Features:
    """The language model's features of prompts and responses (n, 2), (n, d)."""
    policy: Any = parts.policy
    chunks = [texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE)]
    return np.concatenate([policy.score(chunk[:, 0].tolist(), chunk[:, 1].tolist()).features for chunk in chunks])


def held_out_duels(parts: Parts, seed: int) -> HeldOut:
    """Random duels on the prompts that judge the deployed policy."""
    problem: Any = parts.env.problem
    rng = np.random.default_rng(seed)
    parts.env.reset(seed=parts.seeds, options={"start": 0, "instance": seed})
    of_text = hasattr(parts.policy, "score")
    ids = rng.choice(problem.heldout_ids(), size=_DUELS_OF_TEXT if of_text else _DUELS)
    n_responses = problem.arms if hasattr(problem, "arms") else problem.task.references.shape[1]
    first = rng.integers(n_responses, size=len(ids))
    second = (first + rng.integers(1, n_responses, size=len(ids))) % n_responses
    if not of_text:
        rows, features = np.arange(len(ids)), problem.observe(ids)["features"]
        chance = problem.preference(ids, first, second)
        return HeldOut(features[rows, first], features[rows, second], np.asarray(chance, np.float64))
    prompts = np.asarray(problem.task.prompts, dtype=object)[ids]
    texts = [problem.task.references[ids, side] for side in (first, second)]
    one, other = (text_features(parts, np.stack([prompts, text], axis=1)) for text in texts)
    return HeldOut(one, other, np.asarray(problem.preference(ids, *texts), np.float64))
