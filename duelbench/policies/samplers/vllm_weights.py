"""How a vLLM engine in this process is given the weights of the policy and of its reference.

It holds one set at a time. Full weights are exchanged in place by the engine's ``reload_weights``, layer by layer from
tensors in memory: what vLLM's weight transfer does at its receiving end, less the transfer, since learner and engine
share the process. It keeps a GPU's captured graphs and packs a CPU's matrices anew. With low-rank adapters the weights
stay: each version of the adapter is a folder that vLLM loads beside them, and the reference is the engine without.
"""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Protocol

from torch import Tensor

Weights = Callable[[], Iterator[tuple[str, Tensor]]]

#: Ranks for which vLLM has kernels.
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class Source(Protocol):
    """How the engine comes by the weights of policy and reference."""

    def options(self) -> dict[str, Any]:
        """What the engine must be built with."""
        ...

    def provide(self, engine: Any, *, reference: bool) -> Any:
        """Make the engine ready to draw from one of the two; returns the request's adapter, or None."""
        ...

    def changed(self) -> None:
        """The policy is no longer what it was."""
        ...


@dataclass
class FullWeights:
    """All weights, exchanged whenever the engine holds others than those asked for.

    The reference's are read from the model's folder, as they were first loaded.

    Attributes:
        policy: yields every weight under the name it has in the transformers model, tied ones once.
    """

    policy: Weights
    _held: str = field(default="reference", init=False)

    def options(self) -> dict[str, Any]:
        """Nothing in particular."""
        return {}

    def provide(self, engine: Any, *, reference: bool) -> None:
        """Load what is not there."""
        wanted = "reference" if reference else "policy"
        if self._held == wanted:
            return
        self._held = "nothing"  # should loading fail half-way
        given = {} if reference else {"weights_iterator": ((name, w.detach()) for name, w in self.policy())}
        engine.collective_rpc("reload_weights", kwargs=given)
        engine.apply_model(_repack_shared)
        self._held = wanted

    def changed(self) -> None:
        """Weights of the policy in the engine are stale."""
        if self._held == "policy":
            self._held = "nothing"


@dataclass
class Adapter:
    """A low-rank adapter on weights that stay.

    Attributes:
        save: writes the adapter of the policy as it now is into an empty folder, as peft's ``save_pretrained`` does.
    """

    save: Callable[[Path], None]
    _version: int = field(default=0, init=False)
    _folder: Path | None = field(default=None, init=False)
    _remove: Callable[[], Any] | None = field(default=None, init=False)

    def options(self) -> dict[str, Any]:
        """One adapter at a time, with room for its rank."""
        with TemporaryDirectory() as folder:
            self.save(Path(folder))
            rank = json.loads((Path(folder) / "adapter_config.json").read_text())["r"]
        if rank > _RANKS[-1]:
            raise ValueError(f"vLLM takes adapters up to rank {_RANKS[-1]}, this one has {rank}: lower lora_rank")
        room = next(known for known in _RANKS if known >= rank)
        return {"enable_lora": True, "max_loras": 1, "max_cpu_loras": 1, "max_lora_rank": room}

    def provide(self, engine: Any, *, reference: bool) -> Any:
        """Write a new version if there is none; vLLM reads it with the first request that names it."""
        if reference:
            return None
        from vllm.lora.request import LoRARequest

        if self._folder is None:
            folder = Path(mkdtemp(prefix="duelbench-adapter-"))
            self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self.save(folder)
            self._folder, self._version = folder, self._version + 1
        return LoRARequest(f"policy-{self._version}", self._version, str(self._folder))

    def changed(self) -> None:
        """The version on disk is stale."""
        if self._remove is not None:
            self._remove()
        self._folder = self._remove = None


def _repack_shared(model: Any) -> None:
    """Bring tied layers up to date: vLLM reloads a shared matrix for its first layer only (seen in 0.32).

    A CPU multiplies with a packed copy, which every layer has of its own, so an output head that is tied to the
    embeddings would stay what it was. A GPU multiplies with the shared matrix itself.
    """
    met = set()
    for layer in model.modules():
        if hasattr(layer, "cpu_linear"):
            if id(layer.weight) in met:
                layer.quant_method.process_weights_after_loading(layer)
            met.add(id(layer.weight))
