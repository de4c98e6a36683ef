"""The paper's card: what SEA's authors ran on TL;DR at three scales, as run specifications (arXiv 2411.01493, app. D).

Numbers that the paper leaves open are those of the authors' scripts; what one GPU asks for is in ``SCALES`` alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from duelbench.ranges import at_least
from duelbench.records.spec import Judging, RunSpec

DATA = "hub:trl-lib/tldr"
COLUMNS: dict[str, Any] = {
    "prompt": "prompt",
    "reference": "completion",
    "split": "train",
    "heldout_split": "test",
}
"""The reference responses are people's summaries, so win rates are the paper's absolute ones (figure 1, left)."""
ORACLE = "reward-model:Skywork/Skywork-Reward-Llama-3.1-8B"
BETAS = {"dpo": 0.1, "ipo": 0.2, "slic": 0.2}
"""β; for IPO the paper reports the best of 0.2, 0.3, 0.5 and 1.0."""
_WARM_UP = {"sea": 0.02, "sea-ee": 0.02}
_OTHER_WARM_UP = 0.03
_REAL_SHARE = 0.7
_ENSEMBLE: dict[str, Any] = {
    "posterior": "ensemble",
    "posterior.members": 20,
    "posterior.hidden": 128,
    "posterior.learning_rate": 1e-3,
    "posterior.weight_decay": 5e-5,
    "posterior.anchor": 0.5,
    "posterior.steps": 5,
    "posterior.minibatch": 128,
    "posterior.buffer": 50_000,
}
_SEA: dict[str, Any] = {"candidates": 20, "real_share": _REAL_SHARE, "burn_in": 0.02, **_ENSEMBLE}
OPTIONS: dict[str, dict[str, Any]] = {
    "offline": {},
    "online": {},
    "apl": {"oversample": 8.0},
    "xpo": {"alpha": 5e-6},
    "sea": _SEA,
    "sea-ee": _SEA,
}
"""Options by agent. Mixing begins after 2 % of the budget: 1,000 of 50,000 labels."""


@dataclass(frozen=True)
class Scale:
    """A language model and what it needs to fit one GPU beside the 8 B oracle.

    80 GB are meant, 141 GB for 2.8b; memory was counted, not measured.

    Attributes:
        model: the supervised start, which is also the frozen reference.
        micro_batch: pairs of one backward pass.
        checkpointing: recompute activations.
        vllm_share: of the GPU's memory for vLLM while it draws; between draws it sleeps.
        lora_rank: of adapters trained in place of the weights, 0 for all weights.
        learning_rate: of the policy.
    """

    model: str
    micro_batch: int
    checkpointing: bool
    vllm_share: float
    lora_rank: int = 0
    learning_rate: float = 5e-7


SCALES = {
    "1b": Scale("trl-lib/pythia-1b-deduped-tldr-sft", micro_batch=16, checkpointing=False, vllm_share=0.25),
    "2.8b": Scale("trl-lib/pythia-2.8b-deduped-tldr-sft", micro_batch=8, checkpointing=True, vllm_share=0.15),
    # All weights with AdamW are 110 GB; the paper spread them over eight GPUs. The adapters' step size is ten times
    # the paper's, as adapters commonly need, and is not tuned.
    "6.9b": Scale(
        "trl-lib/pythia-6.9b-deduped-tldr-sft",
        micro_batch=8,
        checkpointing=True,
        vllm_share=0.3,
        lora_rank=64,
        learning_rate=5e-6,
    ),
}


@dataclass(frozen=True)
class Setting:
    """What may differ from the card: where things lie, and how much of it is run.

    Attributes:
        model: the supervised start; None takes the scale's.
        task: prompts and references: a hub data set, a folder or a Parquet file with TL;DR's columns, or a task file.
        oracle: who answers.
        labels: budget.
        batch: labels a round.
        heldout: prompts that the deployed policy is judged on.
        evaluate_every: labels between judgements.
        sampler: who draws responses.
        dtype: of matrix products.
        threads: torch threads of the ensemble, which stays on the CPU.
    """

    model: str | None = None
    task: str = DATA
    oracle: str = ORACLE
    labels: int = 50_000
    batch: int = 128
    heldout: int = 1000
    evaluate_every: int = 2560
    sampler: str = "vllm"
    dtype: str = "bfloat16"
    threads: int = 8


def run_spec(scale: str, agent: str, seed: int, optimizer: str = "dpo", setting: Setting | None = None) -> RunSpec:
    """One run of the card.

    Raises:
        KeyError: the card has no such scale, agent or optimizer.
    """
    s, size = setting or Setting(), SCALES[scale]
    # One gradient step a round. Of SEA's rounds the oracle labels a part only, so it has more of them.
    share = Fraction(str(_REAL_SHARE)) if agent in _WARM_UP else 1
    rounds = math.ceil(s.labels / (s.batch * share))
    options = {"limit": s.labels, "heldout": s.heldout}
    return RunSpec(
        env="LLMDuel-v0",
        agent=agent,
        seed=seed,
        labels=s.labels,
        batch=s.batch,
        judging=Judging(every=s.evaluate_every, repeats=1),
        env_kwargs={
            "task": s.task,
            "task_options": (options | _columns(s.task)),
            "oracle": s.oracle,
            "feedback": "deterministic",
        },
        agent_options=OPTIONS[agent],
        learner={
            "loss": optimizer,
            "beta": BETAS[optimizer],
            "learning_rate": size.learning_rate,
            "adam_betas": [0.9, 0.95],
            "clip": 1.0,
            "micro_batch": size.micro_batch,
            "decay_steps": rounds,
            "warmup_steps": at_least(_WARM_UP.get(agent, _OTHER_WARM_UP), rounds),
        },
        policy={
            "model": s.model or size.model,
            "prompt_template": "{prompt}",
            "max_new_tokens": 53,
            "temperature": 0.7,
            "dtype": s.dtype,
            "sampler": s.sampler,
            "sampler_options": _sampler_options(s.sampler, size),
            "lora_rank": size.lora_rank,
            "checkpointing": size.checkpointing,
        },
        threads=s.threads,
    )


def _sampler_options(sampler: str, size: Scale) -> dict[str, Any]:
    return {"sleep": True, "gpu_memory_utilization": size.vllm_share} if sampler == "vllm" else {}


def _columns(task: str) -> dict[str, Any]:
    """TL;DR's columns and splits; one file has no splits, a task file no columns."""
    if task.endswith(".npz"):
        return {}
    if task.endswith(".parquet"):
        return {name: COLUMNS[name] for name in ("prompt", "reference")}
    return COLUMNS
