import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mgdata.index import Index
from mgdata.synth.records import LABELS, index_table

CORPORA = ("got10k", "lasot", "motchallenge")


def test_the_table_has_the_columns_that_choosing_sees():
    table = index_table(100, 0, CORPORA)
    assert table.schema == pa.schema(
        {
            "key": pa.string(),
            "shape": pa.string(),
            "unit": pa.string(),
            "license": pa.string(),
            "labels": pa.list_(pa.string()),
            "images": pa.int32(),
            "regions": pa.int32(),
            "tracks": pa.int32(),
            "longest": pa.int32(),
        }
    )
    assert Index(table).key(99) == "motchallenge/clip-0000099"
    assert len(Index(table)) == 100


def test_equal_seeds_give_equal_tables_and_others_do_not():
    assert index_table(1000, 5, CORPORA).equals(index_table(1000, 5, CORPORA))
    assert not index_table(1000, 5, CORPORA).equals(index_table(1000, 6, CORPORA))


def test_the_numbers_of_a_record_fit_each_other():
    table = index_table(20_000, 1, CORPORA)
    images, regions, tracks, longest = (
        table[name].to_numpy().astype(int) for name in ("images", "regions", "tracks", "longest")
    )
    assert images.min() >= 20
    assert ((longest >= 1) & (longest <= images)).all()
    assert ((regions >= longest) & (regions <= images * tracks)).all()
    mot = pc.starts_with(table["key"], "mot").to_numpy()
    assert tracks[mot].min() == 2
    assert tracks[~mot].max() == 1


def test_keys_are_unique_and_units_join_neighbours_of_one_corpus():
    table = index_table(20_000, 1, CORPORA)
    keys, units = table["key"].to_pylist(), table["unit"].to_pylist()
    assert len(set(keys)) == 20_000
    assert all(
        key.split("/")[0] == unit.split("/")[0] for key, unit in zip(keys, units, strict=True)
    )
    assert 0.8 < len(set(units)) / 20_000 < 0.95


def test_labels_are_known_sorted_and_different():
    table = index_table(5000, 2, CORPORA)
    for labels in table["labels"].to_pylist():
        assert 1 <= len(labels) <= 3
        assert labels == sorted(set(labels))
        assert set(labels) <= set(LABELS)


def test_a_million_records_take_little_memory():
    table = index_table(1_000_000, 0, CORPORA)
    assert table.num_rows == 1_000_000
    assert table.nbytes < 200e6


def test_impossible_numbers_are_refused():
    assert index_table(0, 0, CORPORA).num_rows == 0
    with pytest.raises(ValueError, match="needs clips and corpora"):
        index_table(1, 0, ())
    with pytest.raises(ValueError, match="needs clips and corpora"):
        index_table(-1, 0, CORPORA)
