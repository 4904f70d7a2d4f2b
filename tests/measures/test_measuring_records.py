"""Record measures that look at pixels: many records at once, one damaged picture unfit alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image as Picture
from PIL import ImageOps

from mgdata.data import Image, Record
from mgdata.errors import EnvironmentFailure, Rejected, StorageError
from mgdata.manifest import Shard
from mgdata.measures.appearance import Appearance
from mgdata.measures.embedding import Embedding
from mgdata.measures.vectors import as_bytes
from mgdata.plugins import Fact, Measure, MeasureMany
from mgdata.stages.measure import AT_ONCE, MeasureRecords, record_facts
from mgdata.storage import Root, Store
from mgdata.tables import RecordRows


def record(name: str) -> Record:
    image = Image(uri=f"c:{name}", width=64, height=48)
    return Record(key=f"c/{name}", shape="image", unit=name, images=(image,), regions=(),
                  license="CC0-1.0")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sizes(Measure):
    """Fact `size`: bytes of the first image, as a vector of one; says what it was asked."""

    keyed: ClassVar[Literal["image", "record"]] = "record"

    asked: list[int] = field(default_factory=list[int])
    broken: str = ""
    cards: float = 0.0
    most: int | None = None

    @property
    def gpus(self) -> float:
        return self.cards

    @property
    def most_workers(self) -> int | None:
        return self.most

    @contextmanager
    def open(self, read: Callable[[Image], bytes]) -> Generator[MeasureMany]:
        def measured(records: Sequence[Record]) -> list[Any]:
            self.asked.append(len(records))
            if any(self.broken and self.broken in one.key for one in records):
                raise RuntimeError("broken")
            return [self.size(read, one) for one in records]

        self.asked.append(0)
        yield measured
        self.asked.append(-1)

    @staticmethod
    def size(
        read: Callable[[Image], bytes], one: Record
    ) -> Mapping[str, Fact] | Rejected | StorageError:
        try:
            return {"size": bytes([len(read(one.images[0])) % 256])}
        except StorageError as error:
            return error


@pytest.fixture
def root(tmp_path: Path) -> Root:
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"x" * number)
    return Root(str(tmp_path))


def test_a_vector_is_a_column_of_bytes_and_a_missing_file_is_unfit_alone(root: Root) -> None:
    records = [record(name) for name in ("1", "gone", "3")]
    table, (drop,) = record_facts({"sizes": Sizes()}, records, {"c": root})
    assert table.schema.field("size").type == pa.binary()
    assert table["size"].to_pylist() == [b"\1", None, b"\3"]
    assert table["fit"].to_pylist() == [True, False, True]
    assert (drop.key, drop.reason, drop.value) == (
        "c/gone",
        "unreadable file",
        "missing file: gone",
    )


def test_records_come_by_the_hundred_and_a_measure_is_opened_and_closed_once(root: Root) -> None:
    measure = Sizes()
    record_facts({"sizes": measure}, [record("1")] * (AT_ONCE + 1), {"c": root})
    assert measure.asked == [0, AT_ONCE, 1, -1]


def test_a_record_on_which_a_measure_breaks_is_unfit_alone(root: Root) -> None:
    records = [record(str(number)) for number in range(4)]
    table, (drop,) = record_facts({"sizes": Sizes(broken="/2")}, records, {"c": root})
    assert table["size"].to_pylist() == [b"\0", b"\1", None, b"\3"]
    assert drop.reason == "plug-in error"
    assert "measure sizes failed on c/2: RuntimeError: broken" in str(drop.value)


def test_a_measure_that_forgets_a_record_is_told_so() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Forgets(Sizes):
        @contextmanager
        def open(self, read: Callable[[Image], bytes]) -> Generator[MeasureMany]:
            yield lambda records: []

    _, drops = record_facts({"m": Forgets()}, [record("1"), record("2")])
    assert [drop.key for drop in drops] == ["c/1", "c/2"]
    assert "gave facts of 0 records for 1" in str(drops[0].value)


def test_a_stage_needs_the_cards_and_workers_that_its_measures_say(tmp_path: Path) -> None:
    measures: dict[str, Measure] = {
        "a": Sizes(cards=0.5), "b": Sizes(cards=1.0, most=3), "c": Sizes(most=2)
    }  # fmt: skip
    stage = MeasureRecords(out=str(tmp_path), measures=measures)
    assert (stage.gpus, stage.most_workers) == (1.0, 2)
    stage = MeasureRecords(out=str(tmp_path), measures={"a": Sizes()})
    assert (stage.gpus, stage.most_workers) == (0.0, None)


def test_one_opening_serves_all_shards_of_a_worker(root: Root, tmp_path: Path) -> None:
    store, measure = Store(str(tmp_path / "run")), Sizes()
    shards: list[Shard] = []
    for number in range(2):
        rows = RecordRows()
        rows.add(record(str(number)))
        path = f"r{number}.arrow"
        Path(store.url).mkdir(exist_ok=True)
        rows.write(Path(store.url) / path)
        payload = {"corpus": "c", "records": path, "rows": 1}
        shards.append(Shard(stage="measure", name=f"c-{number}", fingerprint="f", payload=payload))
    stage = MeasureRecords(out=store.url, measures={"sizes": measure}, roots={"c": root})
    entries = list(stage.open()(iter(shards)))
    assert measure.asked == [0, 1, 1, -1]
    tables = [pa.ipc.open_file(str(store.local(e.data().path))).read_all() for e in entries]
    assert [table["size"].to_pylist() for table in tables] == [[b"\0"], [b"\1"]]


# Vectors.


def test_a_vector_is_written_at_one_length_whatever_it_had() -> None:
    one, other, none = as_bytes(np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]))
    assert one == other == bytes([76, 102]) and none == bytes(2)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_vector_without_a_direction_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        as_bytes(np.array([[1.0, number]]))


# Appearance.


def photo(seed: int) -> Picture.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Picture.fromarray(coarse).resize((320, 240), Picture.Resampling.BICUBIC)


def stored(picture: Picture.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def cosine(one: bytes, other: bytes) -> float:
    a, b = (np.frombuffer(vector, np.int8).astype(float) for vector in (one, other))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def looks(tmp_path: Path, **files: bytes) -> dict[str, bytes]:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    table, drops = record_facts(
        {"a": Appearance()}, [record(name) for name in files], {"c": Root(str(tmp_path))}
    )
    assert not drops
    return dict(zip(files, table["appearance"].to_pylist(), strict=True))


def test_copies_look_alike_and_other_photos_do_not(tmp_path: Path) -> None:
    own = photo(1)
    found = looks(
        tmp_path, own=stored(own, quality=95), again=stored(own, quality=95),
        poor=stored(own, quality=30), small=stored(own.resize((80, 60)), "PNG"),
        other=stored(photo(2)), mirrored=stored(ImageOps.mirror(own)),
    )  # fmt: skip
    assert len(found["own"]) == 192 and found["own"] == found["again"]
    assert min(cosine(found["own"], found[name]) for name in ("poor", "small")) > 0.98
    assert max(cosine(found["own"], found[name]) for name in ("other", "mirrored")) < 0.6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_file_is_looked_at_upright(orientation: int, tmp_path: Path) -> None:
    exif = Picture.Exif()
    exif[0x0112] = orientation
    data = stored(photo(3), exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Picture.open(io.BytesIO(data)))
    found = looks(tmp_path, turned=data, upright=stored(upright, "PNG"))
    assert cosine(found["turned"], found["upright"]) > 0.99


def test_a_photo_of_nothing_looks_like_nothing(tmp_path: Path) -> None:
    grey = Picture.new("RGB", (64, 48), (128, 128, 128))
    assert looks(tmp_path, grey=stored(grey, "PNG"))["grey"] == bytes(192)


def test_a_damaged_photo_is_unfit_alone(tmp_path: Path) -> None:
    data = stored(photo(4))
    for name, content in {"a": data, "torn": data[:2000], "text": b"no photo", "b": data}.items():
        (tmp_path / name).write_bytes(content)
    records = [record(name) for name in ("a", "torn", "text", "b")]
    table, drops = record_facts({"a": Appearance(fact="look")}, records, {"c": Root(str(tmp_path))})
    assert table["fit"].to_pylist() == [True, False, False, True]
    assert [drop.reason for drop in drops] == ["truncated image", "unreadable image"]
    first, *_, last = table["look"].to_pylist()
    assert first == last and len(first) == 192


def test_embedding_without_its_packages_or_a_model_says_what_to_do(tmp_path: Path) -> None:
    measures = {"e": Embedding(model=str(tmp_path), device="cpu")}
    with pytest.raises(EnvironmentFailure, match=r"pip install torch|does not load"):
        record_facts(measures, [record("1")])
