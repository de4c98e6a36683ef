import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import duelbench
from duelbench.envs.arms.family import Family, Instance
from duelbench.envs.arms.matrices import named_matrix
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.problem import InvalidActionError
from duelbench.envs.wrappers import NegativeRegret

ARM_IDS = sorted(name for name in duelbench.ENV_IDS if not name.startswith("LLM"))
SETTINGS = [(name, {}) for name in ARM_IDS] + [
    ("LinearDuel-v0", {"fresh": True}),
    ("LinearDuel-v0", {"drift": 0.01}),
    ("LinearDuel-v0", {"design": "hypercube", "hidden": 1}),
    ("MatrixDuel-v0", {"matrix": "sst", "arms": 6, "position_bias": 0.2}),
]
all_settings = pytest.mark.parametrize(("env_id", "kwargs"), SETTINGS, ids=str)


def rollout(env, seed, steps, rng):
    observation, _ = env.reset(seed=seed)
    seen = [observation]
    rewards = []
    for _ in range(steps):
        observation, reward, *_ = env.step(rng.integers(env.unwrapped.problem.arms, size=2))
        seen.append(observation)
        rewards.append(reward)
    return seen, rewards


def equal(a, b):
    return all(np.array_equal(x[key], y[key]) for x, y in zip(a, b, strict=True) for key in x)


@all_settings
def test_gymnasium_accepts_the_environment_without_a_warning(env_id, kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, **kwargs).unwrapped)
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(NegativeRegret(gym.make(env_id, **kwargs)), skip_render_check=True)


@all_settings
def test_a_row_of_a_vector_environment_is_the_environment_with_its_seed(env_id, kwargs):
    batch = gym.make_vec(env_id, num_envs=3, **kwargs)
    single = [gym.make(env_id, **kwargs) for _ in range(3)]
    seen, _ = batch.reset(seed=5)
    alone = [env.reset(seed=5 + row)[0] for row, env in enumerate(single)]
    rng = np.random.default_rng(0)
    for _ in range(150):  # more than two blocks of fresh arms
        for row in range(3):
            assert all(np.array_equal(seen[key][row], alone[row][key]) for key in seen)
        actions = rng.integers(batch.unwrapped.problem.arms, size=(3, 2))
        truth = batch.unwrapped.regrets(actions)
        for row, env in enumerate(single):
            assert env.unwrapped.regrets(actions[row]) == {kind: values[row] for kind, values in truth.items()}
        seen, rewards, *_ = batch.step(actions)
        steps = [env.step(actions[row]) for row, env in enumerate(single)]
        alone = [step[0] for step in steps]
        assert np.array_equal(rewards, [step[1] for step in steps], equal_nan=True)


@all_settings
def test_seeds_decide_everything_and_instances_can_be_named(env_id, kwargs):
    env = gym.make(env_id, **kwargs)
    first, again = (rollout(env, 3, 80, np.random.default_rng(0)) for _ in range(2))
    assert equal(first[0], again[0]) and np.array_equal(first[1], again[1], equal_nan=True)
    pair = [0, 1]
    env.reset(seed=3)
    named = env.unwrapped.regrets(pair)
    other = {}
    for seed in range(4, 8):
        env.reset(seed=seed, options={"instance": 3})
        if isinstance(env.unwrapped.problem, FixedArms):  # fresh contexts are the seed's, only θ is the instance's
            assert env.unwrapped.regrets(pair) == named
        env.reset(seed=seed)
        other[seed] = env.unwrapped.regrets(pair)
    assert any(values != named for values in other.values())


@pytest.mark.parametrize("start", [0, 63, 64, 65, 200])
def test_starting_at_a_duel_meets_what_playing_up_to_it_meets(start):
    env = gym.make("LinearDuel-v0", fresh=True, drift=0.01, horizon=1000)
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    for _ in range(start):
        observation = env.step([0, 1])[0]
    later = gym.make("LinearDuel-v0", fresh=True, drift=0.01, horizon=1000)
    begun, _ = later.reset(seed=1, options={"start": start})
    if start:
        assert np.array_equal(begun["features"], observation["features"])
    for _ in range(70):
        pair = rng.integers(32, size=2)
        assert env.unwrapped.regrets(pair) == later.unwrapped.regrets(pair)
        assert np.array_equal(env.step(pair)[1], later.step(pair)[1], equal_nan=True)


def test_verdicts_follow_the_matrix_and_a_self_duel_is_a_fair_coin():
    rows, duels = 50, 400
    env = gym.make_vec("MatrixDuel-v0", num_envs=rows, matrix="bt10", permute=False, horizon=duels + 1, identical="ask")
    for pair, p in (((0, 9), named_matrix("bt10")[0, 9]), ((9, 0), named_matrix("bt10")[9, 0]), ((4, 4), 0.5)):
        env.reset(seed=0)
        wins = sum(env.step(np.tile(pair, (rows, 1)))[1].sum() for _ in range(duels))
        assert binomtest(int(wins), rows * duels, p).pvalue > 1e-4


def test_regrets_are_those_of_the_matrix():
    matrix = named_matrix("arxiv6")
    env = gym.make("MatrixDuel-v0", matrix="arxiv6", permute=False)
    env.reset(seed=0)
    for i in range(6):
        for j in range(6):
            regrets = env.unwrapped.regrets([i, j])
            gaps = matrix[0] - 0.5
            assert regrets["average"] == pytest.approx((gaps[i] + gaps[j]) / 2)
            assert regrets["weak"] == pytest.approx(min(gaps[i], gaps[j]))
            assert regrets["strong"] == pytest.approx(max(gaps[i], gaps[j]))
            assert regrets["probability"] == pytest.approx(matrix[0, i] + matrix[0, j] - 1)
            assert all(value >= -1e-12 for value in regrets.values())


def test_without_a_condorcet_winner_only_the_kinds_that_exist_are_given():
    env = gym.make("MatrixDuel-v0", matrix="hudry13")
    env.reset(seed=0)
    assert set(env.unwrapped.regrets([0, 1])) == {"copeland", "borda", "von_neumann"}


def test_a_row_without_a_condorcet_winner_has_no_regret_against_one_whatever_is_beside_it():
    """Two rows of one problem: a Condorcet winner, and none."""

    class Mixed(Family):
        arms, name = 3, "mixed"

        def __init__(self):
            cycle = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
            self.matrices = [np.array([[0.5, 0.7, 0.8], [0.3, 0.5, 0.6], [0.2, 0.4, 0.5]]), cycle]

        def draw(self, rng):
            return Instance(self.matrices.pop(0))

    problem = FixedArms(Mixed())
    problem.make_room(2)
    for row in (0, 1):
        problem.begin(row, np.random.default_rng(0), row)
    found = problem.regrets(np.array([0, 1]), np.array([1, 1]), np.array([2, 2]))
    assert found["probability"][0] == pytest.approx(0.7 + 0.8 - 1.0)
    for kind in ("average", "weak", "strong", "probability"):
        assert np.isfinite(found[kind][0]) and np.isnan(found[kind][1]), kind
    assert np.isfinite(found["copeland"]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_permuting_the_arms_only_relabels_them(seed):
    plain, moved = (gym.make("MatrixDuel-v0", matrix="mslr5", permute=permute) for permute in (False, True))
    plain.reset(seed=seed)
    moved.reset(seed=seed)
    tables = [
        sorted(env.unwrapped.regrets([i, j])["average"] for i in range(5) for j in range(5)) for env in (plain, moved)
    ]
    assert tables[0] == pytest.approx(tables[1])


def test_the_c1_instances_are_those_of_the_reference():
    env = gym.make("LinearDuel-v0", design="hypercube", dim=5, arms=32, sparsity=2, norm=1.0)
    for k in range(10):
        observation, _ = env.reset(seed=k)
        noise = (np.random.default_rng(k + 1000).random((32, 5)) - 1) / 10
        arms = np.array([[1.0 if a >> j & 1 else -1.0 for j in range(5)] for a in range(32)]) + noise
        theta = np.random.default_rng(k + 1000).random(5)
        theta[2:] = 0
        theta /= np.linalg.norm(theta)
        assert np.allclose(observation["features"], arms, atol=1e-6)
        u = arms @ theta
        assert env.unwrapped.regrets([3, 17])["average"] == pytest.approx(u.max() - (u[3] + u[17]) / 2)


def test_hidden_coordinates_are_not_shown_but_matter():
    env = gym.make("LinearDuel-v0", dim=5, hidden=2)
    assert env.reset(seed=0)[0]["features"].shape == (32, 3)
    whole = gym.make("LinearDuel-v0", dim=5)
    whole.reset(seed=0)
    assert env.unwrapped.regrets([1, 2]) == whole.unwrapped.regrets([1, 2])


def test_theta_drifts_and_keeps_its_norm():
    env = gym.make("LinearDuel-v0", drift=0.05, horizon=600)
    observation, _ = env.reset(seed=0)
    regrets = [env.unwrapped.regrets([0, 1])["average"]]
    for _ in range(300):
        later = env.step([0, 1])[0]
        regrets.append(env.unwrapped.regrets([0, 1])["average"])
    assert np.array_equal(later["features"], observation["features"])
    assert len(set(regrets)) == 301
    stream = env.unwrapped.problem.streams[0]
    assert np.linalg.norm(stream._theta) == pytest.approx(4.0)


def test_position_bias_favours_the_first():
    rows, duels = 50, 400
    env = gym.make_vec(
        "MatrixDuel-v0", num_envs=rows, matrix="arxiv6", position_bias=0.4, horizon=duels + 1, identical="ask"
    )
    env.reset(seed=0)
    wins = sum(env.step(np.full((rows, 2), 2))[1].sum() for _ in range(duels))
    assert binomtest(int(wins), rows * duels, 0.7).pvalue > 1e-4


def test_an_adversary_names_the_worse_arm_first():
    env = gym.make("MatrixDuel-v0", matrix="bt10", permute=False, corrupted=25, horizon=100)
    env.reset(seed=0)
    assert [env.step([0, 9])[1] for _ in range(25)] == [0.0] * 25
    assert np.mean([env.step([0, 9])[1] for _ in range(60)]) > 0.7


def test_delayed_answers_come_once_each_and_at_their_time():
    plain = gym.make("MatrixDuel-v0", matrix="bt10", horizon=200)
    late = gym.make("MatrixDuel-v0", matrix="bt10", horizon=200, delay=7).unwrapped  # NaN: no answer yet
    plain.reset(seed=2)
    late.reset(seed=2)
    rewards, answers = [], []
    for t in range(100):
        pair = [t % 10, (t + 3) % 10]
        rewards.append(plain.step(pair)[1])
        _, reward, _, _, info = late.step(pair)
        assert np.isnan(reward) and info["verdict"] == "pending"
        assert [duel for duel, _ in info["answers"]] == ([t - 7] if t >= 7 else [])
        answers += info["answers"]
    assert [reward for _, reward in answers] == rewards[:93]


@pytest.mark.parametrize("rows", [1, 5])
def test_random_delays_lose_no_answer_and_repeat_none(rows):
    env = gym.make_vec("MatrixDuel-v0", num_envs=rows, matrix="bt10", horizon=500, delay=10, delay_spread=8)
    plain = gym.make_vec("MatrixDuel-v0", num_envs=rows, matrix="bt10", horizon=500)
    env.reset(seed=2)
    plain.reset(seed=2)
    got = [[] for _ in range(rows)]
    truth = []
    for t in range(300):
        actions = np.tile([t % 10, (t + 3) % 10], (rows, 1))
        truth.append(plain.step(actions)[1])
        info = env.step(actions)[4]
        for row in range(rows):
            assert all(duel <= t for duel, _ in info["answers"][row])
            got[row] += info["answers"][row]
    for row in range(rows):
        numbers = [duel for duel, _ in got[row]]
        assert len(numbers) == len(set(numbers))
        assert set(range(240)) <= set(numbers)
        assert all(reward == truth[duel][row] for duel, reward in got[row])


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"matrix": [[0.5, 0.6, 0.7], [0.4, 0.5, 0.6]]}, "square"),
        ({"matrix": [[0.5, 0.6], [0.5, 0.5]]}, "0.6"),
        ({"matrix": [[0.5, float("nan")], [0.4, 0.5]]}, "(?i)nan"),
        ({"matrix": [[0.5, 1.2], [-0.2, 0.5]]}, "1.2"),
        ({"matrix": [[0.5, 0.6], [0.4]]}, "square"),
        ({"matrix": "arxiv7"}, "arxiv6"),
        ({"matrix": "nowhere.csv"}, "nowhere.csv"),
        ({"matrix": "bt", "options": {"scales": 2}}, "scales"),
        ({"matrix": "arxiv6", "options": {"scale": 2}}, "options"),
        ({"position_bias": 1.0}, "position_bias"),
        ({"delay": -1}, "delay"),
        ({"corrupted": -1}, "corrupted"),
    ],
)
def test_a_bad_problem_gets_one_clear_error(kwargs, words):
    with pytest.raises(ValueError, match=words):
        gym.make("MatrixDuel-v0", **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"design": "ball"}, "sphere"),
        ({"design": "hypercube", "dim": 4}, "16 arms"),
        ({"link": "cauchy"}, "bradley-terry"),
        ({"sparsity": 9}, "sparsity"),
        ({"hidden": 5}, "hidden"),
        ({"arms": 1}, "2 arms"),
        ({"drift": -1.0}, "drift"),
        ({"fresh": True, "heldout": 0}, "heldout"),
    ],
)
def test_a_bad_linear_problem_gets_one_clear_error(kwargs, words):
    with pytest.raises(ValueError, match=words):
        gym.make("LinearDuel-v0", **kwargs)


@pytest.mark.parametrize("action", [[0, 6], [-1, 2], [0, 1, 2], [0.5, 1], "ab", [[0], [1, 2]], None])
def test_a_bad_action_uses_up_no_label(action):
    env = gym.make("MatrixDuel-v0", matrix="arxiv6", disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="no label was used"):
        env.unwrapped.step(action)
    assert env.unwrapped.engine.labels[0] == 0


def test_negative_regret_is_minus_the_regret_and_says_so():
    env = NegativeRegret(gym.make("MatrixDuel-v0", matrix="arxiv6"), "weak")
    env.reset(seed=0)
    expected = env.unwrapped.regrets([1, 4])["weak"]
    _, reward, _, _, info = env.step([1, 4])
    assert reward == -expected and info["privileged"] is True
    with pytest.raises(ValueError, match="copeland"):
        bad = NegativeRegret(gym.make("MatrixDuel-v0", matrix="hudry13"))
        bad.reset(seed=0)
        bad.step([0, 1])
    with pytest.raises(TypeError, match="numeric families"):
        NegativeRegret(gym.make("LLMDuelPool-v0"))


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("LinearDuel-v0", {"link": "thurstone"}),
        ("KernelDuel-v0", {"link": "thurstone"}),
        ("NeuralDuel-v0", {"fresh": False, "link": "thurstone"}),
        ("HeadlineDuel-v0", {}),
        ("LinearDuel-v0", {}),
    ],
)
def test_the_truth_of_fixed_arms_has_the_link_of_their_preferences(env_id, kwargs):
    """P(arm beats the uniform reference) is a row's mean of the preference matrix, whatever the link."""
    env = gym.make_vec(env_id, num_envs=3, **kwargs)
    env.reset(seed=[4, 5, 6])
    problem = env.unwrapped.problem
    truth = env.unwrapped.truth(np.arange(3), np.array([0, 1, 2]))
    for row in range(3):
        assert truth.win_probability()[row] == pytest.approx(problem.instances[row].preferences[row].mean())
