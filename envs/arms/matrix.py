"""MatrixDuel-v0: arms whose preferences are a matrix. The classic dueling bandit, with exact regret of every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit

from duelbench.duels.guides import Guide, matrix_guides
from duelbench.duels.tournament import check_preferences
from duelbench.envs.arms.family import Family, Floats, Instance
from duelbench.envs.arms.kl import BudgetedArms
from duelbench.envs.arms.matrices import FAMILIES, NAMED, bradley_terry, load_csv, named_matrix
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.family import environments

Source = str | list[list[float]] | list[float]


class MatrixFamily(Family):
    """One matrix with its arms relabelled at random, or a random family of matrices.

    Args:
        matrix, arms, permute, options, one_hot: as for ``MatrixDuel``.
    """

    def __init__(
        self,
        matrix: Source = "arxiv6",
        arms: int = 10,
        permute: bool = True,
        options: dict[str, Any] | None = None,
        one_hot: bool = False,
    ) -> None:
        self.permute, self._options = permute, dict(options or {})
        self._family = FAMILIES.get(matrix) if isinstance(matrix, str) else None
        if self._options and self._family is None:
            raise ValueError(f"only a random family ({', '.join(FAMILIES)}) takes options, got {sorted(self._options)}")
        self._matrix = None if self._family else _fixed(matrix)
        self.arms = arms if self._matrix is None else len(self._matrix)
        self.dim = self.arms if one_hot else 0
        self.name = f"{matrix if isinstance(matrix, str) else 'a given matrix'}"
        if self._matrix is None:
            self.draw(np.random.default_rng(0))  # a bad option is reported now, not at the first reset

    def draw(self, rng: np.random.Generator) -> Instance:
        """A matrix, its arms relabelled."""
        matrix = self._matrix if self._matrix is not None else self._drawn(rng)
        if self.permute:
            order = rng.permutation(self.arms)
            matrix = matrix[np.ix_(order, order)]
        return Instance(matrix, features=np.eye(self.arms) if self.dim else None)

    def _drawn(self, rng: np.random.Generator) -> Floats:
        assert self._family is not None
        try:
            return self._family(rng, self.arms, **self._options)
        except TypeError as error:
            raise ValueError(f"this family of matrices does not take these options: {error}") from error

    def guides(self, instance: Instance) -> list[Guide]:
        """Uniform pairs, the asymptotic slope, the minimax rate."""
        return matrix_guides(instance.preferences)


class UtilityFamily(MatrixFamily):
    """Bradley–Terry matrices together with the utilities behind them. Arguments as for ``MatrixFamily``."""

    def __init__(self, matrix: Source, *args: Any, **kwargs: Any) -> None:
        if matrix != "bt" and (isinstance(matrix, str) or np.ndim(matrix[0])):
            raise ValueError(
                f"kl_weight weighs utilities against KL, and {matrix!r:.40} has no utilities: take matrix='bt' or a "
                "list of utilities"
            )
        super().__init__(matrix, *args, **kwargs)

    def draw(self, rng: np.random.Generator) -> Instance:
        """A matrix and its utilities, up to a constant that no regret depends on."""
        drawn = super().draw(rng)
        utilities = logit(drawn.preferences[:, 0])
        if not np.isfinite(utilities).all():
            raise ValueError("kl_weight needs utilities no further than 36 apart: beyond, an arm wins with certainty")
        return replace(drawn, utilities=utilities)


def _fixed(matrix: Source) -> Floats:
    if isinstance(matrix, str):
        if matrix in NAMED:
            return named_matrix(matrix)
        if matrix.endswith(".csv") or Path(matrix).is_file():
            return load_csv(matrix)
        raise ValueError(
            f"unknown matrix {matrix!r}: expected one of {sorted(NAMED)}, a random family {sorted(FAMILIES)}, or a "
            "CSV file"
        )
    return check_preferences(matrix) if np.ndim(matrix[0]) else bradley_terry(matrix)


def MatrixDuel(
    matrix: Source = "arxiv6",
    arms: int = 10,
    permute: bool = True,
    options: dict[str, Any] | None = None,
    position_bias: float = 0.0,
    one_hot: bool = False,
    kl_weight: float = 0.0,
) -> FixedArms:
    """Duels between two arms of a preference matrix.

    Args:
        matrix: a built-in name (``duelbench.envs.arms.matrices.NAMED``), a random family's name (``FAMILIES``), a CSV
            file, a matrix as nested lists, or a list of utilities, which gives Bradley–Terry preferences.
        arms: K of a random family.
        permute: relabel the arms of each instance at random, so that no agent profits from their order.
        options: arguments of a random family.
        position_bias: share of the duels in which the first arm wins just for being first.
        one_hot: each arm's features are its own coordinate, so that agents that learn from features can play too.
        kl_weight: β > 0 makes regret that of u + β log π_ref (``duelbench.envs.arms.kl``); for matrices that come
            from utilities.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("MatrixDuel-v0", matrix="cyclic4", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step([0, 1])
    >>> reward in (0.0, 1.0)
    True
    """
    if kl_weight:
        return BudgetedArms(UtilityFamily(matrix, arms, permute, options, one_hot), position_bias, 1.0, kl_weight)
    return FixedArms(MatrixFamily(matrix, arms, permute, options, one_hot), position_bias)


MatrixDuelEnv, MatrixDuelVectorEnv = environments(MatrixDuel)
