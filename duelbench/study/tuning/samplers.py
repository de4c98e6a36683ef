"""Who proposes the next setting: Optuna's own samplers, every setting of a grid in turn, or a language model with TPE.

A new sampler is made for each trial, seeded by the trial's number. What a trial is offered then depends on the trials
before it alone, so that a study that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from duelbench.streams import Streams
from duelbench.study.tuning.llm import LLMSampler, Proposer
from duelbench.study.tuning.space import Setting, Space, grid


def sampler_factory(
    name: str, space: Space, seed: int, proposer: Proposer | None = None
) -> Callable[[int], BaseSampler]:
    """The sampler of a study's n-th trial, for every n.

    Args:
        name: ``tpe``, ``random``, ``cmaes``, ``gp``, ``grid`` or ``llm``.
        space: what is searched.
        seed: of the study.
        proposer: of the ``llm`` sampler.

    Raises:
        ValueError: a package that the sampler needs is missing, or the space is no grid.
    """
    if name == "cmaes" and find_spec("cmaes") is None:
        raise ValueError("the sampler cmaes needs a package of that name: pip install cmaes")
    settings = grid(space) if name == "grid" else []

    def make(number: int) -> BaseSampler:
        (drawn,) = Streams(seed).integers(f"tuning/{number}", 1)
        if name == "grid":
            return ListSampler(space, settings)
        if name == "llm":
            assert proposer is not None
            return LLMSampler(space, proposer, seed=drawn)
        if name == "cmaes":
            return CmaEsSampler(seed=drawn, warn_independent_sampling=False)
        return {"tpe": TPESampler, "random": RandomSampler, "gp": GPSampler}[name](seed=drawn)

    return make


class ListSampler(BaseSampler):
    """Gives the n-th trial the n-th setting of a list.

    Optuna's own grid sampler can end a study only from within ``Study.optimize``.
    """

    def __init__(self, space: Space, settings: Sequence[Setting]) -> None:
        self._space, self._settings = space, settings

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters at once."""
        return dict(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The trial's setting."""
        return self._settings[trial.number]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """No parameter is drawn alone."""
        raise KeyError(param_name)
