"""The record of a measurement as tables, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

_PARTS = ("generate", "read", "choose", "judge", "learn", "reward model")
_AGENTS = ("online", "sea", "ide")

Record = dict[str, Any]


def tables(record: Record) -> str:
    """Everything, most important first."""
    parts = [_machine(record), _tests(record), _models(record), _shares(record), _race(record), _runs(record)]
    return "\n\n".join(part for part in parts if part)


def _of(record: Record, kind: str) -> list[Record]:
    return [row for row in record["rows"] if row["kind"] == kind]


def _machine(record: Record) -> str:
    card = record["card"]
    if "failed" in card:
        said = f"The machine could not be looked at: {card['failed']}"
    else:
        versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
        copied = f"copies {card['copy_bytes_per_s'] / 1e9:,.0f} GB/s, read and written"
        said = f"{card['device']}, driver {card['driver'] or 'none'}, {copied}; {versions}; commit {card['commit']}"
    return "\n".join([said, f"`{record['command']}`", *(f"Left out: {reason}." for reason in record["left_out"])])


def _tests(record: Record) -> str:
    lines = []
    for row in _of(record, "tests"):
        if "failed" in row:
            lines.append(f"GPU tests: failed: {row['failed']}")
            continue
        ended = {outcome: names for outcome, names in row["tests"].items() if names}
        said = ", ".join(f"{len(names)} {outcome}" for outcome, names in ended.items())
        lines.append(f"GPU tests: {said}" + "".join(f"\n* failed: {name}" for name in ended.get("failed", [])))
    return "\n".join(lines)


def _models(record: Record) -> str:
    rate = record["card"].get("copy_bytes_per_s")

    def cells(row: Record) -> Iterable[str]:
        yield f"{row['tokens_per_s']:,.0f}"
        yield f"{1e3 * row['decode_step_s']:.2f}"
        yield f"{row['decode_bytes_per_s'] / rate:.1%}" if rate else "–"
        yield from (f"{row[agent]['labels_per_s']:,.1f}" for agent in _AGENTS)
        yield _gib(row["weights_gib"])
        yield _gib(row["draw_gib"])
        yield from (_gib(row[agent]["gib"]) for agent in _AGENTS)

    labels = [f"{agent} labels/s" for agent in _AGENTS]
    memory = ["GiB loaded", "drawing", *_AGENTS]
    columns = ["tokens/s", "ms a decoding step", "of the bandwidth bound", *labels, *memory]
    return _table(_of(record, "agents"), columns, cells)


def _shares(record: Record) -> str:
    def cells(row: Record) -> Iterable[str]:
        for agent in _AGENTS:
            yield " / ".join(f"{100 * row[agent]['share'][part]:.0f}" for part in _PARTS)

    rows = [row for row in _of(record, "agents") if "failed" not in row]
    head = f"Share of a round in percent: {' / '.join(_PARTS)}.\n\n"
    return head + _table(rows, list(_AGENTS), cells) if rows else ""


def _race(record: Record) -> str:
    """Each contender's queries a second, and how many times TRL's, without and with vLLM."""
    rows, batch = _of(record, "race"), record["race"]["batch"]
    rates = {(row["name"], row["what"]): batch / row["step_wall_s"] for row in rows if "failed" not in row}

    def cells(row: Record) -> Iterable[str]:
        rate = rates[row["name"], row["what"]]
        yield f"{rate:,.1f}"
        yield f"{1e3 * row['step_wall_s']:.0f}"
        for rival in ("TRL", "TRL, vLLM"):
            theirs = rates.get((row["name"], rival))
            yield f"{rate / theirs:.2f}" if theirs else "–"
        yield f"{row['peak_gpu_gib']:.1f}" if "peak_gpu_gib" in row else "–"
        for part in ("generate", "ref_forward", "policy_forward", "policy_backward"):
            yield f"{1e3 * row['split_wall_cpu_s'].get(part, [0.0])[0]:.0f}"

    columns = ["queries/s", "ms a step", "× TRL", "× TRL with vLLM", "GiB", "generate", "reference", "forward", "back"]
    return _table(rows, columns, cells)


def _runs(record: Record) -> str:
    def cells(row: Record) -> Iterable[str]:
        yield from (f"{row['whole_run_s']:.0f}", f"{row['labels']:.0f}", f"{row['offline_win_rate']:.3f}")

    return _table(_of(record, "run"), ["s", "labels", "offline win rate"], cells)


def _table(rows: Sequence[Record], columns: list[str], cells: Callable[[Record], Iterable[str]]) -> str:
    """One line a row; one that failed says why in place of its figures."""
    if not rows:
        return ""
    lines = [f"| | | {' | '.join(columns)} |", "|---|---|" + "---:|" * len(columns)]
    for row in rows:
        failed = row.get("failed")
        figures = [f"failed: {failed}".replace("|", "/")] if failed else list(cells(row))
        figures += [""] * (len(columns) - len(figures))
        lines.append(f"| {row['name']} | {row['what']} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _gib(peak: dict[str, float]) -> str:
    return f"{peak.get('device', peak.get('process', float('nan'))):.1f}"
