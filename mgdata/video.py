"""Frames of a video by their number, and a picture as PNG, with equal bytes on every machine.

A frame's number is its place in presentation order, counted from 0 over the times of all packets:
a file is read once to know them, and nothing is decoded. The frame that comes is held against its
time, never guessed from a frame rate. Knows no path and no root, only open files.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import IO, Any, NamedTuple

import numpy as np

from mgdata.errors import Rejected

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
"""What is opened as a video: formats that name no other file to be opened."""


class Video(NamedTuple):
    """What the header of a video says."""

    width: int
    """Pixels, as stored: a rotation that players apply is not applied."""
    height: int
    """Pixels, as stored."""
    frames: int
    """How many there are."""


class Film:
    """One open video. Frames asked for in order are decoded in one go."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        """Open `file`, which it closes; `path` is what its errors call it."""
        import av

        self._path = path
        self._file = file
        self._container: Any = None
        try:
            self._container = av.open(
                self._file,
                options={"format_whitelist": _CONTAINERS},
                metadata_errors="ignore",
                buffer_size=1 << 20,
            )
            if not self._container.streams.video:
                raise Rejected("undecodable video", f"{path}: no video stream")
        except BaseException:
            self.close()
            raise
        self._stream: Any = self._container.streams.video[0]
        if self._stream.codec_context is None or self._stream.codec_context.width < 1:
            self.close()
            raise Rejected("undecodable video", f"{path}: no decoder for its stream")
        # One thread: the workers are the parallelism, and every thread holds frames of its own.
        self._stream.codec_context.thread_count = 1
        self._frames: Iterator[Any] = iter(())
        self._at: int | None = None
        self._times: list[int] = []
        self._keys: list[tuple[int, int]] = []

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
        self._file.close()

    @property
    def header(self) -> Video:
        """Size, and the frames the header counts, or else those that are there."""
        context = self._stream.codec_context
        if not self._stream.frames:
            self._number()
        frames = self._stream.frames or len(self._times)
        return Video(int(context.width), int(context.height), frames)

    def pixels(self, number: int) -> Any:
        """Frame `number` in presentation order, [height, width, 3] 8-bit RGB."""
        self._number()
        if number >= len(self._times):
            raise Rejected(
                "frame beyond the end of the video",
                f"{self._path} has {len(self._times)} frames, none of number {number}",
            )
        frame = self._decoded(self._times[number])
        if frame is None or frame.is_corrupt:
            raise Rejected("undecodable video frame", f"{self._path}, frame {number}")
        return rgb(frame)

    def _number(self) -> None:
        """Read every packet once: its time is what numbers a frame, whatever the header says."""
        if self._times:
            return
        times: list[int] = []
        keys: list[tuple[int, int]] = []
        self._container.seek(0)
        self._at = None
        for packet in self._container.demux(self._stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None:
                raise Rejected("undecodable video", f"{self._path}: a frame without a time")
            times.append(packet.pts)
            if packet.is_keyframe:
                # Seeking goes by the time of decoding, which Matroska does not have.
                keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
        if not times or not keys or len(set(times)) < len(times):
            raise Rejected("undecodable video", f"{self._path}: no frames, or two of one time")
        self._times, self._keys = sorted(times), sorted(keys)

    def _decoded(self, time: int) -> Any:
        """The frame of exactly this time, or None where the decoder gives none."""
        key = max(0, bisect_right(self._keys, (time, 1 << 62)) - 1)
        going_there = self._at is not None and self._keys[key][0] <= self._at < time
        # From its key frame; where a container's index is off, from the first one.
        for start in ([None] if going_there else []) + [self._keys[key][1], self._keys[0][1]]:
            if start is not None:
                self._at = None
                self._container.seek(start, stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for frame in self._frames:
                self._at = frame.pts
                if frame.pts == time:
                    return frame
                if frame.pts is None or frame.pts > time:
                    break
            self._at = None
        return None


def rgb(frame: Any) -> Any:
    """8-bit RGB, by arithmetic that is equal on every machine.

    Where the video does not name its colours, those of players: BT.709 above 576 lines.
    """
    from av.video.reformatter import Colorspace, Interpolation

    named = int(frame.colorspace) != _UNNAMED
    space = None if named else Colorspace.ITU709 if frame.height > 576 else Colorspace.ITU601
    exact = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
    made = _reformatter().reformat(
        frame,
        format="rgb24",
        src_colorspace=space,
        interpolation=Interpolation.BILINEAR | exact,
        threads=1,
    )
    return made.to_ndarray()


_UNNAMED = 2
"""AVCOL_SPC_UNSPECIFIED."""


@lru_cache(maxsize=1)
def _reformatter() -> Any:
    from av.video.reformatter import VideoReformatter

    return VideoReformatter()


_STORED = 65535
"""Bytes of one stored block of deflate (RFC 1951, 3.2.4)."""


def png(pixels: Any) -> bytes:
    """An uncompressed PNG of [height, width, 3] 8-bit RGB: deflate's stored blocks only.

    zlib's own bytes differ between its builds; these do not.
    """
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    raw = rows.reshape(-1).data
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for at in range(0, len(raw), _STORED):
        block = raw[at : at + _STORED]
        last = at + _STORED >= len(raw)
        parts += [struct.pack("<BHH", last, len(block), 0xFFFF - len(block)), block]
    parts.append(struct.pack(">I", zlib.adler32(raw)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", b"".join(parts)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_size(width: int, height: int) -> int:
    """Bytes of what `png` makes of a picture this large."""
    raw = height * (1 + 3 * width)
    return 8 + 3 * 12 + 13 + 2 + 5 * -(-raw // _STORED) + raw + 4
