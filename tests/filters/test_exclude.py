"""Keeping a benchmark's images out, by what they are called wherever copies of them lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mgdata.data import Image, Record, Shape
from mgdata.errors import UsageError
from mgdata.filters.exclude import Exclude
from mgdata.identity import name_hash
from mgdata.index import Index
from mgdata.tables import RecordRows


def record(key: str, shape: Shape, *uris: str) -> Record:
    images = tuple(Image(uri=uri, width=4, height=4) for uri in uris)
    return Record(key=key, shape=shape, unit=key, images=images, regions=(), license="unknown")


def index(*records: Record) -> Index:
    rows = RecordRows()
    for one in records:
        rows.add(one)
    corpora = [one.key.partition("/")[0] for one in records]
    return Index(rows.table().append_column("corpus", pa.array(corpora, pa.string())))


BENCH = record(
    "bench/0",
    "set",
    "bench:images/gg/sa_1.jpg",
    "bench:images/object_tracking/GOT-10k_Val_000001/00000011.jpg",
    "bench:images/common/objects365_v2_01803705.jpg",
)


@pytest.mark.parametrize(
    ("other", "stays"),
    [
        (record("grand/1", "image", "grand:images/part_3/sa_1.jpg"), False),
        (record("grand/2", "image", "grand:images/SA_1.JPEG"), False),
        (record("grand/3", "image", "grand:images/sa_11.jpg"), True),
        (record("o365/1", "image", "o365:images/v2/patch30/objects365_v2_01803705.jpg"), False),
        (
            record("got/val/GOT-10k_Val_000001", "clip", "got:val/GOT-10k_Val_000001/00000001.jpg"),
            False,
        ),
        (
            record("got/val/GOT-10k_Val_000002", "clip", "got:val/GOT-10k_Val_000002/00000011.jpg"),
            True,
        ),
        (record("coco/1", "image", "coco:val2017/00000011.jpg"), True),  # a number says nothing
        (record("pair/1", "pair", "pair:a/x.jpg", "pair:b/sa_1.jpg"), False),  # one is enough
    ],
)
def test_a_record_that_shows_an_image_of_the_benchmark_is_left_out(
    other: Record, stays: bool
) -> None:
    clear = record("grand/9", "image", "grand:images/sa_9.jpg")
    mask, reason = Exclude(corpora=("bench",)).index(index(clear, BENCH, other))
    assert mask.tolist() == [True, False, stays]
    assert reason == "in a benchmark"


def test_the_verdict_is_on_the_rows_of_the_view_it_is_given() -> None:
    whole = index(
        record("a/1", "image", "a:x/sa_1.jpg"), record("a/2", "image", "a:x/y.jpg"), BENCH
    )
    view = whole.view(np.array([False, True, True]))
    assert Exclude(corpora=("bench",)).index(view)[0].tolist() == [True, False]


def test_images_at_the_top_of_two_roots_have_no_common_name() -> None:
    bench = record("bench/0", "set", "bench:one.jpg", "bench:two.jpg")
    clip = record("a/1", "clip", "a:00000001.jpg")
    assert Exclude(corpora=("bench",)).index(index(bench, clip))[0].tolist() == [False, True]


def test_a_benchmark_of_which_nothing_was_read_is_an_error_not_a_pass() -> None:
    other = index(record("a/1", "image", "a:x/y.jpg"))
    with pytest.raises(UsageError, match="no record of bench was read"):
        Exclude(corpora=("bench",)).index(other)


def test_of_half_a_million_records_only_the_benchmark_goes() -> None:
    rows, per = 500_000, 2
    names = pa.array(np.arange(rows * per, dtype=np.uint64) * np.uint64(7919))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * per)
    corpora = pa.array(["bench"] * 5_000 + ["grand"] * (rows - 5_000))
    table = pa.table({"corpus": corpora, "names": pa.ListArray.from_arrays(offsets, names)})
    mask, _ = Exclude(corpora=("bench",)).index(Index(table))
    assert mask.sum() == rows - 5_000


def test_a_name_is_the_same_whatever_its_case() -> None:
    assert name_hash("SA_1") == name_hash("sa_1")
