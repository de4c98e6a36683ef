"""Where numbers come from, as HTML: which runs are there and which are not, tracebacks, commands, versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from duelbench.records.record import Run
from duelbench.results.report.comparison import Section
from duelbench.results.report.subject import Subject
from duelbench.results.report.tables import NOTHING, agent_name, anchor, table

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
    said = _count(total["finished"], "finished run")
    if subject.planned is not None:
        said = f"{total['finished']:,} of {_count(total.total(), 'planned run')} finished"
    said += "".join(f", {total[name]:,} {name}" for name in _STATES[1:] if total[name])
    if total.total() > total["finished"]:
        said += " (shown as such, in no average)"
    said += f"; besides them {_count(extra.total(), 'run')} not of the plan" if extra else ""
    older = sum(len(left.runs) for section in subject.sections for left in section.older)
    return said + (f"; {_count(older, 'run')} of older versions left out" if older else "")


def completeness(subject: Subject) -> str:
    """Finished runs of all by task and agent; empty where everything is finished."""
    counts = {(s.name, a): states(s, a) for s in subject.sections for a in s.agents}
    if all(found.total() == found["finished"] for found in counts.values()):
        return ""
    agents = list(dict.fromkeys(agent for section in subject.sections for agent in section.agents))
    rows = [
        [f'<a href="#{s.slug}">{escape(s.name)}</a>', *(_cell(s, a, counts.get((s.name, a))) for a in agents)]
        for s in subject.sections
    ]
    return f"<h3>What is finished</h3>\n{table(['task', *map(escape, agents)], rows)}"


def _cell(section: Section, agent: str, found: Counter[str] | None) -> str:
    if found is None:
        return NOTHING
    if found.total() == found["finished"]:
        return f"{found['finished']:,}"
    link = f'<a href="#{anchor(section, agent, "unfinished")}">{found["finished"]:,} of {found.total():,}</a>'
    return f'<span class="incomplete">{link}</span>'


def run_ids(section: Section) -> str:
    """The runs behind the numbers; seeds that were recorded together share an id."""
    rows = []
    for agent, runs in section.agents.items():
        together: dict[str, list[Run]] = {}
        for run in runs:
            together.setdefault(run.run_id.rpartition("/")[0] or f"{run.spec['seed']}: {run.run_id}", []).append(run)
        texts = [name + (f" ({len(same)} seeds)" if len(same) > 1 else "") for name, same in together.items()]
        ids = f'<div class="ids">{_codes(texts)}</div>' if texts else NOTHING
        if len(texts) > _SHOWN_IDS:
            ids = f"<details><summary>{len(texts):,} runs</summary>{ids}</details>"
        rows.append([f'<span id="{anchor(section, agent)}">{agent_name(section, agent)}</span>', ids])
    head = ["agent", "finished runs" if section.numeric else "finished runs, seed: id"]
    return table(head, rows, left=2, wrap=True)


def unfinished(section: Section) -> str:
    """Runs that failed, stopped early or are missing: how far they came and why; equal ends in one row."""
    rows, traces = [], []
    for agent in section.agents:
        name = f'<span id="{anchor(section, agent, "unfinished")}">{escape(agent)}</span>'
        for (how, reason, trace), runs in _alike(_unfinished(section, agent)).items():
            ids = "" if how == "missing" else _codes([run.run_id for run in runs])
            if len(runs) > _SHOWN_IDS and ids:
                ids = f"<details><summary>{len(runs):,} runs</summary>{ids}</details>"
            seeds = _seeds(runs)
            rows.append([name, how, seeds, _reached(runs), ids or NOTHING, escape(reason)])
            name = escape(agent)
            if trace:
                title = f"traceback of {escape(agent)}, seed{'' if seeds.isdigit() else 's'} {seeds}"
                traces.append(f"<details><summary>{title}</summary><pre>{escape(trace)}</pre></details>")
    head = ["agent", "state", "seeds", "labels", "runs", "reason"]
    return table(head, rows, left=6, wrap=True) + "".join(traces)


def how_made(subject: Subject) -> str:
    """Commands, versions, revision, dates and the tasks' settings."""
    manifests = [run.manifest for run in {run.folder_id: run for run in subject.everyone}.values() if run.manifest]
    commands = Counter(str(m["command"]) for m in manifests if m.get("command"))
    versions = Counter(
        ", ".join(f"{name} {version}" for name, version in sorted(m["versions"].items()))
        for m in manifests
        if m.get("versions")
    )
    revisions = sorted({str(m["git"]) for m in manifests if m.get("git")})
    created = sorted(str(m["created"]) for m in manifests if m.get("created"))
    parts = ['<section id="provenance">\n<h2>How this was made</h2>']
    parts += [f"<pre>{escape(command)}</pre>" for command in commands]
    for text, n in versions.items():
        who = f" ({_count(n, 'run')})" if len(versions) > 1 else ""
        parts.append(f'<p class="quiet">Versions{who}: {escape(text)}</p>')
    if revisions:
        parts.append(f'<p class="quiet">Revision: <code>{escape(", ".join(revisions))}</code></p>')
    if created:
        span = created[0] if created[0] == created[-1] else f"{created[0]} to {created[-1]}"
        parts.append(f'<p class="quiet">Runs created: {escape(span)}</p>')
    settings = {s.title: _settings(s.runs[0]) for s in subject.sections if s.runs}
    text = json.dumps(settings, indent=2, default=str)
    parts.append(f"<details><summary>Settings of the tasks</summary><pre>{escape(text)}</pre></details></section>")
    return "\n".join(parts)


def _settings(run: Run) -> dict[str, object]:
    """Of the environment, defaults included where the run recorded them; and how the deployed policy was judged."""
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
    """Labels that the runs came to, of how many."""
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


def _codes(texts: Sequence[str]) -> str:
    return " ".join(f"<code>{escape(text)}</code>" for text in texts)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
