"""LLMDuel-v0: free text. A prompt is the context, two strings are the action, one preference bit is the reward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Dict, Discrete, Tuple
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.duels.guides import Guide, best_of_guides
from duelbench.duels.preference import preference_probability
from duelbench.envs.duel.family import environments
from duelbench.envs.duel.problem import Array, Ids, InvalidActionError, Problem, Truth
from duelbench.envs.duel.spaces import FreeText
from duelbench.envs.text.tasks import Task, load_task
from duelbench.oracles import make_oracle
from duelbench.oracles.checks import ask_preference, ask_utilities
from duelbench.oracles.reader.taste import TASTES
from duelbench.protocols import Oracle, UtilityOracle

DEFAULT_TASK = "short-writing"
DEFAULT_ORACLE = "reader"


class OracleProblem(Problem):
    """What free text and pools share: a task, and an oracle asked about texts.

    Every question goes to ``oracle``: ``preference`` asks it for duels, ``truth``, ``beats_reference`` and
    ``demonstrations`` ask it for judging. A stored response is scored when something needs its utility, not before.

    Args:
        task: name or path of a task (``duelbench.envs.text.tasks.load_task``), or a ``Task``: prompts, held-out prompts
            and stored reference responses.
        oracle: who answers: a name or path (``duelbench.oracles.make_oracle``), a function of prompt and response, an
            oracle, or a class of oracles.
        temperature: τ of the Bradley–Terry preference of an oracle with utilities; the probabilities of an oracle with
            a preference of its own are taken as they are.
        oracle_kwargs: passed to the oracle.
        task_options: columns, splits and numbers of prompts, where the task is not a packaged one
            (``duelbench.envs.text.tasks.sources.TaskOptions``).
        references: how many of the stored responses to a prompt are used for judging; None for all.

    Raises:
        ValueError: the task has no reference responses, or an argument is out of range.
    """

    def __init__(
        self,
        task: str | Task = DEFAULT_TASK,
        oracle: str | Callable[..., Any] | Oracle = DEFAULT_ORACLE,
        temperature: float = 1.0,
        oracle_kwargs: dict[str, Any] | None = None,
        task_options: dict[str, Any] | None = None,
        references: int | None = None,
    ) -> None:
        preference_probability(0.0, 0.0, temperature=temperature)  # a bad temperature is reported now, not at step 1
        self.task: Task = load_task(task, task_options)
        self.oracle = make_oracle(oracle, **(oracle_kwargs or {}))
        n_stored = self.task.references.shape[1]
        if not n_stored and not getattr(self.oracle, "waits", False):  # people judge duels, and nothing else
            raise ValueError(
                f"task {self.task.name!r} has prompts but no reference responses to compare with: name their column "
                f"with task_options, or have a model write them: duelbench task {task} --model MODEL --out FILE.npz"
            )
        if references is not None and not 1 <= references <= n_stored:
            raise ValueError(
                f"references must lie in [1, {n_stored}], the stored responses to a prompt, got {references}"
            )
        self.temperature, self.references = temperature, references
        if temperature != 1.0 and not self._derived:
            raise ValueError(
                f"temperature={temperature:g} has no effect on oracle {self.oracle.name!r}, which has a preference of "
                "its own: leave it out"
            )
        self._utilities = self._computed_beforehand(oracle)
        self._scored: dict[tuple[str, str], float] = {}  # (prompt, response) -> u, since the latest duels
        self._tied: set[tuple[str, str, str]] = set()  # the latest duels that a judge left undecided
        self.reference = f"{references or n_stored} stored reference responses to the same prompt"

    def _computed_beforehand(self, oracle: Any) -> Array:
        """u of the stored responses, (P + H, N), NaN where it is not known yet."""
        stored = None
        if isinstance(oracle, str) and oracle.removeprefix("ray:") in TASTES:  # others may go by the same name
            stored = self.task.utilities.get(self.oracle.name)
        self._known = np.full(self.task.references.shape, stored is not None)
        return np.full(self.task.references.shape, np.nan) if stored is None else np.array(stored)

    @property
    def _derived(self) -> bool:
        """Whether the oracle's preference is Bradley–Terry on its utilities, so that it need not be asked for both."""
        return bool(getattr(self.oracle, "prefers_by_utility", False)) and isinstance(self.oracle, UtilityOracle)

    @property
    def comparator(self) -> str:  # type: ignore[override]
        """The set over which y* is best, in words."""
        return f"the best of {self.n_references} stored reference responses"

    @property
    def n_references(self) -> int:
        """Stored responses to a prompt that are used for judging."""
        return self.references or self.task.references.shape[1]

    @property
    def stored_references(self) -> NDArray[Any]:
        """Texts of the stored responses that are used for judging, (P + H, N)."""
        return self.task.references[:, : self.n_references]

    @property
    def n_prompts(self) -> int:
        """Number of prompts that duels are drawn from."""
        return self.task.n_duel

    def content(self) -> dict[str, str]:
        """Hash of the task's prompts and references."""
        return {"task": self.task.content}

    def stored_utilities(self, ids: Ids, columns: NDArray[np.int64] | slice = slice(None)) -> Array | None:
        """u of stored responses to n prompts, (n, N) or, with a column each, (n,); None if the oracle has no utilities.

        Each is scored once, when it is wanted first.
        """
        if not isinstance(self.oracle, UtilityOracle):
            return None
        wanted = np.zeros_like(self._known)
        wanted[ids, columns] = True
        rows, places = np.nonzero(wanted & ~self._known)
        if len(rows):
            texts = self.task.references[rows, places].tolist()
            self._utilities[rows, places] = ask_utilities(self.oracle, self.prompt_texts(rows), texts)
            self._known[rows, places] = True
        return self._utilities[ids, columns]

    def demonstrations(self, n: int) -> tuple[dict[str, Any], NDArray[Any]]:
        """The first n duel prompts as an observation, and the stored response of the highest utility to each.

        Raises:
            ValueError: the task has fewer duel prompts, or its oracle no utilities to tell good responses by.
        """
        if not 0 < n <= self.n_prompts:
            raise ValueError(f"expected 1 to {self.n_prompts} demonstrations, one per duel prompt, got {n}")
        ids = np.arange(n)
        stored = self.stored_utilities(ids)
        if stored is None:
            raise ValueError(f"oracle {self.oracle.name!r} has no utilities, so no stored response is known to be good")
        return self.observe(ids), self._stored(ids, np.nanargmax(stored, axis=-1))

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
        if not self._derived:
            duels = self.prompt_texts(ids), self.texts(ids, firsts), self.texts(ids, seconds)
            answers = ask_preference(self.oracle, *duels)
            self._tied = {duel for duel, answer in zip(zip(*duels, strict=True), answers, strict=True) if answer == 0.5}
            return answers
        both = self.utilities(np.concatenate([ids, ids]), np.concatenate([firsts, seconds]))
        assert both is not None
        return preference_probability(both[: len(ids)], both[len(ids) :], temperature=self.temperature)

    def ties(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array | None:
        """Of the latest duels: 1 where an oracle that gives verdicts named neither response, so that no coin decides.

        Such an oracle says so in an attribute ``gives_verdicts``; the ½ of any other is a probability.
        """
        if not getattr(self.oracle, "gives_verdicts", False):
            return None
        duels = zip(self.prompt_texts(ids), self.texts(ids, firsts), self.texts(ids, seconds), strict=True)
        return np.array([duel in self._tied for duel in duels], np.float64)

    def utilities(self, ids: Ids, responses: NDArray[Any]) -> Array | None:
        """u of n responses, (n,); None if the oracle has no utilities.

        A text is scored once for the duel and the truth about it: with a large reward model that is half the cost.
        """
        if not isinstance(self.oracle, UtilityOracle):
            return None
        asked = list(zip(self.prompt_texts(ids), self.texts(ids, responses), strict=True))
        if new := [text for text in dict.fromkeys(asked) if text not in self._scored]:
            prompts, texts = map(list, zip(*new, strict=True))
            self._scored.update(zip(new, ask_utilities(self.oracle, prompts, texts), strict=True))
        return np.array([self._scored[text] for text in asked], np.float64)

    def beats_reference(self, ids: Ids, responses: NDArray[Any]) -> Array:
        """The oracle's P(response ≻ a stored reference response), averaged over those it answered, (n,)."""
        n = self.n_references
        prompts = [prompt for prompt in self.prompt_texts(ids) for _ in range(n)]
        firsts = [text for text in self.texts(ids, responses) for _ in range(n)]
        seconds = self.task.references[ids, :n].ravel().tolist()
        answers = ask_preference(self.oracle, prompts, firsts, seconds).reshape(len(ids), n)
        return regret.mean_of_known(answers)

    def truth(self, ids: Ids, responses: NDArray[Any]) -> Truth | None:
        """Utilities, with those of the stored responses; None if the oracle has none."""
        utilities, stored = self.utilities(ids, responses), self._judged_by(ids)
        if utilities is None or stored is None:
            return None
        best = np.fmax.reduce(stored, axis=-1)  # the best of those that the oracle knows
        return Truth(utilities, best, stored, self.temperature)

    def guides(self, row: int) -> list[Guide]:
        """What the best reference response to each held-out prompt scores; nothing where asking costs something."""
        ids = self.heldout_ids()
        stored = self._judged_by(ids) if getattr(self.oracle, "free", False) and len(ids) else None
        if stored is None or np.isnan(stored).all(-1).any():
            return []
        best = np.nanmax(stored, axis=-1)
        truth = Truth(best, best, stored, self.temperature)
        return best_of_guides(stored.shape[-1], float(truth.win_rate().mean()), float(truth.win_probability().mean()))

    def _judged_by(self, ids: Ids) -> Array | None:
        """u of the references that n prompts are judged by, (n, R)."""
        columns = np.tile(np.arange(self.n_references), len(ids))
        found = self.stored_utilities(ids.repeat(self.n_references), columns)
        return None if found is None else found.reshape(len(ids), self.n_references)


class LLMDuel(OracleProblem):
    """Duels of free text.

    Arguments as for ``OracleProblem``, and:

    Args:
        max_length: longest response, in characters.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("LLMDuel-v0", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(("A fox sang.", "Rain fell on the fox."))
    >>> reward in (0.0, 1.0)
    True
    """

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


LLMDuelEnv, LLMDuelVectorEnv = environments(LLMDuel)
