"""Chooses the modules of the client's wheel: `client`, `contract`, and all of ours that these import.

The list is made from the imports themselves, so that it cannot differ from what is needed.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = "proteinx_pipelines"
WANTED = ("client", "contract")


def module_file(name: str) -> Path | None:
    """The file of one of our modules, None for anything else."""
    path = ROOT.joinpath(*name.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in found if name.split(".")[0] == NAME and file.is_file()), None)


def imports_of(file: Path) -> Iterator[str]:
    """Every module that a file may import, in functions too; not what only a type checker reads."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def needed_modules() -> list[str]:
    """Full names of the modules that the wheel needs, packages among them, sorted."""
    waiting = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for part in WANTED
        for file in (ROOT / NAME / part).rglob("*.py")
    ]
    needed: set[str] = {NAME}  # what its `__init__` names is loaded when it is asked for, and is not there
    while waiting:
        name = waiting.pop()
        file = module_file(name)
        if file is None or name in needed:
            continue
        needed.add(name)
        waiting.extend(imports_of(file))
        waiting.append(name.rpartition(".")[0])
    return sorted(needed)


class NeededOnly(build_py):
    """Builds the modules that are needed, and no others of their packages."""

    def find_package_modules(self, package: str, package_dir: str) -> list[Any]:
        """The (package, module, file) of a package that go into the wheel."""
        needed = set(needed_modules())
        found = super().find_package_modules(package, package_dir)
        return [each for each in found if _full_name(each[0], each[1]) in needed]


def _full_name(package: str, module: str) -> str:
    return package if module == "__init__" else f"{package}.{module}"


project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
packages = [
    name
    for name in needed_modules()
    if (file := module_file(name)) is not None and file.name == "__init__.py"
]
setup(
    version=project["version"],
    packages=packages,
    package_dir={"": ".."},
    package_data={
        NAME: ["py.typed"],
        f"{NAME}.contract": ["schemas/**/*.json"],
        f"{NAME}.flags": ["*.json"],
    },
    cmdclass={"build_py": NeededOnly},
)
