"""The release row on disk: what readers see, what is stored once, and what a valid row is."""

from __future__ import annotations

import base64
import copy
import io
import random
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from mgdata.release.rows import SCHEMA, LessonRow, Pictures, Row, RowGroups, encoded, features
from mgdata.schema import schema_of


def jpeg(seed: int) -> bytes:
    """A noisy picture of some 50 KB that no compression makes smaller."""
    pixels = np.random.default_rng(seed).integers(0, 256, (160, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="jpeg", quality=95)
    return buffer.getvalue()


PICTURES = {f"{i:016x}.jpg": jpeg(i) for i in range(6)}


def row(number: int, paths: list[str]) -> dict[str, Any]:
    """A row of these pictures, as `RowGroups` takes it."""
    return {
        "id": f"{number:016x}",
        "task": "tracking",
        "association": "temporal",
        "split": "train",
        "paths": paths,
        "image_info": [
            {"uri": f"c:{p}", "frame": i, "view": None, "width": 200, "height": 160, "sha256": "0"}
            for i, p in enumerate(paths)
        ],
        "turns": [
            {
                "question": "Where is it?",
                "answer": "<target:0>",
                "kind": "boxes",
                "regions": [],
                "targets": [{"image": 0, "box": [1.0, 2.5, 30.0, 40.25], "phrase": "it"}],
                "asked": [0],
                "options": [],
                "gold": "",
            }
        ],
        "messages": [{"role": "user", "content": "<image>" * len(paths)}],
        "notation": "qwen2-vl",
        "frame": "0-999",
        "records": ["c/1"],
        "license": "CC-BY-4.0",
        "order": number,
    }


def pictures(named: dict[str, bytes]) -> Pictures:
    """These pictures, as `RowGroups` takes them."""
    found = Pictures()
    for name, data in named.items():
        found.add(name, data)
    return found


def write(path: Path, groups: list[list[list[str]]]) -> None:
    """A file of row groups, each a list of rows, each a list of picture names."""
    number = 0
    with RowGroups(path) as file:
        for group in groups:
            used = dict.fromkeys(name for names in group for name in names)
            rows = [row(number + i, names) for i, names in enumerate(group)]
            file.write(rows, pictures({name: PICTURES[name] for name in used}))
            number += len(group)


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_opens_a_file_with_decoded_images(
    datasets: Any, tmp_path: Path, streaming: bool
) -> None:
    names = list(PICTURES)
    file = tmp_path / "data.parquet"
    write(file, [[names[:3], names[1:4]], [names[3:6]]])
    data = datasets.load_dataset(
        "parquet", data_files=str(file), split="train", streaming=streaming
    )
    rows = list(data)
    assert [len(found["images"]) for found in rows] == [3, 3, 3]
    for found, wanted in zip(rows, [names[:3], names[1:4], names[3:6]], strict=True):
        for image, name in zip(found["images"], wanted, strict=True):
            assert isinstance(image, PIL.Image.Image)
            assert np.array_equal(
                np.asarray(image), np.asarray(PIL.Image.open(io.BytesIO(PICTURES[name])))
            )
    assert rows[0]["turns"][0]["targets"][0]["box"] == [1.0, 2.5, 30.0, 40.25]
    assert data.features == datasets.Features.from_dict(features())
    assert data.features["images"] == datasets.List(datasets.Image())


# `datasets` sorts with an argument that pyarrow is about to drop.
@pytest.mark.filterwarnings("ignore:Specifying null_placement:FutureWarning")
def test_a_whole_release_loads_through_its_card(datasets: Any, made: Any) -> None:
    data = datasets.load_dataset(str(made.release), "object_tracking")
    assert {name: len(split) for name, split in data.items()} == {"train": 14, "validation": 10}
    for split in data.values():
        for found in split:
            sizes = [(info["width"], info["height"]) for info in found["image_info"]]
            assert [image.size for image in found["images"]] == sizes
        shuffled = split.sort("order")
        assert shuffled["order"][:] == list(range(len(split)))


def test_pandas_reads_equal_bytes(tmp_path: Path) -> None:
    import pandas

    names = list(PICTURES)
    write(tmp_path / "data.parquet", [[names[:2], names[1:3]], [names[:2]]])
    frame = pandas.read_parquet(tmp_path / "data.parquet")
    read = [[(i["path"], i["bytes"]) for i in images] for images in frame["images"]]
    assert read == [
        [(n, PICTURES[n]) for n in wanted] for wanted in (names[:2], names[1:3], names[:2])
    ]


def test_an_image_is_stored_once_a_row_group_however_often_it_is_shown(tmp_path: Path) -> None:
    names = list(PICTURES)[:3]
    once, often, twice = (tmp_path / f"{name}.parquet" for name in ("once", "often", "twice"))
    write(once, [[names]])
    write(often, [[names] * 20])
    write(twice, [[names] * 10, [names] * 10])
    weight = sum(len(PICTURES[name]) for name in names)
    assert once.stat().st_size < weight + 30_000
    assert often.stat().st_size < once.stat().st_size + 5_000
    assert weight < twice.stat().st_size - often.stat().st_size < weight + 30_000


def test_a_row_group_of_more_than_a_mebibyte_still_stores_each_image_once(tmp_path: Path) -> None:
    heavy = {f"{i:016x}.jpg": bytes([i]) * 3 + jpeg(i) * 20 for i in range(6)}
    file = tmp_path / "data.parquet"
    with RowGroups(file) as groups:
        groups.write([row(i, list(heavy)) for i in range(10)], pictures(heavy))
    weight = sum(map(len, heavy.values()))
    assert weight > 3 << 20
    assert file.stat().st_size < weight + 60_000


def test_two_writes_give_equal_bytes(tmp_path: Path) -> None:
    names = list(PICTURES)
    groups = [[names[:3], names[1:4]], [names[3:6]]]
    for name in ("one", "two"):
        write(tmp_path / f"{name}.parquet", groups)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_every_file_of_a_release_has_one_schema_and_a_page_index(made: Any, made_json: Any) -> None:
    footers = [pq.read_metadata(file) for one in (made, made_json) for file in one.files()]
    assert len({footer.schema.to_arrow_schema().to_string() for footer in footers}) == 1
    assert footers[0].schema.to_arrow_schema().names == SCHEMA.names
    for footer in footers:
        assert set(footer.metadata) == {b"huggingface", b"mgdata.row_format"}
        for group in range(footer.num_row_groups):
            for column in range(footer.num_columns):
                assert footer.row_group(group).column(column).has_offset_index


def test_a_file_that_fails_while_it_is_written_has_no_features(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RowGroups(tmp_path / "data.parquet") as file:
        file.write([row(0, list(PICTURES)[:1])], pictures(PICTURES))
        raise RuntimeError
    assert b"huggingface" not in (pq.read_metadata(tmp_path / "data.parquet").metadata or {})


# msgspec checks rows at full speed; jsonschema, slow and independent, is its oracle.
# The text is base64, since a JSON Schema's `contentEncoding` says what bytes are but checks nothing.

JUNK: tuple[Any, ...] = (
    None,
    "",
    "eA==",
    7,
    -1,
    2.5,
    True,
    [],
    ["x"],
    [1],
    [1.0, 2.0],
    {},
    {"a": 1},
)


def documents(made: Any) -> list[Any]:
    rows = pq.read_table(made.files()[0]).to_pylist()
    for found in rows:
        for image in found["images"]:
            # As the schema describes it: base64, and short, for the validator's sake.
            image["bytes"] = base64.b64encode(image["bytes"][:9]).decode()
    return rows


def mutate(document: Any, rng: random.Random) -> None:
    """Change one place at random: another value, a missing key, an unknown key, an item more."""
    where = document
    while True:
        keys = list(where) if isinstance(where, dict) else range(len(where))
        if not keys:
            return
        key = rng.choice(list(keys))
        inner = where[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            where = inner
            continue
        break
    change = rng.randrange(4)
    if change == 0:
        del where[key]
    elif change == 1 and isinstance(where, dict):
        where[f"{key}x"] = inner
    elif change == 1:
        where.append(copy.deepcopy(inner))
    else:
        where[key] = copy.deepcopy(rng.choice(JUNK))


def accepts(document: Any, kind: type[Row]) -> bool:
    try:
        msgspec.json.decode(msgspec.json.encode(document), type=kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", [Row, LessonRow])
def test_msgspec_and_jsonschema_agree_on_every_mutated_row(
    kind: type[Row], made: Any, lessons: Any
) -> None:
    validator = jsonschema.Draft202012Validator(
        schema_of(kind, "row"), format_checker=jsonschema.FormatChecker()
    )
    rng = random.Random(11)
    rows = documents(made if kind is Row else lessons)
    verdicts = {True: 0, False: 0}
    for _ in range(600):
        document = copy.deepcopy(rng.choice(rows))
        for _ in range(rng.randrange(3)):
            mutate(document, rng)
        verdict = accepts(document, kind)
        assert verdict == validator.is_valid(document), document
        verdicts[verdict] += 1
    assert min(verdicts.values()) > 100


def test_a_row_in_json_fits_its_schema(made: Any) -> None:
    raw = pq.read_table(made.files()[0]).to_pylist()[0]
    document = msgspec.json.decode(encoded(msgspec.convert(raw, Row)))
    jsonschema.validate(document, schema_of(Row, "row"))
    assert accepts(document, Row)
