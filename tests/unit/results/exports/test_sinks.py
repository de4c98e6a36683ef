"""What other tools read is what the records hold."""

from __future__ import annotations

import csv
import json
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from duelbench.cli.main import main
from duelbench.records.record import Run, load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.exports.sinks import SINKS, run_name, table, to_csv, to_parquet, to_tensorboard, to_wandb
from duelbench.runs.arms_loop import run_lockstep
from duelbench.runs.policy_loop import run


@pytest.fixture(scope="module")
def folder(task_file: str, oracles: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a policy, one of which was stopped, and three lock-step seeds on arms."""
    out = tmp_path_factory.mktemp("out")
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"}
    for seed in (0, 1):
        run(RunSpec("LLMDuelPool-v0", "online", seed, 64, judging=Judging(every=32), env_kwargs=kwargs), out)
    next(out.glob("runs/*-online-1-*/DONE")).unlink()
    run_lockstep(
        RunSpec(
            "MatrixDuel-v0",
            "rucb",
            5,
            40,
            batch=1,
            judging=Judging(every=20),
            env_kwargs={"matrix": "bt10"},
            lockstep=3,
        ),
        out,
    )
    return out


@pytest.fixture
def runs(folder: Path) -> list[Run]:
    return load_runs(folder)


def points(runs: Sequence[Run]) -> dict[tuple[str, int], dict[str, float]]:
    """Everything that was recorded, by run and labels."""
    return {
        (run.run_id, int(row["labels"])): dict(row) | dict(spent)
        for run in runs
        for row, spent in zip(run.rows, run.timing, strict=True)
    }


def test_the_csv_has_a_row_for_each_evaluation_and_a_cell_for_each_number(runs: list[Run], tmp_path: Path) -> None:
    with to_csv(runs, tmp_path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    recorded = points(runs)
    assert len(rows) == len(recorded) and len(recorded) > 30
    for row in rows:
        expected = recorded[row["run"], int(float(row["labels"]))]
        found = {
            n: float(v) for n, v in row.items() if v and not n.startswith("spec.") and n not in ("run", "finished")
        }
        assert found == expected
    specs = {row["run"]: row for row in rows}
    for run_ in runs:
        row = specs[run_.run_id]
        assert row["spec.seed"] == str(run_.spec["seed"]) and row["finished"] == str(run_.finished)
        kwargs = run_.spec["env_kwargs"]
        assert row["spec.env_kwargs.matrix"] == kwargs.get("matrix", "")
        assert row["spec.env_kwargs.task"] == kwargs.get("task", "")
    assert {row["finished"] for row in rows} == {"True", "False"}


def test_the_parquet_file_is_the_same_table_with_types(runs: list[Run], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(to_parquet(runs, tmp_path)).to_pylist()
    assert found == table(runs)
    assert isinstance(found[0]["spec.seed"], int) and isinstance(found[0]["finished"], bool)


def test_a_column_of_several_types_becomes_text(runs: list[Run], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for number, value in enumerate([3, "three", [3], None]):
        runs[number].spec["odd"] = value
    found = parquet.read_table(to_parquet(runs[:4], tmp_path)).to_pylist()
    assert {row["run"]: row["spec.odd"] for row in found} == dict(
        zip((r.run_id for r in runs), ["3", "three", "[3]", None], strict=False)
    )


def scalars(folder: Path) -> dict[int, dict[str, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    found: dict[int, dict[str, float]] = {}
    for name in read.Tags()["scalars"]:
        for event in read.Scalars(name):
            found.setdefault(event.step, {})[name] = event.value
    assert "spec/text_summary" in read.Tags()["tensors"]
    return found


def test_tensorboard_reads_every_metric_over_labels_however_often_it_is_exported(
    runs: list[Run], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    for _ in range(2):
        to_tensorboard(runs, tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(run_name, runs))
        assert all(len(list(folder.iterdir())) == 1 for folder in tmp_path.iterdir())
    recorded = points(runs)
    for run_ in runs:
        found = scalars(tmp_path / run_name(run_))
        assert len(found) == len(run_.rows)
        for labels, values in found.items():
            expected = recorded[run_.run_id, labels]
            assert values == pytest.approx({n: v for n, v in expected.items() if n != "labels"}, rel=1e-6)  # float32


def log_records(data: bytes) -> Iterator[bytes]:
    """Records of a file in LevelDB's log format: blocks of 32 KiB, chunks of checksum, length, type and payload."""
    at, record, block = 7, b"", 1 << 15  # behind W&B's own header
    while at + 7 <= len(data):
        if block - at % block < 7:  # no room for a header: the next block
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or last of several
            yield record
            record = b""


def logged(folder: Path) -> tuple[str, dict[str, Any], dict[int, dict[str, float]]]:
    """Id, configuration and history of an offline run."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("*.wandb")
    name, config, history = "", {}, {}
    for data in log_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            name = record.run.run_id
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        if record.HasField("history"):
            items = {"".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            history[record.history.step.num] = {n: v for n, v in items.items() if not n.startswith("_")}
    return name, config, history


@pytest.mark.filterwarnings("ignore")  # of a package whose warnings are not ours
def test_an_offline_run_of_wandb_holds_every_metric_however_often_it_is_exported(
    runs: list[Run], tmp_path: Path
) -> None:
    pytest.importorskip("wandb")
    chosen = [runs[0], runs[-1]]
    for _ in range(2):
        to_wandb(chosen, tmp_path)
        folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
        assert len(folders) == 2
    recorded = points(runs)
    found = {name: (config, history) for name, config, history in map(logged, folders)}
    for run_ in chosen:
        config, history = found[run_name(run_)]
        assert config["seed"] == run_.spec["seed"] and config["env_kwargs"] == run_.spec["env_kwargs"]
        assert {(run_.run_id, step) for step in history} == {key for key in recorded if key[0] == run_.run_id}
        for step, values in history.items():
            assert values == pytest.approx(recorded[run_.run_id, step])


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return ended.value.code  # type: ignore[return-value]


def test_the_command_writes_beside_the_runs_and_the_same_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("export", str(folder), "--to", "csv") == 0
    path = folder / "export" / "csv" / "runs.csv"
    assert str(path) in capsys.readouterr().err.replace("\n", "")
    first = path.read_bytes()
    assert call("export", str(folder), "--to", "csv", "--json") == 0
    assert path.read_bytes() == first
    assert json.loads(capsys.readouterr().out)["path"] == str(path)


@pytest.mark.parametrize(
    ("to", "package", "extra"),
    [("parquet", "pyarrow", "data"), ("tensorboard", "torch.utils.tensorboard", "tensorboard"), ("wandb",) * 3],
)
def test_a_missing_package_is_one_line(
    to: str, package: str, extra: str, runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"pip install -e '\.\[{extra}\]'"):
        SINKS[to](runs, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", str(tmp_path), "--to", "csv") == 2
    assert "holds no runs" in capsys.readouterr().err
