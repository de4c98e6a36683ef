"""The posteriors by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from duelbench.plugins import Choice, find

POSTERIORS: dict[str, str] = {
    "ensemble": "duelbench.posteriors.ensemble:EnsemblePosterior",
    "prior_ensemble": "duelbench.posteriors.prior_ensemble:PriorEnsemblePosterior",
    "dropout": "duelbench.posteriors.dropout:DropoutPosterior",
    "laplace": "duelbench.posteriors.laplace:LaplacePosterior",
    "evidence": "duelbench.posteriors.evidence:EvidencePosterior",
    "epinet": "duelbench.posteriors.epinet:EpinetPosterior",
    "backbone": "duelbench.posteriors.backbone:BackbonePosterior",
    "gibbs": "duelbench.posteriors.gibbs:GibbsPosterior",
}
"""Where the posteriors are, by name. Each is a class made of (d, generator) or (d, generator, its ``Config``)."""


def find_posterior(name: str) -> Callable[..., Any]:
    """The class of a ``Posterior`` or a ``TextPosterior``.

    Args:
        name: one of ``POSTERIORS``, an entry point of the group ``duelbench.posteriors``, or a target.

    Raises:
        PluginError: with the nearest known name.
    """
    found: Callable[..., Any] = find(name, POSTERIORS, kind="posterior")
    return found


def choose_posterior(posterior: Any = "evidence", /, **options: Any) -> Choice:
    """A posterior, by name or as the class itself, with its options.

    >>> choose_posterior("laplace", samples=50).config.samples
    50
    """
    return Choice.of("posterior", POSTERIORS, posterior, **options)
