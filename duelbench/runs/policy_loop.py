"""The run loop: observe, propose, ask, journal, learn, judge. It is the only one that sees the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.protocols import Predictor
from duelbench.records.checkpoint import load_checkpoint, save_checkpoint
from duelbench.records.journal import Journal
from duelbench.records.journaled_oracle import JournaledDuels, portion
from duelbench.records.spec import RunSpec
from duelbench.runs.assemble import Parts, assemble
from duelbench.runs.judge import Judge, judge_name
from duelbench.runs.late import Answered, LateAnswers
from duelbench.runs.resolve import resolve
from duelbench.runs.schedule import passed
from duelbench.runs.tally import CUMULATIVE, Tally
from duelbench.runs.writer import CHECKPOINT, POLICY, RunFolder, described
from duelbench.streams import Streams
from duelbench.types import Pair, Responses

Progress = Callable[[int], None]
_PREDICTED = 256  # held-out duels
_FAILURES_IN_A_ROW = 8  # a judge may fail on a duel now and then; an oracle that only fails is down
_ROUNDS_PER_BUDGET = 4  # no label is used up where nothing is asked, or only of identical responses


class OracleFailedError(RuntimeError):
    """The oracle only fails, so going on would only waste calls. The failed duels are asked again next time."""


def run(spec: RunSpec, out: Path, *, command: str = "", progress: Progress | None = None) -> Path:
    """Play one run to its end, or go on where it stopped, and return its folder.

    A run that was killed continues from its last checkpoint; answers bought since are replayed from the journal.

    Args:
        spec: what to run.
        out: output folder; the run's own is ``out/runs/<name>``.
        command: for the record.
        progress: told the labels used so far after every round.

    Raises:
        RunBusyError: if another process is playing this run.
        Exception: whatever stopped the run; its traceback is in the folder's ``error.txt``, and its state is saved.
    """
    folder = RunFolder.at(out, spec)
    spec = resolve(folder.spec)
    return folder.play(lambda: _play(spec, folder, command, progress or (lambda labels: None)))


def _play(spec: RunSpec, folder: RunFolder, command: str, progress: Progress) -> None:
    import torch

    torch.set_num_threads(spec.threads)
    parts = assemble(spec)
    problem = parts.env.problem
    folder.write_manifest(command, described(problem, parts.agent, judge_name(spec, problem)))
    journal = Journal(folder.path / "journal.sqlite", spec.run_id)
    parts.env.engine.store = JournaledDuels(journal, portion(getattr(problem, "oracle", None)))
    judge = Judge(spec, problem, journal)
    at, late = Tally(), LateAnswers()
    try:
        game = _Game(spec, folder, parts, journal, judge, at, late)
        state = load_checkpoint(folder.path / CHECKPOINT) if hasattr(parts.agent, "load_state_dict") else None
        game.play(state, progress)
    finally:
        journal.close()
        parts.env.close()


@dataclass
class _Game:
    """One run, from where it stands to its end."""

    spec: RunSpec
    folder: RunFolder
    parts: Parts
    journal: Journal
    judge: Judge
    at: Tally
    late: LateAnswers

    def play(self, state: dict[str, Any] | None, progress: Progress) -> None:
        """Go on from a checkpoint, or from the first duel."""
        observation = self._begin(state)
        at, policy = self.at, self.parts.policy
        started, tokens = time.perf_counter() - at.seconds, policy.generated_tokens - at.tokens
        unlabelled = getattr(self.parts.agent, "unlabelled_rounds", 0)
        last_round = unlabelled or _ROUNDS_PER_BUDGET * (1 + self.spec.labels // self.spec.batch)
        deployed = None
        while not at.over:
            asking = at.labels < self.spec.labels and at.round < last_round
            at.over = not asking and not self.late
            due = at.over or (asking and not unlabelled and passed(self.judge.points, at.labels) > at.judged)
            if due or not at.before:
                judging = policy.generated_tokens
                deployed = self._judge(recorded=due)
                tokens += policy.generated_tokens - judging  # evaluation is not part of the method's compute
            if due:
                at.seconds, at.tokens = time.perf_counter() - started, policy.generated_tokens - tokens
                # what it learned without labels it has at any number of them: a horizontal line
                self._write([0, self.spec.labels] if unlabelled else [at.labels])
            if asking:
                observation = self._round(observation)
            elif self.late:
                self._wait()
            progress(at.labels)
        self._finish(deployed, short=not unlabelled and at.labels < self.spec.labels)

    def _begin(self, state: dict[str, Any] | None) -> Any:
        """The observation of the first round that is to be played."""
        env, agent = self.parts.env, self.parts.agent
        if state is not None:
            agent.load_state_dict(state["agent"])  # type: ignore[attr-defined]
            vars(self.at).update(state["at"])
            self.judge.load_state_dict(state["judge"])
            self.late.load_state_dict(state["late"])
        self.folder.rewind(self.at.rows)
        start = {"start": self.at.round, "instance": self.spec.seed}
        observation, _ = env.reset(seed=self.parts.seeds, options=start)
        if state is not None and env.engine.delay is not None:
            env.engine.delay.load_state_dict(state["delay"])
        return observation

    def _round(self, observation: Any) -> Any:
        """One batch: propose, ask, learn, count."""
        env, at = self.parts.env, self.at
        ids = env.engine.prompt_ids
        pair = self.parts.agent.propose(observation)
        at.count_proposed(pair)
        pair = _within_budget(pair, self.spec.labels - at.labels, free=env.engine.identical == "skip")
        env.abstain(~pair.ask)
        next_observation, rewards, _, _, info = env.step(_action(pair))
        asked = info["verdict"] != "skipped"
        self._count(ids[asked], pair.rows(asked))
        came = _answers(info)
        self._learn(self.late.settle(at.round, observation, pair, info["verdict"], rewards, came))
        at.labels += int(asked.sum())
        at.round += 1
        return next_observation

    def _wait(self) -> None:
        """A round without questions, in which answers may come: none that was bought is lost at the end."""
        env = self.parts.env
        env.abstain(np.ones(env.num_envs, bool))
        info = env.step(_action(self.late.latest))[4]
        self._learn(self.late.arrive(_answers(info)))
        self.at.round += 1

    def _learn(self, answered: Answered | None) -> None:
        """Let the agent learn, unless the oracle is down."""
        if answered is None:
            return
        at = self.at
        if answers := answered.answers:
            at.failing = at.failing + answered.failed if answered.failed == answers else 0
        if at.failing >= min(_FAILURES_IN_A_ROW, self.spec.labels):
            self.journal.forget_trailing_failures()
            self.judge.forget_failures()
            raise OracleFailedError(
                f"the oracle failed on the last {at.failing} duels, up to round {at.round}; no label was made up. "
                "The same command asks them again."
            )
        at.invalid += answered.failed
        at.metrics = self.parts.agent.update(answered.observation, answered.pair, answered.feedback)

    def _count(self, ids: NDArray[np.int64], asked: Pair) -> None:
        if not len(ids):
            return
        different = np.full(len(ids), self.parts.env.engine.identical == "ask") | ~asked.identical
        sides = (asked.first.actions, asked.second.actions)
        self.judge.count_duels(ids[different], *(side[different] for side in sides))
        with self.judge.judging():
            self.at.count_asked(self.parts.env.problem, ids, asked, exact=self.judge.exact)

    def _judge(self, *, recorded: bool) -> Responses:
        """Judge what the agent would deploy now, and make the row of this evaluation."""
        at, problem = self.at, self.parts.env.problem
        ids = self.judge.ids if recorded and len(self.judge.ids) else self.judge.shown
        responses = self.parts.agent.respond(problem.observe(ids))
        if not at.before:
            shown = len(self.judge.shown)
            at.before = problem.texts(ids[:shown], responses.actions[:shown])
        if not recorded:
            return responses
        row = self.judge.judge(responses.actions)
        at.calls = self.judge.calls
        known = at.cumulative or ({} if "simple_regret" not in row else dict.fromkeys(CUMULATIVE, 0.0))
        row = at.counts() | known | row | at.online() | {name: float(value) for name, value in at.metrics.items()}
        at.metrics = {name: value for name, value in row.items() if np.isfinite(value)}
        at.judged = passed(self.judge.points, at.labels)
        return responses

    def _write(self, places: list[int]) -> None:
        """Append the evaluation's row at each of these numbers of labels, then the checkpoint that knows of it."""
        at = self.at
        compute = {"wall_seconds": at.seconds, "generated_tokens": float(at.tokens)}
        for labels in places:
            self.folder.append({"labels": labels} | at.metrics, {"labels": labels} | compute)
        at.rows += len(places)
        at.metrics = {}
        if hasattr(self.parts.agent, "state_dict"):
            delay = self.parts.env.engine.delay
            state = {"at": vars(at), "agent": self.parts.agent.state_dict(), "judge": self.judge.state_dict()}
            state |= {"late": self.late.state_dict(), "delay": delay.state_dict() if delay else None}
            save_checkpoint(self.folder.path / CHECKPOINT, state)

    def _finish(self, deployed: Responses | None, *, short: bool) -> None:
        parts, problem, shown = self.parts, self.parts.env.problem, self.judge.shown
        if deployed is None:  # killed after its last row
            ids = self.judge.ids if len(self.judge.ids) else shown
            deployed = parts.agent.respond(problem.observe(ids))
        if parts.learner.steps and parts.policy.generated_tokens:  # a language model: other weights are of no use alone
            save_checkpoint(self.folder.path / POLICY, parts.policy.state_dict())
        after = problem.texts(shown, deployed.actions[: len(shown)])
        before = zip(problem.prompt_texts(shown), self.at.before, after, strict=True)
        samples = [{"prompt": prompt, "before": old, "after": new} for prompt, old, new in before]
        self.folder.finish(
            samples,
            _calibration(self.spec, parts, self.judge.knows_the_truth(deployed.actions)),
            "rounds" if short else "labels",
        )


def _within_budget(pair: Pair, left: int, *, free: bool) -> Pair:
    """The pair with no more rows asked than labels are left; ``free``: two identical responses cost none."""
    costs = pair.ask & ~pair.identical if free else pair.ask
    return replace(pair, ask=pair.ask & (np.cumsum(costs) <= left))


def _action(pair: Pair) -> Any:
    """The pair in the environment's form."""
    first, second = pair.first.actions, pair.second.actions
    return (tuple(first), tuple(second)) if first.dtype == object else np.stack([first, second], axis=-1)


def _answers(info: dict[str, Any]) -> list[tuple[int, int, float]]:
    """The late answers that came in a step: (row, round of the duel, reward)."""
    return [(row, duel, reward) for row, come in enumerate(info.get("answers", ())) for duel, reward in come]


def _calibration(spec: RunSpec, parts: Parts, known: bool) -> dict[str, list[float]] | None:
    """What an agent with a posterior predicts of held-out duels between two reference samples, and their truth.

    All agents of a seed predict the same duels. None if the agent predicts nothing, or the truth is not
    known or has a price.
    """
    problem = parts.env.problem
    if not isinstance(parts.agent, Predictor) or not known:
        return None
    ids = np.resize(problem.heldout_ids(), _PREDICTED)
    observation, rng = problem.observe(ids), Streams(spec.seed).generator("calibration")
    samples = parts.policy.sample(observation, 2, rng, reference=True)
    column = np.zeros(len(ids), np.int64)
    first, second = samples.pick(column), samples.pick(column + 1)
    probability, spread = parts.agent.predict(observation, first, second)
    truth = parts.env.engine.feedback.first_wins(problem.preference(ids, first.actions, second.actions))
    answered = np.isfinite(truth) & (first.actions != second.actions)
    columns = {"probability": probability, "spread": spread, "truth": truth}
    return {name: np.round(values[answered], 6).tolist() for name, values in columns.items()}
