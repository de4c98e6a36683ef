"""What the numbers of a run depend on besides its specification: packages, revision, machine."""

from __future__ import annotations

import functools
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("duelbench", "gymnasium", "numpy", "scipy", "torch", "transformers", "safetensors")


@functools.cache
def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


@functools.cache
def git_state() -> str:
    """Commit of the working folder's repository with ``-dirty`` if it was changed, or an empty string."""
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()


def machine() -> dict[str, str]:
    """What the numbers of a run can depend on below the packages: system, processor, accelerator.

    A process that has not loaded torch computes without an accelerator, and is not made to load it for its name.
    """
    torch = sys.modules.get("torch")
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "accelerator": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "",
    }


@functools.cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return model or platform.processor()
