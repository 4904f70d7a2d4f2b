"""Edits: what a reader of the new file sees, in which frame, and that nothing else came along."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image as Pillow
from PIL import ImageOps

from mgdata.data import Edit, Image
from mgdata.edits import COLOURS, Codec, crop_window, render, thumbnail
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.images import needs_convert, probe

CONVERT = Edit(kind="convert")
UPRIGHT = Edit(kind="upright")


def corners(width: int = 96, height: int = 64) -> np.ndarray:
    """Four fields of distinct colour on smooth ground, so that every turn and flip shows."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[:24, :24] = (200, 40, 40)
    pixels[:24, -24:] = (40, 200, 40)
    pixels[-24:, :24] = (40, 40, 200)
    pixels[-24:, -24:] = (200, 200, 60)
    return pixels


def saved(pixels: np.ndarray, form: str = "PNG", mode: str = "RGB", **options) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(pixels).convert(mode).save(out, form, **options)
    return out.getvalue()


def stated(data: bytes, *edits: Edit, size: tuple[int, int] | None = None) -> Image:
    header = probe(data)
    width, height = size or header.upright
    return Image(uri="c:a", width=width, height=height, orientation=header.orientation, edits=edits)


def rendered(data: bytes, *edits: Edit, size: tuple[int, int] | None = None) -> np.ndarray:
    out = render(data, stated(data, *edits, size=size), Codec(quality=100))
    return simplejpeg.decode_jpeg(out, "RGB").astype(np.int16)


def close(found: np.ndarray, wanted: np.ndarray, within: int = 6) -> bool:
    """Equal but for JPEG's rounding, everywhere."""
    return (
        found.shape == wanted.shape and int(np.abs(found - wanted.astype(np.int16)).max()) <= within
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_shows_what_pillow_shows_and_no_reader_turns_it_again(form, orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = saved(corners(), form, exif=exif, **options.get(form, {}))
    source = Pillow.open(io.BytesIO(data))
    source.load()
    wanted = np.asarray(ImageOps.exif_transpose(source).convert("RGB"))
    out = render(data, stated(data, UPRIGHT), Codec(quality=100))
    assert close(simplejpeg.decode_jpeg(out), wanted)
    again = Pillow.open(io.BytesIO(out))
    assert ImageOps.exif_transpose(again).size == again.size == wanted.shape[1::-1]
    assert cv2.imdecode(np.frombuffer(out, np.uint8), cv2.IMREAD_COLOR).shape == wanted.shape


def test_an_edited_file_carries_no_metadata_and_needs_no_conversion():
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = saved(corners(), "JPEG", exif=exif, icc_profile=bytes(128), comment=b"mine", xmp=b"<x/>")
    out = render(data, stated(data, UPRIGHT), Codec())
    info = Pillow.open(io.BytesIO(out)).info
    assert set(info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert probe(out).orientation == 1
    assert needs_convert(probe(out)) is None


def with_alpha(alpha: np.ndarray) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(np.dstack([corners(), alpha])).save(out, "PNG")
    return out.getvalue()


def without_adobe(data: bytes) -> bytes:
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def test_cmyk_of_every_kind_comes_out_in_its_own_colours():
    pixels = corners()
    inverted = np.dstack([pixels, np.full((64, 96), 255, np.uint8)])
    adobe = saved(pixels, "JPEG", "CMYK", quality=100, subsampling=0)
    assert close(rendered(adobe, CONVERT), pixels)
    assert close(rendered(simplejpeg.encode_jpeg(inverted, 100, "CMYK", "444"), CONVERT), pixels)
    # Without the marker the standard is silent; browsers and Pillow read it as Adobe writes it.
    assert close(rendered(without_adobe(adobe), CONVERT), pixels)


@pytest.mark.parametrize("mode", ["P", "L", "1", "LA"])
def test_palette_and_grey_pictures_become_the_rgb_they_show(mode):
    data = saved(corners(), "PNG", mode)
    wanted = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))
    assert close(rendered(data, CONVERT), wanted)


def test_a_grey_jpeg_becomes_three_equal_channels():
    data = saved(corners(), "JPEG", "L", quality=100)
    found = rendered(data, CONVERT)
    assert close(found, simplejpeg.decode_jpeg(data, "RGB"), within=2)
    assert np.ptp(found, axis=2).max() <= 1


@pytest.mark.parametrize("form", ["WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_become_jpeg(form):
    data = saved(corners(), form, **({"lossless": True} if form == "WEBP" else {}))
    assert close(rendered(data, CONVERT), corners())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled_and_never_clipped(channels):
    ramp = np.linspace(0, 65535, 96).astype(np.uint16)
    deep = np.repeat(np.tile(ramp, (64, 1))[:, :, None], channels, axis=2)
    if channels == 4:
        deep[:, :, 3] = 65535
    found = rendered(cv2.imencode(".png", deep)[1].tobytes(), CONVERT)
    wanted = np.repeat((np.tile(ramp, (64, 1)) / 257).round()[:, :, None], 3, axis=2)
    assert close(found, wanted, within=3)


def test_sixteen_bit_grey_tiff_is_scaled_too():
    deep = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (64, 1))
    out = io.BytesIO()
    Pillow.fromarray(deep).save(out, "TIFF")
    found = rendered(out.getvalue(), CONVERT)
    assert close(found, np.repeat((deep / 257).round()[:, :, None], 3, axis=2), within=2)


def test_samples_without_a_known_white_are_refused():
    out = io.BytesIO()
    Pillow.fromarray(np.ones((8, 8), np.float32)).save(out, "TIFF")
    with pytest.raises(Rejected, match="32-bit samples have no known white"):
        render(out.getvalue(), stated(out.getvalue(), CONVERT), Codec())


def test_transparency_is_laid_over_white():
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[:24, :24] = 0
    alpha[:24, -24:] = 128
    wanted = corners()
    wanted[:24, :24] = 255
    wanted[:24, -24:] = (147, 227, 147)  # half of (40, 200, 40), half white
    assert close(rendered(with_alpha(alpha), CONVERT), wanted)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_transparent_colour_is_laid_over_white(mode):
    flat = np.zeros((32, 32, 3), np.uint8)
    flat[:, 16:] = 255
    data = saved(flat, "PNG", mode, transparency={"RGB": (0, 0, 0), "L": 0, "P": 0}[mode])
    source = Pillow.open(io.BytesIO(data)).convert("RGBA")
    clear = np.asarray(source)[:, :, 3] == 0
    assert clear.any()
    assert close(rendered(data, CONVERT)[clear], np.full((int(clear.sum()), 3), 255), within=8)


def test_a_crop_is_rounded_outwards_and_cut_at_the_edge():
    table = [
        # box, window
        ((10.2, 5.9, 20.0, 8.1), (10, 5, 20, 9)),
        ((-4, -4, 3.5, 2), (0, 0, 4, 2)),
        ((90, 60, 200, 200), (90, 60, 96, 64)),
    ]
    for box, window in table:
        assert crop_window(Box(*box), 96, 64) == window
    for outside in ((96, 0, 99, 9), (0, -9, 5, 0), (5, 5, 5, 9)):
        with pytest.raises(ValueError, match="has no pixel"):
            crop_window(Box(*outside), 96, 64)


def test_a_crop_holds_the_pixels_of_its_window():
    edit = Edit(kind="crop", box=Box(70.5, 0, 96, 30.2))
    found = rendered(saved(corners()), edit, size=(26, 31))
    assert close(found, corners()[:31, 70:96], within=12)


def outline(found: np.ndarray, colour: str) -> np.ndarray:
    return np.abs(found - np.array(COLOURS[colour], np.int16)).max(axis=2) < 60


@pytest.mark.parametrize("colour", COLOURS)
def test_a_mark_frames_its_box_from_outside(colour):
    grey = np.full((300, 450, 3), 128, np.uint8)
    found = rendered(saved(grey), Edit(kind="mark", box=Box(100, 50, 200, 150), colour=colour))
    drawn = outline(found, colour)
    wanted = np.zeros((300, 450), bool)
    wanted[48:152, 98:202] = True
    wanted[50:150, 100:200] = False
    assert (drawn == wanted).all()


def test_the_line_grows_with_the_picture():
    for side, line in ((100, 2), (300, 2), (900, 6), (1500, 10)):
        grey = np.full((side, side, 3), 128, np.uint8)
        found = rendered(saved(grey), Edit(kind="mark", box=Box(40, 40, 60, 60)))
        assert outline(found, "red")[50].sum() == 2 * line


@pytest.mark.parametrize(
    "box",
    [(0, 0, 300, 300), (-20, 50, 40, 90), (290, 290, 310, 305), (0, 299, 300, 300), (0, 0, 1, 1)],
)
def test_a_mark_at_the_edge_of_the_picture_shows_on_all_four_sides(box):
    grey = np.full((300, 300, 3), 128, np.uint8)
    found = rendered(saved(grey), Edit(kind="mark", box=Box(*box)))
    drawn = outline(found, "red")
    x1, y1, x2, y2 = crop_window(Box(*box), 300, 300)
    for row in (max(0, y1 - 2), min(299, y2 + 1)):
        assert drawn[row, max(0, x1 - 2) : min(300, x2 + 2)].all()
    for column in (max(0, x1 - 2), min(299, x2 + 1)):
        assert drawn[max(0, y1 - 2) : min(300, y2 + 2), column].all()


def test_a_mark_on_a_crop_moves_with_it_and_orientation_comes_first():
    exif = Pillow.Exif()
    exif[0x0112] = 6
    stored = np.full((200, 300, 3), 128, np.uint8)
    data = saved(stored, "PNG", exif=exif)  # upright: 200 wide, 300 high
    edits = (
        Edit(kind="mark", box=Box(60, 220, 100, 260), colour="blue"),
        Edit(kind="crop", box=Box(40, 180, 140, 300)),
    )
    drawn = outline(rendered(data, *edits, size=(100, 120)), "blue")
    wanted = np.zeros((120, 100), bool)
    wanted[38:82, 18:62] = True
    wanted[40:80, 20:60] = False
    assert (drawn == wanted).all()


def test_the_same_edits_give_the_same_bytes_and_the_codec_is_obeyed():
    data = saved(corners())
    image = stated(data, Edit(kind="mark", box=Box(30, 30, 60, 50)))
    assert render(data, image, Codec()) == render(data, image, Codec())
    for subsampling in ("444", "422", "420"):
        out = render(data, image, Codec(subsampling=subsampling, quality=70))
        assert simplejpeg.decode_jpeg_header(out)[3] == subsampling
    assert len(render(data, image, Codec(quality=50))) < len(render(data, image, Codec(quality=95)))


def test_full_chroma_keeps_a_red_line_red():
    grey = np.full((300, 300, 3), 128, np.uint8)
    image = stated(saved(grey), Edit(kind="mark", box=Box(51, 51, 200, 200)))
    worst = {}
    for subsampling in ("444", "420"):
        out = simplejpeg.decode_jpeg(render(saved(grey), image, Codec(subsampling=subsampling)))
        worst[subsampling] = int(np.abs(out[100, 49:51].astype(int) - [255, 0, 0]).max())
    assert worst["444"] <= 10 < 30 < worst["420"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edits": (Edit(kind="crop", box=Box(0, 0, 9, 9)),) * 2}, "2 crops"),
        ({"edits": (Edit(kind="crop"),)}, "a crop needs a box"),
        ({"edits": (Edit(kind="mark", box=Box(0, 0, 9, 9), colour="puce"),)}, "'puce'.*magenta"),
        ({"edits": (Edit(kind="mark", box=Box(96, 0, 99, 9)),)}, "no pixel"),
        ({"edits": (CONVERT,), "width": 95}, "is 96x64 after its edits, but states 95x64"),
        ({"edits": (UPRIGHT,), "orientation": 6}, "states orientation 6, its file 1"),
    ],
)
def test_edits_that_cannot_be_are_an_error_that_says_why(change, message):
    fields = {"uri": "c:a", "width": 96, "height": 64} | change
    with pytest.raises(ValueError, match=message):
        render(saved(corners()), Image(**fields), Codec())


def test_a_damaged_file_is_never_drawn_on():
    data = saved(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8), "JPEG")
    for broken in (data[: len(data) // 2], data[:9000] + b"\xff\xd9" + data[9000:]):
        with pytest.raises(Rejected):
            render(broken, stated(data, CONVERT), Codec())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_thumbnail_fits_its_square_and_stands_upright(form, orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = saved(corners(960, 640), form, exif=exif)
    small = simplejpeg.decode_jpeg(thumbnail(data, 120))
    assert small.shape == ((120, 80, 3) if orientation == 6 else (80, 120, 3))
    source = Pillow.open(io.BytesIO(data))
    source.load()
    upright = np.asarray(ImageOps.exif_transpose(source).convert("RGB"))
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.abs(small[y, x].astype(int) - upright[y, x].astype(int)).max() < 40


def test_a_thumbnail_never_enlarges_and_shows_what_a_cut_file_holds():
    assert probe(thumbnail(saved(corners()), 400)).upright == (96, 64)
    assert probe(thumbnail(saved(corners(), "JPEG", "CMYK"), 48)).upright == (48, 32)
    whole = saved(np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8), "JPEG")
    assert probe(thumbnail(whole[: len(whole) // 2], 100)).upright == (100, 100)
    with pytest.raises(Rejected, match="empty image"):
        thumbnail(b"", 100)


@pytest.mark.real
def test_robustness_files_convert_to_what_pillow_shows():
    root = Path(os.environ["MGDATA_CORPORA"]) / "robustness"
    names = ["cmyk.jpg", "gray.jpg", "gray_alpha.png", "palette.png", "photo.webp", "rgba.png"]
    for name in names:
        data = (root / "odd" / name).read_bytes()
        wanted = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))
        assert close(rendered(data, CONVERT), wanted, within=10), name
    for name, size in (("Landscape_6.jpg", (1800, 1200)), ("Portrait_8.jpg", (1200, 1800))):
        data = (root / "exif" / name).read_bytes()
        wanted = np.asarray(ImageOps.exif_transpose(Pillow.open(io.BytesIO(data))))
        assert close(rendered(data, UPRIGHT, size=size), wanted, within=10), name
