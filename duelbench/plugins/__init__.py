"""Anything by name: the loader, and options of what it loads."""

from duelbench.plugins.loader import (
    PluginError,
    announcements,
    did_you_mean,
    find,
    load,
    load_module,
    name_of,
    offered,
    offered_content,
)
from duelbench.plugins.options import Choice, resolved_config, with_options

__all__ = [
    "Choice",
    "PluginError",
    "announcements",
    "did_you_mean",
    "find",
    "load",
    "load_module",
    "name_of",
    "offered",
    "offered_content",
    "resolved_config",
    "with_options",
]
