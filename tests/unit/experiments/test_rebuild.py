"""Tables follow from committed records byte for byte, and pages quote nothing that their tables do not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from duelbench.experiments import rebuild
from duelbench.experiments.rebuild import PROSE, TABLES, Table, figures, rows, unknown


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.path.parent.name)
def test_a_table_is_what_its_records_say(table: Table) -> None:
    assert table.path.read_text(encoding="utf-8") == table.text()


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.parent.name)
def test_a_page_quotes_only_what_its_tables_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert figures(text) or rows(text), "a page without figures needs no tables"
    assert unknown(page) == []


def test_what_counts_as_a_figure() -> None:
    text = "**+0.043 [+0.012,\n+0.075]**†, 2.23× [0.93, 3.87], 0.558 ± 0.006, −0.28, 0.749, 140×"
    text += "; not 10, 0.55, `−0.5`, 2–5 or 2 × 3"
    assert figures(text) == [
        "+0.043 [+0.012, +0.075]†",
        "2.23× [0.93, 3.87]",
        "0.558 ± 0.006",
        "−0.28",
        "0.749",
        "140×",
    ]


def test_a_stale_figure_and_a_false_dagger_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, page = tmp_path / "RESULTS.md", tmp_path / "README.md"
    told = "| sea | 0.625 ± 0.011 (**+0.043 [+0.012, +0.075]**) | −0.098 [−0.121, −0.075]† |"
    table.write_text(told, encoding="utf-8")
    monkeypatch.setitem(PROSE, page, (table,))
    page.write_text("0.625, +0.043 [+0.012, +0.075], −0.098 [−0.121, −0.075]†", encoding="utf-8")
    assert unknown(page) == []
    page.write_text("0.25, 0.626, +0.043 [+0.012, +0.076], +0.043 [+0.012, +0.075]†", encoding="utf-8")
    assert unknown(page) == ["0.626", "+0.043 [+0.012, +0.076]", "+0.043 [+0.012, +0.075]†"]


def test_a_row_that_no_table_has_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, page = tmp_path / "RESULTS.md", tmp_path / "README.md"
    table.write_text("| rucb | 12.5 | 0.7 |\n| greedy | 3.25 | |", encoding="utf-8")
    monkeypatch.setitem(PROSE, page, (table,))
    page.write_text("| **rucb** | 12.5 | 0.7 |\n| section 6.1 | 12 |\n\nfaster by 12×", encoding="utf-8")
    assert unknown(page) == ["12×"]
    page.write_text("| rucb | 12.5 | 0.8 |\n| greedy | 3.25 |", encoding="utf-8")
    assert unknown(page) == ["| rucb | 12.5 | 0.8 |", "| greedy | 3.25 |"]


def test_pictures_are_built_from_the_records_too(tmp_path: Path) -> None:
    drawn = [table for table in TABLES if table.draw is not None]
    assert {table.path.parent.name for table in drawn} >= {"sea_paper", "selection_rules"}
    assert rebuild.HERE in {table.path.parent.parent for table in drawn}
