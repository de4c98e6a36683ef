"""Measure generation and agents on one GPU: tokens a second, labels a second and peak memory.

    python -m duelbench.experiments.gpu.measure --out gpu.json

Three models, each trained in full and by low-rank adapters, each drawn from by our own sampler and by vLLM: the
embedded one, SmolLM2-135M (``--models``), and random weights of Pythia 1B's shape, made on the spot. Learner, reference
and vLLM's engine share the GPU. Every row is a process of its own, so that its memory is its own; a row that fails says
why, and the others go on. After ``--minutes`` no row is begun, and one that runs is ended. ``--shape tiny`` does the
same with toy sizes, on any machine, to see that it works: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from duelbench.agents import registry
from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.assets.model_source import resolve_model
from duelbench.envs.text.tasks import load_task
from duelbench.errors import explain
from duelbench.experiments.gpu.memory import GIB, peak_memory
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies.causal_lm import CausalLMPolicy

_LORA_RANK = 16
AGENTS = ("online", "sea", "ide")
"""Pairs as they come; SEA, which draws many candidates; and IDE, whose reward model stands between label and policy."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much is done for each figure.

    Attributes:
        prompts: of one draw.
        samples: responses to each of them.
        tokens: the most tokens of a response, here and in the agents' rounds.
        draws: measured draws, after one that is thrown away.
        batch: labels a round.
        candidates: M of ``sea`` and ``ide``.
        warm: rounds thrown away first.
        rounds: measured.
    """

    prompts: int = 32
    samples: int = 8
    tokens: int = 48
    draws: int = 3
    batch: int = 32
    candidates: int = 20
    warm: int = 4
    rounds: int = 6


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the table.

    Attributes:
        name: of the model, for people.
        model: short name, folder or hub id.
        training: "full" or "lora".
        sampler: "own" or "vllm".
        sampler_options: more arguments of the sampler.
        work: fields of ``Work``.
    """

    name: str
    model: str
    training: str
    sampler: str
    sampler_options: dict[str, Any]
    work: dict[str, int]


SHAPES: dict[str, dict[str, int]] = {
    "pythia-1b": {
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 8,
        "intermediate_size": 8192,
        "vocab_size": 50304,
    },
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 0,
    },
}
WORKS = {
    "pythia-1b": Work(),
    "tiny": Work(prompts=2, samples=2, tokens=4, draws=1, batch=2, candidates=3, warm=1, rounds=1),
}


def make_model(shape: str, folder: Path) -> None:
    """Write random weights of a GPT-NeoX model with the embedded model's tokenizer.

    Args:
        shape: a name in ``SHAPES``; the vocabulary has at least the tokenizer's size.
        folder: where to.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXConfig

    tokenizer = AutoTokenizer.from_pretrained(resolve_model("tiny"))
    sizes: dict[str, Any] = SHAPES[shape] | {"vocab_size": max(SHAPES[shape]["vocab_size"], len(tokenizer))}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(GPTNeoXConfig(**sizes, **ends))
    model.to(torch.bfloat16).save_pretrained(folder)  # half the disk; loaded as float32
    tokenizer.save_pretrained(folder)


def measure(cell: Cell) -> dict[str, Any]:
    """The figures of one row: draws, then rounds of each agent."""
    work = Work(**cell.work)
    with peak_memory() as loading:
        policy = CausalLMPolicy(
            resolve_model(cell.model),
            max_new_tokens=work.tokens,
            lora_rank=_LORA_RANK if cell.training == "lora" else 0,
            sampler=cell.sampler,  # type: ignore[arg-type]
            sampler_options=cell.sampler_options,
        )
    figures: dict[str, Any] = {"weights_gib": loading}
    with peak_memory() as drawing:
        figures["tokens_per_s"] = tokens_per_second(policy, work)
    figures["draw_gib"] = drawing
    for name in AGENTS:
        with peak_memory() as learning:
            figures[f"{name}_labels_per_s"] = labels_per_second(name, policy, work)
        figures[f"{name}_gib"] = learning
    return figures


def tokens_per_second(policy: CausalLMPolicy, work: Work) -> float:
    """Of the sampler alone, without the scores that a policy adds; the median draw."""
    prompts, lengths = policy._tokens.prompts(_prompts(work.prompts, 0))
    rng, rates = np.random.default_rng(0), []
    for _ in range(1 + work.draws):
        start = time.perf_counter()
        drawn = policy.sampler.draw(prompts, lengths, work.samples, rng, reference=False, greedy=False)
        rates.append(int(drawn.lengths.sum()) / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def labels_per_second(name: str, policy: CausalLMPolicy, work: Work) -> float:
    """Labels bought in a second of rounds, from the prompts to the gradient step; the oracle is a rule and takes none.

    An agent that labels a share of its duels itself buys fewer labels in a round of as many duels.
    """
    agent = make_agent(name, policy, work)
    rows = max(1, round(work.batch * agent.prompts_per_label))
    labels, start = 0, 0.0
    for number in range(work.warm + work.rounds):
        if number == work.warm:
            labels, start = 0, time.perf_counter()
        observation = {"prompt": _prompts(rows, number * rows)}
        pair = agent.propose(observation)
        wins = [len(a) >= len(b) for a, b in zip(pair.first.actions, pair.second.actions, strict=True)]
        agent.update(observation, pair, np.where(pair.ask, np.array(wins, np.float64), np.nan))
        labels += int(pair.ask.sum())
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return labels / (time.perf_counter() - start)


def make_agent(name: str, policy: CausalLMPolicy, work: Work) -> LearningAgent:
    """The agent as a run would build it."""
    setup = Setup(
        policy=policy,
        learner=PreferenceLearner(policy, LearnerConfig(learning_rate=1e-6)),
        rng=np.random.default_rng(1),
        evaluation_rng=partial(np.random.default_rng, 2),
        labels=work.batch * (work.warm + work.rounds),
        batch=work.batch,
    )
    return registry.make_agent(name, setup, {} if name == "online" else {"candidates": work.candidates})


def _prompts(n: int, start: int) -> tuple[str, ...]:
    """n prompts of the packaged task, from one on, round and round."""
    texts = load_task("short-writing").prompts
    return tuple(texts[(start + i) % len(texts)] for i in range(n))


def in_a_process(cell: Cell, seconds: float) -> dict[str, Any]:
    """The figures of a row, or why there are none, under "failed"; it is ended after so many seconds."""
    named = {"model": cell.name, "training": cell.training, "sampler": cell.sampler}
    if seconds <= 0:
        return named | {"failed": "no time was left"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "row.json"
        command = [sys.executable, "-m", "duelbench.experiments.gpu.measure", "--out", str(result)]
        try:
            code = subprocess.run(
                [*command, "--cell", json.dumps(asdict(cell))], check=False, timeout=seconds
            ).returncode
        except subprocess.TimeoutExpired:
            return named | {"failed": f"not done when the time was up, after {seconds:.0f} s"}
        row = json.loads(result.read_text()) if result.exists() else {"failed": f"the process ended with {code}"}
    return named | row


def play_cell(cell: Cell, out: Path) -> None:
    """What the process of a row does."""
    try:
        row = measure(cell)
    except Exception as error:
        row = {"failed": explain(error).strip()}
    out.write_text(json.dumps(row | {"machine": machine()}))  # only a row's process touches the GPU


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "device": gpu.name if gpu else f"CPU ({platform.machine()})",
        "device_gib": gpu.total_memory / GIB if gpu else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


_COLUMNS = {
    "tokens/s": "tokens_per_s",
    **{f"{name} labels/s": f"{name}_labels_per_s" for name in AGENTS},
    "GiB weights": "weights_gib",
    "GiB drawing": "draw_gib",
    **{f"GiB {name}": f"{name}_gib" for name in AGENTS},
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown; memory is the device's, or the process's without a GPU."""
    head = ["model", "training", "sampler", *_COLUMNS]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * 3 + "---:|" * len(_COLUMNS)]
    for row in rows:
        cells = [row["model"], row["training"], row["sampler"]]
        if "failed" in row:
            cells += [f"failed: {row['failed'].splitlines()[-1]}".replace("|", "/"), *[""] * (len(_COLUMNS) - 1)]
        else:
            cells += [_figure(row[key]) for key in _COLUMNS.values()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(value: float | dict[str, float]) -> str:
    return f"{value.get('device', value.get('process')):.1f}" if isinstance(value, dict) else f"{value:,.3g}"


def arguments(line: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file, rewritten after every row")
    parser.add_argument(
        "--models", nargs="+", default=["tiny", "smollm2-135m"], help="before the random one: names, folders or hub ids"
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--shape", choices=SHAPES, default="pythia-1b", help="of the random model")
    parser.add_argument("--samplers", nargs="+", choices=["own", "vllm"], default=["own", "vllm"])
    parser.add_argument("--vllm", type=json.loads, default={}, help='options of its sampler, e.g. {"sleep": true}')
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args(line)


def main(line: Sequence[str] | None = None) -> None:
    """Measure row after row and print the table."""
    options, started = arguments(line), time.monotonic()
    if options.cell:
        play_cell(Cell(**options.cell), options.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_model(options.shape, Path(folder))
        models = {Path(model).name: model for model in options.models} | {f"random {options.shape}": folder}
        rows: list[dict[str, Any]] = []
        for training, sampler, name in product(("full", "lora"), options.samplers, models):  # what matters most first
            more = options.vllm if sampler == "vllm" else {}
            cell = Cell(name, models[name], training, sampler, more, asdict(WORKS[options.shape]))
            rows.append(in_a_process(cell, 60 * options.minutes - (time.monotonic() - started)))
            record = {"work": asdict(WORKS[options.shape]), "rows": rows}
            options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{rows[0].get('machine')}\n\n{table(rows)}")  # the table is this program's output


if __name__ == "__main__":
    main()
