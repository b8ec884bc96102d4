"""Single mutants with a score, and a further property of more of them: for the tests of several tasks."""

import building
import numpy as np
import pyarrow as pa

from proteinx_pipelines.records import PROPERTY, Split, VariantTable

TEMPLATE = "ACDEFGHIKLMNPQRSTVWYACDEFGHIKL"
N_TRAINED, N_TESTED = 40, 80


def landscape(rng, sites):
    """A function of single mutants: by site, and by site and residue."""
    by_site, by_pair = rng.normal(size=len(TEMPLATE)), rng.normal(size=(len(TEMPLATE), 128))
    return np.array([by_site[at] + 0.3 * by_pair[at, ord(letter)] for at, letter in sites])


def measured(correlation: float, seed: int = 3, **further: np.ndarray) -> VariantTable:
    """Single mutants: 120 with a score, then 120 with the further property alone; the property goes with the score."""
    rng = np.random.default_rng(seed)
    sites = [(at, letter) for at in range(len(TEMPLATE)) for letter in "ADFGKLSWER" if letter != TEMPLATE[at]]
    sites = [sites[k] for k in rng.permutation(len(sites))[:240]]
    one, other = landscape(rng, sites), landscape(rng, sites)
    property_ = correlation * one + np.sqrt(1 - correlation**2) * other
    target = one + rng.normal(0, 0.3, len(sites))
    target[N_TRAINED + N_TESTED :] = np.nan
    columns = {"half": 5 + 10 * (property_ + rng.normal(0, 0.3, len(sites))), **further}
    return table(sites, target, **columns)


def table(sites, target, **columns: np.ndarray) -> VariantTable:
    variants = building.variant_table([TEMPLATE[:at] + new + TEMPLATE[at + 1 :] for at, new in sites], target)
    names = pa.array([f"{TEMPLATE[at]}{at + 1}{new}" for at, new in sites])
    rows = variants.rows.set_column(2, "mutant", names)
    for name, values in columns.items():
        rows = rows.append_column(PROPERTY + name, pa.array(values))
    return VariantTable(rows, {"toy": TEMPLATE})


def halves(variants: VariantTable) -> Split:
    return building.split_of(variants, (np.arange(N_TRAINED), [], np.arange(N_TRAINED, N_TRAINED + N_TESTED)))


def with_property(variants: VariantTable, name: str, values: np.ndarray) -> VariantTable:
    """The same variants with other values of a further property."""
    place = variants.rows.column_names.index(PROPERTY + name)
    return VariantTable(
        variants.rows.set_column(place, PROPERTY + name, pa.array(values)), variants.templates
    )
