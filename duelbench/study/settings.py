"""The defaults of `duelbench run`, by environment.

Learning rates were chosen for the passive ``online`` agent on tuning seeds (1000 and up), never on the reporting seeds
(0, 1, …): see ``experiments/tuning``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from duelbench.envs.arms.problem import ArmProblem
from duelbench.envs.duel.problem import Problem
from duelbench.envs.duel.settings import DEMO_AGENTS, RunSettings
from duelbench.envs.registration import env_classes, resolve_env

__all__ = ["DEMO_AGENTS", "RunSettings", "known_settings", "register", "settings_of", "with_model"]

MATRIX_AGENTS = ("uniform", "greedy", "rucb", "double_ts", "oracle")
CONTEXTUAL_AGENTS = ("uniform", "greedy", "max_pair_ucb", "oracle")
HEADLINE_AGENTS = ("uniform", "double_ts", "lola_ucb", "lola_ts", "lola_bai", "oracle")
KERNEL_AGENTS = ("uniform", "greedy", "laplace_ts", "maxminlcb", "neural_ts", "oracle")


_TASTES = {
    "easy": {"oracle": "reader-easy"},
    "standard": {"oracle": "reader"},
    "hard": {"oracle": "reader-hard"},
    "rare": {"oracle": "reader-rare"},
    "noiseless": {"oracle": "reader", "feedback": "deterministic"},
}

_MATRICES = ("bt10", "arxiv6", "arithmetic8", "cyclic4", "mslr5", "sushi16", "tennis8", "hudry13")
_PAYOFFS: dict[str, dict[str, Any]] = {
    "bernoulli-easy": {"matrix": "bernoulli", "arms": 5, "options": {"gap": 0.5}},
    "bernoulli-hard": {"matrix": "bernoulli", "arms": 20, "options": {"gap": 0.2}},
    "gaussian-easy": {"matrix": "gaussian", "arms": 5, "options": {"noise": 1.0}},
    "gaussian-hard": {"matrix": "gaussian", "arms": 20, "options": {"noise": 3.0}},
}
_FUNCTIONS = ("ackley", "branin", "eggholder", "hoelder", "matyas", "michalewicz", "rosenbrock")
_HYPERCUBE = {"design": "hypercube", "dim": 5, "arms": 32, "sparsity": 2}

_SETTINGS: dict[str, RunSettings] = {
    "LLMDuel-v0": RunSettings(
        labels=512,
        batch=32,
        evaluate_every=128,
        evaluation_repeats=2,
        seeds=3,
        learner={"learning_rate": 5e-4},
        losses={"ipo": {"beta": 0.3, "length_average": True}},
        policy={"model": "tiny", "features": "preference"},
        agents=("online", "apl", "xpo", "sea", "ide"),
        presets=_TASTES,
    ),
    "LLMDuelPool-v0": RunSettings(
        labels=2048,
        batch=32,
        evaluate_every=128,
        evaluation_repeats=4,
        seeds=3,
        learner={"learning_rate": 1e-2},
        policy={"hidden": 256},
        presets=_TASTES | {"cold": {"oracle": "reader", "features": "lm"}},
    ),
    "MatrixDuel-v0": RunSettings(
        labels=10_000,
        batch=1,
        evaluate_every=100,
        evaluation_repeats=1,
        seeds=100,
        agents=MATRIX_AGENTS,
        arms=True,
        presets={name: {"matrix": name} for name in _MATRICES}
        | {name: {"matrix": name} for name in ("bt", "sst", "mallows", "urvoy", "condorcet")}
        | _PAYOFFS,
    ),
    "HeadlineDuel-v0": RunSettings(
        labels=10_000,
        batch=1,
        evaluate_every=100,
        evaluation_repeats=1,
        seeds=100,
        agents=HEADLINE_AGENTS,
        arms=True,
        presets={"perfect": {"predictor_noise": 0.0}, "blind": {"predictor_noise": 4.0}},
    ),
    "KernelDuel-v0": RunSettings(
        labels=2000,
        batch=1,
        evaluate_every=20,
        evaluation_repeats=1,
        seeds=20,
        agents=KERNEL_AGENTS,
        arms=True,
        presets={name: {"function": name} for name in _FUNCTIONS},
    ),
    "NeuralDuel-v0": RunSettings(
        labels=2000,
        batch=16,
        evaluate_every=20,
        evaluation_repeats=1,
        seeds=20,
        agents=KERNEL_AGENTS,
        arms=True,
        learner={"learning_rate": 1e-2},
        policy={"hidden": 64},
        presets={"fresh": {"fresh": True}, "fixed": {"fresh": False, "arms": 64}},
    ),
    "LinearDuel-v0": RunSettings(
        labels=2000,
        batch=16,
        evaluate_every=20,
        evaluation_repeats=1,
        seeds=20,
        agents=CONTEXTUAL_AGENTS,
        arms=True,
        learner={"learning_rate": 1e-2},
        policy={"hidden": 64},
        presets={
            "c1": _HYPERCUBE | {"norm": 1.0},
            "c1x4": _HYPERCUBE | {"norm": 4.0},
            "c2": {"design": "sphere", "dim": 10, "arms": 30, "fresh": True, "norm": 5.0},
            "rcdp": {
                "design": "cube",
                "scale": float(np.pi),
                "dim": 10,
                "arms": 10,
                "fresh": True,
                "norm": 1.0,
                "corrupted": 25,
                "delay": 100.0,
                "delay_spread": 100.0,
            },
        },
        preset_labels={"c1": 4000, "c1x4": 4000},
    ),
}

_ARMS = RunSettings(
    labels=2000,
    batch=16,
    evaluate_every=20,
    evaluation_repeats=1,
    seeds=20,
    agents=MATRIX_AGENTS,
    arms=True,
    learner={"learning_rate": 1e-2},
    policy={"hidden": 64},
)
_TEXTS = RunSettings(learner={"learning_rate": 5e-4}, policy={"model": "tiny"})


def register(env_id: str, settings: RunSettings) -> None:
    """Register the defaults of an environment. A ``settings`` attribute of its ``Problem`` class takes precedence."""
    _SETTINGS[env_id] = settings


def settings_of(name: str) -> RunSettings:
    """The defaults of an environment: of its ``Problem`` class, as registered, or those of its kind.

    Args:
        name: an id or whatever ``duelbench.envs.resolve_env`` takes.

    Raises:
        duelbench.plugins.PluginError: there is no such environment, or it is no duel environment.

    >>> settings_of("MatrixDuel-v0").agents
    ('uniform', 'greedy', 'rucb', 'double_ts', 'oracle')
    """
    env_id = resolve_env(name)
    problem = env_classes(env_id)[0].make_problem
    if isinstance(own := getattr(problem, "settings", None), RunSettings):
        return own
    if env_id in _SETTINGS:
        return _SETTINGS[env_id]
    bases = (problem if isinstance(problem, type) else _made_by(problem)).__mro__
    for base in bases:  # what is played on the family that it was made from
        for known, settings in _SETTINGS.items():
            if known in gym.registry and env_classes(known)[0].make_problem is base:
                return settings
    return _ARMS if ArmProblem in bases else _TEXTS


def _made_by(make: Callable[..., Problem] | None) -> type[Problem]:
    """The class of what a function makes, as far as that can be told without arguments."""
    try:
        return Problem if make is None else type(make())
    except TypeError:  # it wants some
        return Problem


def known_settings() -> dict[str, RunSettings]:
    """Defaults by id, of this package's environments and of registered ones."""
    return dict(_SETTINGS)


_LARGER: dict[str, Any] = {"batch": 16, "evaluate_every": 32, "evaluation_repeats": 1, "labels": 256}

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "mini": {"env": {"task": "short-writing-mini"}},
    "smollm2-135m": _LARGER
    | {
        "learner": {"learning_rate": 2e-5},
        "policy": {"temperature": 0.7, "features": "lm"},  # at 1 its answers ramble
        "env": {"task": "short-writing-smollm2-135m"},
    },
}
"""What differs on LLMDuel-v0 with another language model than the embedded one: pace, and a task whose stored
references are that model's own, so that it starts at a win rate of 0.5."""
_OTHER_MODELS: dict[str, Any] = _LARGER | {"learner": {"learning_rate": 1e-6}, "policy": {"features": "lm"}}


def with_model(defaults: RunSettings, model: str) -> RunSettings:
    """The defaults for a language model; an untuned model gets a small step size."""
    if model == defaults.policy.get("model"):
        return defaults
    changes = dict(MODEL_DEFAULTS.get(model, _OTHER_MODELS))
    policy = defaults.policy | {"model": model} | changes.pop("policy", {})
    return replace(defaults, policy=policy, **changes)
