"""The agents that align a policy, by name. Nothing is imported until one is wanted."""

from __future__ import annotations

from typing import Any

from duelbench.agents.entry import AgentEntry


def _policy(target: str, summary: str, **options: Any) -> AgentEntry:
    return AgentEntry(target, "policy", options, summary)


def _direct(target: str, summary: str, **options: Any) -> AgentEntry:
    """An agent that learns from texts and their probabilities alone."""
    return AgentEntry(target, "policy", options, summary, reads_features=False)


def _rule(selection: str, summary: str, **options: Any) -> AgentEntry:
    """A rule for pairs as an agent."""
    return _policy("duelbench.agents.alignment.reward_model:RewardModelAgent", summary, selection=selection, **options)


RULES_AS_AGENTS: dict[str, AgentEntry] = {
    "random_pair": _rule("uniform", "Random pair of the candidates, the baseline of every rule."),
    "bai": _rule("bai", "BAI-TS: Thompson's best against its most uncertain rival (SEA, arXiv 2411.01493)."),
    "ee": _rule("ee", "E&E-TS: the best of two posterior samples that disagree (SEA, arXiv 2411.01493)."),
    "uncertainty": _rule("uncertainty", "Uncertainty: the most uncertain reward difference (SEA, §6.3)."),
    "infomax": _rule("infomax", "Infomax: the most uncertain win probability (Dwaracherla et al. 2024)."),
    "rm_double_ts": _rule("double_ts", "Double TS, random after 30 redraws (Dwaracherla et al. 2024)."),
    "boltzmann": _rule("boltzmann", "Boltzmann: two draws ∝ exp(mean reward) (Dwaracherla et al. 2024)."),
    "drts": _rule("drts", "DRTS: one sample's best against another's worst (arXiv 2603.09692)."),
    "delta_ucb": _rule("delta_ucb", "DeltaUCB: the largest plausible gap (arXiv 2603.09692)."),
    "max_gap": _rule("max_gap", "Max gap: best against worst of one posterior sample (oat's synthetic pairs)."),
    "best_worst": _rule("best_worst", "Best against worst by the posterior mean."),
    "rm_maxminlcb": _rule("maxminlcb", "MaxMinLCB on posterior samples (Pásztor et al. 2024, arXiv 2406.16745)."),
    "rm_rucb": _rule("rucb", "RUCB's pair on posterior samples (after Zoghi et al. 2014)."),
    "bald": _rule("bald", "BALD: the most informative answer (Houlsby et al. 2011, arXiv 1112.5745)."),
    "ids": _rule("ids", "IDS: least squared regret per information (Russo & Van Roy 2018, arXiv 1403.5556)."),
    "knowledge_gradient": _rule(
        "knowledge_gradient", "Knowledge gradient: the answer worth most (Frazier et al. 2008)."
    ),
    "ee4llm": _rule(
        "double_ts",
        "EE4LLM: double TS, policy frozen, best of 10 by the reward model (Dwaracherla et al. 2024; SEA's variant 7).",
        train_policy=False,
        best_of=10,
    ),
}
"""The rules for pairs as agents. Where an algorithm for arms has the name already, it is ``rm_…``, for reward model."""

POLICY_AGENTS: dict[str, AgentEntry] = {
    "uniform": _direct(
        "duelbench.agents.alignment.uniform:Uniform",
        "Uniform: random duels of the reference policy, no learning. The floor that every curve is read against.",
    ),
    "offline": _direct(
        "duelbench.agents.alignment.offline:Offline",
        "Offline: duels of the reference policy, never refreshed, and a policy trained on them (offline DPO).",
    ),
    "online": _direct(
        "duelbench.agents.alignment.online:Online",
        "Online: passive online preference learning (online DPO; OAIF, arXiv 2402.04792; SEA Table 1, variant 1).",
    ),
    "apl": _direct(
        "duelbench.agents.alignment.apl:APL",
        "APL: active preference learning (Muldrew et al. 2024, arXiv 2402.08114), played online.",
    ),
    "xpo": _direct(
        "duelbench.agents.alignment.xpo:XPO",
        "XPO: exploratory preference optimization (Xie et al. 2024, arXiv 2405.21046).",
    ),
    "selm": _direct(
        "duelbench.agents.alignment.selm:SELM",
        "SELM: self-exploring language models (Zhang et al. 2024, arXiv 2405.19332).",
    ),
    "vpo": _direct(
        "duelbench.agents.alignment.vpo:VPO",
        "VPO: value-incentivized preference optimization (Cen et al. 2024, arXiv 2405.19320).",
    ),
    "vpo-offline": _direct(
        "duelbench.agents.alignment.vpo:VPO",
        "VPO offline: pessimistic, on duels of the reference (Cen et al. 2024, arXiv 2405.19320).",
        mode="offline",
        alpha=0.01,
    ),
    "geb": _direct(
        "duelbench.agents.alignment.geb:GEB",
        "GEB: the general exploratory bonus (Li et al. 2025, arXiv 2510.03269), for DPO's reverse KL.",
    ),
    "count_bonus": _policy(
        "duelbench.agents.alignment.count_bonus:CountBonus",
        "Online DPO with an elliptical count bonus: a policy is paid for responses unlike those already duelled.",
    ),
    "nash_md": _direct(
        "duelbench.agents.alignment.nash_md:NashMD",
        "Nash-MD: Nash learning from human feedback (Munos et al. 2024, arXiv 2312.00886), the policy-gradient form.",
    ),
    "mex": _policy(
        "duelbench.agents.alignment.mex:MEX",
        "MEX: maximise to explore, in one step (Liu et al. 2023, arXiv 2305.18258).",
    ),
    "isara": _policy(
        "duelbench.agents.alignment.isara:ISARA",
        "ISARA: self-alignment from a handful of demonstrations and no label (Guo et al. 2024, arXiv 2401.06785).",
    ),
    "linvit": _policy(
        "duelbench.agents.alignment.linvit:LINVIT",
        "LINVIT for duels: optimistic values, kept near the reference (after Zhang et al. 2024, arXiv 2402.16181).",
    ),
    "sea": _policy(
        "duelbench.agents.alignment.sea:SEA",
        "SEA: sample-efficient alignment by Thompson sampling (arXiv 2411.01493, Algorithm 2).",
        selection="bai",
    ),
    "sea-ee": _policy(
        "duelbench.agents.alignment.sea:SEA",
        "SEA for exploring and exploiting: two Thompson samples that disagree (arXiv 2411.01493, Algorithm 2).",
        selection="ee",
    ),
    "offline_rm": _policy(
        "duelbench.agents.alignment.ladder:Ladder",
        "Offline RM: a reward model of the reference's random duels teaches the policy (arXiv 2603.17378).",
        selection="uniform",
        offline=True,
    ),
    "periodic_rm": _policy(
        "duelbench.agents.alignment.periodic:Periodic",
        "Periodic RM: as Online RM, but policy and reward model begin anew every few rounds (arXiv 2603.17378).",
    ),
    "online_rm": _policy(
        "duelbench.agents.alignment.ladder:Ladder",
        "Online RM: a reward model of the policy's own random duels teaches the policy (arXiv 2603.17378).",
        selection="uniform",
    ),
    "ide": _policy(
        "duelbench.agents.alignment.ladder:Ladder",
        "IDE: information-directed exploration, infomax duels and a reward model that teaches (arXiv 2603.17378).",
    ),
    **RULES_AS_AGENTS,
}
"""Agents that align a policy."""
