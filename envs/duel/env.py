"""The Gymnasium classes: one duel at a time, or a batch with one oracle call. Families differ by their problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from duelbench.duels.preference import REWARD_OF_VERDICT
from duelbench.envs.duel.engine import Engine
from duelbench.envs.duel.feedback.conditions import Conditions, whole_number
from duelbench.envs.duel.problem import KnowsRegret, Problem, Truth, checked_columns, lone_pair
from duelbench.plugins import did_you_mean
from duelbench.types import Verdict

Observation = dict[str, Any]
_NAMES = np.array([verdict.name.lower() for verdict in Verdict], dtype=object)
_OPTIONS = ("start", "instance")


class _Played:
    """What both classes share: the engine and the side channel to the truth."""

    engine: Engine
    make_problem: ClassVar[Callable[..., Problem] | None] = None
    """What a family's environments were made from (``duelbench.envs.duel.family.environments``)."""

    @property
    def problem(self) -> Problem:
        """What is being played."""
        return self.engine.problem

    def abstain(self, rows: NDArray[np.bool_]) -> None:
        """In the next step these rows (B,) only go on to a new prompt: no duel, no label, reward NaN."""
        self.engine.abstaining[:] = rows

    def truth(self, prompt_ids: NDArray[np.int64], responses: NDArray[Any]) -> Truth | None:
        """Utilities of responses, for a recorder: an honest learner never calls this."""
        return self.problem.truth(np.asarray(prompt_ids), responses)

    def heldout(self) -> Observation:
        """The batched observation of all held-out prompts, to judge a deployed policy on."""
        return self.problem.observe(self.problem.heldout_ids())

    def _regrets(self, actions: Any) -> dict[str, NDArray[np.float64]]:
        if not isinstance(self.problem, KnowsRegret):
            raise TypeError(f"{type(self.problem).__name__} does not know the regret of a duel: see KnowsRegret")
        return self.problem.regrets(self.engine.prompt_ids, *self.problem.split(actions))


def _reset_options(options: dict[str, Any] | None) -> tuple[int, int | None]:
    """Where an episode starts, and the instance it plays, if one was named."""
    given = options or {}
    for name in given:
        if name not in _OPTIONS:
            raise ValueError(
                f"reset: unknown option {name!r}: expected {' or '.join(map(repr, _OPTIONS))}"
                f"{did_you_mean(str(name), _OPTIONS)}"
            )
    instance = given.get("instance")
    named = None if instance is None else whole_number("reset: instance, a number,", instance, 0)
    return whole_number("reset: start, the number of a duel,", given.get("start", 0), 0), named


class DuelEnv(_Played, gym.Env[Observation, Any]):
    """One duel per step: observation = prompt, action = two responses, reward = the oracle's verdict.

    The reward is 1.0 if the first response was preferred, 0.0 if the second, 0.5 for a tie, NaN where there is no
    answer. An episode is a budget of ``horizon`` labels: it is truncated at the horizon and never terminates.

    Args:
        problem: what is played.
        render_mode: None or ``ansi``.
        conditions: fields of ``duelbench.envs.duel.feedback.conditions.Conditions``.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}  # type: ignore[misc]

    def __init__(self, problem: Problem, *, render_mode: str | None = None, **conditions: Any) -> None:
        self.engine = Conditions(**conditions).engine(problem, 1)
        self.observation_space = problem.observation_space
        self.action_space = problem.action_space
        self.render_mode = render_mode
        self._last = "no duel yet"
        self._why_reset = "the environment was never reset"  # empty while an episode is on

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; ``options={"start": k}`` begins it at its k-th duel.

        ``options={"instance": n}`` plays the n-th instance of a family of random problems (default: the seed's).

        Raises:
            ValueError: an unknown option, or one out of range.
        """
        start, instance = _reset_options(options)
        super().reset(seed=seed)
        self.engine.reset(0, self.np_random, start, seed if instance is None else instance)
        self.engine.round = start
        self._why_reset = ""
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Ask one duel.

        Raises:
            InvalidActionError: a bad action; no label was used up.
            gymnasium.error.ResetNeeded: before the first reset, or past the end of the episode; no label was used up.
        """
        if self._why_reset:
            raise ResetNeeded(f"{self._why_reset}: call reset() before step(); no label was used")
        verdicts, spent = self.engine.step(self.problem.as_batch(action), [self.np_random])
        verdict = int(verdicts[0])
        if self.render_mode == "ansi":
            self._last = f"{action!r} -> {_NAMES[verdict]}"
        if spent[0]:
            self._why_reset = f"the episode is over, its {self.engine.horizon} labels are spent"
        info: dict[str, Any] = {"verdict": _NAMES[verdict], "labels": int(self.engine.labels[0])}
        if self.engine.delay is not None:
            info["answers"] = self.engine.answers()[0]
        return self._observe(), float(self.engine.reward(verdicts)[0]), False, bool(spent[0]), info

    def render(self) -> str | None:  # type: ignore[override]
        """The last duel and the prompt that waits, as text."""
        if self.render_mode is None:
            return None
        prompt = self.problem.prompt_texts(self.engine.prompt_ids)[0]
        return f"{self._last}\nlabels {int(self.engine.labels[0])}/{self.engine.horizon}; next: {prompt}"

    def regrets(self, action: Any) -> dict[str, float]:
        """Each kind of regret that a duel has in the present context: for a recorder, not for an honest learner.

        Raises:
            TypeError: the problem is not ``KnowsRegret``.
        """
        return {kind: float(values[0]) for kind, values in self._regrets(self.problem.as_batch(action)).items()}

    def _observe(self) -> Observation:
        return {name: value[0] for name, value in self.problem.observe(self.engine.prompt_ids).items()}


class DuelVectorEnv(_Played, VectorEnv[Observation, Any, NDArray[Any]]):
    """B duels per step with one oracle call. Row b behaves exactly as a ``DuelEnv`` reset with seed b.

    Autoreset follows Gymnasium's next-step mode. Arguments as for ``DuelEnv``, without ``render_mode``, and
    ``num_envs`` = B.
    """

    def __init__(self, problem: Problem, num_envs: int = 1, **conditions: Any) -> None:
        self.num_envs = whole_number("num_envs", num_envs, 1)
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.render_mode = None
        self.single_observation_space = problem.observation_space
        self.single_action_space = problem.action_space
        self.observation_space = batch_space(problem.observation_space, num_envs)
        self.action_space = batch_space(problem.action_space, num_envs)
        self.engine = Conditions(**conditions).engine(problem, num_envs)
        self._rngs: list[np.random.Generator] = [np_random()[0] for _ in range(num_envs)]
        self._ended = np.zeros(num_envs, bool)
        self._begun = False

    def reset(  # type: ignore[override]
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin all rows: an int seed gives row b the seed ``seed + b``, a list gives each its own.

        ``options={"start": k}`` begins every row at its k-th duel; ``options={"instance": n}`` lets all rows play the
        n-th instance of a family of random problems (default: each row that of its own seed).

        Raises:
            ValueError: an unknown option, one out of range, or another number of seeds than rows.
        """
        start, instance = _reset_options(options)
        seeds: Sequence[int | None]
        if isinstance(seed, int):
            seeds = [seed + row for row in range(self.num_envs)]
        else:
            seeds = [None] * self.num_envs if seed is None else seed
        if len(seeds) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} seeds, one for each row, got {len(seeds)}")
        for row, row_seed in enumerate(seeds):
            if row_seed is not None:
                self._rngs[row] = np_random(row_seed)[0]
            self.engine.reset(row, self._rngs[row], start, row_seed if instance is None else instance)
        self.engine.round = start
        self._ended[:] = False
        self._begun = True
        return self.problem.observe(self.engine.prompt_ids), {}

    def duel(self, firsts: NDArray[np.int64], seconds: NDArray[np.int64]) -> NDArray[np.float64]:
        """The lean step of lock-step runs: rewards (B,) of duels between arms (B,), without an end of the episode.

        Raises:
            InvalidActionError: an index out of range, or no integers; no label was used up.
        """
        problem: Any = self.problem  # an Arms: to check that takes longer than the duel
        if self.num_envs == 1 and self.engine.foresees and (pair := lone_pair(firsts, seconds, problem.arms)):
            verdict = self.engine.play_alone(*pair, self._rngs)
            return REWARD_OF_VERDICT[verdict : verdict + 1].copy()
        arms = checked_columns(firsts, seconds, self.num_envs, problem.arms)
        return self.engine.reward(self.engine.play(*arms, self._rngs))

    def step(
        self, actions: Any
    ) -> tuple[Observation, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Ask B duels with one oracle call.

        Raises:
            InvalidActionError: a bad action; no label was used up.
            gymnasium.error.ResetNeeded: before the first reset; no label was used up.
        """
        if not self._begun:
            raise ResetNeeded("the environment was never reset: call reset() before step(); no label was used")
        ended = self._ended.copy()
        verdicts, spent = self.engine.step(actions, self._rngs, ~ended)
        rewards = self.engine.reward(verdicts)
        rewards[ended] = 0.0  # Gymnasium's next-step autoreset: this step was the reset of these rows
        for row in np.flatnonzero(ended).tolist():
            self.engine.reset(row, self._rngs[row])
        self._ended = spent & ~ended
        info: dict[str, Any] = {}
        if not ended.all():
            info = {"verdict": np.where(ended, np.array(None), _NAMES[verdicts]), "_verdict": ~ended}
            info |= {"labels": np.where(ended, 0, self.engine.labels), "_labels": ~ended}
            if self.engine.delay is not None:
                info |= {"answers": np.fromiter(self.engine.answers(), object, self.num_envs), "_answers": ~ended}
        observation = self.problem.observe(self.engine.prompt_ids)
        return observation, rewards, np.zeros(self.num_envs, bool), self._ended.copy(), info

    def regrets(self, actions: Any) -> dict[str, NDArray[np.float64]]:
        """Each kind of regret that the rows' duels have in their present contexts, (B,).

        Raises:
            TypeError: the problem is not ``KnowsRegret``.
        """
        return self._regrets(actions)
