"""KernelDuel-v0 and NeuralDuel-v0: the functions, the networks, and that bandits and policies can both play them."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.alignment.table import POLICY_AGENTS, RULES_AS_AGENTS
from duelbench.agents.registry import find_agent
from duelbench.envs.arms.family import instance_rng
from duelbench.envs.arms.kernel import FUNCTIONS, GridFamily
from duelbench.envs.arms.neural import Network, NetworkLaw
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.policy_loop import run
from duelbench.study.settings import settings_of

IDS = ("KernelDuel-v0", "NeuralDuel-v0")
SETTINGS = [
    ("KernelDuel-v0", {}),
    ("KernelDuel-v0", {"function": "branin", "grid": [3, 4], "link": "thurstone", "position_bias": 0.1}),
    ("NeuralDuel-v0", {}),
    ("NeuralDuel-v0", {"fresh": False, "arms": 7, "dim": 3, "layers": 1, "delay": 3}),
]
all_settings = pytest.mark.parametrize(("env_id", "kwargs"), SETTINGS, ids=str)

OPTIMA = [
    ("ackley", [(0.0, 0.0)], 0.0),
    ("branin", [(-np.pi, 12.275), (np.pi, 2.275), (9.42478, 2.475)], 0.397887),
    ("eggholder", [(512.0, 404.2319)], -959.6407),
    ("hoelder", [(a * 8.05502, b * 9.66459) for a in (-1, 1) for b in (-1, 1)], -19.2085),
    ("matyas", [(0.0, 0.0)], 0.0),
    ("michalewicz", [(2.20, 1.57)], -1.8013),
    ("rosenbrock", [(1.0, 1.0)], 0.0),
]


@pytest.mark.parametrize(("name", "points", "lowest"), OPTIMA)
def test_functions_have_their_known_optima(name, points, lowest):
    function = FUNCTIONS[name]
    for point in points:
        assert function.value(*np.array(point)) == pytest.approx(lowest, abs=2e-3)
    x, y = (np.linspace(*axis, 801) for axis in (function.x, function.y))
    values = function.value(x[:, None], y[None])
    assert lowest - 1e-3 <= values.min() <= lowest + 0.02 * (values.max() - lowest)
    assert {name for name, *_ in OPTIMA} == set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_arms_are_the_grid_in_random_order_and_the_lowest_value_is_the_best_arm(name):
    function, family = FUNCTIONS[name], GridFamily(name, (7, 5))
    drawn = family.draw(instance_rng(3))
    assert sorted(map(tuple, drawn.features.round(9))) == sorted(
        (round(a, 9), round(b, 9)) for a in np.linspace(-1, 1, 7) for b in np.linspace(-1, 1, 5)
    )
    assert (drawn.utilities.min(), drawn.utilities.max()) == (-3, 3)
    raw = [
        float(
            function.value(
                function.x[0] + (function.x[1] - function.x[0]) * (a + 1) / 2,
                function.y[0] + (function.y[1] - function.y[0]) * (b + 1) / 2,
            )
        )
        for a, b in drawn.features
    ]
    np.testing.assert_allclose(drawn.utilities, 3 - 6 * (np.array(raw) - min(raw)) / (max(raw) - min(raw)), atol=1e-9)
    i, j = 4, 11
    assert drawn.preferences[i, j] == pytest.approx(1 / (1 + np.exp(drawn.utilities[j] - drawn.utilities[i])))
    other = family.draw(instance_rng(4))
    assert not np.array_equal(drawn.features, other.features)
    assert np.allclose(np.sort(drawn.utilities), np.sort(other.utilities))


@pytest.mark.parametrize(("layers", "scale"), [(1, 0.5), (3, 2.0)])
def test_a_network_is_standardised_and_is_what_loops_compute(layers, scale):
    law = NetworkLaw(dim=3, arms=4, hidden=6, layers=layers, gain=2.0, scale=scale)
    network = Network(law, np.random.default_rng(0))
    x = np.random.default_rng(1).uniform(-1, 1, (40_000, 3))
    u = network.utilities(x)
    assert u.std() == pytest.approx(scale, rel=0.05) and abs(u.mean()) < 0.1 * scale
    again = np.random.default_rng(0)
    sizes = [3] + [6] * layers + [1]
    weights = [again.standard_normal((a, b)) * 2.0 / a**0.5 for a, b in pairwise(sizes)]
    biases = [again.standard_normal(6) for _ in range(layers)]

    def raw(point):
        values = list(point)
        for w, b in zip(weights, biases, strict=False):
            values = [np.tanh(sum(v * w[k, m] for k, v in enumerate(values)) + b[m]) for m in range(len(b))]
        return sum(v * weights[-1][k, 0] for k, v in enumerate(values))

    base = raw(x[0])
    slope = (raw(x[1]) - base) / (u[1] - u[0])
    for k in range(2, 12):
        assert (raw(x[k]) - base) / slope == pytest.approx(u[k] - u[0], abs=1e-9)


@pytest.mark.parametrize("fresh", [True, False])
def test_verdicts_and_regret_are_those_of_the_network(fresh):
    env = gym.make_vec("NeuralDuel-v0", num_envs=1, fresh=fresh, dim=4, arms=5).unwrapped
    observation, _ = env.reset(seed=[7])
    network = Network(NetworkLaw(4, 5, 32, 2, 2.0, 2.0), instance_rng(7))
    for _ in range(70):
        u = network.utilities(observation["features"][0].astype(float))
        regret = env.regrets(np.array([[1, 3]]))["average"][0]
        assert regret == pytest.approx(u.max() - (u[1] + u[3]) / 2, abs=1e-5)
        probability = env.problem.preference(env.engine.prompt_ids, np.array([1]), np.array([3]))[0]
        assert probability == pytest.approx(1 / (1 + np.exp(u[3] - u[1])), abs=1e-5)
        observation = env.step(np.array([[1, 3]]))[0]


@all_settings
def test_gymnasium_accepts_the_environment_without_a_warning(env_id, kwargs):
    assert json.loads(json.dumps(kwargs)) == kwargs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(env_id, **kwargs).unwrapped
        if "delay" not in kwargs:  # a reward that has not come is NaN, which the checker minds
            check_env(env)
        assert env.observation_space.contains(env.reset(seed=0)[0])


@all_settings
def test_a_row_of_a_vector_environment_is_the_environment_with_its_seed(env_id, kwargs):
    batch = gym.make_vec(env_id, num_envs=3, **kwargs).unwrapped
    single = [gym.make(env_id, **kwargs).unwrapped for _ in range(3)]
    seen, _ = batch.reset(seed=5)
    alone = [env.reset(seed=5 + row)[0] for row, env in enumerate(single)]
    rng = np.random.default_rng(0)
    for _ in range(140):
        assert all(np.array_equal(seen["features"][row], alone[row]["features"]) for row in range(3))
        actions = rng.integers(batch.problem.arms, size=(3, 2))
        truth = batch.regrets(actions)
        for row, env in enumerate(single):
            assert env.regrets(actions[row]) == {kind: values[row] for kind, values in truth.items()}
        seen, rewards, *_ = batch.step(actions)
        steps = [env.step(actions[row]) for row, env in enumerate(single)]
        alone = [step[0] for step in steps]
        assert np.array_equal(rewards, [step[1] for step in steps], equal_nan=True)


@all_settings
def test_seeds_decide_everything(env_id, kwargs):
    def play(seed, instance=None):
        env = gym.make(env_id, **kwargs).unwrapped
        observation, _ = env.reset(seed=seed, options={} if instance is None else {"instance": instance})
        steps = [observation["features"].tolist(), env.regrets([0, 1])["average"]]
        for k in range(70):
            steps.append((env.regrets([0, k % 7])["average"], str(env.step([0, k % 7])[1])))
        return steps

    assert play(3) == play(3) != play(4)
    if not kwargs.get("fresh", env_id == "NeuralDuel-v0"):
        assert play(4, 3)[:2] == play(3)[:2]


@pytest.mark.parametrize(
    ("env_id", "kwargs", "words"),
    [
        ("KernelDuel-v0", {"function": "akley"}, "ackley"),
        ("KernelDuel-v0", {"grid": 1}, "grid"),
        ("KernelDuel-v0", {"grid": [3, 4, 5]}, "grid"),
        ("KernelDuel-v0", {"link": "cauchy"}, "bradley-terry"),
        ("NeuralDuel-v0", {"link": "cauchy"}, "bradley-terry"),
        ("NeuralDuel-v0", {"arms": 1}, "2 arms"),
        ("NeuralDuel-v0", {"layers": 0}, "layers"),
        ("NeuralDuel-v0", {"scale": 0.0}, "scale"),
        ("NeuralDuel-v0", {"heldout": 0}, "heldout"),
    ],
)
def test_a_bad_problem_gets_one_clear_error(env_id, kwargs, words):
    with pytest.raises(ValueError, match=words):
        gym.make(env_id, **kwargs)


@pytest.mark.parametrize("env_id", IDS)
def test_the_defaults_name_what_exists(env_id):
    defaults = settings_of(env_id)
    assert defaults.arms and {"laplace_ts", "maxminlcb", "neural_ts"} <= set(defaults.agents)
    for agent in defaults.agents:
        find_agent(agent, arms=True)
    for kwargs in defaults.presets.values():
        gym.make(env_id, **kwargs).reset(seed=0)


@pytest.mark.parametrize("kwargs", [{}, {"fresh": False}], ids=["fresh", "fixed"])
@pytest.mark.parametrize(
    "agent", sorted(POLICY_AGENTS.keys() - RULES_AS_AGENTS.keys() - {"isara"})
)  # which needs demonstrations
def test_agents_that_align_a_policy_play_the_neural_family(agent, kwargs, tmp_path):
    defaults = settings_of("NeuralDuel-v0")
    fast = {"posterior.samples": 8} if agent.startswith("sea") else {}
    spec = RunSpec(
        "NeuralDuel-v0",
        agent,
        0,
        labels=64,
        batch=16,
        judging=Judging(every=32),
        env_kwargs=kwargs,
        agent_options=fast,
        learner=defaults.learner,
        policy=defaults.policy,
    )
    folder = run(spec, tmp_path / "one")
    (record,) = load_runs(tmp_path / "one")
    assert record.finished and record.error is None
    assert record.rows[-1]["labels"] == 64
    assert record.rows[-1]["cumulative_average_regret"] > 0 and record.rows[-1]["simple_regret"] >= 0
    again = run(spec, tmp_path / "two")
    assert (folder / "metrics.jsonl").read_bytes() == (again / "metrics.jsonl").read_bytes()


def test_a_policy_learns_the_neural_utility(tmp_path):
    defaults = settings_of("NeuralDuel-v0")
    spec = RunSpec(
        "NeuralDuel-v0",
        "online",
        0,
        labels=1024,
        batch=16,
        judging=Judging(every=512),
        learner=defaults.learner,
        policy=defaults.policy,
    )
    run(spec, tmp_path)
    (record,) = load_runs(tmp_path)
    assert record.rows[-1]["simple_regret"] < 0.6 * record.rows[0]["simple_regret"]
