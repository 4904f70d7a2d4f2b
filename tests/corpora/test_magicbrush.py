from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mgdata import media, synth
from mgdata.corpora.check import check
from mgdata.corpora.differences import Pixels
from mgdata.corpora.magicbrush import MagicBrush, masked
from mgdata.data import ALL, Drop, Record
from mgdata.errors import UsageError
from mgdata.geometry import Box, array, iou
from mgdata.storage import Root

WIDTH, HEIGHT = 240, 180
EDIT = Box(60, 40, 110, 90)
DRAWN = Box(45, 30, 125, 105)
"""What the mask covers: more than the edit."""

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("img_id", pa.string()),
        ("turn_index", pa.int32()),
        ("source_img", PICTURE),
        ("mask_img", PICTURE),
        ("instruction", pa.string()),
        ("target_img", PICTURE),
    ]
)
FILE = "data/train-00000-of-00001-0123456789abcdef.parquet"


def ground(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """A ground with blotches and a white corner, as a sky is."""
    coarse = np.random.default_rng(5).normal(140, 30, (18, 24, 3)).astype(np.float32)
    pixels = np.clip(cv2.resize(coarse, (width, height)), 60, 220).astype(np.uint8)
    pixels[: height // 6, : width // 4] = 255
    return pixels


def filled(pixels: Pixels, box: Box, value: int | tuple[int, ...]) -> Pixels:
    after = pixels.copy()
    after[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = value
    return after


def png(pixels: Pixels) -> dict[str, object]:
    return {"bytes": encoded(pixels), "path": "a.png"}


def encoded(pixels: Pixels) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def alpha(pixels: Pixels, box: Box) -> Pixels:
    """The picture with a see-through rectangle, as DALL-E 2 takes it."""
    return filled(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]), box, (0, 0, 0, 0))


def turn(
    img_id: str | None = "100", number: int | None = 1, **cells: Any
) -> dict[str, dict[str, object] | str | int | None]:
    return {
        "img_id": img_id,
        "turn_index": number,
        "source_img": png(ground()),
        "mask_img": png(alpha(ground(), DRAWN)),
        "instruction": "paint a box",
        "target_img": png(filled(ground(), EDIT, (20, 20, 120))),
        **cells,
    }


def write(root: Path, *rows: Any, file: str = FILE, groups: int = 100) -> None:
    (root / "data").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), root / file, row_group_size=groups)


def corpus(root: Path, **settings: Any) -> MagicBrush:
    return MagicBrush(name="mb", root=Root(str(root)), **settings)


def read(root: Path, **settings: Any) -> list[Record | Drop]:
    reader = corpus(root, **settings)
    return [item for part in reader.parts() for item in reader.records(part)]


def the_record(root: Path, **settings: Any) -> Record:
    (item,) = read(root, **settings)
    assert isinstance(item, Record), item
    return item


def the_drop(root: Path, **settings: Any) -> tuple[str, str, str | None]:
    (item,) = read(root, **settings)
    assert isinstance(item, Drop), item
    return item.key, item.reason, item.value


def overlap(record: Record, image: int, wanted: Box) -> float:
    (box,) = [region.box for region in record.regions if region.image == image]
    assert box is not None
    return float(iou(array([box]), array([wanted]))[0, 0])


def test_a_turn_is_a_pair_whose_images_are_cells(tmp_path: Path) -> None:
    write(tmp_path, turn("7", 1), turn("100", 2), groups=1)
    _, record = read(tmp_path)
    assert isinstance(record, Record)
    assert (record.key, record.shape, record.unit) == ("mb/100-2", "pair", "100")
    assert [image.uri for image in record.images] == [
        f"mb:{FILE}#row=1&column=source_img",
        f"mb:{FILE}#row=1&column=target_img",
    ]
    assert {(i.width, i.height, i.format) for i in record.images} == {(WIDTH, HEIGHT, "png")}
    assert record.license == "CC-BY-4.0"
    path = record.images[1].uri.removeprefix("mb:")
    cell: Any = turn()["target_img"]
    assert media.read(Root(str(tmp_path)), path) == cell["bytes"]


def test_the_box_is_that_of_the_change_and_not_of_the_mask(tmp_path: Path) -> None:
    write(tmp_path, turn())
    record = the_record(tmp_path)
    assert [(r.image, r.label, r.phrase, r.track) for r in record.regions] == [
        (0, "change", "paint a box", "1"),
        (1, "change", "paint a box", "1"),
    ]
    assert overlap(record, 0, EDIT) > 0.9
    assert overlap(record, 1, EDIT) > 0.9
    assert record.exhaustive == (ALL,)
    loose = the_record(tmp_path, tighten=False)
    assert overlap(loose, 0, DRAWN) == 1
    assert loose.exhaustive == ()


MASKS = {
    "see-through": alpha(ground(), DRAWN),
    "white over the photo": filled(ground(), DRAWN, 255),
    "white over the photo, opaque": np.dstack(
        [filled(ground(), DRAWN, 255), np.full((HEIGHT, WIDTH), 255, np.uint8)]
    ),
    "white on black": filled(np.zeros((HEIGHT, WIDTH, 3), np.uint8), DRAWN, 255),
    "white on nothing": filled(np.zeros((HEIGHT, WIDTH, 4), np.uint8), DRAWN, 255),
}


@pytest.mark.parametrize("make", MASKS)
def test_every_make_of_mask_is_understood(tmp_path: Path, make: str) -> None:
    write(tmp_path, turn(mask_img=png(MASKS[make])))
    assert overlap(the_record(tmp_path, tighten=False), 0, DRAWN) > 0.95
    assert overlap(the_record(tmp_path), 0, EDIT) > 0.9


def test_a_mask_of_another_size_and_the_same_proportions_is_scaled(tmp_path: Path) -> None:
    small = cv2.resize(alpha(ground(), DRAWN), (120, 90), interpolation=cv2.INTER_NEAREST)
    write(tmp_path, turn(mask_img=png(np.asarray(small, np.uint8))))
    assert overlap(the_record(tmp_path, tighten=False), 0, DRAWN) > 0.95


def test_a_mask_is_read_at_the_size_asked_for() -> None:
    drawn = np.asarray(cv2.cvtColor(MASKS["white on black"], cv2.COLOR_BGR2RGBA), np.uint8)
    mask = masked(drawn, ground(), (120, 90))
    assert mask.shape == (90, 120)
    assert mask.sum() == pytest.approx(DRAWN.area / 4, rel=0.05)


def test_a_target_of_twice_the_size_has_its_box_in_its_own_pixels(tmp_path: Path) -> None:
    target = filled(ground(), EDIT, (20, 20, 120))
    large = cv2.resize(target, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    write(tmp_path, turn(target_img=png(np.asarray(large, np.uint8))))
    record = the_record(tmp_path)
    assert [(i.width, i.height) for i in record.images] == [(240, 180), (480, 360)]
    assert overlap(record, 0, EDIT) > 0.9
    assert overlap(record, 1, Box(120, 80, 220, 180)) > 0.9


def test_two_masked_places_are_two_changes(tmp_path: Path) -> None:
    second, drawn = Box(180, 120, 205, 145), Box(170, 110, 215, 160)
    target = filled(filled(ground(), EDIT, 20), second, 20)
    mask = filled(alpha(ground(), DRAWN), drawn, (0, 0, 0, 0))
    write(tmp_path, turn(mask_img=png(mask), target_img=png(target)))
    record = the_record(tmp_path)
    assert [(r.image, r.track) for r in record.regions] == [(0, "1"), (0, "2"), (1, "1"), (1, "2")]
    boxes = [r.box for r in record.regions[:2] if r.box is not None]
    assert np.diag(iou(array(boxes), array([EDIT, second]))).min() > 0.8


def test_a_masked_place_without_a_change_is_counted(tmp_path: Path) -> None:
    mask = filled(alpha(ground(), DRAWN), Box(170, 110, 215, 160), (0, 0, 0, 0))
    write(tmp_path, turn(mask_img=png(mask)))
    record = the_record(tmp_path)
    assert overlap(record, 0, EDIT) > 0.9
    assert record.skipped == {"nothing changed in the mask": 1}
    assert record.exhaustive == (ALL,)


def test_a_small_change_elsewhere_is_counted_and_the_pair_not_called_complete(
    tmp_path: Path,
) -> None:
    target = filled(filled(ground(), EDIT, 20), Box(190, 120, 215, 145), 20)
    write(tmp_path, turn(target_img=png(target)))
    record = the_record(tmp_path)
    assert overlap(record, 0, EDIT) > 0.9
    assert record.skipped == {"changed outside the mask": 1}
    assert record.exhaustive == ()
    key, reason, value = the_drop(tmp_path, spill=0.1)
    assert (key, reason) == ("mb/100-1", "changed outside the mask")
    assert value == "21% of the changed pixels"


@pytest.mark.parametrize("instruction", [None, "", " \n"])
def test_a_blank_instruction_is_no_phrase(tmp_path: Path, instruction: str | None) -> None:
    write(tmp_path, turn(instruction=instruction))
    record = the_record(tmp_path)
    assert {region.phrase for region in record.regions} == {None}
    assert record.skipped == {"blank instruction": 1}
    assert record.exhaustive == (ALL,)


TINY = Box(80, 60, 92, 72)
WIDE = alpha(ground(), Box(10, 40, 230, 170))


@pytest.mark.parametrize(
    ("cells", "reason", "value"),
    [
        ({"target_img": png(ground())}, "nothing changed", None),
        (
            {"target_img": png(filled(ground(), Box(170, 110, 215, 160), 20))},
            "changed outside the mask",
            "100% of the changed pixels",
        ),
        (
            {"mask_img": png(WIDE), "target_img": png(filled(ground(), TINY, 20))},
            "change disagrees with the mask",
            "IoU 0.01",
        ),
        ({"mask_img": png(ground())}, "nothing masked", None),
        ({"mask_img": None}, "missing mask", "mask_img"),
        ({"mask_img": {"bytes": None, "path": "m.png"}}, "missing mask", "mask_img"),
        ({"source_img": None}, "missing image", "source_img"),
        ({"target_img": {"bytes": b"", "path": None}}, "missing image", "target_img"),
        ({"target_img": {"bytes": b"GIF", "path": None}}, "unreadable image", None),
        (
            {"mask_img": png(ground(180, 180))},
            "mask size differs from the source",
            "180x180, source 240x180",
        ),
        (
            {"target_img": png(ground(180, 240))},
            "target size differs from the source",
            "180x240, source 240x180",
        ),
        (
            {"source_img": {"bytes": encoded(ground())[:2000]}},
            "truncated image",
            None,
        ),
    ],
)
def test_a_turn_that_does_not_fit_together_is_dropped(
    tmp_path: Path, cells: dict[str, object], reason: str, value: str | None
) -> None:
    write(tmp_path, turn(**cells), turn("good"))
    dropped, kept = read(tmp_path)
    assert isinstance(dropped, Drop) and isinstance(kept, Record)
    assert (dropped.key, dropped.reason) == ("mb/100-1", reason)
    if reason not in ("unreadable image", "truncated image"):
        assert dropped.value == value
    else:
        assert dropped.value is not None and dropped.value.startswith(next(iter(cells)))


def test_rows_without_a_name_and_rows_that_come_again_are_dropped(tmp_path: Path) -> None:
    write(tmp_path, turn(None), turn(" "), turn(number=None), turn(), turn(), turn(number=2))
    items = read(tmp_path)
    assert [(i.key, i.reason) for i in items if isinstance(i, Drop)] == [
        (f"mb/{FILE}#row=0", "malformed annotation"),
        (f"mb/{FILE}#row=1", "malformed annotation"),
        (f"mb/{FILE}#row=2", "malformed annotation"),
        (f"mb/{FILE}#row=4", "repeated id"),
    ]
    assert [i.key for i in items if isinstance(i, Record)] == ["mb/100-1", "mb/100-2"]


def test_text_that_is_not_utf8_drops_its_row_only(tmp_path: Path) -> None:
    write(tmp_path, turn(instruction="XXXX"), turn("7"))
    path = tmp_path / FILE
    data = path.read_bytes()
    assert data.count(b"XXXX") >= 1
    path.write_bytes(data.replace(b"XXXX", b"X\xe9XX"))
    dropped, kept = read(tmp_path)
    assert isinstance(dropped, Drop) and isinstance(kept, Record)
    assert (dropped.reason, dropped.value) == ("text is not UTF-8", "instruction")


@pytest.mark.parametrize("size", [0, 3, 500, -20])
def test_a_cut_file_is_a_drop_that_names_it(tmp_path: Path, size: int) -> None:
    write(tmp_path, turn())
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:size])
    key, reason, value = the_drop(tmp_path)
    assert (key, reason) == (f"mb/{FILE}", "unreadable parquet file")
    assert value is not None and value.startswith(FILE)
    assert str(tmp_path) not in value


def test_a_damaged_page_ends_its_file_with_a_drop(tmp_path: Path) -> None:
    write(tmp_path, turn("1"), turn("2"), groups=1)
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    items = read(tmp_path)
    assert isinstance(items[0], Record)
    assert isinstance(items[-1], Drop) and items[-1].value is not None
    assert items[-1].value.startswith(f"{FILE}, rows 1 to 1 are lost: ")
    assert (items[-1].key, items[-1].reason) == (
        f"mb/{FILE}#row=1",
        "unreadable parquet file",
    )


def test_a_file_without_a_column_is_a_drop_that_names_the_column(tmp_path: Path) -> None:
    write(tmp_path, turn())
    path = tmp_path / FILE
    pq.write_table(pq.read_table(path).drop_columns(["mask_img", "instruction"]), path)
    assert the_drop(tmp_path) == (
        f"mb/{FILE}",
        "missing column",
        f"{FILE}: mask_img, instruction",
    )


def test_a_column_of_another_type_is_a_drop(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    row = {**turn(), "img_id": 100, "mask_img": "mask.png"}
    pq.write_table(pa.Table.from_pylist([row, {**row, "img_id": 101}]), tmp_path / FILE)
    assert {item.reason for item in read(tmp_path) if isinstance(item, Drop)} == {
        "malformed annotation"
    }


def test_images_may_be_plain_bytes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    row = turn()
    plain = {k: v["bytes"] if isinstance(v, dict) else v for k, v in row.items()}
    pq.write_table(pa.Table.from_pylist([plain]), tmp_path / FILE)
    assert overlap(the_record(tmp_path), 0, EDIT) > 0.9


def test_dev_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    dev = "data/dev-00000-of-00001-0123456789abcdef.parquet"
    write(tmp_path, turn("1"))
    write(tmp_path, turn("2"), file=dev)
    (tmp_path / "data/train-notes.txt").write_text("no data")
    assert corpus(tmp_path).parts() == [FILE]
    assert corpus(tmp_path, splits=("train", "dev")).parts() == [FILE, dev]
    assert [item.key for item in read(tmp_path, splits=("dev",))] == ["mb/2-1"]


def test_a_root_without_the_split_says_what_it_looked_for(tmp_path: Path) -> None:
    write(tmp_path, turn())
    with pytest.raises(UsageError, match=r"looked for data/dev-\*\.parquet, found data"):
        corpus(tmp_path, splits=("dev",)).parts()


def test_a_link_that_leads_outside_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root/data").mkdir(parents=True)
    write(tmp_path, turn())
    (tmp_path / "root" / FILE).symlink_to(tmp_path / FILE)
    report = check(corpus(tmp_path / "root"))
    assert report.records == 0
    assert sum(drop.count for drop in report.drops.values()) == 1


def test_synthetic_chains_are_read_whole(tmp_path: Path) -> None:
    root = tmp_path / "mb"
    synth.write("magicbrush", root, clips=10, frames=1)
    items = read(root, splits=("train", "dev"))
    records = [item for item in items if isinstance(item, Record)]
    assert len(records) == len(items) >= 15
    assert all(len(record.regions) == 2 for record in records)
    assert len({record.unit for record in records}) == 10
    assert len({record.key for record in records}) == len(records)
    assert check(corpus(root)).missing_images == 0
