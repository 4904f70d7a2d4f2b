"""What an image file says about itself: format, size, orientation, colours, from its first bytes.

The bytes decide what a file is, never its name. No pixel is decoded here and no file is opened;
whether a file keeps what its header says is asked in `images`.

Formats: JPEG (ITU-T T.81 annex B), PNG (W3C third edition), WebP (RFC 9649), GIF89a, BMP and
TIFF 6.0, whose directory is also what EXIF is made of.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

from mgdata.errors import Rejected
from mgdata.storage import Root

Mode = Literal["grey", "rgb", "cmyk", "palette"]

HEAD = 65536
"""Bytes that hold the header of nearly every file; `Incomplete` where they do not."""


class Incomplete(Rejected):
    """The bytes end before the header does: read more of the file, if there is more."""

    def __init__(self, what: str) -> None:
        super().__init__("truncated image", what)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says about its pixels, before any is decoded."""

    format: str
    """`jpeg`, `png`, `webp`, `gif`, `bmp` or `tiff`."""
    width: int
    """Pixels as stored, before the orientation is applied."""
    height: int
    """Pixels as stored, before the orientation is applied."""
    orientation: int = 1
    """EXIF orientation, 1 to 8; 1 where there is none or no such value."""
    mode: Mode = "rgb"
    """Colours of the stored samples."""
    bits: int = 8
    """Bits of one sample."""
    alpha: bool = False
    """It can be transparent (not told for GIF)."""
    animated: bool = False
    """It has more than one frame or page."""
    disputed: bool = False
    """XMP asks for a rotation and EXIF is silent: Pillow turns it, browsers and OpenCV do not."""

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after the orientation is applied."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height


def probe(data: bytes) -> Header:
    """Read the header of an image file from its first bytes.

    Raises:
        Incomplete: `data` ends inside the header. A caller that holds only the head (`HEAD` bytes
            nearly always do) reads the rest and asks again.
        Rejected: `empty image`, `unreadable image` (no image, or a kind that no reader here
            knows) or `corrupt image`.
    """
    reader = _READERS.get(data[:2])
    if reader is None:
        raise _unreadable(data)
    try:
        header = reader(data)
    except (IndexError, struct.error):
        raise Incomplete(f"the header goes on after {len(data)} bytes") from None
    if header.width < 1 or header.height < 1:
        raise Rejected("corrupt image", f"its header says {header.width}x{header.height}")
    return header


def header_of(root: Root, path: str) -> Header:
    """The header of an image file below a corpus' root: the file's first bytes, or all of it.

    Raises:
        Rejected: it is no image, or a damaged one; names the file.
        StorageError: as `Root.read`.
    """
    try:
        try:
            return probe(root.head(path, HEAD))
        except Incomplete:
            return probe(root.read(path))
    except Rejected as error:
        found = path if error.value is None else f"{path}: {error.value}"
        raise Rejected(error.reason, found) from None


_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_OTHER_FRAMES = frozenset((0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF))
_MODES: dict[int, Mode] = {1: "grey", 3: "rgb", 4: "cmyk"}
_XMP_TURN = re.compile(rb'tiff:Orientation(?:="|>)[2-8]')


def segments(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment from `at` on, up to a scan's or the image's end."""
    while True:
        if data[at] != 0xFF:
            raise Rejected("corrupt image", f"byte {at} should begin a JPEG marker")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            yield marker, at, at + 2
            return
        start = at + 4
        at += 2 + (data[at + 2] << 8 | data[at + 3])
        if at < start:
            raise Rejected("corrupt image", f"JPEG segment {marker:#x} has no length")
        yield marker, start, at
        if marker == 0xDA:
            return


def _jpeg(data: bytes) -> Header:
    frame: tuple[int, int, int, int] | None = None
    orientation, disputed, end = 0, False, 0
    for marker, start, end in segments(data, 2):
        if marker in _FRAMES:
            frame = struct.unpack_from(">BHHB", data, start)
        elif marker == 0xE1:
            if data.startswith(b"Exif\0", start) and not orientation:
                orientation = orientation_in(data[start + 6 : end])
            elif data.startswith(b"http://ns.adobe.com/xap/1.0/", start):
                disputed |= _XMP_TURN.search(data, start, end) is not None
        elif marker in _OTHER_FRAMES:
            raise Rejected("unreadable image", f"JPEG frame type {marker:#x} (lossless or staged)")
    if len(data) < end:
        raise IndexError
    if frame is None:
        raise Rejected("corrupt image", "a JPEG without a frame header")
    bits, height, width, components = frame
    if bits != 8 or components not in _MODES:
        raise Rejected("unreadable image", f"JPEG of {components} times {bits} bits a pixel")
    return Header(
        format="jpeg",
        width=width,
        height=height,
        orientation=orientation or 1,
        mode=_MODES[components],
        disputed=disputed and not orientation,
    )


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each PNG chunk, up to and with `IEND`."""
    at, name = 8, b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at + 8, at + 8 + length
        at += 12 + length


def _png(data: bytes) -> Header:
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or colour not in (0, 2, 3, 4, 6):
        raise Rejected("corrupt image", "its PNG signature or IHDR chunk is damaged")
    alpha, animated, orientation, disputed = colour >= 4, False, 0, False
    for name, start, end in chunks(data):
        if name == b"IDAT":
            break
        if name == b"tRNS":
            alpha = True
        elif name == b"acTL":
            animated = struct.unpack_from(">I", data, start)[0] > 1
        elif name == b"eXIf":
            orientation = orientation_in(data[start:end])
        elif name == b"iTXt":
            disputed |= _XMP_TURN.search(data, start, end) is not None
    return Header(
        format="png",
        width=width,
        height=height,
        orientation=orientation or 1,
        mode="palette" if colour == 3 else "rgb" if colour in (2, 6) else "grey",
        bits=bits,
        alpha=alpha,
        animated=animated,
        disputed=disputed and not orientation,
    )


def riff(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each WebP chunk, to the end that RIFF states."""
    at, end = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while at < end:
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, at + 8 + length
        at += 8 + length + length % 2


def _webp(data: bytes) -> Header:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise _unreadable(data)
    kind, flags = data[12:16], data[20]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header(format="webp", width=width & 0x3FFF, height=height & 0x3FFF)
    if kind == b"VP8L":
        packed = struct.unpack_from("<I", data, 21)[0]
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        return Header(format="webp", width=width, height=height, alpha=bool(packed >> 28 & 1))
    if kind != b"VP8X":
        raise Rejected("corrupt image", f"WebP begins with a {kind!r} chunk")
    width, high, height = struct.unpack_from("<HBH", data, 24)
    orientation = 0
    if flags & 0x08:
        for name, start, end in riff(data):
            if name == b"EXIF":
                orientation = orientation_in(data[start:end].removeprefix(b"Exif\0\0"))
    return Header(
        format="webp",
        width=(width | high << 16) + 1,
        height=(height | data[29] << 16) + 1,
        orientation=orientation or 1,
        alpha=bool(flags & 0x10),
        animated=bool(flags & 0x02),
    )


def _gif(data: bytes) -> Header:
    """Walks all blocks up to a second picture: only they tell whether it moves."""
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        raise _unreadable(data)
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, pictures = 13 + _colours(flags), 0
    while (block := data[at]) != 0x3B and pictures < 2:
        if block == 0x2C:
            pictures += 1
            at += 11 + _colours(data[at + 9])
        elif block == 0x21:
            at += 2
        else:
            raise Rejected("corrupt image", f"byte {at} of the GIF begins no block")
        while data[at]:
            at += 1 + data[at]
        at += 1
    return Header(format="gif", width=width, height=height, mode="palette", animated=pictures > 1)


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _bmp(data: bytes) -> Header:
    size, width, height, _, bits = struct.unpack_from("<IiiHH", data, 14)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    elif size not in (40, 52, 56, 64, 108, 124):
        raise _unreadable(data)
    mode: Mode = "palette" if bits <= 8 else "rgb"
    return Header(format="bmp", width=width, height=abs(height), mode=mode)


def _tiff(data: bytes) -> Header:
    tags, more = _directory(data)
    photometric = tags.get(262, 2)
    modes: dict[int, Mode] = {0: "grey", 1: "grey", 3: "palette", 5: "cmyk"}
    return Header(
        format="tiff",
        width=tags.get(256, 0),
        height=tags.get(257, 0),
        orientation=tags.get(274, 1) if 1 <= tags.get(274, 1) <= 8 else 1,
        mode=modes.get(photometric, "rgb"),
        bits=tags.get(258, 1),
        alpha=338 in tags,
        animated=more,
    )


def _directory(data: bytes) -> tuple[dict[int, int], bool]:
    """First values of a TIFF directory's integer tags, and whether another directory follows."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise _unreadable(data)
    at = struct.unpack_from(order + "I", data, 4)[0]
    tags: dict[int, int] = {}
    for _ in range(struct.unpack_from(order + "H", data, at)[0]):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at + 2)
        if (form := _INTEGERS.get(kind)) is not None:
            inline = struct.calcsize(form) * count <= 4
            where = at + 10 if inline else struct.unpack_from(order + "I", data, at + 10)[0]
            tags[tag] = struct.unpack_from(order + form, data, where)[0]
        at += 12
    return tags, struct.unpack_from(order + "I", data, at + 2)[0] != 0


_INTEGERS = {1: "B", 3: "H", 4: "I"}


def orientation_in(exif: bytes) -> int:
    """The orientation in an EXIF block (a TIFF file of its own); 0 where there is none."""
    try:
        value = _directory(exif)[0].get(274, 0)
    except (struct.error, Rejected):
        return 0
    return value if 1 <= value <= 8 else 0


_READERS = {
    b"\xff\xd8": _jpeg,
    b"\x89P": _png,
    b"RI": _webp,
    b"GI": _gif,
    b"BM": _bmp,
    b"II": _tiff,
    b"MM": _tiff,
}


def _unreadable(data: bytes) -> Rejected:
    if not data:
        return Rejected("empty image", "0 bytes")
    if data.startswith(b"version https://git-lfs"):
        return Rejected("unreadable image", "a Git LFS pointer; fetch the file with `git lfs pull`")
    return Rejected("unreadable image", f"begins with {data[:12]!r}, no known image format")
