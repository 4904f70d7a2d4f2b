"""Visual Genome: hand-written files of all releases, bad input, synthetic photos, the sample."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora import json_list, visual_genome
from mgdata.corpora.check import check
from mgdata.corpora.coco import Coco
from mgdata.corpora.visual_genome import VisualGenome
from mgdata.data import Drop, Record
from mgdata.errors import MgdataError
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.validity import record_fault

URL = "https://cs.stanford.edu/people/rak248"


def photo(id_: int = 1, folder: str = "VG_100K", **more: Any) -> dict[str, Any]:
    own = {"image_id": id_, "url": f"{URL}/{folder}/{id_}.jpg", "width": 64, "height": 48}
    return {**own, "coco_id": None, "flickr_id": None, **more}


def thing(number: int = 1, *box: Any, **more: Any) -> dict[str, Any]:
    x, y, w, h = box or (10, 20, 30, 20)
    own = {"object_id": number, "x": x, "y": y, "w": w, "h": h, "names": ["Dog ", "pet"]}
    return {**own, "synsets": ["dog.n.01"], "merged_object_ids": [], **more}


def region(number: int = 1, *box: Any, **more: Any) -> dict[str, Any]:
    x, y, w, h = box or (10, 20, 30, 20)
    own = {"region_id": number, "x": x, "y": y, "width": w, "height": h, "image_id": 1}
    return {**own, "phrase": " a brown  dog", **more}


def entry(*things: dict[str, Any], id_: int = 1) -> dict[str, Any]:
    return {"image_id": id_, "objects": list(things), "image_url": "x"}


def lay(root: Path, entries: Any, photos: Any = None, name: str = "objects") -> Path:
    photos = [photo()] if photos is None else photos
    for one in photos if isinstance(photos, list) else []:
        put(root / one["url"].removeprefix(f"{URL}/"), jpeg())
    put(root / "image_data.json", json.dumps(photos))
    text = entries if isinstance(entries, str | bytes) else json.dumps(entries)
    put(root / f"{name}.json", text)
    return root


def read(root: Path, **settings: Any) -> tuple[list[Record], list[Drop]]:
    corpus = VisualGenome(name="vg", root=Root(str(root)), **settings)
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    return records, [item for item in items if isinstance(item, Drop)]


def one(root: Path, **settings: Any) -> Record:
    (record,), drops = read(root, **settings)
    assert drops == []
    return record


def reasons(root: Path, **settings: Any) -> list[tuple[str, str]]:
    return [(drop.key, drop.reason) for drop in read(root, **settings)[1]]


def test_objects_have_their_first_name_and_nothing_is_complete(tmp_path: Path) -> None:
    record = one(lay(tmp_path, [entry(thing())]))
    assert record.key == "vg/1"
    assert record.images[0].uri == "vg:VG_100K/1.jpg"
    assert [(r.label, r.phrase) for r in record.regions] == [("dog", None)]
    assert corners(record) == [(10, 20, 40, 40)]
    assert (record.exhaustive, record.absent, record.license) == ((), (), "CC-BY-4.0")


def test_regions_have_their_phrase(tmp_path: Path) -> None:
    root = lay(tmp_path, [{"id": 1, "regions": [region()]}], name="region_descriptions")
    record = one(root, annotations="regions")
    assert [(r.label, r.phrase) for r in record.regions] == [("region", "a brown dog")]
    assert corners(record) == [(10, 20, 40, 40)]


def test_the_names_of_version_one_are_known(tmp_path: Path) -> None:
    old = {k: v for k, v in region().items() if k not in ("region_id", "image_id")}
    old |= {"id": 7, "image": 1}
    photos = [{**photo(), "id": 1}]
    del photos[0]["image_id"]
    root = lay(tmp_path, [{"id": 1, "regions": [old, old]}], photos, "region_descriptions")
    record = one(root, annotations="regions")
    assert corners(record) == [(10, 20, 40, 40)]
    assert record.skipped == {"repeated number": 1}


def test_sides_can_be_exchanged(tmp_path: Path) -> None:
    record = one(lay(tmp_path, [entry(thing(1, 10, 20, 20, 40))]), swapped=True)
    assert corners(record) == [(10, 20, 50, 40)]


def test_a_box_that_leaves_the_photo_is_cut(tmp_path: Path) -> None:
    record = one(lay(tmp_path, [entry(thing(1, -2, 40, 70, 40))]))
    assert corners(record) == [(0, 40, 64, 48)]
    assert record.regions[0].clipped


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (thing(2, 1, 1, 0, 5), "zero box"),
        (thing(2, 1, 1, -3, 5), "inverted box"),
        (thing(2, float("nan"), 1, 3, 5), "nan box"),
        (thing(2, 1, 1, float("inf"), 5), "nan box"),
        (thing(2, 64, 1, 3, 5), "box outside the image"),
        (thing(2, 1e308, 1, 1e308, 5), "box outside the image"),
        (thing(2, 10**400, 1, 3, 5), "malformed item"),
        (thing(2, x=None), "nan box"),
        (thing(2, y="7"), "malformed item"),
        (thing(2, names=[]), "object without a name"),
        (thing(2, names=[" "]), "object without a name"),
        (thing(2, names=["\ud800"]), "malformed item"),
        (thing(1, 3, 3, 5, 5), "repeated number"),
        (thing(2), "repeated words and box"),
        (thing(2, 3, 3, 5, 5, image_id=9), "of another image"),
        ([], "malformed item"),
    ],
)
def test_a_bad_object_is_left_out_and_counted(tmp_path: Path, bad: Any, reason: str) -> None:
    record = one(lay(tmp_path, [entry(thing(), bad)]))
    assert corners(record) == [(10, 20, 40, 40)]
    assert record.skipped == {reason: 1}


def test_a_blank_phrase_is_left_out(tmp_path: Path) -> None:
    regions = [region(), region(2, phrase="  "), region(3, phrase=None)]
    root = lay(tmp_path, [{"id": 1, "regions": regions}], name="region_descriptions")
    assert one(root, annotations="regions").skipped == {"blank phrase": 2}


def test_words_that_are_not_utf8_cost_their_object_only(tmp_path: Path) -> None:
    text = json.dumps([entry(thing(), thing(2, 1, 1, 5, 5, names=["cafe"]))]).encode()
    record = one(lay(tmp_path, text.replace(b"cafe", b"caf\xe9")))
    assert (len(record.regions), record.skipped) == (1, {"malformed item": 1})


def test_photos_lie_in_either_folder_in_images_or_without_one(tmp_path: Path) -> None:
    photos = [photo(1), photo(2, "VG_100K_2"), photo(3), photo(4)]
    lay(tmp_path, [entry(thing(), id_=i) for i in range(1, 6)], photos)
    (tmp_path / "images").mkdir()
    (tmp_path / "VG_100K/3.jpg").rename(tmp_path / "images/3.jpg")
    (tmp_path / "VG_100K/4.jpg").unlink()
    records, drops = read(tmp_path)
    assert [r.images[0].uri for r in records] == [
        "vg:VG_100K/1.jpg", "vg:VG_100K_2/2.jpg", "vg:images/3.jpg",
    ]  # fmt: skip
    assert [(d.key, d.reason) for d in drops] == [
        ("vg/4", "missing image"), ("vg/5", "annotation for an unknown image"),
    ]  # fmt: skip


def test_a_photo_of_coco_has_the_unit_that_coco_gives_it(tmp_path: Path) -> None:
    photos = [photo(1, coco_id=303818, flickr_id=5), photo(2, flickr_id=5), photo(3)]
    lay(tmp_path / "vg", [entry(thing(), id_=i) for i in (1, 2, 3)], photos)
    lists = {
        "images": [{"id": 303818, "file_name": "000000303818.jpg", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 303818, "category_id": 1, "bbox": [1, 1, 5, 5]}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    put(tmp_path / "coco/annotations/instances_train2017.json", json.dumps(lists))
    put(tmp_path / "coco/train2017/000000303818.jpg", jpeg())
    coco = Coco(name="coco", root=Root(str(tmp_path / "coco")))
    (known,) = coco.records(coco.parts()[0])
    assert isinstance(known, Record)
    units = [record.unit for record in read(tmp_path / "vg")[0]]
    assert units == [known.unit, "flickr-5", "vg/VG_100K/3.jpg"]


def test_what_lists_are_silent_about_or_say_twice_is_a_drop(tmp_path: Path) -> None:
    photos = [photo(1), photo(2), photo(3), photo(3), photo(4), photo(4, width=9), photo(5)]
    entries = [entry(thing()), entry(thing()), entry(id_=2), entry(thing(), id_=3),
               entry(thing(), id_=4), None, 7, {"objects": []}, {"image_id": "x"}]  # fmt: skip
    records, drops = read(lay(tmp_path, entries, photos))
    assert [record.key for record in records] == ["vg/1", "vg/3"]
    assert [(d.key.removeprefix("vg/"), d.reason) for d in drops] == [
        ("image_data.json#5", "repeated image id"),
        ("5", "image without annotation"),
        ("objects.json#1", "repeated image id"),
        ("2", "image without annotation"),
        ("4", "repeated image id"),
        *((f"objects.json#{i}", "malformed annotation") for i in (5, 6, 7, 8)),
    ]


def test_a_photo_of_another_size_is_a_drop(tmp_path: Path) -> None:
    root = lay(tmp_path, [entry(thing())], [photo(width=640, height=480)])
    assert reasons(root) == [("vg/1", "size differs from the annotation")]
    put(root / "VG_100K/1.jpg", b"")
    assert reasons(root) == [("vg/1", "empty image")]


@pytest.mark.parametrize(
    ("stated", "box"), [((64, 48), (8, 10, 28, 40)), ((48, 64), (10, 20, 40, 40))]
)
def test_a_rotated_photo_is_read_in_the_frame_its_list_states(
    tmp_path: Path, stated: tuple[int, int], box: tuple[int, ...]
) -> None:
    lay(tmp_path, [entry(thing())], [photo(width=stated[0], height=stated[1])])
    put(tmp_path / "VG_100K/1.jpg", jpeg(orientation=6))
    record = one(tmp_path)
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record) == [box]


@pytest.mark.parametrize("url", [f"{URL}/../1.jpg", "..", f"{URL}/VG_100K/\0.jpg"])
def test_a_url_that_leads_out_is_a_drop(tmp_path: Path, url: str) -> None:
    lay(tmp_path, [entry(thing())])
    put(tmp_path / "image_data.json", json.dumps([photo(url=url)]))
    assert reasons(tmp_path) == [("vg/1", "path leaves the corpus root")]


WHOLE = json.dumps([entry(thing(), id_=i) for i in (1, 2)])


@pytest.mark.parametrize(
    ("text", "records", "dropped"),
    [
        (WHOLE[:-1], 2, [("objects.json", "JSON ends early")]),
        (WHOLE[:-9], 1, [("objects.json", "JSON ends early"), ("2", "JSON ends early")]),
        (f"{WHOLE} x", 2, [("objects.json", "malformed JSON")]),
        (f"{WHOLE[:-1]},]", 2, [("objects.json", "malformed JSON")]),
        (WHOLE.replace("}, {", "} {"), 1, None),
        ("", 0, None),
        ('{"objects": []}', 0, [(key, "malformed JSON") for key in ("objects.json", "1", "2")]),
        ("[" * 5000 + "]" * 5000, 0, None),
        ("\ufeff" + WHOLE, 2, []),
    ],
)  # fmt: skip
def test_a_damaged_file_gives_its_whole_entries_and_says_where_it_ends(
    tmp_path: Path, text: str, records: int, dropped: list[tuple[str, str]] | None
) -> None:
    found, drops = read(lay(tmp_path, text, [photo(1), photo(2)]))
    assert len(found) == records
    if dropped is not None:
        assert [(d.key.removeprefix("vg/"), d.reason) for d in drops] == dropped
    assert len(found) + len({d.key for d in drops} & {"vg/1", "vg/2"}) == 2


def test_a_root_without_the_lists_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "VG_100K/1.jpg", jpeg())
    with pytest.raises(MgdataError, match=r"looked for image_data.json"):
        read(tmp_path)
    put(tmp_path / "image_data.json", "[]")
    with pytest.raises(MgdataError, match=r"looked for region_descriptions.json"):
        read(tmp_path, annotations="regions")


def test_long_files_are_read_a_block_at_a_time_and_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ['a "quoted" {thing}', "back\\slash\\\\", "]}],[{", "\u00e9\u4e2d", "\\"]
    entries = [
        entry(*(thing(j, j, j, 5, 5, names=[names[(i + j) % 5]]) for j in range(1, 9)), id_=i)
        for i in range(1, 40)
    ]
    photos = [photo(i) for i in range(1, 40)]
    lay(tmp_path, entries, photos)
    whole = read(tmp_path)
    assert (len(whole[0]), whole[1]) == (39, [])
    assert {r.label for record in whole[0] for r in record.regions} == set(names)
    monkeypatch.setattr(visual_genome, "PART", 3000)
    for block in (50, 777, 5000):
        monkeypatch.setattr(json_list, "BLOCK", block)
        assert read(tmp_path) == whole
    assert len(VisualGenome(name="vg", root=Root(str(tmp_path))).parts()) > 5


def test_an_element_without_an_end_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_list, "BLOCK", 100)
    monkeypatch.setattr(json_list, "LARGEST", 2000)
    root = lay(tmp_path, WHOLE[:-3] + " " * 10_000, [photo(1), photo(2)])
    assert reasons(root)[0] == ("vg/objects.json", "malformed JSON")


def test_a_synthetic_corpus_reads_back_as_it_was_drawn(tmp_path: Path) -> None:
    from mgdata.synth.camera import Camera, Job
    from mgdata.synth.coco import shots
    from mgdata.synth.visual_genome import annotated

    write("visual_genome", tmp_path / "vg", clips=12, frames=1, size=(160, 120))
    objects, none = read(tmp_path / "vg")
    regions, nothing = read(tmp_path / "vg", annotations="regions")
    assert none == nothing == []
    drawn = [annotated(s) for s in shots(Camera(Job(12, 1, (160, 120), 0, 90, None)), "visual_genome")]  # fmt: skip
    for named, said, things in zip(objects, regions, drawn, strict=True):
        boxes = [(t.box.x1, t.box.y1, t.box.x2, t.box.y2) for t in things]
        assert corners(named) == boxes
        assert [r.label for r in named.regions] == [t.label for t in things]
        assert named.skipped == {"repeated words and box": 1}
        assert corners(said) == [*boxes, (0, 105, 160, 120)]
        assert [r.phrase for r in said.regions][:-1] == [f"{t.phrase} on the ground" for t in things]  # fmt: skip
        assert said.regions[-1].clipped
        assert said.skipped == {"blank phrase": 1}
    assert {record.unit.partition("-")[0] for record in objects[:2]} == {"coco", "flickr"}


@pytest.mark.real
@pytest.mark.parametrize(("annotations", "regions", "cut"), [("objects", 8, 0), ("regions", 11, 3)])
def test_the_sample_holds_what_it_is_known_to_hold(
    annotations: str, regions: int, cut: int
) -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / "visual_genome"
    assert folder.is_dir(), "MGDATA_CORPORA has no folder visual_genome"
    root = folder.resolve()
    corpus: Any = VisualGenome
    report = check(corpus(name="vg", root=Root(str(root)), annotations=annotations))
    assert (report.records, report.regions, report.clipped) == (3, regions, cut)
    assert (report.drops, report.skipped) == ({}, {})
    assert read(root)[0][0].unit == "coco-000000303818"
