"""Players and predictions of the study."""

from pathlib import Path

from duelbench.experiments.comparison.arms import ArmsPlayer, ArmsStudy

PREDICTIONS = {"perfect": 0.0, "correlation 0.7": 1.0, "correlation 0.24": 4.0}
"""Standard deviation of a prediction's error on the logit scale."""

PLAIN = {"n_aux": 0}
PLAYERS = {"uniform": ArmsPlayer("uniform"), "double_ts": ArmsPlayer("double_ts")}
for _agent in ("lola_ucb", "lola_ts", "lola_bai"):
    PLAYERS |= {
        f"{_agent}, {name}": ArmsPlayer(_agent, env_kwargs={"predictor_noise": noise})
        for name, noise in PREDICTIONS.items()
    }
    PLAYERS[f"{_agent}, no predictions"] = ArmsPlayer(_agent, PLAIN)

HEADLINES = ArmsStudy(
    folder=Path(__file__).parent,
    env="HeadlineDuel-v0",
    tables={"Cumulative average regret": PLAYERS},
    columns={f"{n:,} duels": ("cumulative_average_regret", n, 2) for n in (100, 1000, 5000)},
    labels=5000,
    every=100,
    seeds=100,
)
