"""All agents of the demo on stored responses, judged by three tastes: a quarter of an hour on one core."""

from duelbench.study.settings import DEMO_AGENTS
from duelbench.study.sweep import EnvSetting, Sweep

sweep = Sweep(
    title="Seven agents, three tastes",
    envs=[EnvSetting("LLMDuelPool-v0", preset=preset) for preset in ("easy", "standard", "hard")],
    agents=DEMO_AGENTS,
    seeds=10,
)
