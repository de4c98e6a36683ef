"""A browser that can be driven, or a word of why there is none."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

AXE = Path(__file__).parents[2] / "build" / "axe" / "package" / "axe.min.js"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture
def browser() -> Iterator[Callable[..., Any]]:
    """Opens a window of some size, light or dark."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium with its chromedriver here: `make test-browser` installs them")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium here: `make test-browser` installs it")
    windows: list[Any] = []

    def window(width: int = 1400, height: int = 900, *, dark: bool = False) -> Any:
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = BROWSER
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        windows.append(driver)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        return driver

    yield window
    for driver in windows:
        driver.quit()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    if not AXE.exists():
        pytest.skip("no axe-core here: `make test-browser` fetches it")
    return AXE.read_text(encoding="utf-8")
