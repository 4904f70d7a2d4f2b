import io
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mgdata.identity import Stream
from mgdata.synth import pairs, write
from mgdata.synth.toybox import FLAT, KINDS

SIZE = (240, 180)


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def drawn(kind: pairs.Kind, seed: str = "0", *, shaken: bool = False) -> pairs.Pair:
    return pairs.pair(Stream("test", kind, seed), SIZE, kind, shaken=shaken)


def apart(pair: pairs.Pair) -> np.ndarray:
    """How much each pixel differs, the most of its three channels."""
    return cv2.absdiff(pair.before.pixels, pair.after.pixels).max(axis=2)


@pytest.mark.parametrize("kind", pairs.CHANGES)
@pytest.mark.parametrize("seed", "abc")
def test_a_still_camera_sees_nothing_change_but_the_toy_and_its_shadow(
    kind: pairs.Kind, seed: str
) -> None:
    pair = drawn(kind, seed)
    differs = apart(pair)
    toy = np.zeros(differs.shape, np.uint8)
    for mask in (pair.before.mask, pair.after.mask):
        if mask is not None:
            toy |= mask.astype(np.uint8)
    rim = cv2.dilate(toy, np.ones((9, 9), np.uint8)) > 0
    assert differs[~rim].max() <= 2  # the last of a shadow
    assert (differs[toy > 0] > 16).mean() > 0.25


@pytest.mark.parametrize("kind", [*pairs.CHANGES, "none"])
def test_a_moved_camera_leaves_hardly_a_pixel_as_it_was(kind: pairs.Kind) -> None:
    assert (apart(drawn(kind, shaken=True)) > 0).mean() > 0.98


@pytest.mark.parametrize("shaken", [False, True])
@pytest.mark.parametrize("kind", pairs.CHANGES)
def test_a_box_bounds_its_mask_and_a_toy_that_is_not_there_has_neither(
    kind: pairs.Kind, shaken: bool
) -> None:
    pair = drawn(kind, shaken=shaken)
    for side, there in ((pair.before, kind != "add"), (pair.after, kind != "drop")):
        assert (side.box is not None) == (side.mask is not None) == there
        assert side.pixels.shape == (SIZE[1], SIZE[0], 3)
        if side.box is not None and side.mask is not None:
            rows, columns = np.nonzero(side.mask)
            bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert bounds == (side.box.x1, side.box.y1, side.box.x2, side.box.y2)
            assert 0 <= side.box.x1 < side.box.x2 <= SIZE[0]
            assert side.mask.sum() > 200


@pytest.mark.parametrize("seed", "abcdef")
def test_the_mask_of_a_moved_camera_lies_on_the_toy_it_sees(seed: str) -> None:
    """The toy turns another colour under one moved view: what differs is what the mask says."""
    rng = Stream("test", "view", seed)
    stage = pairs.staged(rng, SIZE, 4, FLAT)
    other, change = pairs.changed(rng, stage, "color")
    view = pairs.jitter(rng, SIZE, noise=0.0)
    assert change.before is not None
    mask = pairs.seen(stage, view, change.before)
    assert mask is not None
    differs = cv2.absdiff(pairs.picture(stage, view), pairs.picture(other, view)).max(axis=2)
    square = np.ones((3, 3), np.uint8)
    assert differs[cv2.dilate(mask.astype(np.uint8), square) == 0].max() <= 24
    assert (differs[cv2.erode(mask.astype(np.uint8), square) > 0] > 0).mean() > 0.95


def test_a_change_without_one_gives_no_box_and_says_so() -> None:
    pair = drawn("none")
    assert (pair.before.box, pair.after.box) == (None, None)
    assert not apart(pair).any()
    assert pair.sentences[0] == "nothing has changed"


@pytest.mark.parametrize("kind", pairs.CHANGES)
def test_sentences_name_a_toy_that_no_other_can_be_taken_for(kind: pairs.Kind) -> None:
    rng = Stream("test", "words", kind)
    kinds = FLAT if kind == "material" else KINDS
    for _ in range(10):
        stage = pairs.staged(rng, SIZE, 5, kinds)
        after, change = pairs.changed(rng, stage, kind, kinds=kinds)
        for scene in (stage, after):
            phrases = [toy.phrase for toy in scene.toys]
            assert len(set(phrases)) == len(phrases)
        said = (*pairs.sentences(change), pairs.instruction(change))
        assert len(set(said)) == 4
        assert all(change.phrase in sentence for sentence in said)
        assert all(sentence == sentence.lower().strip() for sentence in said)


def test_toys_that_are_kept_stay_and_none_left_is_said() -> None:
    stage = pairs.staged(Stream("test", "keep"), SIZE, 3)
    keep = {toy.phrase for toy in stage.toys[1:]}
    for seed in range(5):
        _, change = pairs.changed(Stream("test", str(seed)), stage, "drop", keep=keep)
        assert change.before is stage.toys[0]
    with pytest.raises(ValueError, match="no toy is left for a change of kind 'drop'"):
        pairs.changed(Stream("test"), stage, "drop", keep={t.phrase for t in stage.toys})


@pytest.mark.parametrize("kind", pairs.CHANGES)
def test_equal_streams_give_equal_pairs(kind: pairs.Kind) -> None:
    one, two, other = (drawn(kind, seed, shaken=True) for seed in "aab")
    assert np.array_equal(one.after.pixels, two.after.pixels)
    assert one.change == two.change
    assert not np.array_equal(one.before.pixels, other.before.pixels)


def test_the_smallest_picture_of_all_still_holds_a_pair() -> None:
    pair = pairs.pair(Stream("small"), (64, 64), "move", shaken=True, things=3)
    assert pair.before.box is not None and pair.after.box is not None


@pytest.mark.parametrize("format", ["clevr_change", "img_diff", "magicbrush", "spot_the_diff"])
def test_equal_arguments_give_equal_files_and_another_seed_others(
    tmp_path: Path, format: str
) -> None:
    def files(name: str, seed: int) -> dict[str, bytes]:
        root = tmp_path / name
        write(format, root, clips=2, frames=1, size=(128, 96), seed=seed)
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}

    one, two, other = files("a", 3), files("b", 3), files("c", 4)
    assert one == two
    assert not {*one.values()} & {v for k, v in other.items() if k.endswith((".png", ".parquet"))}


def test_clevr_change_has_its_folders_names_and_sizes(tmp_path: Path) -> None:
    summary = write("clevr_change", tmp_path / "c", clips=5, frames=9, size=(128, 96))
    root = tmp_path / "c"
    assert sorted(path.name for path in root.iterdir()) == [
        "change_captions.json",
        "change_captions_with_bbox.json",
        "images",
        "no_change_captions.json",
        "nsc_images",
        "sc_images",
        "splits.json",
        "type_mapping.json",
    ]
    assert (summary.images, summary.absent) == (15, 2)
    for path in root.rglob("*.png"):
        assert opened(path).size == (480, 360)
    boxes = json.loads((root / "change_captions_with_bbox.json").read_text())
    assert list(boxes) == ["0", "1", "2", "3", "4"]
    assert boxes["2"]["bbox_before"] is None and boxes["3"]["bbox_after"] is None
    assert all(isinstance(n, int) for n in boxes["0"]["bbox_before"])
    types = json.loads((root / "type_mapping.json").read_text())
    assert types == {kind: [f"{i:06d}.png"] for i, kind in enumerate(pairs.CHANGES)}
    assert json.loads((root / "splits.json").read_text()) == {
        "train": [0, 1, 2, 3],
        "val": [],
        "test": [4],
    }


def test_spot_the_diff_has_the_habits_of_the_real_files(tmp_path: Path) -> None:
    summary = write("spot_the_diff", tmp_path / "c", clips=15, frames=1, size=(192, 144))
    folder = tmp_path / "c/data"
    rows = [
        row
        for split in ("train", "val", "test")
        for row in json.loads((folder / f"annotations/{split}.json").read_text())
    ]
    ids = Counter(row["img_id"] for row in rows)
    assert set(ids) == {str(100 + i) for i in range(15)} and max(ids.values()) == 2
    sentences = [sentence for row in rows for sentence in row["sentences"]]
    assert any(not sentence.strip() for sentence in sentences)
    assert summary.absent == 2 == len({r["img_id"] for r in rows if "change" in r["sentences"][0]})
    for name in ids:
        for ending in (".png", "_2.png", "_diff.jpg"):
            assert opened(folder / f"resized_images/{name}{ending}").size == (224, 224)
    truth = json.loads((tmp_path / "c/_truth_boxes.json").read_text())
    told = Counter(entry["img_id"] for entry in truth)
    said = {row["img_id"]: [s for s in row["sentences"] if s.strip()] for row in rows}
    moves = {name: sum("place" in s or " moved" in s for s in own) for name, own in said.items()}
    for name, own in said.items():
        same = any("change" in s or "same" in s for s in own)
        assert told[name] == (0 if same else len(own) + moves[name])


def test_magicbrush_chains_turns_and_its_masks_cover_more_than_the_edit(tmp_path: Path) -> None:
    summary = write("magicbrush", tmp_path / "c", clips=15, frames=1, size=(128, 96))
    files = sorted((tmp_path / "c/data").iterdir())
    assert [path.name[:23] for path in files] == [
        "dev-00000-of-00001-" + files[0].name[19:23],
        "train-00000-of-00002-" + files[1].name[21:23],
        "train-00001-of-00002-" + files[2].name[21:23],
    ]
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert summary.images == 3 * len(rows)
    before: dict[str, bytes] = {}
    for row in rows:
        name, turn = row["img_id"], row["turn_index"]
        pictures = [
            np.asarray(Image.open(io.BytesIO(row[column]["bytes"])), np.int16)
            for column in ("source_img", "mask_img", "target_img")
        ]
        source, masked, target = pictures
        if turn > 1:
            assert row["source_img"]["bytes"] == before[name]
        before[name] = row["target_img"]["bytes"]
        white = (masked == 255).all(axis=2)
        edited = np.abs(source - target).max(axis=2) > 0
        assert np.array_equal(masked[~white], source[~white])
        assert (edited & ~white).sum() <= 0.02 * edited.sum()
        assert 1.2 * edited.sum() < white.sum() < 4 * edited.sum()
    trained = {row["img_id"] for path in files[1:] for row in pq.read_table(path).to_pylist()}
    assert not trained & {row["img_id"] for row in pq.read_table(files[0]).to_pylist()}


def test_img_diff_writes_boxes_as_text_of_two_decimals(tmp_path: Path) -> None:
    write("img_diff", tmp_path / "c", clips=4, frames=1, size=(192, 144))
    rows = json.loads((tmp_path / "c/img_diff_object_replacement.json").read_text())
    assert [row["path"] for row in rows] == ["0/0", "0/1", "0/1", "0/2", "0/3", "0/3"]
    for row in rows:
        assert all(len(number) == 4 for number in row["bbox"][1:-1].split(", "))
        for number in (0, 1):
            folder = tmp_path / "c/object_replacement/filtered_new_edit_data"
            picture = opened(folder / f"{row['path']}_{number}.jpg")
            assert (picture.size, picture.format) == ((192, 144), "JPEG")
