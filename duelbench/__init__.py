"""duelbench: LLM alignment as a contextual dueling bandit.

Importing this package registers the environments, so that ``gymnasium.make("LLMDuel-v0")`` works; it loads neither
Gymnasium nor torch, so that the command line answers at once. ``duelbench.run``, ``duelbench.sweep`` and
``duelbench.load`` play and read what the command line does: see ``duelbench.study.library``. ``duelbench.Session``
plays a run that somebody else answers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

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


def _register() -> None:
    import gymnasium

    for env_id, entry in ENV_IDS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point=f"duelbench.envs.{entry}Env",
                vector_entry_point=f"duelbench.envs.{entry}VectorEnv",
                disable_env_checker=True,  # it warns of NaN, which is what a duel without an answer pays
            )


class _Registrar:
    """Finds modules as the other finders do; once Gymnasium is imported, by whomever, it registers the environments."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's spec as it is; that of Gymnasium with the registration after it."""
        if name != "gymnasium":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next((spec for finder in others if (spec := finder.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "gymnasium" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _Registrar())


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
