"""Where numbers come from: which runs are there and which are not, tracebacks, commands, versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from duelbench.records.record import Run
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.grids import NOTHING
from duelbench.results.report.parts.tables import agent_name, anchor
from duelbench.results.report.rendering import Table, joined, link, render
from duelbench.results.report.subject import Subject

_SHOWN_IDS = 12  # more are folded away
_STATES = ("finished", "failed", "unfinished", "missing")


def state(run: Run) -> str:
    """``finished``, ``failed``, ``unfinished`` (begun and stopped early) or ``missing`` (planned, never begun)."""
    if run.missing:
        return "missing"
    return "failed" if run.error else "finished" if run.finished else "unfinished"


def states(section: Section, agent: str) -> Counter[str]:
    """How many of an agent's runs are in each state; a run of many seeds counts as many."""
    found = Counter({"finished": len(section.agents[agent])})
    for run in _unfinished(section, agent):
        found[state(run)] += _seeds_of(run)
    return found


def progress(subject: Subject) -> str:
    """How many of all runs are finished, failed, unfinished and missing, in a sentence."""
    total = Counter(state(run) for run in subject.everyone for _ in range(_seeds_of(run)))
    extra = Counter(state(run) for run in subject.unplanned for _ in range(_seeds_of(run)))
    total -= extra
    planned = subject.planned is not None and total.total() > 0
    if not planned:  # nothing here was planned, as after `duelbench run` into the folder of a sweep
        total, extra = total + extra, Counter()
    said = _count(total["finished"], "finished run")
    if planned:
        said = f"{total['finished']:,} of {_count(total.total(), 'planned run')} finished"
    said += "".join(f", {total[name]:,} {name}" for name in _STATES[1:] if total[name])
    if total.total() > total["finished"]:
        said += " (shown as such, in no average)"
    said += f"; besides them {_count(extra.total(), 'run')} not of the plan" if extra else ""
    older = sum(len(left.runs) for section in subject.sections for left in section.older)
    return said + (f"; {_count(older, 'run')} of older versions left out" if older else "")


def completeness(subject: Subject) -> Table | None:
    """Finished runs out of all, by task and agent; None where everything is finished."""
    counts = {(s.name, a): states(s, a) for s in subject.sections for a in s.agents}
    if all(found.total() == found["finished"] for found in counts.values()):
        return None
    agents = list(dict.fromkeys(agent for section in subject.sections for agent in section.agents))
    rows = [
        [link(f"#{s.slug}", s.name), *(_cell(s, a, counts.get((s.name, a))) for a in agents)] for s in subject.sections
    ]
    return Table(["task", *agents], rows)


def _cell(section: Section, agent: str, found: Counter[str] | None) -> str:
    if found is None:
        return NOTHING
    if found.total() == found["finished"]:
        return f"{found['finished']:,}"
    target = f"#{anchor(section, agent, 'unfinished')}"
    return Markup('<span class="incomplete">{}</span>').format(
        link(target, f"{found['finished']:,} of {found.total():,}")
    )


def left_out(problems: Sequence[str]) -> Markup:
    """Records that cannot be read, and why; empty where there are none."""
    if not problems:
        return Markup()
    lines = Markup().join(Markup("<li>{}</li>").format(problem) for problem in problems)
    title = f"{_count(len(problems), 'record')} that cannot be read, in no number below"
    return Markup('<details class="incomplete"><summary>{}</summary><ul>{}</ul></details>').format(title, lines)


def run_ids(section: Section, folder: Path) -> Table:
    """The runs behind the numbers, each a link to its folder; seeds that were recorded together share an id."""
    rows = []
    for agent, runs in section.agents.items():
        together: dict[str, list[Run]] = {}
        for run in runs:
            together.setdefault(run.run_id.rpartition("/")[0] or f"{run.spec['seed']}: {run.run_id}", []).append(run)
        texts = [
            _code(name + (f" ({len(same)} seeds)" if len(same) > 1 else ""), same[0], folder)
            for name, same in together.items()
        ]
        name = Markup('<span id="{}">{}</span>').format(anchor(section, agent), agent_name(section, agent))
        rows.append([name, _ids(texts) if texts else NOTHING])
    head = ["agent", "finished runs" if section.numeric else "finished runs, seed: id"]
    return Table(head, rows, left=2, wrap=True)


def unfinished(section: Section, folder: Path) -> Markup:
    """Runs that failed, stopped early or are missing: how far they came and why; equal ends in one row."""
    rows, traces = [], []
    for agent in section.agents:
        name: str = Markup('<span id="{}">{}</span>').format(anchor(section, agent, "unfinished"), agent)
        for (how, reason, trace), runs in _alike(_unfinished(section, agent)).items():
            ids = NOTHING if how == "missing" else _ids([_code(run.run_id, run, folder) for run in runs])
            seeds = _seeds(runs)
            rows.append([name, how, seeds, _reached(runs), ids, reason])
            name = agent
            if trace:
                title = f"traceback of {agent}, seed{'' if seeds.isdigit() else 's'} {seeds}"
                traces.append(render("details.html", title=title, body=Markup("<pre>{}</pre>").format(trace)))
    head = ["agent", "state", "seeds", "labels", "runs", "reason"]
    return joined([Table(head, rows, left=6, wrap=True).__html__(), *traces])


def _ids(codes: Sequence[Markup]) -> Markup:
    shown = Markup('<div class="ids">{}</div>').format(Markup(" ").join(codes))
    if len(codes) <= _SHOWN_IDS:
        return shown
    return render("details.html", title=f"{len(codes):,} runs", body=shown)


def _code(text: str, run: Run, folder: Path) -> Markup:
    """A run's id; a link to its records where these lie in the folder of the page."""
    shown = Markup("<code>{}</code>").format(text)
    if run.folder is None or not run.folder.is_relative_to(folder):
        return shown
    return link(f"{run.folder.relative_to(folder).as_posix()}/", shown)


def how_made(subject: Subject) -> Markup:
    """Commands, versions, revision, dates and the tasks' settings."""
    manifests = [run.manifest for run in {run.folder_id: run for run in subject.everyone}.values() if run.manifest]
    commands = Counter(str(m["command"]) for m in manifests if m.get("command"))
    versions = Counter(
        ", ".join(f"{name} {version}" for name, version in sorted(m["versions"].items()))
        for m in manifests
        if m.get("versions")
    )
    created = sorted(str(m["created"]) for m in manifests if m.get("created"))
    settings = {s.title: _settings(s.runs[0]) for s in subject.sections if s.runs}
    return render(
        "provenance.html",
        commands=list(commands),
        versions=[(f" ({_count(n, 'run')})" if len(versions) > 1 else "", text) for text, n in versions.items()],
        revisions=", ".join(sorted({str(m["git"]) for m in manifests if m.get("git")})),
        created=" to ".join(dict.fromkeys((created[0], created[-1]))) if created else "",
        settings=json.dumps(settings, indent=2, default=str),
    )


def _settings(run: Run) -> dict[str, object]:
    """Settings of the environment, with defaults where the run recorded them, and of judging."""
    resolved = (run.spec.get("resolved") or {}).get("env")
    asked = resolved or {"env": run.spec["env"], "labels": run.spec.get("labels")} | (run.spec.get("env_kwargs") or {})
    return asked | ({"judging": run.spec["judging"]} if run.spec.get("judging") else {})


def number_ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers, neighbours together: ``0–9, 12``.

    >>> number_ranges([3, 1, 2, 7, 8, 5])
    '1–3, 5, 7–8'
    """
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(f"{g[0]}–{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)


def _unfinished(section: Section, agent: str) -> list[Run]:
    return [run for name, run in section.unfinished if name == agent]


def _alike(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[Run]]:
    """Runs by how they ended: (state, reason, traceback)."""
    found: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        trace = (run.error or "").strip()
        reason = trace.splitlines()[-1] if trace else "not begun" if run.missing else "stopped early"
        found.setdefault((state(run), reason, trace), []).append(run)
    return found


def _reached(runs: Sequence[Run]) -> str:
    """Labels that the runs reached, out of how many."""
    reached = sorted(float(run.rows[-1]["labels"]) if run.rows else 0.0 for run in runs)
    text = f"{reached[0]:,.0f}" if reached[0] == reached[-1] else f"{reached[0]:,.0f} to {reached[-1]:,.0f}"
    budgets = {run.spec.get("labels") for run in runs}
    budget = budgets.pop() if len(budgets) == 1 else None
    return f"{text} of {budget:,}" if isinstance(budget, int) else text


def _seeds(runs: Sequence[Run]) -> str:
    """The runs' seeds, all of those that were to move in lock-step."""
    firsts = [(int(run.spec["seed"]), _seeds_of(run)) for run in runs]
    return number_ranges({seed for first, n in firsts for seed in range(first, first + n)})


def _seeds_of(run: Run) -> int:
    """How many seeds a run stands for: those of a finished lock-step are runs of their own."""
    return 1 if run.finished else int(run.spec.get("lockstep") or 1)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
