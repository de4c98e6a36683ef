"""The rules by name."""

from __future__ import annotations

from typing import Any

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
from duelbench.plugins import Choice

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


def choose_rule(rule: Any = "bai", /, **options: Any) -> Choice:
    """A rule, by name or as the function itself, with its options.

    >>> choose_rule("bai", scale="logit").options
    {'scale': 'logit', 'member': 'prompt'}
    """
    return Choice.of("rule", RULES, rule, **options)
