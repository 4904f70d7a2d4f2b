"""The contracts: all that an author of corpora, measures, builders, filters and the like learns.

A plug-in is a frozen, keyword-only dataclass: its fields are its settings, its name is its entry
point. It raises plain Python errors; `errors.boundary` says whose they are. It is made on the
driver, sent to workers by value, and holds no open file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np

from mgdata.contents import sample_id, with_slots
from mgdata.data import (
    Association,
    Drop,
    Image,
    Record,
    Reply,
    Request,
    Sample,
    Scalar,
    Shape,
    Target,
    Turn,
)
from mgdata.errors import Rejected, StorageError
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.placeholders import fill
from mgdata.storage import Root

Grouping = Literal["alone", "one has", "known", "all share", "two share", "any"]
"""Each record by itself; the first has one thing of a class that no other has at all; the first has
a class whose every thing is annotated in each other, or which is known not to be there; all have
exactly one class in common; both have one thing of the same class, or of the same part; or sets
of which nothing but the common rules is promised."""


@dataclass(frozen=True, kw_only=True)
class Corpus(ABC):
    """Reads one on-disk format into records.

    Pure: the same files give the same records in the same order. `parts` runs on the driver and
    only lists; `records` runs on a worker and reads one part.
    """

    license: ClassVar[str]
    """SPDX id or `unknown`."""
    homepage: ClassVar[str]
    """Where to get the data."""
    layout: ClassVar[str]
    """The folder layout, a few lines, as `mgdata corpora` prints it."""
    shape: ClassVar[Shape]
    """Shape of its records."""
    frame: ClassVar[Literal["stored", "upright"]] = "stored"
    """Which pixels its boxes refer to where a photo carries an EXIF rotation."""

    name: str
    """What the recipe calls it: first part of record keys and image uris."""
    root: Root
    """Where it lies."""

    @abstractmethod
    def parts(self) -> list[str]:
        """The units of parallel ingest, in order; a clip or an annotation file each.

        Raises:
            UsageError: the root does not look like this layout; says what is missing.
        """

    @abstractmethod
    def records(self, part: str) -> Iterator[Record | Drop]:
        """The records of one part, or why there is none."""

    def uri(self, path: str) -> str:
        """The reference to a file below the root."""
        return f"{self.name}:{path}"

    def drop(self, key: str, reason: str, value: str | None = None) -> Drop:
        """A record that is not there, and why."""
        return Drop(key=f"{self.name}/{key}", stage="ingest", reason=reason, value=value)


Fact = Scalar | bytes
"""What a column of the index holds of a record: a scalar, or a vector's bytes."""
MeasureMany = Callable[[Sequence[Record]], Sequence[Mapping[str, Fact] | Rejected | StorageError]]
"""Facts of some records, in their order, or for one of them the error that makes it unfit."""


@dataclass(frozen=True, kw_only=True)
class Measure(ABC):
    """Adds named facts to an image or to a record. Pure in what it is given, pixels included."""

    keyed: ClassVar[Literal["image", "record"]]
    """`image`: asked once for each chosen image. `record`: for every record, before choosing."""

    @property
    def gpus(self) -> float:
        """GPUs that a worker takes which measures records with it."""
        return 0.0

    @property
    def most_workers(self) -> int | None:
        """Most workers at once that measure records with it; None: as many as there are."""
        return None

    def image(self, image: Image, data: bytes) -> Mapping[str, Scalar]:
        """Facts of one stored image. Raises `Rejected` where the image is unfit."""
        raise NotImplementedError

    def record(self, record: Record) -> Mapping[str, Fact]:
        """Facts of one record: columns of the index. Raises `Rejected` where it is unfit."""
        raise NotImplementedError

    def open(self, read: Callable[[Image], bytes]) -> AbstractContextManager[MeasureMany]:
        """What measures records on one worker: some hundreds at once, in the order of their table.

        Overridden by a measure that looks at pixels or loads a model: it opens no file itself, but
        has `read`, which any thread may call, give it the stored bytes of an image (raises
        `Rejected` or `StorageError`). Default: `record`, one after the other.
        """
        del read
        return nullcontext(self._each)

    def _each(
        self, records: Sequence[Record]
    ) -> list[Mapping[str, Fact] | Rejected | StorageError]:
        found: list[Mapping[str, Fact] | Rejected | StorageError] = []
        for record in records:
            try:
                found.append(self.record(record))
            except (Rejected, StorageError) as error:
                found.append(error)
        return found


@dataclass(frozen=True, kw_only=True)
class Builder(ABC):
    """One task: which records belong together, and what is asked about them.

    A builder with a setting `count: Count | None` makes samples of that many targets and no
    others, alike in all else that can be seen before answering; a recipe's `shares` set it.
    """

    association: ClassVar[Association]
    shapes: ClassVar[tuple[Shape, ...]]
    """Shapes of the records it can use."""
    targets: ClassVar[str]
    """`one`, `many`, `none` or a mixture in words, for the list of tasks."""
    grouping: ClassVar[Grouping] = "alone"
    """What `groups` promises of the records it puts together; `mgdata.audit` checks it."""
    steps: ClassVar[tuple[str, ...]] = ()
    """Steps of reasoning that a teacher is given; empty: those of the association."""
    drafts: ClassVar[bool] = False
    """Whether its samples only list what is annotated, for a teacher to write a question about."""

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Rows of the index that belong together, best first; called once a split.

        Runs on the driver and sees columns only. A group may come again: each time it is built
        with a stream of its own. Default: every record alone, in random order.
        """
        for row in index.rows[rng.permutation(len(index))]:
            yield (int(row),)

    def expected(self) -> float:
        """Samples that a group gives on average where none is dropped; for the first round."""
        return 1.0

    @abstractmethod
    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """The samples of one group: a pure function of records and stream, on a worker."""

    def sample(
        self, records: Sequence[Record], images: Sequence[Image], turns: Sequence[Turn]
    ) -> Sample:
        """A sample of these images and turns. The stage fills in task and split.

        Puts an `<image:i>` slot for every image before the first question where it has none.
        """
        first = turns[0]
        if "<image:" not in first.question:
            question = with_slots(first.question, len(images))
            first = msgspec.structs.replace(first, question=question)
        return Sample(
            id=sample_id(images, turns),
            task="",
            association=self.association,
            split="",
            images=tuple(images),
            turns=(first, *turns[1:]),
            records=tuple(record.key for record in records),
            license=" AND ".join(sorted({record.license for record in records})),
        )

    def drop(self, records: Sequence[Record], reason: str, value: str | None = None) -> Drop:
        """A group that gives no sample, and why."""
        return Drop(key=records[0].key, stage="build", reason=reason, value=value)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Drops what should not be published, always with a reason.

    Overrides one of the three: `index` sees all records' columns on the driver, before anything is
    chosen; `regions` sees a record on a worker, before a builder does; `sample` a finished sample.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Measures whose facts it reads: a recipe with this filter must have them."""

    def regions(self, record: Record) -> Iterator[tuple[int, str]]:
        """Positions of regions that must not be asked for, each with the reason.

        They are there all the same: builders see them as regions to be ignored.
        """
        del record
        return iter(())

    def sample(self, sample: Sample) -> Drop | None:
        """Why this sample must go, or None."""
        del sample
        return None

    def index(self, index: Index) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], str] | None:
        """A mask over the index's rows that is True where a record may stay, and the reason."""
        del index
        return None


class Notation(ABC):
    """How a model family writes boxes. `answer` and `parse` are a pair, held by a round trip."""

    @property
    @abstractmethod
    def frame(self) -> str:
        """Name of its coordinate frame, for the release's `frame` column.

        A notation with settings states each of them there as `key=value`, since its boxes cannot
        be read without.
        """

    @abstractmethod
    def region(self, target: Target, image: Image) -> str:
        """One box as it is written inside a sentence."""

    def question(self, turn: Turn, images: Sequence[Image]) -> str:
        """The question's text, every placeholder but the image slots filled."""
        return fill(turn.question, region=self._written(turn.regions, images))

    def answer(self, turn: Turn, images: Sequence[Image]) -> str:
        """The right answer's text, every placeholder filled."""
        return fill(
            turn.answer,
            region=self._written(turn.regions, images),
            target=self._written(turn.targets, images),
        )

    @abstractmethod
    def parse(self, text: str, turn: Turn, images: Sequence[Image]) -> list[Target]:
        """The boxes that an answer to `turn` names, in pixels of `images`.

        A box without an image name belongs to the one image the turn asks about.

        Raises:
            ValueError: malformed, or a box whose image cannot be told; says which.
        """

    def _written(self, targets: Sequence[Target], images: Sequence[Image]) -> list[str]:
        return [self.region(target, images[target.image]) for target in targets]


@dataclass(frozen=True, kw_only=True)
class Backend(ABC):
    """A model that answers requests, and how to reach it. Its fields are its settings.

    Made on the driver and sent to workers by value: it holds no connection, no weights and no key.
    """

    simulated: ClassVar[bool] = False
    """Whether its answers come from no model; a release made with it says so on its card."""

    @property
    @abstractmethod
    def model(self) -> str:
        """Name and revision of the model: part of every request's key, shown on the card."""

    @property
    def gpus(self) -> float:
        """GPUs that one session takes."""
        return 0.0

    @property
    def sessions(self) -> int | None:
        """Most sessions at once over the whole run; None: as many as there are workers for."""
        return 1

    @abstractmethod
    def open(self, pictures: Callable[[str], bytes]) -> Session:
        """Load or reach the model. `pictures` gives a picture's encoded bytes by its SHA-256.

        Raises:
            EnvironmentFailure: it cannot be reached or loaded; says what to do.
        """


class Session(ABC):
    """A model that is up: one for the whole of a stage on a worker."""

    @abstractmethod
    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        """One reply for each request, as soon as it is known, in any order.

        Takes requests from the iterator as it has room for them, so that the model is never idle
        while there are more, and yields without waiting for the last of them. A request that
        fails, fails alone: with `finish="failed"` and a reason.

        Raises:
            EnvironmentFailure: nothing can be asked any more.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""
