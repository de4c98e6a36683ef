"""Neural double TS and the ensembles of its rows, against single networks and loops."""

from __future__ import annotations

import copy

import numpy as np
import torch
from contextual_world import World, setup_of

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.arms.contextual.neural_ts import NeuralTS, NeuralTSConfig
from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior
from duelbench.posteriors.lockstep import LockstepEnsembles

SMALL = EnsembleConfig(members=3, hidden=5, min_pairs=2, minibatch=4, steps=2, learning_rate=0.01, anchor=0.7)


def test_one_row_begins_and_scores_as_an_ensemble_posterior():
    alone = EnsemblePosterior(4, np.random.default_rng(0), SMALL)
    row = LockstepEnsembles(1, 4, np.random.default_rng(0), SMALL)
    x = np.random.default_rng(1).standard_normal((9, 4), np.float32)
    np.testing.assert_allclose(row.rewards(x[None])[0], alone.rewards(x), atol=1e-6)
    members = np.array([[2, 0]])
    np.testing.assert_allclose(row.rewards(x[None], members)[0], alone.rewards(x)[[2, 0]], atol=1e-6)


def scalar_forward(weights, x):
    for weight, bias in zip(weights[0::2], weights[1::2], strict=True):
        x = x @ weight + bias
        if weight.shape[-1] != 1:
            x = torch.relu(x)
    return x[:, 0]


def test_ensembles_learn_row_by_row_as_single_networks_do():
    rows, dim = 3, 4
    ensembles = LockstepEnsembles(rows, dim, np.random.default_rng(0), SMALL)
    rng = np.random.default_rng(1)
    first_seen = rng.standard_normal((rows, 6, dim)).astype(np.float32) * 2 + 1
    ensembles.rewards(first_seen)
    pairs = [[] for _ in range(rows)]
    networks = [
        [[w[row * 3 + k].double().clone().requires_grad_() for w in ensembles._initial] for k in range(3)]
        for row in range(rows)
    ]
    beginnings = [[[w.detach().clone() for w in net] for net in row] for row in networks]
    adams = [torch.optim.Adam([w for net in row for w in net], lr=0.01, weight_decay=5e-5) for row in networks]
    stream = copy.deepcopy(ensembles._rng)
    for t in range(12):
        answered = np.flatnonzero(rng.random(rows) < 0.7) if t else np.arange(rows)
        chosen, rejected = rng.standard_normal((2, len(answered), dim)).astype(np.float32)
        ensembles.add(chosen, rejected, answered)
        learning = np.isin(np.arange(rows), answered)
        ensembles.learn(learning)
        for k, row in enumerate(answered):
            pairs[row].append((chosen[k], rejected[k]))
        ready = learning & (np.array([len(p) for p in pairs]) >= 2)
        for _ in range(SMALL.steps if ready.any() else 0):
            uniforms = stream.random((rows, 4))
            for row in np.flatnonzero(ready):
                centre, scale = first_seen[row].mean(0), first_seen[row].std(0) + 1e-6
                loss = torch.tensor(0.0, dtype=torch.double)
                n_parameters = sum(w.numel() for net in networks[row] for w in net)
                for net, initial in zip(networks[row], beginnings[row], strict=True):
                    for u in uniforms[row]:
                        better, worse = pairs[row][int(u * len(pairs[row]))]
                        two = torch.tensor((np.stack([better, worse]) - centre) / scale, dtype=torch.double)
                        scores = scalar_forward(net, two)
                        loss = loss + torch.log1p(torch.exp(scores[1] - scores[0])) / (4 * 3)
                    pull = sum(((w - w0) ** 2).sum() for w, w0 in zip(net, initial, strict=True))
                    loss = loss + 0.7 * 128 / len(pairs[row]) * pull / n_parameters
                adams[row].zero_grad()
                loss.backward()
                adams[row].step()
    errors = np.concatenate(
        [
            (w[row * 3 + k] - expected).abs().detach().numpy().reshape(-1)
            for row in range(rows)
            for k in range(3)
            for w, expected in zip(ensembles._weights, networks[row][k], strict=True)
        ]
    )
    # of a gradient that is nearly 0, Adam makes much of its rounding; each mistake tried gives ten times as much
    assert np.median(errors) < 1e-4 and np.quantile(errors, 0.95) < 5e-3
    moved = [float((w.detach() - w0).abs().max()) for w, w0 in zip(ensembles._weights, ensembles._initial, strict=True)]
    assert min(moved[:5]) > 0.05  # a difference of rewards does not depend on the last bias


def test_the_buffer_of_a_row_drops_its_oldest_pairs():
    config = EnsembleConfig(members=2, hidden=4, buffer=20)
    ensembles = LockstepEnsembles(2, 1, np.random.default_rng(0), config)
    for k in range(50):
        rows = np.array([0]) if k % 2 else np.array([0, 1])
        ensembles.add(np.full((len(rows), 1), k, np.float32), np.full((len(rows), 1), -k, np.float32), rows)
    assert sorted(ensembles._pairs[0, 0, :20, 0]) == list(range(30, 50))
    assert sorted(ensembles._pairs[1, 0, :20, 0]) == list(range(10, 50, 2))
    assert ensembles.labels.tolist() == [50, 25]


def test_neural_ts_plays_the_best_arms_of_two_random_members():
    agent = NeuralTS(setup_of(4, 6, 3, 8), NeuralTSConfig(ensemble=SMALL))
    world = World(4, 6, 3, False, 8)
    for _ in range(30):
        observation = world.observe()
        stream = copy.deepcopy(agent.rng)
        rewards = agent.posterior.rewards(observation["features"])
        pair = agent.propose(observation)
        members = stream.integers(3, size=(4, 2))
        random = stream.integers(6, size=(4, 2)) if (agent.posterior.labels < 2).any() else None
        for row in range(4):
            for side in range(2):
                known = agent.posterior.labels[row] >= 2
                assert pair[side][row] == (rewards[row, members[row, side]].argmax() if known else random[row, side])
        agent.update(observation, *pair, world.answer(*pair))
        assert np.array_equal(
            agent.respond(observation), agent.posterior.rewards(observation["features"]).mean(1).argmax(-1)
        )
