"""A sweep is data: what it expands to, and what may change without a finished run being lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from duelbench.envs.duel.problem import AsksOracle
from duelbench.errors import UsageError
from duelbench.records.plan import Plan
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.resolve import problem_of, resolve
from duelbench.study.settings import settings_of
from duelbench.study.sweep import SMOKE, AgentSetting, EnvSetting, Sweep
from duelbench.study.sweep_files import load_sweep, sweep_names

POOL = Sweep(
    title="small",
    envs=["LLMDuelPool-v0", EnvSetting("LLMDuelPool-v0", preset="hard", tags=("later",))],
    agents=["online", AgentSetting("sea", {"candidates": 4}, tags=("active",))],
    optimizers=("dpo", "ipo"),
    settings={"learner.learning_rate": [1e-3, 1e-2], "sea.real_share": [0.5, 0.7, 1.0]},
    seeds=2,
    labels=64,
)


def specs(sweep: Sweep) -> list[RunSpec]:
    return [run.spec for run in sweep.plan("x").runs]


def ids(sweep: Sweep) -> set[str]:
    return {spec.run_id for spec in specs(sweep)}


def test_a_sweep_is_the_product_of_its_axes_and_an_agents_own_axis_multiplies_only_itself() -> None:
    found = specs(POOL)
    envs, optimizers, rates, shares, seeds = 2, 2, 2, 3, 2
    assert len(found) == len(ids(POOL)) == envs * optimizers * rates * seeds * (1 + shares)
    assert {spec.learner["learning_rate"] for spec in found} == {1e-3, 1e-2}
    assert {spec.learner["loss"] for spec in found} == {"dpo", "ipo"}
    sea = [spec for spec in found if spec.agent == "sea"]
    assert {(s.agent_options["candidates"], s.agent_options["real_share"]) for s in sea} == {
        (4, 0.5),
        (4, 0.7),
        (4, 1.0),
    }
    assert all(spec.agent_options == {} for spec in found if spec.agent == "online")
    assert [spec.seed for spec in found] == sorted(spec.seed for spec in found)
    assert all(spec.labels == 64 for spec in found)


def test_adding_removing_and_reordering_keep_every_other_run() -> None:
    turned = dataclasses.replace(POOL, envs=POOL.envs[::-1], agents=POOL.agents[::-1], optimizers=("ipo", "dpo"))
    assert ids(turned) == ids(POOL)
    more = dataclasses.replace(POOL, seeds=3, agents=[*POOL.agents, "xpo"])
    assert ids(POOL) < ids(more)
    assert ids(dataclasses.replace(POOL, optimizers=("ipo",), envs=POOL.envs[:1])) < ids(POOL)


def test_a_run_that_is_asked_for_twice_is_one_run_with_both_tags() -> None:
    twice = Sweep(
        "t", [EnvSetting("LLMDuelPool-v0", tags=("a",)), EnvSetting("LLMDuelPool-v0", tags=("b",))], ["online"], seeds=1
    )
    (run,) = twice.plan("x").runs
    assert {"a", "b"} <= set(run.tags)


def test_tags_name_what_a_run_is_and_the_smoke_subset_is_one_run_of_each_environment_and_agent() -> None:
    runs = POOL.plan("x").runs
    hard = [run for run in runs if "hard" in run.tags]
    assert len(hard) == len(runs) / 2 and all("later" in run.tags for run in hard)
    assert {run.spec.agent for run in runs if "active" in run.tags} == {"sea"}
    assert {run.spec.learner["loss"] for run in runs if "ipo" in run.tags} == {"ipo"}
    smoke = [run.spec for run in runs if SMOKE in run.tags]
    assert len(smoke) == 4 and {spec.seed for spec in smoke} == {0}
    assert all(s.learner == smoke[0].learner and s.learner["learning_rate"] == 1e-3 for s in smoke)


def test_agents_that_play_in_lock_step_take_one_run_for_all_seeds() -> None:
    sweep = Sweep("arms", [EnvSetting("MatrixDuel-v0", preset="bt10")], ["rucb"], seeds=range(5, 25), labels=100)
    (spec,) = specs(sweep)
    assert (spec.seed, spec.lockstep) == (5, 20)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = dataclasses.replace(POOL, thresholds=(0.6, 0.7)).plan("small")
    assert Plan.load(tmp_path) is None
    plan.write(tmp_path)
    assert Plan.load(tmp_path) == plan
    file = tmp_path / "sweep.json"
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(RuntimeError, match="sweep schema 2"):
        Plan.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"agents": ["onlin"], "settings": {}}, "did you mean 'online'"),
        ({"envs": ["LLMDuelPool"]}, "did you mean 'LLMDuelPool-v0'"),
        ({"settings": {"candidates": [1]}}, "NAME.OPTION"),
        ({"settings": {"seaa.candidates": [1]}}, "did you mean 'sea'"),
        ({"settings": {"sea.candidate": [1]}}, "did you mean 'candidates'"),
        ({"settings": {"learner.rate": [1]}}, "no option 'rate'"),
        ({"envs": [], "settings": {}}, "no runs"),
        ({"agents": ["online"]}, "no options can be set of 'sea'"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"seeds": range(0, 10, 2)}, "consecutive"),
        ({"settings": {"sea.real_share": []}}, "at least one value"),
        ({"settings": {"env.oracle": "reader"}}, "takes a list"),
        ({"judging": {"evry": 3}}, "did you mean 'every'"),
        ({"judging": {"repeats": 0}}, "repeats must be a whole number"),
        ({"settings": {"env.orakle": ["reader"]}}, "did you mean 'oracle'"),
        ({"settings": {"env.horizon": [3]}}, "the run itself sets horizon"),
        ({"settings": {"policy.model": ["tiny"]}}, "no option 'model'"),
    ],
)
def test_a_sweep_that_does_not_fit_together_says_why(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(POOL, **change).plan("x")  # type: ignore[arg-type]


def test_a_sweep_is_a_file_or_a_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text('from duelbench.study.sweep import Sweep\nsweep = Sweep("Mine", ["LLMDuelPool-v0"], ["online"])\n')
    name, sweep = load_sweep(str(file))
    assert name == "mine" and sweep.title == "Mine"
    assert "first_steps" in sweep_names()
    for known in sweep_names():
        assert load_sweep(known)[1].plan(known).runs
    file.write_text("swep = 1\n")
    for where, said in [
        (str(file), "holds no sweep"),
        ("nowhere.py", "no file nowhere.py"),
        ("first_step", "did you mean"),
    ]:
        with pytest.raises(UsageError, match=said):
            load_sweep(where)


def test_what_is_left_open_is_what_the_environment_usually_plays() -> None:
    usual = settings_of("LLMDuelPool-v0")
    found = specs(Sweep("usual", ["LLMDuelPool-v0"], seeds=None))
    assert list(dict.fromkeys(spec.agent for spec in found)) == list(usual.agents)
    assert {spec.seed for spec in found} == set(range(usual.seeds))
    assert {(spec.labels, spec.batch) for spec in found} == {(usual.labels, usual.batch)}
    judging = Judging(every=usual.evaluate_every, repeats=usual.evaluation_repeats)
    assert all(spec.judging == judging for spec in found)
    (spec,) = specs(Sweep("judged", ["LLMDuelPool-v0"], ["online"], seeds=1, judging={"every": 7, "prompts": 5}))
    assert spec.judging == dataclasses.replace(judging, every=7, prompts=5)


def test_all_seeds_of_a_cell_are_resolved_like_its_first() -> None:
    found = specs(Sweep("seeds", ["LLMDuelPool-v0"], ["online"], seeds=3))
    assert [resolve(dataclasses.replace(spec, resolved={}, content={})) for spec in found] == found


@pytest.mark.parametrize("env", ["LLMDuel-v0", "LLMDuelPool-v0"])
def test_the_taste_whose_good_answers_are_rare_is_a_preset(env: str) -> None:
    (spec,) = Sweep("rare", [EnvSetting(env, preset="rare")], ["uniform"], seeds=range(1)).specs()
    problem = problem_of(spec)
    assert isinstance(problem, AsksOracle) and problem.oracle.name == "reader-rare"
