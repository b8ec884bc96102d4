"""Known column names in variant files, and their roles.

Names are compared without case, blanks and punctuation. `columns` inspects the cells.
"""

import re
from collections.abc import Sequence

NAMES = {
    "mutant": (
        "mutant", "mutants", "mutation", "mutations", "variant", "variants", "hgvspro", "hgvsp", "hgvsprotein",
        "proteinhgvs", "aachange", "aachanges", "aasubstitution", "aasubstitutions", "aamutation", "aamutations",
        "proteinchange", "proteinvariant", "substitution", "substitutions", "mut", "muts", "mutcode", "mutantcode",
        "mutantname", "variantname", "combo", "combos", "aacombo", "aas", "aavariant",
    ),
    "score": (
        "dmsscore", "score", "scores", "fitness", "target", "targets", "targetvalue", "value", "y", "label",
        "measurement", "measured", "activity", "dmsscores", "meanscore", "scoremean", "averagescore", "avgscore",
        "fitnessmean", "meanfitness", "logfitness", "enrichment", "logenrichment", "ddg", "dtm", "brightness",
        "affinity", "tm", "meltingtemperature", "kcat", "kd", "ki", "ic50", "ec50", "yield", "titer", "signal", "mean",
        "intensity", "fluorescence", "growth", "growthrate", "foldchange", "logfoldchange", "logfc", "lfc", "stability",
        "deltag", "dg", "binding", "expression", "abundance", "effect", "effectsize", "relativeactivity", "ratio",
        "enrichmentratio", "log2enrichment", "enrichmentscore", "functionalscore", "dmsfitness",
    ),
    "sequence": (
        "mutatedsequence", "sequence", "sequences", "seq", "aaseq", "aasequence", "mutantsequence", "mutseq",
        "proteinsequence", "variantsequence", "primary", "fullsequence",
    ),
    "bin": ("dmsscorebin", "scorebin", "dmsbin"),
    "source": ("source", "assay", "dmsid", "sourcetext"),
    "nucleotides": ("hgvsnt", "hgvsc", "hgvsg", "ntvariant", "ntvariants", "codon", "codons", "ntsequence", "dna"),
    "deviation": (
        "sd", "std", "stdev", "stddev", "deviation", "standarddeviation", "scoresd", "scorestd", "dmsscorestd",
        "dmsscoresd", "fitnesssd", "fitnessstd", "sigma", "scoresigma", "fitnesssigma",
    ),
    "error": (
        "se", "sem", "stderr", "standarderror", "error", "scorese", "scoresem", "dmsscorese", "dmsscoresem",
        "fitnessse", "fitnesssem", "scoreerror", "fitnesserror", "scoreepsilon", "epsilon",
    ),
    "part": ("set", "split", "fold", "part", "stage", "validation", "val", "cvsplit"),
    "template": ("template", "wildtypesequence", "wtsequence", "wtseq", "targetseq", "targetsequence", "wildtype"),
    "count": ("n", "count", "counts", "reads", "nreplicates", "replicates", "mutnum", "nummutations", "hd", "nmut",
              "hamming", "hammingdistance", "mutationdepth", "distance"),
}  # fmt: skip
"""Normalised names of each role, the most certain first."""
ROLE_OF = {name: role for role, names in NAMES.items() for name in names}
"""Normalised name -> role."""


def plain_name(name: str) -> str:
    """Normalise a name for comparison: `DMS Score` and `dms_score` are equal."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def n_known_names(cells: Sequence[str]) -> int:
    """Number of cells that are known column names."""
    return sum(plain_name(cell) in ROLE_OF for cell in cells)


def looks_like_header(cells: Sequence[str]) -> bool:
    """True if a row names columns: at least one name is known, and none is a number."""
    return n_known_names(cells) > 0 and not any(
        re.fullmatch(r"[+-]?\d*[.,]?\d+", cell.strip()) for cell in cells
    )
