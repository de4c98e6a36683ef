"""The Gymnasium coats: one duel at a time, or a batch with one oracle call. Families differ by their problem."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from duelbench.duels.preference import Feedback
from duelbench.envs.duel.delay import AnswerBatches, Delay
from duelbench.envs.duel.engine import Engine, Identical
from duelbench.envs.duel.problem import Problem, Truth
from duelbench.types import Verdict

Observation = dict[str, Any]
DEFAULT_HORIZON = 1024
_NAMES = np.array([verdict.name.lower() for verdict in Verdict], dtype=object)


def _engine(
    problem: Problem, rows: int, horizon: int, feedback: Any, flip: float, identical: Identical, corrupted: int,
    delay: float, delay_spread: float, answer_batch: int,
) -> Engine:  # fmt: skip
    late: Delay | None = Delay(delay, delay_spread) if delay or delay_spread else None
    if answer_batch:
        if late is not None:
            raise ValueError(
                f"answers come either late or in batches: give delay={delay:g} or answer_batch={answer_batch}, not both"
            )
        late = AnswerBatches(answer_batch)
    return Engine(problem, rows, horizon, Feedback(feedback, flip, corrupted), identical, late)


class _Played:
    """What both coats share: the engine and the side channel to the truth."""

    engine: Engine

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


class DuelEnv(_Played, gym.Env[Observation, Any]):
    """One duel a step: observation = prompt, action = two responses, reward = the oracle's verdict.

    The reward is 1.0 if the first response was preferred, 0.0 if the second, 0.5 for a tie. An episode is a budget of
    ``horizon`` labels: it is truncated at the horizon and never terminates.

    Args:
        problem: what is played.
        horizon: label budget.
        feedback: ``bernoulli`` or ``deterministic``.
        flip: probability that a verdict is turned round.
        identical: what two identical responses do (``duelbench.envs.duel.engine.Engine``).
        render_mode: None or ``ansi``.
        corrupted: duels at the beginning of an episode in which an adversary names the worse response.
        delay: mean number of duels an answer waits. The answer then comes in a later step's ``info["answers"]``.
        delay_spread: standard deviation of that number.
        answer_batch: answers come together, with the last of every so many duels; 0 for none. Excludes a delay.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}  # type: ignore[misc]

    def __init__(
        self,
        problem: Problem,
        horizon: int = DEFAULT_HORIZON,
        feedback: str = "bernoulli",
        flip: float = 0.0,
        identical: Identical = "tie",
        render_mode: str | None = None,
        corrupted: int = 0,
        delay: float = 0.0,
        delay_spread: float = 0.0,
        answer_batch: int = 0,
    ) -> None:
        self.engine = _engine(
            problem, 1, horizon, feedback, flip, identical, corrupted, delay, delay_spread, answer_batch
        )
        self.observation_space = problem.observation_space
        self.action_space = problem.action_space
        self.render_mode = render_mode
        self._last = "no duel yet"

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; ``options={"start": k}`` begins it at its k-th duel.

        ``options={"instance": n}`` plays the n-th instance of a family of random problems (default: the seed's).
        """
        super().reset(seed=seed)
        start = int((options or {}).get("start", 0))
        self.engine.reset(0, self.np_random, start, (options or {}).get("instance", seed))
        self.engine.round = start
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Ask one duel. A bad action raises ``InvalidActionError`` and uses up no label."""
        verdicts, spent = self.engine.step(self.problem.as_batch(action), [self.np_random])
        verdict = int(verdicts[0])
        if self.render_mode == "ansi":
            self._last = f"{action!r} -> {_NAMES[verdict]}"
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

    def _observe(self) -> Observation:
        return {name: value[0] for name, value in self.problem.observe(self.engine.prompt_ids).items()}


class DuelVectorEnv(_Played, VectorEnv[Observation, Any, NDArray[Any]]):
    """B duels a step with one oracle call. Row b behaves exactly as a ``DuelEnv`` reset with seed b.

    Autoreset follows Gymnasium's next-step mode. Arguments as for ``DuelEnv``, and ``num_envs`` = B.
    """

    def __init__(
        self,
        problem: Problem,
        num_envs: int = 1,
        horizon: int = DEFAULT_HORIZON,
        feedback: str = "bernoulli",
        flip: float = 0.0,
        identical: Identical = "tie",
        corrupted: int = 0,
        delay: float = 0.0,
        delay_spread: float = 0.0,
        answer_batch: int = 0,
    ) -> None:
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs = num_envs
        self.render_mode = None
        self.single_observation_space = problem.observation_space
        self.single_action_space = problem.action_space
        self.observation_space = batch_space(problem.observation_space, num_envs)
        self.action_space = batch_space(problem.action_space, num_envs)
        self.engine = _engine(
            problem, num_envs, horizon, feedback, flip, identical, corrupted, delay, delay_spread, answer_batch
        )
        self._rngs: list[np.random.Generator] = [np_random()[0] for _ in range(num_envs)]
        self._ended = np.zeros(num_envs, bool)

    def reset(  # type: ignore[override]
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin all rows: an int seed gives row b the seed ``seed + b``, a list gives each its own.

        ``options={"start": k}`` begins every row at its k-th duel; ``options={"instance": n}`` lets all rows play the
        n-th instance of a family of random problems (default: each row that of its own seed).
        """
        seeds: list[int | None]
        if isinstance(seed, int):
            seeds = [seed + row for row in range(self.num_envs)]
        else:
            seeds = [None] * self.num_envs if seed is None else seed
        if len(seeds) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} seeds, one for each row, got {len(seeds)}")
        start = int((options or {}).get("start", 0))
        for row, row_seed in enumerate(seeds):
            if row_seed is not None:
                self._rngs[row] = np_random(row_seed)[0]
            self.engine.reset(row, self._rngs[row], start, (options or {}).get("instance", row_seed))
        self.engine.round = start
        self._ended[:] = False
        return self.problem.observe(self.engine.prompt_ids), {}

    def duel(self, actions: Any) -> NDArray[np.float64]:
        """The lean step of lock-step runs: rewards (B,) alone, without an end of the episode."""
        return self.engine.reward(self.engine.step(actions, self._rngs)[0])

    def step(
        self, actions: Any
    ) -> tuple[Observation, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Ask B duels with one oracle call. A bad action raises ``InvalidActionError`` and uses up no label."""
        ended = self._ended.copy()
        verdicts, spent = self.engine.step(actions, self._rngs, ~ended)
        rewards = self.engine.reward(verdicts)
        rewards[ended] = 0.0  # Gymnasium's next-step autoreset: this step was the reset of these rows
        for row in np.flatnonzero(ended).tolist():
            self.engine.reset(row, self._rngs[row])
        self._ended = spent & ~ended
        info: dict[str, Any] = {}
        if not ended.all():
            info = {
                "verdict": np.where(ended, np.array(None), _NAMES[verdicts]), "_verdict": ~ended,
                "labels": np.where(ended, 0, self.engine.labels), "_labels": ~ended,
            }  # fmt: skip
            if self.engine.delay is not None:
                info |= {"answers": np.fromiter(self.engine.answers(), object, self.num_envs), "_answers": ~ended}
        observation = self.problem.observe(self.engine.prompt_ids)
        return observation, rewards, np.zeros(self.num_envs, bool), self._ended.copy(), info
