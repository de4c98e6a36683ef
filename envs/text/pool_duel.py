"""LLMDuelPool-v0: the same task over N stored responses of the reference LM. Regret is exact, no LM is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from numpy.typing import NDArray

from duelbench.envs.duel.family import environments
from duelbench.envs.duel.problem import Array, Ids, index_pairs
from duelbench.envs.duel.spaces import FreeText, IndexPair
from duelbench.envs.text.llm_duel import OracleProblem
from duelbench.envs.text.tasks import Task
from duelbench.plugins import did_you_mean

WARM = "preference"
"""The features that are seen where nobody asks for others."""


class LLMDuelPool(OracleProblem):
    """Duels between two of the N stored responses to a prompt; exact regret.

    Arguments as for ``OracleProblem``, and:

    Args:
        features: which of the task's sets of features is seen, by the name of its encoder: ``preference`` is the warm
            start, whose encoder has read other readers' preferences, ``lm`` the cold one, the states of a frozen
            language model. ``knows_taste`` are those that the simulated reader itself notices, which no honest learner
            sees: a reference line. None takes ``preference`` where the task has it, else its only one.

    Raises:
        ValueError: the task has no such features, or stores a response to some prompt twice.

    The reference policy is the stored sample's empirical distribution: the N responses were drawn from the
    reference LM, so each has reference probability 1/N. The LM's own sequence log-probabilities are in
    ``task.lm_log_probs``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("LLMDuelPool-v0", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step([0, 1])
    >>> reward in (0.0, 1.0)
    True
    """

    def __init__(self, features: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_distinct(self.task)
        if features == "knows_taste":
            from duelbench.posteriors.encoders.taste import TasteEncoder

            encoder = TasteEncoder(self.oracle.name)
            self._features = encoder.encode(self.task.prompts, self.task.references.tolist()).numpy()
        else:
            self._features = _stored_features(self.task, features)
        n_all, self.n_responses, dim = self._features.shape
        self._reference = np.full((1, self.n_responses), -np.log(self.n_responses), np.float32)
        bound = float(np.ceil(np.abs(self._features).max()))
        self.observation_space = Dict(
            prompt=FreeText(max(map(len, self.task.prompts))),
            prompt_id=Discrete(n_all),
            features=Box(-bound, bound, (self.n_responses, dim), np.float32),
            reference_log_probs=Box(2 * self._reference.min(), 0.0, (self.n_responses,), np.float32),
        )
        self.action_space = IndexPair(self.n_responses)

    @property
    def comparator(self) -> str:  # type: ignore[override]
        """The set over which y* is best, in words."""
        part = "" if self.references is None else f"first {self.references} of the "
        return f"the best of the {part}{self.n_responses} responses in the pool"

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
        """Stored utilities."""
        return self.stored_utilities(ids, responses.astype(np.int64))


def _check_distinct(task: Task) -> None:
    """Refuse a response that is stored twice: under two numbers it would meet itself, and cost a label each time."""
    for row, texts in enumerate(task.references.tolist(), 1):
        if len(set(texts)) < len(texts):
            twice = next(text for place, text in enumerate(texts) if text in texts[:place])
            raise ValueError(
                f"task {task.name!r}, row {row}: the response {twice!r:.80} is stored twice, and a duel between the "
                "two would cost a label and teach nothing: keep one of them, and as many responses to each prompt"
            )


def _stored_features(task: Task, name: str | None) -> NDArray[np.float32]:
    known = sorted(task.features)
    if not known:
        raise ValueError(
            f"task {task.name!r} has no stored features, which a pool environment needs; "
            "make a pool file with `python -m duelbench.experiments.pool.build`, or use LLMDuel-v0"
        )
    if name is None and (WARM in known or len(known) == 1):
        name = WARM if WARM in known else known[0]
    if name is None or name not in known:
        raise ValueError(
            f"task {task.name!r} has no features {name!r}: expected one of {known}{did_you_mean(str(name), known)}"
        )
    return task.features[name]


LLMDuelPoolEnv, LLMDuelPoolVectorEnv = environments(LLMDuelPool)
