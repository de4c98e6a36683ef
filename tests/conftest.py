"""A small task with known worths, so that no test depends on the packaged task's numbers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from duelbench.envs.text.tasks import Task

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when transformers is imported: no test may wait for a hub

# No clock decides a test, and no run of the suite tries other examples than the last one did.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

N_DUEL, N_HELDOUT, N_RESPONSES, DIM = 40, 6, 7, 5


def make_task(name: str = "small") -> Task:
    """Responses whose worth is linear in their features and written at their end; every third one is "odd"."""
    rng = np.random.default_rng(11)
    n = N_DUEL + N_HELDOUT
    features = rng.standard_normal((n, N_RESPONSES, DIM)).astype(np.float32)
    worths = features @ np.array([1.5, -1.0, 0.5, 0.0, 0.0])
    references = np.empty((n, N_RESPONSES), dtype=object)
    for i, j in np.ndindex(n, N_RESPONSES):
        references[i, j] = f"{'odd' if j % 3 == 0 else 'even'} répönse {i}.{j} worth {worths[i, j]:.3f}"
    return Task(
        name=name,
        prompts=tuple(f"prompt {i} 🙂" for i in range(n)),
        n_duel=N_DUEL,
        references=references,
        features={"lm": features},
        lm_log_probs=rng.standard_normal((n, N_RESPONSES)).astype(np.float32),
        card={"made by": "tests/conftest.py"},
    )


@pytest.fixture(scope="session")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the small task."""
    path = tmp_path_factory.mktemp("task") / "small.npz"
    make_task().save(path)
    return str(path)


@pytest.fixture(scope="session")
def oracles() -> str:
    """Path of the file with the tests' oracles; name one as ``f"{oracles}:Worth"``."""
    return str(Path(__file__).parent / "helpers" / "oracles.py")


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrix products in float32, whatever this machine multiplies fastest, in this process and its workers.

    A test that compares numbers of a language model to more than a few digits means float32 and asks for this. To run
    the suite as on a CPU that is faster in bfloat16: ``DUELBENCH_DTYPE=bfloat16 make test``.
    """
    monkeypatch.setenv("DUELBENCH_DTYPE", "float32")
