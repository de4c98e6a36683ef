"""What somebody does on the page, by keyboard."""

from __future__ import annotations

from typing import Any

from serving import Served


def wait(driver: Any, condition: str, seconds: float = 60) -> Any:
    """Until a condition in the page holds."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, seconds, 0.05).until(lambda d: d.execute_script(f"return {condition}"))


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def begin(driver: Any, served: Served, name: str = "ann") -> None:
    """Open the page and type a name, without the mouse."""
    driver.get(served.address)
    wait(driver, "document.activeElement.id === 'annotator'")
    press(driver, name, "\ue007")
    wait(driver, "duel !== null && !busy")


def answer(driver: Any, key: str) -> None:
    """Press a key and wait until the next question, or the end, is there."""
    before = driver.execute_script("return duel.id")
    press(driver, key)
    over = "ending !== ''"
    wait(driver, f"!busy && (duel === null ? {over} : duel.id !== '{before}')")
