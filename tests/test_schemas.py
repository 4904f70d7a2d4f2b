"""The schemas are what the structs say, and both judge alike what the pipeline writes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pyarrow.parquet as pq
import pytest
import taught_releases
import yaml
from command import entries, ledger
from hypothesis import given
from jsonschema import Draft202012Validator

from mgdata import data, recipe
from mgdata.api import plan
from mgdata.resources import folder, recipes
from mgdata.schema import faults
from mgdata.stored import STORED, texts
from mgdata.tables import read_samples, read_table


@cache
def validator(name: str) -> Draft202012Validator:
    """As a reader without mgdata would make it: from the file."""
    schema = json.loads((folder("schemas") / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_schema_files_are_those_that_the_structs_give() -> None:
    found = {file.name: file.read_text() for file in folder("schemas").glob("*")}
    assert found == texts(), "run `make schemas`"


@pytest.mark.parametrize("name", sorted(STORED))
def test_every_field_of_a_schema_is_described(name: str) -> None:
    for kind, definition in validator(name).schema["$defs"].items():
        for field, said in definition.get("properties", {}).items():
            assert "description" in said, f"{name}: {kind}.{field}"


def written(run: Path, kind: str) -> Iterator[Any]:
    """What a run wrote of one kind, as plain JSON."""
    if kind == "run":
        yield json.loads((run / "run.json").read_bytes())
    elif kind == "recipe":
        yield json.loads((run / "run.json").read_bytes())["recipe"]
    elif kind == "manifest":
        for file in sorted((run / "manifest").rglob("*.json")):
            yield json.loads(file.read_bytes())
    elif kind == "record":
        for entry in entries(run, "ingest"):
            for text in read_table(run / entry.data().path)["record"].to_pylist():
                yield json.loads(text)
    elif kind == "sample":
        for entry in entries(run, "build"):
            for text in read_samples(run / entry.data().path, ["sample"])["sample"].to_pylist():
                yield json.loads(text)
    elif kind == "drop":
        for drop in ledger(run):
            yield json.loads(msgspec.json.encode(drop))
    elif kind == "lesson":
        for text in read_samples(run / taught_releases.TABLE, ["lesson"])["lesson"].to_pylist():
            yield json.loads(text)
    else:
        for file in sorted((run / "release" / "data").rglob("*.parquet")):
            for row in pq.read_table(file).slice(0, 20).to_pylist():
                for image in row["images"]:
                    image["bytes"] = base64.b64encode(image["bytes"]).decode()
                yield row


@pytest.fixture(scope="module")
def taught_run(quick_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of lessons and the release of them."""
    folder = tmp_path_factory.mktemp("taught")
    taught_releases.release(quick_run, folder)
    return folder


@pytest.mark.parametrize("kind", sorted(STORED))
def test_the_schema_accepts_what_the_pipeline_writes(
    kind: str, quick_run: Path, taught_run: Path
) -> None:
    count = 0
    for document in written(taught_run if kind.startswith("lesson") else quick_run, kind):
        faults_found = [error.message for error in validator(kind).iter_errors(document)]
        assert not faults_found
        if kind.endswith("row"):
            msgspec.json.decode(json.dumps(document), type=STORED[kind])
        else:
            msgspec.convert(document, STORED[kind], strict=True)
        count += 1
    assert count


# The oracle: of a sound document with one change, schema and decoder must say the same.

SAMPLE = msgspec.json.decode(
    msgspec.json.encode(
        data.Sample(
            id="0" * 16,
            task="t",
            association="temporal",
            split="train",
            images=(
                data.Image(uri="c:a.jpg", width=64, height=48, frame=1, facts={"level": 3.5}),
                data.Image(
                    uri="c:b.jpg",
                    width=64,
                    height=48,
                    edits=(data.Edit(kind="mark", box=data.Box(1, 2, 3.5, 4)),),
                ),
            ),
            turns=(
                data.Turn(
                    question="<image:0><image:1> where is <region:0>?",
                    answer="<target:0>",
                    regions=(data.Target(image=0, box=data.Box(1, 2, 3, 4)),),
                    targets=(data.Target(image=1, box=data.Box(1, 2, 3, 4), phrase="a"),),
                    asked=(1,),
                    options=("a", "b"),
                ),
            ),
            records=("c/a",),
            license="MIT",
        )
    )
)
RECORD = msgspec.json.decode(
    msgspec.json.encode(
        data.Record(
            key="c/a",
            shape="clip",
            unit="a",
            images=(data.Image(uri="c:a.jpg", width=64, height=48),),
            regions=(
                data.Region(
                    image=0, box=data.Box(1, 2, 3, 4), label="x", visibility=0.5, track="1"
                ),
                data.Region(image=0, box=None, label="x", ignore=True),
            ),
            license="MIT",
            skipped={"nan box": 2},
        )
    )
)
LESSON = msgspec.json.decode(
    msgspec.json.encode(
        data.Lesson(
            id="1" * 16,
            config="rl",
            sample=msgspec.convert(SAMPLE, data.Sample),
            source="0" * 16,
            form="reason",
            open=True,
            instruction="Think.",
            pass_rate=0.5,
            answers=8,
            kind="reason",
            model="scripted:script@1",
            words="w",
            iou=0.25,
        )
    )
)
RECIPE = {
    "name": "r",
    "corpora": {"got10k": {"with": {"splits": ["val"]}, "license": None}},
    "tasks": {"object_tracking": {"samples": 3, "with": {"frames": [4, 6]}}},
    "splits": {"train": 0.5, "test": 0.5},
    "release": {"row_group_mb": 10.5, "codec": {"quality": 90}},
}
OTHERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda x: x != int(x)),
    st.sampled_from(["", "a", "clip", "boxes", "temporal", "mark", "1"]),
    st.just([]),
    st.just({}),
    st.just([1, 2]),
    st.just([1.0, 2.5, 3.5, 4.5, 5.5]),
    st.just({"x": 1}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a document."""
    found = [path]
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in pairs:
        found += places(child, (*path, key))
    return found


def changed(document: Any, path: tuple[Any, ...], how: str, other: Any) -> Any:
    """A copy with the value at `path` replaced or removed, or with a key or item more there."""
    copy = json.loads(json.dumps(document))
    if not path:
        return {**copy, "extra": other} if how == "added" else copy
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    last = path[-1]
    if how == "removed":
        del inner[last]
    elif how == "added" and isinstance(inner[last], dict):
        inner[last]["extra"] = other
    elif how == "added" and isinstance(inner[last], list):
        inner[last].append(other)
    else:
        inner[last] = other
    return copy


@pytest.mark.parametrize(
    ("kind", "document"),
    [("sample", SAMPLE), ("lesson", LESSON), ("record", RECORD), ("recipe", RECIPE)],
)
def test_the_sound_document_is_sound_to_both(kind: str, document: Any) -> None:
    assert validator(kind).is_valid(document)
    assert msgspec.convert(document, STORED[kind])


@given(st.data())
@pytest.mark.parametrize(
    ("kind", "document"),
    [("sample", SAMPLE), ("lesson", LESSON), ("record", RECORD), ("recipe", RECIPE)],
)
def test_schema_and_decoder_agree_on_any_one_change(
    kind: str, document: Any, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(places(document)))
    how = data.draw(st.sampled_from(["replaced", "removed", "added"]))
    mutant = changed(document, path, how, data.draw(OTHERS))
    try:
        msgspec.json.decode(json.dumps(mutant), type=STORED[kind])
        decodes = True
    except msgspec.ValidationError:
        decodes = False
    assert validator(kind).is_valid(mutant) == decodes, mutant


# Recipes.


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_fits_its_schema(name: str) -> None:
    document = yaml.safe_load(recipes()[name].read_text())
    assert faults(document, validator("recipe").schema) == []


@pytest.mark.parametrize("name", ["object-tracking", "quickstart"])
def test_a_recipe_is_planned_over_small_corpora(name: str, quick_corpora: Path) -> None:
    loaded = recipe.load(name, recipe.read_roots(str(quick_corpora / "roots.yaml"), []))
    found = plan(loaded)
    tasks = {line.task for line in found.lines if line.samples}
    assert tasks == set(loaded.recipe.tasks)
    assert found.bytes > 0 and found.shards >= len(tasks) and found.files >= 1
