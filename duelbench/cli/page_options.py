"""The page on which people answer, as the commands that serve it share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from rich.console import Console

from duelbench.cli.arguments import UNSET
from duelbench.errors import UsageError, install

if TYPE_CHECKING:
    from duelbench.label.questionnaire import Questionnaire

console = Console(stderr=True)
_PACKAGES = ("starlette", "uvicorn", "markdown_it")
_OWN = ("127.0.0.1", "localhost", "::1")
Asked = TypeVar("Asked", bound="Questionnaire")


@dataclass(frozen=True)
class PageOptions:
    """For people who answer."""

    annotators: int = 1
    """People who judge each duel; the majority is the answer."""
    repeats: float = 0.0
    """Share of questions that the person has answered before."""
    lease: float = 600.0
    """Seconds until an unanswered duel goes to somebody else."""
    guidelines: Annotated[Path | None, UNSET] = None
    """Markdown file that is shown next to the questions."""
    title: Annotated[str | None, UNSET] = None
    """Heading of the page. Default: the question."""
    host: str = "127.0.0.1"
    """Another address is open to your network, unencrypted."""
    port: int = 8765
    """Port; 0 takes any that is free."""


def serve_page(
    options: PageOptions,
    out: Path,
    make: Callable[[], Asked],
    command: str,
    question: str = "Which response is better?",
) -> Asked:
    """Serve the page until everything is answered, and say where it is; returns the closed questionnaire.

    Args:
        options: options of the page.
        out: output folder; the page's token is kept there.
        make: opens the questionnaire.
        command: the command that serves it, for a message.
        question: heading of the page, if the options name none.

    Raises:
        UsageError: a package or the file with the guidelines is missing, or the port is taken.
    """
    try:
        from duelbench.label.web.serving import Page, serve, token_of
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise UsageError(f"{command} needs {error.name}: {install('label')}") from error
    guidelines = options.guidelines.read_text(encoding="utf-8") if options.guidelines else ""
    if options.host not in _OWN:
        console.print(
            f"[yellow]Open to the network at {options.host}, without encryption:[/yellow] whoever has the address can "
            "answer",
            highlight=False,
        )
    page = Page(token_of(out), options.host, options.port, guidelines, options.title or question)
    return serve(make, page, _say_address)


def _say_address(asked: Questionnaire, address: str) -> None:
    done = f", {asked.desk.answered:,} of them answered" if asked.desk.answered else ""
    console.print(f"{asked.budget:,} duels{done}. Answer them here, and stop with Ctrl-C:", highlight=False)
    console.print(address, markup=False, highlight=False, soft_wrap=True)
