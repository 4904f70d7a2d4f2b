"""The perceptual hash: what leaves it alone, what changes it, and what has none."""

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from mgdata.data import Image
from mgdata.errors import Rejected
from mgdata.measures.perceptual_hash import PerceptualHash


def photo(seed: int, width: int = 320, height: int = 240) -> Pillow.Image:
    """Coarse random colours, smoothed: as much structure as a photo has at this size."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Pillow.fromarray(coarse).resize((width, height), Pillow.Resampling.BICUBIC)


def stored(picture: Pillow.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def phash(data: bytes) -> str | None:
    found = PerceptualHash().image(Image(uri="c:a", width=1, height=1), data)["phash"]
    assert found is None or isinstance(found, str)
    return found


def apart(first: str | None, second: str | None) -> int:
    assert first is not None and second is not None
    return (int(first, 16) ^ int(second, 16)).bit_count()


def changed(picture: Pillow.Image) -> dict[str, bytes]:
    w, h = picture.size
    return {
        "quality 30": stored(picture, quality=30),
        "half": stored(picture.resize((w // 2, h // 2)), quality=85),
        "larger": stored(picture.resize((w * 13 // 10, h * 13 // 10)), quality=85),
        "brighter": stored(ImageEnhance.Brightness(picture).enhance(1.15), quality=85),
        "darker": stored(ImageEnhance.Brightness(picture).enhance(0.85), quality=85),
        "grey": stored(picture.convert("L"), quality=85),
        "png": stored(picture, "PNG"),
        "webp": stored(picture, "WEBP", quality=80),
        "cmyk": stored(picture.convert("CMYK"), quality=85),
        "opaque": stored(picture.convert("RGBA"), "PNG"),
        "tiff": stored(picture, "TIFF"),
    }


def test_a_hash_is_sixteen_hex_digits_and_the_same_every_time() -> None:
    data = stored(photo(1))
    found = phash(data)
    assert found is not None and len(found) == 16 and int(found, 16) >= 0
    assert found == phash(data)


@given(st.integers(0, 10_000))
def test_a_copy_stays_near_and_another_picture_is_far(seed: int) -> None:
    own = phash(stored(photo(seed), quality=95))
    for name, data in changed(photo(seed)).items():
        assert apart(own, phash(data)) <= 8, name
    assert apart(own, phash(stored(photo(seed + 1)))) > 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_rotated_file_is_hashed_upright(kind: str, orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = stored(photo(5), kind, exif=exif)
    upright = ImageOps.exif_transpose(Pillow.open(io.BytesIO(data)))
    assert apart(phash(data), phash(stored(upright.convert("RGB"), quality=95))) <= 4
    if orientation > 1:
        assert apart(phash(data), phash(stored(photo(5)))) > 8


@pytest.mark.parametrize("level", [0, 17, 128, 255])
@pytest.mark.parametrize("noise", [0, 10, 30])
def test_a_flat_image_has_no_hash_noisy_or_not(level: int, noise: int) -> None:
    rng = np.random.default_rng(level + noise)
    pixels = np.clip(level + rng.normal(0, noise, (240, 320, 3)), 0, 255).astype(np.uint8)
    assert phash(stored(Pillow.fromarray(pixels), quality=80)) is None
    assert phash(stored(Pillow.fromarray(pixels), "PNG")) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (20, 20), (2000, 9)])
def test_an_image_of_any_size_is_hashed(size: tuple[int, int]) -> None:
    for kind in ("JPEG", "PNG"):
        found = phash(stored(photo(3, *size), kind))
        assert found is None or len(found) == 16


@pytest.mark.parametrize(
    "data", [b"", b"text", stored(photo(1))[:300], stored(photo(1), "PNG")[:90]]
)
def test_what_cannot_be_decoded_is_rejected(data: bytes) -> None:
    with pytest.raises(Rejected):
        phash(data)


@pytest.mark.real
def test_copies_of_real_photos_are_near_and_different_photos_far(real_corpora: Path) -> None:
    files = sorted(real_corpora.glob("image_pool/*/*"))
    assert len(files) > 10
    hashes = [phash(file.read_bytes()) for file in files]
    for file, own in zip(files, hashes, strict=True):
        for name, data in changed(Pillow.open(file).convert("RGB")).items():
            assert apart(own, phash(data)) <= 8, (file, name)
    assert min(apart(a, b) for a, b in combinations(hashes, 2)) > 12
