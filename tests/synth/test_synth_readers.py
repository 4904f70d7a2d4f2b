"""What the writers draw, the library's own readers must find: the two were written apart."""

import pytest

from mgdata.corpora.got10k import Got10k
from mgdata.corpora.lasot import Lasot
from mgdata.corpora.motchallenge import MotChallenge
from mgdata.corpora.trackingnet import TrackingNet
from mgdata.data import Drop
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.synth.drawing import film
from mgdata.synth.scene import target_index, toys

READERS = {
    "got10k": (Got10k, {"splits": ("train", "val")}),
    "lasot": (Lasot, {}),
    "motchallenge": (MotChallenge, {}),
    "trackingnet": (TrackingNet, {}),
}


def read(tmp_path, format, frames=20):
    summary = write(format, tmp_path / format, clips=5, frames=frames, size=(160, 120))
    reader, settings = READERS[format]
    corpus = reader(name=format, root=Root(str(tmp_path / format)), **settings)
    return summary, [record for part in corpus.parts() for record in corpus.records(part)]


@pytest.mark.parametrize("format", READERS)
def test_the_reader_drops_nothing_and_finds_every_absence(tmp_path, format):
    summary, records = read(tmp_path, format)
    assert not [record for record in records if isinstance(record, Drop)]
    assert len(records) == (4 if format == "trackingnet" else 5)
    absent = sum(r.box is None and not r.ignore for record in records for r in record.regions)
    assert absent == summary.absent
    for record in records:
        assert len(record.images) == 20
        assert {(image.width, image.height) for image in record.images} == {(160, 120)}
        assert not record.skipped


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path):
    _, records = read(tmp_path, "lasot")
    drawn = []
    for clip in range(5):
        objects, story = 4 + clip % 2, ("leaving", "hiding")[clip % 2]
        scene = toys(Stream("synth", "lasot", "0", str(clip)), 20, (160, 120), objects, story)
        drawn.append([p[target_index(objects, story)].seen for _, p in film(scene)])
    found = [[region.box for region in record.regions] for record in records]
    assert sorted(map(str, found)) == sorted(map(str, drawn))
