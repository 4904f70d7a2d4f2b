"""TAO: hand-written files, synthetic ones read back, damage, the real sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora.check import check
from mgdata.corpora.tao import Tao
from mgdata.data import Drop, Record, complete, known_absent
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.storage import Root
from mgdata.synth import tao as writer
from mgdata.synth import write
from mgdata.synth.camera import Job
from mgdata.synth.drawing import film
from mgdata.validity import record_fault

Content = dict[str, Any]
Change = Callable[[Content], None]
NAME = "train/YFCC100M/v_1"
CATEGORIES = [
    {"id": 1, "name": "Person", "synset": "person.n.01", "merged": [{"id": 9, "name": "boy"}]},
    {"id": 2, "name": "baby_buggy", "synset": "baby_buggy.n.01"},
    {"id": 3, "name": "dog", "synset": "dog.n.01"},
    {"id": 4, "name": "owl", "synset": "owl.n.01"},
    {"id": 5, "name": "toy thing", "synset": "unknown"},
]


def video(id_: int = 0, name: str = NAME, **more: Any) -> Content:
    federated = {"neg_category_ids": [4], "not_exhaustive_category_ids": []}
    return {"id": id_, "name": name, "width": 64, "height": 48, **federated, **more}


def frame(id_: int, index: int, video_id: int = 0, name: str = NAME, **more: Any) -> Content:
    file_name = f"{name}/frame{index + 1:04d}.jpg"
    size = {"width": 64, "height": 48}
    return {"id": id_, "video_id": video_id, "file_name": file_name, "frame_index": index, **size, **more}  # fmt: skip


def mark(id_: int, image: int, track: int, category: int = 1, **more: Any) -> Content:
    box = {"bbox": [10, 20, 30.5, 20], "iscrowd": 0, "video_id": 0}
    return {"id": id_, "image_id": image, "track_id": track, "category_id": category, **box, **more}


def content() -> Content:
    """Two people and a buggy, three annotated frames that are not in order."""
    return {
        "videos": [video()],
        "images": [frame(12, 60), frame(10, 0), frame(11, 30)],
        "tracks": [
            {"id": 1, "category_id": 1, "video_id": 0},
            {"id": 2, "category_id": 9, "video_id": 0},
            {"id": 3, "category_id": 2, "video_id": 0},
        ],
        "annotations": [
            mark(1, 10, 1),
            mark(2, 10, 2, 9, bbox=[-5, 0, 20, 10]),
            mark(3, 12, 1, bbox=[0, 0, 64, 48]),
            mark(4, 12, 3, 2),
        ],
        "categories": CATEGORIES,
        "licenses": ["Unknown"],
    }


def lay(root: Path, found: Content | str, *folders: str, split: str = "train") -> Path:
    text = found if isinstance(found, str) else json.dumps(found)
    put(root / f"annotations/{split}.json", text)
    for folder in folders or (NAME,):
        for index in (0, 30, 60):
            put(root / f"frames/{folder}/frame{index + 1:04d}.jpg", jpeg())
    return root


def corpus(root: Path, **settings: Any) -> Tao:
    return Tao(name="tao", root=Root(str(root)), **settings)


def read(root: Path, **settings: Any) -> tuple[list[Record], list[Drop]]:
    reader = corpus(root, **settings)
    items = [item for part in reader.parts() for item in reader.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    return records, [item for item in items if isinstance(item, Drop)]


def one(root: Path) -> Record:
    records, drops = read(root)
    assert drops == []
    (record,) = records
    return record


def changed(root: Path, change: Change) -> tuple[list[Record], list[Drop]]:
    found = content()
    change(found)
    return read(lay(root, found))


def reasons(drops: list[Drop]) -> list[tuple[str, str]]:
    return [(drop.key, drop.reason) for drop in drops]


def test_a_video_becomes_a_clip_of_its_annotated_frames_in_time_order(tmp_path: Path) -> None:
    record = one(lay(tmp_path, content()))
    assert record.key == "tao/train/YFCC100M/v_1"
    assert record.unit == "tao/YFCC100M/v_1"
    assert record.license == "unknown"
    assert [image.frame for image in record.images] == [0, 30, 60]
    assert record.images[1].uri == f"tao:frames/{NAME}/frame0031.jpg"
    assert [(r.image, r.label, r.track) for r in record.regions] == [
        (0, "person", "1"),
        (0, "person", "2"),
        (2, "person", "1"),
        (2, "baby_buggy", "3"),
    ]
    assert corners(record) == [(10, 20, 40.5, 40), (0, 0, 15, 10), (0, 0, 64, 48), (10, 20, 40.5, 40)]  # fmt: skip
    assert [region.clipped for region in record.regions] == [False, True, False, False]


def test_what_was_searched_for_is_complete_and_nothing_is_known_of_the_rest(tmp_path: Path) -> None:
    record = one(lay(tmp_path, content()))
    assert record.exhaustive == ("baby_buggy", "owl", "person")
    assert record.absent == ("owl",)
    assert known_absent(record, "owl") and not known_absent(record, "dog")
    assert not complete(record, "dog")


@pytest.mark.parametrize(
    ("more", "exhaustive", "absent"),
    [
        ({"not_exhaustive_category_ids": [2]}, ("owl", "person"), ("owl",)),
        # A part of a merged category that is not complete: neither is the whole.
        ({"not_exhaustive_category_ids": [9]}, ("baby_buggy", "owl"), ("owl",)),
        # A negative category of which there is a track is not absent.
        ({"neg_category_ids": [2, 3]}, ("baby_buggy", "dog", "person"), ("dog",)),
        # That no boy is there says nothing of people, nor does an id without a category.
        ({"neg_category_ids": [9, 77]}, ("baby_buggy", "person"), ()),
        # Nobody searched for what annotators named themselves.
        ({"neg_category_ids": [5]}, ("baby_buggy", "person"), ()),
        ({"not_exhaustive_category_ids": [77]}, ("baby_buggy", "owl", "person"), ("owl",)),
        ({"neg_category_ids": None}, (), ()),
        ({"not_exhaustive_category_ids": None}, (), ()),
    ],
)
def test_the_lists_of_a_video_decide_what_is_known(
    tmp_path: Path, more: Content, exhaustive: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    found = content()
    found["videos"] = [video(**more)]
    record = one(lay(tmp_path, found))
    assert (record.exhaustive, record.absent) == (exhaustive, absent)


def test_a_class_in_the_annotators_own_words_is_never_complete(tmp_path: Path) -> None:
    found = content()
    found["tracks"].append({"id": 4, "category_id": 5, "video_id": 0})
    found["annotations"].append(mark(5, 11, 4, 5))
    record = one(lay(tmp_path, found))
    assert [r.label for r in record.regions if r.image == 1] == ["toy thing"]
    assert record.exhaustive == ("baby_buggy", "owl", "person")


def test_a_crowd_is_to_be_ignored(tmp_path: Path) -> None:
    found = content()
    found["annotations"][3]["iscrowd"] = 1
    assert [r.ignore for r in one(lay(tmp_path, found)).regions] == [False, False, False, True]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("val/AVA/keUOiCcHtoQ_scene_28_124948-125707", "youtube-keUOiCcHtoQ"),
        ("val/HACS/Tai_chi_v_87ksUt7mO3o_scene_0_0-1298", "youtube-87ksUt7mO3o"),
        ("train/HACS/Tai_chi_v_a_v_b7mO3oX_scene_1_0-1298", "youtube-a_v_b7mO3oX"),
        ("train/BDD/b231a630-c4522992", "bdd-b231a630"),
        ("train/Charades/35LUV", "charades-35LUV"),
        ("val/LaSOT/zebra-17", "zebra-17"),
        ("val/ArgoVerse/5ab2697b-6e3e", "tao/ArgoVerse/5ab2697b-6e3e"),
        ("odd", "tao/odd"),
    ],
)
def test_videos_cut_from_one_film_share_a_unit(tmp_path: Path, name: str, unit: str) -> None:
    found = content()
    found["videos"] = [video(name=name)]
    found["images"] = [frame(10, 0, name=name), frame(12, 60, name=name)]
    assert one(lay(tmp_path, found, name)).unit == unit


def test_lists_may_come_in_any_order(tmp_path: Path) -> None:
    first = one(lay(tmp_path / "a", content()))
    turned = dict(reversed(content().items()))
    assert one(lay(tmp_path / "b", json.dumps(turned, indent=1))) == first


def box(*four: Any) -> Change:
    return lambda found: found["annotations"][3].__setitem__("bbox", list(four))


def spoil(name: str, at: int, **more: Any) -> Change:
    return lambda found: found[name][at].update(more)


def again(found: Content) -> None:
    found["annotations"].append({**found["annotations"][3], "track_id": 1, "category_id": 1})


@pytest.mark.parametrize(
    ("change", "reason", "lost"),
    [
        (box(10, 20, 0, 5), "zero box", "baby_buggy"),
        (box(10, 20, -5, 5), "inverted box", "baby_buggy"),
        (box(70, 20, 5, 5), "box outside the image", "baby_buggy"),
        (box(float("nan"), 20, 5, 5), "nan box", "baby_buggy"),
        (box(1e308, 20, 1e308, 5), "nan box", "baby_buggy"),
        (box(10, 20, 5), "no box", "baby_buggy"),
        (spoil("annotations", 3, bbox="x"), "no box", "baby_buggy"),
        (spoil("annotations", 3, category_id=77), "unknown category", None),
        (spoil("annotations", 3, category_id=None), "unknown category", None),
        (spoil("annotations", 3, track_id=77), "unknown track", "baby_buggy"),
        (spoil("annotations", 3, track_id=1), "track of another category", "baby_buggy"),
        (spoil("annotations", 3, video_id=5), "track of another video", "baby_buggy"),
        (spoil("tracks", 2, video_id=5), "track of another video", "baby_buggy"),
        (spoil("annotations", 3, id=1), "repeated annotation id", "baby_buggy"),
        (spoil("annotations", 3, track_id=1, category_id=1), "second box of a track in one frame", "person"),
    ],
)  # fmt: skip
def test_an_annotation_that_cannot_be_used_is_counted_and_its_class_not_complete(
    tmp_path: Path, change: Change, reason: str, lost: str | None
) -> None:
    (record,), drops = changed(tmp_path, change)
    assert drops == []
    assert record.skipped == {reason: 1}
    assert len(record.regions) == 3
    assert record.exhaustive == () if lost is None else lost not in record.exhaustive
    assert (record.absent == ()) == (lost is None)


def test_an_annotation_without_its_image_makes_nothing_complete(tmp_path: Path) -> None:
    (record,), drops = changed(tmp_path, spoil("annotations", 0, image_id=None))
    assert reasons(drops) == [("tao/annotations/train.json#annotations[0]", "malformed annotation")]
    assert (record.exhaustive, record.absent) == ((), ())


def remove(root: Path) -> None:
    (root / f"frames/{NAME}/frame0061.jpg").unlink()


def resize(root: Path) -> None:
    put(root / f"annotations/{'train'}.json", json.dumps({**content(), "images": [
        frame(10, 0), frame(11, 30), frame(12, 60, width=640)]}))  # fmt: skip


def leave(root: Path) -> None:
    put(root / f"annotations/{'train'}.json", json.dumps({**content(), "images": [
        frame(10, 0), frame(11, 30), frame(12, 60, name="../x")]}))  # fmt: skip


def share(root: Path) -> None:
    put(root / f"annotations/{'train'}.json", json.dumps({**content(), "images": [
        frame(10, 0), frame(11, 30), {**frame(12, 60), "file_name": f"{NAME}/frame0001.jpg"}]}))  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove, "missing image"),
        (resize, "size differs from the annotation"),
        (leave, "path leaves the corpus root"),
        (share, "two images of one file"),
    ],
)
def test_a_frame_that_cannot_be_used_is_counted_with_its_annotations(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(lay(tmp_path, content()))
    record = one(tmp_path)
    assert [image.frame for image in record.images] == [0, 30]
    assert record.skipped == {reason: 1, "annotation of a frame left out": 2}
    assert not known_absent(record, "baby_buggy")


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    lay(tmp_path / "root", content())
    lay(tmp_path / "other", content())
    folder = tmp_path / "root/frames" / NAME
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path / "other/frames" / NAME)
    records, drops = read(tmp_path / "root")
    assert records == []
    assert reasons(drops) == [(f"tao/{NAME}", "path leaves the corpus root")]


def unframed(found: Content) -> None:
    found["images"], found["annotations"] = [], []


def silent(found: Content) -> None:
    found["annotations"], found["videos"] = [], [video(neg_category_ids=[])]


def twins(found: Content) -> None:
    found["videos"].append(video(1))


def cloned(found: Content) -> None:
    found["videos"].append(video(0, "train/AVA/x"))


@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        (unframed, [(f"tao/{NAME}", "no frames")]),
        (silent, [(f"tao/{NAME}", "video without annotation")]),
        (twins, [(f"tao/{NAME}", "repeated video"), (f"tao/{NAME}", "repeated video")]),
        (cloned, [(f"tao/{NAME}", "repeated video"),
                  ("tao/annotations/train.json#video=0", "repeated video id")]),
    ],
)  # fmt: skip
def test_a_video_without_a_record_says_why(
    tmp_path: Path, change: Change, dropped: list[tuple[str, str]]
) -> None:
    records, drops = changed(tmp_path, change)
    assert (records, reasons(drops)) == ([], dropped)


def test_a_video_without_tracks_is_kept_where_something_is_known_to_be_absent(
    tmp_path: Path,
) -> None:
    found = content()
    found["annotations"] = []
    record = one(lay(tmp_path, found))
    assert (record.regions, record.absent) == ((), ("owl",))


def test_entries_that_belong_to_no_video_are_dropped_by_themselves(tmp_path: Path) -> None:
    found = content()
    found["images"].append(frame(20, 5, 7))
    found["annotations"] += [mark(8, 20, 1), mark(9, 55, 1)]
    found["videos"].append({"id": "x"})
    found["tracks"].append("y")
    found["categories"] = [*CATEGORIES, {"id": 3, "name": "wolf"}]
    (record,), drops = read(lay(tmp_path, found))
    path = "tao/annotations/train.json"
    assert sorted(reasons(drops)) == [
        (f"{path}#category=3", "repeated category id"),
        (f"{path}#image=20", "image of an unknown video"),
        (f"{path}#image=55", "annotation for an unknown image"),
        (f"{path}#tracks[3]", "malformed track"),
        (f"{path}#videos[1]", "malformed video"),
    ]
    assert len(record.regions) == 4


def test_an_image_id_that_stands_for_two_files_is_left_out(tmp_path: Path) -> None:
    found = content()
    found["images"].append(frame(12, 30))
    (record,), drops = read(lay(tmp_path, found))
    assert reasons(drops) == [("tao/annotations/train.json#image=12", "repeated image id")]
    assert record.skipped == {"annotation of a frame left out": 2, "repeated image id": 1}


def test_categories_merged_in_a_circle_do_not_hang(tmp_path: Path) -> None:
    found = content()
    found["categories"] = [
        {"id": 1, "name": "person", "synset": "a", "merged": [{"id": 9, "name": "boy"}]},
        {"id": 9, "name": "boy", "synset": "b", "merged": [{"id": 1, "name": "person"}]},
        {"id": 2, "name": "baby_buggy", "synset": "c"},
    ]
    assert len(one(lay(tmp_path, found)).images) == 3


def test_the_licence_that_all_frames_name_is_the_records(tmp_path: Path) -> None:
    found = content()
    url = "https://creativecommons.org/licenses/by/4.0/"
    found["licenses"] = [{"id": 1, "name": "CC BY 4.0", "url": url}]
    found["images"] = [{**image, "license": 1} for image in found["images"]]
    assert one(lay(tmp_path, found)).license == "CC-BY-4.0"
    found["images"][0]["license"] = 2
    assert one(lay(tmp_path, found)).license == "unknown"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSON ends early"),
        (json.dumps(content())[:400], "JSON ends early"),
        ("[]", "malformed JSON"),
        ('{"images": []}', "not a TAO annotation file"),
        ('{"images": [], "annotations": [], "categories": []}', "not a TAO annotation file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, reason: str) -> None:
    records, drops = read(lay(tmp_path, text))
    assert records == []
    assert reasons(drops) == [("tao/annotations/train.json", reason)]
    assert "annotations/train.json" in str(drops[0].value)


def test_only_files_that_are_asked_for_are_read(tmp_path: Path) -> None:
    for split in ("train", "validation", "train_with_freeform", "test"):
        lay(tmp_path, content(), split=split)
    assert corpus(tmp_path).parts() == ["annotations/train.json", "annotations/validation.json"]
    assert corpus(tmp_path, splits=("test",)).parts() == ["annotations/test.json"]
    with pytest.raises(UsageError, match=r"looked for val.json in annotations"):
        corpus(tmp_path, splits=("train", "val")).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        corpus(tmp_path / "nowhere").parts()


def test_a_box_read_back_is_the_box_that_was_drawn(tmp_path: Path) -> None:
    job = Job(clips=6, frames=24, size=(160, 120), seed=5, quality=90, jpeg_bytes=None)
    summary = write("tao", tmp_path / "t", clips=6, frames=24, size=(160, 120), seed=5)
    records, drops = read(tmp_path / "t")
    assert drops == [] and len(records) == 6
    shown, several, back = 0, 0, 0
    for number, record in enumerate(records):
        scene = writer.setting(Stream("synth", "tao", "5", str(number)), number, job)
        drawn = [placements for _, placements in film(scene)]
        assert record.skipped == {}
        assert [image.frame for image in record.images] == list(writer.annotated(24))
        for region in record.regions:
            label = region.label.removeprefix("my_")
            there = [p.seen for p in drawn[int(record.images[region.image].frame or 0)] if p.shape == label]  # fmt: skip
            assert region.box in there
        for label in record.exhaustive:
            for image, frame_ in enumerate(writer.annotated(24)):
                clear = {p.seen for p in drawn[frame_] if p.shape == label and p.visibility > 0.4}
                assert clear <= {
                    r.box for r in record.regions if (r.image, r.label) == (image, label)
                }
        tracks = {r.track for r in record.regions}
        shown += len(record.regions)
        several += any(_tracks(record, label) > 1 for label in {r.label for r in record.regions})
        back += sum(_returns(record, track) for track in tracks)
    annotated = sum(len(r.images) for r in records)
    assert summary.absent > annotated / 4 and shown > annotated
    assert several >= 4 and back >= 6


def _tracks(record: Record, label: str) -> int:
    return len({r.track for r in record.regions if r.label == label})


def _returns(record: Record, track: str | None) -> bool:
    seen = sorted({r.image for r in record.regions if r.track == track})
    return seen != list(range(seen[0], seen[-1] + 1))


def test_a_written_corpus_is_sound_and_the_same_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write("tao", tmp_path / name, clips=4, frames=6, size=(96, 72), seed=3)
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*.*")) for n in "ab"]
    assert files[0] == files[1]
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files[0])  # fmt: skip
    report = check(corpus(tmp_path / "a"))
    assert (report.records, report.missing_images, report.drops) == (4, 0, {})


@pytest.mark.real
def test_the_real_sample_is_read(real_corpora: Path) -> None:
    record = one(real_corpora / "tao")
    assert record.key == "tao/val/SAV/bedroom"
    assert record.license == "CC-BY-4.0"
    assert [image.frame for image in record.images] == [0, 18, 36, 54]
    assert [r.track for r in record.regions] == ["1", "2", "3"] * 4
    assert record.regions[0].box == Box(313, 0, 517, 397)
    assert {r.label for r in record.regions} == {"person", "pillow"}
