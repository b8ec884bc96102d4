"""Tracks above the map: drawn over its positions, told to the script, printed with it, and absent without evidence."""

import numpy as np

from proteinx_pipelines.pages.figures.mutation_map import (
    AXIS,
    CELL,
    PANEL,
    Panel,
    mutation_map,
    printed_blocks,
)
from proteinx_pipelines.pages.figures.tracks import HEIGHT, Track
from proteinx_pipelines.stages.evaluate.evidence_tracks import evidence_tracks
from proteinx_pipelines_tests.evidence.proteins import fasta, given, relatives, sequence_of, structure_text

TRACKS = [
    Track("Secondary structure", ["helix", "strand", ""], "by height"),
    Track("Burial", np.array([1.0, np.nan, 9.0]), "dark is buried"),
]


def drawn(tracks):
    panels = [Panel(name, np.ones((20, 3)), 0.0, "target") for name in ("measured", "predicted")]
    return mutation_map(["A1", "C2", "D3"], [0, 1, 2], panels, caption="c", alternative="a", tracks=tracks)


def test_tracks_push_the_panels_down_and_are_told_to_the_script():
    plain, figure = drawn([]), drawn(TRACKS)
    assert figure.height == plain.height + 2 * HEIGHT
    assert (figure.payload["head"], plain.payload.get("head")) == (2 * HEIGHT, None)
    assert [track["values"] for track in figure.payload["tracks"]] == [
        ["helix", "strand", ""],
        ["1", "", "9"],
    ]
    marks = figure.drawing.split('<g id="map-tracks">')[1].split("</g>")[0]
    assert f'<rect x="{AXIS}" ' in marks  # the helix
    assert f'<rect x="{AXIS + CELL}" ' in marks  # the strand
    assert f'<rect x="{AXIS + 2 * CELL}" ' not in marks  # unknown
    assert f'y="{2 * HEIGHT + PANEL + 24}"' in figure.drawing  # the second panel


def test_every_printed_block_has_its_tracks():
    assert all('href="#map-tracks"' in block for block in printed_blocks(drawn(TRACKS)))
    assert not any("map-tracks" in block for block in printed_blocks(drawn([])))


def test_a_track_has_the_values_of_the_maps_own_positions():
    from proteinx_pipelines.evidence.gather import GivenEvidence, gather

    template = sequence_of(40)
    files = {
        ("structure", None): given("structure", structure_text({"A": template[5:]})),
        ("alignment", None): given("alignment", fasta(relatives(template, 40))),
    }
    evidence = gather(GivenEvidence(files), {"toy": template})
    fold, burial, conservation = evidence_tracks(evidence, "toy", np.array([3, 20, 40]))
    assert (fold.name, burial.name, conservation.name) == ("Secondary structure", "Burial", "Conservation")
    assert fold.values[0] == ""  # the structure begins at 6
    np.testing.assert_array_equal(burial.values[1:], evidence.arrays["structure"][0, [19, 39], 1])
    assert np.isfinite(conservation.values).all()
    assert evidence_tracks(evidence, "another", np.array([3])) == []
    assert evidence_tracks(None, "toy", np.array([3])) == []
