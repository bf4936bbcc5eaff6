"""Drives a headless Chromium: opens a page from a file, waits until its plots are there, reads what
its console has."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: seconds for a page to be ready on a busy machine
PATIENCE = 60.0
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip


@dataclass
class Browser:
    """A browser with one window."""

    driver: Any
    artifacts: Path | None

    @classmethod
    def open(cls, artifacts: Path | None) -> Browser:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(str(shutil.which("chromedriver")))
        driver = webdriver.Chrome(options=options, service=service)
        driver.set_script_timeout(PATIENCE)
        return cls(driver, artifacts)

    def close(self) -> None:
        self.driver.quit()

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """The size of the window in pixels, and whether the reader prefers dark pages."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def show(self, page: Path, plots: bool = True) -> None:
        """Opens a page, and waits for its plots if it has some."""
        self.driver.get_log("browser")
        self.driver.get(page.resolve().as_uri())
        if plots:
            self.until("return document.documentElement.dataset.ready === 'yes'")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """Waits until a script gives something that is true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.run(script, *arguments)
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}; console: {self.errors()}")

    def errors(self) -> list[str]:
        """What the console has that is an error, or a warning."""
        entries = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def keep(self, name: str) -> None:
        """A screenshot among the artifacts."""
        if self.artifacts is not None:
            self.artifacts.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(self.artifacts / f"{name}.png"))

    def violations(self) -> list[str]:
        """What axe-core finds of rules about contrast, names and structure: the rule and a
        selector."""
        from axe_selenium_python import Axe

        axe = Axe(self.driver)
        axe.inject()
        found = axe.run(options={"runOnly": ["wcag2a", "wcag2aa"]})
        return [
            f"{rule['id']}: {json.dumps(node['target'])} {node['html'][:120]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
