"""The rounds that `make bench` times can be played: nothing else would notice when they cannot."""

from __future__ import annotations

import pytest

from tests.benchmarks.bench_policy import batches, contender


@pytest.mark.parametrize("name", ["ours", "plain"])
@pytest.mark.parametrize("kind", ["online", "sea"])
def test_a_timed_round_can_be_played(kind: str, name: str) -> None:
    contender(name, kind)(batches()[0][:2])
