"""What the documentation shows of sessions and the page works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from labelling import TOKEN, served
from pool_runs import spec_of

from duelbench.label.session import Session

DOCS = Path(__file__).parents[3] / "docs"


def program(page: str) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    return found


def test_the_session_of_the_docs_plays_a_run(task_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = f'labels=16, options={{"env.task": {task_file!r}}}, '
    code = program("session.md").replace("labels=200, ", small)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["session"].finished and len(names["session"].desk._ledger.answers) == 16
    assert (tmp_path / "results" / "mine" / "runs").is_dir()


def test_the_program_of_the_docs_labels_a_run(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_TOKEN", TOKEN)
    code = program("label.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    spec = spec_of("online", {"task": task_file, "oracle": f"{oracles}:Worth"}, labels=16, batch=8)
    with served(lambda: Session(spec, out=tmp_path)) as (client, session):
        exec(code.replace("http://127.0.0.1:8765", client.base), {})
        assert session.complete and session.desk.answered == 16
