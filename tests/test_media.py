import hashlib
import io
import json
import os
import struct
from collections import Counter
from pathlib import Path

import av
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

from mgdata import media, recipe
from mgdata.data import Drop, Image
from mgdata.errors import MissingFile, OutsideRoot, Rejected
from mgdata.images import verify
from mgdata.recipe import Loaded
from mgdata.release.check import check
from mgdata.run import Run
from mgdata.stages.measure import Measurer
from mgdata.storage import Root
from mgdata.synth import write as write_corpus


def level(number: int) -> int:
    """The grey of frame `number`: no two of 80 are alike."""
    return 3 * number + 8


def write_video(path: Path, frames: int = 80, codec: str = "libx264", **options: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            pixels = np.full((48, 64, 3), level(number), np.uint8)
            pixels[:, :32] = 0
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(list(stream.encode(picture)))
        container.mux(list(stream.encode()))


def grey(data: bytes) -> float:
    return float(np.asarray(Picture.open(io.BytesIO(data)))[:, 48:].mean())


def shown(root: Root, path: str) -> int:
    """The number of the frame that really came."""
    return round((grey(media.read(root, path)) - 8) / 3)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Root:
    folder = tmp_path_factory.mktemp("videos")
    # B-frames: packets lie in another order than they are shown in.
    write_video(folder / "short.mp4", crf="8", bf="3", g="12")
    write_video(folder / "one_key.mp4", crf="8", bf="2", g="300")
    write_video(
        folder / "open.mp4", **{"crf": "8", "x264-params": "open-gop=1:keyint=10:bframes=3"}
    )
    write_video(folder / "old.mp4", codec="mpeg4", qmin="1", qmax="2", g="15")
    write_video(folder / "matroska.mkv", crf="8", bf="3", g="20")
    return Root(str(folder))


NAMES = ("short.mp4", "one_key.mp4", "open.mp4", "old.mp4", "matroska.mkv")


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_the_one_of_its_number_in_whatever_order_it_is_asked_for(
    videos: Root, name: str
) -> None:
    orders = ([*range(80)], [*reversed(range(0, 80, 7))], [79, 0, 79, 41, 40, 42, 42, 11, 12])
    for order in orders:
        assert [shown(videos, f"{name}#frame={number}") for number in order] == order


def test_a_frame_is_a_whole_rgb_png_of_the_size_foretold(videos: Root) -> None:
    path = "short.mp4#frame=30"
    data = media.read(videos, path)
    header = verify(data, "strict")
    assert (header.format, header.width, header.height, header.mode) == ("png", 64, 48, "rgb")
    assert media.size(videos, path) == len(data)
    assert media.is_frame(path) and not media.is_frame("short.mp4")
    assert media.video(videos, "short.mp4") == (64, 48, 80)


def test_a_frame_has_the_same_bytes_however_the_decoder_came_to_it(videos: Root) -> None:
    first = media.read(videos, "short.mp4#frame=29")
    for number in range(24, 29):
        media.read(videos, f"short.mp4#frame={number}")
    assert media.read(videos, "short.mp4#frame=29") == first


def test_frames_in_order_are_decoded_in_one_go(
    videos: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    media.read(videos, "one_key.mp4#frame=0")
    opened: list[str] = []
    real = media.open_file
    monkeypatch.setattr(media, "open_file", lambda root, path: opened.append(path) or real(root, path))  # fmt: skip
    film = media._films.take(videos, "one_key.mp4", pytest.fail)
    before = film._frames
    for number in range(5, 80, 5):
        media.read(videos, f"one_key.mp4#frame={number}")
    assert film._frames is before
    assert opened == []


def test_few_videos_stay_open_and_one_that_was_closed_is_opened_again(tmp_path: Path) -> None:
    for number in range(9):
        write_video(tmp_path / f"{number}.mp4", frames=6, crf="8")
    root = Root(str(tmp_path))
    for _ in range(2):
        for number in range(9):
            assert shown(root, f"{number}.mp4#frame=4") == 4
            assert len(media._films) <= 6


def test_a_video_written_anew_is_opened_anew(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    write_video(tmp_path / "a.mp4", frames=5, crf="8")
    assert media.video(root, "a.mp4").frames == 5
    write_video(tmp_path / "a.mp4", frames=9, crf="8")
    assert shown(root, "a.mp4#frame=7") == 7


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("short.mp4#frame=80", "frame beyond the end of the video"),
        ("text.mp4#frame=0", "undecodable video"),
        ("empty.mp4#frame=0", "undecodable video"),
        ("cut.mp4#frame=0", "undecodable video"),
        ("photo.png#frame=0", "undecodable video"),
        ("list.mp4#frame=0", "undecodable video"),  # a playlist that names another file
    ],
)
def test_what_is_no_frame_of_a_video_is_rejected(videos: Root, name: str, reason: str) -> None:
    folder = Path(videos.url)
    (folder / "text.mp4").write_text("no video at all\n" * 100)
    (folder / "empty.mp4").touch()
    (folder / "cut.mp4").write_bytes((folder / "short.mp4").read_bytes()[:-400])
    Picture.new("RGB", (8, 8)).save(folder / "photo.png")
    (folder / "list.mp4").write_text(f"ffconcat version 1.0\nfile {folder}/short.mp4\n")
    with pytest.raises(Rejected) as raised:
        media.read(videos, name)
    assert raised.value.reason == reason
    assert name.partition("#")[0] in str(raised.value)


def test_a_video_with_overwritten_packets_gives_no_wrong_frame_and_never_crashes(
    videos: Root, tmp_path: Path
) -> None:
    whole = (Path(videos.url) / "short.mp4").read_bytes()
    root, rng = Root(str(tmp_path)), np.random.default_rng(5)
    rejected = 0
    for attempt in range(60):
        data = bytearray(whole)
        at = int(rng.integers(0, len(data) - 64))
        data[at : at + 64] = rng.bytes(64)
        (tmp_path / f"{attempt}.mp4").write_bytes(data)
        for number in (3, 40, 77):
            try:
                verify(media.read(root, f"{attempt}.mp4#frame={number}"), "strict")
            except Rejected:
                rejected += 1
    assert rejected > 20


def test_a_missing_file_and_one_outside_the_root_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    write_video(tmp_path / "outside.mp4", frames=3)
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    root = Root(str(tmp_path / "root"))
    for ending in ("#frame=0", "#row=0&column=image"):
        with pytest.raises(MissingFile):
            media.read(root, f"none.mp4{ending}")
        with pytest.raises(OutsideRoot):
            media.read(root, f"../outside.mp4{ending}")
        with pytest.raises(OutsideRoot):
            media.read(root, f"link.mp4{ending}")


def test_only_the_two_endings_are_parts_of_a_file(tmp_path: Path) -> None:
    names = ["a#b.jpg", "a#frame=3.jpg", "#frame=1", "a#row=3", "a#frame=x", "a#row=1&column="]
    root = Root(str(tmp_path))
    for name in names:
        assert media.part_of(name) is None and media.file_of(name) == name
        (tmp_path / name).write_bytes(name.encode())
        assert media.read(root, name) == name.encode()
        assert media.size(root, name) == len(name)
        room = bytearray(100)
        assert media.readinto(root, name, memoryview(room)) == len(name)
    assert media.file_of("a#b.mp4#frame=3") == "a#b.mp4"
    assert media.part_of("x/y.parquet#row=12&column=source_img") == ("x/y.parquet", None, 12, "source_img")  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Ten rows in groups of four: an Image feature, plain bytes, text, and holes."""
    folder = tmp_path_factory.mktemp("tables")
    images = [{"bytes": f"image {row}".encode(), "path": f"{row}.png"} for row in range(10)]
    images[5] = {"bytes": None, "path": "5.png"}
    columns = {
        "source_img": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "plain": pa.array([f"plain {row}".encode() for row in range(10)]),
        "large": pa.array([f"large {row}".encode() for row in range(10)], pa.large_binary()),
        "holes": pa.array([None if row % 2 else b"x" for row in range(10)]),
        "words": pa.array([str(row) for row in range(10)]),
    }
    pq.write_table(pa.table(columns), folder / "x.parquet", row_group_size=4)
    (folder / "bad.parquet").write_bytes(b"PAR1" + os.urandom(200) + b"PAR1")
    return Root(str(folder))


@pytest.mark.parametrize("row", [0, 3, 4, 7, 8, 9, 0])
@pytest.mark.parametrize(("column", "word"), [("source_img", "image"), ("plain", "plain"), ("large", "large")])  # fmt: skip
def test_a_cell_comes_as_it_is_stored(table: Root, column: str, word: str, row: int) -> None:
    path = f"x.parquet#row={row}&column={column}"
    assert media.read(table, path) == f"{word} {row}".encode()
    assert media.size(table, path) == len(word) + 2
    room = bytearray(4)
    assert media.readinto(table, path, memoryview(room)) == 4
    assert room == word[:4].encode()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("x.parquet#row=10&column=plain", "no such row"),
        ("x.parquet#row=1&column=target", "no such column"),
        ("x.parquet#row=5&column=source_img", "no image bytes"),
        ("x.parquet#row=1&column=holes", "no image bytes"),
        ("x.parquet#row=1&column=words", "no image bytes"),
        ("bad.parquet#row=1&column=plain", "unreadable parquet file"),
    ],
)
def test_what_is_no_image_of_a_table_is_rejected(table: Root, path: str, reason: str) -> None:
    with pytest.raises(Rejected) as raised:
        media.read(table, path)
    assert raised.value.reason == reason
    assert "parquet" in str(raised.value)


def test_a_damaged_page_is_rejected(table: Root, tmp_path: Path) -> None:
    data = bytearray((Path(table.url) / "x.parquet").read_bytes())
    (length,) = struct.unpack("<I", data[-8:-4])
    body = len(data) - 8 - length
    data[4:body] = bytes(byte ^ 0x5A for byte in data[4:body])
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(Rejected, match="unreadable parquet file"):
        media.read(Root(str(tmp_path)), "x.parquet#row=1&column=plain")


def test_parts_of_remote_files_are_read_through_a_file_object(videos: Root, table: Root) -> None:
    store = fsspec.filesystem("memory")
    for source, name in ((videos, "short.mp4"), (table, "x.parquet")):
        store.pipe(f"/media/a#b/{name}", (Path(source.url) / name).read_bytes())
    root = Root("memory://media")
    assert shown(root, "a#b/short.mp4#frame=33") == 33
    assert media.read(root, "a#b/x.parquet#row=6&column=plain") == b"plain 6"
    for ending in ("#frame=0", "#row=0&column=plain"):
        with pytest.raises(MissingFile):
            media.read(root, f"none{ending}")


# From a video to a release.

TASK = '''
"""Same thing: a box is given in one camera's picture; where is the thing in the others?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mgdata.data import Association, Drop, Record, Sample, Shape, Target, Turn
from mgdata.identity import Stream
from mgdata.plugins import Builder


@dataclass(frozen=True, kw_only=True)
class SameThing(Builder):
    """One sample a moment."""

    association: ClassVar[Association] = "spatial"
    shapes: ClassVar[tuple[Shape, ...]] = ("views",)
    targets: ClassVar[str] = "one"

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The first thing that two cameras see, marked in the first."""
        (moment,) = records
        for region in moment.regions:
            seen = [r for r in moment.regions if r.track == region.track and r.box]
            if len(seen) > 1:
                break
        given = seen[0].box
        turn = Turn(
            question="Where is it in the second image? It is at <region:0> in the first.",
            answer="<target:0>",
            regions=(Target(image=0, box=given),),
            targets=(Target(image=1, box=seen[1].box),),
            asked=(1,),
        )
        yield self.sample(records, [moment.images[r.image] for r in seen[:2]], [turn])
'''
RECIPE = """
name: moments
seed: 1
corpora: {egoexo4d: {with: {min_pixels: 50}}}
splits: {train: 1.0}
tasks: {same_thing: {builder: "./same.py:SameThing", samples: 10}}
build: {groups: 3}
"""


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Loaded]:
    """A finished run over takes in video."""
    folder = tmp_path_factory.mktemp("moments")
    write_corpus("egoexo4d", folder / "takes", clips=4, frames=16, size=(160, 120), seed=5)
    (folder / "same.py").write_text(TASK)
    (folder / "moments.yaml").write_text(RECIPE)
    loaded = recipe.load(folder / "moments.yaml", {"egoexo4d": str(folder / "takes")})
    with Run(loaded, str(folder / "run"), tell=lambda *_: None) as run:
        assert not run.until("release").short
    return folder / "run", loaded


def test_a_frame_is_published_once_encoded_as_the_release_encodes(
    moments: tuple[Path, Loaded],
) -> None:
    folder, loaded = moments
    files = sorted((folder / "release/data").rglob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len(rows) == 10
    root = loaded.corpora["egoexo4d"].root
    for row in rows:
        assert len({info["view"] for info in row["image_info"]}) == 2
        for image, info in zip(row["images"], row["image_info"], strict=True):
            header = verify(image["bytes"], "strict")
            assert (header.format, header.width, header.height) == ("jpeg", info["width"], info["height"])  # fmt: skip
            assert hashlib.sha256(image["bytes"]).hexdigest() == info["sha256"]
            path = info["uri"].removeprefix("egoexo4d:")
            assert media.part_of(path) == (path.partition("#")[0], info["frame"], 0, "")
            stored = np.asarray(Picture.open(io.BytesIO(media.read(root, path))), np.int16)
            published = np.asarray(Picture.open(io.BytesIO(image["bytes"])), np.int16)
            assert np.abs(stored - published).mean() < 3
            assert len(image["bytes"]) < media.size(root, path) / 2
    verdict = check(folder)
    assert (verdict.rows, verdict.counts) == (10, {})


def test_the_reason_for_encoding_frames_anew_is_counted(moments: tuple[Path, Loaded]) -> None:
    entries = [json.loads(f.read_text()) for f in (moments[0] / "manifest/build").rglob("*.json")]
    counts = Counter[str]()
    for entry in entries:
        counts.update(entry["counts"])
    assert counts["converted: video frame"] == counts["images measured"] > 0


def test_a_plan_foretells_the_size_of_frames_as_they_will_be_published(
    moments: tuple[Path, Loaded], tmp_path: Path
) -> None:
    folder, loaded = moments
    with Run(loaded, str(tmp_path / "plan"), tell=lambda *_: None) as run:
        found = run.plan()
    published = {
        image["path"]: len(image["bytes"])
        for file in (folder / "release/data").rglob("*.parquet")
        for row in pq.read_table(file).to_pylist()
        for image in row["images"]
    }
    assert found.bytes == pytest.approx(sum(published.values()), rel=0.35)


def test_a_video_that_broke_since_it_was_ingested_is_a_drop(
    moments: tuple[Path, Loaded],
) -> None:
    _, loaded = moments
    measurer = Measurer(loaded.roots, loaded.measures)
    path = "egoexo4d:takes/{}/frame_aligned_videos/cam01.mp4#frame={}"
    takes = sorted(path.name for path in (moments[0].parent / "takes/takes").iterdir())
    image = Image(uri=path.format(takes[0], 999), width=160, height=120)
    drop = measurer(image)
    assert isinstance(drop, Drop)
    assert (drop.stage, drop.reason) == ("measure", "frame beyond the end of the video")
    gone = measurer(Image(uri=path.format("gone", 1), width=160, height=120))
    assert isinstance(gone, Drop)
    assert gone.reason == "unreadable file" and "missing file" in str(gone.value)
