"""SEA with any rule, any posterior and any selection of prompts; and the rules that go by an agent's name."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from journals import journal_of
from numpy.typing import NDArray

from duelbench.acquisition import RULES
from duelbench.acquisition.prompts import (
    PROMPT_SELECTIONS,
    SCORES,
    Design,
    Proposal,
    TopScores,
    choose_prompts,
    make_prompt_selection,
)
from duelbench.agents.alignment.reward_model import RewardModelConfig
from duelbench.agents.alignment.table import RULES_AS_AGENTS
from duelbench.agents.registry import AGENTS, UnknownAgentError, find_agent
from duelbench.plugins import with_options
from duelbench.posteriors.laplace import LaplacePosterior
from duelbench.posteriors.registry import POSTERIORS
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import Parts, assemble
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.policy_loop import run

POOL = "LLMDuelPool-v0"
NETWORKS = ("ensemble", "prior_ensemble", "dropout", "epinet")


def fast(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a small agent, and these."""
    net = {"posterior.members": 4, "posterior.hidden": 12, "posterior.min_pairs": 8}
    small = net if options.get("posterior") in NETWORKS else {"posterior.samples": 8}
    return {"candidates": 6, **small, **options}


SELECTIONS = ["design", *SCORES]


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def spec_of(agent: str, env_kwargs: dict[str, Any], **changes: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "seed": 0,
        "labels": 60,
        "batch": 16,
        "judging": Judging(every=32),
        "learner": {"learning_rate": 3e-3},
        "agent_options": fast(changes.pop("agent_options", {})),
    }
    return RunSpec(POOL, agent, env_kwargs=env_kwargs, **(fields | changes))


def played(spec: RunSpec, out: Path) -> Any:
    folder = run(spec, out)
    (record,) = load_runs(out)
    journal = journal_of(folder)
    answers = journal.answers()
    journal.close()
    assert record.finished and len(answers) == spec.labels == record.rows[-1]["labels"]
    return SimpleNamespace(rows=record.rows, answers=answers, bytes=(folder / "metrics.jsonl").read_bytes())


# Rules as agents


def test_every_rule_is_an_agent_that_says_what_and_whose_it_is() -> None:
    named = {entry.options["selection"] for entry in RULES_AS_AGENTS.values()}
    assert named == set(RULES)
    for name, entry in RULES_AS_AGENTS.items():
        assert name not in AGENTS["arms"], "one name must not be two algorithms"
        assert 20 < len(entry.summary) < 120
        assert find_agent(name).options == entry.options
        assert entry.target.endswith(":RewardModelAgent"), "mixed labels would hide the rule"
    with pytest.raises(UnknownAgentError, match="did you mean 'delta_ucb'"):
        find_agent("delta_ucp")


@pytest.mark.parametrize("agent", sorted(RULES_AS_AGENTS))
def test_a_rule_plays_and_the_same_twice(agent: str, task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(agent, task)
    one, two = (played(spec, tmp_path / name) for name in ("one", "two"))
    assert one.bytes == two.bytes
    assert all(math.isfinite(value) for row in one.rows for value in row.values())


def test_rules_differ_only_in_their_duels(task: dict[str, Any]) -> None:
    """Under one seed all rules see the same first candidates, and none of them has labels of the ensemble's."""
    first = {}
    for agent in ("bald", "drts", "random_pair"):
        parts = assemble(spec_of(agent, task))
        seen: list[Any] = []
        sample = parts.policy.sample
        parts.policy.sample = lambda *a, _s=sample, _seen=seen, **k: _seen.append(_s(*a, **k)) or _seen[-1]  # type: ignore[method-assign,func-returns-value]
        pair = parts.agent.propose(parts.env.unwrapped.problem.observe(np.arange(16)))
        assert pair.ask.all()
        first[agent] = seen[0].actions
    assert np.array_equal(first["bald"], first["drts"]) and np.array_equal(first["bald"], first["random_pair"])


def test_ee4llm_leaves_the_policy_and_deploys_the_best_by_its_reward_model(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("ee4llm", task))
    before = copy.deepcopy(parts.policy.state_dict())
    feed(parts, 4)
    after = parts.policy.state_dict()
    assert all((before[name] == after[name]).all() for name in before)
    observation = parts.env.unwrapped.problem.observe(np.arange(40))
    rewards = parts.agent.posterior.rewards(observation["features"]).mean(0)  # type: ignore[attr-defined]
    chosen = parts.agent.respond(observation).actions
    better = rewards[np.arange(40), chosen][:, None] > rewards
    assert better.mean() > 0.7  # best of ten draws out of seven: nearly always the best there is


def feed(parts: Parts, rounds: int, seed: int = 0) -> list[Any]:
    """Propose, answer by worth and update; what was proposed."""
    problem = parts.env.unwrapped.problem
    rng, pairs = np.random.default_rng(seed), []
    for _ in range(rounds):
        observation = problem.observe(rng.integers(problem.n_prompts, size=parts.env.num_envs))
        pair = parts.agent.propose(observation)
        worth = [
            np.array([float(text.split()[-1]) for text in problem.texts(observation["prompt_id"], side.actions)])
            for side in (pair.first, pair.second)
        ]
        feedback = np.where(pair.ask, np.where(pair.identical, 0.5, (worth[0] > worth[1]).astype(float)), np.nan)
        parts.agent.update(observation, pair, feedback)
        pairs.append(pair)
    return pairs


# Posteriors and prompts inside SEA


@pytest.mark.parametrize(
    "options",
    [{"posterior": name} for name in POSTERIORS if name != "backbone"]  # that one reads texts: test_backbone.py
    + [{"posterior": "laplace", "posterior.learned": True, "posterior.torso.hidden": 8}]
    + [{"prompt_selection": name, "oversample": 3.0} for name in SELECTIONS],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_state_that_comes_back_goes_on_the_same(options: dict[str, Any], task: dict[str, Any]) -> None:
    one, two = (assemble(spec_of("sea", task, seed=seed, agent_options=options)) for seed in (0, 5))
    feed(one, 4)
    two.agent.load_state_dict(copy.deepcopy(one.agent.state_dict()))  # type: ignore[attr-defined]
    for a, b in zip(feed(one, 3, seed=1), feed(two, 3, seed=1), strict=True):
        assert np.array_equal(a.first.actions, b.first.actions) and np.array_equal(a.ask, b.ask)
        assert np.array_equal(a.second.actions, b.second.actions)


def test_options_of_a_posterior_are_a_runs_options(task: dict[str, Any], tmp_path: Path) -> None:
    spec = spec_of(
        "sea", task, agent_options={"posterior": "gibbs", "posterior.samples": 3, "posterior.prior_std": 2.0}
    )
    played(spec, tmp_path)
    agent: Any = assemble(spec).agent
    assert agent.posterior.theta.shape == (3, 5) and agent.posterior.precision == pytest.approx(5 / 4)
    with pytest.raises(ValueError, match="did you mean 'laplace'"):
        assemble(spec_of("sea", task, agent_options={"posterior": "laplase"}))
    with pytest.raises(ValueError, match="did you mean 'entropy'"):
        assemble(spec_of("sea", task, agent_options={"prompt_selection": "entrpy"}))


@pytest.mark.parametrize("selection", SELECTIONS)
def test_labels_are_spent_on_the_kept_prompts_alone(selection: str, task: dict[str, Any], tmp_path: Path) -> None:
    options = {"prompt_selection": selection, "oversample": 3.0, "real_share": 1.0}
    spec = spec_of("sea", task, agent_options=options)
    parts = assemble(spec)
    assert parts.env.num_envs == 48
    learned: list[int] = []
    step = parts.agent.learner.step  # type: ignore[attr-defined]
    parts.agent.learner.step = lambda chosen, *a, **k: learned.append(len(chosen)) or step(chosen, *a, **k)  # type: ignore[attr-defined,func-returns-value]
    for pair in feed(parts, 3):
        assert pair.ask.sum() == 16
    assert max(learned) <= 16, "a dropped prompt teaches nothing"
    played(spec, tmp_path)


def test_dropped_prompts_are_not_labelled_by_the_ensemble_either(task: dict[str, Any]) -> None:
    options = {"prompt_selection": "uncertainty", "oversample": 4.0, "real_share": 0.5, "burn_in": 0.0}
    parts = assemble(spec_of("sea", task, agent_options=options))
    learned: list[int] = []
    parts.agent.learner.step = lambda chosen, *a, **k: learned.append(len(chosen)) or {}  # type: ignore[attr-defined,func-returns-value]
    asked = [int(pair.ask.sum()) for pair in feed(parts, 20)]
    assert 16 * 0.3 < np.mean(asked) < 16 * 0.7
    assert max(learned) <= 16 and np.mean(learned) > 12  # real and synthetic labels, of kept prompts


# Scores of prompts, against loops


def proposal(seed: int, coarse: bool = False) -> Proposal:
    rng = np.random.default_rng(seed)
    shape = (5, 7, 4)
    rewards = rng.integers(-1, 2, shape).astype(float) if coarse else rng.standard_normal(shape)
    candidates: Any = SimpleNamespace(
        log_probs=rng.standard_normal((7, 4)),
        reference_log_probs=rng.standard_normal((7, 4)),
        features=rng.standard_normal((7, 4, 3)),
    )
    first = rng.integers(4, size=7)
    return Proposal(candidates, rewards, first, (first + rng.integers(1, 4, size=7)) % 4)


@pytest.mark.parametrize("coarse", [False, True])
def test_scores_are_their_definitions(coarse: bool) -> None:
    for seed in range(10):
        p = proposal(seed, coarse)
        found = {name: score(p) for name, score in SCORES.items()}
        for b in range(7):
            i, j, table = p.first[b], p.second[b], p.rewards[:, b]
            chances = [1 / (1 + math.exp(row[j] - row[i])) for row in table]
            assert found["uncertainty"][b] == pytest.approx(np.std(chances))
            centred = table - table.mean(1, keepdims=True)
            upper = max(column.mean() + 2 * column.std() for column in centred.T)
            lower = max(column.mean() - 2 * column.std() for column in centred.T)
            assert found["active_exploration"][b] == pytest.approx(upper - lower)
            own, reference = p.candidates.log_probs[b], p.candidates.reference_log_probs[b]
            assert found["entropy"][b] == pytest.approx(-np.mean(own))
            assert found["gap"][b] == pytest.approx(abs((own[i] - reference[i]) - (own[j] - reference[j])))


def test_what_no_sample_doubts_is_not_worth_a_label() -> None:
    p = proposal(0)
    sure = Proposal(p.candidates, np.repeat(p.rewards[:1], 5, axis=0), p.first, p.second)
    moved = Proposal(p.candidates, sure.rewards + np.arange(5.0)[:, None, None], p.first, p.second)
    for name in ("uncertainty", "active_exploration"):
        assert SCORES[name](sure) == pytest.approx(0.0, abs=1e-12)
        assert SCORES[name](moved) == pytest.approx(0.0, abs=1e-12), "a constant of the sample is no uncertainty"


def test_the_highest_scores_are_kept_and_the_first_of_equal_ones() -> None:
    kept = TopScores(lambda p: np.array([1.0, 3.0, 2.0, 3.0, 3.0, 0.0, 0.0])).keep(proposal(0), 2)
    assert np.flatnonzero(kept).tolist() == [1, 3]


def widest(z: NDArray[np.float64], n: int, v: NDArray[np.float64]) -> list[int]:
    """By the definition: invert V anew after every duel."""
    chosen: list[int] = []
    for _ in range(n):
        lengths = [-1.0 if b in chosen else float(row @ np.linalg.inv(v) @ row) for b, row in enumerate(z)]
        chosen.append(int(np.argmax(lengths)))
        v += np.outer(z[chosen[-1]], z[chosen[-1]])
    return chosen


def test_design_keeps_the_widest_duels_in_the_metric_of_those_before() -> None:
    design, v, unit = Design(3), np.eye(3), 0.0
    for seed in range(5):
        p = proposal(seed)
        rows = np.arange(7)
        z = p.candidates.features[rows, p.first] - p.candidates.features[rows, p.second]
        unit = unit or np.linalg.norm(z, axis=1).mean()
        assert np.flatnonzero(design.keep(p, 3)).tolist() == sorted(widest(z / unit, 3, v))
        np.testing.assert_allclose(design.state_dict()["inverse"], np.linalg.inv(v), atol=1e-9)


def test_design_does_not_ask_the_same_thing_twice_in_a_batch() -> None:
    features = np.zeros((3, 2, 2))
    features[0, 0], features[1, 0], features[2, 0] = [2.0, 0.0], [2.0, 0.1], [0.0, 1.7]
    candidates: Any = SimpleNamespace(features=features)
    p = Proposal(candidates, np.zeros((1, 3, 2)), np.zeros(3, int), np.ones(3, int))
    assert Design(2).keep(p, 2).tolist() == [False, True, True]


@pytest.mark.parametrize("name", PROMPT_SELECTIONS)
@pytest.mark.parametrize("n", [0, 1, 5, 7])
def test_every_selection_keeps_as_many_as_it_is_told(name: str, n: int) -> None:
    kept = make_prompt_selection(choose_prompts(name), 3).keep(proposal(0), n)
    assert kept.shape == (7,) and kept.sum() == n
    assert name != "none" or kept[:n].all()  # no preference: as they come


PLUGINS = """
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duelbench.posteriors.laplace import LaplaceConfig, LaplacePosterior


def bold(R, rng, *, pull: float = 1.0):
    mean, spread = R.mean(0), R.std(0)
    return (mean + pull * spread).argmax(-1), mean.argmin(-1)


@dataclass(frozen=True)
class MineConfig(LaplaceConfig):
    shrink: float = 0.5


class Mine(LaplacePosterior):
    Config = MineConfig

    def rewards(self, features):
        return np.float32(self.config.shrink) * super().rewards(features)


def shortest(proposal, *, sign: float = 1.0):
    return sign * -proposal.candidates.lengths.mean(-1)
"""


def test_posteriors_rules_and_selections_from_a_file_bring_their_own_options(
    task: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGINS)
    options = {
        "selection": f"{file}:bold",
        "selection.pull": 2,
        "posterior": f"{file}:Mine",
        "posterior.shrink": 0.25,
        "posterior.samples": 3,
        "prompt_selection": f"{file}:shortest",
        "prompt_selection.sign": -1.0,
        "candidates": 6,
    }
    spec = spec_of("infomax", task, agent_options={**options, "oversample": 2.0})
    played(spec, tmp_path / "out")
    agent: Any = assemble(spec).agent
    assert agent.posterior.config.shrink == 0.25 and agent.config.selection.options == {"pull": 2.0}
    for wrong in ({"selection.pul": 2}, {"posterior.shrinks": 1.0}, {"prompt_selection.sgn": 1.0}):
        with pytest.raises(ValueError, match="did you mean"):
            assemble(spec_of("infomax", task, agent_options={**options, **wrong}))
    told = resolve(spec)
    file.write_text(PLUGINS.replace("argmin", "argmax"))
    assert resolve(spec).run_id != told.run_id, "an edited rule is another run"


def test_objects_are_chosen_as_names_are() -> None:
    def widest(rewards: Any, rng: np.random.Generator) -> Any:
        return rewards.mean(0).argmax(-1), rewards.mean(0).argmin(-1)

    config = with_options(RewardModelConfig(), {"selection": widest, "posterior": LaplacePosterior})
    assert config.selection.plugin is widest and config.posterior.plugin is LaplacePosterior
