"""The usage report as a file: JSON, a page, or its rows as Parquet."""

import io
from collections.abc import Sequence
from dataclasses import asdict

from proteinx_pipelines.experiment_dir.files import json_text
from proteinx_pipelines.services.usage import UsageReport, Use


def report_file(report: UsageReport, uses: Sequence[Use], kind: str, place: str) -> bytes:
    """The content of a file.

    Args:
        report: the report.
        uses: its rows.
        kind: `.json`, `.html` or `.parquet`.
        place: whose report it is.
    """
    if kind == ".json":
        return json_text(report.document()).encode()
    if kind == ".html":
        from proteinx_pipelines.pages.usage import usage_page

        return usage_page(report.document(), place).encode()
    return _parquet(uses)


def _parquet(uses: Sequence[Use]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"generation": pa.int64(), "attempts": pa.int64()}
    kinds |= dict.fromkeys(("waited_s", "seconds", "cpu_seconds", "joules"), pa.float64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in Use.__dataclass_fields__])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(use) for use in uses], schema), buffer)
    return buffer.getvalue()
