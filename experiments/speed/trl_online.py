"""Time a step of TRL's OnlineDPOTrainer on one model folder; for an interpreter that has trl, but not duelbench.

    TRL_PYTHON experiments/speed/trl_online.py --model DIR [--autocast | --stock] [--device cuda [--vllm]]

Set well, it keeps the key-value cache on (gradient checkpointing off), in float32 or with ``--autocast`` in bfloat16
over float32 weights. ``--stock`` leaves both at TRL's defaults: autocast, checkpointing and so no cache. With
``--vllm``, vLLM draws, in the trainer's process. The last line of standard output is the record, as JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TRL_EXPERIMENTAL_SILENCE="1", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).parent))  # for work: Python leaves it out where PYTHONSAFEPATH is set

# After the variables, which these read when they are imported.
import torch  # noqa: E402
import trl  # noqa: E402
import work  # noqa: E402 - beside this file
from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer  # noqa: E402


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = work.parser(__doc__ or "")
    parser.add_argument("--autocast", action="store_true", help="bfloat16 products")
    parser.add_argument("--stock", action="store_true", help="as it comes")
    return parser.parse_args()


def config(options: argparse.Namespace, folder: str) -> Any:
    """The work in TRL's words."""
    more = {} if options.stock else {"bf16": options.autocast, "gradient_checkpointing": False}
    full_length = {"ignore_eos": True} if options.vllm else {"min_new_tokens": options.new_tokens}
    if options.vllm:
        more |= {"use_vllm": True, "vllm_gpu_memory_utilization": 0.4}  # what our sampler takes
    return OnlineDPOConfig(
        output_dir=folder,
        per_device_train_batch_size=options.batch,
        max_steps=options.warm + options.steps,
        max_new_tokens=options.new_tokens,
        max_length=options.prompt_len + options.new_tokens,
        generation_kwargs=full_length,
        temperature=options.temperature,
        beta=[0.1],
        learning_rate=options.learning_rate,
        lr_scheduler_type="constant",
        seed=options.seed,
        use_cpu=options.device == "cpu",
        dataloader_pin_memory=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **more,
    )


def watch(trainer: Any, clock: work.Clock) -> None:
    """Split a step into parts; what is left of it is the trainer's own bookkeeping."""
    clock.wrap(trainer, "_generate_vllm" if trainer.use_vllm else "_generate", "generate")
    clock.wrap(trainer, "_calculate_rewards_from_functions", "reward")
    clock.wrap(trainer.accelerator, "backward", "policy_backward")
    clock.wrap(trainer.accelerator, "clip_grad_norm_", "clip")
    forward = trainer._forward

    def timed(model: Any, *args: Any, **options: Any) -> Any:
        with clock.part("ref_forward" if model is trainer.ref_model else "policy_forward"):
            return forward(model, *args, **options)

    trainer._forward = timed


class Steps(TrainerCallback):  # type: ignore[misc]
    """Opens a part for each whole step of the trainer, data loading and optimizer included."""

    def __init__(self, clock: work.Clock) -> None:
        self.clock = clock

    def on_train_begin(self, *args: Any, **options: Any) -> None:
        """The first step begins."""
        self._begin()

    def on_pre_optimizer_step(self, *args: Any, **options: Any) -> None:
        """The gradient is there, clipped."""
        self.optimizer = self.clock.part("optimizer")
        self.optimizer.__enter__()

    def on_optimizer_step(self, *args: Any, **options: Any) -> None:
        """The weights have moved."""
        self.optimizer.__exit__(None, None, None)

    def on_step_end(self, *args: Any, **options: Any) -> None:
        """One step ends, another begins."""
        self.whole.__exit__(None, None, None)
        self._begin()

    def on_train_end(self, *args: Any, **options: Any) -> None:
        """The last, empty step ends."""
        self.whole.__exit__(None, None, None)

    def _begin(self) -> None:
        self.clock.next_step()
        self.whole = self.clock.part("other")
        self.whole.__enter__()


def main() -> None:
    """Train and print the record."""
    options = arguments()
    clock = work.Clock(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    total = options.warm + options.steps
    texts = work.prompts(tokenizer, options.batch * (total + 1), options.prompt_len, options.seed)
    lengths: list[int] = []

    def reward(prompts: list[str], completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths.extend(map(len, completion_ids))
        return [text.count("e") + 1e-3 * len(text) for text in completions]

    with tempfile.TemporaryDirectory() as folder:
        trainer = OnlineDPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config(options, folder),
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": texts}),
            callbacks=[Steps(clock)],
        )
        watch(trainer, clock)
        trainer.train()
    work.print_record(
        clock.steps[options.warm : total],
        options.device,
        contender="trl-stock" if options.stock else "trl-autocast" if options.autocast else "trl-fp32",
        vllm=options.vllm,
        tokens_per_step=sum(lengths) / total,
        bf16=trainer.args.bf16,
        gradient_checkpointing=trainer.args.gradient_checkpointing,
        trl=trl.__version__,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
