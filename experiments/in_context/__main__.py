"""``python -m duelbench.experiments.in_context --out FOLDER``."""

from __future__ import annotations

import tyro

from duelbench.experiments.comparison.command import ArmsOptions, play_arms
from duelbench.experiments.in_context.replies import ask
from duelbench.experiments.in_context.results import results
from duelbench.experiments.in_context.study import IN_CONTEXT
from duelbench.records.files import write_atomic


def main() -> None:
    """Play what the records lack, ask what was never asked, and write RESULTS.md."""
    status = play_arms(IN_CONTEXT, tyro.cli(ArmsOptions).out)
    ask()
    write_atomic(IN_CONTEXT.folder / "RESULTS.md", results())
    raise SystemExit(status)


if __name__ == "__main__":
    main()
