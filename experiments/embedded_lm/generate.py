"""Sample short answers of SmolLM2-135M-Instruct to the grammar's requests, through vLLM on the CPU.

Appends one JSON line per answer to `--out`; a second call goes on where the first one stopped.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich import print

from duelbench.envs.text.tasks.grammar import Prompt, article, prompts

SYSTEM = "You are a good writer. You answer with one short sentence and nothing else."
OPENINGS: dict[str, tuple[str, ...]] = {
    "story": (
        "",
        "",
        "The {topic}",
        "The {topic}",
        "A {topic}",
        "{setting}, the {topic}",
        "{setting}, a {topic}",
        "The {mood} {topic}",
        "Every day the {topic}",
        "When the {topic}",
        "One {topic}",
        "No one saw the {topic}",
        "The {topic} {low}",
        "It was",
        "A {mood} {topic}",
        "There",
    ),
    "product": (
        "",
        "",
        "This {setting} {topic}",
        "Our {setting} {topic}",
        "The {setting} {topic}",
        "With this {topic}",
        "Buy",
        "Your {setting} {topic}",
        "Meet the {setting} {topic}",
        "Get",
        "A {setting} {topic}",
        "Take",
        "You",
        "If",
        "Nothing",
        "Every {topic}",
    ),
    "place": (
        "",
        "",
        "The {topic}",
        "The {topic} {low}",
        "{setting}, the {topic}",
        "{setting}, the {mood} {topic}",
        "The {mood} {topic}",
        "A {mood} {topic}",
        "There",
        "Inside the {topic}",
        "Around the {topic}",
        "You",
        "No one",
        "Every {topic}",
        "Behind the {topic}",
        "This {topic}",
    ),
}


@dataclass(frozen=True)
class Args:
    """Options of the generation.

    Attributes:
        model: Folder with SmolLM2-135M-Instruct as safetensors.
        out: JSON Lines file to append to.
        n_prompts: How many prompts of the "distil" split.
        skip: Leave out this many prompts at the start.
        openings: Openings drawn for each prompt.
        per_opening: Answers sampled for each opening.
        chunk: Prompts in each call of the sampler.
        temperature: Sampling temperature.
        min_p: Cut tokens below this share of the likeliest one's probability; unlike top-p it needs no sort.
        minutes: Stop after the chunk in which this time has passed.
        eager: Skip vLLM's compilation, which costs about a minute at the first start.
        seed: Seeds the openings and the sampler.
    """

    model: Path
    out: Path
    n_prompts: int = 7000
    skip: int = 0
    openings: int = 4
    per_opening: int = 2
    chunk: int = 64
    temperature: float = 0.75
    min_p: float = 0.06
    minutes: float = 40.0
    eager: bool = True
    seed: int = 0


def _setting(prompt: Prompt) -> str:
    """Return the setting's words as the request has them."""
    words = prompt.text.rstrip(".").split()
    return {"story": " ".join(words[-3:]), "product": words[-2], "place": " ".join(words[-2:])}[prompt.family]


def request(prompt: Prompt, topic_setting: str) -> str:
    """Return the request of a demonstration: the prompt's family and mood, another topic."""
    mood = f"{article(prompt.mood)} {prompt.mood}"
    return {
        "story": f"Write {mood} sentence about a {topic_setting}.",
        "product": f"Write {mood} ad for a {topic_setting}.",
        "place": f"Describe {mood} {topic_setting}.",
    }[prompt.family]


def render(prompt: Prompt, opening: str, demos: dict[str, Any]) -> str:
    """Return the ChatML text that ends with the opening of the answer."""
    turns = [("system", SYSTEM)]
    for topic_setting, answer in demos[prompt.family][prompt.mood]:
        turns += [("user", request(prompt, topic_setting)), ("assistant", answer)]
    turns += [("user", prompt.text)]
    chat = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return chat + "<|im_start|>assistant\n" + opening


def draw_openings(prompt: Prompt, count: int, rng: np.random.Generator) -> list[str]:
    """Draw openings of the prompt's family, with its words filled in; "" leaves the model free."""
    low = _setting(prompt)
    setting = low if prompt.family == "product" else low.capitalize()
    drawn = rng.choice(OPENINGS[prompt.family], size=count, replace=False)
    filled = [str(o).format(topic=prompt.topic, mood=prompt.mood, setting=setting, low=low) for o in drawn]
    return [_agree(text) for text in filled]


def _agree(text: str) -> str:
    """Turn "A owl" into "An owl"."""
    for wrong in ("A ", ", a "):
        head, found, rest = text.partition(wrong)
        if found and (wrong != "A " or not head) and article(rest) == "an":
            return head + wrong.rstrip() + "n " + rest
    return text


def _engine(args: Args) -> Any:
    """Start vLLM in this process on one thread; the variables must be set before it is imported."""
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "3",
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    from vllm import LLM

    return LLM(
        str(args.model),
        dtype="bfloat16",
        max_model_len=320,
        enforce_eager=args.eager,
        max_num_seqs=768,
        max_num_batched_tokens=4096,
        seed=args.seed,
        block_size=32,
        enable_prefix_caching=True,
    )


def _answer_chunk(engine: Any, chunk: list[Prompt], demos: dict[str, Any], args: Args, at: int) -> list[dict[str, Any]]:
    """Sample every answer of one chunk of prompts."""
    from vllm import SamplingParams

    rng = np.random.default_rng([args.seed, at])
    jobs = [(p, opening) for p in chunk for opening in draw_openings(p, args.openings, rng)]
    params = SamplingParams(
        n=args.per_opening,
        temperature=args.temperature,
        min_p=args.min_p,
        max_tokens=30,
        stop=[".", "!", "?"],
        include_stop_str_in_output=True,
    )
    texts = [render(p, opening, demos) for p, opening in jobs]
    results = engine.generate(texts, params, use_tqdm=False)
    return [
        {
            "prompt": p.text,
            "opening": opening,
            "answer": (opening + one.text).strip(),
            "tokens": len(one.token_ids),
            "stopped": one.finish_reason == "stop",
        }
        for (p, opening), result in zip(jobs, results, strict=True)
        for one in result.outputs
    ]


def main(args: Args) -> None:
    """Generate what is still missing."""
    demos = json.loads((Path(__file__).parent / "demos.json").read_text())
    args.out.parent.mkdir(parents=True, exist_ok=True)
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    done = {json.loads(line)["prompt"] for line in lines}
    asked = prompts("distil", args.n_prompts + args.skip, args.seed)[args.skip :]
    todo = [p for p in asked if p.text not in done]
    engine = _engine(args)
    start, tokens, answers = time.monotonic(), 0, 0
    for at in range(0, len(todo), args.chunk):
        rows = _answer_chunk(engine, todo[at : at + args.chunk], demos, args, len(done) + at)
        with args.out.open("a") as sink:
            sink.writelines(json.dumps(row) + "\n" for row in rows)
        tokens, answers = tokens + sum(row["tokens"] for row in rows), answers + len(rows)
        spent = time.monotonic() - start
        speed = f"{tokens / spent:.0f} tokens/s, {spent / 60:.1f} min"
        print(f"{len(done) + at + args.chunk} prompts, {answers} answers, {speed}", flush=True)
        if spent > 60 * args.minutes:
            break


if __name__ == "__main__":
    main(tyro.cli(Args))
