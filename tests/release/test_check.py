"""One planted fault for every kind that a check can name, and none in a good release."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lesson_plants import LESSON_PLANTS
from rewriting import Rows, files, first, on_rows, rewrite

from mgdata import registry
from mgdata.data import Image, Target, Turn
from mgdata.errors import UsageError
from mgdata.geometry import Box
from mgdata.notations import conversation
from mgdata.release.check import check, lines
from mgdata.release.faults import KEPT, KINDS
from mgdata.release.rows import Pictures, RowGroups, features

KEYS = {
    "huggingface": json.dumps({"info": {"features": features()}}),
    "mgdata.row_format": "1",
}


def boxed(row: dict[str, Any]) -> dict[str, Any]:
    """The first target of a row."""
    return next(target for turn in row["turns"] for target in turn["targets"])


def show(row: dict[str, Any], place: int, data: bytes, ending: str = ".jpg") -> None:
    """Put other bytes in a row, truly named and hashed."""
    sha256 = hashlib.sha256(data).hexdigest()
    row["images"][place] = {"bytes": data, "path": sha256[:16] + ending}
    row["image_info"][place]["sha256"] = sha256


def encoded(picture: PIL.Image.Image, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **settings)
    return buffer.getvalue()


def picture(row: dict[str, Any]) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(row["images"][0]["bytes"]))


def say(row: dict[str, Any]) -> None:
    """Write the messages anew from the turns."""
    images = [Image(uri=i["uri"], width=i["width"], height=i["height"]) for i in row["image_info"]]
    turns = [
        Turn(**{**turn, **{name: targets(turn[name]) for name in ("regions", "targets")}})
        for turn in row["turns"]
    ]
    notation = registry.make("notations", row["notation"], {}, "the test")
    row["messages"] = conversation(notation, turns, images)


def targets(found: Rows) -> tuple[Target, ...]:
    return tuple(Target(image=t["image"], box=Box(*t["box"]), phrase=t["phrase"]) for t in found)


def card(release: Path, old: str, new: str) -> None:
    file = release / "README.md"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def cut_in_half(row: dict[str, Any]) -> None:
    data = row["images"][0]["bytes"]
    show(row, 0, data[: len(data) // 2])


def heavy(release: Path) -> None:
    """Every image becomes one picture of 15 MB: stored once, and 250 MB for whoever loads it."""
    file = files(release)[0]
    rows = pq.read_table(file).to_pylist()
    bare = encoded(picture(rows[0]), format="jpeg", quality=90)
    data = bare[:2] + (b"\xff\xfe\xff\xff" + b"x" * 65533) * 230 + bare[2:]
    for row in rows:
        for place in range(len(row["images"])):
            show(row, place, data)
        row["paths"] = [image["path"] for image in row["images"]]
    assert len(data) * sum(len(row["images"]) for row in rows) > 250e6
    pictures = Pictures()
    pictures.add(rows[0]["paths"][0], data)
    with RowGroups(file) as groups:
        groups.write(rows, pictures)


def wrong_image_named(rows: Rows) -> None:
    """An answer that says of every box that it is in the first image."""
    row = next(r for r in rows if all(t["image"] for turn in r["turns"] for t in turn["targets"]))
    turn = next(turn for turn in row["turns"] if turn["kind"] == "boxes" and turn["targets"])
    slots = " ".join(f"<target:{i}>" for i in range(len(turn["targets"])))
    turn["answer"] = f"In Image-1: {slots}"
    say(row)


def no_gold(rows: Rows) -> None:
    next(turn for row in rows for turn in row["turns"] if turn["kind"] != "boxes")["gold"] = ""


def other_digits(row: dict[str, Any]) -> None:
    number = next(i for i, m in enumerate(row["messages"]) if "<|box_start|>(" in m["content"])
    message = row["messages"][number]
    message["content"] = message["content"].replace("<|box_start|>(", "<|box_start|>(1", 1)


def from_train(release: Path) -> dict[str, Any]:
    return pq.read_table(files(release)[0]).to_pylist()[0]


def share_picture(release: Path) -> None:
    data = from_train(release)["images"][0]["bytes"]
    rewrite(files(release, "validation")[1], lambda rows: show(rows[1], 0, data))


def share_record(release: Path) -> None:
    key = from_train(release)["records"][0]
    rewrite(files(release, "validation")[1], lambda rows: rows[0].update(records=[key]))


def same_id(release: Path) -> None:
    rewrite(files(release)[2], lambda rows: rows[-1].update(id=from_train(release)["id"]))


def turned(row: dict[str, Any]) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 3
    show(row, 0, encoded(picture(row), format="jpeg", exif=exif))


PLANTS: list[tuple[str, str, Callable[[Path], object]]] = [
    ("no card", "deleted", lambda r: (r / "README.md").unlink()),
    ("no card", "without front matter", lambda r: (r / "README.md").write_text("# small\n")),
    ("card", "a wrong count", lambda r: card(r, "num_examples: 1", "num_examples: 2")),
    ("card", "a split too many", lambda r: card(r, "  - name: train\n", "  - name: test\n    num_bytes: 0\n    num_examples: 7\n  - name: train\n")),
    ("stray file", "notes", lambda r: (r / "data" / "notes.txt").write_text("hello")),
    ("stray file", "of an earlier shape", lambda r: shutil.copy(files(r)[0], files(r)[0].with_name("train-00000-of-00009.parquet.part"))),
    ("missing file", "in the middle", lambda r: files(r)[1].unlink()),
    ("missing file", "the last", lambda r: files(r)[-1].unlink()),
    ("unreadable file", "cut", lambda r: files(r)[0].write_bytes(files(r)[0].read_bytes()[:-9])),
    ("unreadable file", "empty", lambda r: files(r)[0].write_bytes(b"")),
    ("unreadable file", "zeroed inside", lambda r: zero(files(r)[0])),
    ("schema", "a column more", lambda r: rewrite(files(r)[0], column=pa.field("extra", pa.int64()))),
    ("schema", "the Arrow schema kept", lambda r: rewrite(files(r)[0], store_schema=True)),
    ("features", "no key", lambda r: rewrite(files(r)[0], keys={"mgdata.row_format": "1"})),
    ("features", "others", lambda r: rewrite(files(r)[0], keys={**KEYS, "huggingface": '{"info": {"features": {}}}'})),
    ("row format", "a later one", lambda r: rewrite(files(r)[0], keys={**KEYS, "mgdata.row_format": "99"})),
    ("page index", "none", lambda r: rewrite(files(r)[0], index=False)),
    ("row group size", "over the limit", heavy),
    ("row type", "no task", first(lambda row: row.update(task=None))),
    ("row type", "an image without bytes", first(lambda row: row["images"][0].update(bytes=None))),
    ("row type", "a null among images", first(lambda row: row["images"].__setitem__(0, None))),
    ("row type", "a box of three numbers", first(lambda row: boxed(row)["box"].pop())),
    ("row type", "an unknown kind", first(lambda row: row["turns"][0].update(kind="guess"))),
    ("image count", "an image_info less", first(lambda row: row["image_info"].pop())),
    ("image count", "no images", first(lambda row: row.update(images=[], image_info=[]))),
    ("image", "cut", first(cut_in_half)),
    ("image", "no image", first(lambda row: show(row, 0, b"<html>"))),
    ("image format", "grey", first(lambda row: show(row, 0, encoded(picture(row).convert("L"), format="jpeg")))),
    ("image format", "EXIF turns it", first(turned)),
    ("image size", "a column less", first(lambda row: row["image_info"][0].update(width=319))),
    ("image hash", "another stated", first(lambda row: row["image_info"][0].update(sha256="0" * 64))),
    ("image hash", "other bytes", first(lambda row: row["images"][0].update(bytes=row["images"][1]["bytes"]))),
    ("image name", "of another", first(lambda row: row["images"][0].update(path="photo.jpg"))),
    ("box", "not a number", first(lambda row: boxed(row)["box"].__setitem__(0, float("nan")))),
    ("box", "infinite", first(lambda row: boxed(row)["box"].__setitem__(2, float("inf")))),
    ("box", "inverted", first(lambda row: boxed(row)["box"].reverse())),
    ("box", "empty", first(lambda row: boxed(row)["box"].__setitem__(2, boxed(row)["box"][0]))),
    ("box", "outside", first(lambda row: boxed(row)["box"].__setitem__(3, 100_000.0))),
    ("box", "in no image", first(lambda row: boxed(row).update(image=99))),
    ("placeholder", "an image slot less", first(lambda row: row["turns"][0].update(question=row["turns"][0]["question"].replace("<image:0>", "")))),
    ("placeholder", "a target that is not there", first(lambda row: row["turns"][0].update(answer="<target:77>"))),
    ("turn", "no gold", on_rows(no_gold)),
    ("turn", "none", first(lambda row: row.update(turns=[]))),
    ("notation", "unknown", first(lambda row: row.update(notation="semaphore"))),
    ("notation", "of another frame", first(lambda row: row.update(frame="0-1"))),
    ("messages", "other digits", first(other_digits)),
    ("messages", "one less", first(lambda row: row["messages"].pop())),
    ("messages", "an image too many", first(lambda row: row["messages"][0].update(content="<image>" + row["messages"][0]["content"]))),
    ("messages", "roles exchanged", first(lambda row: row["messages"][1].update(role="system"))),
    ("answer", "names the wrong image", on_rows(wrong_image_named)),
    ("empty field", "task", first(lambda row: row.update(task=""))),
    ("empty field", "association", first(lambda row: row.update(association="loose"))),
    ("empty field", "records", first(lambda row: row.update(records=[]))),
    ("empty field", "answer", first(lambda row: row["turns"][0].update(answer=" "))),
    ("licence", "empty", first(lambda row: row.update(license=""))),
    ("split", "of another file", first(lambda row: row.update(split="validation"))),
    ("duplicate id", "in another file", same_id),
    ("order", "twice", on_rows(lambda rows: rows[0].update(order=rows[1]["order"]))),
    ("shared picture", "with validation", share_picture),
    ("shared record", "with validation", share_record),
]  # fmt: skip


def zero(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4:30_000] = bytes(29_996)
    file.write_bytes(data)


@pytest.fixture
def copy(made: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.release, tmp_path / "release"))


def test_a_good_release_has_no_fault(made: Any, made_json: Any) -> None:
    for one in (made, made_json):
        verdict = check(one.release)
        assert verdict.counts == {}
        assert verdict.faults == ()
        assert verdict.files == len(one.files()) >= 4
        assert verdict.rows == 24
        assert verdict.images > 50
        assert check(one.run) == verdict
        assert lines(verdict)[0].endswith("no fault")


def test_rewriting_a_file_plants_nothing_by_itself(copy: Path) -> None:
    rewrite(files(copy)[0], lambda rows: [say(row) for row in rows])
    assert check(copy).counts == {}


@pytest.mark.parametrize(
    ("kind", "plant"), [pytest.param(k, plant, id=f"{k}: {how}") for k, how, plant in PLANTS]
)
def test_a_planted_fault_is_named_and_nothing_else(
    copy: Path, kind: str, plant: Callable[[Path], object]
) -> None:
    plant(copy)
    verdict = check(copy)
    assert set(verdict.counts) == {kind}, "\n".join(lines(verdict))
    assert {fault.kind for fault in verdict.faults} == {kind}
    assert any(line.startswith(f"{kind}: ") for line in lines(verdict))


def test_every_kind_of_fault_is_planted() -> None:
    assert {kind for kind, _, _ in (*PLANTS, *LESSON_PLANTS)} == set(KINDS)


def test_a_fault_says_in_which_file_and_row_it_is(copy: Path) -> None:
    file = files(copy)[1]
    rewrite(file, lambda rows: rows[1].update(license=""))
    (fault,) = check(copy).faults
    assert (fault.file, fault.row) == (file.relative_to(copy).as_posix(), 1)
    assert fault.id == pq.read_table(file, columns=["id"])["id"][1].as_py()


def test_many_faults_are_all_counted_and_some_kept(copy: Path) -> None:
    for split in ("train", "validation"):
        for file in files(copy, split):
            rewrite(file, lambda rows: [row.update(license="") for row in rows])
    verdict = check(copy)
    assert verdict.counts == {"licence": 24}
    assert len(verdict.faults) == KEPT
    assert lines(verdict)[-1] == "    and 4 more"


def test_several_faults_in_one_release_are_all_named(copy: Path) -> None:
    first(lambda row: row.update(split="test"))(copy)
    share_record(copy)
    (copy / "data" / "notes.txt").write_text("hello")
    assert set(check(copy).counts) == {"split", "shared record", "stray file"}


def test_a_folder_without_a_release_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no release"):
        check(tmp_path)


def test_a_release_on_a_remote_store_is_checked_like_a_local_one(made: Any) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(made.release), "/checked/release", recursive=True)
    try:
        assert check("memory://checked/release") == check(made.release)
    finally:
        memory.rm("/checked", recursive=True)


def test_a_verdict_can_be_written_as_json(copy: Path) -> None:
    first(lambda row: row.update(license=""))(copy)
    verdict = check(copy)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=type(verdict)) == verdict
