"""Takes the picture of docs/label.md from the page itself: ``python tests/browser/picture.py FILE.png``."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from serving import Served
from texts import write_pairs

GUIDE = """## What is better?

Prefer the response that **answers the question** and that you would rather read.

- Correct beats eloquent.
- Short beats long, if nothing is missing.
- Use *both bad* if neither answers.
"""


def main(path: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "guide.md").write_text(GUIDE, encoding="utf-8")
    pairs = write_pairs(folder / "pairs.jsonl")
    served = Served(folder / "out", "--pairs", pairs, "--guidelines", str(folder / "guide.md"))
    served.start()
    flags = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        flags.add_argument(flag)
    flags.binary_location = shutil.which("chromium")
    driver = webdriver.Chrome(options=flags, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1200, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    )
    driver.get(served.address)
    driver.find_element("id", "annotator").send_keys("ann", "\ue007")
    while not driver.execute_script("return duel !== null && !busy && duel.prompt.startsWith('How do I bake')"):
        driver.execute_script("if (duel && !busy && !duel.prompt.startsWith('How')) answer('tie')")
        time.sleep(0.2)
    driver.save_screenshot(str(path))
    driver.quit()
    served.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
