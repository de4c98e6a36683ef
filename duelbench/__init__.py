"""duelbench: LLM alignment as a contextual dueling bandit.

Importing this package registers the environments, so that ``gymnasium.make("LLMDuel-v0")`` works. It loads little
else, so that the command line answers at once. ``duelbench.run``, ``duelbench.sweep`` and ``duelbench.load`` play and
read what the command line does: see ``duelbench.study.library``. ``duelbench.Session`` plays a run that somebody else
answers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from duelbench import envs
    from duelbench.label.session import Session
    from duelbench.results.results import Results
    from duelbench.study.library import load, run, sweep
    from duelbench.study.sweep import AgentSetting, EnvSetting, Sweep
    from duelbench.types import Pair, Responses, Verdict

__version__ = "0.1.0"
__all__ = [
    "AgentSetting",
    "EnvSetting",
    "Pair",
    "Responses",
    "Results",
    "Session",
    "Sweep",
    "Verdict",
    "__version__",
    "envs",
    "load",
    "run",
    "sweep",
]

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


def __getattr__(name: str) -> Any:
    """What plays and reads runs is loaded when it is used first."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "envs":
        from duelbench.envs import __name__ as loaded

        return sys.modules[loaded]
    if name in ("Pair", "Responses", "Verdict"):
        from duelbench import types

        return getattr(types, name)
    from duelbench.label import session
    from duelbench.results import results
    from duelbench.study import library
    from duelbench.study import sweep as sweeps

    homes = {"Results": results, "Session": session, "load": library, "run": library, "sweep": library}
    homes |= dict.fromkeys(("AgentSetting", "EnvSetting", "Sweep"), sweeps)
    return getattr(homes[name], name)
