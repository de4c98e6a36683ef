"""Anything by name: one loader for agents, environments, oracles, posteriors, rules, tasks and sweeps.

A *target* says where code is: ``package.module:Name`` or ``path/to/file.py:Name``. A *name* is looked up first among
what the library has (a table from name to target or object), then among the entry points that installed packages
announce, and is read as a target otherwise. In Python the object itself does as well.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from duelbench.errors import UsageError, lacking
from duelbench.records.content import digest, object_digest, sources, state_digest


class PluginError(UsageError):
    """No code answers to a name, or what answers is not what was wanted."""


class _FromSource(SourceFileLoader):
    """Compiles a user's file each time: Python's cache takes one for unchanged that has the same second and size."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _from_source(folder: Path) -> None:
    """Let what is imported from a folder of users' files be compiled each time too."""
    kinds = (ExtensionFileLoader, EXTENSION_SUFFIXES), (_FromSource, SOURCE_SUFFIXES)
    sys.path_importer_cache[str(folder)] = FileFinder(str(folder), *kinds)


_OF_FILE = "_duelbench_plugin_"
"""How the modules of users' files are called."""
_HERE = "python"
_offered: dict[str, tuple[Any, str]] = {}
"""Objects of this process by the names that stand for them, and what they held when they were named."""


def name_of(thing: Any) -> str:
    """The name that stands for an object where a name is expected.

    Of a class or a function that others can import, it is the target. What only this process has, a class that was
    typed at a prompt or stands inside a function, goes by a name that holds as long as the process lives; the same code
    under the same name later replaces it. So does any other object: a task, an oracle. It is known by its class and by
    what it holds when it is first named.

    >>> name_of(PluginError)
    'duelbench.plugins.loader:PluginError'
    """
    if isinstance(thing, str):
        return thing
    if not inspect.isclass(thing) and not inspect.isroutine(thing):
        known = next((name for name, (other, _) in _offered.items() if other is thing), None)
        return known or _offer(type(thing).__name__, thing, state_digest(thing))
    module, name = str(thing.__module__), str(thing.__qualname__)
    home = sys.modules.get(module)
    if home is not None and getattr(home, name, None) is thing and module != "__main__":
        place = str(home.__file__) if module.startswith(_OF_FILE) else module
        if module.startswith(_OF_FILE) or importlib.util.find_spec(module) is not None:
            return f"{place}:{name}"
    return _offer(name.rpartition(".")[2], thing)


def _offer(label: str, thing: Any, content: str = "") -> str:
    own = f"{_HERE}:{label}{content and '-'}{content[:8]}"
    _offered[own] = thing, content
    return own


def offered(name: str) -> Any:
    """The object of this process that a name of ``name_of`` stands for; None for any other name."""
    return _offered[name][0] if name in _offered else None


def offered_content(name: str) -> str:
    """Hash of what such an object is: of its code, and of what it held when it was named."""
    thing, content = _offered[name]
    return content or object_digest(thing)


def find(name: str, known: Mapping[str, Any], *, kind: str) -> Any:
    """What a name stands for.

    Args:
        name: a key of ``known``, an entry point of the group ``duelbench.KINDs``, or a target.
        known: by name what the library has itself: objects, or targets, which are loaded only now.
        kind: what is looked for, for messages and the group of entry points: ``agent``, ``oracle``, ``env`` ...

    Raises:
        PluginError: with the nearest known name.

    >>> find("upper", {"upper": str.upper}, kind="rule")("a")
    'A'
    """
    if name in known:
        found = known[name]
        return load(found, kind=kind) if isinstance(found, str) else found
    announced = announcements(kind)
    if name in announced:
        return load(announced[name], kind=kind)
    if ":" in name:
        return load(name, kind=kind)
    names = [*known, *announced]
    raise PluginError(
        f"unknown {kind} {name!r}: expected one of {', '.join(sorted(names))}, package.module:Name or "
        f"path/to/file.py:Name{did_you_mean(name, names)}"
    )


def announcements(kind: str) -> dict[str, str]:
    """Targets by name that installed packages announce as entry points of the group ``duelbench.KINDs``."""
    return {entry.name: entry.value for entry in entry_points(group=f"duelbench.{kind}s")}


def load(target: str, *, kind: str) -> Any:
    """The object at a target.

    Raises:
        PluginError: there is no such file, module or attribute, or its code fails when it is imported.
    """
    if target in _offered:
        return _offered[target][0]
    place, colon, attribute = target.rpartition(":")
    if not colon or not place or not attribute:
        raise PluginError(f"{kind} {target!r}: expected package.module:Name or path/to/file.py:Name")
    module = load_module(place, kind=kind)
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise PluginError(f"{kind} {target!r}: {place} has no {attribute!r}{did_you_mean(attribute, names)}")
    return getattr(module, attribute)


def load_module(place: str, *, kind: str) -> ModuleType:
    """The module of a dotted name, which may lie in the working folder, or of a ``.py`` file.

    A file is executed anew whenever it or a neighbour that it imports changed, and stands in ``sys.modules`` meanwhile
    and afterwards, so that dataclasses and annotations work in it as in any module.

    Raises:
        PluginError: there is no such file or module, or its code fails.
    """
    try:
        if place.endswith(".py"):
            return _module_of_file(Path(place), kind)
        folder = str(Path.cwd())
        if folder not in sys.path and "" not in sys.path:
            sys.path.append(folder)  # the console script does not add it, as ``python -m`` does
        return importlib.import_module(place)
    except PluginError:
        raise
    except ModuleNotFoundError as error:
        if how := lacking(error):
            name = place if place.endswith(".py") else place.rpartition(".")[2]
            raise PluginError(f"{kind} {name!r} needs {error.name}: {how}") from error
        raise PluginError(f"{kind} {place!r} cannot be imported: {error}") from error
    except Exception as error:
        raise PluginError(f"{kind} {place!r} fails when it is imported: {type(error).__name__}: {error}") from error


def _module_of_file(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"{kind}: there is no file {path}")
    where = path.resolve()
    files = sources(str(where))
    place = hashlib.sha256(str(where.parent).encode()).hexdigest()[:8]
    name = f"{_OF_FILE}{path.stem}_{digest(files, where.parent)}_{place}"
    if name in sys.modules:
        return sys.modules[name]
    neighbours = {file.relative_to(where.parent).with_suffix("").parts[0] for file in files if file != where}
    for old in [key for key in sys.modules if key.partition(".")[0] in neighbours - sys.stdlib_module_names]:
        del sys.modules[old]  # it may have changed since, or be a namesake from another folder: it is imported anew
    for near in {file.parent for file in files}:
        _from_source(near)
    spec = importlib.util.spec_from_file_location(name, where, loader=_FromSource(name, str(where)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(where.parent)
    sys.path.insert(0, folder)  # the file's neighbours; they stay within reach of imports inside functions
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
    return module


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the known name that is nearest, or nothing.

    >>> did_you_mean("onlin", ["online", "offline"]), did_you_mean("xyz", ["online"])
    ("; did you mean 'online'?", '')
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
