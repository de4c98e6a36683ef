"""Oracles by name, so that a run specification can say which one answers.

A rule of your own takes one function, in a file of your own::

    # my_oracle.py                       then: make_oracle("my_oracle.py:brevity")
    def brevity(prompt: str, response: str) -> float:
        return -len(response.split())

A class with ``name`` and ``preference`` (see `duelbench.protocols.Oracle`) works the same way.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from duelbench import plugins
from duelbench.oracles.checks import OracleError
from duelbench.oracles.function import FunctionOracle
from duelbench.oracles.reader.taste import TASTES
from duelbench.protocols import Oracle

#: Every built-in name and what it is; a name with a colon takes a model folder or hub id after it.
ORACLES: dict[str, str] = {
    "reader": "simulated reader, contextual taste: the mood asked for decides",
    "reader-easy": "simulated reader, context-free taste: cheerful, vivid, well-measured sentences",
    "reader-hard": "simulated reader, contextual taste with interactions, thresholds, diminishing returns",
    "ifeval": "rules: the share of an IFEval prompt's instructions that the response follows",
    "reward-model:MODEL": "a Hugging Face sequence classifier with one label",
    "pairrm:MODEL": "a PairRM ranker: reads both responses at once, in both orders",
    "judge:MODEL": "a Hugging Face causal LM asked in both orders which answer is better",
    "ray:NAME": "any of these, held by a Ray actor",
}

_OF_A_TARGET = {
    "reward-model": "duelbench.oracles.models.reward_model:RewardModelOracle",
    "pairrm": "duelbench.oracles.models.pairrm:PairRMOracle",
    "judge": "duelbench.oracles.models.judge:JudgeOracle",
}
"""Kind of oracle -> what makes it of what follows the colon."""


def make_oracle(spec: str | Callable[..., Any] | Oracle, **kwargs: Any) -> Oracle:
    """Make an oracle from its name, from where its code is, or from the code itself.

    Args:
        spec: a name in `ORACLES` ("reader", "reward-model:./rm"), a dotted path ("package.module.Name" or
            "package.module:Name"), or a file and a name ("my_oracle.py:Name"). The code of a dotted path or a
            file is run: name only code that you trust. Or what it would name: a function, a class, an oracle.
        **kwargs: passed to the oracle's constructor.

    Returns:
        The oracle. A plain function f(prompt, response) -> float is wrapped by `FunctionOracle`.

    Raises:
        OracleError: no such name, module, file or attribute, or what it names is no oracle.
    """
    if not isinstance(spec, str):
        return _as_oracle(spec, str(getattr(spec, "__name__", type(spec).__name__)), kwargs)
    kind, _, target = spec.partition(":")
    if spec in TASTES:
        return plugins.load("duelbench.oracles.reader.reader:Reader", kind="oracle")(spec, **kwargs)
    if spec == "ifeval":
        return plugins.load("duelbench.oracles.ifeval.ifeval:IFEvalOracle", kind="oracle")(**kwargs)
    if kind == "ray" and target:
        return plugins.load("duelbench.oracles.remote:remote_oracle", kind="oracle")(make_oracle, target, **kwargs)
    if kind in _OF_A_TARGET and target:
        return plugins.load(_OF_A_TARGET[kind], kind="oracle")(target, **kwargs)
    return _as_oracle(_import(spec), spec, kwargs)


def _import(spec: str) -> Any:
    target = spec if ":" in spec else ":".join(spec.rpartition(".")[::2])
    try:
        return plugins.load(target, kind="oracle")
    except plugins.PluginError as error:
        near = difflib.get_close_matches(spec, ORACLES, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise OracleError(
            f"unknown oracle {spec!r}.{hint} Built in: {', '.join(ORACLES)}. As your own, package.module:Name or "
            f"file.py:Name: {error}"
        ) from error


def _as_oracle(found: Any, spec: str, kwargs: dict[str, Any]) -> Oracle:
    oracle = found
    if inspect.isfunction(found):
        oracle = FunctionOracle(found, **kwargs)
    elif inspect.isclass(found):
        oracle = found(**kwargs)
    if not isinstance(oracle, Oracle):
        raise OracleError(
            f"oracle {spec!r} is a {type(oracle).__name__} without name and "
            "preference(prompts, firsts, seconds): give a class with both, or a plain function"
        )
    return oracle
