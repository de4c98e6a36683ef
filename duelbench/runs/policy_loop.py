"""The run loop: observe, propose, ask, journal, learn, judge. It is the only one that sees the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.envs.duel.problem import AsksOracle, KnowsRegret
from duelbench.protocols import Predictor
from duelbench.records.checkpoint import load_checkpoint, save_checkpoint
from duelbench.records.journal import Journal, JournaledOracle
from duelbench.records.spec import RunSpec
from duelbench.runs.assemble import Parts, assemble
from duelbench.runs.writer import CHECKPOINT, POLICY, RunFolder, role_of
from duelbench.streams import Streams
from duelbench.types import Pair, Responses

Progress = Callable[[int], None]
_SAMPLES_SHOWN = 8
_PREDICTED = 256  # held-out duels
_FAILURES_IN_A_ROW = 8  # a judge may fail on a duel now and then; an oracle that only fails is down
_ROUNDS_PER_BUDGET = 4  # an agent that keeps abstaining uses up no label: stop it some time


class OracleFailedError(RuntimeError):
    """The oracle only fails, so going on would only waste calls. The failed duels are asked again next time."""


@dataclass
class Progressed:
    """Where a run stands; all of it goes into the checkpoint."""

    round: int = 0
    labels: int = 0
    invalid: int = 0
    failing: int = 0
    rows: int = 0
    tokens: int = 0
    seconds: float = 0.0
    judged_at: int = -1
    over: bool = False
    cumulative: dict[str, float] = field(default_factory=dict)
    window: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)


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
    return folder.play(lambda: _play(spec, folder, command, progress or (lambda labels: None)))


def _play(spec: RunSpec, folder: RunFolder, command: str, progress: Progress) -> None:
    import torch

    torch.set_num_threads(spec.threads)
    parts = assemble(spec)
    problem = parts.env.unwrapped.problem
    folder.write_manifest(
        command,
        {
            "comparator": problem.comparator,
            "reference": problem.reference,
            "judge": _judge_name(problem),
            "role": role_of(parts.agent),
            "arms": getattr(problem, "arms", None) is not None,
        },
    )
    journal = Journal(folder.path / "journal.sqlite", spec.run_id)
    parts.env.unwrapped.engine.store = JournaledOracle(journal)
    at = _restore(folder, parts)
    try:
        _loop(spec, folder, parts, at, progress)
    finally:
        journal.close()
        parts.env.close()


def _loop(spec: RunSpec, folder: RunFolder, parts: Parts, at: Progressed, progress: Progress) -> None:
    started, tokens = time.perf_counter() - at.seconds, parts.policy.generated_tokens - at.tokens
    observation, _ = parts.env.reset(seed=parts.seeds, options={"start": at.round, "instance": spec.seed})
    unlabelled = getattr(parts.agent, "unlabelled_rounds", 0)
    last_round = unlabelled or _ROUNDS_PER_BUDGET * (1 + spec.labels // spec.batch)
    responses = None
    while not at.over:
        at.over = at.labels >= spec.labels or at.round >= last_round
        if at.over or at.labels >= at.judged_at + spec.evaluate_every or at.judged_at < 0:
            judging = parts.policy.generated_tokens
            responses = _judge(spec, parts, at)
            tokens += parts.policy.generated_tokens - judging  # evaluation is not part of the method's compute
            at.seconds, at.tokens = time.perf_counter() - started, parts.policy.generated_tokens - tokens
            if not unlabelled:
                _write(folder, parts, at, [at.labels])
            elif at.over:  # what it learned without labels it has at any number of them: a horizontal line
                _write(folder, parts, at, [0, spec.labels])
        if not at.over:
            observation = _round(spec, parts, at, observation)
            progress(at.labels)
    if responses is None:  # killed after its last row
        responses = parts.agent.respond(parts.env.unwrapped.problem.observe(_judged_ids(spec, parts)))
    if parts.learner.steps and parts.policy.generated_tokens:  # a language model: other weights are of no use alone
        save_checkpoint(folder.path / POLICY, parts.policy.state_dict())
    folder.finish(_samples(parts, at, responses), _calibration(spec, parts, responses))


def _round(spec: RunSpec, parts: Parts, at: Progressed, observation: Any) -> Any:
    """One batch: propose, ask, learn, count."""
    ids = parts.env.unwrapped.engine.prompt_ids
    pair = _within_budget(parts.agent.propose(observation), spec.labels - at.labels)
    parts.env.unwrapped.abstain(~pair.ask)
    next_observation, rewards, _, _, info = parts.env.step(_action(pair))
    verdicts = info["verdict"]
    asked = verdicts != "skipped"
    feedback = np.where(asked, rewards, np.nan)
    invalid = int((verdicts == "invalid").sum())
    # a tie of two identical responses came without the oracle
    _stop_if_down(spec, parts, at, invalid, int((asked & ~(pair.identical & (verdicts == "tie"))).sum()))
    at.metrics = parts.agent.update(observation, pair, feedback)
    at.invalid += invalid
    _count(parts.env.unwrapped, at, ids[asked], pair.rows(asked))
    at.labels += int(asked.sum())
    at.round += 1
    return next_observation


def _stop_if_down(spec: RunSpec, parts: Parts, at: Progressed, invalid: int, asked: int) -> None:
    """Raise ``OracleFailedError`` once the latest answers all failed."""
    if asked:
        at.failing = at.failing + invalid if invalid == asked else 0
    if at.failing >= min(_FAILURES_IN_A_ROW, spec.labels):
        parts.env.unwrapped.engine.store.journal.forget_trailing_failures()
        raise OracleFailedError(
            f"the oracle failed on the last {at.failing} duels, up to round {at.round}; no label was made up. "
            "The same command asks them again."
        )


def _within_budget(pair: Pair, left: int) -> Pair:
    """The pair with no more rows asked than labels are left."""
    return replace(pair, ask=pair.ask & (np.cumsum(pair.ask) <= left))


def _action(pair: Pair) -> Any:
    """The pair in the environment's form."""
    first, second = pair.first.actions, pair.second.actions
    return (tuple(first), tuple(second)) if first.dtype == object else np.stack([first, second], axis=-1)


def _count(env: Any, at: Progressed, ids: NDArray[np.int64], asked: Pair) -> None:
    """Add the regret and the online wins of the duels that were asked, as far as their utilities are known."""
    if not len(ids):
        return
    first, second = env.truth(ids, asked.first.actions), env.truth(ids, asked.second.actions)
    if first is None or second is None:
        if isinstance(env.problem, KnowsRegret):  # arms can have regret without having utilities
            exact = env.problem.regrets(ids, asked.first.actions, asked.second.actions)
            _add(at.cumulative, {f"cumulative_{kind}_regret": values for kind, values in exact.items()})
        return
    sums = {
        "cumulative_average_regret": regret.average_regret(first.best, first.utilities, second.utilities),
        "cumulative_weak_regret": regret.weak_regret(first.best, first.utilities, second.utilities),
        "cumulative_probability_regret": regret.probability_regret(first.best_beats(), second.best_beats()),
    }
    _add(at.cumulative, sums)
    wins = {
        "online_win_rate": 0.5 * (first.win_rate() + second.win_rate()),
        "online_win_probability": 0.5 * (first.win_probability() + second.win_probability()),
    }
    _add(at.window, wins)
    at.window["duels"] = at.window.get("duels", 0.0) + int((~np.isnan(sums["cumulative_average_regret"])).sum())


def _add(sums: dict[str, float], values: dict[str, NDArray[np.float64]]) -> None:
    """Add what is known of each array to the sum of its name."""
    for name, array in values.items():
        sums[name] = sums.get(name, 0.0) + float(np.nansum(array))


def _judged_ids(spec: RunSpec, parts: Parts) -> NDArray[np.int64]:
    """The held-out prompts, each as often as it is judged."""
    return np.tile(parts.env.unwrapped.problem.heldout_ids(), spec.evaluation_repeats)


def _judge(spec: RunSpec, parts: Parts, at: Progressed) -> Responses:
    """Judge what the agent would deploy now on the held-out prompts, and make the row of this evaluation."""
    env = parts.env.unwrapped
    ids = _judged_ids(spec, parts)
    responses = parts.agent.respond(env.problem.observe(ids))
    truth = env.truth(ids, responses.actions)
    row: dict[str, float] = {"labels": at.labels, "rounds": at.round, "invalid_answers": at.invalid}
    row |= at.cumulative or ({} if truth is None else dict.fromkeys(_CUMULATIVE, 0.0))
    if truth is not None:
        row |= {
            "offline_win_rate": float(regret.mean_of_known(truth.win_rate())),
            "offline_win_probability": float(regret.mean_of_known(truth.win_probability())),
            "offline_utility": float(regret.mean_of_known(truth.utilities)),
            "simple_regret": float(regret.mean_of_known(regret.simple_regret(truth.best, truth.utilities))),
        }
    else:
        row["offline_win_probability"] = float(
            regret.mean_of_known(env.problem.beats_reference(ids, responses.actions))
        )
    if duels := at.window.pop("duels", 0.0):
        row |= {name: value / duels for name, value in at.window.items()}
    row |= {name: float(value) for name, value in at.metrics.items()}
    row = {name: value for name, value in row.items() if np.isfinite(value)}
    at.window.clear()
    at.judged_at = at.labels - at.labels % spec.evaluate_every
    if not at.before:
        shown = min(_SAMPLES_SHOWN, len(env.problem.heldout_ids()))
        at.before = env.problem.texts(ids[:shown], responses.actions[:shown])
    at.metrics = row
    return responses


_CUMULATIVE = ("cumulative_average_regret", "cumulative_weak_regret", "cumulative_probability_regret")


def _write(folder: RunFolder, parts: Parts, at: Progressed, places: list[int]) -> None:
    """Append the evaluation's row at each of these numbers of labels, then the checkpoint that knows of it."""
    compute = {"wall_seconds": at.seconds, "generated_tokens": float(at.tokens)}
    for labels in places:
        folder.append(at.metrics | {"labels": labels}, {"labels": labels} | compute)
    at.rows += len(places)
    at.metrics = {}
    if hasattr(parts.agent, "state_dict"):
        save_checkpoint(folder.path / CHECKPOINT, {"at": vars(at), "agent": parts.agent.state_dict()})


def _restore(folder: RunFolder, parts: Parts) -> Progressed:
    """Where the run stands: at its last checkpoint, or at the beginning (its journal replays what was bought)."""
    state = load_checkpoint(folder.path / CHECKPOINT) if hasattr(parts.agent, "load_state_dict") else None
    if state is None:
        folder.rewind(0)
        return Progressed()
    parts.agent.load_state_dict(state["agent"])  # type: ignore[attr-defined]
    at = Progressed(**state["at"])
    folder.rewind(at.rows)
    return at


def _samples(parts: Parts, at: Progressed, responses: Responses) -> list[dict[str, Any]]:
    """The same held-out prompts before and after."""
    env = parts.env.unwrapped
    ids = env.problem.heldout_ids()[:_SAMPLES_SHOWN]
    after = env.problem.texts(ids, responses.actions[: len(ids)])
    prompts = env.problem.prompt_texts(ids)
    return [{"prompt": prompt, "before": b, "after": a} for prompt, b, a in zip(prompts, at.before, after, strict=True)]


def _calibration(spec: RunSpec, parts: Parts, responses: Responses) -> dict[str, list[float]] | None:
    """What an agent with a posterior predicts of held-out duels between two reference samples, and their truth.

    All agents of a seed predict the same duels. None if the agent predicts nothing, or the oracle would have to be
    asked for the truth.
    """
    env = parts.env.unwrapped
    ids = np.resize(env.problem.heldout_ids(), _PREDICTED)
    if not isinstance(parts.agent, Predictor) or env.truth(ids[:1], responses.actions[:1]) is None:
        return None
    observation, rng = env.problem.observe(ids), Streams(spec.seed).generator("calibration")
    samples = parts.policy.sample(observation, 2, rng, reference=True)
    column = np.zeros(len(ids), np.int64)
    first, second = samples.pick(column), samples.pick(column + 1)
    probability, spread = parts.agent.predict(observation, first, second)
    truth = env.engine.feedback.first_wins(env.problem.preference(ids, first.actions, second.actions))
    known = np.isfinite(truth) & (first.actions != second.actions)
    columns = {"probability": probability, "spread": spread, "truth": truth}
    return {name: np.round(values[known], 6).tolist() for name, values in columns.items()}


def _judge_name(problem: Any) -> str:
    return problem.oracle.name if isinstance(problem, AsksOracle) else type(problem).__name__
