"""Posterior-sampling and kernel agents against step-by-step references that go through the whole history by loops."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from contextual_world import World, setup_of, sigmoid

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.arms.contextual.langevin_ts import FGTSCDB, FGTSCDBConfig, LangevinTS, LangevinTSConfig
from duelbench.agents.arms.contextual.laplace_ts import LaplaceTS, LaplaceTSConfig
from duelbench.agents.arms.contextual.maxminlcb import MaxMinLCB, MaxMinLCBConfig, eigenfeatures, square_distances
from duelbench.agents.registry import make_agent

NAMES = ("laplace_ts", "langevin_ts", "fgts_cdb", "maxminlcb", "neural_ts")
both_designs = pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "fresh"])


def likelihood_gradient(theta, duels, ridge, eta):
    total = ridge * theta
    for context, i, j, won in duels:
        z = context[i] - context[j]
        total = total + eta * (sigmoid(z @ theta) - won) * z
    return total


def laplace(duels, dim, ridge):
    """Mode and covariance by Newton's method on all duels."""
    theta = np.zeros(dim)
    for _ in range(100):
        hessian = ridge * np.eye(dim)
        for context, i, j, _ in duels:
            z = context[i] - context[j]
            p = sigmoid(z @ theta)
            hessian += p * (1 - p) * np.outer(z, z)
        step = np.linalg.solve(hessian, likelihood_gradient(theta, duels, ridge, 1.0))
        theta = theta - step
        if np.abs(step).max() < 1e-10:
            break
    return theta, np.linalg.inv(hessian)


@both_designs
@pytest.mark.parametrize("seed", [0, 1])
def test_laplace_ts_plays_what_the_reference_draws(fixed, seed):
    dim, spread = 3, 1.5
    agent = LaplaceTS(setup_of(1, 6, dim, seed, fixed), LaplaceTSConfig(ridge=0.7, spread=spread))
    world, rng = World(1, 6, dim, fixed, seed), np.random.default_rng(seed)
    agreed = []
    for t in range(200):
        observation = world.observe()
        pair = agent.propose(observation)
        noise = rng.standard_normal((1, 2, dim))[0]
        if t % 4 == 0:  # the reference is slow
            mode, covariance = laplace(world.duels(), dim, 0.7)
            root = np.linalg.cholesky(covariance)
            for side in range(2):
                values = observation["features"][0].astype(float) @ (mode + spread * root @ noise[side])
                lag = values.max() - values[pair[side][0]]
                assert lag < 0.03  # the agent's fits stop at a small tolerance
                agreed.append(lag == 0)
        agent.update(observation, *pair, world.answer(*pair))
    assert np.mean(agreed) > 0.97


@pytest.mark.parametrize("mu", [0.0, 0.05])
def test_langevin_chains_step_as_the_reference_over_all_duels(mu):
    dim, eta, ridge, step = 3, 1.3, 0.8, 0.2
    options = {"ridge": ridge, "eta": eta, "steps": 4, "step_size": step}
    config = FGTSCDBConfig(mu=mu, **options) if mu else LangevinTSConfig(**options)
    agent = (FGTSCDB if mu else LangevinTS)(setup_of(1, 6, dim, 3), config)
    world, rng = World(1, 6, dim, True, 3), np.random.default_rng(3)
    chains = rng.standard_normal((1, 2, dim))[0] / np.sqrt(ridge)
    for _ in range(200):
        observation = world.observe()
        pair = agent.propose(observation)
        covariance = agent.model.inverse_hessian[0]
        root, noise = np.linalg.cholesky(covariance), rng.standard_normal((4, 1, 2, dim))[:, 0]
        duels = world.duels()
        for kick in noise:
            moved = []
            for j in range(2):
                gradient = likelihood_gradient(chains[j], duels, ridge, eta)
                for context, *arms, _ in duels if mu else []:
                    promised = context[np.argmax(context @ chains[j])]
                    gradient = gradient - mu * (promised - context[arms[1 - j]])
                moved.append(chains[j] - step * covariance @ gradient + np.sqrt(2 * step - step**2) * root @ kick[j])
            chains = np.stack(moved)
        values = observation["features"][0].astype(float) @ chains.T
        assert pair[0][0] == values[:, 0].argmax() and pair[1][0] == values[:, 1].argmax()
        np.testing.assert_allclose(agent.chains[0], chains, atol=1e-8)
        agent.update(observation, *pair, world.answer(*pair))
    assert 2 * np.abs(laplace(world.duels(), dim, ridge)[0] - agent.theta[0]).max() < 1.0  # η ≠ 1: another mode


def played(name, rounds, rows=1, arms=6, dim=3, fixed=False, seed=5, **options):
    """An agent after some rounds, and its world."""
    agent = make_agent(name, setup_of(rows, arms, dim, seed, fixed), options, arms=True)
    world = World(rows, arms, dim, fixed, seed)
    for _ in range(rounds):
        observation = world.observe()
        pair = agent.propose(observation)
        agent.update(observation, *pair, world.answer(*pair))
    return agent, world


@pytest.mark.parametrize("mu", [0.0, 0.3])
def test_stochastic_gradients_are_those_of_all_duels_on_average(mu):
    name = "fgts_cdb" if mu else "langevin_ts"
    extra = {"mu": mu, "context_batch": 8} if mu else {}
    agent, world = played(name, 60, minibatch=8, ridge=0.8, **extra)
    agent.chains = agent.chains + 0.5
    estimates = []
    for _ in range(6000):
        if mu:
            agent._draw_contexts()
        estimates.append(agent.gradient()[0])
    mean, error = np.mean(estimates, 0), np.std(estimates, 0) / np.sqrt(len(estimates))
    for j in range(2):
        theta = agent.chains[0, j]
        exact = likelihood_gradient(theta, world.duels(), 0.8, 1.0)
        for context, *arms, _ in world.duels():
            exact = exact - mu * (context[np.argmax(context @ theta)] - context[arms[1 - j]])
        assert (np.abs(mean[j] - exact) < 4.5 * error[j] + 0.02).all()
    assert error.max() < 0.2


def test_contexts_kept_are_a_uniform_sample_of_all():
    rows, rounds = 300, 40
    setup = setup_of(rows, 3, 1, 0, False)
    agent = FGTSCDB(setup, FGTSCDBConfig(contexts=10))
    zeros = np.zeros(rows, np.int64)
    for t in range(rounds):
        agent.update({"features": np.full((rows, 3, 1), t, np.float32)}, zeros, zeros + 1, np.ones(rows))
    kept = agent._kept[..., 0, 0]
    assert all(len(set(row.tolist())) == 10 for row in kept)
    counts = np.bincount(kept.astype(int).reshape(-1), minlength=rounds)
    expected = rows * 10 / rounds
    assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected)).all()


@both_designs
def test_langevin_chains_sample_the_posterior_itself(fixed):
    """Few duels, all won: the posterior is skewed, its mean well away from its mode."""
    rows, dim = 600, 2
    agent = LangevinTS(setup_of(rows, 3, dim, 0, fixed), LangevinTSConfig(ridge=0.3, minibatch=6))
    features = np.tile(np.array([[1.5, 0.2], [0, 0], [0.3, -2.0]], np.float32), (rows, 1, 1))
    duels = [(features[0].astype(float), i, j, 1.0) for i, j in ((0, 1), (0, 1), (2, 1), (0, 1), (0, 2), (0, 1))]
    for _, i, j, won in duels:
        agent.update({"features": features}, np.full(rows, i), np.full(rows, j), np.full(rows, won))
    for _ in range(12):
        agent.propose({"features": features})
    grid = np.stack(np.meshgrid(*[np.linspace(-8, 12, 400)] * 2), -1).reshape(-1, 2)
    logs = -0.15 * (grid**2).sum(-1)
    for context, i, j, _ in duels:
        logs -= np.log1p(np.exp(-grid @ (context[i] - context[j])))
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = weights @ grid
    sd = np.sqrt(weights @ (grid - mean) ** 2)
    mode = agent.theta[0]
    assert (np.abs(mode - mean) / sd).max() > 0.15  # else Laplace would do
    samples = agent.chains.reshape(-1, dim)
    assert (np.abs(samples.mean(0) - mean) < 0.12 * sd).all()
    np.testing.assert_allclose(samples.std(0), sd, rtol=0.12)


def kernel_reference(points, duels, length, ridge):
    """f̂ on the arms by Newton in function space, and σ² by the dual formula on all duels."""
    distances = [[((x - y) ** 2).sum() for y in points] for x in points]
    kernel = np.exp(-0.5 * np.array(distances) / length**2) + 1e-10 * np.eye(len(points))
    f, prior = np.zeros(len(points)), ridge * np.linalg.inv(kernel)
    for _ in range(50):
        gradient, hessian = prior @ f, prior.copy()
        for _, i, j, won in duels:
            e = np.zeros(len(points))
            e[i] += 1
            e[j] -= 1
            p = sigmoid(f[i] - f[j])
            gradient = gradient + (p - won) * e
            hessian += p * (1 - p) * np.outer(e, e)
        step = np.linalg.solve(hessian, gradient)
        f = f - step
        if np.abs(step).max() < 1e-10:
            break

    def pair_kernel(a, b):
        return kernel[a[0], b[0]] + kernel[a[1], b[1]] - kernel[a[0], b[1]] - kernel[a[1], b[0]]

    seen = [(i, j) for _, i, j, _ in duels]
    gram = np.array([[pair_kernel(a, b) for b in seen] for a in seen]).reshape(len(seen), len(seen))
    inverse = np.linalg.inv(gram + ridge * np.eye(len(seen)))
    arms = range(len(points))
    cross = np.array([[[pair_kernel((i, j), b) for b in seen] for j in arms] for i in arms]).reshape(
        len(arms), len(arms), -1
    )
    own = np.array([[pair_kernel((i, j), (i, j)) for j in arms] for i in arms])
    return f, np.maximum(own - np.einsum("ijs,st,ijt->ij", cross, inverse, cross), 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_maxminlcb_plays_the_game_of_the_dual_reference(seed):
    length, ridge, width = 0.7, 0.4, 0.6
    agent = MaxMinLCB(setup_of(1, 5, 2, seed), MaxMinLCBConfig(width=width, ridge=ridge, length=length))
    world = World(1, 5, 2, True, seed)
    points = world.features[0].astype(float)
    for t in range(250):
        observation = world.observe()
        (first,), (second,) = agent.propose(observation)
        if t < 40 or t % 30 == 0:
            f, variance = kernel_reference(points, world.duels(), length, ridge)
            lower = sigmoid(f[:, None] - f) - width * np.sqrt(variance)
            loose = 1e-5 + (0.004 if t else 0)
            assert lower[first].min() >= lower.min(-1).max() - loose
            assert lower[first, second] <= lower[first].min() + loose
            np.testing.assert_allclose(np.diff(agent.scores(observation)[0]), np.diff(f), atol=0.02)
        pair = np.array([first]), np.array([second])
        agent.update(observation, *pair, world.answer(*pair))


def test_kernel_features():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 7, 2))
    distances = square_distances(x)
    assert distances[1, 2, 5] == pytest.approx(((x[1, 2] - x[1, 5]) ** 2).sum())
    kernel = np.exp(-0.5 * distances / 0.6**2)
    phi = eigenfeatures(kernel, 7)
    np.testing.assert_allclose(phi @ phi.transpose(0, 2, 1), kernel, atol=1e-8)
    assert np.abs(eigenfeatures(kernel, 4) @ eigenfeatures(kernel, 4).transpose(0, 2, 1) - kernel).max() < 0.3
    fresh = MaxMinLCB(setup_of(2, 7, 2, fixed=False), MaxMinLCBConfig(length=0.6, features=1600))
    phi = fresh.embed({"features": x})
    assert phi.shape == (2, 7, 1600)
    np.testing.assert_allclose(phi @ phi.transpose(0, 2, 1), kernel, atol=0.16)


def test_the_default_length_is_the_distance_to_the_nearest_neighbour():
    agent = MaxMinLCB(setup_of(1, 4, 1))
    phi = agent.embed({"features": np.array([[[0.0], [1.0], [3.0], [10.0]]])})
    length = (1 + 1 + 2 + 7) / 4
    assert phi[0, 1] @ phi[0, 2] == pytest.approx(np.exp(-0.5 * (2 / length) ** 2), abs=1e-9)


def test_a_linear_kernel_is_linear_logistic_regression():
    agent, world = played("maxminlcb", 60, fixed=True, kernel="linear", ridge=0.5)
    mode, _ = laplace(world.duels(), 3, 0.5)
    values = world.features[0].astype(float) @ mode
    np.testing.assert_allclose(agent.scores(world.observe())[0], values, atol=0.02)


def options_of(name):
    return (
        {f"ensemble.{k}": v for k, v in {"members": 3, "hidden": 8, "min_pairs": 2}.items()}
        if name == "neural_ts"
        else {}
    )


def knowledge(agent, observation, row):
    """All that a row knows."""
    parts = [agent.scores(observation)[row]]
    for holder in (agent, getattr(agent, "model", agent)):
        for name, value in vars(holder).items():
            by_row = isinstance(value, np.ndarray) and value.ndim and len(value) == len(agent.every_row)
            if by_row and name not in ("every_row", "_all", "_contexts"):
                parts.append(value[row])
    if hasattr(agent, "posterior"):
        k = agent.posterior.config.members
        tensors = [agent.posterior._flat, agent.posterior._mean, agent.posterior._square]
        parts += [t[row * k : (row + 1) * k].detach().numpy() for t in tensors]
        parts += [
            agent.posterior.labels[row],
            agent.posterior._pairs[row, :, : agent.posterior.labels[row]],
            agent.posterior._steps[row],
        ]
    return [np.array(part) for part in parts]


@both_designs
@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_an_answer_stays_as_it_was(name, fixed):
    agent, world = played(name, 30, rows=3, fixed=fixed, **options_of(name))
    observation = world.observe()
    agent.propose(observation)
    before = knowledge(agent, observation, 1)
    firsts, seconds = np.array([0, 1, 2]), np.array([3, 4, 5])
    agent.update(observation, firsts, seconds, np.array([1.0, np.nan, 0.0]))
    other = knowledge(agent, observation, 0)
    assert all(np.array_equal(a, b) for a, b in zip(before, knowledge(agent, observation, 1), strict=True))
    agent.update(observation, firsts, seconds, np.array([1.0, np.nan, 0.0]))
    assert not all(np.array_equal(a, b) for a, b in zip(other, knowledge(agent, observation, 0), strict=True))


@both_designs
@pytest.mark.parametrize("name", NAMES)
def test_rows_do_not_learn_from_each_other(name, fixed):
    proposals = []
    for turned in (False, True):
        world = World(3, 6, 3, fixed, 4)
        agent = make_agent(name, setup_of(3, 6, 3, 1, fixed), options_of(name), arms=True)
        rng, seen = np.random.default_rng(2), []
        for _ in range(40):
            observation = world.observe()
            seen.append((*agent.propose(observation), agent.scores(observation)))
            firsts, seconds = rng.integers(6, size=3), rng.integers(6, size=3)
            feedback = rng.integers(2, size=3).astype(float)
            agent.update(observation, firsts, seconds, np.where([turned, False, False], 1 - feedback, feedback))
        proposals.append(seen)
    rest = [1, 2]
    for one, two in zip(*proposals, strict=True):
        assert all(np.array_equal(a[rest], b[rest]) for a, b in zip(one, two, strict=True))
    assert any(not np.array_equal(one[2][0], two[2][0]) for one, two in zip(*proposals, strict=True))


CASES = [
    ("laplace_ts", "LinearDuel-v0", {"arms": 16, "fresh": True}, 0.35),
    ("langevin_ts", "LinearDuel-v0", {"arms": 16, "fresh": True}, 0.35),
    ("fgts_cdb", "LinearDuel-v0", {"arms": 16, "fresh": True}, 0.35),
    ("laplace_ts", "LinearDuel-v0", {"arms": 16}, 0.35),
    ("langevin_ts", "LinearDuel-v0", {"arms": 16}, 0.35),
    ("fgts_cdb", "LinearDuel-v0", {"arms": 16}, 0.35),
    ("maxminlcb", "KernelDuel-v0", {"function": "ackley", "grid": 5}, 0.35),
    ("maxminlcb", "NeuralDuel-v0", {"dim": 3}, 0.5),
    ("neural_ts", "KernelDuel-v0", {"function": "matyas", "grid": 5}, 0.6),
    ("neural_ts", "NeuralDuel-v0", {"dim": 3}, 0.5),
]


@pytest.mark.parametrize(("name", "env_id", "kwargs", "share"), CASES)
def test_regret_is_far_below_that_of_uniform_pairs(name, env_id, kwargs, share):
    rows, labels = 10, 300
    total = {}
    for who in (name, "uniform"):
        env = gym.make_vec(env_id, num_envs=rows, horizon=labels + 1, **kwargs).unwrapped
        env.reset(seed=list(range(2000, 2000 + rows)))
        problem = env.problem
        setup = setup_of(rows, problem.arms, problem.dim, 0, problem.fixed_features, labels)
        agent = make_agent(
            who, setup, options_of(who) | ({} if who != "neural_ts" else {"ensemble.hidden": 32}), arms=True
        )
        total[who] = 0.0
        for _ in range(labels):
            observation = problem.observe(env.engine.prompt_ids)
            pair = agent.propose(observation)
            total[who] += env.regrets(np.stack(pair, -1))["average"].mean()
            agent.update(observation, *pair, env.duel(*pair))
    assert total[name] < share * total["uniform"]


@pytest.mark.parametrize("name", NAMES)
def test_answers_may_come_late(name):
    agent = make_agent(name, setup_of(2, 6, 3, 0, False), options_of(name), arms=True)
    world, late = World(2, 6, 3, False), []
    for _ in range(30):
        observation = world.observe()
        pair = agent.propose(observation)
        late.append((observation, *pair, world.answer(*pair)))
        if len(late) > 5:
            agent.update(*late.pop(0))
    assert np.isfinite(agent.scores(observation)).all()
