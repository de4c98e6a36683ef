"""One page for each family of agents: each file of ``agents/`` that agents come from. All have the same headings."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

from sources import ROOT, cited, docstring, options, table

from duelbench.agents.entry import AgentEntry
from duelbench.agents.registry import AGENTS
from duelbench.experiments.reference_regrets.references import REFERENCES
from duelbench.metrics import METRICS

GROUPS = {
    "alignment": "Agents that align a policy",
    "arms.matrix": "Classic dueling bandits",
    "arms.contextual": "Contextual dueling bandits",
    "arms": "Baselines, and agents for one environment",
}
COMMANDS = {
    "alignment": "duelbench run --env LLMDuelPool-v0 --agent {agent} --agent online --seeds 3 --labels 512",
    "arms.matrix": "duelbench run --env MatrixDuel-v0 --preset bt10 --agent {agent} --agent uniform --seeds 20",
    "arms.contextual": "duelbench run --env LinearDuel-v0 --preset c1 --agent {agent} --agent uniform --seeds 10",
    "arms": "duelbench run --env MatrixDuel-v0 --preset bt10 --agent {agent} --seeds 20",
}
ELSEWHERE = {
    "lola": "duelbench run --env HeadlineDuel-v0 --agent {agent} --agent uniform --seeds 10 --labels 1000",
    "in_context": "duelbench run --env MatrixDuel-v0 --preset bernoulli-easy --agent {agent} --seeds 1 --labels 20",
}
"""Commands of the families that have an environment of their own."""
DIAGNOSTICS = {
    "loss": "of the direct optimizer, before the step",
    "accuracy": "share of the round's pairs that the policy's implicit reward orders as the oracle did",
    "margin": "mean difference of implicit reward between preferred and dispreferred responses",
    "grad_norm": "norm of the gradient before clipping",
    "pairs": "pairs that the step learned from",
    "posterior_loss": "of the reward models, in their last step",
    "posterior_accuracy": "share of the round's pairs that the posterior's mean had ordered as the oracle did",
    "parse_failures": "share of replies that named no two arms",
    "position_bias_estimate": "estimated share of duels that the first side wins for being first",
}
TITLES = {
    "reward_model": "Rules as agents",
    "ladder": "The ladder",
    "count_bonus": "Count bonus",
    "double_ts": "Double Thompson sampling",
    "beat_the_mean": "Beat the mean",
    "merge": "MergeRUCB and MergeDTS",
    "swap_orders": "Both orders",
    "in_context": "In context",
    "baselines": "Baselines",
    "interleaved_filter": "Interleaved filter",
    "winner_stays": "Winner stays",
}
"""Titles of pages whose docstring does not begin with one."""
_TRAINED = ("loss", "accuracy", "margin", "grad_norm", "pairs")
_BELIEF = ("posterior_loss", "posterior_accuracy")


def pages() -> dict[str, str]:
    """Path on the site -> Markdown, the index among them."""
    made = {f"agents/{_name(module)}.md": page(module) for module in families()}
    return {"agents/index.md": index()} | made


def families() -> dict[str, list[tuple[str, AgentEntry]]]:
    """Module -> its agents, in the order of the registry."""
    found: dict[str, list[tuple[str, AgentEntry]]] = {}
    for entries in AGENTS.values():
        for name, entry in entries.items():
            found.setdefault(entry.target.partition(":")[0], []).append((name, entry))
    return found


def index() -> str:
    """All agents, by group."""
    parts = ["# Agents\n\nEvery agent by name, with its source. `duelbench list agents` prints the same list."]
    for group, title in GROUPS.items():
        rows = [
            (f"[`{name}`]({_name(module)}.md)", cited(entry.summary))
            for module, entries in families().items()
            if group_of(module) == group
            for name, entry in entries
        ]
        parts.append(f"## {title}\n\n{table(('name', 'what it is'), rows)}")
    return "\n\n".join(parts) + "\n"


def page(module: str) -> str:
    """The page of a family."""
    entries = families()[module]
    first, rest = docstring(module)
    title = TITLES.get(_name(module), first.partition(":")[0].rstrip("."))
    names = table(("name", "what it is"), [(f"`{name}`", cited(entry.summary)) for name, entry in entries])
    group = group_of(module)
    line = command(module, entries[0][0])
    source = module.replace("duelbench.agents", "agents").replace(".", "/") + ".py"
    return f"""# {title}

{names}

## Paper

{_paper(f"{first} {rest}", [entry for _, entry in entries])}

## What it does

{cited(first)}

{cited(rest)}

The code, top to bottom: `{source}`.

## What was verified, and how

{_verified(module, entries)}

## Options

{_options(entries)}

## Logged metrics

{_metrics(module, group)}

## Command

```bash
{line}
```
"""


def command(module: str, agent: str) -> str:
    """What plays an agent beside a baseline."""
    line = ELSEWHERE.get(_name(module), COMMANDS[group_of(module)]).format(agent=agent)
    return line.replace("--agent online --agent online", "--agent online --agent uniform")


def group_of(module: str) -> str:
    """The folder of ``agents/`` that a module is in."""
    inner = module.removeprefix("duelbench.agents.").rpartition(".")[0]
    return inner if inner in GROUPS else "arms"


def _name(module: str) -> str:
    return module.rpartition(".")[2]


def _paper(text: str, entries: list[AgentEntry]) -> str:
    whole = " ".join([text, *(entry.summary for entry in entries)])
    numbers = list(dict.fromkeys(re.findall(r"\b\d{4}\.\d{4,5}\b", whole)))
    named = re.findall(r"\(((?:after |by |as implemented by )?[A-Z][^()]*?\b(?:19|20)\d\d[^()]*)\)", whole)
    said = list(dict.fromkeys(re.sub(r"\s+", " ", one) for one in named))
    said = [one for k, one in enumerate(said) if not any(_same(one, earlier) for earlier in said[:k])]
    lines = [f"* {cited(one)}" for one in said]
    lines += [f"* [arXiv {n}](https://arxiv.org/abs/{n})" for n in numbers if not any(n in one for one in said)]
    return "\n".join(lines) or "None: a baseline, or a design of this project."


def _same(one: str, other: str) -> bool:
    """Whether two citations are of one paper, as far as the first author and the year tell."""
    return one[:4] == other[:4] and re.findall(r"\b(?:19|20)\d\d\b", one) == re.findall(r"\b(?:19|20)\d\d\b", other)


def _verified(module: str, entries: list[tuple[str, AgentEntry]]) -> str:
    names = {name for name, _ in entries}
    classes = {entry.target.partition(":")[2] for _, entry in entries}
    played = [(path, said) for path, said, text in _tests() if _imports(text, module, classes)]
    played = played or [(path, said) for path, said, text in _tests() if any(f'"{name}"' in text for name in names)]
    tests = [f"* `{path}`: {said}" for path, said in played]
    parts = ["Tests that play it:\n\n" + "\n".join(tests)] if tests else []
    rows = [
        (f"`{one.agent}`", one.problem, one.metric.replace("_", " "), _measured(one.mean, one.error), one.source)
        for one in REFERENCES
        if one.agent in names
    ]
    if rows:
        head = ("agent", "problem", "metric", "final value there", "measured with")
        parts.append(
            "Other implementations, which it agrees with "
            "([all of them, in standard errors](../experiments/reference_regrets/README.md)):\n\n" + table(head, rows)
        )
    return "\n\n".join(parts)


def _measured(mean: float, error: float) -> str:
    return f"{mean:,.1f}" + (f" ± {error:,.1f}" if error == error else "")


@cache
def _tests() -> list[tuple[str, str, str]]:
    """Path, first line and text of each test that may play an agent."""
    found = []
    for path in sorted([*(ROOT / "tests/unit/agents").rglob("test_*.py"), *(ROOT / "tests/golden").glob("test_*.py")]):
        text = path.read_text(encoding="utf-8")
        said = re.match(r'"""(.*?)(?:"""|\n)', text)
        found.append((str(Path(path).relative_to(ROOT)), said[1] if said else "", text))
    return found


def _imports(text: str, module: str, classes: set[str]) -> bool:
    return module in text or any(re.search(rf"\bimport .*\b{one}\b", text) for one in classes)


def _options(entries: list[tuple[str, AgentEntry]]) -> str:
    shown: dict[type, str] = {}
    for name, entry in entries:
        place, _, attribute = entry.target.partition(":")
        config = getattr(getattr(importlib.import_module(place), attribute), "Config", None)
        if config is None or config in shown or not (rows := options(config)):
            continue
        cells = [(f"`{option}`", f"`{value}`" if value else "", cited(said)) for option, value, said in rows]
        shown[config] = f"`--set {name}.OPTION=VALUE`:\n\n{table(('option', 'default', 'meaning'), cells)}"
    presets = [
        (f"`{name}`", ", ".join(f"`{key}={value}`" for key, value in entry.options.items()))
        for name, entry in entries
        if entry.options
    ]
    parts = [*shown.values()] or ["None."]
    if presets:
        parts.append("What makes each name:\n\n" + table(("name", "options"), presets))
    return "\n\n".join(parts)


def _metrics(module: str, group: str) -> str:
    source = Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8")
    if group == "alignment":
        belief = "reward_model" in source or "posterior" in source
        names = [*_TRAINED, *(_BELIEF if belief else ())]
        results = ("offline_win_rate", "online_win_rate", "cumulative_average_regret", "simple_regret")
    else:
        names = [name for name in DIAGNOSTICS if f'"{name}"' in source]
        results = ("cumulative_average_regret", "cumulative_weak_regret", "simple_regret", "best_arm_rate")
    rows = [(f"`{name}`", METRICS[name].meaning_of_arms or METRICS[name].meaning) for name in results]
    if group == "alignment":
        rows = [(f"`{name}`", METRICS[name].meaning) for name in results]
    rows += [(f"`{name}`", DIAGNOSTICS[name]) for name in names]
    return table(("metric", "meaning"), rows) + "\n\nAnd every other kind of [regret](../concepts/index.md#regret)."
