"""Photo lists: single pictures with one annotated object each.

ROOT/*.jsonl      one photo a line: {"file": ..., "label": ..., "box": [x1, y1, x2, y2]}
ROOT/<file>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from mgdata.data import Drop, Image, Record, Region, Shape
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.headers import HEAD, probe
from mgdata.plugins import Corpus


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a list."""

    file: str
    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class PhotoList(Corpus):
    """Reads photo lists: a part is a list, a record a photo, its key `<name>/<file>`."""

    license: ClassVar[str] = "CC0-1.0"
    homepage: ClassVar[str] = "https://example.org/photolist"
    layout: ClassVar[str] = "*.jsonl\n<file>"
    shape: ClassVar[Shape] = "image"

    suffix: str = ".jsonl"
    """Ending of the lists."""

    def parts(self) -> list[str]:
        """The lists, by name."""
        return [name for name in self.root.list() if name.endswith(self.suffix)]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """One record a line; a line that is none, or a photo that is none, is a drop."""
        for number, text in enumerate(self.root.read(part).splitlines(), 1):
            try:
                line = msgspec.json.decode(text, type=Line)
                header = probe(self.root.head(line.file, HEAD))
            except msgspec.MsgspecError as error:
                yield self.drop(f"{part}:{number}", "malformed line", str(error))
            except Rejected as error:
                yield self.drop(f"{part}:{number}", error.reason, error.value)
            else:
                image = Image(
                    uri=self.uri(line.file),
                    width=header.width,
                    height=header.height,
                    format=header.format,
                )
                yield Record(
                    key=f"{self.name}/{line.file}",
                    shape=self.shape,
                    unit=line.file,
                    images=(image,),
                    regions=(Region(image=0, box=Box(*line.box), label=line.label),),
                    license=self.license,
                    exhaustive=(line.label,),
                )
