"""A table from paper to the command that runs it, from the citations of agents, rules and posteriors."""

from __future__ import annotations

import inspect
import re

from agent_pages import command, families, group_of
from sources import ARXIV, cited, docstring, table

from duelbench.acquisition.registry import RULES
from duelbench.posteriors.registry import POSTERIORS

_CITATION = re.compile(r"\(([^()]*\b(?:(?:19|20)\d\d|\d{4}\.\d{4,5})\b[^()]*)\)")


def pages() -> dict[str, str]:
    """Path on the site -> Markdown."""
    agents = {True: [], False: []}  # type: ignore[var-annotated]
    for module, entries in families().items():
        agents[group_of(module) == "alignment"] += _of_agents(module, entries)
    page = f"""# Papers

From a paper to the command that runs its method. What an implementation was checked against, and where it differs from
its paper, is on the method's page.

## Aligning a policy

{_table(agents[True])}

## Dueling bandits

{_table(agents[False])}

## Rules and posteriors

Parts of any agent with a reward model.

{_table(_parts())}
"""
    return {"papers.md": page}


def _table(rows: list[tuple[str, str, str]]) -> str:
    return table(("paper", "here", "command"), list(dict.fromkeys(rows)))


def _of_agents(module: str, entries: list) -> list[tuple[str, str, str]]:  # type: ignore[type-arg]
    name = module.rpartition(".")[2]
    body = " ".join(docstring(module)) if len(entries) < 10 else ""
    return [
        (paper, f"[`{agent}`](agents/{name}.md)", f"`{command(module, agent).partition(' --seeds')[0]}`")
        for agent, entry in entries
        if (paper := _paper(entry.summary) or _paper(body))
    ]


def _parts() -> list[tuple[str, str, str]]:
    rules = [(name, "rule", "selection", inspect.getdoc(rule) or "") for name, rule in RULES.items()]
    beliefs = [
        (name, "posterior", "posterior", " ".join(docstring(target.partition(":")[0])))
        for name, target in POSTERIORS.items()
    ]
    return [
        (paper, f"{kind} `{name}`", f"`duelbench run --agent sea --set sea.{option}={name}`")
        for name, kind, option, text in rules + beliefs
        if (paper := _paper(text))
    ]


def _paper(text: str) -> str:
    """The first paper that a text cites; nothing if it cites none."""
    if found := _CITATION.search(text):
        return cited(re.sub(r"\s+", " ", found[1]))
    number = ARXIV.search(text)
    return cited(number[0]) if number else ""
