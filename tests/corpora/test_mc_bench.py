"""MC-Bench: which boxes a text has, which labels are faulty, and which photos it keeps out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora.check import check, lines
from mgdata.corpora.coco import Coco
from mgdata.corpora.mc_bench import McBench, groups
from mgdata.data import Drop, Image, Record, Shape, Target
from mgdata.errors import EnvironmentFailure, UsageError
from mgdata.filters.exclude import Exclude
from mgdata.index import Index
from mgdata.scoring.mc_bench import Item, marks
from mgdata.storage import Root
from mgdata.synth import mc_bench as writer
from mgdata.synth import write
from mgdata.tables import RecordRows
from mgdata.validity import record_fault

FILE = "mc-bench_v0.2_val.json"
Json = dict[str, Any]


def content() -> Json:
    """Two items: one with a box in its second image, one that refers to nothing."""
    names = ("COCO/000000000009.jpg", "D3/018_15029126048.jpg")
    return {
        "info": {"version": "0.2"},
        "descriptions": [
            described(0, [0, 1], "The bird on the pavement"),
            described(1, [2, 3], "The zebra", positive_sample=False, text_style="Reasoning"),
        ],
        "images": [pictured(id_, names[id_ % 2]) for id_ in range(4)],
        "annotations": [boxed(0, 1, [10, 20, 30, 20])],
        "categories": [{"id": n, "name": f"group {n}"} for n in range(1, 8)],
    }


def described(id_: int, images: list[int], text: str, **more: object) -> Json:
    return {
        "id": id_,
        "images_id": images,
        "text": text,
        "positive_sample": True,
        "text_style": "Referring",
    } | more


def pictured(id_: int, name: str, **more: object) -> Json:
    return {
        "id": id_,
        "text_id": id_ // 2,
        "inter_img_id": id_ % 2,
        "file_name": name,
        "height": 48,
        "width": 64,
    } | more


def boxed(id_: int, image: int, bbox: object, **more: object) -> Json:
    return {
        "id": id_,
        "image_id": image,
        "text_id": image // 2,
        "category_id": 1,
        "area": 600,
        "bbox": bbox,
        "iscrowd": 0,
    } | more


def bench(root: Path, labels: object, pixels: bool = True, **settings: bool) -> McBench:
    put(root / FILE, json.dumps(labels))
    for one in (isinstance(labels, dict) and pixels and labels["images"]) or ():
        put(root / "MC-Bench_images" / one["file_name"], jpeg())
    return McBench(name="mc", root=Root(str(root)), **settings)


def read(corpus: McBench) -> list[Record | Drop]:
    return [found for part in corpus.parts() for found in corpus.records(part)]


def outcome(corpus: McBench) -> dict[str, str]:
    """What became of each key: the reason of its drop, or `record`."""
    found = read(corpus)
    for one in found:
        assert not isinstance(one, Record) or record_fault(one) is None
    return {one.key: one.reason if isinstance(one, Drop) else "record" for one in found}


def records(corpus: McBench) -> list[Record]:
    found = read(corpus)
    assert not [one for one in found if isinstance(one, Drop)], found
    return [one for one in found if isinstance(one, Record)]


def test_a_text_has_the_positions_of_all_its_boxes_and_a_negative_has_none(tmp_path: Path) -> None:
    first, second = records(bench(tmp_path, content()))
    assert (first.key, first.shape, first.license) == ("mc/0", "set", "unknown")
    assert [i.uri for i in first.images] == [
        "mc:MC-Bench_images/COCO/000000000009.jpg",
        "mc:MC-Bench_images/D3/018_15029126048.jpg",
    ]
    assert [(i.width, i.height) for i in first.images] == [(64, 48)] * 2
    assert corners(first) == [(10, 20, 40, 40)]
    (region,) = first.regions
    assert (region.image, region.label, region.track) == (1, "object", "group 1")
    (said,) = first.expressions
    assert (said.text, said.regions, said.form) == ("The bird on the pavement", (0,), "phrase")
    assert (second.key, second.regions, second.exhaustive) == ("mc/1", (), ())
    assert (second.expressions[0].text, second.expressions[0].regions) == ("The zebra", ())


def test_groups_survive_as_tracks_whatever_the_order_of_the_boxes(tmp_path: Path) -> None:
    labels = content()
    labels["annotations"] = [
        boxed(7, 1, [10, 20, 30, 20], category_id=3),
        boxed(3, 0, [0, 0, 8, 8]),
        boxed(5, 0, [20, 0, 8, 8], category_id=3),
    ]
    first, _ = records(bench(tmp_path, labels))
    assert [(r.image, r.track) for r in first.regions] == [
        (0, "group 1"),
        (0, "group 3"),
        (1, "group 3"),
    ]
    assert first.expressions[0].regions == (0, 1, 2)
    assert groups(first) == (1, 3, 3)


@pytest.mark.parametrize(
    "more",
    [
        {"catgory_id": 2, "category_id": None},  # as the description of the file spells it
        {"catgory_id": 2, "category_id": 2},
    ],
)
def test_both_spellings_of_a_category_are_read(tmp_path: Path, more: Json) -> None:
    labels = content()
    labels["annotations"][0] |= more
    assert groups(records(bench(tmp_path, labels))[0]) == (2,)


def test_a_file_without_categories_numbers_its_groups(tmp_path: Path) -> None:
    labels = content()
    del labels["categories"]
    assert groups(records(bench(tmp_path, labels))[0]) == (1,)


def test_the_line_break_at_a_text_s_end_is_no_part_of_it(tmp_path: Path) -> None:
    labels = content()
    labels["descriptions"][0]["text"] = "The heavier box\n"
    assert records(bench(tmp_path, labels))[0].expressions[0].text == "The heavier box"


def test_a_crowd_is_to_be_ignored_and_no_instance(tmp_path: Path) -> None:
    labels = content()
    labels["annotations"].append(boxed(1, 0, [0, 0, 9, 9], iscrowd=1))
    first, _ = records(bench(tmp_path, labels))
    assert [r.ignore for r in first.regions] == [True, False]
    assert (first.expressions[0].regions, groups(first)) == ((1,), (1,))


@pytest.mark.parametrize(
    ("bbox", "kept", "cut"),
    [
        ([-5, -4, 20, 20], (0, 0, 15, 16), True),
        ([50, 40, 100, 100], (50, 40, 64, 48), True),
        ([0, 0, 64, 48], (0, 0, 64, 48), False),
        ([0, 0, 64.004, 48], (0, 0, 64, 48), False),  # rounding, no cut
    ],
)
def test_a_box_that_leaves_its_image_in_part_is_cut_and_says_so(
    tmp_path: Path, bbox: list[float], kept: tuple[float, ...], cut: bool
) -> None:
    labels = content()
    labels["annotations"] = [boxed(0, 1, bbox)]
    first, _ = records(bench(tmp_path, labels))
    assert (corners(first), first.regions[0].clipped) == ([kept], cut)


def test_boxes_of_a_turned_photo_follow_the_pixels_that_the_stated_size_means(
    tmp_path: Path,
) -> None:
    corpus = bench(tmp_path, content())
    photo = tmp_path / "MC-Bench_images/D3/018_15029126048.jpg"
    put(photo, jpeg(64, 48, orientation=6))  # stated as stored: boxes turn with it
    first, _ = records(corpus)
    assert (first.images[1].width, first.images[1].height) == (48, 64)
    assert corners(first) == [(8, 10, 28, 40)]
    put(photo, jpeg(48, 64, orientation=6))  # stated as upright: they lie in it already
    first, _ = records(corpus)
    assert (first.images[1].width, first.images[1].orientation) == (64, 6)
    assert corners(first) == [(10, 20, 40, 40)]


Change = Callable[[Json], object]


def _box(**more: object) -> Change:
    return lambda labels: labels["annotations"][0].update(more)


def _first(**more: object) -> Change:
    return lambda labels: labels["descriptions"][0].update(more)


FAULTS: dict[str, tuple[Change, str, str | None]] = {
    "positive-bare": (lambda f: f["annotations"].clear(), "positive without a box", None),
    "positive-crowd": (_box(iscrowd=1), "positive without a box", None),
    "negative-boxed": (_first(positive_sample=False), "negative with a box", "1"),
    "nan": (_box(bbox=[float("nan"), 1, 2, 3]), "nan box", "annotation 0: [nan, 1, 2, 3]"),
    "infinite": (_box(bbox=[1e308, 1, 1e308, 3]), "nan box", None),
    "inverted": (_box(bbox=[30, 20, -5, 4]), "inverted box", None),
    "zero": (_box(bbox=[30, 20, 5, 0]), "zero box", None),
    "outside": (_box(bbox=[64, 0, 9, 9]), "box outside the image", "[64, 0, 9, 9] in 64x48"),
    "outside-left": (_box(bbox=[-9, 0, 9, 9]), "box outside the image", None),
    "three": (_box(bbox=[1, 2, 3]), "box is not four numbers", "annotation 0: [1, 2, 3]"),
    "texts": (_box(bbox=["1", "2", "3", "4"]), "box is not four numbers", None),
    "no-box": (_box(bbox=None), "box is not four numbers", None),
    "twice": (lambda f: f["annotations"].append(boxed(1, 1, [10.0, 20, 30, 20])), "repeated box", "image 1: [10.0, 20.0, 30.0, 20.0]"),
    "id-twice": (lambda f: f["annotations"].append(boxed(0, 0, [1, 1, 9, 9])), "repeated annotation id", "0"),
    "no-category": (_box(category_id=None), "category id is not told", "annotation 0"),
    "two-categories": (_box(catgory_id=2), "category id is not told", "annotation 0"),
    "no-group": (_box(category_id=8), "category is no group", "annotation 0: 8 ''"),
    "a-dog": (lambda f: f["categories"][0].update(name="dog"), "category is no group", "annotation 0: 1 'dog'"),
    "two-names": (lambda f: f["categories"].append({"id": 1, "name": "group 2"}), "category is no group", None),
    "odd-annotation": (_box(iscrowd="no"), "malformed annotation entry", None),
    "other-text": (_box(text_id=9), "text ids disagree", "annotation 0 of image 1 and text 9"),
    "image-of-other": (lambda f: f["images"][0].update(text_id=9), "text ids disagree", "image 0 of text 9"),
    "box-of-no-image": (_box(image_id=77), "annotation of another image", "annotation 0 of image 77"),
    "blank": (_first(text=" \n"), "blank text", None),
    "one-image": (_first(images_id=[0]), "wrong number of images", "1"),
    "three-images": (_first(images_id=[0, 1, 1]), "wrong number of images", "3"),
    "same-image": (_first(images_id=[1, 1]), "image id in use twice", "1"),
    "unknown-image": (_first(images_id=[9, 1]), "unknown image id", "9"),
    "image-twice": (lambda f: f["images"].append(pictured(1, "D3/x.jpg")), "repeated image id", "1"),
    "odd-image": (lambda f: f["images"][1].update(file_name=3), "malformed image entry", None),
    "odd-size": (lambda f: f["images"][1].update(width="64"), "malformed image entry", None),
    "odd-sign": (_first(positive_sample="yes"), "malformed description", None),
    "half-character": (_first(text="\ud800"), "malformed description", "text that is not Unicode"),
    "wide": (lambda f: f["images"][1].update(width=65), "size differs from the annotation", "MC-Bench_images/D3/018_15029126048.jpg: 64x48, stated 65x48"),
    "missing": (lambda f: f["images"][1].update(file_name="D3/y.jpg"), "missing image", "MC-Bench_images/D3/y.jpg"),
    "leaving": (lambda f: f["images"][1].update(file_name="../../y.jpg"), "path leaves the corpus root", None),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_label_drops_its_item_by_id_and_no_other(tmp_path: Path, fault: str) -> None:
    change, reason, value = FAULTS[fault]
    labels = content()
    bench(tmp_path, labels)
    change(labels)
    found = read(bench(tmp_path, labels, pixels=False))
    kept = [one.key for one in found if isinstance(one, Record)]
    dropped = [one for one in found if isinstance(one, Drop) and one.key == "mc/0"]
    assert kept == ["mc/1"]
    assert [one.reason for one in dropped] == [reason]
    assert value is None or dropped[0].value == value


def test_a_box_that_names_two_items_spoils_both(tmp_path: Path) -> None:
    labels = content()
    labels["annotations"][0]["text_id"] = 1
    assert set(outcome(bench(tmp_path, labels)).values()) == {"text ids disagree"}


def test_an_id_that_two_items_share_drops_both(tmp_path: Path) -> None:
    labels = content()
    labels["descriptions"][1]["id"] = 0
    found = read(bench(tmp_path, labels))
    # What carries id 0 is in doubt; the image entries of text 1 contradict it besides.
    assert [(one.key, type(one)) for one in found] == [("mc/0", Drop)] * 2
    labels = content()
    labels["descriptions"][1]["images_id"] = [0, 3]
    assert outcome(bench(tmp_path, labels)) == {
        "mc/0": "image id in use twice",
        "mc/1": "image id in use twice",
        f"mc/{FILE}#images[2]": "image of no item",
    }


def test_entries_of_no_item_are_named_by_their_place(tmp_path: Path) -> None:
    labels = content()
    labels["descriptions"].append(None)
    labels["images"] += [pictured(40, "COCO/spare.jpg"), {"id": None}]
    labels["annotations"] += [boxed(8, 50, [0, 0, 1, 1], text_id=50), "x", boxed(9, 40, [])]
    labels["annotations"][-1]["text_id"] = None
    assert outcome(bench(tmp_path, labels, pixels=False)) == {
        "mc/0": "missing image",
        "mc/1": "missing image",
        "mc/descriptions[2]": "malformed description",
        f"mc/{FILE}#images[4]": "image of no item",
        f"mc/{FILE}#images[5]": "malformed image entry",
        f"mc/{FILE}#annotations[1]": "annotation of no item",
        f"mc/{FILE}#annotations[2]": "malformed annotation entry",
        f"mc/{FILE}#annotations[3]": "annotation of no item",
    }


def test_an_item_again_is_dropped_and_two_answers_drop_both(tmp_path: Path) -> None:
    labels = content()
    labels["descriptions"][1] = described(1, [2, 3], "The bird on the pavement ")
    labels["annotations"].append(boxed(1, 3, [10, 20, 30, 20]))
    corpus = bench(tmp_path, labels)
    assert outcome(corpus) == {"mc/0": "record", "mc/1": "repeated item"}
    labels["annotations"][1]["bbox"] = [10, 20, 30, 21]
    assert set(outcome(bench(tmp_path, labels)).values()) == {"two answers to one text"}
    labels["descriptions"][1]["text"] = "Another bird"
    assert set(outcome(bench(tmp_path, labels)).values()) == {"record"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty image"),
        (b"version https://git-lfs", "unreadable image"),
        (jpeg()[:30], "truncated image"),
    ],
)
def test_a_damaged_image_drops_every_item_that_shows_it(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    corpus = bench(tmp_path, content())
    put(tmp_path / "MC-Bench_images/D3/018_15029126048.jpg", data)
    assert outcome(corpus) == {"mc/0": reason, "mc/1": reason}


@pytest.mark.parametrize(
    "data", ["[]", "{", "", "null", b"\xff\xfe", '{"descriptions": [], "images": []}', "[" * 9999]
)
def test_a_file_that_is_no_such_file_is_one_drop_that_names_it(
    tmp_path: Path, data: str | bytes
) -> None:
    put(tmp_path / FILE, data)
    (found,) = read(McBench(name="mc", root=Root(str(tmp_path))))
    assert isinstance(found, Drop)
    assert found.key == f"mc/{FILE}"
    assert found.reason in ("malformed annotation", "text is not UTF-8")
    assert FILE in (found.value or "")


def test_the_folders_are_found_under_the_names_they_have_been_given(tmp_path: Path) -> None:
    bench(tmp_path / "a/MC-Bench", content())
    (tmp_path / "a/MC-Bench/MC-Bench_images").rename(tmp_path / "a/MC-Bench/mc-bench_images")
    put(tmp_path / "a/MC-Bench/MC-Bench_coco_format.json", "{}")  # says the same again
    first, _ = records(McBench(name="mc", root=Root(str(tmp_path / "a"))))
    assert first.images[0].uri == "mc:MC-Bench/mc-bench_images/COCO/000000000009.jpg"


def test_a_root_without_the_file_says_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path / "MC-Bench_coco_format.json", "{}")
    with pytest.raises(UsageError, match=rf"looked for {FILE} and MC-Bench_images/, found MC-B"):
        McBench(name="mc", root=Root(str(tmp_path))).parts()
    with pytest.raises(EnvironmentFailure, match="is not there"):
        McBench(name="mc", root=Root(str(tmp_path / "none"))).parts()


def test_items_that_hang_together_by_a_photo_share_a_unit(tmp_path: Path) -> None:
    labels = content()
    for id_, name in enumerate(("a", "b", "b", "c", "d", "e", "c", "f")):
        labels["images"][id_:] = [pictured(id_, f"{name}.jpg")]
    labels["descriptions"] = [
        described(n, [2 * n, 2 * n + 1], f"Text {n}", positive_sample=False) for n in range(4)
    ]
    labels["annotations"] = []
    first, second, third, fourth = (one.unit for one in records(bench(tmp_path, labels)))
    assert first == second == fourth != third


def test_without_pixels_answers_can_be_scored_but_no_fault_is_overlooked(tmp_path: Path) -> None:
    labels = content()
    first, second = records(bench(tmp_path, labels, pixels=False) and McBench(name="mc", root=Root(str(tmp_path)), pixels=False))  # fmt: skip
    assert corners(first) == [(10, 20, 40, 40)]
    assert [(i.width, i.height) for i in second.images] == [(64, 48)] * 2
    labels["annotations"][0]["bbox"] = [64, 0, 1, 1]
    del labels["images"][2]["width"]
    put(tmp_path / FILE, json.dumps(labels))
    corpus = McBench(name="mc", root=Root(str(tmp_path)), pixels=False)
    assert outcome(corpus) == {"mc/0": "box outside the image", "mc/1": "size is not stated"}


def test_an_unstated_size_is_read_from_the_image(tmp_path: Path) -> None:
    labels = content()
    for one in labels["images"]:
        del one["height"]
    labels["annotations"][0]["bbox"] = [10, 20, 30, 200]
    first, _ = records(bench(tmp_path, labels))
    assert corners(first) == [(10, 20, 40, 48)]


def test_styles_tell_what_kind_of_text_each_record_has(tmp_path: Path) -> None:
    assert bench(tmp_path, content()).styles() == {"mc/0": "Referring", "mc/1": "Reasoning"}


# What the exclusion finds.


def shown(uri: str, key: str = "x/1", shape: Shape = "image", unit: str = "u") -> Record:
    image = Image(uri=uri, width=4, height=4)
    return Record(key=key, shape=shape, unit=unit, images=(image,), regions=(), license="unknown")


def stays(corpus: McBench, others: list[Record]) -> list[bool]:
    """Which of the others the exclusion of the benchmark leaves."""
    own = [one for one in read(corpus) if isinstance(one, Record)]
    rows = RecordRows()
    for one in (*own, *others):
        assert record_fault(one) is None
        rows.add(one)
    names = ["mc"] * len(own) + ["other"] * len(others)
    index = Index(rows.table().append_column("corpus", pa.array(names, pa.string())))
    mask, reason = Exclude(corpora=("mc",)).index(index)
    assert reason == "in a benchmark"
    assert not mask[: len(own)].any()
    return mask[len(own) :].tolist()


def test_a_photo_is_kept_out_under_the_names_that_its_source_gives_it(tmp_path: Path) -> None:
    labels = content()
    labels["images"][2]["file_name"] = "winogavil_images/bear.jpg"
    labels["images"][3]["file_name"] = "Mantis-Eval_val/12_2.jpg"
    corpus = bench(tmp_path, labels, pixels=False, names_only=True)
    known = [
        shown("x:train2017/000000000009.jpg"),
        shown("x:val2017/000000000009.jpg"),
        shown("x:images/train2017/000000000009.jpg"),
        shown("x:images/mscoco/images/train2014/COCO_train2014_000000000009.jpg"),
        shown("x:val2014/COCO_val2014_000000000009.jpg"),
        shown("x:d3_images/018_15029126048.jpg"),
        shown("x:COCO/000000000009.jpg"),
        shown("x:VG_100K/107899.jpg", unit="coco-000000000009"),
    ]
    other = [
        shown("x:train2017/000000000010.jpg"),
        shown("x:train2014/COCO_train2014_000000000010.jpg"),
        shown("x:d3_images/018_15029126049.jpg"),
        # Words and small numbers say nothing.
        shown("x:JPEGImages/480p/bear/00000.jpg", key="davis/bear", shape="clip"),
        shown("x:photos/bear.jpg"),
        shown("x:data/resized_images/12_2.png"),
    ]
    assert stays(corpus, known) == [False] * len(known)
    assert stays(corpus, other) == [True] * len(other)


def test_names_only_has_every_image_of_the_file_whatever_is_wrong_with_its_items(
    tmp_path: Path,
) -> None:
    labels = content()
    labels["descriptions"][0] |= {"positive_sample": False}  # faulty
    labels["descriptions"][1] |= {"id": 0}  # an id twice
    labels["descriptions"].append(described(5, [70, 71], "No images"))
    labels["images"] += [pictured(9, "D3/spare_123456789.jpg"), pictured(72, "x")]
    labels["images"][-1]["file_name"] = None
    labels["images"][3]["file_name"] = "D3/099_123456789.jpg"
    corpus = bench(tmp_path, labels, pixels=False, names_only=True)
    assert outcome(corpus) == {
        "mc/0": "record",
        "mc/descriptions[1]": "record",
        "mc/5": "unknown image id",
        "mc/images[4]": "record",
        "mc/images[5]": "malformed image entry",
    }
    assert all(not one.regions and not one.expressions for one in read(corpus) if isinstance(one, Record))  # fmt: skip
    spare = [shown("x:a/spare_123456789.jpg"), shown("x:a/099_123456789.jpg")]
    assert stays(corpus, spare) == [False, False]


# What is written by us, and the real sample.


def test_the_written_corpus_reads_back_but_for_the_planted_faults(tmp_path: Path) -> None:
    write("mc_bench", tmp_path / "m", clips=21, frames=1, size=(200, 160), seed=3)
    corpus = McBench(name="mc", root=Root(str(tmp_path / "m")))
    report = check(corpus)
    assert {reason: drop.count for reason, drop in report.drops.items()} == writer.PLANTED
    assert (report.records, report.images, report.clipped) == (21, 42, 0)
    assert not report.skipped
    assert any("repeated item: mc/" in line for line in lines(report))
    found = [one for one in read(corpus) if isinstance(one, Record)]
    numbers = Counter(min(len(one.regions), 2) for one in found)
    assert all(numbers[n] for n in (0, 1, 2))  # none, one and many
    assert max(max(groups(one), default=0) for one in found) > 1
    assert len({one.unit for one in found}) == 14  # every third item shows the one before's photos
    assert set(corpus.styles().values()) == {"Referring", "Comparison", "Reasoning"}


def test_boxes_read_back_are_the_drawn_ones(tmp_path: Path) -> None:
    """The writer's own numbers: every box is an annotation of the file, to the pixel."""
    write("mc_bench", tmp_path / "m", clips=9, frames=1, size=(200, 160))
    labels = json.loads((tmp_path / "m" / FILE).read_text())
    drawn = {
        d["id"]: sorted(
            (a["image_id"] % 2, a["bbox"][0], a["bbox"][1], a["bbox"][2], a["bbox"][3])
            for a in labels["annotations"]
            if a["image_id"] in d["images_id"]
        )
        for d in labels["descriptions"][:9]
    }
    found = read(McBench(name="mc", root=Root(str(tmp_path / "m"))))
    seen = {
        int(one.key.partition("/")[2]): sorted(
            (r.image, r.box.x1, r.box.y1, r.box.width, r.box.height) for r in one.regions if r.box
        )
        for one in found
        if isinstance(one, Record)
    }
    assert seen == drawn


def test_equal_arguments_write_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        write("mc_bench", tmp_path / name, clips=4, frames=1, size=(64, 64), seed=5)
    first, second = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")}
        for n in "ab"
    )
    assert first == second


def as_answered(record: Record) -> Item:
    """An item whose answer is its own gold."""
    (said,) = record.expressions
    gold = tuple(
        Target(image=record.regions[place].image, box=box)
        for place in said.regions
        if (box := record.regions[place].box) is not None
    )
    numbers = groups(record)
    return Item(gold=gold, groups=numbers, predicted=gold, predicted_groups=numbers)


def test_the_gold_of_every_record_earns_full_marks(tmp_path: Path) -> None:
    write("mc_bench", tmp_path / "m", clips=21, frames=1, size=(96, 96), seed=1)
    found = read(McBench(name="mc", root=Root(str(tmp_path / "m"))))
    items = [as_answered(one) for one in found if isinstance(one, Record)]
    assert marks(items) == {"items": 21.0, "acc": 1.0, "ap50": 1.0}


@pytest.mark.real
def test_the_real_sample_is_read_whole(real_corpora: Path) -> None:
    found = records(McBench(name="mc", root=Root(str(real_corpora / "mc_bench"))))
    assert [(one.key, corners(one), groups(one)) for one in found] == [
        ("mc/0", [(28, 253, 322, 493)], (1,)),
        ("mc/1", [(18, 292, 94, 338)], (1,)),
        ("mc/2", [], ()),
        ("mc/3", [(128, 124, 241, 243), (199, 116, 452, 422)], (1, 2)),
    ]
    # Items 0 and 2 show one photo.
    assert found[0].unit == found[2].unit != found[1].unit
    assert marks([as_answered(one) for one in found])["ap50"] == 1.0


@pytest.mark.real
def test_the_real_sample_keeps_its_photos_out_of_the_real_coco(real_corpora: Path) -> None:
    coco = Coco(name="coco", root=Root(str(real_corpora / "coco")))
    photos = [one for part in coco.parts() for one in coco.records(part) if isinstance(one, Record)]
    corpus = McBench(name="mc", root=Root(str(real_corpora / "mc_bench")), names_only=True)
    files = {p.name for p in (real_corpora / "mc_bench/MC-Bench_images/COCO").iterdir()}
    gone = {one.images[0].uri.rpartition("/")[2] for one, stay in zip(photos, stays(corpus, photos), strict=True) if not stay}  # fmt: skip
    there = {one.images[0].uri.rpartition("/")[2] for one in photos}
    assert gone == there & files
    assert len(gone) >= 5
