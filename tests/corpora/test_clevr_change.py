import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_writers import corners, put

from mgdata.corpora.check import check
from mgdata.corpora.clevr_change import ClevrChange
from mgdata.data import ALL, Drop, Record, known_absent
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import pairs, write
from mgdata.synth.clevr_change import SIZE
from mgdata.synth.toybox import FLAT
from mgdata.validity import record_fault

BOXES = "change_captions_with_bbox.json"


def png(width: int = 480, height: int = 360) -> bytes:
    return cv2.imencode(".png", np.full((height, width, 3), 128, np.uint8))[1].tobytes()


def clevr(root: Path, **settings: Any) -> ClevrChange:
    return ClevrChange(name="clevr_change", root=Root(str(root)), **settings)


def scene(root: Path, number: int, picture: bytes = png()) -> None:
    for folder, name in (("images", "default"), ("sc_images", "semantic")):
        put(root / folder / f"CLEVR_{name}_{number:06d}.png", picture)
    put(root / f"nsc_images/CLEVR_nonsemantic_{number:06d}.png", picture)


def table(root: Path, name: str, content: object) -> None:
    put(root / name, json.dumps(content))


def boxed(root: Path, *sides: object, number: int = 7) -> None:
    before, after = sides
    table(root, BOXES, {str(number): {"bbox_before": before, "bbox_after": after}})


def corpus(root: Path) -> Path:
    """Scene 7 loses an object; scene 12, of another split, changes a colour."""
    scene(root, 7)
    scene(root, 12)
    table(
        root,
        BOXES,
        {
            "12": {"bbox_before": [0, 0, 480, 360], "bbox_after": [1, 2, 3, 4]},
            "7": {"bbox_before": [10, 20, 30, 40], "bbox_after": None},
        },
    )
    captions = {"CLEVR_default_000007.png": [" ", "the  red ball\nis gone", "it went"]}
    table(root, "change_captions.json", captions)
    table(root, "no_change_captions.json", {"CLEVR_default_000007.png": ["nothing changed"]})
    table(root, "type_mapping.json", {"drop": ["000007.png"], "color": ["000012.png"]})
    table(root, "splits.json", {"train": [7], "val": [12], "test": []})
    return root


def read(corpus: ClevrChange) -> list[Record | Drop]:
    found = [item for part in corpus.parts() for item in corpus.records(part)]
    assert all(record_fault(item) is None for item in found if isinstance(item, Record))
    return found


def first(corpus: ClevrChange) -> Record:
    record = read(corpus)[0]
    assert isinstance(record, Record), record
    return record


def reasons(corpus: ClevrChange) -> list[tuple[str, str, str | None]]:
    return [(d.key, d.reason, d.value) for d in read(corpus) if isinstance(d, Drop)]


def test_a_scene_gives_a_changed_and_an_unchanged_pair_of_one_unit(tmp_path: Path) -> None:
    changed, unchanged, *others = read(clevr(corpus(tmp_path)))
    assert isinstance(changed, Record) and isinstance(unchanged, Record)
    assert changed.key == "clevr_change/000007/changed"
    assert [image.uri for image in changed.images] == [
        "clevr_change:images/CLEVR_default_000007.png",
        "clevr_change:sc_images/CLEVR_semantic_000007.png",
    ]
    assert corners(changed) == [(10, 20, 40, 60), None]
    assert [(r.image, r.label, r.phrase, r.track) for r in changed.regions] == [
        (0, "drop", "the red ball is gone", "1"),
        (1, "drop", "the red ball is gone", "1"),
    ]
    assert unchanged.images[1].uri == "clevr_change:nsc_images/CLEVR_nonsemantic_000007.png"
    assert unchanged.regions == ()
    assert unchanged.exhaustive == changed.exhaustive == (ALL,)
    assert known_absent(unchanged, "drop") and not known_absent(changed, "drop")
    assert changed.unit == unchanged.unit == "clevr_change/000007"
    assert [other.key for other in others] == [
        "clevr_change/000012/changed",
        "clevr_change/000012/unchanged",
    ]


def test_unchanged_pairs_can_be_left_out(tmp_path: Path) -> None:
    found = read(clevr(corpus(tmp_path), unchanged=False))
    assert [item.key[-7:] for item in found] == ["changed"] * 2


@pytest.mark.parametrize(("split", "scenes"), [("train", [7]), ("val", [12])])
def test_a_split_reads_the_scenes_it_lists(tmp_path: Path, split: str, scenes: list[int]) -> None:
    found = read(clevr(corpus(tmp_path), split=split, unchanged=False))
    assert [item.key for item in found] == [f"clevr_change/{n:06d}/changed" for n in scenes]


def test_a_listed_scene_without_boxes_is_dropped_and_its_unchanged_pair_kept(
    tmp_path: Path,
) -> None:
    table(corpus(tmp_path), "splits.json", {"train": [9]})
    scene(tmp_path, 9)
    dropped, kept = read(clevr(tmp_path, split="train"))
    assert isinstance(dropped, Drop) and isinstance(kept, Record)
    assert (dropped.reason, dropped.value) == ("missing annotation", f"{BOXES}: 9")


def test_boxes_are_scaled_to_pictures_of_another_size_and_counted(tmp_path: Path) -> None:
    scene(tmp_path, 7, png(240, 240))
    boxed(tmp_path, [10, 30, 40, 60], [0, 0, 480, 360])
    record = first(clevr(tmp_path))
    assert corners(record) == [(5, 20, 25, 60), (0, 0, 240, 240)]
    assert record.skipped == {"box scaled from 480x360": 2}


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [([1, 2, 3, 4], None, "drop"), (None, [1, 2, 3, 4], "add"), ([1, 2, 3, 4],) * 2 + ("change",)],
)
def test_without_types_and_captions_the_nulls_tell_what_they_can(
    tmp_path: Path, before: object, after: object, label: str
) -> None:
    scene(tmp_path, 7)
    boxed(tmp_path, before, after)
    assert {(r.label, r.phrase) for r in first(clevr(tmp_path)).regions} == {(label, None)}


@pytest.mark.parametrize(
    ("before", "after", "skipped"),
    [
        ([1, 2, 0, 4], [1, 2, 3, 4], {"zero box": 1}),
        ([1, 2, 3, 4], [9, 9, -3, 4], {"inverted box": 1}),
        ([1, 2, 3, 4], [480, 0, 5, 5], {"box outside the image": 1}),
        ([float("nan"), 2, 3, 4], [1, 2, 3, 4], {"nan box": 1}),
        ([1, 2, 3, 4], [1, 2, float("inf"), 4], {"nan box": 1}),
    ],
)
def test_a_bad_box_on_one_side_is_counted_and_the_pair_no_longer_complete(
    tmp_path: Path, before: object, after: object, skipped: dict[str, int]
) -> None:
    scene(tmp_path, 7)
    boxed(tmp_path, before, after)
    record = first(clevr(tmp_path))
    assert len(record.regions) == 1
    assert record.skipped == skipped
    assert record.exhaustive == ()


def test_a_box_that_leaves_the_picture_is_cut(tmp_path: Path) -> None:
    scene(tmp_path, 7)
    boxed(tmp_path, [-5, 350, 20, 20], [470, -1, 20, 20])
    record = first(clevr(tmp_path))
    assert corners(record) == [(0, 350, 15, 360), (470, 0, 480, 19)]
    assert all(region.clipped for region in record.regions)


@pytest.mark.parametrize(
    ("before", "after", "types", "reason"),
    [
        (None, None, {}, "no box on either side"),
        ([1, 2, 3, 4], None, {"add": ["7"]}, "type disagrees with boxes"),
        ([1, 2, 3, 4], None, {"move": ["7"]}, "type disagrees with boxes"),
        ([1, 2, 3, 4], [1, 2, 3, 4], {"drop": ["7"]}, "type disagrees with boxes"),
        ([1, 2, 3, 4], [1, 2, 3, 4], {"move": [7], "color": ["000007.png"]}, "several types"),
        ([1, 2, 3], None, {}, "malformed box"),
        ([1, 2, 3, "4"], None, {}, "malformed box"),
        ([1, 2, 3, True], None, {}, "malformed box"),
        ({"x": 1}, None, {}, "malformed box"),
        ("none", None, {}, "malformed box"),
        ([1, 2, 0, 4], None, {}, "zero box"),
        ([10**400, 2, 3, 4], None, {}, "malformed box"),
    ],
)
def test_a_change_that_makes_no_sense_is_dropped(
    tmp_path: Path, before: object, after: object, types: object, reason: str
) -> None:
    scene(tmp_path, 7)
    boxed(tmp_path, before, after)
    table(tmp_path, "type_mapping.json", types)
    ((key, why, value),) = reasons(clevr(tmp_path))
    assert (key, why) == ("clevr_change/000007/changed", reason)
    assert value is None or len(value) <= 200


@pytest.mark.parametrize("entry", [[1, 2], 5, None, {}, {"bbox_before": [1, 2, 3, 4]}])
def test_an_entry_without_both_boxes_is_dropped(tmp_path: Path, entry: object) -> None:
    scene(tmp_path, 7)
    table(tmp_path, BOXES, {"7": entry})
    assert [why for _, why, _ in reasons(clevr(tmp_path))] == ["malformed box"]


def test_ids_that_are_none_or_come_twice_are_dropped_with_their_key(tmp_path: Path) -> None:
    scene(tmp_path, 7)
    box = '{"bbox_before": [1, 2, 3, 4], "bbox_after": null}'
    entries = ", ".join(f'"{key}": {box}' for key in ("7", "x", "-1", "8", "008", "\\ud800"))
    put(tmp_path / BOXES, "{" + entries + "}")
    found = clevr(tmp_path, unchanged=False)
    assert found.parts() == ["00000", "malformed"]
    assert [(key.partition("/")[2], why) for key, why, _ in reasons(found)] == [
        ("x", "malformed id"),
        ("-1", "malformed id"),
        ("\\ud800", "malformed id"),
        ("000008", "repeated id"),
    ]


@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        (lambda root: (root / "images/CLEVR_default_000007.png").unlink(), 2),
        (lambda root: (root / "sc_images/CLEVR_semantic_000007.png").unlink(), 1),
        (lambda root: (root / "nsc_images/CLEVR_nonsemantic_000007.png").unlink(), 1),
    ],
)
def test_a_missing_picture_drops_the_pairs_it_belongs_to(
    tmp_path: Path, change: Callable[[Path], None], dropped: int
) -> None:
    change(corpus(tmp_path))
    assert [why for _, why, _ in reasons(clevr(tmp_path))] == ["missing image"] * dropped


@pytest.mark.parametrize("content", [b"", b"not a picture", b"version https://git-lfs"])
def test_a_file_that_is_no_picture_is_dropped_and_named(tmp_path: Path, content: bytes) -> None:
    put(corpus(tmp_path) / "sc_images/CLEVR_semantic_000007.png", content)
    ((_, why, value),) = reasons(clevr(tmp_path))
    assert why in ("empty image", "unreadable image")
    assert value is not None and "CLEVR_semantic_000007.png" in value


def test_a_picture_that_leads_outside_is_dropped(tmp_path: Path) -> None:
    root = corpus(tmp_path / "root")
    put(tmp_path / "elsewhere.png", png())
    path = root / "sc_images/CLEVR_semantic_000007.png"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.png")
    assert [why for _, why, _ in reasons(clevr(root))] == ["path leaves the corpus root"]


@pytest.mark.parametrize("file", [BOXES, "type_mapping.json", "change_captions.json"])
@pytest.mark.parametrize("content", [b'{"7": {"bbox', b"", b"[1]", b"5", b"\xff{}", b"{]"])
def test_a_file_that_is_cut_or_something_else_is_named(
    tmp_path: Path, file: str, content: bytes
) -> None:
    put(corpus(tmp_path) / file, content)
    with pytest.raises(UsageError, match=file):
        read(clevr(tmp_path))


def test_a_type_that_names_no_scene_is_said_with_file_and_key(tmp_path: Path) -> None:
    table(corpus(tmp_path), "type_mapping.json", {"add": ["first.png"]})
    with pytest.raises(UsageError, match=r"type_mapping.json: add: found 'first.png'"):
        clevr(tmp_path).parts()


def test_a_missing_file_or_split_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="not there"):
        clevr(tmp_path / "nowhere").parts()
    with pytest.raises(UsageError, match=f"looked for {BOXES}"):
        clevr(tmp_path).parts()
    table(corpus(tmp_path), "splits.json", {"train": [7]})
    with pytest.raises(UsageError, match=r"splits.json has no 'val', it has train"):
        clevr(tmp_path, split="val").parts()
    (tmp_path / "splits.json").unlink()
    with pytest.raises(UsageError, match=r"looked for splits.json"):
        clevr(tmp_path, split="train").parts()


def test_scenes_are_read_in_blocks_of_their_numbers(tmp_path: Path) -> None:
    entry = {"bbox_before": [1, 2, 3, 4], "bbox_after": None}
    table(tmp_path, BOXES, {str(number): entry for number in (79999, 9999, 10000)})
    assert clevr(tmp_path).parts() == ["00000", "00001", "00007"]
    (found,) = clevr(tmp_path, unchanged=False).records("00001")
    assert found.key == "clevr_change/010000/changed"


def test_boxes_read_back_from_a_synthetic_corpus_are_those_drawn(tmp_path: Path) -> None:
    write("clevr_change", tmp_path / "c", clips=5, frames=1, seed=3)
    corpus = clevr(tmp_path / "c", unchanged=False)
    for number, record in enumerate(read(corpus)):
        assert isinstance(record, Record)
        rng = Stream("synth", "clevr_change", "3", str(number))
        stage = pairs.staged(rng, SIZE, 4 + number % 3, FLAT)
        kind = pairs.CHANGES[number]
        after, change = pairs.changed(rng, stage, kind, kinds=FLAT)
        view = pairs.jitter(rng, SIZE)
        drawn = [
            pairs.side(stage, pairs.STILL, change.before).box,
            pairs.side(after, view, change.after).box,
        ]
        assert [region.box for region in record.regions] == drawn
        assert {(r.label, r.phrase) for r in record.regions} == {(kind, pairs.sentences(change)[0])}


def test_a_synthetic_corpus_passes_its_check(tmp_path: Path) -> None:
    summary = write("clevr_change", tmp_path / "c", clips=10, frames=1)
    report = check(clevr(tmp_path / "c"))
    assert (report.records, report.images, report.hidden) == (20, 40, summary.absent)
    assert not report.drops and not report.skipped and not report.missing
    splits = [len(read(clevr(tmp_path / "c", split=s))) for s in ("train", "val", "test")]
    assert splits == [16, 2, 2]
