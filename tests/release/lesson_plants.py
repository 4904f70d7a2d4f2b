"""Faults that only a release of lessons can have, each planted in a good one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from rewriting import Rows, files, first, on_rows

from mgdata.release.rows import LESSON_SCHEMA, SCHEMA, Pictures, RowGroups

Plant = Callable[[Path], object]


def of(config: str, **values: Any) -> Plant:
    """Other values in the first row of a configuration."""
    return first(lambda row: row.update(values), config=config)


def think(row: dict[str, Any], reasoning: str) -> None:
    """Another reasoning, in its column and in its message alike."""
    message = row["messages"][-1]
    old = f"<think>{row['reasoning']}</think>"
    assert old in message["content"]
    message["content"] = message["content"].replace(old, f"<think>{reasoning}</think>")
    row["reasoning"] = reasoning


def true(row: dict[str, Any], **values: Any) -> None:
    """Another ground truth: other values in the JSON that is there."""
    row["ground_truth"] = json.dumps({**json.loads(row["ground_truth"]), **values})


def moved(rows: Rows) -> None:
    """A box of a ground truth moved by a pixel."""
    row = next(row for row in rows if row["turns"][-1]["targets"])
    targets = json.loads(row["ground_truth"])["targets"]
    targets[0]["bbox"][0] += 1
    true(row, targets=targets)


def without_last(row: dict[str, Any]) -> None:
    row["messages"].pop()


def answered(row: dict[str, Any]) -> None:
    """An open question with its answer."""
    row["messages"].append({"role": "assistant", "content": row["turns"][-1]["answer"]})


def instructed(row: dict[str, Any]) -> None:
    """The instruction without its line in the question."""
    message = row["messages"][-2]
    assert message["content"].endswith("\n" + row["instruction"])
    message["content"] = message["content"].removesuffix("\n" + row["instruction"])


def plain_rows(release: Path) -> None:
    """One file of a configuration with the columns of plain rows."""
    file = files(release, config="cot")[-1]
    rows = pq.read_table(file).to_pylist()
    pictures = Pictures()
    for row in rows:
        row["paths"] = [image["path"] for image in row["images"]]
        for image in row["images"]:
            if image["path"] not in pictures:
                pictures.add(image["path"], image["bytes"])
        row["messages"] = [
            {**m, "content": m["content"].rpartition("</think><answer>")[2]
                .removesuffix("</answer>").removesuffix(f"\n{row['instruction']}")}
            for m in row["messages"]
        ]  # fmt: skip
    assert len(LESSON_SCHEMA) > len(SCHEMA)
    with RowGroups(file) as groups:
        groups.write(rows, pictures)


def elsewhere(release: Path, config: str, other: str) -> None:
    """The files of one configuration under the name of another."""
    shutil.rmtree(release / "data" / other)
    (release / "data" / config).rename(release / "data" / other)
    card = release / "README.md"
    front = yaml.safe_load(card.read_text().split("---\n")[1])
    infos = {info["config_name"]: info for info in front["dataset_info"]}
    infos[other]["splits"] = infos.pop(config)["splits"]
    front["dataset_info"] = list(infos.values())
    card.write_text(f"---\n{yaml.safe_dump(front)}---\n")


def mention(row: dict[str, Any], what: str) -> None:
    think(row, f"It is {what} I think.")


LESSON_PLANTS: list[tuple[str, str, Plant]] = [
    ("mixed rows", "one plain file", plain_rows),
    ("row type", "an unknown form", of("cot", form="long")),
    ("row type", "an unknown kind of prompt", of("cot", kind="guess")),
    ("row type", "no reasoning at all", of("cot", reasoning=None)),
    ("messages", "another reasoning than its column's", of("cot", reasoning="So it is.")),
    ("messages", "another instruction than its column's", of("cot", instruction="Say it.")),
    ("messages", "no instruction", first(instructed, config="cot")),
    ("messages", "no answer", first(without_last, config="cot")),
    ("messages", "no answer to a direct question", first(without_last, config="direct")),
    ("messages", "an answer to an open question", first(answered, config="rl")),
    ("form", "cot rows as direct", lambda r: elsewhere(r, "cot", "direct")),
    ("reasoning", "none", first(lambda row: think(row, ""), config="cot")),
    ("reasoning", "white space", first(lambda row: think(row, " \n"), config="cot")),
    ("reasoning", "white space round it", first(lambda row: think(row, "So.\n"), config="cot")),
    ("reasoning", "a tag", first(lambda row: mention(row, "</think>"), config="cot")),
    ("reasoning", "nearly a tag", first(lambda row: mention(row, "<Answer>"), config="cot")),
    ("reasoning", "an image slot", first(lambda row: mention(row, "<image>"), config="cot")),
    ("reasoning", "of an open question", of("rl", reasoning="It is.")),
    ("ground truth", "none", of("rl", ground_truth="")),
    ("ground truth", "not JSON", of("cot", ground_truth="{")),
    ("ground truth", "of no image", first(lambda row: true(row, sizes=[]), config="direct")),
    ("ground truth", "another box", on_rows(moved, config="cot")),
    ("ground truth", "another notation", first(lambda row: true(row, notation="json"), config="rl")),
    ("ground truth", "another frame", first(lambda row: true(row, written="0-1"), config="rl")),
    ("ground truth", "shares", first(lambda row: true(row, frame="0-1"), config="rl")),
    ("ground truth", "another kind", first(lambda row: true(row, kind="text"), config="written")),
    ("pass rate", "over one", of("rl", pass_rate=1.5)),
    ("pass rate", "not a number", of("rl", pass_rate=float("nan"))),
    ("pass rate", "of no answers", of("rl", answers=0)),
    ("pass rate", "no share of its answers", of("rl", pass_rate=0.3)),
    ("pass rate", "answers without one", of("rl", pass_rate=None)),
    ("teacher", "no model", of("cot", model="")),
    ("teacher", "a model that was not asked", of("direct", model="m@1")),
    ("teacher", "a reasoning of nobody", of("cot", kind="", model="", words="")),
    ("teacher", "an IoU over one", of("cot", iou=1.25)),
    ("empty field", "source", of("cot", source="")),
]  # fmt: skip
