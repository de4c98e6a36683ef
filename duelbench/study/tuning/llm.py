"""A language model proposes every other setting, TPE the rest and whatever the model gets wrong.

In the manner of SLLMBO's LLM-TPE sampler (Mahammadli and Ertekin 2024, https://arxiv.org/abs/2410.20302), where the
model proposes the first setting and then either the model or TPE each next one, by the toss of a coin. What is ours:

* they take strict turns, so that a study repeats itself;
* the model is shown the best settings with their scores, and those that failed, in one question without a conversation;
* choices are searched too, not numbers alone;
* an answer that cannot be read, lies outside the space or was tried before is counted and left to TPE.

SLLMBO's adaptive ranges, which its model may change, are not taken over: the space is the user's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from duelbench.assets.wheel_source import Say
from duelbench.chat.chat import make_chat
from duelbench.study.tuning.space import Setting, Space, holds, words

PROPOSAL = "proposal"
"""User attribute of a trial that the model was asked about: ``outcome``, ``answer``, ``tokens``."""
OUTCOMES = ("used", "unreadable", "outside", "repeated")
Outcome = Literal["used", "unreadable", "outside", "repeated"]

_SHOWN = 20  # settings, best first
_KEPT = 600  # characters of an answer that are kept

_MAX_NEW_TOKENS, _TEMPERATURE = 128, 0.7

Proposer = Callable[[str, np.random.Generator], tuple[str, int]]
"""Answers a question; says how many tokens it took."""


def make_proposer(name: str, say: Say = lambda text: None) -> Proposer:
    """The model of a name as ``duelbench.chat.chat.make_chat`` takes it."""
    chat = make_chat(name, max_new_tokens=_MAX_NEW_TOKENS, temperature=_TEMPERATURE, say=say)

    def propose(text: str, rng: np.random.Generator) -> tuple[str, int]:
        before = chat.generated_tokens
        (answer,) = chat.complete([text], rng)
        return answer, chat.generated_tokens - before

    return propose


class LLMSampler(BaseSampler):
    """Even trials are the model's, odd ones TPE's.

    Args:
        space: what is searched.
        proposer: the model.
        seed: of TPE and of the model's sampling.
    """

    def __init__(self, space: Space, proposer: Proposer, seed: int) -> None:
        self._space, self._proposer = space, proposer
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._tpe = TPESampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters at once in the model's turn."""
        if trial.number % 2 == 0:
            return dict(self._space)
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The model's setting; none where TPE has to step in, one parameter after the other."""
        if trial.number % 2:
            return self._tpe.sample_relative(study, trial, search_space)
        before = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
        answer, tokens = self._proposer(question(self._space, before, study.direction), self._rng)
        setting, outcome = read_answer(answer, self._space, [other.params for other in before])
        note = {"outcome": outcome, "answer": answer[:_KEPT], "tokens": tokens}
        study._storage.set_trial_user_attr(trial._trial_id, PROPOSAL, note)  # as Optuna's samplers do
        return setting or {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """TPE's value."""
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)


def question(space: Space, before: Sequence[FrozenTrial], direction: StudyDirection) -> str:
    """What the model is asked."""
    ascending = direction == StudyDirection.MINIMIZE
    scored = [trial for trial in before if trial.state == TrialState.COMPLETE and trial.value is not None]
    scored.sort(key=lambda trial: (trial.value if ascending else -trial.value, trial.number))  # type: ignore[operator]
    tried = [f"{json.dumps(_short(trial.params))} scored {trial.value:.4g}" for trial in scored[:_SHOWN]]
    tried += [f"{json.dumps(_short(trial.params))} failed" for trial in before if trial.state == TrialState.FAIL]
    parameters = [f"- {name}: {words(distribution)}" for name, distribution in space.items()]
    return "\n".join(
        [
            "You tune hyper-parameters of a learning algorithm. "
            f"{'Lower' if ascending else 'Higher'} scores are better.",
            "",
            "Parameters:",
            *parameters,
            "",
            "Tried so far, best first:",
            *(tried or ["nothing yet"]),
            "",
            "Suggest one new setting that may score better. Reply with one JSON object of this form and nothing else:",
            f"{{{', '.join(f'{json.dumps(name)}: VALUE' for name in space)}}}",
        ]
    )


def read_answer(answer: str, space: Space, before: Sequence[Setting]) -> tuple[Setting | None, Outcome]:
    """The setting in a model's answer, or what is wrong with it.

    The first JSON object counts, wherever it stands. It must give each parameter a value of its range.
    """
    found = _first_object(answer)
    if found is None:
        return None, "unreadable"
    if set(found) != set(space) or not all(holds(space[name], value) for name, value in found.items()):
        return None, "outside"
    setting = {name: found[name] for name in space}
    return (None, "repeated") if _short(setting) in map(_short, before) else (setting, "used")


def _short(setting: Setting) -> Setting:
    """A setting with as many digits as the model is shown."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in setting.items()}


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    for at, character in enumerate(text):
        if character == "{":
            try:
                found, _ = decoder.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError):
                continue
            return dict(found)
    return None
