"""Our contenders of the race against TRL; TRL's own is tested where TRL is installed (tests/peers)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from duelbench.assets.model_source import resolve_model
from duelbench.experiments.speed import ours, race, work

SIZES = {"batch": 3, "prompt-len": 12, "new-tokens": 5, "warm": 1, "steps": 2}


@pytest.mark.parametrize("name", race.contenders(race.Race(Path(), sea=True)))
def test_a_step_has_the_agreed_work_and_all_its_parts(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, module, *options = race.contenders(race.Race(Path(), sea=True))[name]
    sizes = [f"--{option}={value}" for option, value in SIZES.items()]
    monkeypatch.setattr(sys, "argv", [module, *options, "--model", str(resolve_model("mini")), *sizes])
    ours.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    candidates = 20 if "sea" in options else 2
    assert record["tokens_per_step"] == 3 * candidates * 5  # no response ended early
    assert record["labels"] == [3, 3]
    parts = {"generate", "ref_forward", "policy_forward", "policy_backward"}
    assert record["split_wall_cpu_s"].keys() >= parts
    assert ("posterior" in record["split_wall_cpu_s"]) == (candidates == 20)
    assert len(record["step_wall_s_all"]) == 2
    assert name in race.tables({name: [record]})


def test_a_clock_of_a_gpu_waits_for_it_at_both_ends_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append("waited"))
    for device, expected in (("cuda", 4), ("cpu", 0)):
        waits.clear()
        clock = work.Clock(device)
        clock.next_step()
        with clock.part("whole"), clock.part("inside"):
            pass
        assert len(waits) == expected
        assert clock.steps[0].keys() == {"whole", "inside"}
