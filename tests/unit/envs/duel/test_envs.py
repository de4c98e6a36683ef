"""The environments as Gymnasium sees them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from rollouts import LLM_IDS, POOL, actions, pair, plain, rollout

ids = pytest.mark.parametrize("env_id", LLM_IDS)


@pytest.fixture
def small(task_file: str, oracles: str) -> dict[str, Any]:
    """The small task whose responses end in their worth."""
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


# Gymnasium's contract


@ids
def test_check_env_has_nothing_to_say(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(env_id)
        check_env(env.unwrapped)
        env.close()
        env.close()


@ids
def test_twin_rollouts_are_equal_and_other_seeds_differ(env_id: str, small: dict[str, Any]) -> None:
    one, two = gym.make(env_id, horizon=5, **small), gym.make(env_id, horizon=5, **small)
    assert rollout(one, 30) == rollout(two, 30) == rollout(one, 30)
    assert rollout(one, 30) != rollout(one, 30, seed=1)


@ids
def test_a_spec_survives_json(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, horizon=5, flip=0.2, **small)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))  # type: ignore[union-attr]
    assert again.spec == env.spec and rollout(again, 12) == rollout(env, 12)
    vector = gym.make_vec(env_id, num_envs=3, horizon=5, **small)
    rebuilt = gym.make_vec(EnvSpec.from_json(vector.spec.to_json()))  # type: ignore[union-attr]
    assert rebuilt.num_envs == 3 and type(rebuilt.unwrapped) is type(vector.unwrapped)
    assert plain(rebuilt.reset(seed=1)) == plain(vector.reset(seed=1))


@ids
def test_an_id_with_its_module_works_in_a_fresh_process(env_id: str) -> None:
    code = f"import gymnasium; print(gymnasium.make('duelbench:{env_id}').reset(seed=0)[0]['prompt_id'])"
    said = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) == gym.make(env_id).reset(seed=0)[0]["prompt_id"]


def test_importing_the_package_is_light() -> None:
    code = "import sys, duelbench; print([m for m in ('torch', 'transformers', 'scipy.stats') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_pool_env_loads_no_torch(task_file: str, oracles: str) -> None:
    code = (
        "import sys, duelbench, gymnasium\n"
        f"env = gymnasium.make('{POOL}', task={task_file!r}, oracle={oracles + ':Worth'!r})\n"
        "env.reset(seed=0), env.step([0, 1]); print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


@ids
def test_an_episode_is_truncated_at_its_horizon_and_never_terminates(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, horizon=3, **small)
    for _ in range(2):
        env.reset(seed=0)
        steps = [env.step(pair(env_id)) for _ in range(3)]
        assert [step[3] for step in steps] == [False, False, True]
        assert [step[4]["labels"] for step in steps] == [1, 2, 3]
        for _, reward, terminated, truncated, info in steps:
            assert type(reward) is float and reward in (0.0, 1.0)
            assert terminated is False and type(truncated) is bool
            assert type(info["labels"]) is int and info["verdict"] == ("first" if reward else "second")


@pytest.mark.parametrize("horizon", [1, 0, -3])
def test_a_horizon_too_short_for_gymnasium_is_refused(horizon: int, small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        gym.make(POOL, horizon=horizon, **small)


@ids
def test_ansi_rendering_shows_the_last_duel_and_the_next_prompt(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, render_mode="ansi", **small)
    observation, _ = env.reset(seed=0)
    assert observation["prompt"] in env.render()  # type: ignore[operator]
    observation, _, _, _, info = env.step(pair(env_id))
    text = env.render()
    assert isinstance(text, str)
    assert observation["prompt"] in text and info["verdict"] in text and "labels 1/" in text


# Vector environments


@pytest.mark.filterwarnings("ignore:.*The reward is a NaN")  # Gymnasium's checker, on a skipped duel
@ids
@pytest.mark.parametrize("seed", [3, [11, 5, 11, 2**31]])
@pytest.mark.parametrize("identical", ["tie", "ask", "skip"])
def test_the_native_vector_env_is_the_sync_vector_env(
    env_id: str, seed: int | list[int], identical: str, small: dict[str, Any]
) -> None:
    kwargs = {"num_envs": 4, "horizon": 5, "identical": identical, "flip": 0.1, **small}
    native = gym.make_vec(env_id, **kwargs)
    sync = gym.make_vec(env_id, vectorization_mode="sync", **kwargs)
    assert native.metadata["autoreset_mode"] == sync.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert native.observation_space == sync.observation_space and native.action_space == sync.action_space
    assert same(native.reset(seed=seed), sync.reset(seed=seed))
    sync.action_space.seed(0)
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(25):
        action = sync.action_space.sample()
        copies = rng.random(4) < 0.3  # rows fall out of step, so that some end while others play
        if isinstance(action, tuple):
            action = action[0], tuple(a if c else b for a, b, c in zip(*action, copies, strict=True))
        else:
            action[copies, 1] = action[copies, 0]
        one, two = native.step(action), sync.step(action)
        assert same(one, two)
        ends += int(one[3].sum())
    assert ends >= 8
    assert same(native.reset(), sync.reset()) and same(native.reset(seed=8), sync.reset(seed=8))
    native.close()
    sync.close()


def same(one: tuple[Any, ...], two: tuple[Any, ...]) -> bool:
    """Equal, up to the width of integers and containers: obs, rewards, ends and infos."""

    def bare(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: bare(value) for key, value in x.items()}
        if isinstance(x, tuple | list):
            return [bare(value) for value in x]
        if isinstance(x, np.ndarray):
            return [x.dtype.kind, bare(x.tolist())]
        return "nan" if isinstance(x, float) and np.isnan(x) else x

    return bool(bare(one) == bare(two))


@ids
def test_a_row_behaves_as_a_single_env_with_its_seed(env_id: str, small: dict[str, Any]) -> None:
    vector = gym.make_vec(env_id, num_envs=2, **small)
    singles = [gym.make(env_id, **small) for _ in range(2)]
    observation, _ = vector.reset(seed=40)
    alone = [env.reset(seed=40 + b)[0] for b, env in enumerate(singles)]
    for _ in range(6):
        assert [obs["prompt"] for obs in alone] == list(observation["prompt"])
        duel = pair(env_id)
        batch = np.stack([duel, duel]) if env_id == POOL else ((duel[0],) * 2, (duel[1],) * 2)
        observation, rewards, *_ = vector.step(batch)
        steps = [env.step(duel) for env in singles]
        assert [step[1] for step in steps] == rewards.tolist()
        alone = [step[0] for step in steps]


@ids
def test_the_async_vector_env_gives_what_the_native_one_gives(env_id: str, small: dict[str, Any]) -> None:
    native = gym.make_vec(env_id, num_envs=2, horizon=3, **small)
    options = {"shared_memory": False, "context": "spawn"}
    workers = gym.make_vec(env_id, num_envs=2, horizon=3, vectorization_mode="async", vector_kwargs=options, **small)
    assert same(native.reset(seed=0), workers.reset(seed=0))
    for _, action in zip(range(5), actions(native.action_space), strict=False):
        assert same(native.step(action), workers.step(action))
    workers.close()
    with pytest.raises(ValueError, match="you can disable this feature with `shared_memory=False`"):
        gym.make_vec(env_id, num_envs=2, vectorization_mode="async", **small)


def test_seeds_must_be_as_many_as_rows(small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected 3 seeds"):
        gym.make_vec(POOL, num_envs=3, **small).reset(seed=[1, 2])


@ids
def test_returned_data_is_never_touched_again(env_id: str, small: dict[str, Any]) -> None:
    vector = gym.make_vec(env_id, num_envs=2, horizon=3, **small)
    kept, copies = [vector.reset(seed=0)], []
    copies.append(plain(kept[0]))
    for _, action in zip(range(8), actions(vector.action_space), strict=False):
        kept.append(vector.step(action))
        copies.append(plain(kept[-1]))
    assert plain(kept) == copies


@ids
def test_a_batch_is_one_oracle_call(env_id: str, task_file: str, oracles: str, tmp_path: Any) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    vector = gym.make_vec(env_id, num_envs=5, **kwargs)
    vector.reset(seed=0)
    duel = pair(env_id)
    batch = np.stack([duel] * 5) if env_id == POOL else ((duel[0],) * 5, (duel[1],) * 5)
    vector.step(batch)
    (call,) = log.read_text().splitlines()
    assert len(json.loads(call)) == 5


# Past the end, and before the beginning


@ids
def test_a_step_past_the_end_of_an_episode_buys_no_label(
    env_id: str, task_file: str, oracles: str, tmp_path: Any
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    for maker in (gym.make, lambda *a, **k: gym.make(*a, **k).unwrapped):
        env = maker(env_id, horizon=2, **kwargs)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(pair(env_id))
        env.reset(seed=0)
        env.step(pair(env_id)), env.step(pair(env_id))
        asked = len(log.read_text().splitlines())
        with pytest.raises(gym.error.ResetNeeded, match=r"2 labels are spent.*no label was used"):
            env.step(pair(env_id))
        assert len(log.read_text().splitlines()) == asked
        env.reset()
        env.step(pair(env_id))
    vector = gym.make_vec(env_id, num_envs=1, **kwargs).unwrapped
    with pytest.raises(gym.error.ResetNeeded, match="never reset"):
        vector.step(None)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [({"horizon": 8.5}, "integer"), ({"horizon": True}, "integer"), ({"horizon": "8"}, "integer")],
)
def test_a_horizon_that_is_no_integer_is_refused(kwargs: dict[str, Any], words: str, small: dict[str, Any]) -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=f"horizon.*{words}"):
            make(POOL, **kwargs, **small)


@pytest.mark.parametrize("num_envs", [0, -1, 1.5, True])
def test_a_number_of_rows_that_is_none_is_refused(num_envs: Any, small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="num_envs must be"):
        gym.make_vec(POOL, num_envs=num_envs, **small)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strat": 3}, "unknown option 'strat'.*did you mean 'start'"),
        ({"start": 1.5}, "start"),
        ({"start": -1}, "start"),
        ({"instance": True}, "instance"),
    ],
)
def test_reset_options_are_checked(options: dict[str, Any], words: str, small: dict[str, Any]) -> None:
    for env in (gym.make(POOL, **small), gym.make_vec(POOL, num_envs=2, **small)):
        with pytest.raises(ValueError, match=words):
            env.reset(seed=0, options=options)


@ids
def test_identical_responses_are_skipped_unless_told_otherwise(
    env_id: str, task_file: str, oracles: str, tmp_path: Any
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    env = gym.make(env_id, horizon=2, **kwargs)
    env.reset(seed=0)
    for _ in range(3):
        _, reward, _, truncated, info = env.step(pair(env_id, 2, 2))
        assert np.isnan(reward) and not truncated and (info["verdict"], info["labels"]) == ("skipped", 0)
    assert not log.exists()
