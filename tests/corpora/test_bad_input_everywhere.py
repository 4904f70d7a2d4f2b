"""Faults that random damage found in single readers, each held against its reader by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mgdata.corpora.clevr_change import ClevrChange
from mgdata.corpora.coco import Coco
from mgdata.corpora.magicbrush import MagicBrush
from mgdata.corpora.mig_bench import MigBench
from mgdata.corpora.spot_the_diff import SpotTheDiff
from mgdata.data import Drop, Record
from mgdata.errors import UsageError
from mgdata.plugins import Corpus
from mgdata.stages.ingest import read_part
from mgdata.storage import Root
from mgdata.synth import write

DEEP = "[" * 3000 + "]" * 3000
FOREIGN = 10**400


def drops(corpus: Corpus) -> list[tuple[str, str]]:
    items = [item for part in corpus.parts() for item in read_part(corpus, part)]
    return [(item.key, item.reason) for item in items if isinstance(item, Drop)]


@pytest.fixture
def coco(tmp_path: Path) -> tuple[Coco, Path]:
    write("coco", tmp_path / "c", clips=2, frames=1, size=(64, 64))
    file = tmp_path / "c/annotations/instances_train2017.json"
    kept = ("annotations/instances_train2017.json",)
    return Coco(name="c", root=Root(str(tmp_path / "c")), annotations=kept), file


@pytest.mark.parametrize("tail", ["}", "{}", ', "images": []}', "\0"])
def test_what_follows_the_end_of_a_coco_file_is_not_passed_over(
    coco: tuple[Coco, Path], tail: str
) -> None:
    corpus, file = coco
    file.write_text(file.read_text() + " \n")
    assert drops(corpus) == []
    file.write_text(file.read_text() + tail)
    assert drops(corpus) == [("c/annotations/instances_train2017.json", "malformed JSON")]


def test_a_coco_element_nested_without_end_loses_itself_alone(coco: tuple[Coco, Path]) -> None:
    corpus, file = coco
    content = json.loads(file.read_text())
    content["images"][0]["file_name"] = "DEEP"
    file.write_text(json.dumps(content).replace('"DEEP"', DEEP))
    first = content["images"][0]["id"]
    assert drops(corpus) == [
        ("c/annotations/instances_train2017.json#images[0]", "malformed image entry"),
        (f"c/annotations/instances_train2017/{first}", "annotation for an unknown image"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("task", {}, "malformed item"),
        ("task", ["diff"], "malformed item"),
        ("answer", [0.1, 0.1, 0.5, FOREIGN], "answer is not four numbers"),
    ],
)
def test_an_item_of_mig_bench_with_a_value_of_no_use_loses_itself_alone(
    name: str, value: Any, reason: str, tmp_path: Path
) -> None:
    write("mig_bench", tmp_path / "m", clips=3, frames=1, size=(64, 64))
    file = tmp_path / "m/MIG_data.json"
    corpus = MigBench(name="m", root=Root(str(tmp_path / "m")))
    before = drops(corpus)  # the released file holds faults, and so does this one
    items = json.loads(file.read_text())
    items[0][name] = value
    file.write_text(json.dumps(items))
    ((key, found),) = set(drops(corpus)) - set(before)
    assert (key.endswith("/0"), found) == (True, reason)


def test_a_deep_mig_bench_file_is_one_drop(tmp_path: Path) -> None:
    (tmp_path / "MIG_data.json").write_text(DEEP)
    found = drops(MigBench(name="m", root=Root(str(tmp_path))))
    assert found == [("m/MIG_data.json", "malformed annotation")]


def test_a_deep_spot_the_diff_file_is_named_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "data/annotations").mkdir(parents=True)
    (tmp_path / "data/annotations/train.json").write_text(DEEP)
    with pytest.raises(UsageError, match=r"annotations/train.json is no list"):
        SpotTheDiff(name="s", root=Root(str(tmp_path))).parts()


def test_cut_captions_of_clevr_change_are_named_before_the_run(tmp_path: Path) -> None:
    write("clevr_change", tmp_path / "c", clips=1, frames=1, size=(64, 64))
    file = tmp_path / "c/change_captions.json"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"change_captions.json is not what it should be"):
        ClevrChange(name="c", root=Root(str(tmp_path / "c"))).parts()


def test_rows_of_magicbrush_that_a_damaged_column_hides_are_reported(tmp_path: Path) -> None:
    """pyarrow ends every column where the shortest ends, and says nothing."""
    write("magicbrush", tmp_path / "m", clips=3, frames=1, size=(64, 64))
    (file,) = (tmp_path / "m/data").iterdir()
    data = bytearray(file.read_bytes())
    column = pq.ParquetFile(file).metadata.row_group(0).column(1)
    assert (column.path_in_schema, column.num_values) == ("turn_index", 6)
    # The page's own header states its number of values, as a zigzag number: 12 is 6, 8 is 4.
    at = data.index(12, column.data_page_offset + 7)
    assert at == column.data_page_offset + 8
    data[at] = 8
    file.write_bytes(data)
    corpus = MagicBrush(name="m", root=Root(str(tmp_path / "m")))
    items = [item for part in corpus.parts() for item in read_part(corpus, part)]
    assert sum(isinstance(item, Record) for item in items) == 4
    assert isinstance(items[-1], Drop)
    assert items[-1].reason == "unreadable parquet file"
    assert "rows 4 to 5 are lost: a column ends early" in (items[-1].value or "")
