"""The pair-selection rules as agents: SEA without mixed labels, so that runs differ by the rule alone.

Each is ``sea`` with another ``selection`` and ``real_share`` 1. ``ee4llm`` also leaves the policy as it is. Rules whose
name an algorithm for arms has already are called ``rm_…``, for the reward model they go by.
"""

from __future__ import annotations

from typing import Any


def _rule(name: str) -> dict[str, Any]:
    return {"selection": name, "real_share": 1.0}


SELECTION_AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "random_pair": ("Random pair of the candidates, the baseline of every rule.", _rule("uniform")),
    "bai": ("BAI-TS: Thompson's best against its most uncertain rival (SEA, arXiv 2411.01493).", _rule("bai")),
    "ee": ("E&E-TS: the best of two posterior samples that disagree (SEA, arXiv 2411.01493).", _rule("ee")),
    "uncertainty": ("Uncertainty: the most uncertain reward difference (SEA, §6.3).", _rule("uncertainty")),
    "infomax": ("Infomax: the most uncertain win probability (Dwaracherla et al. 2024).", _rule("infomax")),
    "rm_double_ts": ("Double TS, random after 30 redraws (Dwaracherla et al. 2024).", _rule("double_ts")),
    "boltzmann": ("Boltzmann: two draws ∝ exp(mean reward) (Dwaracherla et al. 2024).", _rule("boltzmann")),
    "drts": ("DRTS: one sample's best against another's worst (arXiv 2603.09692).", _rule("drts")),
    "delta_ucb": ("DeltaUCB: the largest plausible gap (arXiv 2603.09692).", _rule("delta_ucb")),
    "max_gap": ("Max gap: best against worst of one posterior sample (oat's synthetic pairs).", _rule("max_gap")),
    "best_worst": ("Best against worst by the posterior mean.", _rule("best_worst")),
    "rm_maxminlcb": ("MaxMinLCB on posterior samples (Pásztor et al. 2024, arXiv 2406.16745).", _rule("maxminlcb")),
    "rm_rucb": ("RUCB's pair on posterior samples (after Zoghi et al. 2014).", _rule("rucb")),
    "bald": ("BALD: the most informative answer (Houlsby et al. 2011, arXiv 1112.5745).", _rule("bald")),
    "ids": ("IDS: least squared regret per information (Russo & Van Roy 2018, arXiv 1403.5556).", _rule("ids")),
    "knowledge_gradient": (
        "Knowledge gradient: the answer worth most (Frazier et al. 2008).",
        _rule("knowledge_gradient"),
    ),
    "ee4llm": (
        "EE4LLM: double TS, policy frozen, best of 10 by the reward model (Dwaracherla et al. 2024; SEA's variant 7).",
        _rule("double_ts") | {"train_policy": False, "best_of": 10},
    ),
}
"""Name -> (what and whose it is, options of ``sea`` that make it)."""
