"""Which modules of this package a bundle needs: those that its configs name, and all that these import."""

import ast
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PACKAGE = "scripts"
SOURCE = Path(__file__).resolve().parents[2]
"""Folder that holds the package."""
_NAME = re.compile(rf"\b{PACKAGE}(?:\.\w+)*")


def names_in(config: Any) -> set[str]:
    """Dotted names of this package that a config's strings speak of: `_target_`, imports and expressions."""
    if isinstance(config, str):
        return set(_NAME.findall(config)) if config.startswith(("$", PACKAGE)) else set()
    values = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    return set().union(*map(names_in, values))


def modules_of(names: Iterable[str]) -> dict[str, Path]:
    """Modules that the names lie in and all that they import, also within functions: name -> file."""
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        for module, file in _on_the_way(waiting.pop()):
            if module not in found:
                found[module] = file
                waiting += [name for name in imports_of(file) if name.split(".")[0] == PACKAGE]
    return dict(sorted(found.items()))


def imports_of(file: Path) -> Iterator[str]:
    """Names that a module's import statements speak of; `from a import b` gives a.b, which may be a module.

    Imports are absolute throughout this package, so a relative one is an error.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module is None or node.level:
                raise ValueError(f"{file}, line {node.lineno}: a relative import; write it from `{PACKAGE}` on")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def other_packages(modules: Iterable[Path]) -> set[str]:
    """Top-level names that the modules import from elsewhere, the standard library's among them."""
    return {name.split(".")[0] for file in modules for name in imports_of(file)} - {PACKAGE}


def copy_code(modules: dict[str, Path], folder: Path) -> None:
    """Copy modules into `folder`/scripts, and the data folders that stand beside them (prompts, lexicons, tables)."""
    for file in modules.values():
        target = folder / file.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        if file.name == "__init__.py":
            for data in _data_folders(file.parent):
                shutil.copytree(data, folder / data.relative_to(SOURCE), ignore=shutil.ignore_patterns(".*", "__pycache__"))


def _on_the_way(name: str) -> Iterator[tuple[str, Path]]:
    """The packages and the module that importing a dotted name runs; what is no module is an attribute of the last one."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        stem = SOURCE.joinpath(*parts[:end])
        file = next((file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file()), None)
        if file is None:
            return
        yield ".".join(parts[:end]), file


def _data_folders(package: Path) -> list[Path]:
    return [
        path for path in sorted(package.iterdir()) if path.is_dir() and path.name != "__pycache__" and not any(path.rglob("*.py"))
    ]
