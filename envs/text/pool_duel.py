"""LLMDuelPool-v0: the same task over N stored responses of the reference LM. Regret is exact, no LM is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from numpy.typing import NDArray

from duelbench.envs.duel.engine import Identical
from duelbench.envs.duel.env import DEFAULT_HORIZON, DuelEnv, DuelVectorEnv
from duelbench.envs.duel.problem import Array, Ids, index_pairs
from duelbench.envs.duel.spaces import FreeText
from duelbench.envs.text.llm_duel import DEFAULT_ORACLE, DEFAULT_TASK, OracleProblem


class PoolProblem(OracleProblem):
    """Duels between two of the N stored responses to a prompt. Arguments as for ``OracleProblem``.

    The reference policy is the stored sample's empirical distribution: the N responses were drawn from the
    reference LM, so each has reference probability 1/N. The LM's own sequence log-probabilities are in
    ``task.lm_log_probs``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.task.features is None:
            raise ValueError(
                f"task {self.task.name!r} has no stored features, which a pool environment needs; "
                "make a pool file with `python -m duelbench.experiments.pool.build`, or use LLMDuel-v0"
            )
        self._features = self.task.features
        n_all, self.n_responses, dim = self._features.shape
        self._reference = np.full((1, self.n_responses), -np.log(self.n_responses), np.float32)
        bound = float(np.ceil(np.abs(self._features).max()))
        self.comparator = f"the best of the {self.n_responses} responses in the pool"
        self.observation_space = Dict(
            prompt=FreeText(max(map(len, self.task.prompts))),
            prompt_id=Discrete(n_all),
            features=Box(-bound, bound, (self.n_responses, dim), np.float32),
            reference_log_probs=Box(2 * self._reference.min(), 0.0, (self.n_responses,), np.float32),
        )
        self.action_space = MultiDiscrete([self.n_responses, self.n_responses])

    def observe(self, ids: Ids) -> dict[str, Any]:
        """Prompts with the features and reference log-probabilities of their whole pool."""
        return {
            "prompt": tuple(self.prompt_texts(ids)),
            "prompt_id": ids.copy(),
            "features": self._features[ids],
            "reference_log_probs": self._reference.repeat(len(ids), 0),
        }

    def as_batch(self, action: Any) -> Any:
        """(2,) -> (1, 2)."""
        return (action,)

    def split(self, actions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Columns (B,) of the first and the second responses."""
        return index_pairs(actions, self.n_responses)

    def texts(self, ids: Ids, responses: NDArray[Any]) -> list[str]:
        """The stored responses."""
        return self.task.references[ids, responses.astype(np.int64)].tolist()

    def _stored(self, ids: Ids, columns: Ids) -> NDArray[Any]:
        """Their columns."""
        return columns

    def utilities(self, ids: Ids, responses: NDArray[Any]) -> Array | None:
        """Stored utilities: no text is scored."""
        stored = self.stored_utilities
        return None if stored is None else stored[ids, responses.astype(np.int64)]


class LLMDuelPoolEnv(DuelEnv):
    """One duel a step between two of N stored responses; exact regret.

    Arguments as for ``LLMDuelEnv``, without ``max_length``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("LLMDuelPool-v0", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> reward in (0.0, 0.5, 1.0)
    True
    """

    def __init__(
        self, task: str = DEFAULT_TASK, oracle: str = DEFAULT_ORACLE, horizon: int = DEFAULT_HORIZON,
        feedback: str = "bernoulli", temperature: float = 1.0, flip: float = 0.0, identical: Identical = "tie",
        oracle_kwargs: dict[str, Any] | None = None, render_mode: str | None = None,
    ) -> None:  # fmt: skip
        problem = PoolProblem(task=task, oracle=oracle, temperature=temperature, oracle_kwargs=oracle_kwargs)
        super().__init__(problem, horizon, feedback, flip, identical, render_mode)


class LLMDuelPoolVectorEnv(DuelVectorEnv):
    """B pool duels a step. Arguments as for ``LLMDuelPoolEnv``."""

    def __init__(
        self, num_envs: int = 1, task: str = DEFAULT_TASK, oracle: str = DEFAULT_ORACLE,
        horizon: int = DEFAULT_HORIZON, feedback: str = "bernoulli", temperature: float = 1.0, flip: float = 0.0,
        identical: Identical = "tie", oracle_kwargs: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        problem = PoolProblem(task=task, oracle=oracle, temperature=temperature, oracle_kwargs=oracle_kwargs)
        super().__init__(problem, num_envs, horizon, feedback, flip, identical)
