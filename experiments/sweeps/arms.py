"""Classic and contextual dueling bandits, many seeds in lock-step: a few minutes on two cores."""

from duelbench.study.sweep import EnvSetting, Sweep

sweep = Sweep(
    title="Dueling bandits on known arms",
    envs=[
        *(
            EnvSetting("MatrixDuel-v0", preset=matrix, options={"one_hot": True})
            for matrix in ("bt10", "arxiv6", "sushi16")
        ),
        EnvSetting("LinearDuel-v0", preset="c2"),
    ],
    agents=["uniform", "greedy", "max_pair_ucb", "laplace_ts", "fgts_cdb"],
    seeds=20,
    labels=2000,
    baseline="uniform",
)
