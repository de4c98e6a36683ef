"""The posteriors by name."""

from __future__ import annotations

from collections.abc import Callable

from duelbench.plugins import did_you_mean
from duelbench.posteriors.dropout import DropoutPosterior
from duelbench.posteriors.ensemble import EnsemblePosterior
from duelbench.posteriors.gibbs import GibbsPosterior
from duelbench.posteriors.laplace import LaplacePosterior
from duelbench.posteriors.prior_ensemble import PriorEnsemblePosterior
from duelbench.protocols import Posterior

POSTERIORS: dict[str, Callable[..., Posterior]] = {
    "ensemble": EnsemblePosterior,
    "prior_ensemble": PriorEnsemblePosterior,
    "dropout": DropoutPosterior,
    "laplace": LaplacePosterior,
    "gibbs": GibbsPosterior,
}
"""Posteriors by the name an agent's ``posterior`` takes; each is made of (d, generator, its config)."""


def find_posterior(name: str) -> Callable[..., Posterior]:
    """The class of a posterior.

    Raises:
        ValueError: with the nearest known name.
    """
    if name not in POSTERIORS:
        hint = did_you_mean(name, POSTERIORS)
        raise ValueError(f"unknown posterior {name!r}: expected one of {sorted(POSTERIORS)}{hint}")
    return POSTERIORS[name]
