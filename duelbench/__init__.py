"""duelbench: LLM alignment as a contextual dueling bandit.

Importing this package registers the environments, so that ``gymnasium.make("LLMDuel-v0")`` works. It loads neither
torch nor transformers.
"""

from __future__ import annotations

import gymnasium

from duelbench import envs
from duelbench.types import Pair, Responses, Verdict

__version__ = "0.1.0"
__all__ = ["Pair", "Responses", "Verdict", "__version__", "envs"]

ENV_IDS = {
    "LLMDuel-v0": "text.llm_duel:LLMDuel",
    "LLMDuelPool-v0": "text.pool_duel:LLMDuelPool",
    "MatrixDuel-v0": "arms.matrix:MatrixDuel",
    "LinearDuel-v0": "arms.linear:LinearDuel",
    "KernelDuel-v0": "arms.kernel:KernelDuel",
    "NeuralDuel-v0": "arms.neural:NeuralDuel",
    "HeadlineDuel-v0": "arms.headlines:HeadlineDuel",
}

for _id, _entry in ENV_IDS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            id=_id,
            entry_point=f"duelbench.envs.{_entry}Env",
            vector_entry_point=f"duelbench.envs.{_entry}VectorEnv",
            disable_env_checker=True,  # it warns of NaN, which is what a duel without an answer pays
        )
