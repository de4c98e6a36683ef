"""One page for each environment that the package registers, from its card: the docstrings, presets and defaults."""

from __future__ import annotations

import inspect

from sources import attributes, cited, docstring, shown, table, without_parts

import duelbench
from duelbench.envs.registration import env_classes
from duelbench.study.settings import known_settings


def pages() -> dict[str, str]:
    """Path on the site -> Markdown, the index among them."""
    rows = [(f"[`{env_id}`]({env_id}.md)", _headline(entry)) for env_id, entry in duelbench.ENV_IDS.items()]
    index = f"""# Environments

`import duelbench` registers them with Gymnasium. One episode is a budget of `horizon` labels; `gym.make_vec` makes one
call of the oracle for all its environments. [Write your own](../guides/env.md).

{table(("id", "what it is"), rows)}
"""
    return {"environments/index.md": index} | {
        f"environments/{env_id}.md": page(env_id, entry) for env_id, entry in duelbench.ENV_IDS.items()
    }


def page(env_id: str, entry: str) -> str:
    """The page of an environment."""
    _, rest = _card(entry)
    problem = env_classes(env_id)[0].make_problem
    text = inspect.getdoc(problem) or ""
    meanings = attributes(text, "Args")
    if "Arguments as for ``OracleProblem``" in text:
        meanings = attributes(docstring("duelbench.envs.text.llm_duel:OracleProblem")[1], "Args") | meanings
    defaults = inspect.signature(problem).parameters if callable(problem) else {}
    rows = [
        (f"`{name}`", _default(defaults, name), cited(meaning)) for name, meaning in meanings.items() if name != "self"
    ]
    settings = known_settings()[env_id]
    presets = [
        (f"`{name}`", ", ".join(f"`{key}={value}`" for key, value in chosen.items()))
        for name, chosen in settings.presets.items()
    ]
    agents = ", ".join(f"`{agent}`" for agent in settings.agents)
    return f"""# {env_id}

{_headline(entry)}

{cited(rest)}

{without_parts(text)}

## Arguments

`gym.make("{env_id}", NAME=VALUE)`, or `--set env.NAME=VALUE`. Every environment also takes `horizon`.

{table(("argument", "default", "meaning"), rows)}

## Presets

{table(("preset", "arguments"), presets) if presets else "None."}

## What is played by default

`duelbench run --env {env_id}` plays {settings.seeds} seeds of {settings.labels:,} labels, {settings.batch} per round,
with {agents}.
"""


def _card(entry: str) -> tuple[str, str]:
    return docstring("duelbench.envs." + entry.partition(":")[0])


def _headline(entry: str) -> str:
    first = _card(entry)[0]
    said = first.partition(": ")[2] or first
    return cited(said[:1].upper() + said[1:])


def _default(parameters: object, name: str) -> str:
    found = parameters.get(name) if hasattr(parameters, "get") else None
    if found is None or found.default is inspect.Parameter.empty:
        return ""
    return f"`{shown(found.default)}`"
