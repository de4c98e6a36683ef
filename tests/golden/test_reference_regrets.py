"""Every agent that another implementation has measured ends where that one does, within sampling error."""

from __future__ import annotations

from pathlib import Path

import pytest

from duelbench.experiments.reference_regrets.check import measure
from duelbench.experiments.reference_regrets.references import REFERENCES, Reference

pytestmark = pytest.mark.slow
SEEDS = 60
ALLOWED = 3.5
"""Standard errors: among the forty references one beyond 3.5 would be expected once in fifty tries."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("regrets")  # agents with two references are played once


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: f"{r.problem}-{r.agent}-{r.metric}-{r.source}")
def test_final_regret_is_that_of_the_reference(reference: Reference, folder: Path) -> None:
    (measured,) = measure([reference], SEEDS, folder)
    assert abs(measured.off) < ALLOWED, f"{measured.mean:.1f} ± {measured.error:.1f}"
