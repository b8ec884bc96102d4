"""The two tables of the catalog. A user's own SQLite file with them is read directly, even without `FURTHER_COLUMNS`.

Indexes and the schema's version are in `database`; a file without them is a catalog too.
"""

from sqlalchemy import REAL, ForeignKey, Integer, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Registry of the catalog's tables."""


class Source(Base):
    """One data set: an assay of variants of one protein."""

    __tablename__ = "sources"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    source_text: Mapped[str] = mapped_column(Text, unique=True)
    """Name of the data set; first half of a row's id, `<source_text>/<mutant>`."""
    template: Mapped[str] = mapped_column(Text)
    """Reference sequence of the mutants, position 1 first."""
    offset: Mapped[int] = mapped_column(Integer, server_default="0")
    """Position in the user's numbering minus position in the template."""
    understood: Mapped[str | None] = mapped_column(Text)
    """Interpretation of the file by its import: JSON text, NULL if it was not recorded."""


class MeasuredMutant(Base):
    """One measured row; a mutant that was measured twice has two."""

    __tablename__ = "mutations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    mutant: Mapped[str] = mapped_column(Text)
    """ProteinGym's form: `A24C`, `A24C:D40G`, positions counted from 1 in the template, or `WT`."""
    DMS_score: Mapped[float | None] = mapped_column(REAL)
    """Measured value, in the assay's own unit; NULL if there is none."""
    DMS_score_bin: Mapped[str | None] = mapped_column(Text)
    """The score in classes, usually `0` and `1`."""
    mut_num: Mapped[int] = mapped_column(Integer)
    """Number of mutations as written in `mutant`; 0 for `WT`."""
    source: Mapped[int] = mapped_column(Integer, ForeignKey("sources.id"))


def table_of(model: type[Base]) -> Table:
    """The table behind a model, for statements that are built from columns."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


SOURCES = table_of(Source)
FURTHER_COLUMNS = frozenset({"offset", "understood"})
"""Columns of `sources` that a user's own file, or one of an older version, need not have: offset 0, nothing known."""
MUTATIONS = table_of(MeasuredMutant)
ATTACHMENTS = "attachments"
"""Table of structures and alignments of sources, made by `writing`; a user's own file need not have it."""
FURTHER_SCORES = "further_scores"
"""Table of numbers beside the scores, made by `writing`; a user's own file need not have it."""
