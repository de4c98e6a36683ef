"""Train the embedded language model on filtered answers: tokenizer, Llama, fp16 folder."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich import print
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.hooks import RemovableHandle
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from duelbench.envs.text.tasks.grammar import PLACES, PRODUCTS, WHO, article, parse

PAD, EOS, SEP = "<|pad|>", "<|eos|>", "<|sep|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}{{ '<|sep|>' + message.content + '<|eos|>' }}"
    "{% elif message.role == 'user' %}{{ message.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|sep|>' }}{% endif %}"
)
TOPICS = {"story": WHO, "product": PRODUCTS, "place": PLACES}
Pairs = list[dict[str, str]]  # {"prompt": …, "answer": …}
Rows = list[tuple[list[int], list[int]]]  # token ids of (prompt and separator, answer and end)
Loss = Callable[[LlamaForCausalLM, Rows], tuple[torch.Tensor, int]]  # summed over the answers' tokens, and their number


@dataclass(frozen=True)
class Args:
    """Options of the training.

    Attributes:
        data: JSON Lines written by filter.py.
        out: Folder of the finished model.
        epochs: Passes over the data.
        lr: Peak learning rate of AdamW.
        weight_decay: On the matrices.
        batch: Sequences in a step.
        warmup: Steps of linear warm-up.
        valid_prompts: Every so many-th prompt is kept for validation.
        vocab: Tokens, a multiple of 64.
        hidden: Width; heads have 32 dimensions.
        layers: Depth.
        dropout: On the embeddings and on what every block adds to the residual stream.
        sharpen: Multiplies the finished model's logits: 1.2 makes temperature 1 what 0.83 was.
        swap: Share of the pairs whose topic is swapped for another in the first epoch; falls linearly to 0 at
            half of the epochs. It teaches early to copy the topic from the request.
        bf16: Compute in bfloat16 where autocast allows.
        seed: Of the initial weights and the order of batches.
    """

    data: Path
    out: Path
    epochs: int = 12
    lr: float = 2e-3
    weight_decay: float = 0.1
    batch: int = 64
    warmup: int = 150
    valid_prompts: int = 40
    vocab: int = 2048
    hidden: int = 256
    layers: int = 4
    dropout: float = 0.1
    sharpen: float = 1.2
    swap: float = 0.5
    bf16: bool = True
    seed: int = 0


def train_tokenizer(texts: list[str], vocab: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer whose chat template renders exactly the training format."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[PAD, EOS, SEP], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=EOS,
        sep_token=SEP,
        padding_side="left",
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(args: Args, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Build the untrained model."""
    config = LlamaConfig(
        vocab_size=args.vocab,
        hidden_size=args.hidden,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // 32,
        num_key_value_heads=args.hidden // 32,
        intermediate_size=64 * round(args.hidden * 2.7 / 64),
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(args.seed)
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")  # for rows this short, twice as fast backwards as fused attention
    return model


def add_dropout(model: LlamaForCausalLM, p: float) -> list[RemovableHandle]:
    """Add the dropout that Llama lacks; call `remove` on the handles before saving."""

    def drop(module: torch.nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(output, p, training=module.training)

    places = [model.model.embed_tokens]
    places += [part for layer in model.model.layers for part in (layer.self_attn.o_proj, layer.mlp.down_proj)]
    return [part.register_forward_hook(drop) for part in places]


def swap_topic(pair: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Return the pair with another topic of the same family and article in both texts."""
    prompt = parse(pair["prompt"])
    others = [w for w in TOPICS[prompt.family] if article(w) == article(prompt.topic)]
    old, new = re.compile(rf"\b{prompt.topic}(?=(s|'s)?\b)"), str(rng.choice(others))
    return {key: old.sub(new, text) for key, text in pair.items()} if old.search(pair["answer"]) else pair


def encode(tokenizer: PreTrainedTokenizerFast, pairs: Pairs) -> Rows:
    """Return the token ids of every pair."""
    asked = tokenizer([pair["prompt"] + SEP for pair in pairs])["input_ids"]
    answered = tokenizer([pair["answer"] + EOS for pair in pairs])["input_ids"]
    return list(zip(asked, answered, strict=True))


def batches(rows: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield shuffled batches of rows of similar length, so that little is spent on padding."""
    order = rng.permutation(len(rows))
    pools = [order[i : i + 16 * size] for i in range(0, len(order), 16 * size)]
    chunks = []
    for pool in pools:
        by_length = sorted(pool, key=lambda i: len(rows[i][0]) + len(rows[i][1]))
        chunks += [by_length[i : i + size] for i in range(0, len(by_length), size)]
    for at in rng.permutation(len(chunks)):
        yield [rows[i] for i in chunks[at]]


def answer_logits(model: LlamaForCausalLM, batch: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits that predict the answers' tokens, (N, V) float32, and those tokens, (N,)."""
    width = max(len(p) + len(a) for p, a in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)  # (B, T), padded on the right
    labels = torch.full((len(batch), width), -100)
    for i, (p, a) in enumerate(batch):
        ids[i, : len(p) + len(a)] = torch.tensor(p + a)
        labels[i, len(p) : len(p) + len(a)] = torch.tensor(a)
    wanted = labels[:, 1:] != -100
    # Causal attention never looks right, so padding on the right needs no mask.
    hidden = model.model(ids).last_hidden_state[:, :-1][wanted]  # (N, H)
    return model.lm_head(hidden).float(), labels[:, 1:][wanted]


def answer_nll(model: LlamaForCausalLM, batch: Rows) -> tuple[torch.Tensor, int]:
    """Return the summed negative log-likelihood of the answers' tokens, and their number."""
    logits, answers = answer_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, answers, reduction="sum"), len(answers)


@torch.inference_mode()
def validate(model: LlamaForCausalLM, rows: Rows) -> float:
    """Return nats per answer token on unseen prompts."""
    model.eval()
    sums = [answer_nll(model, rows[i : i + 256]) for i in range(0, len(rows), 256)]
    model.train()
    return float(sum(s for s, _ in sums)) / sum(n for _, n in sums)


def rate(step: int, total: int, warmup: int) -> float:
    """Return the share of the peak learning rate: linear up, cosine down to 2 %."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
    return min((step + 1) / warmup, 0.02 + 0.98 * cosine)


def fit(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Pairs,
    valid: Rows,
    args: Args,
    loss_of: Loss = answer_nll,
) -> tuple[float, int]:
    """Train with a cosine schedule, leave the best epoch's weights in the model; return (nats a token, epoch)."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, weight_decay=args.weight_decay, betas=(0.9, 0.98))
    total = args.epochs * math.ceil(len(pairs) / args.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: rate(t, total, args.warmup))
    rng, best, start = np.random.default_rng(args.seed), (math.inf, 0), time.monotonic()
    weights = model.state_dict()
    for epoch in range(1, args.epochs + 1):
        share = args.swap * max(0.0, 1 - 2 * (epoch - 1) / args.epochs)
        mixed = [swap_topic(pair, rng) if rng.random() < share else pair for pair in pairs]
        losses = []
        for batch in batches(encode(tokenizer, mixed), args.batch, rng):
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                total_loss, count = loss_of(model, batch)
            (total_loss / count).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(total_loss.item() / count)
        loss = validate(model, valid)
        spent = time.monotonic() - start
        print(f"epoch {epoch}: train {np.mean(losses):.3f} valid {loss:.3f} {spent:.0f} s", flush=True)
        if loss < best[0]:
            best, weights = (loss, epoch), {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(weights)
    return best


def main(args: Args) -> None:
    """Train on one file and save the folder."""
    torch.set_num_threads(1)
    pairs = [json.loads(line) for line in args.data.read_text().splitlines()]
    texts = [text for pair in pairs for text in (pair["prompt"], pair["answer"])]
    tokenizer = train_tokenizer(texts, args.vocab)
    held = set(sorted({pair["prompt"] for pair in pairs})[:: args.valid_prompts])
    train = [pair for pair in pairs if pair["prompt"] not in held]
    valid = encode(tokenizer, [pair for pair in pairs if pair["prompt"] in held])
    model = make_model(args, tokenizer)
    print(f"{model.num_parameters():,} parameters; answers: {len(train)}, held out {len(valid)}")
    means = np.mean([[len(p), len(a)] for p, a in valid], axis=0)
    print(f"mean tokens: prompt {means[0]:.1f}, answer {means[1]:.1f}")
    handles = add_dropout(model, args.dropout)
    loss, epoch = fit(model, tokenizer, train, valid, args)
    print(f"best: epoch {epoch}, {loss:.4f} nats a token, perplexity {math.exp(loss):.2f}")
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        model.model.norm.weight *= args.sharpen  # the head is linear, so this scales the logits
    if args.sharpen != 1.0:
        print(f"sharpened: {validate(model, valid):.4f} nats a token")
    model.half().save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main(tyro.cli(Args))
