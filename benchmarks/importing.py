"""`proteinx db import` of a CSV with 2.5 million rows, beside pandas.

Ours reads the file, checks every mutant against the template and writes rows and index in one durable transaction.
pandas reads the same file, counts mutations by counting colons, checks nothing, and writes with `to_sql` through
SQLAlchemy, then makes the same index. Besides: `to_sql` through a plain `sqlite3` connection, which pandas supports for
SQLite alone. Fresh databases each time, in one process; the files are in the page cache.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from measure import Figure, Goal, arguments_of, in_turn, report
from variants import SOURCE, template, write_csv

from proteinx_pipelines.catalog.importing import import_file

_INDEX = "CREATE INDEX idx_mutations_source ON mutations(source)"


def main() -> None:
    options = arguments_of(__doc__, lambda p: p.add_argument("--rows", type=int, default=2_500_000))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = write_csv(root / f"{SOURCE}.csv", options.rows)
        sides = {"ours": lambda: ours(fresh(root / "ours.db"), file)}
        if options.peers:
            sides["sqlalchemy"] = lambda: pandas_through_sqlalchemy(fresh(root / "peer.db"), file)
            sides["sqlite3"] = lambda: pandas_through_sqlite3(fresh(root / "peer2.db"), file)
        seconds = in_turn(sides, options.repeats, warm=False)
        facts = {
            "rows": options.rows,
            "csv_bytes": file.stat().st_size,
            "database_bytes": (root / "ours.db").stat().st_size,
        }
    what = f"import of {options.rows:,} rows"
    report(
        "importing",
        [
            Figure(
                "importing.csv", what, "s", seconds["ours"], seconds.get("sqlalchemy"), "pandas to_sql (SQLAlchemy)",
                (Goal("ratio", ">=", 5),), facts,
            ),
            Figure(
                "importing.csv_sqlite3", f"{what}, beside the driver alone", "s", seconds["ours"],
                seconds.get("sqlite3"), "pandas to_sql (sqlite3)", (), facts,
            ),
        ],
        options.out,
    )  # fmt: skip


def fresh(database: Path) -> Path:
    database.unlink(missing_ok=True)
    return database


def ours(database: Path, file: Path) -> None:
    import_file(database, file, template=template())


def pandas_through_sqlalchemy(database: Path, file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        frame_of(file).to_sql("mutations", connection, index=False, chunksize=100_000)
        connection.exec_driver_sql(_INDEX)
    engine.dispose()


def pandas_through_sqlite3(database: Path, file: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        frame_of(file).to_sql("mutations", connection, index=False, chunksize=100_000)
        connection.execute(_INDEX)


def frame_of(file: Path) -> pd.DataFrame:
    frame = pd.read_csv(file)
    frame["mut_num"] = frame["mutant"].str.count(":") + 1
    frame["source"] = 1
    return frame


if __name__ == "__main__":
    main()
