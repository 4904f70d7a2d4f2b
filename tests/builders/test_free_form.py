"""Free-form drafts: which photos are put together, and what is listed of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made import index
from photos_of import photo, thing

from builders.free_form import FreeForm
from builders.lookalikes import lookalikes, vectors
from mgdata import audit
from mgdata.data import Record, Region, Sample
from mgdata.errors import Rejected, UsageError
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.measures.vectors import as_bytes
from mgdata.preview import build_few
from mgdata.recipe import load
from mgdata.synth import write

LABELS = ("dog", "cat", "kite", "cup", "bus", "chair:leg", "n02084071")


def photos(count: int) -> list[Record]:
    rng = Stream("photos")
    return [photo(n, *rng.sample(LABELS, rng.between(1, 4))) for n in range(count)]


def with_vectors(records: Sequence[Record], cells: Sequence[Any], name: str = "embedding") -> Index:
    """An index whose vectors lie in several pieces, as those of several shards do."""
    pieces = [
        pa.array(list(some), pa.binary()) for some in np.array_split(np.array(cells, object), 3)
    ]
    return Index(index(list(records)).table.append_column(name, pa.chunked_array(pieces)))


def sets(
    records: Sequence[Record], columns: Index | None = None, **settings: Any
) -> list[list[Record]]:
    found = columns or index(list(records))
    builder = FreeForm(**settings)
    groups = list(builder.groups(found, Stream("g")))
    assert audit.faults(found, groups, builder.grouping, cap=builder.per_image) == []
    return [[records[row] for row in group] for group in groups]


def draft(*records: Record, **settings: Any) -> Sample:
    (sample,) = FreeForm(**settings).build(records, Stream("b"))
    assert isinstance(sample, Sample)
    return sample


# Groups.


def test_photos_that_share_have_a_class_with_a_name_in_common() -> None:
    found = sets(photos(300), by="shared", per_image=1)
    for some in found:
        shared = set.intersection(*({region.label for region in one.regions} for one in some))
        assert shared - {"chair:leg", "n02084071"}
    assert sum(map(len, found)) > 250
    assert Counter(map(len, found)).keys() == {4, 5, 6}


def test_random_photos_use_up_the_corpus_and_share_what_chance_gives() -> None:
    found = sets(photos(300), by="random", per_image=1)
    assert sum(map(len, found)) > 250
    shared = [set.intersection(*({r.label for r in one.regions} for one in some)) for some in found]
    assert sum(map(bool, shared)) < len(found) / 2


def test_what_shares_a_unit_or_has_nothing_to_list_is_in_no_set_together() -> None:
    records = [
        photo(0), photo(1, "n02084071"), photo(2, thing("dog", ignore=True)),
        *(photo(n, "dog").__replace__(unit="same") for n in range(3, 9)), photo(9, "dog"),
    ]  # fmt: skip
    for by in ("shared", "random"):
        (found,) = sets(records, by=by, images=(2, 2), per_image=1)
        assert "made/9" in {one.key for one in found}


def around(count: int, centres: int, seed: int = 0, noise: float = 0.2) -> np.ndarray[Any, Any]:
    """Vectors in bunches: vector i is near centre i % centres."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, 32))
    return middle[np.arange(count) % centres] + noise * rng.normal(size=(count, 32))


def test_photos_that_look_alike_are_of_one_bunch_where_few_are_kept() -> None:
    records = [photo(n, "dog") for n in range(400)]
    found = with_vectors(records, as_bytes(around(400, 4)))
    settings = {"by": "alike", "per_image": 1}
    near = sets(records, found, **settings, kept=(0.01, 0.1))
    bunches = [len({int(one.unit) % 4 for one in some}) for some in near]
    assert np.mean(np.array(bunches) == 1) > 0.9
    assert sum(map(len, near)) > 380
    wide = sets(records, found, **settings)
    mixed = [len({int(one.unit) % 4 for one in some}) for some in wide]
    assert 0.05 < np.mean(np.array(mixed) == 1) < 0.6


def test_a_photo_without_a_vector_looks_like_no_other() -> None:
    records = [photo(n, "dog") for n in range(30)]
    cells: list[bytes | None] = [*as_bytes(around(30, 3))]
    cells[4] = cells[17] = None
    found = sets(records, with_vectors(records, cells, "looks"), by="alike", vectors="looks")
    assert not {"made/4", "made/17"} & {one.key for some in found for one in some}
    assert len(found) > 10


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["text"] * 9, "holds string, no vectors"),
        ([b"abc"] * 8 + [b"ab"], "no vectors of one length"),
        ([b"abc"] * 3 + [b"abcd"] * 6, "no vectors of one length"),  # between pieces
        ([b""] * 9, "no vectors of one length"),
        ([None] * 9, "no vectors of one length"),
    ],
)
def test_a_column_that_holds_no_vectors_is_named(cells: list[Any], message: str) -> None:
    table = index([photo(n, "dog") for n in range(9)]).table
    kind = pa.string() if isinstance(cells[0], str) else pa.binary()
    column = pa.chunked_array([pa.array(cells[:3], kind), pa.array(cells[3:], kind)])
    found = Index(table.append_column("embedding", column))
    with pytest.raises(UsageError, match=message):
        list(FreeForm(by="alike").groups(found, Stream("g")))


def test_an_index_without_the_column_says_which_measure_gives_it() -> None:
    with pytest.raises(UsageError, match=r"no_such.*name the measure embedding or appearance"):
        sets(photos(20), by="alike", vectors="no_such")


def test_vectors_of_a_view_are_those_of_its_rows_in_its_order() -> None:
    records = [photo(n, "dog") for n in range(20)]
    cells = as_bytes(around(20, 5))
    found = with_vectors(records, cells)
    view = Index(found.table, np.array([17, 3, 8, 9]))
    places, values = vectors(view, "embedding")
    assert {int(p): row.tobytes() for p, row in zip(places, values, strict=True)} == {
        0: cells[17], 1: cells[3], 2: cells[8], 3: cells[9]
    }  # fmt: skip


# Algorithm 1, beside a plain way to write it.


def int8(vectors_: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.stack([np.frombuffer(row, np.int8) for row in as_bytes(vectors_)])


def test_others_are_among_the_top_share_of_those_left_and_anywhere_in_it() -> None:
    values = int8(around(300, 1, noise=1.0))
    left, ranks = set(range(300)), list[float]()
    for seed, *others in lookalikes(values, np.arange(300), (5, 5), (0.3, 0.3), Stream("a")):
        ranked = sorted(
            left - {seed}, key=lambda i: (-int(values[i].astype(int) @ values[seed].astype(int)), i)
        )
        top = max(int(0.3 * len(ranked)), 8)
        places = [ranked.index(other) for other in others]
        assert max(places) < top, (seed, places)
        ranks += [(place + 0.5) / min(top, len(ranked)) for place in places] if top > 20 else []
        left -= {seed, *others}
    assert len(left) < 5
    assert np.allclose(np.histogram(ranks, 4, (0, 1))[0] / len(ranks), 0.25, atol=0.08)


def test_groups_of_equals_do_not_depend_on_how_they_are_sorted() -> None:
    values = int8(np.ones((60, 8)))
    found = list(lookalikes(values, np.arange(60), (4, 6), (0.1, 1.0), Stream("a")))
    assert found == list(lookalikes(values, np.arange(60), (4, 6), (0.1, 1.0), Stream("a")))
    assert sum(map(len, found)) > 50


def test_no_more_photos_than_the_smallest_set_needs_give_one_set_and_fewer_none() -> None:
    values = int8(around(4, 1))
    (found,) = lookalikes(values, np.arange(4), (4, 4), (0.1, 0.1), Stream("a"))
    assert sorted(found) == [0, 1, 2, 3]
    assert not list(lookalikes(values[:3], np.arange(3), (4, 6), (0.1, 1.0), Stream("a")))
    assert not list(lookalikes(values, np.zeros(4, int), (2, 3), (0.1, 1.0), Stream("a")))


def test_vectors_too_long_for_exact_products_are_refused() -> None:
    with pytest.raises(ValueError, match="longer than 512"):
        next(
            lookalikes(np.full((9, 64), 127, np.int8), np.arange(9), (4, 6), (0.1, 1), Stream("a"))
        )


# Drafts.


def test_a_draft_lists_every_object_with_a_name_that_is_not_to_be_ignored() -> None:
    sample = draft(
        photo(0, "dog", thing("cat", 1, ignore=True), "bench:leg", "n02084071"),
        photo(1, "cup", "cup", thing("person", 6, ignore=True)),
    )
    (turn,) = sample.turns
    assert turn.kind == "boxes" and turn.question.endswith("each with its box.")
    assert sorted(t.phrase or "" for t in turn.targets) == ["cup", "cup", "dog"]
    assert turn.answer.splitlines() == [
        f"Image-{target.image + 1}: <target:{i}>" for i, target in enumerate(turn.targets)
    ]
    boxes = [(target.image, target.box.x1) for target in turn.targets]
    assert boxes == sorted(boxes)


def test_targets_are_of_the_image_that_their_record_became() -> None:
    records = [photo(n, label) for n, label in enumerate(("dog", "cat", "kite", "cup", "bus"))]
    sample = draft(*records)
    assert sample.records != tuple(record.key for record in records)
    named = {record.key: record.regions[0].label for record in records}
    assert [t.phrase for t in sample.turns[0].targets] == [named[key] for key in sample.records]


def test_of_a_crowded_photo_the_largest_of_each_class_come_first() -> None:
    regions = [
        Region(image=0, box=Box(5.0 * k, 0, 5.0 * k + 5, 50 - k), label="dog") for k in range(15)
    ]
    small = Region(image=0, box=Box(90, 60, 95, 70), label="cat")
    sample = draft(photo(0, *regions, small), photo(1, "cup"), most_objects=4)
    listed = [t for t in sample.turns[0].targets if t.phrase != "cup"]
    assert [(t.phrase, t.box.x1) for t in listed] == [
        ("dog", 0),
        ("dog", 5),
        ("dog", 10),
        ("cat", 90),
    ]


def test_a_phrase_is_what_an_object_is_called() -> None:
    region = Region(image=0, box=Box(1, 1, 30, 30), label="dog", phrase="the wet dog")
    sample = draft(photo(0, region), photo(1, "cup"))
    assert {t.phrase for t in sample.turns[0].targets} == {"the wet dog", "cup"}


def test_a_photo_with_nothing_to_list_is_left_out_and_one_alone_is_no_set() -> None:
    sample = draft(photo(0, "dog"), photo(1, "n02084071"), photo(2, "cup"))
    assert len(sample.images) == 2 and "made/1" not in sample.records
    with pytest.raises(Rejected, match="fewer than two photos with objects to list: 1"):
        draft(photo(0, "dog"), photo(1))


@pytest.mark.parametrize(
    "settings",
    [
        {"images": (1, 4)}, {"images": (5, 4)}, {"images": (4, 21)}, {"area": (0.5, 0.5)},
        {"kept": (0.0, 1.0)}, {"kept": (0.5, 0.1)}, {"most_objects": 0}, {"per_image": 0},
        {"power": 2.0},
    ],
)  # fmt: skip
def test_settings_that_no_set_could_meet_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        FreeForm(**settings)


# Whole.


def test_look_alikes_of_a_corpus_are_found_by_what_its_files_show(tmp_path: Path) -> None:
    write("coco", tmp_path / "coco", clips=60, frames=1, size=(160, 120), seed=3)
    recipe = tmp_path / "drafts.yaml"
    recipe.write_text(
        "name: drafts\nseed: 1\nsplits: {train: 1.0}\ncorpora: {coco: {}}\n"
        "measures: {integrity: {}, appearance: {}}\n"
        "tasks: {free_form: {samples: 10, with: {by: alike, vectors: appearance}}}\n"
        "release: {notation: qwen2-vl}\n"
    )
    samples, drops = build_few(load(recipe, {"coco": str(tmp_path / "coco")}), 10)
    assert len(samples) == 10 and not drops
    assert {len(sample.images) for sample in samples} <= {4, 5, 6}
