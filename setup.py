"""Puts the documentation and the examples into the wheel, below `proteinx_pipelines/documentation/`.

They live outside the package, where a reader of the repository looks for them; everything else is in `pyproject.toml`.
The site goes along where it was built before (`make site`).
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
FILES = (
    "README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CITATION.cff", "LICENSE",
    "client_wheel/README.md", "proteinx_pipelines/demo/data/README.md",
)  # fmt: skip
FOLDERS = ("docs", "examples", "site")


class WithDocumentation(build_py):
    """The package's files, then the documentation."""

    def run(self) -> None:
        """Copy what is there."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "proteinx_pipelines" / "documentation"
        shutil.rmtree(target, ignore_errors=True)
        for name in FILES:
            if (HERE / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(HERE / name, target / name)
        for name in FOLDERS:
            if (HERE / name).is_dir():
                left_out = shutil.ignore_patterns(
                    "__pycache__", ".ipynb_checkpoints", "making", "workdir_compute"
                )
                shutil.copytree(HERE / name, target / name, ignore=left_out)


setup(cmdclass={"build_py": WithDocumentation})
