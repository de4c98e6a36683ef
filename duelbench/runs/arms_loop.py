"""Runs of the numeric families: many seeds move in lock-step as arrays, and are recorded as one folder.

The oracle of such a run is a known function and costs nothing, so nothing is journaled: a run that was stopped is
played again from the start, and comes out the same to the last bit.
"""

from __future__ import annotations

import dataclasses
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from duelbench.agents import registry
from duelbench.agents.arms.base import ArmSetup
from duelbench.duels.guides import average_guides
from duelbench.duels.preference import REWARD_OF_VERDICT
from duelbench.envs import resolve_env
from duelbench.envs.duel.problem import Arms, Guided, KnowsParameter
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.judging.schedule import evaluation_points, passed
from duelbench.runs.recording.run_folder import RunFolder, described
from duelbench.streams import Streams

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
_GUIDED = 50  # instances over which the guides are averaged
_TOLD_EVERY = 64  # duels between two messages to the progress bar


def run_lockstep(spec: RunSpec, out: Path, *, command: str = "", progress: Callable[[int], None] | None = None) -> Path:
    """Play ``spec.lockstep`` seeds, from ``spec.seed`` on, at once; return the folder of their record.

    Raises:
        RunBusyError: if another process is playing this run.
        Exception: whatever stopped the run; its traceback is in the folder's ``error.txt``.
    """
    folder = RunFolder.at(out, spec)
    spec = resolve(folder.spec)
    return folder.play(lambda: _Lockstep(spec, folder, command).play(progress or (lambda labels: None)))


class _Lockstep:
    """One run, from its first duel to its record."""

    def __init__(self, spec: RunSpec, folder: RunFolder, command: str) -> None:
        self.spec, self.folder = spec, folder
        # a bandit plays its best arm against itself: such a duel is a round like any other
        kwargs = {"identical": "ask"} | spec.env_kwargs | {"horizon": spec.labels + 1}
        env: Any = gym.make_vec(resolve_env(spec.env), num_envs=spec.lockstep, **kwargs)
        self.env = env.unwrapped
        self.problem: Any = self.env.problem
        if not isinstance(self.env.problem, Arms):
            raise TypeError(f"{spec.env} has no arms for seeds in lock-step: see duelbench.envs.duel.problem.Arms")
        self.env.reset(seed=list(range(spec.seed, spec.seed + spec.lockstep)))
        self.rows = np.arange(spec.lockstep)
        self.shown: Ids = self.env.engine.prompt_ids
        self.agent = self._agent()
        if torch := sys.modules.get("torch"):  # only agents with networks import it; more threads round differently
            torch.set_num_threads(spec.threads)
        self.points = evaluation_points(spec.labels, spec.judging.every)
        self.curves: dict[str, list[Floats]] = {}
        self.sums: dict[str, Floats] = {}
        self.duels: list[tuple[Ids, Ids, Ids]] = []  # contexts, firsts, seconds not yet summed
        self.late: list[tuple[Any, Ids, Ids]] = []  # what was asked, by duel modulo the longest delay
        self.parameters = self._parameters()
        guided = self.rows[:_GUIDED].tolist() if isinstance(self.problem, Guided) else []
        guides = [self.problem.guides(row) for row in guided]
        judge = "the arms' known preference probabilities"
        folder.write_manifest(command, described(self.problem, self.agent, judge, average_guides(guides)))

    def _parameters(self) -> Floats | None:
        """The θ of every row, (S, d), where there is one and the agent estimates it."""
        if not (hasattr(self.agent, "theta") and isinstance(self.problem, KnowsParameter)):
            return None
        parameters = [self.problem.parameter(row) for row in self.rows.tolist()]
        return None if any(p is None for p in parameters) else np.stack(parameters)  # type: ignore[arg-type]

    def _agent(self) -> Any:
        setup = ArmSetup(
            rows=self.spec.lockstep,
            arms=self.problem.arms,
            dim=self.problem.dim,
            labels=self.spec.labels,
            rng=Streams(self.spec.seed).generator("agent"),
            fixed_features=self.problem.fixed_features,
        )
        found = registry.find_agent(self.spec.agent, arms=True)
        if getattr(found.cls, "privileged", False):
            setup = dataclasses.replace(setup, best=lambda: self.problem.losses(self.shown).argmin(-1))
        return registry.make_agent(found, setup, self.spec.agent_options)

    def play(self, progress: Callable[[int], None]) -> None:
        """All duels, then the record."""
        started = time.perf_counter()
        timing: list[tuple[int, float]] = []
        for t in range(self.spec.labels + 1):
            if passed(self.points, t) > len(timing):
                self._evaluate()
                timing.append((t, time.perf_counter() - started))
            if t < self.spec.labels:
                self._round(t)
            if t % _TOLD_EVERY == 0:
                progress(t * self.spec.lockstep)
        self._write(timing)

    def _round(self, t: int) -> None:
        ids = self.env.engine.prompt_ids
        observation = self._observe(ids)
        firsts, seconds = self.agent.propose(observation)
        self.duels.append((ids, firsts, seconds))
        feedback = self.env.duel(firsts, seconds)
        if self.env.engine.delay is None:
            self.agent.update(observation, firsts, seconds, feedback)
        else:
            self._deliver(t, observation, firsts, seconds)
        if len(self.duels) == self.problem.block:  # contexts are overwritten one block later
            self._sum_up()

    def _observe(self, ids: Ids) -> Any:
        self.shown = ids
        return self.problem.observe(ids)

    def _deliver(self, t: int, observation: Any, firsts: Ids, seconds: Ids) -> None:
        """Let the agent learn from the answers that fell due, at most one per row at a time."""
        window = self.env.engine.delay.window
        if len(self.late) < window:
            self.late.append((observation, firsts, seconds))
        else:
            self.late[t % window] = observation, firsts, seconds
        rows, duels, verdicts = self.env.engine.delay.arrived
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)  # how many the row got before this one
        for turn in range(int(place.max(initial=-1)) + 1):
            now = place == turn
            self._learn_late(rows[now], duels[now] % window, REWARD_OF_VERDICT[verdicts[now]])

    def _learn_late(self, rows: Ids, slots: Ids, rewards: Floats) -> None:
        observation, firsts, seconds = (dict(self.late[0][0]), self.rows * 0, self.rows * 0)
        feedback = np.full(len(self.rows), np.nan)
        feedback[rows] = rewards
        observation = {name: values.copy() for name, values in observation.items()}
        for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
            then = self.late[slot]
            firsts[row], seconds[row] = then[1][row], then[2][row]
            for name, values in observation.items():
                values[row] = then[0][name][row]
        self.agent.update(observation, firsts, seconds, feedback)

    def _sum_up(self) -> None:
        """Add the regret of the duels since the last time."""
        if not self.duels:
            return
        ids, firsts, seconds = (np.concatenate(part) for part in zip(*self.duels, strict=True))
        for kind, values in self.problem.regrets(ids, firsts, seconds).items():
            total = values.reshape(len(self.duels), -1).sum(0)
            self.sums[kind] = self.sums.get(kind, np.zeros(len(self.rows))) + total
        self.duels = []

    def _evaluate(self) -> None:
        self._sum_up()
        row = {f"cumulative_{kind}_regret": values.copy() for kind, values in self.sums.items()}
        heldout = self.problem.heldout_of_rows()  # (S, H)
        losses = np.empty(heldout.shape)
        for column in range(heldout.shape[1]):
            ids = heldout[:, column]
            losses[:, column] = self.problem.losses(ids)[self.rows, self.agent.respond(self._observe(ids))]
        row |= {"simple_regret": losses.mean(1), "best_arm_rate": (losses < 1e-12).mean(1)}
        if self.parameters is not None:
            row["parameter_error"] = ((self.agent.theta - self.parameters) ** 2).sum(-1)
        if hasattr(self.agent, "measures"):
            row |= {name: values.copy() for name, values in self.agent.measures().items()}
        for name, values in row.items():
            self.curves.setdefault(name, []).append(values)

    def _write(self, timing: list[tuple[int, float]]) -> None:
        zeros = np.zeros(len(self.rows))
        curves = {
            name: np.stack([zeros] * (len(self.points) - len(values)) + values, axis=-1)  # no regret at 0 labels
            for name, values in self.curves.items()
        }
        buffer = io.BytesIO()
        named: dict[str, Any] = {"labels": np.array(self.points), "seeds": self.rows + self.spec.seed} | curves
        np.savez_compressed(buffer, **named)
        self.folder.finish_lockstep(buffer.getvalue(), timing)
