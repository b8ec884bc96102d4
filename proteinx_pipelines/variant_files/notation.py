"""Parser of a single mutant in common notations: separators, case, HGVS, words.

    a24c   A24C/D40G   A24C-D40G   Ala24Cys   p.(Ala24Cys)   p.[Ala24Cys;Asp40=]   24C   A9del   ins3A   _wt   p.=

The result is in template positions and in ProteinGym's form, or, with insertions and deletions, in that of `edits`.
Mutants without a residue-level equivalent are refused by kind, so that rows of one kind can be counted together.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from proteinx_pipelines.edits import Edit, edit_problems, format_edits
from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import MAX_DIGITS, SEPARATOR, WILD_TYPE, renumbered

THREE_LETTERS = {
    "ala": "A", "arg": "R", "asn": "N", "asp": "D", "cys": "C", "gln": "Q", "glu": "E", "gly": "G", "his": "H",
    "ile": "I", "leu": "L", "lys": "K", "met": "M", "phe": "F", "pro": "P", "ser": "S", "thr": "T", "trp": "W",
    "tyr": "Y", "val": "V", "sec": "U", "pyl": "O", "asx": "B", "glx": "Z", "xle": "J", "xaa": "X", "ter": "*",
    "stop": "*",
}  # fmt: skip
WILD_TYPE_WORDS = frozenset({
    "wt", "wildtype", "wild type", "wild-type", "wild_type", "_wt", "=", "p.=", "p.(=)", "p.wt", "parent", "parental",
    "native", "reference", "ref", "no mutation", "unmutated", "_sy", "synonymous", "silent", "syn",
})  # fmt: skip
_AA = "(?:" + "|".join(THREE_LETTERS) + "|[A-Z*])"
_POS = rf"-?[0-9]{{1,{MAX_DIGITS}}}"
_TOKEN = re.compile(
    rf"""
    (?P<a1>{_AA})(?P<p1>{_POS})[_-](?P<a2>{_AA})(?P<p2>{_POS})
        (?:del(?P<r_del>(?!ins))|delins(?P<r_delins>{_AA}+)|ins(?P<r_ins>{_AA}+)|(?P<r_dup>dup))
    | (?P<d_a>{_AA})?(?P<d_p>{_POS})(?:(?P<d_del>del(?!ins)|Δ|(?<=[0-9])-(?![A-Z0-9]))|delins(?P<d_delins>{_AA}+)
        |(?P<d_dup>dup)|ins(?P<d_ins>{_AA}+))
    | (?:del|Δ)_?(?P<e_a>{_AA})?(?P<e_p>{_POS})(?:[_-](?P<e_b>{_AA})?(?P<e_q>[0-9]+))?(?![A-Z])
    | ins_?(?P<i_a>{_AA})?(?P<i_p>{_POS})_?(?P<i_seq>{_AA}+)
    | (?P<s_a>{_AA})(?P<s_p>{_POS})\s?>?\s?(?P<s_r>{_AA}|=)
    | (?P<n_p>[0-9]{{1,{MAX_DIGITS}}})\s?>?\s?(?P<n_r>{_AA}|=)
    """,
    re.VERBOSE | re.IGNORECASE,
)
LONGEST_MUTANT = 100_000
"""Most characters of a mutant; a longer cell is not a mutant and is not searched."""
_SEPARATOR = re.compile(r"[:/,;+|&_\-\s]+")
_SEPARATOR_NAMES = {":": "joined by :", "/": "joined by /", ",": "joined by ,", ";": "joined by ;",
                    "+": "joined by +", "_": "joined by _", "-": "joined by -", "|": "joined by |", "&": "joined by &",
                    " ": "joined by blanks"}  # fmt: skip
# Exactly two letters: with two or more, a cell of a million letters would be split in a million places.
_ACCESSION = re.compile(r"^[A-Za-z]{2}[\w.\-]*\.\d+(?:\([\w.\-]+\))?:(?=p\.)|^[\w.\-]+:(?=p\.)")
_PROTEIN = re.compile(r"(?<![A-Za-z])p\.")
_NUCLEOTIDES = re.compile(r"^(?:[\w.\-]+:)?[cgnmr]\.[\[(*\-]?\d", re.IGNORECASE)
_LOOKS = re.compile(
    rf"(?:p\.)?[\[(]*{_AA}?{_POS}(?:{_AA}|=|del|dup|-)[\])]*(?:[:/,;+|_\-\s].*)?", re.IGNORECASE
)
_THREE = re.compile(rf"(?:{'|'.join(THREE_LETTERS)})-?\d|\d(?:{'|'.join(THREE_LETTERS)})", re.IGNORECASE)

FRAME_SHIFT, NUCLEOTIDES, UNKNOWN_EFFECT, EXTENSION = (
    "frame shift",
    "nucleotides",
    "unknown effect",
    "extension",
)
MALFORMED, MISFIT, OUTSIDE = "not a mutant", "another residue", "outside the template"
OUT_OF_REACH = {
    FRAME_SHIFT: "frame shifts, whose protein is not in the file; give it in a column of sequences",
    NUCLEOTIDES: "changes of nucleotides; translate them first (MaveDB's column hgvs_pro has the protein)",
    UNKNOWN_EFFECT: "unknown effects on the protein (p.?, p.0); there is no sequence to learn from",
    EXTENSION: "extensions, of which the file does not say what is added; give it in a column of sequences",
}
"""Kinds of mutants that are not supported, and their remedies."""


class NotRead(Exception):
    """A mutant that cannot be read: `kind` is for counting, the text is the message."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class ReadMutant:
    """A mutant of the template, and its notation."""

    mutant: str
    """ProteinGym's form, or with insertions and deletions that of `edits`; template positions."""
    notation: str
    """In words, for counting: `three-letter codes, joined by ;`."""
    n_edits: int


def looks_like_mutant(text: str) -> bool:
    """True if a cell could be a mutant; used to identify a column of mutants."""
    if len(text) > LONGEST_MUTANT:
        return False
    text = text.strip()
    return text.lower() in WILD_TYPE_WORDS or bool(_LOOKS.fullmatch(_ACCESSION.sub("", text)))


def is_wild_type_word(text: str | None) -> bool:
    """True if a cell names the wild type."""
    return text is not None and " ".join(text.strip().lower().split()) in WILD_TYPE_WORDS


@lru_cache(maxsize=1 << 16)
def read_mutant(text: str, template: str, offset: int) -> ReadMutant:
    """Read one mutant against its template.

    Args:
        text: as written.
        template: the sequence it changes; supplies omitted letters.
        offset: written position minus position in the template.

    Raises:
        NotRead: it is not a mutant, or its protein product is not known; the message has the faulty part.
    """
    cleaned, inner = _cleaned(text)
    if is_wild_type_word(cleaned):
        return ReadMutant(WILD_TYPE, "the wild type by a word" if cleaned != WILD_TYPE else "as A24C", 0)
    _refuse_what_cannot_be_had(cleaned, text)
    if is_wild_type_word(inner):
        return ReadMutant(WILD_TYPE, "the wild type by a word", 0)
    tokens, separators = _tokens(inner, text)
    edits = [edit for token in tokens if (edit := _edit(token, template, offset)) is not None]
    problems = edit_problems(edits, template, offset)
    if problems:
        kind = (
            OUTSIDE if "outside" in problems[0] else MISFIT if "written against" in problems[0] else MALFORMED
        )
        raise NotRead(kind, "; ".join(problems))
    mutant = _formatted(edits, template)
    return ReadMutant(mutant, _notation(cleaned, inner, tokens, separators), len(edits))


def written_places(text: str) -> list[tuple[str, int]]:
    """Template letters and positions as written in a mutant; empty if it cannot be read."""
    places = []
    for token in _TOKEN.finditer(_PROTEIN.sub("", _ACCESSION.sub("", text.strip()))):
        for letter, position in (("a1", "p1"), ("a2", "p2"), ("d_a", "d_p"), ("s_a", "s_p")):
            if token[letter]:
                places.append((_letter(token[letter]), int(token[position])))
    return places


def respelled(text: str, template: str, offset: int) -> str | None:
    """Rewrite a mutant in ProteinGym's form, in its written positions; None if it cannot be read.

    Does not check that it fits: for files whose numbering is found afterwards.

    Args:
        text: as written.
        template: supplies omitted letters; may be empty if not known.
        offset: written position minus position in the template.
    """
    try:
        cleaned, inner = _cleaned(text)
        if is_wild_type_word(cleaned) or is_wild_type_word(inner):
            return WILD_TYPE
        _refuse_what_cannot_be_had(cleaned, text)
        tokens, _ = _tokens(inner, text)
        edits = [edit for token in tokens if (edit := _edit(token, template, offset)) is not None]
        if all(edit.is_substitution for edit in edits):
            parts = [f"{edit.anchors[0][0]}{edit.first + offset}{edit.residues}" for edit in edits]
            return SEPARATOR.join(parts) or WILD_TYPE
        return str(renumbered([_formatted(edits, template)], offset)[0].as_py())
    except NotRead:
        return None


def _cleaned(text: str) -> tuple[str, str]:
    """Normalised text (typographic characters), and its content without HGVS prefix and brackets."""
    if len(text) > LONGEST_MUTANT:
        raise NotRead(MALFORMED, f"{text[:40]!r}... has {len(text):,} characters, which no mutant has")
    cleaned = unicodedata.normalize("NFKC", text).strip().strip("'\"").replace("−", "-").replace("–", "-")
    cleaned = cleaned.replace("→", ">")
    inner = _PROTEIN.sub("", _ACCESSION.sub("", cleaned))
    return cleaned, re.sub(r"[\[\](){}]", "", inner).strip()


def _refuse_what_cannot_be_had(cleaned: str, text: str) -> None:
    lower = cleaned.lower()
    if _NUCLEOTIDES.match(cleaned):
        raise NotRead(NUCLEOTIDES, f"{text!r} is a change of nucleotides")
    if "fs" in lower and re.search(r"\d[a-z]*fs", lower):
        raise NotRead(FRAME_SHIFT, f"{text!r} is a frame shift")
    if re.search(r"\d[a-z*]*ext", lower):
        raise NotRead(EXTENSION, f"{text!r} is an extension")
    if re.fullmatch(r"(?:.*:)?p\.[(\[]?(?:\?|0\??|met1\?)[)\]]?|.*\d\?.*", lower):
        raise NotRead(UNKNOWN_EFFECT, f"{text!r} does not say what becomes of the protein")


def _tokens(inner: str, text: str) -> tuple[list[re.Match[str]], set[str]]:
    """Split a text into mutations and separators; any other text is an error."""
    tokens, separators, place = [], set(), 0
    while place < len(inner):
        match = _TOKEN.match(inner, place)
        if not match:
            raise NotRead(MALFORMED, _not_a_mutation(inner, place, text))
        tokens.append(match)
        place = match.end()
        gap = _SEPARATOR.match(inner, place)
        if gap:
            separators.add((gap[0].strip() or " ")[0])
            place = gap.end()
            if place == len(inner):
                raise NotRead(MALFORMED, f"the mutant {text!r} ends with {gap[0]!r}")
        elif place < len(inner) and not match["s_a"]:
            raise NotRead(MALFORMED, f"{inner[match.start() :]!r} in the mutant {text!r} is not a mutation")
    if not tokens:
        raise NotRead(MALFORMED, f"{text!r} is not a mutation")
    return tokens, separators


def _not_a_mutation(inner: str, place: int, text: str) -> str:
    """Message that names the unreadable part of a text with several parts."""
    parts = _SEPARATOR.split(inner)
    if len(parts) == 1:
        return f"{text!r} is not a mutation"
    begin = max((gap.end() for gap in _SEPARATOR.finditer(inner, 0, place)), default=0)
    return f"{_SEPARATOR.split(inner[begin:])[0]!r} in the mutant {text!r} is not a mutation"


def _edit(token: re.Match[str], template: str, offset: int) -> Edit | None:
    """Convert one mutation to an edit of the template; None if it is written as no change (`Thr6=`)."""
    if token["a1"]:
        first, last = int(token["p1"]) - offset, int(token["p2"]) - offset
        anchors = [(_letter(token["a1"]), first), (_letter(token["a2"]), last)]
        if token["r_ins"]:
            if last != first + 1:
                raise NotRead(MALFORMED, f"{token[0]!r}: an insertion stands between two neighbours")
            return Edit(last, first, _letters(token["r_ins"]), tuple(anchors))
        if last < first:
            raise NotRead(MALFORMED, f"{token[0]!r}: the first residue comes first")
        if token["r_dup"]:
            return Edit(last + 1, last, template[max(0, first - 1) : last], tuple(anchors))
        return Edit(first, last, _letters(token["r_delins"] or ""), tuple(anchors))
    if token["d_p"]:
        return _edit_at_one_place(token, template, offset)
    if token["e_p"]:
        first = int(token["e_p"]) - offset
        last = int(token["e_q"]) - offset if token["e_q"] else first
        anchors = [_anchor(token["e_a"], first, template, offset)]
        if last < first:
            raise NotRead(MALFORMED, f"{token[0]!r}: the first residue comes first")
        if last > first:
            anchors.append(_anchor(token["e_b"], last, template, offset))
        return Edit(first, last, "", tuple(anchors))
    if token["i_p"]:
        place = int(token["i_p"]) - offset
        return Edit(
            place + 1, place, _letters(token["i_seq"]), (_anchor(token["i_a"], place, template, offset),)
        )
    position = int(token["s_p"] or token["n_p"]) - offset
    anchor = _anchor(token["s_a"], position, template, offset)
    residue = token["s_r"] or token["n_r"]
    if residue == "=":
        _check_anchor(anchor, template, offset)
        return None
    return Edit(position, position, _letter(residue), (anchor,))


def _edit_at_one_place(token: re.Match[str], template: str, offset: int) -> Edit:
    place = int(token["d_p"]) - offset
    anchor = _anchor(token["d_a"], place, template, offset)
    if token["d_ins"]:
        return Edit(place + 1, place, _letters(token["d_ins"]), (anchor,))
    if token["d_dup"]:
        return Edit(place + 1, place, anchor[0], (anchor,))
    return Edit(place, place, _letters(token["d_delins"] or ""), (anchor,))


def _anchor(letter: str | None, position: int, template: str, offset: int) -> tuple[str, int]:
    if letter:
        return _letter(letter), position
    if not 1 <= position <= len(template):
        limits = f"{1 + offset} to {len(template) + offset}"
        raise NotRead(
            OUTSIDE, f"position {position + offset} lies outside the template, which goes from {limits}"
        )
    return template[position - 1], position


def _check_anchor(anchor: tuple[str, int], template: str, offset: int) -> None:
    problems = edit_problems([Edit(anchor[1], anchor[1], anchor[0], (anchor,))], template, offset)
    if problems:
        raise NotRead(OUTSIDE if "outside" in problems[0] else MISFIT, problems[0])


def _letter(text: str) -> str:
    return THREE_LETTERS[text.lower()] if len(text) > 1 else text.upper()


def _letters(text: str) -> str:
    return "".join(map(_letter, re.findall(_AA, text, re.IGNORECASE)))


def _formatted(edits: list[Edit], template: str) -> str:
    try:
        return format_edits(((edit.first, edit.last, edit.residues) for edit in edits), template)
    except IndexError as error:
        raise NotRead(OUTSIDE, "it lies outside the template") from error
    except BadVariants as error:
        raise NotRead(MALFORMED, str(error)) from error


def _notation(cleaned: str, inner: str, tokens: list[re.Match[str]], separators: set[str]) -> str:
    """Name of a mutant's notation."""
    parts = []
    if cleaned.lower().startswith("p.") or ":p." in cleaned:
        parts.append("HGVS")
    if _THREE.search(inner):
        parts.append("three-letter codes")
    elif inner != inner.upper() and re.search(r"(?<![a-z])[a-z]\d", inner):
        parts.append("lower case")
    if any(token["n_p"] for token in tokens):
        parts.append("without the template's letter")
    if any(token["a1"] or token["d_p"] or token["e_p"] or token["i_p"] for token in tokens):
        parts.append("insertions and deletions")
    if len(tokens) > 1:
        found = [_SEPARATOR_NAMES[s] for s in sorted(separators) if s != SEPARATOR]
        parts += found if separators else ["without a separator"]
    return ", ".join(parts) or "as A24C"
