"""The integrity measure: its facts, and what it says when file and record disagree."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import pytest
from PIL import Image as Pillow

from mgdata.data import Image
from mgdata.errors import Rejected
from mgdata.measures.integrity import Integrity


def jpeg(width: int = 320, height: int = 240, mode: str = "RGB", orientation: int = 1) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Pillow.effect_noise((width, height), 40).convert(mode).save(out, "JPEG", exif=exif)
    return out.getvalue()


def record(width: int = 320, height: int = 240, orientation: int = 1) -> Image:
    return Image(uri="c:a.jpg", width=width, height=height, orientation=orientation)


@pytest.mark.parametrize("level", ["header", "structural", "strict"])
def test_the_facts_of_a_whole_image(level):
    data = jpeg()
    assert Integrity(level=level).image(record(), data) == {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "format": "jpeg",
        "orientation": 1,
        "convert": None,
    }


def test_a_valid_image_of_another_kind_names_its_conversion():
    assert Integrity().image(record(), jpeg(mode="CMYK"))["convert"] == "cmyk"
    assert Integrity().image(record(), jpeg(mode="L"))["convert"] == "greyscale"


def test_sizes_are_compared_upright():
    facts = Integrity().image(record(240, 320, orientation=6), jpeg(orientation=6))
    assert facts["orientation"] == 6


@pytest.mark.parametrize(
    ("image", "data", "message"),
    [
        (record(640, 480), jpeg(), "size differs from the record: 320x240, record says 640x480"),
        (record(240, 320), jpeg(), "size differs from the record: 320x240, record says 240x320"),
        (
            record(320, 240, orientation=6),
            jpeg(orientation=6),
            "size differs from the record: 240x320, record says 320x240",
        ),
        (
            record(320, 240),
            jpeg(orientation=6),
            "orientation differs from the record: 6, record says 1",
        ),
        (record(240, 320, orientation=6), jpeg(), "orientation differs .*: 1, record says 6"),
        (record(), b"", "empty image"),
        (record(), b"text", "unreadable image"),
        (record(), jpeg()[:5000], "truncated image"),
    ],
)
def test_an_unfit_image_is_rejected_with_what_was_found(image, data, message):
    with pytest.raises(Rejected, match=message):
        Integrity().image(image, data)


def test_the_level_decides_how_much_damage_is_seen():
    whole = jpeg()
    cut = whole[:5000]
    marker = whole[:5000] + b"\xff\xd3" + whole[5000:]
    assert Integrity(level="header").image(record(), cut)["bytes"] == 5000
    assert Integrity(level="structural").image(record(), marker)["format"] == "jpeg"
    for level, data in (("structural", cut), ("strict", cut), ("strict", marker)):
        with pytest.raises(Rejected):
            Integrity(level=level).image(record(), data)


def test_the_pixel_limit_is_a_setting():
    with pytest.raises(Rejected, match="image too large: 320x240 is more than 1000 pixels"):
        Integrity(level="header", max_pixels=1000).image(record(), jpeg())


def test_the_measure_travels_to_a_worker_by_value():
    measure = Integrity(level="structural", max_pixels=7)
    assert pickle.loads(pickle.dumps(measure)) == measure


@pytest.mark.real
def test_real_frames_of_every_tracking_corpus_are_whole():
    root = Path(os.environ["MGDATA_CORPORA"])
    for corpus in ("got10k", "lasot", "trackingnet", "mot"):
        frames = sorted((root / corpus).rglob("*.jpg"))[:20]
        assert frames, f"no frames below {root / corpus}"
        for frame in frames:
            with Pillow.open(frame) as picture:
                image = record(*picture.size)
            assert Integrity().image(image, frame.read_bytes())["convert"] is None
