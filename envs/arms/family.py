"""A family of arm problems: a distribution over instances, each drawn from its number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duelbench.duels.guides import Guide
from duelbench.duels.preference import LINKS

Floats = NDArray[np.float64]
INSTANCE_SEED = 1000
"""Instance k is drawn from ``numpy.random.default_rng(k + INSTANCE_SEED)``."""


def instance_rng(number: int) -> np.random.Generator:
    """The generator that instance ``number`` of every family is drawn from."""
    return np.random.default_rng(number + INSTANCE_SEED)


@dataclass(frozen=True, slots=True)
class Instance:
    """Arms that never change.

    Attributes:
        preferences: P[i, j], chance that arm i beats arm j, (K, K).
        utilities: u of the arms, (K,); None where no utility explains the preferences.
        features: features of the arms, (K, d); None for a bare preference matrix.
        parameter: the θ behind linear utilities, (d,).
        reference_log_probs: log π_ref of the arms, (K,), where a reference policy is part of the problem.
        link: from the utilities to the preferences, a name in ``duelbench.duels.preference.LINKS``.
    """

    preferences: Floats
    utilities: Floats | None = None
    features: Floats | None = None
    parameter: Floats | None = None
    reference_log_probs: Floats | None = None
    link: str = "bradley-terry"


class Family(ABC):
    """Instances with K fixed arms.

    Attributes:
        arms: K.
        dim: d of the features; 0 without features.
        name: what is played, in words.
    """

    arms: int
    dim: int = 0
    name: str

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Instance:
        """One instance."""

    def guides(self, instance: Instance) -> list[Guide]:
        """Lines that a picture of the regret on this instance can show."""
        return []


class StreamFamily(ABC):
    """Instances whose arms or utilities change from duel to duel.

    Attributes:
        arms: K.
        dim: d of the features.
        link: from utilities to preferences, a name in ``duelbench.duels.preference.LINKS``.
        fixed_features: True if only the utilities change.
        bound: largest absolute feature.
        heldout: contexts of an instance that are kept for judging what is deployed.
        name: what is played, in words.
    """

    arms: int
    dim: int
    heldout: int
    link: str
    fixed_features: bool = False
    bound: float = 1.0
    name: str

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Stream:
        """One instance."""

    def guides(self, stream: Stream) -> list[Guide]:
        """Lines that a picture of the regret on this instance can show."""
        return []


class Stream(ABC):
    """One instance of a stream family.

    Attributes:
        parameter: the θ behind linear utilities, (d,), if there is one that stays.
        moves: whether utilities change with the duels drawn, those of held-out contexts too.
    """

    moves: bool = False

    parameter: Floats | None = None

    @abstractmethod
    def contexts(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Features (n, K, d) and utilities (n, K) of the next n duels."""

    @abstractmethod
    def heldout(self) -> tuple[Floats, Floats]:
        """Features (H, K, d) and present utilities (H, K) of the held-out contexts."""


_ALSO = {"logistic": "bradley-terry", "probit": "thurstone"}


def checked_link(link: str) -> str:
    """The link's name in ``LINKS``; ``logistic`` and ``probit`` are other names of two of them.

    Raises:
        ValueError: naming the links there are.
    """
    link = _ALSO.get(link, link)
    if link not in LINKS:
        raise ValueError(f"unknown link {link!r}: expected one of {sorted(LINKS.keys() | _ALSO.keys())}")
    return link
