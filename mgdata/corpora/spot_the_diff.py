"""Spot-the-Diff: two stills of one surveillance camera, and sentences of what differs. No boxes.

    ROOT/data/annotations/{train,val,test}.json    [{"img_id": "100", "sentences": ["...", ...]}]
    ROOT/data/resized_images/<id>.png              before, 224x224 as published
                             <id>_2.png            after
                             <id>_diff.jpg         not read

9,524 / 1,634 / 1,404 descriptions. The repository states no licence.

The boxes are ours: what differs between the pictures (`differences`), a box for each cluster. A
pair is kept only where there are as many boxes as sentences, as one sentence speaks of one change
when all goes well. It is dropped, as no one can say which is wrong, where the numbers disagree
(what is too small leaves no cluster), where a sentence speaks of several things, and where one
speaks of a move, which leaves two clusters or one that fits neither picture. Which sentence speaks
of which box is not told, so a region has a phrase only where there is one of each.

Pixels do not say whether a thing came or went, so the region stands in both pictures, at the same
place, as the camera does not move. The label is `change`.

An id comes up to three times in a file, with the words of other people. These are one pair and
one record: the descriptions must all agree with the boxes, and the first gives the phrase. A
sentence that says that nothing differs makes a pair without regions, if the pixels agree.

Measured on 29 photos at 224x224, 0 to 3 cut-outs of COCO pasted into either side, 200 pairs a
condition: clean, noise of 4 grey levels, JPEG 50 and a change of light by 15 % leave as many boxes
as changes in 96 % of the pairs, all of them over IoU 0.5; a shift by up to a pixel, which edges
show, in 83 %, 246 of 247 boxes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from mgdata.corpora import clips, differences
from mgdata.corpora.differences import Mask, Pixels
from mgdata.data import ALL, Drop, Image, Record, Shape
from mgdata.errors import MissingFile, OutsideRoot, Rejected, StorageError, UsageError
from mgdata.headers import Header
from mgdata.plugins import Corpus

Split = Literal["train", "val", "test"]

LABEL = "change"
PAIRS = 500
"""Pairs in a part: about five seconds of work."""

DISAGREE = "boxes disagree with sentences"
ALL_OVER = 0.5
"""Share of changed pixels from which two pictures are no longer one scene."""

_SAME = re.compile(
    r"\b(?:no|any|zero|not?\s+much|little)\s+(?:\w+\s+){0,2}(?:difference|change)s?\b"
    r"|\b(?:nothing|not?\s*thing)\s+(?:\w+\s+){0,2}(?:change|different|difference)"
    r"|\b(?:are|look|looks|is|be|seem|appear)\s+(?:\w+\s+)?(?:identical|the\s+same)\b"
    r"|\b(?:can\s*not|can't|cannot|don't|do\s+not|didn't|couldn't)\s+\w+\s+(?:a|the)\s+"
    r"(?:difference|change)",
    re.IGNORECASE,
)
"""Says that the pictures do not differ."""
_SEVERAL = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|[2-9]|[1-9][0-9]|couple|few|both|several|"
    r"multiple|many|some|various)\s+(?!of\s+the\s+(?:picture|image|photo)s?\b)\w+"
    r"|\b(?:and|while|but)\s+(?:the|a|an|one|there|another|now|he|she|they)\b",
    re.IGNORECASE,
)
"""Speaks of more than one thing: a number, or a second clause."""
_MOVE = re.compile(
    r"\b(?:mov(?:e|es|ed|ing)|shift(?:s|ed)?|switched|swapped)\b"
    r"|\b(?:different|another|new|other)\s+(?:\w+\s+)?(?:place|position|location|spot)s?\b"
    r"|\b(?:chang(?:e|es|ed|ing)|switched)\s+(?:\w+\s+)?(?:place|position|location|spot)s?\b",
    re.IGNORECASE,
)
"""Speaks of a thing that is there in both pictures, at two places."""


class _Description(msgspec.Struct, frozen=True):
    img_id: Annotated[str, msgspec.Meta(min_length=1)]
    sentences: list[str]


@dataclass(frozen=True)
class _Pair:
    """All that a file says of one pair."""

    key: str
    descriptions: tuple[_Description, ...]
    fault: str | None = None
    """What is wrong with an entry that names no pair."""


@dataclass(frozen=True, kw_only=True)
class SpotTheDiff(Corpus):
    """Reads Spot-the-Diff: a record is a pair of pictures, its key `<name>/<split>/<img_id>`."""

    license: ClassVar[str] = "unknown"
    homepage: ClassVar[str] = "https://github.com/harsh19/spot-the-diff"
    layout: ClassVar[str] = (
        "data/annotations/{train,val,test}.json\n"
        "data/resized_images/<id>.png, <id>_2.png (<id>_diff.jpg is not read)"
    )
    shape: ClassVar[Shape] = "pair"

    splits: tuple[Split, ...] = ("train",)
    """Which annotation files are read."""
    folder: str = "data/resized_images"
    """Where the pictures lie: another folder for those of the original size."""
    threshold: float = 30.0
    """Grey levels by which a pixel must differ, more where the pictures are noisy."""
    min_area: float = 0.0005
    """Least number of changed pixels of a box, as a share of the picture's (25 at 224x224)."""
    gap: float = 0.03
    """Changes nearer than this share of the picture's shorter side are one."""

    def parts(self) -> list[str]:
        """`<split>/<number of the first pair>` for every 500 pairs of the splits.

        Raises:
            UsageError: an annotation file is missing, or is not the JSON that it should be.
        """
        return [
            f"{split}/{start:05d}"
            for split in self.splits
            for start in range(0, max(1, len(self._pairs(split))), PAIRS)
        ]

    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of 500 pairs, or their drops."""
        split, _, start = part.partition("/")
        for pair in self._pairs(split)[int(start) : int(start) + PAIRS]:
            key = f"{split}/{pair.key}"
            try:
                yield self._record(key, pair)
            except Rejected as error:
                yield self.drop(key, error.reason, error.value)
            except OutsideRoot as error:
                yield self.drop(key, clips.OUTSIDE, error.path)
            except StorageError as error:
                yield self.drop(key, "unreadable file", str(error))

    def _pairs(self, split: str) -> list[_Pair]:
        """The pairs of a file in its order; entries of one id together."""
        path = f"data/annotations/{split}.json"
        found: dict[str | int, list[_Description]] = {}
        faults: dict[str | int, str] = {}
        for number, entry in enumerate(self._entries(path)):
            try:
                description = msgspec.convert(entry, _Description)
            except msgspec.ValidationError as error:
                found[number], faults[number] = [], str(error)
                continue
            found.setdefault(description.img_id, []).append(description)
        return [
            _Pair(key if isinstance(key, str) else f"#{key}", tuple(said), faults.get(key))
            for key, said in found.items()
        ]

    def _entries(self, path: str) -> list[Any]:
        try:
            return msgspec.json.decode(self.root.read(path), type=list[Any])
        except MissingFile:
            raise clips.wrong_layout(self, path) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(
                f"{self.root.url}: {path} is no list of img_id and sentences: {error}; "
                "get a fresh copy of this file"
            ) from None

    def _record(self, key: str, pair: _Pair) -> Record:
        if pair.fault is not None:
            raise Rejected("malformed annotation", pair.fault)
        told, skipped = _told(pair.descriptions)
        images, headers, pixels = self._pictures(pair.descriptions[0].img_id)
        masks = self._changes(pixels, headers, same=not told[0])
        _agree(len(masks), told)
        phrase = told[0][0] if len(masks) == 1 else None
        return Record(
            key=f"{self.name}/{key}",
            shape=self.shape,
            unit=pair.key,
            images=images,
            regions=differences.both_sides(masks, headers, label=LABEL, phrase=phrase),
            license=self.license,
            exhaustive=(ALL,),
            skipped=dict(sorted(skipped.items())),
        )

    def _pictures(
        self, img_id: str
    ) -> tuple[tuple[Image, ...], tuple[Header, ...], tuple[Pixels, ...]]:
        """Both pictures of a pair: references, headers, pixels.

        Raises:
            Rejected: one is missing or unfit, or they differ in size.
        """
        paths = [f"{self.folder}/{img_id}{side}.png" for side in ("", "_2")]
        read = [differences.read(self.root, path) for path in paths]
        headers = tuple(header for header, _ in read)
        sizes = {(h.width, h.height, h.orientation) for h in headers}
        if len(sizes) > 1:
            said = " and ".join(f"{h.width}x{h.height}" for h in headers)
            raise Rejected("image sizes differ", said)
        images = tuple(
            differences.image(self.uri(path), header)
            for path, header in zip(paths, headers, strict=True)
        )
        return images, headers, tuple(pixels for _, pixels in read)

    def _changes(
        self, pixels: Sequence[Pixels], headers: Sequence[Header], *, same: bool
    ) -> list[Mask]:
        """The clusters of what changed; where nothing should have, smaller ones count too."""
        mask = differences.changed(pixels[0], pixels[1], threshold=self.threshold)
        share = float(mask.mean())
        if share > ALL_OVER:
            raise Rejected("pictures differ all over", f"{share:.0%} of the pixels")
        least = self.min_area / 4 if same else self.min_area
        return differences.clusters(mask, min_area=least, gap=self.gap)


def _told(descriptions: Sequence[_Description]) -> tuple[list[tuple[str, ...]], Counter[str]]:
    """The differences that each description tells of, none for "no difference"; what was left out.

    Raises:
        Rejected: there is no sentence, one speaks of several things, or they contradict.
    """
    told: list[tuple[str, ...]] = []
    skipped: Counter[str] = Counter()
    for description in descriptions:
        sentences = [" ".join(sentence.split()) for sentence in description.sentences]
        written = [sentence for sentence in sentences if sentence]
        skipped["blank sentence"] += len(sentences) - len(written)
        if not written:
            continue
        told.append(_differences(written))
    if not told:
        raise Rejected("no sentence")
    skipped["further description"] = len(told) - 1
    return told, +skipped


def _differences(sentences: Sequence[str]) -> tuple[str, ...]:
    same = [sentence for sentence in sentences if _SAME.search(sentence)]
    if same and len(same) < len(sentences):
        raise Rejected("sentences contradict each other", same[0][:80])
    if same:
        return ()
    for sentence in sentences:
        if _SEVERAL.search(sentence):
            raise Rejected("sentence speaks of several things", sentence[:80])
        if _MOVE.search(sentence):
            raise Rejected("sentence speaks of a move", sentence[:80])
    return tuple(sentences)


def _agree(boxes: int, told: Sequence[Sequence[str]]) -> None:
    counts = list(dict.fromkeys(len(sentences) for sentences in told))
    if counts != [boxes]:
        said = " or ".join(map(str, counts))
        raise Rejected(DISAGREE, f"{boxes} boxes, {said} sentences")
