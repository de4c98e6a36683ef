"""Every agent on the small pool: what it asks, what it learns from, and what it deploys."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from duelbench.agents.registry import (
    AGENTS,
    UnknownAgentError,
    find_agent,
    make_agent,
    summary_line,
    with_options,
)
from duelbench.agents.sea import SEA, SEAConfig
from duelbench.agents.selection import SELECTION_AGENTS
from duelbench.assemble import Parts, assemble
from duelbench.envs.tasks import load_task
from duelbench.journal import Journal
from duelbench.protocols import Agent
from duelbench.record import load_runs
from duelbench.runner import OracleFailedError, run
from duelbench.spec import RunSpec
from duelbench.types import Pair, Verdict

POOL = "LLMDuelPool-v0"
FAST = {"ensemble.members": 4, "ensemble.hidden": 12, "ensemble.min_pairs": 8}
SILENT = {"isara"}  # asks nothing: tests/unit/test_isara.py
FROZEN = {"uniform", "mex", "linvit"}  # leave the policy as it is
WRITTEN = AGENTS.keys() - SELECTION_AGENTS.keys()  # the others are sea with another rule
agents = pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT))


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def spec_of(agent: str, env_kwargs: dict[str, Any], **changes: Any) -> RunSpec:
    options = FAST if agent.startswith("sea") or agent == "linvit" else {}
    fields: dict[str, Any] = {
        "seed": 0, "labels": 70, "batch": 16, "evaluate_every": 32,
        "agent_options": options | changes.pop("agent_options", {}), "learner": {"learning_rate": 3e-3},
    }  # fmt: skip
    return RunSpec(POOL, agent, env_kwargs=env_kwargs, **(fields | changes))


def worths(parts: Parts, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> NDArray[np.float64]:
    references = parts.env.unwrapped.problem.task.references[ids, actions]
    return np.array([float(text.split()[-1]) for text in references])


def rounds(
    parts: Parts, n: int, seed: int = 0, rows: int | None = None
) -> Iterator[tuple[Any, Pair, NDArray[np.float64]]]:
    """Propose, answer by worth, update, n times; yields observation, pair and feedback before the update."""
    problem = parts.env.unwrapped.problem
    rng = np.random.default_rng(seed)
    for _ in range(n):
        observation = problem.observe(rng.integers(problem.n_prompts, size=rows or parts.env.num_envs))
        ids = observation["prompt_id"]
        pair = parts.agent.propose(observation)
        wins = worths(parts, ids, pair.first.actions) > worths(parts, ids, pair.second.actions)
        feedback = np.where(pair.ask, np.where(pair.identical, 0.5, wins.astype(float)), np.nan)
        yield observation, pair, feedback
        parts.agent.update(observation, pair, feedback)


def everything(parts: Parts, rows: int = 40) -> Any:
    """An observation of the first prompts."""
    return parts.env.unwrapped.problem.observe(np.arange(rows))


def probabilities(parts: Parts) -> NDArray[np.float32]:
    """The policy's whole distribution on all duel prompts."""
    seen = everything(parts)
    with torch.no_grad():
        return parts.policy._all_log_probs(seen["features"], seen["reference_log_probs"]).exp().numpy()  # type: ignore[attr-defined]


# Runs


@agents
def test_a_run_uses_its_budget_to_the_label_and_journals_each(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    told: list[int] = []
    spec = spec_of(agent, task)
    folder = run(spec, tmp_path, progress=told.append)
    (record,) = load_runs(tmp_path)
    assert record.finished and record.error is None
    assert told == sorted(told) and told[-1] == 70
    labels = [row["labels"] for row in record.rows]
    assert labels[0] == 0 and labels[-1] == 70 and labels == sorted(set(labels))
    journal = Journal(folder / "journal.sqlite", spec.run_id)
    answers = journal.answers()
    journal.close()
    assert len(answers) == 70
    for answer in answers:  # two identical responses tie, and only they
        assert (answer.first == answer.second) == (answer.verdict == Verdict.TIE) == (answer.probability == 0.5)
    for name in ("cumulative_average_regret", "cumulative_weak_regret", "cumulative_probability_regret"):
        values = [row[name] for row in record.rows]
        assert values[0] == 0.0 and values == sorted(values)  # regret in a pool is never negative
    for row in record.rows:
        assert 0 <= row["offline_win_rate"] <= 1 and 0 <= row["offline_win_probability"] <= 1
        assert row["simple_regret"] >= 0 and row["invalid_answers"] == 0
        assert all(math.isfinite(value) for value in row.values())
    assert [s["prompt"] for s in record.samples] == [f"prompt {i} 🙂" for i in range(40, 46)]


@agents
def test_the_same_spec_twice_gives_the_same_bytes(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task, labels=48)
    files = [(run(spec, tmp_path / name) / "metrics.jsonl").read_bytes() for name in ("one", "two")]
    other = (run(spec_of(agent, task, labels=48, seed=1), tmp_path / "three") / "metrics.jsonl").read_bytes()
    assert files[0] == files[1] != other


@agents
def test_a_finished_run_is_left_alone(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task, labels=32)
    folder = run(spec, tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert run(spec, tmp_path) == folder
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


@agents
def test_cumulative_regret_is_that_of_the_journaled_duels(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task)
    journal = Journal(run(spec, tmp_path) / "journal.sqlite", spec.run_id)
    references = assemble(spec).env.unwrapped.problem.task.references
    best = [max(float(text.split()[-1]) for text in row) for row in references]
    expected = 0.0
    for answer in journal.answers():
        u = [float(text.split()[-1]) for text in (answer.first, answer.second)]
        expected += best[int(answer.prompt.split()[1])] - sum(u) / 2
    journal.close()
    assert load_runs(tmp_path)[0].rows[-1]["cumulative_average_regret"] == pytest.approx(expected)


def test_agents_meet_the_same_prompts_under_one_seed(task: dict[str, Any], tmp_path: Path) -> None:
    asked = {}
    for agent in ("uniform", "online", "xpo"):
        spec = spec_of(agent, task, labels=32)
        journal = Journal(run(spec, tmp_path) / "journal.sqlite", spec.run_id)
        asked[agent] = {a.duel: a.prompt for a in journal.answers()}
        journal.close()
    for agent in ("online", "xpo"):
        shared = asked["uniform"].keys() & asked[agent].keys()
        assert len(shared) > 10
        assert all(asked["uniform"][duel] == asked[agent][duel] for duel in shared)


def test_an_oracle_without_utilities_runs_and_is_asked_exactly_its_labels(
    task_file: str, oracles: str, tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    spec = spec_of("sea", kwargs, evaluate_every=1000)
    folder = run(spec, tmp_path)
    (record,) = load_runs(tmp_path)
    assert record.finished and 0 < record.rows[-1]["offline_win_probability"] < 1
    assert "simple_regret" not in record.rows[-1]
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    sizes = [len(call) for call in calls]
    judged = 6 * 2 * 7  # held-out prompts x repeats x stored references, at the beginning and at the end
    assert sizes.count(judged) == 2
    assert answers_of(folder, spec, [duel for call in calls if len(call) != judged for duel in call]) == 70


def answers_of(folder: Path, spec: RunSpec, bought: list[list[str]]) -> int:
    """Number of a run's labels, once it is certain that each was bought from the oracle or is a tie of identicals."""
    journal = Journal(folder / "journal.sqlite", spec.run_id)
    answers = journal.answers()
    journal.close()
    assert [[a.prompt, a.first, a.second] for a in answers if a.first != a.second] == bought
    for answer in answers:
        if answer.first == answer.second:
            assert answer.verdict == Verdict.TIE and answer.probability == 0.5
    assert load_runs(folder.parent.parent)[0].rows[-1]["labels"] == len(answers)
    return len(answers)


@agents
def test_labels_are_oracle_calls_and_ties_of_identical_responses(
    agent: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    spec = spec_of(agent, kwargs, evaluate_every=1000)
    folder = run(spec, tmp_path)
    duels = [duel for line in log.read_text().splitlines() for duel in json.loads(line)]
    bought = [duel for duel in duels if int(duel[0].split()[1]) < 40]  # the others judge
    assert answers_of(folder, spec, bought) == 70
    if agent in ("online", "offline", "uniform", "xpo"):  # two samples out of seven responses
        assert len(bought) < 70


def test_failed_answers_use_labels_but_teach_nothing(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = spec_of("online", {"task": task_file, "oracle": f"{oracles}:Picky"})
    journal = Journal(run(spec, tmp_path) / "journal.sqlite", spec.run_id)
    answers = journal.answers()
    journal.close()
    odd = [a.first.startswith("odd") and a.first != a.second for a in answers]  # of identicals it is not asked
    assert [a.probability is None for a in answers] == odd and 0 < sum(odd) < 70
    assert load_runs(tmp_path)[0].rows[-1]["invalid_answers"] == sum(odd)


def test_a_run_whose_oracle_is_down_stops_and_goes_on_when_it_is_back(
    task_file: str, oracles: str, tmp_path: Path
) -> None:
    kwargs = {"task": task_file, "oracle": f"{oracles}:Down", "oracle_kwargs": {"log": str(tmp_path / "log")}}
    spec = spec_of("online", kwargs, evaluate_every=1000)
    down = tmp_path / "log.down"
    whole = (run(spec, tmp_path / "whole") / "metrics.jsonl").read_bytes()
    calls = 0

    def fall(labels: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            down.touch()

    with pytest.raises(OracleFailedError, match="no label was made up"):
        run(spec, tmp_path / "broken", progress=fall)
    (record,) = load_runs(tmp_path / "broken")
    assert not record.finished and "OracleFailedError" in str(record.error)
    down.unlink()
    assert (run(spec, tmp_path / "broken") / "metrics.jsonl").read_bytes() == whole
    assert load_runs(tmp_path / "broken")[0].error is None


@pytest.mark.parametrize("known", ["some", "none"])
def test_utilities_that_the_oracle_does_not_know_are_in_no_metric(
    known: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    oracle = {"some": "Forgetful", "none": "Blank"}[known]
    spec = spec_of("uniform", {"task": task_file, "oracle": f"{oracles}:{oracle}"}, labels=200, evaluate_every=1000)
    if known == "none":  # nothing but failures: the run stops, and its first row says nothing of utilities
        with pytest.raises(OracleFailedError):
            run(spec, tmp_path)
        (row,) = load_runs(tmp_path)[0].rows
        assert not {"offline_win_rate", "offline_win_probability", "offline_utility", "simple_regret"} & set(row)
        return
    journal = Journal(run(spec, tmp_path) / "journal.sqlite", spec.run_id)
    answers = journal.answers()
    journal.close()
    first, last = load_runs(tmp_path)[0].rows
    assert all(math.isfinite(value) for value in (*first.values(), *last.values()))
    pools = {}
    for i, row in enumerate(load_task(task_file).references):
        pools[f"prompt {i} 🙂"] = [float(text.split()[-1]) for text in row if not text.startswith("odd")]
    gaps, wins = [], []
    for answer in answers:
        if "odd" not in (answer.first.split()[0], answer.second.split()[0]):
            pool, u = pools[answer.prompt], [float(text.split()[-1]) for text in (answer.first, answer.second)]
            gaps.append(max(pool) - sum(u) / 2)
            wins += [np.mean([(w > v) + 0.5 * (w == v) for v in pool]) for w in u]
    assert 0 < len(gaps) < 150
    assert last["cumulative_average_regret"] == pytest.approx(sum(gaps))
    assert last["online_win_rate"] == pytest.approx(np.mean(wins))
    assert 0 < last["offline_win_rate"] < 1 and last["simple_regret"] >= 0


def test_a_run_that_dies_between_its_last_row_and_its_end_repeats_nothing(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of("online", task)
    whole = run(spec, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("duelbench.run_folder.RunFolder.finish", lambda self, *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(spec, tmp_path / "cut")
    cut = run(spec, tmp_path / "cut")
    for name in ("metrics.jsonl", "samples.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("setting", [{"horizon": 5}])
def test_a_run_sets_the_budget_itself(setting: dict[str, Any], task: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"the run itself sets .*{next(iter(setting))}"):
        assemble(spec_of("online", task | setting))


def test_a_task_without_held_out_prompts_is_refused(tmp_path: Path, task_file: str, task: dict[str, Any]) -> None:
    whole = load_task(task_file)
    dataclasses.replace(whole, n_duel=len(whole.prompts)).save(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="no held-out prompts"):
        run(spec_of("online", task | {"task": str(tmp_path / "none.npz")}), tmp_path)


# What each agent proposes


@agents
def test_an_agent_fits_the_protocol_and_its_state_comes_back(agent: str, task: dict[str, Any]) -> None:
    one, two = assemble(spec_of(agent, task)), assemble(spec_of(agent, task, seed=5))
    assert isinstance(one.agent, Agent)
    for _ in rounds(one, 4):
        pass
    two.agent.load_state_dict(copy.deepcopy(one.agent.state_dict()))  # type: ignore[attr-defined]
    for (_, a, _), (_, b, _) in zip(rounds(one, 3, seed=1), rounds(two, 3, seed=1), strict=True):
        assert np.array_equal(a.first.actions, b.first.actions) and np.array_equal(a.ask, b.ask)
        assert np.array_equal(a.second.actions, b.second.actions)
    assert np.array_equal(probabilities(one), probabilities(two))


@agents
def test_judging_never_disturbs_learning(agent: str, task: dict[str, Any]) -> None:
    one, two = assemble(spec_of(agent, task)), assemble(spec_of(agent, task))
    for (_, a, _), (observation, b, _) in zip(rounds(one, 5), rounds(two, 5), strict=True):
        first = two.agent.respond(observation).actions
        assert np.array_equal(first, two.agent.respond(observation).actions)
        assert np.array_equal(a.first.actions, b.first.actions)


@agents
def test_an_update_without_any_answer_is_harmless(agent: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of(agent, task, agent_options={"real_share": 1.0} if agent.startswith("sea") else {}))
    observation = everything(parts)
    pair = parts.agent.propose(observation)
    before = probabilities(parts)
    parts.agent.update(observation, pair, np.full(len(pair), np.nan))
    parts.agent.update(observation, pair, np.full(len(pair), 0.5))  # ties teach nothing either
    assert np.array_equal(before, probabilities(parts))


@pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT - FROZEN))
def test_learning_moves_the_policy_towards_what_won(agent: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of(agent, task, labels=4000, learner={"learning_rate": 1e-2}))
    best = worths_of_pool(parts).argmax(-1)
    before = probabilities(parts)[np.arange(40), best].mean()
    for _ in rounds(parts, 60):
        pass
    assert probabilities(parts)[np.arange(40), best].mean() > before + 0.1


def worths_of_pool(parts: Parts) -> NDArray[np.float64]:
    references = parts.env.unwrapped.problem.task.references[:40]
    return np.array([[float(text.split()[-1]) for text in row] for row in references])


def test_uniform_never_moves_the_policy(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("uniform", task))
    before = probabilities(parts)
    for _ in rounds(parts, 10):
        pass
    assert np.array_equal(probabilities(parts), before)


def greedy_policy(parts: Parts, scale: float = 10.0) -> None:
    """Move the current policy far from its uniform reference; a large scale makes it nearly deterministic."""
    with torch.no_grad():
        for parameter in parts.policy.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=torch.manual_seed(3)))


def mean_probability(parts: Parts, observation: Any, actions: NDArray[np.int64]) -> float:
    return float(probabilities(parts)[observation["prompt_id"], actions].mean())


def test_offline_and_uniform_propose_from_the_reference_online_from_the_policy(task: dict[str, Any]) -> None:
    for agent, low, high in (("offline", 0.0, 0.25), ("uniform", 0.0, 0.25), ("online", 0.8, 1.0)):
        parts = assemble(spec_of(agent, task))
        greedy_policy(parts)
        observation = everything(parts)
        pairs = [parts.agent.propose(observation) for _ in range(10)]
        for side in ("first", "second"):
            actions = [mean_probability(parts, observation, getattr(pair, side).actions) for pair in pairs]
            assert low <= np.mean(actions) <= high, (agent, side)


def test_offline_deploys_what_it_learned_although_it_never_proposes_it(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("offline", task))
    greedy_policy(parts)
    observation = everything(parts)
    assert mean_probability(parts, observation, parts.agent.respond(observation).actions) > 0.8


def test_xpo_pairs_current_with_reference_in_either_order(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("xpo", task))
    greedy_policy(parts)
    observation = everything(parts)
    table = probabilities(parts)
    likely = [
        [table[np.arange(40), side.actions] > 0.5 for side in (pair.first, pair.second)]
        for pair in (parts.agent.propose(observation) for _ in range(20))
    ]
    firsts, seconds = np.array(likely).transpose(1, 0, 2).reshape(2, -1)
    assert (firsts | seconds).mean() > 0.8  # the current policy's response is in nearly every pair,
    assert (firsts & seconds).mean() < 0.3  # beside one that is not of its making,
    assert 0.35 < firsts.mean() < 0.7 and 0.35 < seconds.mean() < 0.7  # in random order


def test_xpos_bonus_is_on_the_reference_samples_of_the_answered_duels(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("xpo", task))
    greedy_policy(parts)
    observation = everything(parts)
    pair = parts.agent.propose(observation)
    given: dict[str, Any] = {}
    parts.agent.learner.step = lambda chosen, rejected, **named: given.update(named) or {}  # type: ignore[attr-defined]
    feedback = np.where(np.arange(40) % 2, 1.0, np.nan)
    parts.agent.update(observation, pair, feedback)
    samples, odd = given["bonus"].responses.actions, np.arange(1, 40, 2)
    assert ((samples == pair.first.actions[odd]) | (samples == pair.second.actions[odd])).all()
    assert probabilities(parts)[odd, samples].mean() < 0.4  # not what the current policy says


@pytest.mark.parametrize("coefficient", [0.0, 50.0])
def test_xpos_bonus_pushes_probability_off_the_reference_samples(coefficient: float, task: dict[str, Any]) -> None:
    parts = assemble(spec_of("xpo", task, agent_options={"alpha": coefficient}))
    observation = everything(parts)
    pair = parts.agent.propose(observation)
    duels = np.flatnonzero(~pair.identical)
    samples = parts.agent._reference.actions  # type: ignore[attr-defined]
    is_first = pair.first.actions == samples
    rivals = np.where(is_first, pair.second.actions, pair.first.actions)
    parts.agent.update(observation, pair, np.where(is_first, 1.0, 0.0))  # the reference samples win every duel
    log = np.log(probabilities(parts))
    gain = (log[duels, samples[duels]] - log[duels, rivals[duels]]).mean()  # the uniform reference began at 0
    assert gain < 0 if coefficient else gain > 0


@pytest.mark.parametrize("oversample", [2.0, 4.0])
@pytest.mark.parametrize("rule", ["certainty", "hybrid"])
def test_apl_asks_the_widest_implicit_reward_gaps(oversample: float, rule: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of("apl", task, agent_options={"oversample": oversample, "rule": rule}))
    assert parts.env.num_envs == 16 * oversample
    greedy_policy(parts, 0.5)
    order_kept = []
    for _, pair, _ in rounds(parts, 6):
        assert pair.ask.sum() == 16
        r = [side.log_probs - side.reference_log_probs for side in (pair.first, pair.second)]
        gap = np.abs(r[0] - r[1])
        if rule == "certainty":
            assert gap[pair.ask].min() >= gap[~pair.ask].max()
        order_kept += (r[0] > r[1])[pair.ask & (gap > 0)].tolist()
    assert 0.25 < np.mean(order_kept) < 0.75  # the order shown does not give the guess away


def test_apl_asks_exactly_its_share_of_the_rows(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("apl", task, agent_options={"oversample": 4.0}))
    for rows, asked in ((64, 16), (40, 10), (4, 1), (1, 1)):
        (pair,) = [pair for _, pair, _ in rounds(parts, 1, rows=rows)]
        assert pair.ask.sum() == asked


# SEA


def sea(task: dict[str, Any], **options: Any) -> Parts:
    return assemble(spec_of("sea", task, labels=1000, agent_options=options))


def test_sea_asks_everything_until_its_burn_in_is_over(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.05, real_share=0.5)
    decided = 0
    for _, pair, feedback in rounds(parts, 12):
        assert pair.ask.all() == (decided < 50)
        decided += int(np.isfinite(feedback).sum())


@pytest.mark.parametrize("share", [0.7, 0.25])
def test_sea_mixes_by_count_or_by_coin(share: float, task: dict[str, Any]) -> None:
    counted = sea(task, burn_in=0.0, real_share=share, mixing="count")
    asked = {int(pair.ask.sum()) for _, pair, _ in rounds(counted, 10, rows=40)}
    assert asked == {round(40 * share)}
    tossed = sea(task, burn_in=0.0, real_share=share, mixing="bernoulli")
    numbers = [int(pair.ask.sum()) for _, pair, _ in rounds(tossed, 25, rows=40)]
    assert len(set(numbers)) > 3
    assert abs(np.mean(numbers) / 40 - share) < 5 * np.sqrt(share * (1 - share) / 1000)


def test_sea_asks_different_rows_each_round_when_it_counts(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5, mixing="count")
    share = np.mean([pair.ask for _, pair, _ in rounds(parts, 60, rows=20)], axis=0)
    assert share.min() > 0.2 and share.max() < 0.8


def test_without_mixing_every_duel_is_asked(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=1.0)
    assert all(pair.ask.all() for _, pair, _ in rounds(parts, 8))


@pytest.mark.parametrize("synthetic", ["thompson", "max_gap"])
def test_synthetic_pairs_never_reach_the_oracle(synthetic: str, task_file: str, oracles: str, tmp_path: Path) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    options = {"burn_in": 0.0, "real_share": 0.5, "synthetic_pair": synthetic}
    spec = spec_of("sea", kwargs, agent_options=options, evaluate_every=10_000)
    parts = assemble(spec)
    observation, _ = parts.env.reset(seed=parts.seeds)
    for _ in range(10):
        pair = parts.agent.propose(observation)
        asked_before = log.read_text().splitlines() if log.exists() else []
        ids = observation["prompt_id"]
        parts.env.unwrapped.abstain(~pair.ask)
        observation, _, _, _, info = parts.env.step(np.stack([pair.first.actions, pair.second.actions], -1))
        asked = [tuple(duel) for line in log.read_text().splitlines()[len(asked_before) :] for duel in json.loads(line)]
        texts = parts.env.unwrapped.problem.task.references[ids]
        real = pair.ask & ~pair.identical
        rows = np.flatnonzero(real)
        assert asked == [
            (f"prompt {ids[b]} 🙂", texts[b, pair.first.actions[b]], texts[b, pair.second.actions[b]]) for b in rows
        ]
        assert ((info["verdict"] == "skipped") == ~pair.ask).all() and not pair.ask.all()
        assert ((info["verdict"] == "tie") == (pair.ask & pair.identical)).all()


def test_max_gap_pairs_are_best_against_worst_of_one_member(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5, synthetic_pair="max_gap", candidates=30)
    agent: Any = parts.agent
    for observation, pair, _ in rounds(parts, 8):
        features = observation["features"]
        rewards = agent.posterior.rewards(features)  # (K, B, N): 30 draws cover all 7 responses nearly always
        best, worst = rewards.argmax(-1), rewards.argmin(-1)
        extreme = ((pair.first.actions == best) & (pair.second.actions == worst)).any(0)
        assert extreme[~pair.ask].mean() > 0.8
        assert agent._synthetic[~pair.ask].all()  # the ensemble says: the best wins


def test_the_ensemble_learns_only_from_real_labels_and_the_policy_from_all(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5)
    agent: Any = parts.agent
    learned: list[tuple[Any, Any]] = []
    agent.learner.step = lambda chosen, rejected: learned.append((chosen, rejected)) or {}
    n = 0
    for _, pair, feedback in rounds(parts, 6):
        real = np.isfinite(feedback)
        before, agent_synthetic = len(agent.posterior.pairs.chosen), agent._synthetic.copy()
        assert before == n
        n += int(real.sum())
        expected = {
            "real": np.where((feedback == 1.0)[real, None], pair.first.features[real], pair.second.features[real]),
            "all": [
                (a, b) if (feedback[k] == 1.0 if real[k] else agent_synthetic[k]) else (b, a)
                for k, (a, b) in enumerate(zip(pair.first.actions, pair.second.actions, strict=True))
                if a != b
            ],
        }
    assert len(agent.posterior.pairs.chosen) == n == agent.labels_seen
    assert np.array_equal(agent.posterior.pairs.chosen[-len(expected["real"]) :], expected["real"])
    chosen, rejected = learned[-1]
    assert list(zip(chosen.actions.tolist(), rejected.actions.tolist(), strict=True)) == expected["all"]


def test_synthetic_labels_are_one_members_opinion(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5)
    agent: Any = parts.agent
    agreements = []
    for _, pair, _ in rounds(parts, 10):
        votes = agent.posterior.rewards(pair.first.features) > agent.posterior.rewards(pair.second.features)
        distinct = ~pair.identical
        unanimous = (votes.all(0) | ~votes.any(0)) & distinct
        assert (agent._synthetic[unanimous] == votes[0][unanimous]).all()
        agreements += (agent._synthetic == (votes.mean(0) > 0.5))[distinct & ~unanimous].tolist()
    assert 0.5 < np.mean(agreements) < 1.0  # neither always the majority nor a coin


def test_best_of_deploys_the_ensembles_favourite(task: dict[str, Any]) -> None:
    parts = sea(task, best_of=60)
    agent: Any = parts.agent
    for _ in rounds(parts, 5):
        pass
    observation = everything(parts)
    favourite = agent.posterior.rewards(observation["features"]).mean(0).argmax(-1)
    assert (parts.agent.respond(observation).actions == favourite).mean() > 0.95
    single = sea(task, best_of=1)
    assert (single.agent.respond(observation).actions == favourite).mean() < 0.6


def test_a_frozen_policy_stays_while_the_ensemble_learns(task: dict[str, Any]) -> None:
    parts = sea(task, train_policy=False, real_share=1.0)
    agent: Any = parts.agent
    before = copy.deepcopy(agent.state_dict())
    for _ in rounds(parts, 3):
        pass
    after = agent.state_dict()
    assert agent.learner.steps == 0
    assert all(torch.equal(before["policy"][name], tensor) for name, tensor in after["policy"].items())
    assert not torch.equal(before["posterior"]["weights"]["0"], after["posterior"]["weights"]["0"])


def test_a_copy_of_a_response_gets_the_reward_of_the_original(task: dict[str, Any]) -> None:
    parts = sea(task)
    agent: Any = parts.agent
    candidates = parts.policy.sample(everything(parts), 20, np.random.default_rng(0))
    rewards = agent._rewards(candidates)
    for b in range(40):
        for action in set(candidates.actions[b].tolist()):
            copies = rewards[:, b, candidates.actions[b] == action]
            assert (copies == copies[:, :1]).all()


@pytest.mark.parametrize("selection", ["bai", "ee", "uncertainty"])
def test_sea_duels_copies_only_when_nothing_else_was_sampled(selection: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of("sea", task, agent_options={"selection": selection, "candidates": 20}))
    for _, pair, _ in rounds(parts, 6, rows=40):
        assert pair.identical.mean() < 0.2 if selection == "ee" else not pair.identical.any()


# Options and names


def test_options_reach_nested_configs_and_keep_the_preset() -> None:
    parts = {"selection": "ee", "ensemble.members": 3, "ensemble.hidden": 8, "real_share": 1, "best_of": 4}
    config = with_options(SEAConfig(), parts)
    assert (config.selection, config.ensemble.members, config.ensemble.hidden) == ("ee", 3, 8)
    assert config.real_share == 1.0 and type(config.real_share) is float and config.best_of == 4
    assert config.ensemble.steps == SEAConfig().ensemble.steps
    assert SEAConfig().ensemble.members == 20  # the default is untouched


def test_make_agent_builds_with_options(task: dict[str, Any]) -> None:
    setup = assemble(spec_of("online", task)).agent.setup  # type: ignore[attr-defined]
    agent = make_agent("sea-ee", setup, {"ensemble.members": 3, "candidates": 8})
    assert isinstance(agent, SEA)
    assert (agent.config.selection, agent.config.candidates, agent.config.ensemble.members) == ("ee", 8, 3)
    with pytest.raises(ValueError, match="unknown selection 'baii'"):
        make_agent("sea", setup, {"selection": "baii"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"candidate": 8}, "no option 'candidate'.*did you mean 'candidates'"),
        ({"ensemble.member": 8}, "EnsembleConfig has no option 'member'.*did you mean 'members'"),
        ({"zzz": 8}, "no option 'zzz': expected one of"),
        ({"candidates": "many"}, "'candidates' expects int, got 'many'"),
        ({"candidates": 2.5}, "'candidates' expects int, got 2.5"),
        ({"candidates": True}, "'candidates' expects int, got True"),
        ({"real_share": True}, "'real_share' expects float, got True"),
        ({"bai_scale": "prob"}, "'bai_scale' expects one of .*'probability'.*got 'prob'"),
        ({"mixing": "counts"}, "'mixing' expects one of .*'count'.*got 'counts'"),
        ({"candidates.x": 1}, "'candidates' .*has no options"),
    ],
)
def test_a_bad_option_says_what_was_expected(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_options(SEAConfig(), options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("onlin", "did you mean 'online'"),
        ("nothing like it", "expected one of"),
        ("no.such.module:Agent", "no.such.module"),
        ("no/such/file.py:Agent", "no file"),
        ("duelbench.agents.sea:Sea", "no class 'Sea'"),
        ("duelbench.agents.base:Setup", "lacks propose, update, respond"),
    ],
)
def test_an_unknown_agent_says_what_is_missing(name: str, said: str) -> None:
    with pytest.raises(UnknownAgentError, match=said):
        find_agent(name)


@agents
def test_every_agent_has_a_line_about_itself(agent: str) -> None:
    assert len(summary_line(agent)) > 20
