"""LLMDuel-v0: free text. A prompt is the context, two strings are the action, one preference bit is the reward."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Dict, Discrete, Tuple
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.duels.preference import preference_probability
from duelbench.envs.duel.engine import Identical
from duelbench.envs.duel.env import DEFAULT_HORIZON, DuelEnv, DuelVectorEnv
from duelbench.envs.duel.problem import Array, Ids, InvalidActionError, Problem, Truth
from duelbench.envs.duel.spaces import FreeText
from duelbench.envs.text.tasks import Task, load_task
from duelbench.oracles import make_oracle
from duelbench.oracles.reader.taste import TASTES
from duelbench.protocols import UtilityOracle

DEFAULT_TASK = "short-writing"
DEFAULT_ORACLE = "reader"


class OracleProblem(Problem):
    """What free text and pools share: a task, and an oracle asked about texts.

    Args:
        task: name or path of a task (``duelbench.envs.text.tasks.load_task``).
        oracle: name or path of an oracle (``duelbench.oracles.make_oracle``).
        temperature: τ of the preference of an oracle with utilities; other oracles' probabilities are taken as are.
        oracle_kwargs: passed to the oracle.
        task_options: columns, splits and numbers of prompts (``duelbench.envs.text.tasks.sources.TaskOptions``).

    Raises:
        ValueError: the task has no reference responses.
    """

    def __init__(
        self, task: str = DEFAULT_TASK, oracle: str = DEFAULT_ORACLE, temperature: float = 1.0,
        oracle_kwargs: dict[str, Any] | None = None, task_options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        preference_probability(0.0, 0.0, temperature=temperature)  # a bad temperature is said now, not at step 1
        self.task: Task = load_task(task, task_options)
        if not self.task.references.shape[1]:
            raise ValueError(
                f"task {task!r} has prompts but no reference responses to compare with: name their column with "
                f"task_options, or have a model write them: duelbench task {task} --model MODEL --out FILE.npz"
            )
        self.oracle = make_oracle(oracle, **(oracle_kwargs or {}))
        self.temperature = temperature
        own = oracle.removeprefix("ray:") in TASTES  # another oracle, or a subclass, may go by the same name
        self._utilities: Array | None = self.task.utilities.get(self.oracle.name) if own else None
        self._scored: dict[tuple[str, str], float] = {}  # (prompt, response) -> u, since the latest duels
        n_stored = self.task.references.shape[1]
        self.comparator = f"the best of {n_stored} stored reference responses"
        self.reference = f"{n_stored} stored reference responses to the same prompt"

    @property
    def n_prompts(self) -> int:
        """Number of prompts that duels are drawn from."""
        return self.task.n_duel

    @property
    def stored_utilities(self) -> Array | None:
        """u of every stored response, (P + H, N), computed once; None if the oracle has no utilities."""
        if self._utilities is None and isinstance(self.oracle, UtilityOracle):
            n_stored = self.task.references.shape[1]
            prompts = [prompt for prompt in self.task.prompts for _ in range(n_stored)]
            flat = self.oracle.utilities(prompts, self.task.references.ravel().tolist())
            self._utilities = np.asarray(flat, np.float64).reshape(self.task.references.shape)
        return self._utilities

    def demonstrations(self, n: int) -> tuple[dict[str, Any], NDArray[Any]]:
        """The first n duel prompts as an observation, and the stored response of the highest utility to each.

        Raises:
            ValueError: the task has fewer duel prompts, or its oracle no utilities to tell good responses by.
        """
        if not 0 < n <= self.n_prompts:
            raise ValueError(f"expected 1 to {self.n_prompts} demonstrations, one a duel prompt, got {n}")
        if self.stored_utilities is None:
            raise ValueError(f"oracle {self.oracle.name!r} has no utilities, so no stored response is known to be good")
        ids = np.arange(n)
        return self.observe(ids), self._stored(ids, np.nanargmax(self.stored_utilities[:n], axis=-1))

    def _stored(self, ids: Ids, columns: Ids) -> NDArray[Any]:
        """Stored responses in the environment's form."""
        return np.array(self.task.references[ids, columns].tolist(), dtype=object)

    def prompt_texts(self, ids: Ids) -> list[str]:
        """Prompts as text."""
        return [self.task.prompts[i] for i in ids]

    def heldout_ids(self) -> Ids:
        """The task's held-out prompts."""
        return self.task.heldout_ids

    def preference(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """The oracle's P(first preferred), (n,)."""
        self._scored.clear()
        both = self.utilities(np.concatenate([ids, ids]), np.concatenate([firsts, seconds]))
        if both is None:
            return self.oracle.preference(self.prompt_texts(ids), self.texts(ids, firsts), self.texts(ids, seconds))
        return preference_probability(both[: len(ids)], both[len(ids) :], temperature=self.temperature)

    def utilities(self, ids: Ids, responses: NDArray[Any]) -> Array | None:
        """u of n responses, (n,); None if the oracle has no utilities.

        A text is scored once for the duel and the truth about it: with a large reward model that is half the cost.
        """
        if not isinstance(self.oracle, UtilityOracle):
            return None
        asked = list(zip(self.prompt_texts(ids), self.texts(ids, responses), strict=True))
        if new := [text for text in dict.fromkeys(asked) if text not in self._scored]:
            prompts, texts = map(list, zip(*new, strict=True))
            self._scored.update(zip(new, self.oracle.utilities(prompts, texts), strict=True))
        return np.array([self._scored[text] for text in asked], np.float64)

    def beats_reference(self, ids: Ids, responses: NDArray[Any]) -> Array:
        """The oracle's P(response ≻ a stored reference response), averaged over those it answered, (n,)."""
        n_stored = self.task.references.shape[1]
        prompts = [prompt for prompt in self.prompt_texts(ids) for _ in range(n_stored)]
        firsts = [text for text in self.texts(ids, responses) for _ in range(n_stored)]
        seconds = self.task.references[ids].ravel().tolist()
        answers = np.asarray(self.oracle.preference(prompts, firsts, seconds)).reshape(len(ids), n_stored)
        return regret.mean_of_known(answers)

    def truth(self, ids: Ids, responses: NDArray[Any]) -> Truth | None:
        """Utilities beside those of the stored responses; None if the oracle has none."""
        utilities, stored = self.utilities(ids, responses), self.stored_utilities
        if utilities is None or stored is None:
            return None
        best = np.fmax.reduce(stored[ids], axis=-1)  # the best of those that the oracle knows
        return Truth(utilities, best, stored[ids], self.temperature)


class TextProblem(OracleProblem):
    """Duels of free text. Arguments as for ``OracleProblem``, and ``max_length`` of a response in characters."""

    def __init__(self, max_length: int = 4096, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        longest = max(map(len, self.task.prompts))
        self.response_space = FreeText(max_length)
        self.observation_space = Dict(prompt=FreeText(max(longest, 1)), prompt_id=Discrete(len(self.task.prompts)))
        self.action_space = Tuple((FreeText(max_length), FreeText(max_length)))

    def observe(self, ids: Ids) -> dict[str, Any]:
        """Prompt texts and their ids."""
        return {"prompt": tuple(self.prompt_texts(ids)), "prompt_id": ids.copy()}

    def as_batch(self, action: Any) -> Any:
        """``(first, second)`` -> ``((first,), (second,))``."""
        return tuple((text,) for text in action) if isinstance(action, tuple | list) else action

    def split(self, actions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """``(firsts, seconds)``, two sequences of B strings, checked one by one."""
        if not (
            isinstance(actions, tuple | list)
            and len(actions) == 2
            and all(isinstance(texts, tuple | list | np.ndarray) for texts in actions)
            and len(actions[0]) == len(actions[1])
        ):
            raise InvalidActionError(f"expected two responses (two str), got {actions!r:.200}; no label was used")
        for name, texts in zip(("first", "second"), actions, strict=True):
            for row, text in enumerate(texts):
                if (reason := self.response_space.why_not(text)) is not None:
                    raise InvalidActionError(f"row {row}, {name} response: {reason}; no label was used")
        return np.array(actions[0], dtype=object), np.array(actions[1], dtype=object)

    def texts(self, ids: Ids, responses: NDArray[Any]) -> list[str]:
        """They are texts already."""
        return list(responses)


class LLMDuelEnv(DuelEnv):
    """One free-text duel a step.

    Args:
        task: name or path of a task: prompts, held-out prompts and stored reference responses.
        oracle: who answers: a registered name or a path.
        horizon: label budget of an episode.
        feedback: ``bernoulli`` (default) or ``deterministic``.
        temperature: τ of the Bradley–Terry preference.
        flip: probability that a verdict is turned round.
        identical: what two identical strings do: ``tie``, ``ask``, ``skip`` or ``error``.
        oracle_kwargs: passed to the oracle.
        max_length: longest response, in characters.
        task_options: columns, splits and numbers of prompts, where the task is not a packaged one.
        render_mode: None or ``ansi``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("LLMDuel-v0", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(("A fox sang.", "Rain fell on the fox."))
    >>> reward in (0.0, 1.0)
    True
    """

    def __init__(
        self, task: str = DEFAULT_TASK, oracle: str = DEFAULT_ORACLE, horizon: int = DEFAULT_HORIZON,
        feedback: str = "bernoulli", temperature: float = 1.0, flip: float = 0.0, identical: Identical = "tie",
        oracle_kwargs: dict[str, Any] | None = None, max_length: int = 4096,
        task_options: dict[str, Any] | None = None, render_mode: str | None = None,
    ) -> None:  # fmt: skip
        problem = TextProblem(
            max_length, task=task, oracle=oracle, temperature=temperature, oracle_kwargs=oracle_kwargs,
            task_options=task_options,
        )  # fmt: skip
        super().__init__(problem, horizon, feedback, flip, identical, render_mode)


class LLMDuelVectorEnv(DuelVectorEnv):
    """B free-text duels a step with one oracle call. Arguments as for ``LLMDuelEnv``."""

    def __init__(
        self, num_envs: int = 1, task: str = DEFAULT_TASK, oracle: str = DEFAULT_ORACLE,
        horizon: int = DEFAULT_HORIZON, feedback: str = "bernoulli", temperature: float = 1.0, flip: float = 0.0,
        identical: Identical = "tie", oracle_kwargs: dict[str, Any] | None = None, max_length: int = 4096,
        task_options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        problem = TextProblem(
            max_length, task=task, oracle=oracle, temperature=temperature, oracle_kwargs=oracle_kwargs,
            task_options=task_options,
        )  # fmt: skip
        super().__init__(problem, num_envs, horizon, feedback, flip, identical)
