"""The language models that runs aligned, each as a folder that transformers, vLLM and ``--model`` load."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from duelbench.assets.model_source import ModelUnavailableError, resolve_model
from duelbench.records.checkpoint import load_checkpoint
from duelbench.records.record import Run
from duelbench.runs.configuration.named_content import model_content
from duelbench.runs.recording.run_folder import POLICY

_log = logging.getLogger(__name__)


@dataclass
class Models:
    """Folders that were written, and how many runs have none.

    Attributes:
        folders: one for each run with a trained language model.
        unfinished: runs that are not at their end yet.
        untrained: finished runs that trained no language model.
        damaged: runs whose weights cannot be read.
    """

    folders: list[Path] = field(default_factory=list)
    unfinished: int = 0
    untrained: int = 0
    damaged: int = 0

    def __str__(self) -> str:
        """The counts as a sentence."""
        n = len(self.folders)
        return (
            f"{n} model{'s' * (n != 1)}; left out: {self.unfinished} unfinished runs, {self.untrained} that trained no "
            "language model" + (f", {self.damaged} whose weights are damaged" if self.damaged else "")
        )


def write(runs: Sequence[Run], out: Path) -> Models:
    """Write ``OUT/<run folder>/`` for every finished run of a language model; a folder is whole or absent.

    Weights are float32; low-rank adapters are merged into them. An agent that deploys more than its policy, as the best
    of several samples, is told by its policy alone.

    Raises:
        ModelUnavailableError: the model that a run started from is gone.
        ValueError: no run has one.
    """
    found = Models()
    for run in runs:
        if not run.finished or run.folder is None:
            found.unfinished += 1
            continue
        try:
            weights = load_checkpoint(run.folder / POLICY)
        except (ValueError, LookupError, SafetensorError) as error:
            _log.warning("left out a model: %s is cut off or damaged (%s)", run.folder / POLICY, error)
            found.damaged += 1
            continue
        if weights is None:
            found.untrained += 1
            continue
        target = out / run.folder.name
        _write(run, weights, target)
        found.folders.append(target)
    if not found.folders:
        raise ValueError(f"there is no model to export: {found}; expected finished runs of LLMDuel-v0 that learn")
    return found


def _write(run: Run, weights: dict[str, Any], target: Path) -> None:
    import torch

    from duelbench.policies.loading import load

    options = run.spec["policy"]
    loaded = load(
        _base(run),
        dtype="float32",
        device="cpu",
        lora_rank=options.get("lora_rank", 0),
        lora_alpha=options.get("lora_alpha"),
        checkpointing=False,
    )
    parameters = dict(loaded.model.named_parameters())
    with torch.no_grad():
        for name, tensor in weights.items():
            parameters[name].copy_(tensor)
    model = loaded.model if loaded.adapter is None else loaded.adapter.merge_and_unload()
    unfinished = target.with_name(f".{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        model.save_pretrained(unfinished)
        loaded.tokenizer.save_pretrained(unfinished)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _base(run: Run) -> str:
    """The model that a run started from: where it was seen from the folder the run was played in, or from here.

    Raises:
        ModelUnavailableError: it is gone, or another one is in its place.
    """
    name = str(run.spec["policy"].get("model", "tiny"))
    wanted = run.spec.get("content", {}).get("model")
    seen_then = Path(run.manifest.get("cwd", "."), Path(name).expanduser())
    folders = [str(seen_then.resolve())] if (seen_then / "config.json").is_file() else []
    for place in [name, *folders]:
        with suppress(ModelUnavailableError):
            there = resolve_model(place)
            if wanted is None or not Path(there).is_dir() or model_content(place) == wanted:
                return there
    raise ModelUnavailableError(
        f"the model {name!r} that run {run.run_id} started from is gone, or another one is in its place: looked for it "
        f"in {seen_then.parent.resolve()} and in {Path.cwd()}"
    )
