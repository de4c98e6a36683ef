"""The report in a real browser: it loads without an error, and fits a telephone."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from reports import pool_run, suite_run

from duelbench.results.report.page import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = 390  # CSS pixels
WRAPPER = """<!doctype html><html><head><title>not loaded</title></head><body>
<iframe style="width: {width}px; height: 800px; border: 0" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const frame = document.querySelector("iframe"), page = frame.contentDocument.documentElement;
  document.title = "widths " + page.clientWidth + " " + page.scrollWidth + " " + frame.contentDocument.images.length;
  frame.remove();
}};
</script></body></html>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here: pages are not opened in a browser")


def opened(page: str, folder: Path, width: int = PHONE) -> tuple[int, int, int, list[str]]:
    """A page in a frame of this width: the frame's and the content's width, number of images, console errors."""
    wrapper = folder / "wrapper.html"
    wrapper.write_text(WRAPPER.format(width=width, page=html.escape(page)), encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1280,900",
        "--dump-dom",
        wrapper.as_uri(),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>widths (\d+) (\d+) (\d+)</title>", result.stdout)
    assert found, result.stdout[:500]
    errors = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    frame, content, images = map(int, found.groups())
    return frame, content, images, errors


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    long_name = "an_agent_with_a_very_long_name_that_has_no_place_to_break_at_all"
    runs = [
        pool_run(agent, s, w, task)
        for agent, w in {"uniform": 0.5, "online": 0.6, long_name: 0.7}.items()
        for s in range(6)
        for task in ("A", "B" * 60)
    ]
    runs += [
        suite_run(agent, s, 90.0 - 30 * k, task)
        for k, agent in enumerate(("uniform", "greedy", long_name))
        for s in range(6)
        for task in ("basic", "noise", "delay")
    ]
    error = "Traceback\n" + "x" * 300
    runs.append(pool_run("online", 7, 0.6, run_id="failed", finished=False, error=error))
    return write_report(tmp_path_factory.mktemp("report"), runs).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [PHONE, 1200])
def test_the_page_fits_and_loads_without_an_error(report: str, width: int, tmp_path: Path) -> None:
    frame, content, images, errors = opened(report, tmp_path, width)
    assert content <= frame == width and images >= 8 and errors == []


def test_what_does_not_fit_or_fails_is_noticed(report: str, tmp_path: Path) -> None:
    broken = report.replace("<main>", '<main><script>nothing()</script><div style="width: 700px">wide</div>')
    frame, content, _, errors = opened(broken, tmp_path)
    assert content > frame and any("nothing is not defined" in line for line in errors)
