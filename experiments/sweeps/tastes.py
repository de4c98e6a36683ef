"""All agents of the demo on stored responses, judged by three tastes: half an hour on two cores."""

from duelbench.defaults import DEMO_AGENTS
from duelbench.sweep import EnvSetting, Sweep

sweep = Sweep(
    title="Seven agents, three tastes",
    envs=[EnvSetting("LLMDuelPool-v0", preset=preset) for preset in ("easy", "standard", "hard")],
    agents=DEMO_AGENTS,
    seeds=10,
)
