"""`mgdata score`: what a file of predictions earns, and what is said of one that is unfit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import Ended, mgdata

from mgdata import registry
from mgdata.corpora.mig_bench import MigBench
from mgdata.data import Record, Turn
from mgdata.gold import Fault, Item, Release
from mgdata.judgement import judge
from mgdata.scoring.matching import score
from mgdata.scoring.metrics import Tally
from mgdata.storage import Root, Store
from mgdata.synth import write

QWEN = registry.make("notations", "qwen2-vl", {}, "test")


def said(path: Path, predictions: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in predictions))
    return path


def gold(release: Path) -> list[Item]:
    source = Release(store=Store(str(release)))
    found = [item for part in source.parts() for item in source.items(part)]
    assert found and all(isinstance(item, Item) for item in found)
    return [item for item in found if isinstance(item, Item)]


def right(item: Item) -> dict[str, Any]:
    return {"id": item.id, "turn": item.number, "text": QWEN.answer(item.turn, item.images)}


def scored(path: Path, against: Path | str, *more: str | Path) -> dict[str, Any]:
    """What the command writes as JSON."""
    out = path.with_suffix(".scores.json")
    ended = mgdata(
        "score", path, "--against", against, "--notation", "qwen2-vl", "--json", out, *more
    )
    assert ended.code == 0, ended.err
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def release(quick_run: Path) -> Path:
    return quick_run / "release"


def test_the_releases_own_answers_earn_full_marks(release: Path, tmp_path: Path) -> None:
    texts = []
    for file in sorted(release.rglob("*.parquet")):
        for row in pq.read_table(file, columns=["id", "messages"]).to_pylist():
            answers = [m["content"] for m in row["messages"] if m["role"] == "assistant"]
            texts += [{"id": row["id"], "turn": n, "text": a} for n, a in enumerate(answers)]
    report = scored(said(tmp_path / "p.jsonl", texts), release)
    total = report["total"]
    assert total["items"] == len(texts) == report["predictions"]["used"]
    assert {total[k] for k in ("acc@0.3", "acc@0.5", "acc@0.7", "f1", "image", "format")} == {1.0}
    assert 0.9 < total["miou"] < 1
    assert set(report["tasks"]) == {"object_tracking"}
    assert report["unreadable"] == report["left_out"] == {}
    assert sum(row["items"] for row in report["targets"].values()) == total["boxed"]


def test_figures_are_those_of_the_judge_and_the_tally(release: Path, tmp_path: Path) -> None:
    items = gold(release)
    tally, texts = Tally(), []
    for place, item in enumerate(items):
        text = ["It is not visible.", "<|box_start|>", right(item)["text"], " "][place % 4]
        tally.add(item.turn, judge(text, item.turn, item.images, QWEN).score)
        texts.append({"id": item.id, "turn": item.number, "text": text})
    report = scored(said(tmp_path / "p.jsonl", reversed(texts)), release)
    assert report["total"] == pytest.approx(tally.row())
    assert set(report["unreadable"]) == {"stray box", "empty"}
    assert report["unreadable"]["stray box"] == len(items[1::4])


def test_the_split_and_the_runs_folder_can_be_named(
    release: Path, quick_run: Path, tmp_path: Path
) -> None:
    predictions = said(tmp_path / "p.jsonl", map(right, gold(release)))
    both = scored(predictions, quick_run)
    one, other = (scored(predictions, release, "--split", s) for s in ("train", "test"))
    assert one["total"]["items"] + other["total"]["items"] == both["total"]["items"]
    assert one["predictions"]["unknown"] == other["total"]["items"]


def test_missing_unknown_and_repeated_predictions_are_counted_and_the_first_counts(
    release: Path, tmp_path: Path
) -> None:
    items = gold(release)
    *_, first, second = items
    texts = [
        {**right(first), "text": "nothing"},
        right(first),  # comes too late
        {**right(second), "note": "other keys are not looked at"},
        {"id": "nobody", "text": "x"},
        {"id": first.id, "turn": 99, "text": "x"},
        {"id": 12, "text": "x"},
    ]
    path = said(tmp_path / "p.jsonl", texts)
    path.write_text(f"\ufeff{path.read_text()}\n  \n", encoding="utf-8")  # a BOM and blank lines
    report = scored(path, release)
    assert report["predictions"] == {"read": 6, "used": 2, "unknown": 3, "repeated": 1}
    assert report["total"]["missing"] == len(items) - 2
    assert report["total"]["acc@0.5"] == pytest.approx(1 / len(items))
    ended = mgdata("score", path, "--against", release, "--notation", "qwen2-vl")
    assert "3 with an unknown id, 1 repeated" in ended.out
    assert f"missing: {len(items) - 2} items have no prediction and count as wrong" in ended.out


def copied(release: Path, folder: Path) -> Path:
    """The release without its images; whoever opened them would fail."""
    for file in release.rglob("*.parquet"):
        target = folder / file.relative_to(release)
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.read_table(file).drop_columns(["images"]), target)
    return folder


def test_no_image_is_read(release: Path, tmp_path: Path) -> None:
    bare = copied(release, tmp_path / "bare")
    predictions = said(tmp_path / "p.jsonl", map(right, gold(release)))
    assert scored(predictions, bare)["total"] == scored(predictions, release)["total"]


def test_items_with_an_invalid_right_answer_are_left_out_and_counted(
    release: Path, tmp_path: Path
) -> None:
    bare = copied(release, tmp_path / "bare")
    file = next(f for f in sorted(bare.rglob("*.parquet")))
    table = pq.read_table(file)
    turns = table["turns"].to_pylist()
    for place, broken in enumerate(([5.0, 5, 2, 2], [0.0, 0, 1e6, 9], [float("nan")] * 4)):
        turns[place][0]["targets"] = [{"image": 0, "box": broken, "phrase": None}]
    turns[3][0]["targets"] = [{"image": 77, "box": [0.0, 0, 5, 5], "phrase": None}]
    turns[4][0] |= {"kind": "count", "gold": " ", "targets": []}
    at = table.schema.get_field_index("turns")
    field = table.schema.field("turns")
    pq.write_table(table.set_column(at, field, pa.array(turns, field.type)), file)
    predictions = said(tmp_path / "p.jsonl", map(right, gold(release)))
    report = scored(predictions, bare)
    assert report["left_out"] == {"box that is none": 3, "target in no image": 1,
                                  "no gold answer": 1}  # fmt: skip
    assert report["total"]["items"] == len(gold(release)) - 5
    assert report["predictions"]["unknown"] == 0
    assert report["total"]["acc@0.5"] == 1


WRONG_LINES = [
    ("{", "p.jsonl:2"),
    ('{"id": "x"}', "p.jsonl:2: Object missing required field `text`"),
    ('{"id": "x", "text": null}', "p.jsonl:2: Expected `str`, got `null`"),
    ('{"id": 1.5, "text": ""}', "p.jsonl:2"),
    ('{"id": true, "text": ""}', "p.jsonl:2"),
    ('{"id": "x", "text": "", "turn": -1}', "p.jsonl:2"),
    ('["x", "y"]', "p.jsonl:2: Expected `object`, got `array`"),
    ('{"id": "x", "text": "\\ud800"}', "p.jsonl:2"),
    ("[" * 100_000, "p.jsonl:2"),
    ('{"id": "x", "text": "a"} {"id": "y", "text": "b"}', "p.jsonl:2"),
]


def refused(ended: Ended, code: int) -> str:
    """The one sentence that a command ended with."""
    assert ended.code == code, ended.err
    assert ended.out == "" and ended.err.startswith("mgdata: ") and ended.err.count("\n") == 1
    return ended.err


@pytest.mark.parametrize(("line", "words"), WRONG_LINES)
def test_a_line_that_is_no_prediction_is_named(
    line: str, words: str, release: Path, tmp_path: Path
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "text": "b"}\n' + line + "\n")
    ended = mgdata("score", path, "--against", release, "--notation", "qwen2-vl", "--quiet")
    assert words in refused(ended, 2)


def test_bytes_that_are_not_utf_8_are_named(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"id": "a", "text": "\xff\xfe"}\n')
    ended = mgdata("score", path, "--against", release, "--notation", "qwen2-vl", "--quiet")
    assert "p.jsonl:1" in refused(ended, 2)


def test_wrong_usage_is_one_sentence_with_the_way_out(release: Path, tmp_path: Path) -> None:
    path = said(tmp_path / "p.jsonl", [{"id": "stranger", "text": "x"}])
    empty = said(tmp_path / "empty.jsonl", [])

    def run(file: Path, against: Path | str, notation: str, *more: str | Path) -> Ended:
        return mgdata("score", file, "--against", against, "--notation", notation, "--quiet", *more)

    assert "did you mean qwen2-vl?" in refused(run(path, release, "qwen2_vl"), 2)
    assert "none of its 1 ids is one of" in refused(run(path, release, "qwen2-vl"), 2)
    assert "holds no prediction" in refused(run(empty, release, "qwen2-vl"), 2)
    assert "no file" in refused(run(tmp_path / "none.jsonl", release, "qwen2-vl"), 2)
    assert "cannot be read" in refused(run(tmp_path, release, "qwen2-vl"), 2)
    assert "did you mean test?" in refused(run(path, release, "qwen2-vl", "--split", "tset"), 2)
    assert "--notation" in refused(run(path, release, "qwen2-vl", "--set", "a=1"), 2)
    assert "expected name=value" in refused(run(path, release, "qwen2-vl", "--set", "a"), 2)
    assert "holds no release" in refused(run(path, tmp_path, "qwen2-vl"), 2)
    assert "did you mean mig_bench?" in refused(run(path, "mig-bench", "qwen2-vl"), 3)
    assert "--root mig_bench=PATH" in refused(run(path, "mig_bench", "qwen2-vl"), 3)
    gone = ("--root", f"mig_bench={tmp_path}/gone")
    assert "there is no folder" in refused(run(path, "mig_bench", "qwen2-vl", *gone), 3)
    there = ("--root", f"mc_bench={tmp_path}", "--split", "test")
    assert "has no splits" in refused(run(path, "mc_bench", "qwen2-vl", *there), 2)


def test_a_file_that_is_no_part_of_a_release_is_named(release: Path, tmp_path: Path) -> None:
    path = said(tmp_path / "p.jsonl", [{"id": "x", "text": "x"}])
    file = tmp_path / "other/data/x/test-00000-of-00001.parquet"
    file.parent.mkdir(parents=True)
    for write_it in (
        lambda: file.write_bytes(b"PAR1 this is none"),
        lambda: pq.write_table(pa.table({"id": ["x"]}), file),
    ):
        write_it()
        ended = mgdata("score", path, "--against", tmp_path / "other", "--notation", "qwen2-vl",
                       "--quiet")  # fmt: skip
        assert "test-00000-of-00001.parquet is no file of a release" in refused(ended, 2)


def test_progress_goes_to_standard_error_and_can_be_left_out(release: Path, tmp_path: Path) -> None:
    path = said(tmp_path / "p.jsonl", map(right, gold(release)))
    loud = mgdata("score", path, "--against", release, "--notation", "qwen2-vl")
    quiet = mgdata("score", path, "--against", release, "--notation", "qwen2-vl", "--quiet")
    assert "shard done: stage=score" in loud.err and quiet.err == ""
    assert loud.out == quiet.out and loud.out.splitlines()[0].split()[:2] == ["items", "missing"]


# MIG-Bench


@pytest.fixture(scope="module")
def mig_bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks") / "mig_bench"
    write("mig_bench", folder, clips=20, frames=2, size=(160, 120), seed=4)
    return folder


def answers(folder: Path) -> dict[int, dict[str, Any]]:
    """The sound items by row; the rest have the faults of the released labels."""
    items = json.loads((folder / "MIG_data.json").read_text())
    corpus = MigBench(name="mig_bench", root=Root(str(folder)))
    found = [record for part in corpus.parts() for record in corpus.records(part)]
    rows = [int(r.key.rpartition("/")[2]) for r in found if isinstance(r, Record)]
    assert len(items) > len(rows) > 10
    return {row: items[row] for row in rows}


def bare_box(answer: list[float], shift: int = 0) -> str:
    x1, y1, x2, y2 = (min(999, round(1000 * value)) for value in answer)
    y2 = min(999, y2 + shift)
    return f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>"


def test_mig_bench_by_rows_with_the_mean_over_its_tasks(mig_bench: Path, tmp_path: Path) -> None:
    items = answers(mig_bench)
    good = {item["task"] for item in list(items.values())[:7]}
    texts = [
        {"id": row, "text": bare_box(item["answer"]) if item["task"] in good else "I see none."}
        for row, item in items.items()
    ]
    root = ("--root", f"mig_bench={mig_bench}")
    report = scored(said(tmp_path / "p.jsonl", texts), "mig_bench", *root)
    assert report["total"]["items"] == len(items) == report["predictions"]["used"]
    assert set(report["tasks"]) == {item["task"] for item in items.values()}
    assert {k for k, row in report["tasks"].items() if row["acc@0.7"] == 1} == good
    assert report["mean"]["acc@0.5"] == pytest.approx(len(good) / len(report["tasks"]))
    weight = sum(item["task"] in good for item in items.values())
    assert report["total"]["acc@0.5"] == pytest.approx(weight / len(items))


def test_a_box_that_names_another_image_of_mig_bench_is_wrong(
    mig_bench: Path, tmp_path: Path
) -> None:
    texts = [
        {"id": str(row), "text": f"Image-{len(item['images'])}: {bare_box(item['answer'])}"}
        for row, item in answers(mig_bench).items()
    ]
    report = scored(
        said(tmp_path / "p.jsonl", texts), "mig_bench", "--root", f"mig_bench={mig_bench}"
    )
    assert 0 < report["total"]["image"] < 1
    assert report["total"]["acc@0.3"] == report["total"]["image"]
    assert report["tasks"]["reasoning"]["image"] == 1


def test_faulty_labels_of_mig_bench_are_left_out_and_counted(
    mig_bench: Path, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(mig_bench, root)
    items = answers(root)
    texts = [{"id": row, "text": bare_box(item["answer"])} for row, item in items.items()]
    predictions = said(tmp_path / "p.jsonl", texts)
    before = scored(predictions, "mig_bench", "--root", f"mig_bench={root}")
    everything = json.loads((root / "MIG_data.json").read_text())
    *_, first, second = items
    everything[first]["answer"] = [0.9, 0.1, 0.2, 0.5]
    everything[second]["answer"] = [0.1, float("nan"), 0.4, 0.5]
    (root / "MIG_data.json").write_text(json.dumps(everything))
    after = scored(predictions, "mig_bench", "--root", f"mig_bench={root}")
    left = before["left_out"]
    assert sum(left.values()) == len(everything) - len(items)
    worse = {name: left.get(name, 0) + 1 for name in ("inverted box", "nan box")}
    assert after["left_out"] == {**left, **worse}
    assert after["total"]["items"] == len(items) - 2
    assert after["predictions"]["unknown"] == 0 and after["total"]["acc@0.5"] == 1


def test_mig_bench_without_its_images_is_scored_where_sizes_do_not_matter(
    mig_bench: Path, tmp_path: Path
) -> None:
    root = tmp_path / "copy"
    root.mkdir()
    shutil.copy(mig_bench / "MIG_data.json", root)
    items = answers(mig_bench)
    texts = [{"id": row, "text": bare_box(item["answer"], 40)} for row, item in items.items()]
    predictions = said(tmp_path / "p.jsonl", texts)
    whole = scored(predictions, "mig_bench", "--root", f"mig_bench={mig_bench}")
    bare = scored(predictions, "mig_bench", "--root", f"mig_bench={root}")
    # The synthetic copy lacks the images of one item, which is left out where the others are there.
    assert whole["left_out"].pop("missing image") == 1
    assert bare["left_out"] == whole["left_out"]
    assert bare["total"]["items"] == whole["total"]["items"] + 1
    assert bare["total"]["missing"] == 1
    for name in ("miou", "acc@0.5", "image"):
        sums = [r["total"][name] * r["total"]["items"] for r in (bare, whole)]
        assert sums[0] == pytest.approx(sums[1])
    out = tmp_path / "pixels.json"
    ended = mgdata("score", predictions, "--against", "mig_bench", "--root", f"mig_bench={root}",
                   "--notation", "qwen2.5-vl", "--json", out)  # fmt: skip
    assert ended.code == 0
    report = json.loads(out.read_text())
    assert report["left_out"]["missing image"] == len(items) + 1 and report["total"]["items"] == 0


def test_a_torn_mig_bench_is_named(tmp_path: Path) -> None:
    (tmp_path / "MIG_data.json").write_text('[{"task": "diff", "ima')
    path = said(tmp_path / "p.jsonl", [{"id": 0, "text": "x"}])
    ended = mgdata("score", path, "--against", "mig_bench", "--notation", "qwen2-vl", "--quiet",
                   "--root", f"mig_bench={tmp_path}")  # fmt: skip
    assert "MIG_data.json cannot be read: malformed annotation" in refused(ended, 3)


# MC-Bench


@pytest.fixture(scope="module")
def mc_bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks") / "mc_bench"
    write("mc_bench", folder, clips=20, frames=2, size=(160, 120), seed=4)
    return folder


def mc_items(folder: Path) -> list[Item]:
    from mgdata.corpora.mc_bench import McBench
    from mgdata.gold import McBenchItems

    source = McBenchItems(corpus=McBench(name="mc_bench", root=Root(str(folder))))
    found = [item for part in source.parts() for item in source.items(part)]
    return [item for item in found if not isinstance(item, Fault)]


def test_mc_bench_by_descriptions_with_its_own_two_figures(mc_bench: Path, tmp_path: Path) -> None:
    items = mc_items(mc_bench)
    assert {len(item.turn.targets) > 0 for item in items} == {True, False}
    root = ("--root", f"mc_bench={mc_bench}")
    full = scored(said(tmp_path / "p.jsonl", map(right, items)), "mc_bench", *root)
    assert full["total"]["acc@0.5"] == full["total"]["acc"] == 1
    assert full["total"]["ap50"] > 0.7
    assert set(full["tasks"]) == {item.task for item in items}
    assert all(row["acc"] == 1 for row in full["tasks"].values())
    blind = [{"id": item.id, "text": "There is nothing."} for item in items]
    report = scored(said(tmp_path / "p.jsonl", blind), "mc_bench", *root)
    negatives = sum(not item.turn.targets for item in items) / len(items)
    assert report["total"]["acc"] == report["total"]["acc@0.5"] == pytest.approx(negatives)
    assert report["total"]["ap50"] == 0


def test_groups_of_mc_bench_can_be_named_as_labels(mc_bench: Path, tmp_path: Path) -> None:
    items = mc_items(mc_bench)
    assert any(len(set(item.groups or ())) > 1 for item in items)
    writer = registry.make("notations", "qwen3-vl", {}, "test")

    def figure(named: bool) -> float:
        texts: list[dict[str, Any]] = []
        for item in items:
            targets = tuple(
                msgspec.structs.replace(target, phrase=f"group {10 - group}" if named else None)
                for target, group in zip(item.turn.targets, item.groups or (), strict=True)
            )
            turn = msgspec.structs.replace(item.turn, targets=targets)
            texts.append({"id": item.id, "text": writer.answer(turn, item.images)})
        out = tmp_path / "scores.json"
        ended = mgdata("score", said(tmp_path / "p.jsonl", texts), "--against", "mc_bench",
                       "--root", f"mc_bench={mc_bench}", "--notation", "qwen3-vl",
                       "--json", out)  # fmt: skip
        assert ended.code == 0, ended.err
        return json.loads(out.read_text())["total"]["ap50"]

    assert figure(named=True) == pytest.approx(1)
    assert figure(named=False) < 1


def test_a_perfect_answer_is_right_however_coarse_the_notation_is_for_it(
    release: Path, tmp_path: Path
) -> None:
    """Boxes of a pixel in a large image: their ceilings are under the thresholds."""
    bare = copied(release, tmp_path / "bare")
    for file in sorted(bare.rglob("*.parquet")):
        table = pq.read_table(file)
        turns, sizes = table["turns"].to_pylist(), table["image_info"].to_pylist()
        for row, infos in zip(turns, sizes, strict=True):
            for info in infos:
                info |= {"width": 9000, "height": 9000}
            for asked in row:
                for target in asked["targets"]:
                    x, y = target["box"][:2]
                    target["box"] = [x, y, x + 5, y + 5]
        for name, values in (("turns", turns), ("image_info", sizes)):
            field = table.schema.field(name)
            at = table.schema.get_field_index(name)
            table = table.set_column(at, field, pa.array(values, field.type))
        pq.write_table(table, file)
    items = gold(bare)
    report = scored(said(tmp_path / "p.jsonl", map(right, items)), bare)
    assert report["total"]["miou"] < 0.6
    assert report["total"]["acc@0.7"] == report["total"]["f1"] == 1
    strict = [score(QWEN.parse(right(i)["text"], i.turn, i.images), i.turn) for i in items]
    assert sum(one.right(0.7) for one in strict) < len(items) / 2


def test_turns_of_words_are_scored_as_what_they_are() -> None:
    asked = Turn(question="?", answer="It is Image-2.", kind="text", gold="Image-2")
    tally = Tally()
    for text in ("image 2", "Image-1", "Image-1 or Image-2"):
        tally.add(asked, judge(text, asked, (), QWEN).score)
    assert tally.row()["text_acc"] == pytest.approx(1 / 3)
