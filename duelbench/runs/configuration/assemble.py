"""From a run specification to the objects that play it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from duelbench.agents import registry
from duelbench.assets.model_source import resolve_model
from duelbench.envs import resolve_env
from duelbench.envs.duel.env import DuelVectorEnv
from duelbench.envs.duel.problem import Demonstrates
from duelbench.protocols import Agent, Policy
from duelbench.records.spec import RUN_SETS, RunSpec
from duelbench.runs.configuration.checks import check_before_labels
from duelbench.streams import Streams

if TYPE_CHECKING:
    from duelbench.learning.learner import PreferenceLearner


@dataclass(frozen=True)
class Parts:
    """What the run loop needs: a vector environment, the agent, its policy and who trains it, and the rows' seeds."""

    env: DuelVectorEnv
    agent: Agent
    policy: Policy
    learner: PreferenceLearner
    seeds: list[int]


def assemble(spec: RunSpec) -> Parts:
    """Build environment, policy, learner and agent from one seed's named streams.

    The environment's rows are seeded from a stream of their own, so agents compared under one seed meet the same
    prompts and the same noise in their common rows.
    """
    from duelbench.agents.alignment.base import Setup
    from duelbench.learning.learner import LearnerConfig, PreferenceLearner

    if own := sorted(set(RUN_SETS) & spec.env_kwargs.keys()):
        raise ValueError(f"the run itself sets {' and '.join(own)} of the environment; leave out of env_kwargs")
    streams = Streams(spec.seed)
    env = _make_env(spec, spec.batch)
    problem = env.problem
    found = registry.find_agent(spec.agent)
    policy = make_policy(spec, env.single_observation_space, streams, features=found.reads_features)
    setup = Setup(
        policy=policy,
        learner=PreferenceLearner(policy, LearnerConfig(**spec.learner)),
        rng=streams.generator("agent"),
        evaluation_rng=functools.partial(streams.generator, "evaluation"),
        labels=spec.labels,
        batch=spec.batch,
        demonstrate=problem.demonstrations if isinstance(problem, Demonstrates) else None,
    )
    agent = registry.make_agent(found, setup, spec.agent_options)
    rows = max(1, round(spec.batch * getattr(agent, "prompts_per_label", 1.0)))
    if rows != spec.batch:  # known only now: the agent wants the policy, and the policy the spaces
        env.close()
        env = _make_env(spec, rows)
    check_before_labels(env.problem, policy)
    return Parts(env, agent, policy, setup.learner, streams.integers("environment", rows))


def _make_env(spec: RunSpec, rows: int) -> DuelVectorEnv:
    env = gym.make_vec(
        resolve_env(spec.env), num_envs=rows, **{**spec.env_kwargs, "horizon": spec.labels + 1}
    ).unwrapped
    assert isinstance(env, DuelVectorEnv)
    return env


def make_policy(spec: RunSpec, observation_space: gym.Space[Any], streams: Streams, *, features: bool = True) -> Policy:
    """The policy that fits what is observed: a softmax over a pool's features, or a causal language model.

    Args:
        spec: what is run.
        observation_space: space of one row's observation.
        streams: the run's.
        features: whether anybody will look at the features of a language model's responses, which cost time.
    """
    options: dict[str, Any] = dict(spec.policy)
    spaces = getattr(observation_space, "spaces", {})
    if "features" in spaces:
        from duelbench.policies.pool import PoolPolicy

        return PoolPolicy(spaces["features"].shape[-1], streams.generator("policy"), **options)
    from duelbench.policies.causal_lm import CausalLMPolicy
    from duelbench.posteriors.encoders.registry import find_encoder, make_encoder

    named = options.pop("features", "lm")
    if encoded := named not in ("lm", "none"):
        find_encoder(named)  # a misspelt name is refused even where nobody reads what it would show
    seen = "none" if not features else make_encoder(named) if encoded else named
    return CausalLMPolicy(resolve_model(options.pop("model", "tiny")), features=seen, **options)
