"""The agents that play arms, by name. Nothing is imported until one is wanted."""

from __future__ import annotations

from typing import Any

from duelbench.agents.entry import AgentEntry


def _arms(target: str, summary: str, **options: Any) -> AgentEntry:
    return AgentEntry(target, "arms", options, summary)


ARM_AGENTS: dict[str, AgentEntry] = {
    "uniform": _arms(
        "duelbench.agents.arms.baselines:UniformArms",
        "Uniform: two different arms at random. Linear regret, and a strong pure explorer.",
    ),
    "greedy": _arms(
        "duelbench.agents.arms.baselines:GreedyArms",
        "Greedy: the two arms that seem best. It never explores on purpose, and is often hard to beat.",
    ),
    "oracle": _arms(
        "duelbench.agents.arms.baselines:OracleArms",
        "Oracle: told the truth, it plays the best arm against itself. A reference line, not a rival.",
    ),
    "rucb": _arms(
        "duelbench.agents.arms.matrix.rucb:RUCB",
        "RUCB: relative upper confidence bound (Zoghi et al. 2014, ICML; arXiv 1312.3393, Algorithm 1).",
    ),
    "rcs": _arms(
        "duelbench.agents.arms.matrix.rcs:RCS",
        "RCS: relative confidence sampling (Zoghi, Whiteson, de Rijke & Munos 2014, WSDM, Algorithm 1).",
    ),
    "double_ts": _arms(
        "duelbench.agents.arms.matrix.double_ts:DoubleTS",
        "Double Thompson sampling, DTS (Wu & Liu 2016, NeurIPS; arXiv 1604.07101, Algorithm 1).",
    ),
    "double_ts_plus": _arms(
        "duelbench.agents.arms.matrix.double_ts:DoubleTSPlus",
        "DTS+: double Thompson sampling that breaks ties by regret (Wu & Liu 2016, NeurIPS; arXiv 1604.07101).",
    ),
    "rmed1": _arms(
        "duelbench.agents.arms.matrix.rmed:RMED1",
        "RMED1: relative minimum empirical divergence (Komiyama et al. 2015, COLT).",
    ),
    "rmed2": _arms(
        "duelbench.agents.arms.matrix.rmed:RMED2",
        "RMED2: RMED1 that also chooses the rival for least regret (Komiyama et al. 2015, COLT).",
    ),
    "rmed2fh": _arms(
        "duelbench.agents.arms.matrix.rmed:RMED2FH",
        "RMED2FH: RMED2 with the rivals fixed after a first phase (Komiyama et al. 2015, COLT).",
    ),
    "sparring_ucb": _arms(
        "duelbench.agents.arms.matrix.sparring:SparringUCB",
        "Sparring: two UCB bandits choose one arm each (Ailon, Karnin & Joachims 2014, ICML; arXiv 1405.3396).",
    ),
    "sparring_ts": _arms(
        "duelbench.agents.arms.matrix.sparring:SparringTS",
        "Sparring: two Thompson-sampling bandits choose one arm each (Ailon, Karnin & Joachims 2014, ICML).",
    ),
    "self_sparring": _arms(
        "duelbench.agents.arms.matrix.self_sparring:SelfSparring",
        "Self-Sparring: two Thompson samples of one Beta posterior (Sui et al. 2017, UAI; arXiv 1705.00253).",
    ),
    "multisbm": _arms(
        "duelbench.agents.arms.matrix.multisbm:MultiSBM",
        "MultiSBM: a reward bandit for each left arm (Ailon, Karnin & Joachims 2014, ICML; arXiv 1405.3396).",
    ),
    "doubler": _arms(
        "duelbench.agents.arms.matrix.doubler:Doubler",
        "Doubler: a bandit against its own past (Ailon, Karnin & Joachims 2014, ICML; arXiv 1405.3396).",
    ),
    "interleaved_filter": _arms(
        "duelbench.agents.arms.matrix.interleaved_filter:InterleavedFilter",
        "IF2, interleaved filter (Yue, Broder, Kleinberg & Joachims 2012, JCSS; COLT 2009).",
    ),
    "beat_the_mean": _arms(
        "duelbench.agents.arms.matrix.beat_the_mean:BeatTheMean", "BTM, beat the mean (Yue & Joachims 2011, ICML)."
    ),
    "savage": _arms(
        "duelbench.agents.arms.matrix.savage:SAVAGE",
        "SAVAGE: sensitivity analysis of variables for generic exploration (Urvoy et al. 2013, ICML).",
    ),
    "wsw": _arms(
        "duelbench.agents.arms.matrix.winner_stays:WSW",
        "WS-W: winner stays, for weak regret (Chen & Frazier 2017, ICML; arXiv 1706.04304).",
    ),
    "wss": _arms(
        "duelbench.agents.arms.matrix.winner_stays:WSS",
        "WS-S: winner stays, for strong regret (Chen & Frazier 2017, ICML; arXiv 1706.04304).",
    ),
    "ccb": _arms(
        "duelbench.agents.arms.matrix.ccb:CCB",
        "CCB: Copeland confidence bound (Zoghi et al. 2015, NeurIPS; arXiv 1506.00312, Algorithm 1).",
    ),
    "merge_rucb": _arms(
        "duelbench.agents.arms.matrix.merge:MergeRUCB",
        "MergeRUCB: RUCB in small batches that are merged (Zoghi, Whiteson & de Rijke 2015, WSDM).",
    ),
    "merge_dts": _arms(
        "duelbench.agents.arms.matrix.merge:MergeDTS",
        "MergeDTS: double Thompson sampling in merged batches (Li et al. 2020; arXiv 1812.04412).",
    ),
    "rex3": _arms(
        "duelbench.agents.arms.matrix.rex3:REX3",
        "REX3: exponential weights for adversarial duels (Gajane, Urvoy & Clérot 2015, ICML; arXiv 1601.03855).",
    ),
    "versatile_db": _arms(
        "duelbench.agents.arms.matrix.versatile_db:VersatileDB",
        "Versatile-DB: two Tsallis-INF players, for adversarial and stochastic duels (Saha & Gaillard 2022, ICML).",
    ),
    "stella": _arms(
        "duelbench.agents.arms.matrix.stella:Stella",
        "STELLA-like: learns how far a judge favours a position, and calibrates it (after Ma et al. 2023).",
    ),
    "balanced_orders": _arms(
        "duelbench.agents.arms.matrix.stella:Stella",
        "Balanced orders: shows each pair in both orders equally often, without calibration.",
        calibrate=False,
        probes=0,
    ),
    "swap_orders": _arms(
        "duelbench.agents.arms.matrix.swap_orders:SwapOrders",
        "Both orders: every duel is asked twice, and answers that contradict each other are a tie.",
    ),
    "lola_ucb": _arms(
        "duelbench.agents.arms.lola:LolaUCB",
        "LOLA-UCB: a language model's predicted click rates as pseudo-counts (Ye et al. 2025, arXiv 2406.02611).",
    ),
    "lola_ts": _arms(
        "duelbench.agents.arms.lola:LolaTS",
        "LOLA-TS: LOLA with Thompson sampling (Ye et al. 2025, arXiv 2406.02611).",
    ),
    "lola_bai": _arms(
        "duelbench.agents.arms.lola:LolaBAI",
        "LOLA-BAI: LOLA for best-arm identification (Ye et al. 2025, arXiv 2406.02611).",
    ),
    "in_context": _arms(
        "duelbench.agents.arms.in_context:InContext",
        "A language model that learns in context: told of the duels so far, it names the next (arXiv 2410.06238).",
    ),
    "max_inp": _arms(
        "duelbench.agents.arms.contextual.max_inp:MaxInP",
        "MaxInP: the most uncertain pair of arms that may still be best (Saha 2021, NeurIPS).",
    ),
    "max_pair_ucb": _arms(
        "duelbench.agents.arms.contextual.max_pair_ucb:MaxPairUCB",
        "MaxPairUCB: the pair with the largest optimistic sum of utilities (as implemented by Di et al. 2024, ICLR).",
    ),
    "colstim": _arms(
        "duelbench.agents.arms.contextual.colstim:CoLSTIM",
        "CoLSTIM: an arm that is best in perturbed utilities, against an optimistic rival (Bengs et al. 2022, ICML).",
    ),
    "stad": _arms(
        "duelbench.agents.arms.contextual.stad:StaD",
        "Sta'D: stages that halve the width and drop the arms behind (Saha 2021, NeurIPS).",
    ),
    "vacdb": _arms(
        "duelbench.agents.arms.contextual.vacdb:VACDB",
        "VACDB: layers of regressions with weights that make each duel equally informative (Di et al. 2024, ICLR).",
    ),
    "rcdb": _arms(
        "duelbench.agents.arms.contextual.rcdb:RCDB",
        "RCDB: MaxPairUCB that trusts uncertain duels less, against corruption (Di, He & Gu 2024; arXiv 2404.10776).",
    ),
    "fgts_cdb": _arms(
        "duelbench.agents.arms.contextual.langevin_ts:FGTSCDB",
        "FGTS.CDB: feel-good Thompson sampling by Langevin dynamics (Li, Zhao & Gu 2024, ICML).",
    ),
    "laplace_ts": _arms(
        "duelbench.agents.arms.contextual.laplace_ts:LaplaceTS",
        "Laplace double TS: each arm is best in its own draw from the Laplace approximation of the posterior of θ.",
    ),
    "langevin_ts": _arms(
        "duelbench.agents.arms.contextual.langevin_ts:LangevinTS",
        "Langevin TS: draws from the posterior of θ by Langevin dynamics (after Li, Zhao & Gu 2024, ICML).",
    ),
    "maxminlcb": _arms(
        "duelbench.agents.arms.contextual.maxminlcb:MaxMinLCB",
        "MaxMinLCB: kernel regression, the pair of a Stackelberg game (Pásztor et al. 2024; arXiv 2406.16745).",
    ),
    "neural_ts": _arms(
        "duelbench.agents.arms.contextual.neural_ts:NeuralTS",
        "Neural double TS: two members of an ensemble of reward networks are drawn, each names its best arm.",
    ),
}
"""Agents of the numeric families."""
