"""`by_source`: test whole data sets, train on the others.

Sources that measured the same sequences (two assays of one protein) show a model the tested sequences under
another name: the leakage check `same_sequence` then blocks the split.
"""

import numpy as np

from proteinx_pipelines.errors import EmptySplit, FlagError
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.nearest import did_you_mean
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, Assignment
from proteinx_pipelines.stages.split.draw import sequence_keys
from proteinx_pipelines.stages.split.groups import deal_groups, fold_parts


def split_by_source(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Test `split.test_sources`, or `split.folds` groups of sources, or each source once.

    Raises:
        EmptySplit: there is one source only. FlagError: a source of `split.test_sources` has no variant.
    """
    source = variants.rows.column("source").combine_chunks().dictionary_encode()
    names = sorted(source.dictionary.to_pylist())
    code = np.searchsorted(names, source.dictionary.to_pylist())[source.indices.to_numpy()]
    if len(names) < 2:
        raise EmptySplit(
            f"`split.method` 'by_source' needs at least two sources, and all variants are of {names[0]!r}. "
            "Select more (`data.source`), or take another method."
        )
    if flags.test_sources is not None:
        _check_names(flags.test_sources, names)
        is_tested = np.isin(names, flags.test_sources)[code]
        parts = np.where(is_tested, np.int8(TEST), np.int8(TRAIN))[:, None]
    elif flags.folds is not None:
        keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
        parts = fold_parts(deal_groups(code, keys, flags.folds, "sources"), flags.folds)
    else:
        parts = fold_parts(code, len(names))
    return Assignment(
        parts=parts,
        rule=code.astype(np.int64),
        rules=tuple(f"of source {name}" for name in names),
        advice=f"The sources are {', '.join(names)}; leave one out of `split.test_sources`.",
        info={"sources": names},
    )


def _check_names(wanted: tuple[str, ...], names: list[str]) -> None:
    there = ", ".join(names)
    problems = [
        f"`split.test_sources`: no variant is of source {name!r}; there are {there}.{did_you_mean(name, names)}"
        for name in sorted(set(wanted) - set(names))
    ]
    if problems:
        raise FlagError(problems)
