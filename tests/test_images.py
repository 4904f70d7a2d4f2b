"""Headers and whole-file checks, against files that Pillow, simplejpeg and OpenCV write."""

import functools
import io
import os
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image as Pillow

from mgdata.errors import Rejected
from mgdata.images import HEAD, Header, Incomplete, needs_convert, probe, verify


def picture(width: int = 320, height: int = 240, seed: int = 0) -> np.ndarray:
    """Smooth shapes under noise: compresses about as a photo does."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def saved(form: str, mode: str = "RGB", size: tuple[int, int] = (320, 240), **options) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(picture(*size)).convert(mode).save(out, form, **options)
    return out.getvalue()


def oriented(form: str, orientation: int, size: tuple[int, int] = (320, 240)) -> bytes:
    exif = Pillow.Exif()
    exif[0x010F] = "a camera whose name does not fit into four bytes"
    exif[0x0112] = orientation
    return saved(form, size=size, exif=exif)


def sixteen_bit(channels: int) -> bytes:
    deep = (picture().astype(np.uint16) * 257)[:, :, :channels]
    return cv2.imencode(".png", deep)[1].tobytes()


@functools.cache
def frames(form: str, count: int = 3) -> bytes:
    out = io.BytesIO()
    first, *rest = [Pillow.fromarray(picture(seed=i)) for i in range(count)]
    first.save(out, form, save_all=True, append_images=rest)
    return out.getvalue()


def verdict(data: bytes, level: str) -> str:
    try:
        verify(data, level)
    except Rejected as rejected:
        return rejected.reason
    return "ok"


KINDS = {
    # name: (bytes, format, mode, bits, alpha, reason for a conversion)
    "jpeg 4:2:0": (saved("JPEG"), "jpeg", "rgb", 8, False, None),
    "jpeg progressive": (saved("JPEG", progressive=True), "jpeg", "rgb", 8, False, None),
    "jpeg restarts": (saved("JPEG", restart_marker_blocks=7), "jpeg", "rgb", 8, False, None),
    "jpeg own tables": (saved("JPEG", optimize=True), "jpeg", "rgb", 8, False, None),
    "jpeg rgb colours": (saved("JPEG", keep_rgb=True), "jpeg", "rgb", 8, False, None),
    "jpeg with profile": (saved("JPEG", icc_profile=bytes(90000)), "jpeg", "rgb", 8, False, None),
    "jpeg comment": (saved("JPEG", comment=b"\xff\xc0 not a frame"), "jpeg", "rgb", 8, False, None),
    "jpeg grey": (saved("JPEG", "L"), "jpeg", "grey", 8, False, "greyscale"),
    "jpeg cmyk": (saved("JPEG", "CMYK"), "jpeg", "cmyk", 8, False, "cmyk"),
    "png": (saved("PNG"), "png", "rgb", 8, False, None),
    "png grey": (saved("PNG", "L"), "png", "grey", 8, False, "greyscale"),
    "png bilevel": (saved("PNG", "1"), "png", "grey", 1, False, "greyscale"),
    "png palette": (saved("PNG", "P"), "png", "palette", 8, False, "palette"),
    "png alpha": (saved("PNG", "RGBA"), "png", "rgb", 8, True, "alpha"),
    "png grey alpha": (saved("PNG", "LA"), "png", "grey", 8, True, "alpha"),
    "png colour key": (saved("PNG", transparency=(1, 2, 3)), "png", "rgb", 8, True, "alpha"),
    "png 16-bit grey": (sixteen_bit(1), "png", "grey", 16, False, "16-bit"),
    "png 16-bit rgb": (sixteen_bit(3), "png", "rgb", 16, False, "16-bit"),
    "webp": (saved("WEBP"), "webp", "rgb", 8, False, "webp"),
    "webp lossless": (saved("WEBP", lossless=True), "webp", "rgb", 8, False, "webp"),
    "webp extended": (saved("WEBP", icc_profile=bytes(64)), "webp", "rgb", 8, False, "webp"),
    "gif": (saved("GIF"), "gif", "palette", 8, False, "gif"),
    "bmp": (saved("BMP"), "bmp", "rgb", 8, False, "bmp"),
    "bmp palette": (saved("BMP", "P"), "bmp", "palette", 8, False, "bmp"),
    "tiff": (saved("TIFF"), "tiff", "rgb", 8, False, "tiff"),
    "tiff grey": (saved("TIFF", "L"), "tiff", "grey", 8, False, "tiff"),
    "tiff cmyk": (saved("TIFF", "CMYK"), "tiff", "cmyk", 8, False, "tiff"),
    "tiff lzw": (saved("TIFF", compression="tiff_lzw"), "tiff", "rgb", 8, False, "tiff"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_tells_format_size_and_colours(kind):
    data, form, mode, bits, alpha, _ = KINDS[kind]
    assert probe(data) == Header(
        format=form, width=320, height=240, mode=mode, bits=bits, alpha=alpha
    )


@pytest.mark.parametrize("kind", KINDS)
def test_only_8_bit_rgb_jpeg_and_png_are_published_untouched(kind):
    data, *_, reason = KINDS[kind]
    assert needs_convert(probe(data)) == reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", ["header", "structural", "strict"])
def test_every_valid_kind_passes_every_level(kind, level):
    assert verify(KINDS[kind][0], level) == probe(KINDS[kind][0])


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.startswith(("tiff", "bmp"))])
def test_bytes_after_the_end_are_tolerated(kind):
    data = KINDS[kind][0]
    assert verify(data + b"trailing \xff\xd8\xff bytes", "strict") == probe(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_cut_anywhere_asks_for_more_bytes(kind):
    data = KINDS[kind][0]
    whole = probe(data)
    for cut in [*range(2, 700), *range(700, len(data), 997)]:
        try:
            # The rest of a file never changes what a sufficient head said.
            assert probe(data[:cut]) == whole
        except Incomplete:
            continue
        except Rejected as rejected:
            assert cut < 14 and rejected.reason == "unreadable image", (cut, rejected)
    if not kind.startswith(("gif", "tiff")) and kind != "jpeg with profile":
        assert probe(data[:HEAD]) == whole


def test_a_profile_beyond_the_head_is_reported_as_incomplete():
    data = KINDS["jpeg with profile"][0]
    with pytest.raises(Incomplete, match="truncated image: the header goes on after 65536 bytes"):
        probe(data[:HEAD])
    assert probe(data[: HEAD * 2]).width == 320


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_read_and_turns_the_size(form, orientation):
    header = probe(oriented(form, orientation))
    assert header.orientation == orientation
    assert (header.width, header.height) == (320, 240)
    assert header.upright == ((240, 320) if orientation > 4 else (320, 240))
    assert verify(oriented(form, orientation), "strict") == header


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_is_upright(orientation):
    assert probe(oriented("JPEG", orientation)).orientation == 1


def test_orientation_is_read_in_both_byte_orders_and_as_a_long():
    for order in "<>":
        for kind, form in ((3, "HH"), (4, "I")):
            mark = b"II*\0" if order == "<" else b"MM\0*"
            value = (6, 0) if form == "HH" else (6,)
            tiff = mark + struct.pack(f"{order}IHHHI{form}I", 8, 1, 0x0112, kind, 1, *value, 0)
            assert probe(saved("JPEG", exif=b"Exif\0\0" + tiff)).orientation == 6


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",  # empty
        b"Exif\0\0JUNKJUNKJUNK",  # no byte order
        b"Exif\0\0II*\0\xff\xff\xff\x7f",  # directory outside
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",  # directory cut short
    ],
)
def test_damaged_exif_is_no_orientation_and_no_error(block):
    data = saved("JPEG")
    broken = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    assert probe(broken).orientation == 1


def test_a_turn_that_only_xmp_asks_for_is_disputed_and_converted():
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    asked = probe(saved("JPEG", xmp=xmp))
    assert asked.orientation == 1 and asked.disputed
    assert needs_convert(asked) == "xmp orientation"
    assert not probe(saved("JPEG", xmp=xmp.replace(b"6", b"1"))).disputed
    exif = Pillow.Exif()
    exif[0x0112] = 1
    assert not probe(saved("JPEG", xmp=xmp, exif=exif)).disputed


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_moving_pictures_are_dropped_and_single_frames_are_not(form):
    for level in ("header", "structural", "strict"):
        assert verdict(frames(form), level) == "animated image"
    assert not probe(frames(form, 1)).animated


@pytest.mark.parametrize(
    ("data", "reason", "value"),
    [
        (b"", "empty image", "0 bytes"),
        (b"hello, world", "unreadable image", "begins with b'hello, world'"),
        (b"BMW and its history, a long text about cars", "unreadable image", "begins with"),
        (b"GIFs are files that move", "unreadable image", "begins with"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "unreadable image", "LFS"),
        (b"<!DOCTYPE html><html>404</html>", "unreadable image", "begins with"),
        (bytes(4096), "unreadable image", "begins with"),
        (b"\xff\xd8\xff\xd9", "corrupt image", "without a frame header"),
        (b"\xff\xd8\0\0\0\0\0\0", "corrupt image", "byte 2"),
        (b"\xff\xd8\xff\xe0\0\0", "corrupt image", "no length"),
    ],
)
def test_what_is_no_image_is_named(data, reason, value):
    for level in ("header", "structural", "strict"):
        with pytest.raises(Rejected) as caught:
            verify(data, level)
        assert caught.value.reason == reason
        assert value in str(caught.value.value)


def test_the_content_decides_and_a_size_of_zero_is_corrupt():
    data = bytearray(saved("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 7] = b"\0\0"
    assert verdict(bytes(data), "header") == "corrupt image"


def test_kinds_of_jpeg_that_no_reader_here_knows_are_unreadable():
    data = bytearray(saved("JPEG"))
    frame = data.index(b"\xff\xc0")
    lossless = data.copy()
    lossless[frame + 1] = 0xC3
    deep = data.copy()
    deep[frame + 4] = 12
    assert (
        verdict(bytes(lossless), "header") == verdict(bytes(deep), "header") == "unreadable image"
    )


def test_a_small_file_that_asks_for_much_memory_is_refused_before_decoding():
    data = bytearray(saved("PNG"))
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    for level in ("header", "structural", "strict"):
        assert verdict(bytes(data), level) == "image too large"
    with pytest.raises(Rejected, match="320x240 is more than 76799 pixels"):
        verify(saved("JPEG"), "strict", max_pixels=76_799)
    assert verify(saved("JPEG"), "strict", max_pixels=76_800).width == 320


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_truncated(kind):
    data = KINDS[kind][0]
    loose = kind.startswith(("bmp", "tiff"))  # no end to look for; Pillow words what it finds
    levels = ["strict"] if loose else ["structural", "strict"]
    reasons = ["truncated image", "corrupt image"] if loose else ["truncated image"]
    for share in (0.1, 0.5, 0.9, 0.99):
        cut = data[: int(len(data) * share)]
        for level in levels:
            assert verdict(cut, level) in reasons, (share, level)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.startswith("jpeg")])
def test_every_cut_of_a_jpeg_is_caught(kind):
    data = KINDS[kind][0]
    for cut in range(3, len(data), max(1, len(data) // 150)):
        assert verdict(data[:cut], "structural") == "truncated image", cut
        assert verdict(data[:cut], "strict") == "truncated image", cut


def damaged(data: bytes, kind: str, size: int, rng: random.Random) -> bytes:
    at = rng.randrange(1000, len(data) - size - 100)
    new = bytearray(data)
    if kind == "zeroed":
        new[at : at + size] = bytes(size)
    elif kind == "overwritten":
        new[at : at + size] = rng.randbytes(size)
    elif kind == "lost":
        del new[at : at + size]
    else:
        new[at] ^= rng.randrange(1, 256)
    return bytes(new)


@pytest.mark.parametrize("kind", ["zeroed", "overwritten", "lost"])
def test_a_disk_block_damaged_in_mid_file_is_caught_at_strict(kind):
    data = saved("JPEG", size=(1280, 720), quality=85)
    rng = random.Random(kind)
    caught = [verdict(damaged(data, kind, 4096, rng), "strict") for _ in range(60)]
    assert caught.count("ok") == 0


@pytest.mark.parametrize("kind", ["zeroed", "overwritten", "lost"])
def test_most_damaged_blocks_of_a_progressive_jpeg_are_caught_at_strict(kind):
    """Not all: its refining scans are bare bits, of which any sequence is valid."""
    data = saved("JPEG", size=(1280, 720), quality=85, progressive=True)
    rng = random.Random(kind)
    caught = [verdict(damaged(data, kind, 4096, rng), "strict") for _ in range(60)]
    assert caught.count("ok") <= 20


def test_garbage_with_a_marker_inside_is_caught_at_strict():
    data = saved("JPEG", size=(1280, 720), quality=85)
    for share in (0.2, 0.5, 0.8):
        at = int(len(data) * share)
        for marker in (b"\xff\xd9", b"\xff\xd0", b"\xff\xc4\0\2", b"\xff\x01"):
            assert verdict(data[:at] + marker + data[at:], "strict") != "ok", (share, marker)


@pytest.mark.parametrize("level", ["structural", "strict"])
def test_any_changed_byte_inside_a_png_chunk_is_caught(level):
    data = saved("PNG", size=(64, 48))
    for at in range(8, len(data), 37):
        new = bytearray(data)
        new[at] ^= 1
        assert verdict(bytes(new), level) != "ok", at


def test_one_wrong_byte_in_a_jpeg_is_seen_exactly_where_a_full_decode_warns():
    """JPEG has no checksum: a wrong byte that leaves a valid file cannot be told from a picture."""
    caught = 0
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 20}):
        data = saved("JPEG", size=(640, 480), quality=85, **options)
        for seed in range(80):
            new = damaged(data, "flipped", 1, random.Random(seed))
            try:
                simplejpeg.decode_jpeg(new, "RGB", strict=True)
                full = True
            except ValueError:
                full = False
            assert (verdict(new, "strict") == "ok") == full
            caught += not full
    assert 0.1 < caught / 240 < 0.9


@pytest.mark.parametrize(
    ("form", "first"), [("WEBP", 30), ("PNG", 200), ("TIFF", 40), ("GIF", 790), ("BMP", 30)]
)
def test_a_rejection_never_holds_a_memory_address(form, first):
    data = bytearray(saved(form, size=(64, 48)))
    data[first : first + 100] = bytes(range(100))
    try:
        verify(bytes(data), "strict")
    except Rejected as rejected:
        assert " at 0x" not in str(rejected), rejected
    # The bytes that name the file to Pillow but not to our header reader.
    tiff = b"II*\0\x08\0\0\0\2\0\0\1\3\0\1\0\0\0\5\0\0\0\1\1\3\0\1\0\0\0\5\0\0\0\0\0\0\0"
    with pytest.raises(Rejected, match="corrupt image") as caught:
        verify(tiff, "strict")
    assert " at 0x" not in str(caught.value)


ROBUSTNESS = {
    "exif/Landscape_6.jpg": (1800, 1200, 6, None),
    "exif/Portrait_8.jpg": (1200, 1800, 8, None),
    "odd/anim.gif": "animated image",
    "odd/cmyk.jpg": (225, 150, 1, "cmyk"),
    "odd/gray.jpg": (225, 150, 1, "greyscale"),
    "odd/gray16.png": (225, 150, 1, "16-bit"),
    "odd/gray_alpha.png": (225, 150, 1, "alpha"),
    "odd/palette.png": (225, 150, 1, "palette"),
    "odd/photo.webp": (225, 150, 1, "webp"),
    "odd/png_content_named.jpg": (225, 150, 1, None),
    "odd/rgba.png": (225, 150, 1, "alpha"),
    "odd/spaces and ünïcode 名.jpg": (225, 150, 1, None),
    "odd/text_named.jpg": "unreadable image",
    "odd/truncated.jpg": "truncated image",
    "odd/zero_bytes.jpg": "empty image",
}


@pytest.mark.real
def test_every_file_of_the_robustness_corpus_gets_its_verdict():
    root = Path(os.environ["MGDATA_CORPORA"]) / "robustness"
    found = {}
    for path in sorted([*root.glob("exif/*"), *root.glob("odd/*")]):
        try:
            header = verify(path.read_bytes(), "strict")
            value = (*header.upright, header.orientation, needs_convert(header))
        except Rejected as rejected:
            value = rejected.reason
        found[path.relative_to(root).as_posix()] = value
    assert found == ROBUSTNESS
