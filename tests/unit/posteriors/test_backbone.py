"""The reward model that trains its backbone: what learns from what, and that it goes on as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import logsigmoid

from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.posteriors.backbone import BackboneConfig, BackbonePosterior
from duelbench.protocols import TextPosterior
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.types import Responses

pytestmark = pytest.mark.usefixtures("float32")

WORDS = ("fox", "rain", "line", "sad", "night")


def posterior(folder: Path, **options: Any) -> BackbonePosterior:
    small = {"particles": 5, "hidden": 4, "point_hidden": 8, "min_pairs": 2, "minibatch": 8, "steps": 2}
    config = BackboneConfig(encoder=f"preference:{folder}", **{**small, **options})
    return BackbonePosterior(0, np.random.default_rng(0), config)


def texts(seed: int, n: int) -> Responses:
    rng = np.random.default_rng(seed)
    actions = np.empty(n, dtype=object)
    actions[:] = [" ".join(rng.choice(WORDS, 4)) for _ in range(n)]
    zero: NDArray[Any] = np.zeros(n, np.float32)
    return Responses(
        prompts=tuple(f"write a {WORDS[i % 5]} line" for i in range(n)),
        actions=actions,
        log_probs=zero,
        reference_log_probs=zero,
        lengths=zero.astype(np.int64),
        features=np.zeros((n, 0), np.float32),
        context={},
        payload={},
    )


def ranked(seed: int, n: int) -> tuple[Responses, Responses]:
    """Pairs of which the one with more foxes is preferred."""
    a, b = texts(seed, n), texts(seed + 100, n)
    foxes = [np.array([text.count("fox") for text in side.actions]) for side in (a, b)]
    more = foxes[0] >= foxes[1]
    return Responses.where(more, a, b), Responses.where(more, b, a)


def test_it_reads_texts_of_any_shape(folder: Path) -> None:
    found = posterior(folder)
    assert isinstance(found, TextPosterior)
    flat = texts(0, 6)
    square = Responses(
        flat.prompts[:2],
        np.array(flat.actions[[0, 2, 4, 1, 3, 5]]).reshape(2, 3),
        *(getattr(flat, name)[:6].reshape(2, 3) for name in ("log_probs", "reference_log_probs", "lengths")),
        features=np.zeros((2, 3, 0), np.float32),
        context={},
        payload={},
    )
    rewards = found.rewards_of(square)
    assert rewards.shape == (5, 2, 3)
    alone = Responses(
        (flat.prompts[1],), square.actions[1:, 2], *(np.zeros(1) for _ in range(3)), np.zeros((1, 0)), {}, {}
    )
    assert np.allclose(found.rewards_of(alone)[:, 0], rewards[:, 1, 2], atol=1e-5)
    assert rewards.std(0).mean() > 0.1, "without labels the priors keep the particles apart"


def test_the_backbone_learns_from_the_point_head_alone(folder: Path) -> None:
    """Its gradient is that of mean −log σ(f⁺ − f⁻), which autograd is given here by itself."""
    found = posterior(folder)
    chosen, rejected = ranked(1, 8)
    found.rewards_of(texts(9, 20))
    pairs = list(zip(chosen.prompts, chosen.actions, rejected.actions, strict=True))
    sum(found._losses(pairs)).backward()  # type: ignore[union-attr]
    got = {name: p.grad.clone() for name, p in found._backbone.items() if p.grad is not None}
    w1, b1, w2, b2, w3, b3 = (w.detach()[0] for w in found._point)
    module, (centre, spread) = found.encoder.module, found._scale or (torch.zeros(()), torch.ones(()))

    def point(side: Responses) -> torch.Tensor:
        tokens = found.encoder.tokens(side.prompts, [[text] for text in side.actions])
        x = (module(tokens) - centre) / spread
        return (torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3).squeeze(-1)

    names = [name for name in found._backbone if name in got]
    loss = -logsigmoid(point(chosen) - point(rejected)).mean()
    want = torch.autograd.grad(loss, [found._backbone[name] for name in names])
    assert names
    for name, gradient in zip(names, want, strict=True):
        assert torch.allclose(got[name], gradient, rtol=1e-3, atol=1e-6), name
    assert any(gradient.abs().max() > 1e-4 for gradient in want)


def test_particles_learn_and_their_priors_do_not(folder: Path) -> None:
    found = posterior(folder, backbone_rate=0.0)
    before = found.state_dict()
    chosen, rejected = ranked(1, 16)
    found.rewards_of(chosen)
    found.learn_from(chosen, rejected, 16)
    after = found.state_dict()
    for name in ("priors", "backbone"):
        assert all(torch.equal(before[name][key], after[name][key]) for key in before[name]), name
    for name in ("point", "trained"):
        assert any(not torch.equal(before[name][key], after[name][key]) for key in before[name]), name


def test_training_the_backbone_explains_the_labels_better(folder: Path) -> None:
    """With as few steps a random backbone shows little of what is liked; one that is taught with it shows more."""
    chosen, rejected = ranked(1, 64)
    pairs = list(zip(chosen.prompts, chosen.actions, rejected.actions, strict=True))
    losses = {}
    for rate in (0.0, 1e-3):
        found = posterior(folder, backbone_rate=rate, minibatch=64, steps=15)
        found.rewards_of(texts(9, 40))
        found.learn_from(chosen, rejected, 64)
        losses[rate] = found._losses(pairs)[0].item()
    assert losses[1e-3] < 0.9 * losses[0.0]


def test_it_goes_on_as_it_was(folder: Path) -> None:
    one = posterior(folder)
    one.rewards_of(texts(9, 10))
    one.learn_from(*ranked(1, 16), 16)
    state = one.state_dict()
    other = posterior(folder)
    other.load_state_dict(state)
    for found in (one, other):
        found.learn_from(*ranked(3, 16), 32)
    assert np.array_equal(one.rewards_of(texts(9, 10)), other.rewards_of(texts(9, 10)))
    assert not np.array_equal(one.rewards_of(texts(9, 10)), _restored(folder, state).rewards_of(texts(9, 10)))


def _restored(folder: Path, state: dict[str, Any]) -> BackbonePosterior:
    found = posterior(folder)
    found.load_state_dict(state)
    return found


def test_low_rank_adapters_are_trained_in_place_of_the_weights(llama: Path) -> None:
    config = BackboneConfig(encoder=f"hf:{llama}", lora_rank=2, particles=3, hidden=4, min_pairs=2, steps=1)
    found = BackbonePosterior(0, np.random.default_rng(0), config)
    assert found._backbone and all("lora_" in name for name in found._backbone)
    chosen, rejected = ranked(1, 8)
    before = found.state_dict()["backbone"]
    found.rewards_of(chosen)
    found.learn_from(chosen, rejected, 8)
    after = found.state_dict()["backbone"]
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_an_encoder_that_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be trained"):
        BackbonePosterior(0, np.random.default_rng(0), BackboneConfig(encoder="knows_taste:reader"))


def test_a_pool_shows_no_texts(task_file: str, oracles: str) -> None:
    task = {"task": task_file, "oracle": f"{oracles}:Worth"}
    options = {"posterior": "backbone"}
    with pytest.raises(ValueError, match="reads texts"):
        assemble(RunSpec(env="LLMDuelPool-v0", agent="sea", seed=0, labels=8, env_kwargs=task, agent_options=options))


def test_agents_play_with_it_where_texts_are_written(folder: Path) -> None:
    options = {"posterior": "backbone", "posterior.encoder": f"preference:{folder}", "candidates": 4}
    small = {"posterior.particles": 4, "posterior.min_pairs": 2, "posterior.minibatch": 4, "posterior.steps": 1}
    spec = RunSpec(
        env="LLMDuel-v0",
        agent="ide",
        seed=0,
        labels=8,
        batch=4,
        policy={"model": "mini", "features": "none"},
        agent_options=options | small,
    )
    parts = assemble(spec)
    assert isinstance(parts.policy, CausalLMPolicy)
    observation, _ = parts.env.reset(seed=parts.seeds)
    agent: Any = parts.agent
    pair = agent.propose(observation)
    before = agent.posterior.rewards_of(pair.first)
    agent.update(observation, pair, np.where(pair.ask, 1.0, np.nan))
    assert agent.labels_seen == 4
    assert not np.array_equal(before, agent.posterior.rewards_of(pair.first))
