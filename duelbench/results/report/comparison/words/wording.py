"""How differences and multipliers are put into words."""

from __future__ import annotations

import numpy as np

from duelbench.results.statistics.curves import Multiplier


def multiplier_text(m: Multiplier) -> str:
    """How many times fewer labels than the base, for example ``2.41× [1.93, 3.10]``; empty where nothing is known.

    One-sided where only one of both got there: ``at least 1.40×``, ``at most 0.83×``.
    """
    if np.isinf(m.base_labels) and np.isinf(m.agent_labels):
        return ""
    if np.isfinite(m.low) and np.isfinite(m.high) and np.isfinite(m.agent_labels):
        return f"{_times(m.value)}× [{_times(m.low)}, {_times(m.high)}]"
    if np.isfinite(m.high):
        return f"at most {_times(m.high)}×"
    if m.low >= _LEAST_SAID:
        return f"at least {_times(m.low)}×"
    return f"{_times(m.value)}×" if np.isfinite(m.value) and m.value > 0 else ""


_LEAST_SAID = 0.005  # a lower bound that would be shown as 0.00 says nothing


def _times(ratio: float) -> str:
    return f"{ratio:.{2 if ratio < 10 else 1}f}"


def signed(value: float) -> str:
    """A difference with its sign and a real minus, as many digits as it deserves."""
    digits = 3 if abs(value) < 10 else 1
    return f"{value:+,.{digits}f}".replace("-", "−")
