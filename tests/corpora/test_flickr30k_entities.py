"""Flickr30k Entities: hand-written photos, bad input, synthetic ones read back, the sample."""

import os
from pathlib import Path
from typing import Any

import pytest
from clip_writers import corners, jpeg, put

from mgdata.corpora import flickr30k_entities as module
from mgdata.corpora.check import check
from mgdata.corpora.flickr30k_entities import LOST, PARTIAL, UNBOXED, Flickr30kEntities
from mgdata.data import Drop, Record
from mgdata.errors import MgdataError, UsageError
from mgdata.storage import Root
from mgdata.synth import write
from mgdata.validity import record_fault

ID = "1000092795"
SAID = """\
[/EN#1/people A man] in [/EN#2/clothing a hat] walks on [/EN#3/scene the street] .
[/EN#1/people He] sees [/EN#4/people two  women] and [/EN#0/notvisual something]
[/EN#1/people a MAN] meets [/EN#5/people/other A woman] and [/EN#6/people the woman] .
[/EN#4/people Women] and [/EN#7/people the man]'s [/EN#8/other shadow] .
[/EN#1/people An old man] stands .
"""


def bounds(*corners: Any) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False)
    return f"<bndbox>{''.join(f'<{tag}>{value}</{tag}>' for tag, value in tags)}</bndbox>"


def thing(names: str, *corners: Any) -> str:
    box = bounds(*(corners or (11, 21, 40, 40)))
    return f"<object>{''.join(f'<name>{name}</name>' for name in names.split(','))}{box}</object>"


def flags(name: str, scene: int = 0) -> str:
    marks = f"<scene>{scene}</scene><nobndbox>{1 - scene}</nobndbox>"
    return f"<object><name>{name}</name>{marks}</object>"


THINGS = (
    thing("1"),
    thing("4,5", 1, 1, 64, 48),
    thing("4,6", 3, 3, 9, 9),
    flags("3", 1),
    flags("2"),
    thing("7", 2, 2, 8, 8),
)


def xml(*things: str, width: int = 64, height: int = 48) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(things)}</annotation>"


def lay(
    root: Path,
    things: str | bytes | None = None,
    said: str | bytes = SAID,
    id_: str = ID,
    split: str = "train",
) -> Path:
    put(root / f"flickr30k-images/{id_}.jpg", jpeg())
    put(root / f"Annotations/{id_}.xml", xml(*THINGS) if things is None else things)
    put(root / f"Sentences/{id_}.txt", said)
    with (root / f"{split}.txt").open("a") as names:
        names.write(f"{id_}\n")
    return root


def read(root: Path, **settings: Any) -> tuple[list[Record], list[Drop]]:
    corpus = Flickr30kEntities(name="f", root=Root(str(root)), **settings)
    items = [item for part in corpus.parts() for item in corpus.records(part)]
    records = [item for item in items if isinstance(item, Record)]
    assert [fault for record in records if (fault := record_fault(record))] == []
    return records, [item for item in items if isinstance(item, Drop)]


def one(root: Path, **settings: Any) -> Record:
    (record,), drops = read(root, **settings)
    assert drops == []
    return record


def said(record: Record) -> dict[str, tuple[int, ...]]:
    assert all(one.label is None and one.form == "phrase" for one in record.expressions)
    return {one.text: one.regions for one in record.expressions}


def test_every_box_is_a_region_for_each_of_its_chains(tmp_path: Path) -> None:
    record = one(lay(tmp_path))
    assert record.key == f"f/{ID}"
    assert record.unit == f"flickr-{ID}"
    assert record.images[0].uri == f"f:flickr30k-images/{ID}.jpg"
    assert [(r.track, r.label) for r in record.regions] == [
        ("1", "people"), ("4", "people"), ("5", "people"), ("4", "people"), ("6", "people"),
        ("7", "people"),
    ]  # fmt: skip
    assert corners(record)[:4] == [(10, 20, 40, 40), (0, 0, 64, 48), (0, 0, 64, 48), (2, 2, 9, 9)]
    assert (record.exhaustive, record.absent) == ((), ())


def test_a_phrase_stands_for_all_boxes_of_its_chain_and_for_no_other(tmp_path: Path) -> None:
    record = one(lay(tmp_path))
    # `A man` and `the man` are two men, `A woman` and `the woman` two women.
    assert said(record) == {"two women": (1, 3), "Women": (1, 3), "An old man": (0,)}
    assert record.skipped == {
        "phrase of two chains": 4, "pronoun": 1, UNBOXED: 3,
    }  # fmt: skip


def test_the_type_most_often_written_is_the_label(tmp_path: Path) -> None:
    text = "[/EN#1/clothing/other a mitt] [/EN#1/other a glove] [/EN#9/Animals a dog]\n"
    record = one(lay(tmp_path, xml(thing("1"), thing("9")), text))
    assert [r.label for r in record.regions] == ["other", "animals"]


def test_unrelated_sentences_are_left_out_by_number(tmp_path: Path) -> None:
    lay(tmp_path)
    put(tmp_path / "UNRELATED_CAPTIONS", f"# format: <imageID> <sentence number>\n{ID} 5\n")
    record = one(tmp_path)
    assert "An old man" not in said(record)
    assert record.skipped["unrelated sentence"] == 1


@pytest.mark.parametrize("line", ["12", "12 five", "12 5 6", "12 \u0665"])
def test_a_malformed_list_of_unrelated_sentences_is_refused(tmp_path: Path, line: str) -> None:
    put(lay(tmp_path) / "UNRELATED_CAPTIONS", f"{line}\n")
    with pytest.raises(UsageError, match="UNRELATED_CAPTIONS: found"):
        read(tmp_path)


def test_a_chain_that_is_boxed_and_marked_as_unboxed_is_not_asked_for(tmp_path: Path) -> None:
    record = one(lay(tmp_path, xml(*THINGS, flags("4"))))
    assert set(said(record)) == {"An old man"}
    assert record.skipped[PARTIAL] == 2
    assert len(record.regions) == 6


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((40, 21, 11, 40), "inverted box"),
        ((11, 21, "nan", 40), "nan box"),
        ((11, 21, "wide", 40), "nan box"),
        ((11, 21, 40), "nan box"),
        ((99, 21, 120, 40), "box outside the image"),
    ],
)
def test_a_bad_box_is_left_out_with_the_phrases_of_its_chains(
    tmp_path: Path, corners: tuple[Any, ...], reason: str
) -> None:
    record = one(lay(tmp_path, xml(*THINGS, thing("4", *corners))))
    assert set(said(record)) == {"An old man"}
    assert (record.skipped[reason], record.skipped[LOST]) == (1, 2)
    assert len(record.regions) == 6


@pytest.mark.parametrize("name", ["", " , "])
def test_a_box_of_no_chain_makes_every_phrase_doubtful(tmp_path: Path, name: str) -> None:
    record = one(lay(tmp_path, xml(*THINGS, thing(name))))
    assert record.expressions == ()
    assert record.skipped["object without a name"] == len(name.split(","))
    assert len(record.regions) == 6


def test_an_object_without_box_and_flags_is_a_lost_box(tmp_path: Path) -> None:
    record = one(lay(tmp_path, xml(*THINGS, "<object><name>4</name></object>")))
    assert set(said(record)) == {"An old man"}
    assert record.skipped["object without a box"] == 1


def test_repeats_and_chains_of_no_sentence_are_counted(tmp_path: Path) -> None:
    record = one(lay(tmp_path, xml(*THINGS, thing("1,1"), thing("77"))))
    assert len(record.regions) == 6
    assert record.skipped["repeated name"] == 1
    assert record.skipped["repeated box"] == 1
    assert record.skipped["chain that no sentence names"] == 1
    assert "An old man" in said(record)


def test_marks_that_are_no_phrase_are_counted(tmp_path: Path) -> None:
    text = "[/EN#1/people A man [/EN#1 x] [/EN#1/people ] [/EN#1/people an uncle]\n"
    record = one(lay(tmp_path, xml(thing("1")), text))
    assert set(said(record)) == {"an uncle"}
    assert record.skipped == {"malformed phrase": 2, "blank phrase": 1}


def test_a_box_one_pixel_off_is_cut(tmp_path: Path) -> None:
    record = one(lay(tmp_path, xml(thing("1", 0, 5, 65, 40))))
    assert corners(record) == [(0, 4, 64, 40)]
    assert record.regions[0].clipped


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><annotation>'
    "<object><name>&y;</name></object></annotation>"
)


@pytest.mark.parametrize(
    ("things", "reason"),
    [
        ("", "malformed XML"),
        (xml(*THINGS)[:-20], "malformed XML"),
        (b"<annotation>\xff\xfe</annotation>", "malformed XML"),
        (LAUGHS, "XML with a document type"),
        (xml(*THINGS, width=500, height=375), "size differs from the annotation"),
    ],
)
def test_a_bad_xml_file_is_one_drop(tmp_path: Path, things: str | bytes, reason: str) -> None:
    records, (drop,) = read(lay(tmp_path, things))
    assert records == []
    assert (drop.key, drop.reason) == (f"f/{ID}", reason)


def test_whatever_is_missing_of_a_photo_is_a_drop(tmp_path: Path) -> None:
    for number in range(5):
        lay(tmp_path, id_=str(number))
    (tmp_path / "flickr30k-images/0.jpg").unlink()
    (tmp_path / "Annotations/1.xml").unlink()
    (tmp_path / "Sentences/2.txt").unlink()
    put(tmp_path / "flickr30k-images/3.jpg", b"GIF")
    put(tmp_path / "Sentences/4.txt", b"[/EN#1/people A m\xe9n]")
    records, drops = read(tmp_path)
    assert records == []
    assert [drop.reason for drop in drops] == [
        "missing image", "missing annotation", "missing annotation", "unreadable image",
        "text is not UTF-8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("id_", "reason"),
    [
        ("../../etc/passwd", "path leaves the corpus root"),
        ("/etc", "path leaves the corpus root"),
        ("a#b", "malformed photo id"),
        ("caf\u00e9 5", "malformed photo id"),
    ],
)
def test_an_id_that_is_no_file_name_is_a_drop(tmp_path: Path, id_: str, reason: str) -> None:
    put(tmp_path / "train.txt", f"{id_}\n")
    _, (drop,) = read(tmp_path)
    assert drop.reason == reason


def test_splits_are_lists_of_ids_and_no_photo_is_in_two(tmp_path: Path) -> None:
    lay(tmp_path, id_="1")
    lay(tmp_path, id_="2", split="val")
    lay(tmp_path, id_="1", split="val")
    lay(tmp_path, id_="3", split="elsewhere")
    keys = {s: [r.key for r in read(tmp_path, splits=s)[0]] for s in ((), ("val",))}
    assert keys == {(): ["f/1", "f/2", "f/3"], ("val",): ["f/2", "f/1"]}
    assert [r.key for r in read(tmp_path, splits=("train", "val"))[0]] == ["f/1", "f/2"]
    with pytest.raises(UsageError, match=r"looked for test.txt \(splits: \[\] reads all"):
        read(tmp_path, splits=("test",))


def test_a_long_list_is_cut_into_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        lay(tmp_path, id_=str(number))
    whole = read(tmp_path)
    monkeypatch.setattr(module, "PART", 3)
    assert read(tmp_path) == whole
    assert len(whole[0]) == 7


def test_a_root_of_something_else_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "VOCdevkit/a.jpg", jpeg())
    for splits in ((), ("train",)):
        with pytest.raises(MgdataError, match="looked for"):
            read(tmp_path, splits=splits)


@pytest.mark.parametrize(
    ("stated", "box"), [((64, 48), (8, 10, 28, 40)), ((48, 64), (10, 20, 40, 40))]
)
def test_a_rotated_photo_is_read_in_the_frame_its_xml_states(
    tmp_path: Path, stated: tuple[int, int], box: tuple[int, ...]
) -> None:
    lay(tmp_path, xml(thing("1"), width=stated[0], height=stated[1]))
    put(tmp_path / f"flickr30k-images/{ID}.jpg", jpeg(orientation=6))
    record = one(tmp_path)
    assert (record.images[0].width, record.images[0].height) == (48, 64)
    assert corners(record) == [box]


def test_a_synthetic_corpus_reads_back_as_it_was_drawn(tmp_path: Path) -> None:
    from mgdata.synth.camera import Camera, Job
    from mgdata.synth.coco import shots
    from mgdata.synth.photos import Thing

    write("flickr30k_entities", tmp_path / "f", clips=20, frames=1, size=(160, 120))
    records, drops = read(tmp_path / "f", splits=("train", "val"))
    assert drops == []
    job = Job(20, 1, (160, 120), 0, 90, None)
    many = 0
    for record, shot in zip(records, shots(Camera(job), "flickr30k_entities"), strict=True):

        def meant(text: str, things: list[Thing] = shot.things) -> list[tuple[float, ...]]:
            """What the words fit, by the words alone."""
            words = text.lower().split()
            kind = words[-1]
            fitting = [
                (t.box.x1, t.box.y1, t.box.x2, t.box.y2)
                for t in things
                if (kind in ("toys", t.label, f"{t.label}s", f"{t.label}es"))
                and (len(words) < 3 or words[1] == t.colour)
            ]
            return sorted(fitting)

        boxes = corners(record)
        phrases = said(record)
        assert not any(text in ("A dog", "a cat", "it") for text in phrases)
        for thing in shot.things:
            article = "an" if thing.phrase[0] in "aeiou" else "a"
            assert f"{article} {thing.phrase}" in phrases
        for text, regions in phrases.items():
            assert sorted(boxes[i] or () for i in regions) == meant(text), (record.key, text)
            many += len(regions) > 1
    assert many > 10


@pytest.mark.real
def test_the_sample_holds_what_it_is_known_to_hold() -> None:
    folder = Path(os.environ["MGDATA_CORPORA"]) / "flickr30k_entities"
    assert folder.is_dir(), "MGDATA_CORPORA has no folder flickr30k_entities"
    root = Root(str(folder.resolve()))
    report = check(Flickr30kEntities(name="f", root=root, splits=("train", "val")))
    assert (report.records, report.regions, report.drops) == (3, 12, {})
    assert report.labels == {"people": 10, "animals": 1, "other": 1}
    first, second, _ = read(folder.resolve(), splits=("train", "val"))[0]
    assert said(first)["Three people"] == (1, 4, 7)
    assert "A man" not in said(first)
    assert "a seated woman" not in said(second)
