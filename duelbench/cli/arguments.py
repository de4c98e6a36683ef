"""What the options of several commands share. A help fits a screen: one line for each option at 100 columns."""

from __future__ import annotations

from typing import Literal

import tyro

UNSET = tyro.conf.arg(help_behavior_hint="")
"""Marks an option that is off or None unless it is given: its help says what that means, if it needs saying."""
REPEATED = tyro.conf.arg(help_behavior_hint="(repeatable)")
"""Marks an option that may be given several times."""
AGENTS = tyro.conf.arg(aliases=["-a"], help_behavior_hint="(repeatable)")
"""Marks the option that names agents."""
CHOICE = tyro.conf.arg(metavar="NAME")
"""Marks an option whose help names its values."""

Optimizer = Literal["dpo", "ipo", "slic", "simpo"]
"""Direct optimizers of the policy."""
