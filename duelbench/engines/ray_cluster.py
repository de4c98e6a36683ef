"""The way into a Ray cluster."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["connect", "ray"]

try:
    import ray
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("Ray is not installed: pip install 'duelbench[ray]'") from missing


def connect() -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one here, unless this process is in one."""
    if not ray.is_initialized():
        own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        ray.init(log_to_driver=False, **own)
