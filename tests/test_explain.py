"""Where a sample came from and went, or why something is not there."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command import entries, ledger

from mgdata import load_recipe, run
from mgdata.errors import UsageError
from mgdata.explain import explain
from mgdata.storage import Store
from mgdata.tables import decode_sample, read_samples


@pytest.fixture(scope="module")
def store(quick_run: Path) -> Store:
    return Store(str(quick_run))


def rows(run: Path) -> list[dict[str, object]]:
    columns = ["id", "task", "split", "records", "image_info"]
    files = sorted((run / "release" / "data").rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file, columns=columns).to_pylist()]


def built(run: Path) -> list[str]:
    """Ids of all samples that were built."""
    tables = [read_samples(run / entry.data().path) for entry in entries(run, "build")]
    return [text for table in tables for text in table["id"].to_pylist()]


def test_a_published_sample_is_traced_to_records_group_seed_and_row(
    quick_run: Path, store: Store
) -> None:
    row = rows(quick_run)[7]
    told = explain(store, str(row["id"]))
    assert told[0] == f"sample {row['id']}: task {row['task']}, split {row['split']}"
    assert any(line.startswith("group ") for line in told)
    (key,) = row["records"]
    seed = f"random stream seeded by (build, 7, object_tracking, {row['split']}, {key}, "
    assert any(line.startswith(seed) for line in told)
    assert any(line.startswith(f"record {key}: 16 images") for line in told)
    shown = [line for line in told if line.startswith("Image-")]
    assert [line.split()[1] for line in shown] == [info["uri"] for info in row["image_info"]]
    (place,) = [line for line in told if line.startswith("published in ")]
    path, number = place.removeprefix("published in ").split(", row ")
    assert pq.read_table(quick_run / path)["id"][int(number)].as_py() == row["id"]


def test_the_stream_that_explain_names_makes_the_sample_again(
    quick_run: Path, store: Store, quick_corpora: Path
) -> None:
    from mgdata.data import Record
    from mgdata.identity import Stream
    from mgdata.stages.ingest import read_part

    row = rows(quick_run)[3]
    told = explain(store, str(row["id"]))
    (line,) = [line for line in told if line.startswith("random stream")]
    stream = line[line.index("(") + 1 : -1].split(", ")
    loaded = load_recipe("quickstart", str(quick_corpora / "roots.yaml"))
    corpus, _, part = row["records"][0].partition("/")
    (record,) = read_part(loaded.corpora[corpus], part)
    assert isinstance(record, Record)
    (sample,) = loaded.builders["object_tracking"].build([record], Stream(*stream))
    assert sample.id == row["id"]


def test_a_record_tells_its_samples_and_an_image_tells_both(quick_run: Path, store: Store) -> None:
    row = rows(quick_run)[0]
    (key,) = row["records"]
    of_record = explain(store, key)
    assert f"sample {row['id']} of object_tracking/{row['split']} was made from it" in of_record
    uri = row["image_info"][1]["uri"]
    of_image = explain(store, uri)
    assert f"sample {row['id']} of object_tracking/{row['split']} shows it" in of_image
    assert any(f"of record {key}, ingested in shard" in line for line in of_image)


def test_a_sample_that_was_dropped_tells_the_stage_and_the_reason(
    quick_run: Path, store: Store
) -> None:
    for drop in ledger(quick_run):
        told = explain(store, drop.key)
        value = f": {drop.value}" if drop.value else ""
        assert f"dropped at {drop.stage}: {drop.key}: {drop.reason}{value}" in told


def test_a_sound_sample_beyond_what_was_asked_for_is_said_to_be_one(
    quick_corpora: Path, tmp_path: Path
) -> None:
    # Many are dropped, so that the second round takes more groups than it turns out to need.
    recipe, out = tmp_path / "picky.yaml", tmp_path / "run"
    recipe.write_text(
        "name: picky\ncorpora: {got10k: {}, lasot: {}}\nlimits: {rejected: 0.9}\n"
        "tasks: {object_tracking: {samples: 30, with: {per_clip: 40}}}\n"
        "filters: {boxes: {min_side: 26}}\n"
    )
    run(load_recipe(str(recipe), str(quick_corpora / "roots.yaml")), str(out), engine="serial")
    published = {row["id"] for row in rows(out)}
    dropped = {drop.key for drop in ledger(out)}
    surplus = sorted(set(built(out)) - published - dropped)
    assert surplus
    told = explain(Store(str(out)), surplus[0])
    assert "not published: more samples survived than the recipe asks for" in told


def test_every_sample_is_published_dropped_or_beyond_what_was_asked_for(quick_run: Path) -> None:
    published = [row["id"] for row in rows(quick_run)]
    settled = [drop.key for drop in ledger(quick_run) if drop.stage == "settle"]
    surplus = sum(entry.counts.get("surplus samples", 0) for entry in entries(quick_run, "settle"))
    assert len(published) + len(settled) + surplus == len(built(quick_run))


def test_an_unknown_key_says_what_keys_look_like(store: Store) -> None:
    with pytest.raises(UsageError, match="'nobody' is no sample id, record key or image uri of"):
        explain(store, "nobody")


def test_a_release_alone_cannot_explain(quick_run: Path) -> None:
    with pytest.raises(UsageError, match="explain takes the --out of a run"):
        explain(Store(str(quick_run / "release")), "key")


def test_samples_decode_to_what_their_columns_say(quick_run: Path) -> None:
    for entry in entries(quick_run, "build"):
        for row in read_samples(quick_run / entry.data().path).to_pylist():
            sample = decode_sample(row["sample"])
            assert (row["id"], row["key"]) == (sample.id, sample.records[0])
            assert row["images"] == [image.uri for image in sample.images]
