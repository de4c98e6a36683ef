"""Pair-selection rules: which two of M candidates to ask about, from samples of their rewards.

A rule is a pure function ``rule(R, rng) -> (first, second)``. R[e, b, m] is posterior sample e of the reward of
candidate m for prompt b; ``first`` and ``second`` are columns, shape (B,). Equal values are resolved to the lowest
column. Duplicated candidates should be given equal rewards (``Responses.canonical``), then no rule that is not random
prefers a copy.
"""

from duelbench.acquisition.confidence import delta_ucb, maxminlcb, rucb
from duelbench.acquisition.information import bald, infomax, information_directed, knowledge_gradient, uncertainty
from duelbench.acquisition.point import best_worst, boltzmann, uniform
from duelbench.acquisition.posterior import Columns, Rewards, Rule
from duelbench.acquisition.registry import RULES, choose_rule
from duelbench.acquisition.thompson import (
    bai_thompson,
    double_reverse_thompson,
    double_thompson,
    ee_thompson,
    max_gap,
    thompson_member,
)

__all__ = [
    "RULES",
    "Columns",
    "Rewards",
    "Rule",
    "bai_thompson",
    "bald",
    "best_worst",
    "boltzmann",
    "choose_rule",
    "delta_ucb",
    "double_reverse_thompson",
    "double_thompson",
    "ee_thompson",
    "infomax",
    "information_directed",
    "knowledge_gradient",
    "max_gap",
    "maxminlcb",
    "rucb",
    "thompson_member",
    "uncertainty",
    "uniform",
]
