"""Time a step of duelbench's ``online`` or ``sea`` agent on one model folder.

    python -m duelbench.experiments.speed.ours --model DIR [--agent sea --candidates 20]

It is the product's own path: the policy, the agent and the learner of ``duelbench run``, and no stripped loop. Only
end-of-sequence tokens are ignored, so that every response has its full length. The last line of standard output is the
record, as JSON.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch

from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.agents.alignment.online import Online
from duelbench.agents.alignment.sea import SEA, SEAConfig
from duelbench.experiments.speed import work
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.posteriors.registry import choose_posterior

#: Pairs that the reward model knows before the first step: a minibatch of the paper's ensemble.
_PAIRS = 128


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = work.parser(__doc__ or "")
    parser.add_argument("--agent", choices=["online", "sea"], default="online")
    parser.add_argument("--candidates", type=int, default=20, help="M of sea")
    parser.add_argument("--posterior", default="evidence", help="reward model of sea; the paper's is ensemble")
    parser.add_argument("--real-share", type=float, default=1.0, help="share of sea's duels that the oracle labels")
    parser.add_argument("--dtype", default="auto", help="of matrix products: auto, float32 or bfloat16")
    return parser.parse_args()


def make_agent(options: argparse.Namespace) -> LearningAgent:
    """The agent as a run would build it."""
    policy = CausalLMPolicy(
        options.model,
        max_new_tokens=options.new_tokens,
        temperature=options.temperature,
        dtype=options.dtype,
        device=options.device,
        prompt_template="{prompt}",
        features="lm" if options.agent == "sea" else "none",
        sampler="vllm" if options.vllm else "own",
    )
    ignore_ends(policy)
    setup = Setup(
        policy=policy,
        learner=PreferenceLearner(policy, LearnerConfig(learning_rate=options.learning_rate)),
        rng=np.random.default_rng(options.seed),
        evaluation_rng=partial(np.random.default_rng, options.seed),
        labels=options.batch * (options.warm + options.steps),
        batch=options.batch,
    )
    if options.agent == "online":
        return Online(setup)
    posterior = choose_posterior(options.posterior)
    return SEA(setup, SEAConfig(candidates=options.candidates, real_share=options.real_share, posterior=posterior))


def ignore_ends(policy: CausalLMPolicy) -> None:
    """No token ends a response any more, so that every one has its full length."""
    nothing = torch.tensor([], dtype=torch.int64)
    policy._tokens.end = nothing
    policy.sampler._end = nothing  # type: ignore[attr-defined] # both samplers have one


def fill_posterior(agent: SEA, batch: list[str]) -> None:
    """Give the reward models a full minibatch of pairs, so that they learn from the first measured step on."""
    drawn = agent.policy.sample({"prompt": batch}, 2, np.random.default_rng(0))
    agent.posterior.rewards(drawn.features)
    chosen, rejected = (np.tile(drawn.features[:, column], (_PAIRS // len(batch) + 1, 1)) for column in (0, 1))
    agent.posterior.update(chosen, rejected, len(chosen))


def watch(agent: LearningAgent, clock: work.Clock) -> None:
    """Split a step into parts; what is left of ``update`` is the backward pass with its clipping."""
    policy, learner = agent.policy, agent.learner
    assert isinstance(policy, CausalLMPolicy)
    clock.wrap(policy, "sample", "generate")
    clock.wrap(policy._reference, "score", "ref_forward")
    clock.wrap(policy, "log_probs", "policy_forward")
    clock.wrap(learner._optimizer, "step", "optimizer")
    if isinstance(agent, SEA):
        clock.wrap(agent.posterior, "rewards", "posterior")
        clock.wrap(agent.posterior, "update", "posterior")


def main() -> None:
    """Run the steps and print the record."""
    options = arguments()
    torch.set_num_threads(options.threads)
    agent, clock = make_agent(options), work.Clock(options.device)
    policy = agent.policy
    assert isinstance(policy, CausalLMPolicy)
    total = options.warm + options.steps
    texts = work.prompts(policy.tokenizer, options.batch * total, options.prompt_len, options.seed)
    if isinstance(agent, SEA):
        fill_posterior(agent, texts[: options.batch])
    watch(agent, clock)
    labels, generated = [], policy.generated_tokens
    for step in range(total):
        observation = {"prompt": texts[step * options.batch : (step + 1) * options.batch]}
        clock.next_step()
        with clock.part("other"):
            pair = agent.propose(observation)
        with clock.part("reward"):
            wins = map(work.prefers_first, pair.first.actions, pair.second.actions)
            feedback = np.where(pair.ask, np.fromiter(wins, np.float64), np.nan)
        with clock.part("policy_backward"):
            agent.update(observation, pair, feedback)
        labels.append(int(pair.ask.sum()))
    work.print_record(
        clock.steps[options.warm :],
        options.device,
        contender=f"duelbench-{options.agent}{'-vllm' * options.vllm}",
        labels=labels[options.warm :],
        tokens_per_step=(policy.generated_tokens - generated) / total,
        dtype=options.dtype,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
