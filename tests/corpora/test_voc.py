"""VOC-style XML: hand-written files, synthetic ones read back, damage, the real samples."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora import voc as module
from mgdata.corpora.check import check
from mgdata.corpora.voc import Voc
from mgdata.data import ALL, Drop, Record, known_absent
from mgdata.errors import UsageError
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.validity import record_fault

BASE = "VOCdevkit/VOC2007"


def thing(name: str = "Dog", box: str | None = None, more: str = "") -> str:
    box = box or tags(xmin=11, ymin=21, xmax=40, ymax=40)
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def tags(**values: Any) -> str:
    return "".join(f"<{tag}>{value}</{tag}>" for tag, value in values.items())


def xml(*objects: str, width: int = 64, height: int = 48) -> str:
    size = f"<size>{tags(width=width, height=height, depth=3)}</size>"
    return f"<annotation><filename>%s.jpg</filename>{size}{''.join(objects)}</annotation>"


def lay(root: Path, text: str | bytes, name: str = "000001") -> Path:
    put(root / BASE / f"JPEGImages/{name}.jpg", jpeg())
    put(root / BASE / f"Annotations/{name}.xml", text)
    return root


def voc(root: Path, **settings: Any) -> Voc:
    return Voc(name="voc", root=Root(str(root)), **settings)


def read(corpus: Voc) -> tuple[list[Record], list[Drop]]:
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    return records, [item for item in items if isinstance(item, Drop)]


def one(root: Path, **settings: Any) -> Record:
    (record,), drops = read(voc(root, **settings))
    assert drops == []
    return record


def test_corners_are_pixels_from_one_with_both_ends_and_any_order(tmp_path: Path) -> None:
    swapped = thing("cat", tags(xmax=64, xmin=1, ymax=48, ymin=1))
    record = one(lay(tmp_path, xml(thing(), swapped)))
    assert record.key == f"voc/{BASE}/Annotations/000001"
    assert record.images[0].uri == f"voc:{BASE}/JPEGImages/000001.jpg"
    assert corners(record) == [(10, 20, 40, 40), (0, 0, 64, 48)]
    assert [region.label for region in record.regions] == ["dog", "cat"]
    assert record.exhaustive == (ALL,)


def test_difficult_objects_are_to_be_ignored_unless_told(tmp_path: Path) -> None:
    hard = thing("cat", more="<difficult>1</difficult>")
    root = lay(tmp_path, xml(thing(), hard))
    assert [region.ignore for region in one(root).regions] == [False, True]
    assert [region.ignore for region in one(root, difficult="keep").regions] == [False, False]


def test_boxes_of_parts_are_not_taken_for_the_object(tmp_path: Path) -> None:
    part = f"<part><name>head</name><bndbox>{tags(xmin=1, ymin=1, xmax=2, ymax=2)}</bndbox></part>"
    assert corners(one(lay(tmp_path, xml(thing(more=part))))) == [(10, 20, 40, 40)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (thing("cat", tags(xmin=40, ymin=21, xmax=10, ymax=40)), "inverted box"),
        (thing("cat", tags(xmin=11, ymin=21, xmax="nan", ymax=40)), "nan box"),
        (thing("cat", tags(xmin=11, ymin=21, xmax="wide", ymax=40)), "nan box"),
        (thing("cat", tags(xmin=11, ymin=21, ymax=40)), "nan box"),
        (thing("cat", tags(xmin=99, ymin=21, xmax=120, ymax=40)), "box outside the image"),
        ("<object><name>cat</name></object>", "nan box"),
    ],
)
def test_a_bad_box_is_left_out_and_counted(tmp_path: Path, bad: str, reason: str) -> None:
    record = one(lay(tmp_path, xml(thing(), bad)))
    assert record.skipped == {reason: 1}
    assert record.exhaustive == ("dog",)
    assert not known_absent(record, "cat")


def test_an_object_without_a_name_makes_nothing_complete(tmp_path: Path) -> None:
    record = one(lay(tmp_path, xml(thing(), thing(" "))))
    assert record.skipped == {"object without a name": 1}
    assert record.exhaustive == ()


def test_a_box_one_pixel_off_is_cut(tmp_path: Path) -> None:
    box = tags(xmin=0, ymin=5, xmax=65, ymax=40)
    record = one(lay(tmp_path, xml(thing(box=box))))
    assert corners(record) == [(0, 4, 64, 40)]
    assert record.regions[0].clipped


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><annotation>'
    "<object><name>&y;</name></object></annotation>"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed XML"),
        (xml(thing())[:-20], "malformed XML"),
        (b"<annotation>\xff\xfe</annotation>", "malformed XML"),
        (b"\x00\x01", "malformed XML"),
        ('<?xml version="1.0" encoding="nonsense"?><a/>', "malformed XML"),
        (LAUGHS, "XML with a document type"),
        (LAUGHS.encode("utf-16"), "XML with a document type"),
        (xml(), "image without annotation"),
    ],
)
def test_a_bad_file_is_one_drop(tmp_path: Path, text: str | bytes, reason: str) -> None:
    records, (drop,) = read(voc(lay(tmp_path, text)))
    assert records == []
    assert (drop.key, drop.reason) == (f"voc/{BASE}/Annotations/000001", reason)


def test_an_annotation_without_its_image_or_with_a_broken_one_is_a_drop(tmp_path: Path) -> None:
    lay(tmp_path, xml(thing()))
    put(tmp_path / BASE / "Annotations/000002.xml", xml(thing()))
    lay(tmp_path, xml(thing()), "000003")
    put(tmp_path / BASE / "JPEGImages/000003.jpg", b"GIF")
    records, drops = read(voc(tmp_path))
    assert len(records) == 1
    assert [drop.reason for drop in drops] == ["missing image", "unreadable image"]


def test_a_set_reads_what_its_list_names(tmp_path: Path) -> None:
    for name in ("000001", "000002", "000003"):
        lay(tmp_path, xml(thing()), name)
    put(tmp_path / BASE / "ImageSets/Main/val.txt", "000002\n000009\n")
    put(tmp_path / BASE / "ImageSets/Main/dog_val.txt", "000001 -1\n")
    records, _ = read(voc(tmp_path, sets=("val",)))
    assert [record.key[-6:] for record in records] == ["000002"]
    with pytest.raises(UsageError, match=r"called test \(sets\)"):
        voc(tmp_path, sets=("test",)).parts()


def test_a_large_folder_is_cut_into_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        lay(tmp_path, xml(thing()), f"{number:06d}")
    whole = read(voc(tmp_path))
    monkeypatch.setattr(module, "PART", 3)
    assert len(voc(tmp_path).parts()) == 4
    assert read(voc(tmp_path)) == whole


def test_imagenet_boxes_get_the_synsets_first_word_and_say_nothing_of_others(
    tmp_path: Path,
) -> None:
    base = "ILSVRC/{}/CLS-LOC/train/n01440764/n01440764_10026"
    put(tmp_path / f"{base.format('Data')}.JPEG", jpeg())
    text = xml(thing("n01440764"), width=500, height=375)
    put(tmp_path / f"{base.format('Annotations')}.xml", text)
    put(tmp_path / "LOC_synset_mapping.txt", "n01440764 Tench, Tinca tinca\nn01443537 goldfish\n")
    record = one(tmp_path)
    assert record.regions[0].label == "tench"
    assert record.exhaustive == ("tench",)
    assert not known_absent(record, "goldfish")
    assert (record.images[0].width, record.images[0].height) == (64, 48)  # not what the XML says
    (tmp_path / "LOC_synset_mapping.txt").unlink()
    assert one(tmp_path, under="ILSVRC/Annotations").regions[0].label == "n01440764"


def test_video_frames_are_images_of_one_unit_counted_from_zero(tmp_path: Path) -> None:
    base = "ILSVRC2015/{}/VID/train/set_0000/video_1/{:06d}"
    for number in range(2):
        put(tmp_path / f"{base.format('Data', number)}.JPEG", jpeg())
        box = tags(xmax=39, xmin=10, ymax=39, ymin=20)
        text = xml(thing("n02", box, "<trackid>3</trackid>"))
        put(tmp_path / f"{base.format('Annotations', number)}.xml", text)
    put(tmp_path / "ILSVRC2015/ImageSets/VID/train_1.txt", "set_0000/video_1 1\n")
    records, _ = read(voc(tmp_path, sets=("train_1",)))
    assert len(records) == 2
    assert len({record.unit for record in records}) == 1
    assert corners(records[1]) == [(10, 20, 40, 40)]
    assert records[1].regions[0].track == "3"


@pytest.mark.parametrize(
    ("stated", "boxes"), [((64, 48), [(8, 10, 28, 40)]), ((48, 64), [(10, 20, 40, 40)])]
)
def test_a_rotated_photo_is_read_in_the_frame_its_xml_states(
    tmp_path: Path, stated: tuple[int, int], boxes: list[tuple[int, ...]]
) -> None:
    lay(tmp_path, xml(thing(), width=stated[0], height=stated[1]))
    put(tmp_path / BASE / "JPEGImages/000001.jpg", jpeg(orientation=6))
    record = one(tmp_path)
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record) == boxes


def test_damage_crashes_nothing(tmp_path: Path) -> None:
    text = xml(thing(), thing("cat", more="<difficult>1</difficult>")).encode()
    rng = np.random.default_rng(0)
    path = lay(tmp_path, text) / BASE / "Annotations/000001.xml"
    for _ in range(500):
        data = bytearray(text)
        at = int(rng.integers(len(data)))
        if rng.integers(2):
            data[at] = int(rng.integers(256))
        else:
            del data[at : at + int(rng.integers(1, 30))]
        path.write_bytes(bytes(data))
        read(voc(tmp_path))


def test_a_root_without_annotations_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "train/a.jpg", jpeg())
    with pytest.raises(UsageError, match="looked for Annotations"):
        voc(tmp_path).parts()


def test_a_synthetic_corpus_reads_back_as_it_was_drawn(tmp_path: Path) -> None:
    from mgdata.synth.camera import Camera, Job
    from mgdata.synth.coco import shots

    write("voc", tmp_path / "voc", clips=10, frames=1, size=(160, 120))
    records, drops = read(voc(tmp_path / "voc"))
    assert drops == []
    drawn = list(shots(Camera(Job(10, 1, (160, 120), 0, 90, None)), "voc"))
    for record, shot in zip(records, drawn, strict=True):
        boxes = [(t.box.x1, t.box.y1, t.box.x2, t.box.y2) for t in shot.things]
        assert corners(record) == boxes
        assert [region.label for region in record.regions] == [t.label for t in shot.things]
    assert len(read(voc(tmp_path / "voc", sets=("val",)))[0]) == 2


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "records", "regions", "ignored", "labels", "drops"),
    [
        ("voc", 3, 22, 5, {"person": 13, "bird": 6, "car": 2, "bus": 1}, {}),
        ("imagenet_vid", 5, 5, 0, {"n03790512": 5}, {"image without annotation": 1}),
    ],
)
def test_the_real_samples_hold_what_they_are_known_to_hold(
    name: str, records: int, regions: int, ignored: int, labels: dict[str, int],
    drops: dict[str, int],
) -> None:  # fmt: skip
    folder = Path(os.environ["MGDATA_CORPORA"]) / name
    assert folder.is_dir(), f"MGDATA_CORPORA has no folder {name}"
    report = check(voc(folder.resolve()))
    assert (report.records, report.regions, report.ignored) == (records, regions, ignored)
    assert report.labels == labels
    assert {reason: drop.count for reason, drop in report.drops.items()} == drops
    assert report.skipped == {}
