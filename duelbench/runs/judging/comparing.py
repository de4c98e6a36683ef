"""How an oracle judges responses by the stored references that they meet: by utilities, or one comparison at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.envs.duel.problem import Truth
from duelbench.protocols import Oracle, UtilityOracle


def scored(
    judge: UtilityOracle,
    prompts: Sequence[str],
    texts: Sequence[str],
    references: NDArray[Any],
    temperature: float,
    *,
    all_there_are: bool,
) -> Truth:
    """Utilities of n responses and of the references that each meets.

    Args:
        judge: who is asked.
        prompts: of the responses, (n,).
        texts: the responses, (n,).
        references: texts that each meets, (n, R).
        temperature: of the preference between two texts.
        all_there_are: whether these are all references, so that the best of them is the best there is.
    """
    utilities = np.asarray(judge.utilities(prompts, texts), np.float64)
    many = [prompt for prompt in prompts for _ in range(references.shape[1])]
    rivals = np.asarray(judge.utilities(many, references.ravel().tolist()), np.float64).reshape(references.shape)
    best = np.fmax.reduce(rivals, axis=-1) if all_there_are else np.full(len(texts), np.nan)
    return Truth(utilities, best, rivals, temperature)


def compared(
    judge: Oracle, prompts: Sequence[str], texts: Sequence[str], references: NDArray[Any]
) -> NDArray[np.float64]:
    """P(response ≻ a reference) of n responses, each averaged over the references (n, R) that it meets."""
    width = references.shape[1]
    each = [place for place in range(len(prompts)) for _ in range(width)]
    answers = judge.preference([prompts[i] for i in each], [texts[i] for i in each], references.ravel().tolist())
    return regret.mean_of_known(np.asarray(answers).reshape(references.shape))
