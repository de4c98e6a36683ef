"""The rules by name."""

from __future__ import annotations

from duelbench.acquisition.confidence import delta_ucb, maxminlcb, rucb
from duelbench.acquisition.information import bald, infomax, information_directed, knowledge_gradient, uncertainty
from duelbench.acquisition.point import best_worst, boltzmann, uniform
from duelbench.acquisition.posterior import Rule
from duelbench.acquisition.thompson import (
    bai_thompson,
    double_reverse_thompson,
    double_thompson,
    ee_thompson,
    max_gap,
)
from duelbench.plugins import did_you_mean

RULES: dict[str, Rule] = {
    "bai": bai_thompson,
    "ee": ee_thompson,
    "uncertainty": uncertainty,
    "max_gap": max_gap,
    "uniform": uniform,
    "double_ts": double_thompson,
    "drts": double_reverse_thompson,
    "boltzmann": boltzmann,
    "best_worst": best_worst,
    "infomax": infomax,
    "bald": bald,
    "ids": information_directed,
    "knowledge_gradient": knowledge_gradient,
    "delta_ucb": delta_ucb,
    "maxminlcb": maxminlcb,
    "rucb": rucb,
}
"""Rules by the name an agent's ``selection`` takes."""


def find_rule(name: str) -> Rule:
    """The rule of a name.

    Raises:
        ValueError: with the nearest known name.
    """
    if name not in RULES:
        raise ValueError(f"unknown selection {name!r}: expected one of {sorted(RULES)}{did_you_mean(name, RULES)}")
    return RULES[name]
