"""Oracles by name, so that a run specification can say which one answers.

A rule of your own takes one function, in a file of your own::

    # my_oracle.py                       then: make_oracle("my_oracle.py:brevity")
    def brevity(prompt: str, response: str) -> float:
        return -len(response.split())

A class with ``name`` and ``preference`` (see `duelbench.protocols.Oracle`) works the same way. Installed packages
announce oracles as entry points of the group ``duelbench.oracles``; in Python the function, the class or the oracle
itself will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from duelbench.oracles.checks import OracleError
from duelbench.oracles.function import FunctionOracle
from duelbench.oracles.reader.taste import TASTES
from duelbench.plugins import PluginError, find, load
from duelbench.plugins.making import Maker
from duelbench.protocols import Oracle

#: Every built-in name and what it is; a name with a colon takes a model folder or hub id after it.
ORACLES: dict[str, str] = {
    "reader": "simulated reader, contextual taste: the mood asked for decides",
    "reader-easy": "simulated reader, context-free taste: cheerful, vivid, well-measured sentences",
    "reader-hard": "simulated reader, contextual taste with interactions, thresholds, diminishing returns",
    "reader-rare": "simulated reader, good answers are rare: tone, keywords, pictures and length all at once",
    "ifeval": "rules: the share of an IFEval prompt's instructions that the response follows",
    "reward-model:MODEL": "a Hugging Face sequence classifier with one label",
    "pairrm:MODEL": "a PairRM ranker: reads both responses at once, in both orders",
    "judge:MODEL": "a Hugging Face causal LM asked in both orders which answer is better",
    "people": "people, who answer on the page of `duelbench label` or through `duelbench.Session`",
    "judge:URL#MODEL": "the same of a chat model behind an OpenAI-compatible endpoint, http://localhost:8000/v1#NAME",
    "ray:NAME": "any of these, held by a Ray actor",
}

_TAKES_MODEL = {
    "reward-model": "duelbench.oracles.models.reward_model:RewardModelOracle",
    "pairrm": "duelbench.oracles.models.pairrm:PairRMOracle",
    "judge": "duelbench.oracles.models.judge:JudgeOracle",
}
_CHAT_JUDGE = "duelbench.oracles.chat_judge:ChatJudge"
_PLAIN = {
    **dict.fromkeys(TASTES, "duelbench.oracles.reader.reader:Reader"),
    "ifeval": "duelbench.oracles.ifeval.ifeval:IFEvalOracle",
    "people": "duelbench.oracles.human:People",
}
"""Name -> target; loaded only when it is wanted, since most take torch."""

_MAKER = Maker(
    kind="oracle",
    options="arguments",
    protocol=Oracle,
    method="preference",
    lacks="name and preference(prompts, firsts, seconds): give a class with both, or a plain function",
    wrapper=FunctionOracle,
    error=OracleError,
)


def make_oracle(oracle: str | Oracle | Callable[..., Any], **kwargs: Any) -> Oracle:
    """Make an oracle from its name, from where its code is, or from the code itself.

    Args:
        oracle: a name in `ORACLES` ("reader", "reward-model:./rm"), an entry point of an installed package, a dotted
            path ("package.module:Name"), a file and a name ("my_oracle.py:Name"), or the oracle, class or function
            itself. The code of a dotted path or a file is run: name only code that you trust.
        **kwargs: passed to the oracle's constructor.

    Returns:
        The oracle. A plain function f(prompt, response) -> float is wrapped by `FunctionOracle`.

    Raises:
        OracleError: no such name, module, file or attribute, or what it names is no oracle.

    >>> make_oracle(lambda prompt, response: -len(response), name="brevity").preference(["?"], ["a"], ["a"]).tolist()
    [0.5]
    """
    if not isinstance(oracle, str):
        return _MAKER.make(oracle, str(getattr(oracle, "__name__", type(oracle).__name__)), kwargs)
    kind, _, model = oracle.partition(":")
    try:
        if kind == "ray" and model:
            remote = load("duelbench.oracles.wrappers.remote:remote_oracle", kind="oracle")
            made: Oracle = remote(make_oracle, model, **kwargs)
            return made
        if kind == "judge" and model.startswith(("http://", "https://")):
            return _MAKER.call(load(_CHAT_JUDGE, kind="oracle"), oracle, model, **kwargs)
        if kind in _TAKES_MODEL and model:
            return _MAKER.call(load(_TAKES_MODEL[kind], kind="oracle"), oracle, model, **kwargs)
        found = find(oracle, {**dict.fromkeys(ORACLES, ""), **_PLAIN}, kind="oracle")
    except PluginError as error:
        raise OracleError(str(error)) from error
    return _MAKER.call(found, oracle, oracle, **kwargs) if oracle in TASTES else _MAKER.make(found, oracle, kwargs)
