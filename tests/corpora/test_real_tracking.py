"""The sample corpora under MGDATA_CORPORA: exact counts."""

import os
from pathlib import Path

import pytest

from mgdata.corpora.check import check
from mgdata.corpora.got10k import Got10k
from mgdata.corpora.lasot import Lasot
from mgdata.corpora.motchallenge import MotChallenge
from mgdata.corpora.trackingnet import TrackingNet
from mgdata.data import Record
from mgdata.plugins import Corpus
from mgdata.storage import Root

pytestmark = pytest.mark.real


def sample(name: str) -> Root:
    folder = Path(os.environ["MGDATA_CORPORA"]) / name
    assert folder.is_dir(), f"MGDATA_CORPORA has no folder {name}: {folder}"
    return Root(str(folder.resolve()))


def corpora() -> dict[str, Corpus]:
    return {
        "got10k": Got10k(name="got10k", root=sample("got10k"), splits=("train", "val")),
        "lasot": Lasot(name="lasot", root=sample("lasot")),
        "annotations": Lasot(name="annotations", root=sample("lasot_annotations_real")),
        "trackingnet": TrackingNet(
            name="trackingnet", root=sample("trackingnet"), splits=("TRAIN", "TEST")
        ),
        "mot": MotChallenge(name="mot", root=sample("mot")),
    }


@pytest.mark.parametrize(
    ("name", "counts", "labels", "drops"),
    [
        # (parts, records, images, regions, hidden, ignored)
        ("got10k", (2, 2, 24, 24, 2, 0), {"bmx rider": 12, "dog": 12}, {}),
        ("lasot", (1, 1, 12, 12, 2, 0), {"goat": 12}, {}),
        ("annotations", (2, 0, 0, 0, 0, 0), {}, {"no frames": 2}),
        ("trackingnet", (2, 1, 10, 10, 0, 0), {"object": 10}, {"annotated in the first frame only": 1}),
        ("mot", (1, 1, 12, 36, 0, 12), {"person": 24, "distractor": 12}, {}),
    ],
)  # fmt: skip
def test_the_samples_hold_what_they_are_known_to_hold(
    name: str, counts: tuple[int, ...], labels: dict[str, int], drops: dict[str, int]
) -> None:
    report = check(corpora()[name])
    assert report.layout == "as expected"
    found = (report.parts, report.records, report.images, report.regions)
    assert (*found, report.hidden, report.ignored) == counts
    assert report.labels == labels
    assert {reason: drop.count for reason, drop in report.drops.items()} == drops
    assert report.skipped == {}
    assert report.missing_images == 0


def test_the_frames_known_not_to_show_the_target_are_the_flagged_ones() -> None:
    hidden: dict[str, list[int | None]] = {}
    for corpus in corpora().values():
        for part in corpus.parts():
            for item in corpus.records(part):
                if isinstance(item, Record):
                    hidden[item.key] = [
                        item.images[r.image].frame for r in item.regions if r.box is None
                    ]
    assert {key: frames for key, frames in hidden.items() if frames} == {
        "got10k/train/GOT-10k_Train_000001": [9, 10],
        "lasot/goat/goat-1": [7, 8],
    }
    assert len(hidden) == 5
