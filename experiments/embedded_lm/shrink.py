"""Distil a smaller model from the embedded one: sample its answers, then match its distribution at every token."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich import print
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, LlamaForCausalLM

from duelbench.envs.text.tasks import load_task
from duelbench.envs.text.tasks.grammar import prompts
from duelbench.experiments.embedded_lm.train import Args as Training
from duelbench.experiments.embedded_lm.train import Pairs, Rows, answer_logits, encode, fit, make_model, validate
from duelbench.policies.causal_lm import CausalLMPolicy

_AT_ONCE = 32  # prompts in one sampling call
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True)
class Args:
    """Options of the distillation.

    Attributes:
        out: Folder of the finished model.
        teacher: Folder of the model to imitate; its tokenizer and chat template are kept.
        n_prompts: Prompts of the "distil" split that are answered; the teacher itself has seen the first 4,736.
        answers: Sampled for each prompt.
        epochs: Passes over the answers.
        lr: Peak learning rate of AdamW.
        hidden: Width; heads have 32 dimensions.
        layers: Depth.
        valid_prompts: Every so many-th prompt is kept for validation.
        seed: Of the answers, the initial weights and the order of batches.
    """

    out: Path
    teacher: Path = Path("duelbench/assets/models/tiny")
    n_prompts: int = 4736
    answers: int = 8
    epochs: int = 3
    lr: float = 4e-3
    hidden: int = 128
    layers: int = 3
    valid_prompts: int = 40
    seed: int = 0


def ask(policy: CausalLMPolicy, asked: list[str], answers: int, rng: np.random.Generator) -> Pairs:
    """Return the distinct finished answers that the policy samples to each prompt."""
    pairs: Pairs = []
    for start in range(0, len(asked), _AT_ONCE):
        chunk = tuple(asked[start : start + _AT_ONCE])
        drawn = policy.sample({"prompt": chunk}, answers, rng)
        ended = drawn.lengths < policy.max_new_tokens
        for prompt, texts, whole in zip(chunk, drawn.actions, ended, strict=True):
            pairs += [{"prompt": prompt, "answer": text} for text in dict.fromkeys(texts[whole])]
    return pairs


def expected_nll(teacher: LlamaForCausalLM, model: LlamaForCausalLM, batch: Rows) -> tuple[torch.Tensor, int]:
    """Return the model's negative log-likelihood of the teacher's next token, and the number of tokens.

    The expectation is over the teacher's whole distribution after each prefix of an answer, in nats, summed over the
    answers' tokens: KL(teacher || model) and the teacher's entropy, which has no gradient.
    """
    with torch.no_grad():
        wanted = answer_logits(teacher, batch)[0].softmax(-1)  # (N, V)
    logits, answers = answer_logits(model, batch)
    return cross_entropy(logits, wanted, reduction="sum"), len(answers)


def answered(args: Args) -> tuple[Pairs, Pairs, Pairs]:
    """Return the teacher's answers for training, for validation, and to the task's held-out prompts."""
    policy = CausalLMPolicy(args.teacher, max_new_tokens=48, dtype="float32", features="none")
    task = load_task("short-writing")
    heldout = [task.prompts[i] for i in task.heldout_ids]
    asked = sorted({p.text for p in prompts("distil", args.n_prompts)} - set(heldout))
    rng = np.random.default_rng(args.seed)
    judged = ask(policy, heldout, args.answers, rng)
    pairs, kept = ask(policy, asked, args.answers, rng), set(asked[:: args.valid_prompts])
    train = [pair for pair in pairs if pair["prompt"] not in kept]
    return train, [pair for pair in pairs if pair["prompt"] in kept], judged


def main(args: Args) -> None:
    """Sample, train, compare with the teacher on the task's held-out prompts, save the folder."""
    torch.set_num_threads(1)
    began = time.process_time()
    train, valid, judged = answered(args)
    print(f"{len(train):,} answers, {len(valid):,} for validation, {time.process_time() - began:.0f} CPU s")
    tokenizer: Any = AutoTokenizer.from_pretrained(args.teacher)
    teacher = LlamaForCausalLM.from_pretrained(args.teacher, dtype=torch.float32, attn_implementation="eager")
    teacher.eval().requires_grad_(False)
    training = Training(
        data=Path(),
        out=args.out,
        epochs=args.epochs,
        lr=args.lr,
        vocab=len(tokenizer),
        hidden=args.hidden,
        layers=args.layers,
        seed=args.seed,
    )
    model = make_model(training, tokenizer)
    print(f"{model.num_parameters():,} parameters")
    loss, epoch = fit(model, tokenizer, train, encode(tokenizer, valid), training, partial(expected_nll, teacher))
    print(f"best: epoch {epoch}, {loss:.4f} nats a token, {time.process_time() - began:.0f} CPU s")
    rows = encode(tokenizer, judged)
    for name, one in {"teacher": teacher, "model": model}.items():
        nats = validate(one, rows)
        print(f"{name} on the teacher's {len(rows)} held-out answers: {nats:.3f} nats, perplexity {math.exp(nats):.2f}")
    model.half().save_pretrained(args.out)
    for file in _TOKENIZER:
        shutil.copy(args.teacher / file, args.out / file)


if __name__ == "__main__":
    main(tyro.cli(Args))
