"""What becomes of one item in ingest, measure and build: it goes on, or it is a drop that says why.

Small plug-ins of the tests' own stand where users' plug-ins stand; the files are real.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import pytest
from PIL import Image as Picture

from mgdata.data import Drop, Edit, Image, Record, Region, Sample, Scalar, Target, Turn
from mgdata.errors import Rejected, StorageError
from mgdata.geometry import Box
from mgdata.measures.integrity import Integrity
from mgdata.plugins import Builder, Corpus, Filter, Measure
from mgdata.stages.build import Maker
from mgdata.stages.ingest import read_part
from mgdata.stages.measure import Measurer, record_facts
from mgdata.storage import Root


def image(name: str = "a.jpg", **more: Any) -> Image:
    return Image(uri=f"c:{name}", width=64, height=48, format="jpeg", **more)


def record(key: str = "c/a", **more: Any) -> Record:
    regions = (Region(image=0, box=Box(1, 2, 30, 40), label="cup"),)
    return Record(
        **{
            "key": key,
            "shape": "image",
            "unit": key,
            "images": (image(),),
            "regions": regions,
            "license": "MIT",
            **more,
        }
    )


def raises(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


# Ingest.


@dataclass(frozen=True, kw_only=True)
class Told(Corpus):
    """Gives what it is told to."""

    license: ClassVar[str] = "MIT"
    homepage: ClassVar[str] = ""
    layout: ClassVar[str] = ""
    shape: ClassVar[Literal["image"]] = "image"

    items: Callable[[], Iterator[Any]]

    def parts(self) -> list[str]:
        return ["p"]

    def records(self, part: str) -> Iterator[Record | Drop]:
        yield from self.items()


def read(*items: Any) -> list[Record | Drop]:
    def give() -> Iterator[Any]:
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    return list(read_part(Told(name="c", root=Root("nowhere"), items=give), "p"))


@pytest.mark.parametrize(
    ("item", "reason", "value"),
    [
        (Rejected("too dull", "3"), "too dull", "3"),
        (StorageError("cannot read x: Permission denied"), "unreadable file", "cannot read x: Permission denied"),
        (KeyError("x"), "plug-in error", "corpus c failed on part p: KeyError: 'x'"),
        ({"key": "c/a"}, "plug-in error", "corpus c failed on part p: TypeError: gave a dict, expected Record or Drop"),
        (None, "plug-in error", "gave a NoneType"),
        (record(images=()), "invalid record", "no image"),
        (record(images=(image(frame="7"),)), "invalid record", "Expected `int | null`, got `str`"),
        (record(regions=(Region(image=0, box=Box(1, 2, 99, 4), label="x"),)), "invalid record", "box 1,2,99,4 in 64x48"),
        (record(regions=(Region(image=0, box=Box(1, 2, float("nan"), 4), label="x"),)), "invalid record", ""),
        (record(regions=(Region(image=3, box=None, label="x"),)), "invalid record", "region of image 3, there are 1"),
    ],
)  # fmt: skip
def test_what_a_corpus_gives_is_a_record_or_a_drop(item: Any, reason: str, value: str) -> None:
    before, drop = read(record("c/first"), item)
    assert isinstance(before, Record) and isinstance(drop, Drop)
    assert (drop.stage, drop.reason) == ("ingest", reason)
    assert value in (drop.value or "")


def test_what_comes_after_an_unfit_record_is_still_read() -> None:
    found = read(record(images=()), Drop(key="c/x", stage="ingest", reason="r"), record("c/b"))
    assert [type(item).__name__ for item in found] == ["Drop", "Drop", "Record"]


# Measures.


@dataclass(frozen=True, kw_only=True)
class Says(Measure):
    """Says what it is told to, of images and records alike."""

    keyed: ClassVar[Literal["image", "record"]] = "image"

    facts: Callable[[str], Mapping[str, Scalar]]

    def image(self, image: Image, data: bytes) -> Mapping[str, Scalar]:
        return self.facts(image.uri)

    def record(self, record: Record) -> Mapping[str, Scalar]:
        return self.facts(record.key)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    rng = np.random.default_rng(1)
    for name in ("a.jpg", "b.jpg"):
        out = io.BytesIO()
        Picture.fromarray(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)).save(out, "jpeg")
        (tmp_path / name).write_bytes(out.getvalue())
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:600])
    return Root(str(tmp_path))


def measurer(root: Root, **more: Measure) -> Measurer:
    return Measurer({"c": root}, {"integrity": Integrity(), **more})


def test_a_measured_image_knows_its_bytes_and_keeps_the_edits_asked_of_it(root: Root) -> None:
    mark = Edit(kind="mark", box=Box(1, 2, 3, 4))
    found = measurer(root, more=Says(facts=lambda _: {"level": 0.5}))(image(edits=(mark,)))
    assert isinstance(found, Image)
    assert found.bytes == len(root.read("a.jpg")) and len(found.sha256 or "") == 64
    assert found.edits == (mark,) and found.facts == {"level": 0.5}


def test_an_image_is_read_once_while_it_is_remembered(root: Root) -> None:
    asked: list[str] = []

    def facts(uri: str) -> Mapping[str, Scalar]:
        asked.append(uri)
        return {}

    measure = measurer(root, count=Says(facts=facts))
    for _ in range(3):
        measure(image())
        measure(image(edits=(Edit(kind="mark", box=Box(1, 2, 3, 4)),)))
        measure(image("torn.jpg"))
    assert asked == ["c:a.jpg"]
    assert measure.counts["images measured"] == 1


@pytest.mark.parametrize(
    ("name", "facts", "reason", "value"),
    [
        ("torn.jpg", lambda _: {}, "truncated image", ""),
        ("gone.jpg", lambda _: {}, "unreadable file", "missing file: gone.jpg"),
        ("../a.jpg", lambda _: {}, "unreadable file", "path leaves the corpus root"),
        ("a.jpg", raises(Rejected("too dark", "3")), "too dark", "3"),
        ("a.jpg", raises(OSError("no model")), "plug-in error", "measure says failed on c:a.jpg: OSError: no model"),
        ("a.jpg", lambda _: {"level": np.float32(0.5)}, "plug-in error", "fact level is a float32, no plain scalar"),
        ("a.jpg", lambda _: {"level": [1]}, "plug-in error", "fact level is a list, no plain scalar"),
        ("a.jpg", lambda _: None, "plug-in error", "AttributeError"),
    ],
)  # fmt: skip
def test_an_unfit_image_is_a_drop(
    name: str, facts: Any, reason: str, value: str, root: Root
) -> None:
    found = measurer(root, says=Says(facts=facts))(image(name))
    assert isinstance(found, Drop)
    assert (found.key, found.stage, found.reason) == (f"c:{name}", "measure", reason)
    assert value in (found.value or "")


def test_facts_of_records_are_columns_even_where_the_first_record_is_unfit() -> None:
    def facts(key: str) -> Mapping[str, Scalar]:
        if key == "c/0":
            raise Rejected("no")
        return {"level": 1 if key == "c/1" else 0.5, "word": None if key == "c/2" else "w"}

    table, drops = record_facts({"m": Says(facts=facts)}, (record(f"c/{i}") for i in range(4)))
    assert table["fit"].to_pylist() == [False, True, True, True]
    assert table["level"].to_pylist() == [None, 1.0, 0.5, 0.5]
    assert table["word"].to_pylist() == [None, "w", None, "w"]
    assert [(drop.key, drop.reason) for drop in drops] == [("c/0", "no")]


def test_a_fact_may_not_hide_a_column_that_every_index_has() -> None:
    _, (drop,) = record_facts({"m": Says(facts=lambda _: {"key": "x"})}, [record()])
    assert drop.reason == "plug-in error"
    assert "key is a column of every index: rename it" in (drop.value or "")


def test_a_record_is_measured_no_further_once_it_is_unfit() -> None:
    measures = {"one": Says(facts=raises(Rejected("no"))), "two": Says(facts=raises(ValueError()))}
    _, drops = record_facts(measures, [record()])
    assert [drop.reason for drop in drops] == ["no"]


# Building.


@dataclass(frozen=True, kw_only=True)
class Makes(Builder):
    """Makes what it is told to."""

    association: ClassVar[Literal["referential"]] = "referential"
    shapes: ClassVar[tuple[Literal["image"], ...]] = ("image",)
    targets: ClassVar[str] = "one"

    made: Callable[[Builder, Sequence[Record]], Any]

    def build(self, records: Sequence[Record], rng: Any) -> Iterator[Sample | Drop]:
        yield from self.made(self, records)


@dataclass(frozen=True, kw_only=True)
class Minds(Filter):
    """Says what it is told to of every sample."""

    verdict: Callable[[Sample], Any]

    def sample(self, sample: Sample) -> Drop | None:
        return self.verdict(sample)


def sound(builder: Builder, records: Sequence[Record], **more: Any) -> Sample:
    turn = Turn(
        question="Where?", answer="<target:0>", targets=(Target(image=0, box=Box(1, 2, 30, 40)),)
    )
    made = builder.sample(records, records[0].images, [turn])
    return msgspec.structs.replace(made, **more)


def made(root: Root, build: Any, *verdicts: Any) -> list[Sample | Drop]:
    filters = {str(i): Minds(verdict=verdict) for i, verdict in enumerate(verdicts)}
    maker = Maker(
        seed=0, builders={"t": Makes(made=build)}, filters=filters, measurer=measurer(root)
    )
    return list(maker.make("t", "train", [record()], 0))


def test_a_sound_sample_is_named_split_and_measured(root: Root) -> None:
    (sample,) = made(root, lambda b, r: [sound(b, r)], lambda _: None)
    assert isinstance(sample, Sample)
    assert (sample.task, sample.split) == ("t", "train")
    assert sample.images[0].sha256


@pytest.mark.parametrize(
    ("build", "reason", "value"),
    [
        (raises(Rejected("too few", "2")), "too few", "2"),
        (raises(IndexError("7")), "plug-in error", "builder t failed on c/a: IndexError: 7"),
        (lambda b, r: [None], "plug-in error", "gave a NoneType, expected Sample or Drop"),
        (lambda b, r: 3, "plug-in error", "TypeError"),
        (lambda b, r: [b.drop(r, "not fit", "x")], "not fit", "x"),
        (lambda b, r: [sound(b, r, images=())], "invalid sample", "a sample needs images, turns and records"),
        (lambda b, r: [sound(b, r, license=3)], "invalid sample", "Expected `str`, got `int`"),
        (lambda b, r: [sound(b, r, license={1})], "invalid sample", ""),
        (lambda b, r: [sound(b, r, license=object())], "invalid sample", "object"),
    ],
)  # fmt: skip
def test_what_a_builder_makes_is_a_sample_or_a_drop(
    build: Any, reason: str, value: str, root: Root
) -> None:
    (drop,) = made(root, build)
    assert isinstance(drop, Drop)
    assert drop.reason == reason and value in (drop.value or "")


def test_a_sample_with_an_unfit_image_goes_with_it_and_names_it(root: Root) -> None:
    torn = (image(), image("torn.jpg"))
    turn = Turn(
        question="Where?", answer="<target:0>", targets=(Target(image=0, box=Box(1, 2, 3, 4)),)
    )
    found = made(root, lambda b, r: [b.sample(r, torn, [turn])])
    assert [(drop.reason, drop.stage) for drop in found if isinstance(drop, Drop)] == [
        ("truncated image", "measure"),
        ("image unfit", "build"),
    ]
    assert found[1].value == "c:torn.jpg"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (lambda s: Drop(key=s.id, stage="filter", reason="dull"), "dull"),
        (raises(ZeroDivisionError()), "plug-in error"),
        (raises(Rejected("by a raise")), "by a raise"),
        (lambda s: False, "plug-in error"),
    ],
)
def test_the_first_filter_that_minds_decides(verdict: Any, reason: str, root: Root) -> None:
    never = raises(AssertionError("asked though it is gone"))
    (drop,) = made(root, lambda b, r: [sound(b, r)], lambda _: None, verdict, never)
    assert isinstance(drop, Drop)
    assert (drop.stage, drop.reason) == ("filter", reason)


def test_filters_see_sound_samples_only(root: Root) -> None:
    bad = Target(image=5, box=Box(1, 2, 3, 4))
    turn = Turn(question="Where?", answer="<target:0>", targets=(bad,))
    (drop,) = made(
        root,
        lambda b, r: [b.sample(r, r[0].images, [turn])],
        lambda s: s.images[s.turns[0].targets[0].image] and None,
    )
    assert isinstance(drop, Drop) and drop.reason == "invalid sample"


def test_other_samples_of_a_group_outlive_one_that_is_dropped(root: Root) -> None:
    found = made(root, lambda b, r: [sound(b, r, license=3), sound(b, r)])
    assert [type(item).__name__ for item in found] == ["Drop", "Sample"]
