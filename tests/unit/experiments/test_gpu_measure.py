"""The measuring script on toy sizes; its figures mean nothing here, but its path is the GPU's."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from duelbench.experiments.gpu import measure as script
from duelbench.experiments.gpu.agents import AGENTS, PARTS, Work, measure
from duelbench.experiments.gpu.memory import copy_rate, decoded_bytes
from duelbench.experiments.gpu.models import SHAPES, make_model, write_tokenizer
from duelbench.experiments.gpu.rows import Plan, Row, play
from duelbench.experiments.gpu.tables import tables

CARD = {"device": "a card", "driver": "1", "copy_bytes_per_s": 2e9, "versions": {"torch": "2"}, "commit": "abc"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("random")
    make_model(SHAPES["toy"], path)
    return str(path)


def plan(folder: str = "there", **changes: object) -> Plan:
    names = ["tiny", "smollm2-135m", "pythia-1b"]
    fields = {
        "models": names,
        "folders": dict.fromkeys(names, f"{folder}-random"),
        "vllm": False,
        "trl": None,
        "trl_vllm": False,
        "device": "cpu",
        "work": {},
        "race": {"batch": 2},
    }
    return Plan(**fields | changes)  # type: ignore[arg-type]


def listed(rows: list[Row]) -> list[tuple[str, str]]:
    """Kind and what of each row, equal neighbours once."""
    pairs = [(row.kind, row.what) for row in rows]
    return [pair for i, pair in enumerate(pairs) if i == 0 or pair != pairs[i - 1]]


def record(*rows: dict[str, object], card: dict[str, object] = CARD) -> dict[str, object]:
    return {"command": "measure", "card": card, "left_out": [], "race": {"batch": 8}, "rows": list(rows)}


@pytest.mark.parametrize("training", ["full", "lora"])
def test_a_row_has_every_figure(folder: str, training: str) -> None:
    figures = measure(folder, training, "own", {}, Work(**script.TOY.work))
    assert figures["tokens_per_s"] > 0 and figures["first_token_s"] > 0
    for agent in AGENTS:
        assert figures[agent]["labels_per_s"] > 0
        share = figures[agent]["share"]
        assert tuple(share) == PARTS and sum(share.values()) == pytest.approx(1.0)
        assert all(share[part] > 0 for part in ("generate", "read", "judge", "learn"))
        assert (share["reward model"] > 0) == (agent != "online")
    row = {"kind": "agents", "name": "toy", "what": f"{training}, own", **figures}
    line = next(line for line in tables(record(row)).splitlines() if line.startswith(f"| toy | {training}, own | "))
    assert "" not in [entry.strip() for entry in line.strip("|").split("|")]


def test_the_bytes_of_a_decoding_step_are_those_of_weights_and_cache() -> None:
    with torch.device("meta"):
        smol, pythia = (
            AutoModelForCausalLM.from_config(AutoConfig.for_model(**SHAPES[name]))
            for name in ("smollm2-135m", "pythia-1b")
        )
    assert sum(p.numel() for p in smol.parameters()) == 134_515_008  # of HuggingFaceTB's checkpoint
    assert sum(p.numel() for p in pythia.parameters()) == 1_011_781_632  # of EleutherAI's
    # 30 layers, 3 heads of keys and values with 64 numbers each; the head is the embedding table
    assert decoded_bytes(smol, 256, 50.0, 2) == 2 * (134_515_008 + 256 * 50 * 2 * 30 * 3 * 64)
    # 16 layers, 2048 numbers; of the embedding table only the drawn rows are read
    assert decoded_bytes(pythia, 8, 10.0, 4) == 4 * (1_011_781_632 - 50304 * 2048 + 8 * 10 * 2 * 16 * 2048)
    assert copy_rate("cpu", 1 << 20) > 1e6


def test_every_token_of_a_random_model_has_a_text_of_its_own(tmp_path: Path) -> None:
    write_tokenizer(6000, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 6000
    texts = [tokenizer.decode([token]) for token in range(2048, 6000)]
    assert all(texts) and len(set(texts)) == len(texts)


def test_the_most_important_rows_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    own = [("agents", "full, own"), ("race", "duelbench online")]
    assert listed(plan().rows()) == [("tests", ""), *own, ("agents", "lora, own")]
    with_trl = plan(trl="trl/python").rows()
    assert [(row.name, row.what) for row in with_trl if row.kind == "race"] == [
        (name, contender) for name in ("smollm2-135m", "pythia-1b") for contender in ("duelbench online", "TRL")
    ]
    everything = plan(trl="trl/python", vllm=True, trl_vllm=True, folders={"smollm2-135m": "weights"}).rows()
    assert listed(everything) == [
        ("tests", ""),
        ("agents", "full, own"),
        ("race", "duelbench online"),
        ("race", "TRL"),
        ("race", "duelbench online, vLLM"),
        ("race", "TRL, vLLM"),
        ("agents", "full, vllm"),
        ("agents", "lora, own"),
        ("agents", "lora, vllm"),
        ("run", "SEA's paper, SmolLM2-135M, DPO"),  # its weights are there
    ]
    assert all("--vllm" in row.command for row in everything if row.what.endswith(", vLLM"))
    assert [row.what for row in plan(trl="trl/python", vllm=True).rows()].count("TRL, vLLM") == 0


def test_contenders_of_a_race_are_given_the_same_work() -> None:
    ours, theirs = (
        row.command for row in plan(trl="python", models=["tiny", "pythia-1b"]).rows() if row.kind == "race"
    )
    assert ours[ours.index("--batch") :] == theirs[theirs.index("--batch") :]
    assert Path(theirs[1]).is_file()


def program(tmp_path: Path, code: str, most: float = 60.0, left: float = 60.0) -> tuple[dict[str, object], str]:
    with (tmp_path / "log").open("w+") as log:
        log.write("earlier\n")
        figures = play(Row("agents", "it", "full", [sys.executable, "-c", code], most), left, log)
    return figures, (tmp_path / "log").read_text()


def test_a_row_ends_with_its_figures_or_with_a_reason(tmp_path: Path) -> None:
    figures, said = program(tmp_path, "print('noise'); print('{\"figure\": 3}')")
    assert figures.pop("seconds") >= 0  # type: ignore[operator]
    assert figures == {"kind": "agents", "name": "it", "what": "full", "figure": 3}
    assert "earlier" in said and "noise" in said
    figures, said = program(tmp_path, "import warnings; warnings.warn('odd'); raise ValueError('too large')")
    assert figures["failed"] == "ValueError: too large" and "Traceback" in said
    assert program(tmp_path, "import sys; sys.exit(3)")[0]["failed"] == "the process ended with 3"
    assert program(tmp_path, "print('no figures')")[0]["failed"] == "it printed no figures: no figures"
    assert program(tmp_path, "", left=0.0)[0]["failed"] == "no time was left"


def test_a_row_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import os, time; open('child', 'w').write(str(os.getpid())); time.sleep(600)"
    code = f"import os, subprocess, sys; os.chdir({str(tmp_path)!r}); subprocess.run([sys.executable, '-c', {child!r}])"
    figures, _ = program(tmp_path, code, most=3.0)
    assert figures["failed"] == "not done after 3 s"
    pid = int((tmp_path / "child").read_text())
    for _ in range(100):  # its entry lasts until the system has reaped it
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, 9)
        pytest.fail("a process that the row started lives on")


def test_ratios_to_trl_stand_in_the_race() -> None:
    def raced(what: str, seconds: float) -> dict[str, object]:
        return {"kind": "race", "name": "m", "what": what, "step_wall_s": seconds, "split_wall_cpu_s": {}}

    failed = {"kind": "race", "name": "m", "what": "TRL, vLLM", "failed": "ImportError: a | b"}
    said = tables(record(raced("duelbench online", 0.5), raced("TRL", 2.0), failed))
    assert "| m | duelbench online | 16.0 | 500 | 4.00 | – |" in said
    assert "| m | TRL | 4.0 | 2000 | 1.00 | – |" in said
    assert "| m | TRL, vLLM | failed: ImportError: a / b |" in said
    assert tables(record(card={"failed": "no torch"})).startswith("The machine could not be looked at: no torch")


def test_what_is_missing_is_said_before_anything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = ["--out", str(tmp_path / "gpu.json")]
    with pytest.raises(SystemExit, match="is no Python interpreter"):
        script.main([*out, "--trl-python", str(tmp_path / "python")])
    monkeypatch.setattr(script, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"lacks torch, transformers, .*wheels"):
        script.main(out)
    assert not (tmp_path / "gpu.json").exists()


def test_the_record_says_what_there_was_no_time_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "gpu.json"
    monkeypatch.chdir(Path(__file__).parents[3])
    script.main(["--out", str(out), "--toy", "--minutes", "0"])
    written = json.loads(out.read_text())
    assert {written[part]["failed"] for part in ("card", "models")} == {"no time was left"}
    assert [row["failed"] for row in written["rows"]] == ["no time was left"]
    assert {"every model: no time was left", "rows of TRL: no --trl-python"} <= set(written["left_out"])
    assert "Left out: every model: no time was left." in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    script.main(["--out", str(out), "--toy", "--minutes", "0"])
    assert any("no tests/gpu" in reason for reason in json.loads(out.read_text())["left_out"])


@pytest.mark.slow
def test_the_whole_measurement_on_toy_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    out = tmp_path / "gpu.json"
    script.main(["--out", str(out), "--toy", "--models", "tiny", "toy"])
    written = json.loads(out.read_text())
    assert not [row for row in [written["card"], written["models"], *written["rows"]] if "failed" in row]
    assert [row["kind"] for row in written["rows"]] == ["tests", "agents", "agents", "race", "agents", "agents"]
    assert written["rows"][0]["tests"]["skipped"] and not written["rows"][0]["tests"]["failed"]
    said = capsys.readouterr().out
    assert "| toy | duelbench online | " in said and "| tiny | lora, own | " in said
