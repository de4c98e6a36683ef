"""Race the ways to draw many responses to each prompt: equal work, turn by turn, each in a process of its own.

    python -m duelbench.experiments.speed.generation --model DIR [--vllm-python PYTHON] [--rounds 3]

32 prompts, 8 responses to each, 48 tokens each: no token ends a response, so that the work is equal. vLLM pins other
versions than transformers' users like, so it may have an interpreter of its own; duelbench must be installed there too.
Every contender loads its model, draws once to warm up, then draws on request, and seconds are those of that draw: CPU
seconds of the process, then wall seconds; the median over the rounds. Prints a table in Markdown. All contenders stay
in memory to the end, each engine with some gigabytes: ``--only`` takes fewer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
from rich.console import Console

Draw = Callable[[int], int]  # from a seed to how many tokens were drawn

CONTENDERS = {
    "transformers generate, float32": "generate float32",
    "transformers generate, bfloat16": "generate bfloat16",
    "OwnSampler, float32": "own float32",
    "OwnSampler, bfloat16": "own bfloat16",
    "vllm.LLM.generate, float32, eager": "raw float32 eager",
    "VLLMSampler, float32, eager": "vllm float32 eager",
    "vllm.LLM.generate, bfloat16, eager": "raw bfloat16 eager",
    "VLLMSampler, bfloat16, eager": "vllm bfloat16 eager",
    "vllm.LLM.generate, bfloat16, compiled": "raw bfloat16 compiled",
    "VLLMSampler, bfloat16, compiled": "vllm bfloat16 compiled",
}


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a Llama-type model")
    parser.add_argument("--vllm-python", default=sys.executable, help="interpreter that has vLLM and duelbench")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--prompt-len", type=int, default=28, help="tokens of every prompt")
    parser.add_argument("--responses", type=int, default=8, help="to each prompt")
    parser.add_argument("--new-tokens", type=int, default=48, help="tokens of every response")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="*", default=list(CONTENDERS.values()), help="contenders, as --contender names them"
    )
    parser.add_argument(
        "--contender", help="be one: draw for every seed on standard input, answer with seconds as JSON"
    )
    return parser.parse_args()


def work(options: argparse.Namespace) -> Any:
    """The prompts, different from one another, (B, P)."""
    vocabulary = json.loads((options.model / "config.json").read_text())["vocab_size"]
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(10, vocabulary, (options.prompts, options.prompt_len)))


def generate(options: argparse.Namespace, dtype: str) -> Draw:
    """Transformers' own sampling loop, each prompt repeated for its responses."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, dtype)).eval()
    prompts = work(options)
    count = {"min_new_tokens": options.new_tokens, "max_new_tokens": options.new_tokens}

    def draw(seed: int) -> int:
        torch.manual_seed(seed)
        drawn = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=0,
            num_return_sequences=options.responses,
            pad_token_id=0,
            **count,
        )
        return int(drawn[:, prompts.shape[1] :].numel())

    return draw


def sampled(options: argparse.Namespace, sampler: Any) -> Draw:
    """One of duelbench's samplers."""
    prompts = work(options)
    lengths = torch.full((len(prompts),), prompts.shape[1])

    def draw(seed: int) -> int:
        rng = np.random.default_rng(seed)
        drawn = sampler.draw(prompts, lengths, options.responses, rng, reference=True, greedy=False)
        return int(drawn.lengths.sum())

    return draw


def own(options: argparse.Namespace, dtype: str) -> Draw:
    """Our own decoder."""
    from transformers import AutoModelForCausalLM

    from duelbench.policies.networks.llama.llama import LlamaNetwork
    from duelbench.policies.samplers.own import OwnSampler

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    network = LlamaNetwork(model, getattr(torch, dtype))
    nothing = torch.tensor([], dtype=torch.int64)
    return sampled(options, OwnSampler(network, network, nothing, max_new_tokens=options.new_tokens, temperature=1.0))


def vllm(options: argparse.Namespace, dtype: str, mode: str) -> Draw:
    """vLLM behind our interface."""
    return sampled(options, _vllm_sampler(options, dtype, mode))


def raw(options: argparse.Namespace, dtype: str, mode: str) -> Draw:
    """vLLM as its manual shows it, in an engine of the same settings: n responses a prompt, log-probabilities."""
    engine = _vllm_sampler(options, dtype, mode)._engine
    from vllm import SamplingParams

    prompts = [{"prompt_token_ids": row} for row in work(options).tolist()]

    def draw(seed: int) -> int:
        engine.reset_prefix_cache()
        parameters = SamplingParams(
            n=options.responses, seed=seed, max_tokens=options.new_tokens, ignore_eos=True, logprobs=0, detokenize=False
        )
        answers = engine.generate(prompts, parameters, use_tqdm=False)
        return sum(len(output.token_ids) for answer in answers for output in answer.outputs)

    return draw


def _vllm_sampler(options: argparse.Namespace, dtype: str, mode: str) -> Any:
    from duelbench.policies.samplers.vllm import VLLMSampler
    from duelbench.policies.samplers.vllm_weights import FullWeights

    return VLLMSampler(
        options.model,
        FullWeights(policy=lambda: iter(())),
        torch.tensor([], dtype=torch.int64),
        max_new_tokens=options.new_tokens,
        temperature=1.0,
        dtype=dtype,
        enforce_eager=mode == "eager",
    )


def contend(options: argparse.Namespace) -> None:
    """Answer each line, a seed, with the seconds of a draw."""
    torch.set_num_threads(1)
    kind, *settings = options.contender.split()
    kinds: dict[str, Callable[..., Draw]] = {"generate": generate, "own": own, "vllm": vllm, "raw": raw}
    draw = kinds[kind](options, *settings)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = draw(int(line))
        record = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "tokens": tokens}
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


class Contender:
    """A process that draws when asked."""

    def __init__(self, options: argparse.Namespace, name: str) -> None:
        numbers = ("prompts", "prompt-len", "responses", "new-tokens")
        sizes = [f"--{key}={getattr(options, key.replace('-', '_'))}" for key in numbers]
        python = options.vllm_python if name.startswith(("vllm", "raw")) else sys.executable
        command = [python, "-m", "duelbench.experiments.speed.generation", "--model", str(options.model)]
        pipes = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process = pipes([*command, *sizes, "--contender", name])
        self.records: list[dict[str, float]] = []

    def ask(self, seed: int) -> dict[str, float]:
        """Seconds and tokens of one draw; whatever else the process prints is passed over."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"cpu"'):
                return json.loads(line)
        raise RuntimeError("a contender ended before it answered: its own message is above")

    def end(self) -> None:
        """No more seeds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def table(options: argparse.Namespace, contenders: dict[str, Contender]) -> str:
    """One row a contender; ratios are to the first."""
    seconds = {
        name: [statistics.median(record[key] for record in contender.records) for key in ("cpu", "wall")]
        for name, contender in contenders.items()
    }
    tokens = options.prompts * options.responses * options.new_tokens
    (first, *_), *_ = seconds.values()
    lines = [f"| {tokens} tokens | CPU s | wall s | tokens / CPU s | CPU time, ratio |", "|---|---|---|---|---|"]
    for name, (cpu, wall) in seconds.items():
        lines.append(f"| {name} | {cpu:.1f} | {wall:.1f} | {tokens / cpu:.0f} | {cpu / first:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the race, or one contender of it."""
    options = arguments()
    if options.contender:
        contend(options)
        return
    chosen = {title: name for title, name in CONTENDERS.items() if name in options.only}
    contenders = {title: Contender(options, name) for title, name in chosen.items()}
    expected = options.prompts * options.responses * options.new_tokens
    for turn in range(options.rounds + 1):
        for title, contender in contenders.items():
            record = contender.ask(turn)
            if record["tokens"] != expected:
                raise RuntimeError(f"{title} drew {record['tokens']} tokens, expected {expected}")
            if turn:  # the first warms up
                contender.records.append(record)
    for contender in contenders.values():
        contender.end()
    Console().print(table(options, contenders), markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
