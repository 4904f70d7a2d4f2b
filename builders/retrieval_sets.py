"""Which photos belong in one question that has no, one or many targets among them.

Not a task: `referential_retrieval` uses it. It sees index columns only. One schedule of classes
serves every count, so that a class tells nothing of the number of targets; and how many photos a
set has is drawn anew only once one of that size is found, so that neither does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from builders.retrieval_asked import Rules, lot, sealed
from builders.retrieval_photos import Known, Leaders, turns
from builders.sets import Entries, Mask
from mgdata.data import Count
from mgdata.identity import Stream
from mgdata.index import Index

LEADERS = 4
"""Photos tried as the first of a set for a class before the next class gets its turn."""
SWAPS = 12
"""Times that the last photo of a set is changed before another one leads."""
PATIENCE = 5000
"""Classes without a set, one after another, after which there are taken to be no more sets."""
COUNTS: tuple[Count, ...] = get_args(Count)
Kind = Literal["none", "one", "many", "spread"]
"""What a photo may lead: a set of so many targets, all its own but in the last kind."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """The task's settings that say how sets are put together."""

    count: Count | None
    images: tuple[int, int]
    hard: float
    spread: float
    power: float
    per_image: int


class Sets:
    """The sets of one index view, for each of which a question is known to have its answer."""

    def __init__(self, index: Index, rules: Rules, mix: Mix, rng: Stream) -> None:
        self.rules, self.mix, self.rng = rules, mix, rng
        texts = rules.phrases == "expressions"
        names = index.lists("expressions").names if texts else []
        self.photos = Known(index, mix.per_image, names, sentences=not texts)
        self._blank: set[int] = set()
        self._shown: set[tuple[int, ...]] = set()
        self.classes, by_kind = self._texts(index) if texts else self._labels()
        wanted = {mix.count, "spread"} if mix.count == "many" else {mix.count}
        self._leaders = {
            kind: Leaders(self.photos, some, rng)
            for kind, some in by_kind.items()
            if mix.count is None or kind in wanted
        }

    def rows(self) -> Iterator[tuple[int, ...]]:
        """Rows of one set after the other, the photo that leads it first."""
        size, failed = self.rng.between(*self.mix.images), 0
        for code in turns(self.classes, self.rng, self.mix.power):
            count = self.mix.count or self.rng.choice(COUNTS)
            chosen = self._set(code, size, count)
            failed = 0 if chosen else failed + 1
            if chosen:
                size = self.rng.between(*self.mix.images)
                yield self.photos.taken(chosen)
            elif failed >= min(PATIENCE, len(self.classes)):
                return

    def _labels(self) -> tuple[Entries, dict[Kind, Entries]]:
        """Photos and the classes they show: all of them, and those to lead each kind of set."""
        photos, area = self.photos, self.rules.area
        found = photos.entries(area, single=False, each=True)
        found = found.where(photos.nameable[found.codes])
        single = photos.where_in(found, photos.entries(area))
        kinds: dict[Kind, Entries] = {
            "none": found,
            "one": found.where(single),
            "many": found.where(~single),
        }
        return found, kinds if self.rules.scope == "image" else {**kinds, "spread": found}

    def _texts(self, index: Index) -> tuple[Entries, dict[Kind, Entries]]:
        """The same for the classes of what photos' texts refer to."""
        lists = index.lists("expressions")
        code = {name: i for i, name in enumerate(self.photos.called)}
        codes = np.array([code[name] for name in lists.names] or [0], np.int64)[lists.values]
        positions = np.repeat(np.arange(len(index)), np.diff(lists.starts))
        n, unknown = index.lists("referents").values, codes == code.get("", -1)
        wordless = (n == 0) & ~(unknown if self.rules.scope == "all" else np.zeros_like(unknown))
        blank = np.zeros(len(index), np.bool_)
        blank[positions[wordless]] = True
        self._blank = set(np.flatnonzero(blank).tolist())
        found = Entries(positions, codes)
        kinds: dict[Kind, Mask] = {
            # What has a target in its own photo is asked for where that is not shown.
            "none": wordless | ((n > 0) & ~blank[positions] & ~unknown),
            "one": n == 1,
            "many": (n > 1) & (n <= self.rules.most),
        }
        if self.rules.scope == "all":
            kinds = {kind: mask & ~unknown for kind, mask in kinds.items()}
        asked = np.logical_or.reduce(list(kinds.values()))
        return found.where(asked), {kind: found.where(mask) for kind, mask in kinds.items()}

    def _set(self, code: int, size: int, count: Count) -> list[int] | None:
        kinds: list[Kind] = [count]
        if count == "many" and "spread" in self._leaders:
            spread = self.rng.uniform() < self.mix.spread
            kinds = ["spread", "many"] if spread else ["many", "spread"]
        for kind in kinds:
            for _ in range(LEADERS):
                if (lead := self._leaders[kind].next(code)) is None:
                    break
                if chosen := self._led(lead, code, size, count, kind):
                    self._shown.update(self._views(chosen, count))
                    return chosen
        return None

    def _led(self, lead: int, code: int, size: int, count: Count, kind: Kind) -> list[int] | None:
        """A set that this photo leads and whose lot falls on this class."""
        chosen = [lead, *self._partners(lead, code, size, kind)]
        fixed, whole = len(chosen), size + self._unseen(lead, count)
        for _ in range(SWAPS):
            while len(chosen) < whole:
                if (other := self._other(chosen, code, count)) is None:
                    return None
                chosen.append(other)
            if self._drawn(chosen, count) == code and self._fresh(chosen, count):
                return chosen
            if fixed == whole:
                break
            chosen.pop()
        return None

    def _unseen(self, lead: int, count: Count) -> int:
        """How many photos of a set its sample will not show."""
        if self.mix.count is None and self.rules.scope == "all":
            return 1
        return int(self._hidden(lead, count))

    def _hidden(self, lead: int, count: Count) -> bool:
        """As `retrieval_asked.hidden` tells it from a record."""
        if count != "none" or self.rules.scope == "image":
            return False
        return self.rules.phrases == "labels" or lead not in self._blank

    def _partners(self, lead: int, code: int, size: int, kind: Kind) -> list[int]:
        """Photos beside the leading one that show things of the class too."""
        if kind != "spread":
            return []
        chosen, total = [lead], self.photos.things(lead)[code]
        wanted = self.rng.between(2, max(2, size - 1))
        for _ in range(3 * wanted):
            if len(chosen) == wanted:
                break
            other = self._leaders["spread"].random(code, self.rng)
            boxes = self.photos.things(other)[code]
            if total + boxes <= self.rules.most and self.photos.free(other, chosen):
                chosen.append(other)
                total += boxes
        return chosen[1:]

    def _other(self, chosen: list[int], code: int, count: Count) -> int | None:
        """One more photo: a hard one now and then, as far as there are."""
        photos, rng = self.photos, self.rng
        hard = rng.uniform() < self.mix.hard
        elsewhere = count == "none" and chosen[0] not in self._blank and len(chosen) == 1
        if self.rules.scope == "image" and not elsewhere:
            found = photos.resembling(None, chosen, rng) if hard else None
            return photos.any(chosen, rng) if found is None else found
        found = photos.denying(code, chosen, rng) if hard else None
        if found is None and hard:
            found = photos.resembling(code, chosen, rng)
        return photos.lacking(code, chosen, rng) if found is None else found

    def _drawn(self, chosen: list[int], count: Count) -> int | None:
        """The class that this set will be asked about."""
        lead, others = chosen[0], chosen[1:]
        if self._unseen(lead, count) and not self._hidden(lead, count):
            others = others[:-1]
        seal = sealed(self.photos.marks[position] for position in chosen)
        kind = "spread" if count == "many" and "spread" in self._leaders else count
        fit = [
            code
            for code in self._leaders[kind].classes(lead)
            if self._fits(code, lead, others, count)
        ]
        return min(fit, key=lambda code: lot(seal, self.photos.called[code]), default=None)

    def _fits(self, code: int, lead: int, others: list[int], count: Count) -> bool:
        """Whether a class that the leading photo may lead with has so many targets."""
        photos, labels = self.photos, self.rules.phrases == "labels"
        if self.rules.scope == "image":
            if count == "none" and lead not in self._blank:
                return any(photos.lacks(position, code) for position in others)
            return not labels or (
                photos.things(lead)[code] <= self.rules.most and photos.clear(lead, code)
            )
        if labels and count != "none" and not photos.clear(lead, code):
            return False
        if not labels or count != "many":
            return all(photos.lacks(position, code) for position in others)
        total = photos.things(lead)[code]
        for position in others:
            boxes = photos.boxes(position, code)
            if boxes is None or not photos.clear(position, code):
                return False
            total += boxes
        return 2 <= total <= self.rules.most

    def _views(self, chosen: list[int], count: Count) -> list[tuple[int, ...]]:
        """The photos that a sample of this set may show."""
        if not self._unseen(chosen[0], count):
            return [tuple(sorted(chosen))]
        views = [tuple(sorted(chosen[1:]))]
        return views if self.mix.count else [*views, tuple(sorted(chosen[:-1]))]

    def _fresh(self, chosen: list[int], count: Count) -> bool:
        """Whether no set of the same photos, or with the same ones to see, was made before."""
        return self.photos.new(chosen) and self._shown.isdisjoint(self._views(chosen, count))
