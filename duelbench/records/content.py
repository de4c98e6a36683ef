"""What was in the files that a run was given: code, data, weights. Part of the run's identity."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_OURS = "duelbench"
_INSTALLED = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def digest(paths: Iterable[Path], root: Path | None = None) -> str:
    """Hash of the content of files and of their names below ``root``, whatever their order; 16 hexadecimal digits.

    Files are read in pieces: weights may be larger than memory.
    """
    total = hashlib.sha256()
    for name, path in sorted((str(p.relative_to(root)) if root else p.name, p) for p in {*paths}):
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name}\0{own}\n".encode())
    return total.hexdigest()[:16]


def digest_text(text: str) -> str:
    """Hash of a text; 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_digest(place: str) -> str:
    """Hash of the source behind ``package.module`` or ``path/to/file.py``, see ``sources``; empty where there is none.

    The same files elsewhere have the same hash.
    """
    found = sources(place)
    return digest(found, Path(os.path.commonpath([path.parent for path in found]))) if found else ""


def sources(place: str) -> list[Path]:
    """The file of a module, and those of its neighbours that it imports, directly or through each other.

    Neighbours are, of a file, the modules in its folder; of a module that is not installed, those of the folder its
    package lies in; of an installed package, its own modules. Other packages are known by their versions alone. Imports
    that a program computes at run time are not seen.
    """
    if place.endswith(".py"):
        start = Path(place).resolve()
        return _closure(start, [start.parent], package=None) if start.is_file() else []
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        return []
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return []
    start, parts = Path(spec.origin).resolve(), place.split(".")
    if parts[0] == _OURS:  # the rooms of the repository: duelbench.agents lies in agents/
        room = importlib.util.find_spec(".".join(parts[:2]))
        folders = [Path(p).resolve().parent for p in (room.submodule_search_locations or [])] if room else []
        return _closure(start, folders, package=".".join(parts[:2]))
    root = start.parents[len(parts) - (start.name != "__init__.py")]
    return _closure(start, [root], package=parts[0] if root in _INSTALLED else None)


def object_digest(thing: Any) -> str:
    """Hash of the code of a class or a function: of its file and neighbours.

    For one that does not lie open in a module, typed at a prompt or made inside a function, that of its own code too,
    which another version of Python may compile to something else.

    >>> typed = {"__name__": "__main__"}
    >>> a, b, c = (eval(text, typed) for text in ("lambda x: x + 1", "lambda x: x + 1", "lambda x: x + 2"))
    >>> object_digest(a) == object_digest(b) != object_digest(c)
    True
    """
    if thing.__module__.startswith(f"{_OURS}."):
        return code_digest(thing.__module__)
    try:
        file = inspect.getsourcefile(thing) or ""
    except TypeError:  # a class of a module that has no file
        file = ""
    known = code_digest(file) if file.endswith(".py") and Path(file).is_file() else ""
    if known and getattr(sys.modules.get(thing.__module__), thing.__qualname__, None) is thing:
        return known
    return digest_text(repr((known, _parts(thing))))


def state_digest(thing: Any) -> str:
    """Hash of an object: of the code of its class and of all that it holds, as far as that can be told.

    An object that says what it holds in a text attribute ``content``, as a task does, is known by that.

    >>> from fractions import Fraction
    >>> state_digest(Fraction(1, 2)) == state_digest(Fraction(2, 4)) != state_digest(Fraction(1, 3))
    True
    """
    return digest_text(repr(_state(thing, ())))


def _state(thing: Any, above: tuple[int, ...]) -> Any:
    """What an object holds, as values whose text is the same in every process; ``above``: what holds it."""
    if thing is None or isinstance(thing, str | bytes | int | float | complex | Path):
        return repr(thing)
    if id(thing) in above:
        return "itself"
    inner = functools.partial(_state, above=(*above, id(thing)))
    if isinstance(thing, type) or inspect.isroutine(thing):
        return object_digest(thing)
    if isinstance(thing, Mapping):
        return sorted((repr(inner(key)), inner(value)) for key, value in thing.items())
    if isinstance(thing, list | tuple):
        return [inner(item) for item in thing]
    if isinstance(thing, set | frozenset):
        return sorted(repr(inner(item)) for item in thing)
    if isinstance(thing, functools.partial):
        return inner((thing.func, thing.args, thing.keywords))
    if isinstance(content := getattr(thing, "content", None), str):
        return type(thing).__qualname__, content
    if hasattr(thing, "__array__"):
        array = np.ascontiguousarray(thing)
        return array.shape, array.dtype.str, array.tolist() if array.dtype.hasobject else array.tobytes()
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ()) if hasattr(thing, name)]
    held = {name: getattr(thing, name) for name in slots} | dict(getattr(thing, "__dict__", {}))
    return object_digest(type(thing)), inner({name: value for name, value in held.items() if not name.startswith("__")})


def _parts(thing: Any) -> Any:
    """What a piece of code consists of, as values whose text is the same in every process."""
    if isinstance(thing, types.CodeType):
        return thing.co_code.hex(), thing.co_names, thing.co_varnames, tuple(map(_parts, thing.co_consts))
    if isinstance(thing, frozenset):
        return sorted(map(repr, thing))
    if isinstance(thing, classmethod | staticmethod):
        return _parts(thing.__func__)
    if isinstance(thing, property):
        return _parts(thing.fget)
    if isinstance(thing, types.FunctionType):
        cells = [
            _parts(cell.cell_contents) for cell in thing.__closure__ or () if not isinstance(cell.cell_contents, type)
        ]
        return _parts(thing.__code__), _parts(thing.__defaults__), repr(thing.__kwdefaults__), cells
    if isinstance(thing, type):
        own = {name: value for name, value in vars(thing).items() if name not in ("__dict__", "__weakref__")}
        bases = [base.__qualname__ for base in thing.__bases__]
        return thing.__qualname__, bases, [(name, _parts(value)) for name, value in sorted(own.items())]
    if thing is None or isinstance(thing, str | bytes | int | float | complex | tuple):
        return repr(thing)
    return type(thing).__qualname__  # its text may hold an address


def _closure(start: Path, roots: list[Path], package: str | None) -> list[Path]:
    found, waiting, followed = {start}, [start], set[str]()
    while waiting:
        path = waiting.pop()
        for name in _imports(path, roots) - followed:
            followed.add(name)
            if package and name != package and not name.startswith(f"{package}."):
                continue
            relative = name.removeprefix(f"{_OURS}.") if package and package.startswith(_OURS) else name
            for neighbour in _files(relative, roots):
                if neighbour not in found:
                    found.add(neighbour)
                    waiting.append(neighbour)
    return sorted(found)


def _imports(path: Path, roots: list[Path]) -> frozenset[str]:
    """Dotted names that a file imports, relative ones resolved; what is imported from a module counts as a name too.

    A file is parsed once as long as it stays what it is.
    """
    state = path.stat()
    return _parsed_imports(path, tuple(roots), state.st_size, state.st_mtime_ns, state.st_ino)


@functools.lru_cache(maxsize=4096)
def _parsed_imports(path: Path, roots: tuple[Path, ...], size: int, changed: int, inode: int) -> frozenset[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return frozenset()  # what is wrong with it is said when it is loaded
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                folder = path.parents[node.level - 1]
                root = next((root for root in roots if folder.is_relative_to(root)), None)
                if root is None:
                    continue
                base = ".".join([*folder.relative_to(root).parts, *filter(None, [base])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)} - {""}
    return frozenset(names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements of a tree, however deep, without the expressions in them, which are most of it."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, field, ()):
            yield inner
            yield from _statements(inner)


def _files(name: str, roots: list[Path]) -> list[Path]:
    """The files that importing a dotted name reads below some folders: packages on the way, then the module."""
    parts, found = name.split("."), []
    for root in roots:
        for depth in range(1, len(parts) + 1):
            stem = root.joinpath(*parts[:depth])
            found += [path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()]
    return [path.resolve() for path in found]
