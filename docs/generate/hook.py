"""Adds to the site what is generated: agents, environments, papers, API, and the pages of the experiments.

mkdocs calls it (``hooks`` in mkdocs.yml). README is the front page. Links lead in the repository as they stand, and are
changed here to where the files are on the site.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import agent_pages
import api_pages
import env_pages
import paper_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from sources import ROOT, relinked, site_of

STUDIES = sorted(path for path in (ROOT / "experiments").rglob("*") if path.suffix in (".md", ".png"))
COPIED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *STUDIES]


def generated() -> dict[str, str]:
    """Path on the site -> Markdown of every page that no file holds."""
    return agent_pages.pages() | env_pages.pages() | paper_pages.pages() | api_pages.pages()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those that lie elsewhere in the repository."""
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    for path in COPIED:
        place = site_of(str(path.relative_to(ROOT)))
        assert place is not None
        if path.suffix == ".md":
            text = relinked(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
            files.append(File.generated(config, place, content=text))
        else:
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links of the pages that lie in docs/."""
    source = page.file.abs_src_path
    if source is None or not Path(source).is_relative_to(ROOT / "docs"):
        return markdown
    return relinked(markdown, str(Path(source).relative_to(ROOT)))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages where mkdocs.yml has the name of their folder."""
    parts = {
        "agents/": _agents(),
        "environments/": sorted(env_pages.pages(), key=lambda place: "index" not in place),
        "findings/": ["findings/index.md", *_studies()],
        "api/": ["api/index.md", {"Command line": "api/commands.md"}, *map(api_pages.page_of, api_pages.rooms())],
    }
    config.nav = [
        {title: parts.get(inner, inner) if isinstance(inner, str) else inner}
        for entry in config.nav or []
        for title, inner in entry.items()
    ] + [{"Contribute": ["contributing.md", "changelog.md"]}]
    return config


def _agents() -> list[Any]:
    by_group: list[Any] = ["agents/index.md"]
    for group, title in agent_pages.GROUPS.items():
        modules = [module for module in agent_pages.families() if agent_pages.group_of(module) == group]
        by_group.append({title: [f"agents/{module.rpartition('.')[2]}.md" for module in modules]})
    return by_group


def _studies() -> list[Any]:
    places = [str(path.relative_to(ROOT)) for path in STUDIES if path.suffix == ".md"]
    return [
        {f"Tables of {place.split('/')[1]}": place} if place.endswith("RESULTS.md") else place
        for place in sorted(places, key=lambda place: place.count("/"))
    ]
