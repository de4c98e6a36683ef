"""Time a learning step of the ensemble of reward models, beside oat's, turn by turn in one process.

    python -m duelbench.experiments.speed.ensemble [--oat FOLDER --oatlib FOLDER]

The work: 5 gradient steps of 20 networks (hidden 128) on 128 pairs of features, drawn from 2,000. README.md tells how
to get oat's folders.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior

PAIRS, MEMBERS, HIDDEN, STEPS = 2000, 20, 128, 5

Turn = Callable[[], object]


def ours(features: np.ndarray) -> Turn:
    """A learning step of ``EnsemblePosterior``: features (pairs, 2, d)."""
    config = EnsembleConfig(members=MEMBERS, hidden=HIDDEN, steps=STEPS)
    posterior = EnsemblePosterior(features.shape[-1], np.random.default_rng(0), config)
    posterior.rewards(features[:8])
    posterior.update(features[:, 0], features[:, 1], PAIRS)
    nothing = features[:0, 0]
    return lambda: posterior.update(nothing, nothing, PAIRS)


def oats(features: np.ndarray) -> Turn:
    """A learning step of oat's reward model, with oat's defaults."""
    from oat.rm.model import EnnEETS
    from oat.types import RewardData
    from oat.utils.buffer import UniformBuffer

    torch.manual_seed(0)
    model = EnnEETS(
        SimpleNamespace(
            enn_max_try=MEMBERS,
            num_ensemble=MEMBERS,
            rm_hidden_dim=HIDDEN,
            rm_act_fn="relu",
            rm_lr=1e-3,
            rm_wd=5e-5,
            enn_lambda=0.5,
            exp_allow_second_best=False,
            rm_sgd_steps=STEPS,
            encoding_dim=features.shape[-1],
        )
    )
    buffer = UniformBuffer(PAIRS)
    buffer.extend(RewardData(pair_features=torch.from_numpy(features), loss_masks=torch.ones(PAIRS)))
    buffer.total_num_queries = PAIRS
    return lambda: model.learn(buffer)


def cpu_milliseconds(turns: dict[str, Turn], repeats: int) -> dict[str, list[float]]:
    """CPU time of every turn; the first, which allocates, is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for repeat in range(repeats + 1):
        for name, turn in turns.items():
            start = time.process_time()
            turn()
            if repeat:
                taken[name].append(1e3 * (time.process_time() - start))
    return taken


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oat", type=Path, help="folder that holds the package oat")
    parser.add_argument("--oatlib", type=Path, help="folder of what oat's reward model imports")
    parser.add_argument("--dim", type=int, default=2048, help="d, of one feature vector")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((PAIRS, 2, options.dim), np.float32)
    turns = {"duelbench": ours(features)}
    if options.oat:
        sys.path += [str(folder) for folder in (options.oat, options.oatlib) if folder]
        turns["oat"] = oats(features)
    taken = cpu_milliseconds(turns, options.repeats)
    for name, times in taken.items():
        print(f"{name:10} {statistics.median(times):7.1f} CPU ms (lowest {min(times):.1f}) a learning step")
    if "oat" in taken:
        print(f"ratio {statistics.median(taken['duelbench']) / statistics.median(taken['oat']):.2f}")


if __name__ == "__main__":
    main()
