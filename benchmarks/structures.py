"""Structures and alignments in ProteinGym's supervised protocol: with them, without, and with useless ones.

    python benchmarks/structures.py --data FOLDER --structures FOLDER [--model auto] [--assays NAME ...] [--useless]
        [--flag model.prior=default ...]

Each assay with a structure or an alignment in the folder (named like the assay or the beginning of its name) is scored
in all three schemes without and with it. `--useless` adds what must cost nothing: the residues of a structure on the
places of others (a wrong fold), an alignment of five rows, one whose rows are shifted, and a file of another assay.
"""

import argparse
import gzip
import tempfile
from collections.abc import Mapping
from pathlib import Path

from proteinx_pipelines.bench.assays import assay_files
from proteinx_pipelines.bench.evidence_files import evidence_pairs
from proteinx_pipelines.bench.proteingym import score_assay
from proteinx_pipelines.bench.schemes import SCHEMES

Pairs = tuple[str, ...]
"""Flags such as `data.structure=FILE`."""
_HALF = 61
"""Residues by which the wrong fold is shifted along the chain."""


def main() -> None:
    """Print a line for each assay and input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--assays", nargs="*")
    parser.add_argument("--useless", action="store_true")
    parser.add_argument("--flag", action="append", default=[], help="of every run")
    options = parser.parse_args()
    files = assay_files(options.data)
    own = {name: pairs for name, pairs in evidence_pairs(options.structures, files).items()
           if not options.assays or name in options.assays}  # fmt: skip
    print(f"{'assay':28} {'input':24} " + " ".join(f"{scheme:>10}" for scheme in SCHEMES))
    with tempfile.TemporaryDirectory() as folder:
        for name, pairs in own.items():
            tried: dict[str, Pairs] = {"without": (), "with": pairs}
            if options.useless:
                tried |= useless(name, pairs, own, Path(folder))
            for what, flags in tried.items():
                asked = (f"model.name={options.model}", *options.flag, *flags)
                values = [score_assay(name, files[name], scheme, asked).pooled for scheme in SCHEMES]
                print(
                    f"{name[:28]:28} {what:24} " + " ".join(f"{value:10.4f}" for value in values), flush=True
                )


def useless(name: str, pairs: Pairs, own: Mapping[str, Pairs], folder: Path) -> dict[str, Pairs]:
    """Inputs that know nothing of the assay, by what is wrong with them."""
    found: dict[str, Pairs] = {}
    for pair in pairs:
        kind, _, path = pair.removeprefix("data.").partition("=")
        text = (
            gzip.decompress(Path(path).read_bytes()).decode()
            if path.endswith(".gz")
            else Path(path).read_text()
        )
        made = {"wrong fold": wrong_fold(text)} if kind == "structure" else {
            "shallow": rows_of(text, 5, 0), "shifted": rows_of(text, None, 1),
        }  # fmt: skip
        for what, content in made.items():
            file = folder / f"{name}-{what.replace(' ', '_')}{'.pdb' if kind == 'structure' else '.a2m'}"
            file.write_text(content)
            found[what] = (f"data.{kind}={file}",)
        other = next((each for key, given in own.items() for each in given
                      if key != name and each.startswith(f"data.{kind}=") and each != pair), None)  # fmt: skip
        if other is not None:
            found[f"{kind} of another"] = (other,)
    return found


def wrong_fold(text: str) -> str:
    """PDB text with every residue on the place of another one: the right sequence in a wrong fold."""
    atoms = [
        line
        for line in text.splitlines()
        if line.startswith("ATOM") and line[12:16].strip() in ("N", "CA", "C", "O")
    ]
    residues: dict[str, list[str]] = {}
    for line in atoms:
        residues.setdefault(line[21:27], []).append(line)
    keys = list(residues)
    lines = []
    for number, key in enumerate(keys):
        places = (
            residues[keys[(number * 7 + _HALF) % len(keys)]] if len(keys) % 7 else residues[keys[-1 - number]]
        )
        lines += [
            line[:30] + place[30:54] + line[54:] for line, place in zip(residues[key], places, strict=False)
        ]
    return "\n".join([*lines, "END", ""])


def rows_of(text: str, most: int | None, shift: int) -> str:
    """The first rows of an alignment, all but the target moved by some columns."""
    rows = ["".join(lines) for lines in (each.splitlines()[1:] for each in text.split(">")[1:])][:most]
    moved = [rows[0], *("-" * shift + row[: len(row) - shift] for row in rows[1:])]
    return "".join(f">row{number}\n{row}\n" for number, row in enumerate(moved))


if __name__ == "__main__":
    main()
