"""Base agents, biases and cures of the study."""

from pathlib import Path

from duelbench.experiments.comparison.arms import ArmsPlayer, ArmsStudy


def players(base: str, bias: float) -> dict[str, ArmsPlayer]:
    """The base agent alone, and three ways for it to live with the bias."""
    world = {"matrix": "bt", "arms": 10, "options": {"scale": 2.0}, "position_bias": bias}
    own = {} if base == "double_ts" else {"base": base}
    cures = {name: ArmsPlayer(name, own, world) for name in ("balanced_orders", "stella", "swap_orders")}
    return {"alone": ArmsPlayer(base, env_kwargs=world)} | cures


BIASED_JUDGE = ArmsStudy(
    folder=Path(__file__).parent,
    env="MatrixDuel-v0",
    tables={f"{base}, b = {bias:g}": players(base, bias) for base in ("double_ts", "rucb") for bias in (0.0, 0.4, 0.7)},
    columns={
        "regret": ("cumulative_average_regret", 2000, 1),
        "best arm": ("best_arm_rate", 2000, 2),
        "bias, as learned": ("position_bias_estimate", 2000, 3),
    },
    labels=2000,
    every=100,
    seeds=50,
)
