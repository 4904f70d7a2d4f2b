"""The samples of one product: which are asked about, what next, and when there are enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from mgdata.teacher.section import Cot, Rl
from mgdata.teaching.samples import Numbers, Part, Samples

LEAST_RATE = 0.1
"""Rows a sample that are counted on, however few it were: no round is ten times the last."""

SPARE = 1.1
"""Times as many samples as seem to be needed: a further round costs more than some left over."""
LEAST_WAVE = 0.02
"""Share of the samples asked until now below which a proportion is near enough."""

Want = tuple[int, str, int, int]
"""Turn, kind, number of the first answer, how many."""


def wave(
    *, awake: float, good: float, barren: float, sleeping: float, quota: int | None,
    share: float, expected: float,
) -> int:  # fmt: skip
    """Samples of a task and split to ask about next; 0: there are rows enough.

    Args:
        awake: Samples that were asked about.
        good: Rows that they gave.
        barren: Those of them that gave none, and so are left for direct rows.
        sleeping: Samples that were not asked about.
        quota: Rows wanted; None: as many as there are, or as keep the proportion.
        share: Share of rows that reason among these and direct ones.
        expected: Rows a sample while nothing is known.
    """
    rate = max(good / awake, LEAST_RATE) if awake else expected
    if quota is not None:
        return math.ceil(SPARE * (quota - good) / rate) if good < quota else 0
    if share == 1:
        return math.ceil(sleeping)
    # x more samples keep the proportion as long as good + x * rate rows that reason stand to
    # sleeping + barren - x samples for direct ones as share to 1 - share, or under.
    free = sleeping + barren
    more = (share * free - (1 - share) * good) / ((1 - share) * rate + share)
    if not awake:  # a small part would else have no row that reasons, and so no direct one
        return max(1, math.floor(more)) if sleeping else 0
    return math.floor(more) if more >= max(1, LEAST_WAVE * awake) else 0


class Pool:
    """Wakes samples and says what each is asked, as a function of earlier rounds alone."""

    def __init__(
        self, samples: Samples, rows: Numbers, quotas: Mapping[Part, int | None],
        settings: Cot | Rl,
    ) -> None:  # fmt: skip
        self._samples, self._quotas, self._settings = samples, quotas, settings
        self._sleeping = {part: some.tolist() for part, some in samples.parts(rows).items()}
        self._awake: dict[Part, list[int]] = {part: [] for part in self._sleeping}
        self._asked: dict[tuple[int, int], int] = {}
        self._accepted: dict[tuple[int, int], int] = {}

    def wake(self) -> bool:
        """Take as many further samples as rows are missing; False where there are none to take.

        How many are needed is told by how many rows those before have given.
        """
        woken = False
        for part, sleeping in self._sleeping.items():
            n = self._missing(part)
            self._awake[part] += sleeping[:n]
            woken = woken or bool(sleeping[:n])
            del sleeping[:n]
        return woken

    def _missing(self, part: Part) -> int:
        """Samples that are likely to give the rows that a task and split still lacks."""
        awake, sleeping, quota = self._awake[part], self._sleeping[part], self._quotas[part]
        good = [self._good(row) for row in awake]
        cot = self._settings if isinstance(self._settings, Cot) else None
        expected = 1.0
        if cot and quota is None and sleeping:
            expected = cot.keep * sum(map(self._turns, sleeping)) / len(sleeping)
        return wave(
            awake=len(awake), good=sum(good), barren=good.count(0), sleeping=len(sleeping),
            quota=quota, share=cot.share if cot else 1.0, expected=expected,
        )  # fmt: skip

    def awake(self) -> list[int]:
        """All that are asked about, neighbours sharing images."""
        return sorted(row for some in self._awake.values() for row in some)

    def wants(self) -> dict[int, list[Want]]:
        """What is to be asked next, by sample."""
        found: dict[int, list[Want]] = {}
        for row in self.awake():
            if some := [
                want for turn in range(self._turns(row)) for want in self._wanted(row, turn)
            ]:
                found[row] = some
        return found

    def see(
        self, block: Sequence[int], wants: Mapping[int, Sequence[Want]], traces: pa.Table
    ) -> None:
        """Take in what came of a block of samples."""
        prompt = self._settings.prompt
        for row in block:
            for turn, kind, _, n in wants[row]:
                if kind == prompt:
                    self._asked[row, turn] = self._asked.get((row, turn), 0) + n
        rows = {self._samples.ids[row]: row for row in block}
        for trace in traces.to_pylist():
            if trace["accepted"] and trace["kind"] == prompt:
                key = rows[trace["sample"]], trace["turn"]
                self._accepted[key] = self._accepted.get(key, 0) + 1

    def _wanted(self, row: int, turn: int) -> Iterator[Want]:
        accept, prompt = self._settings.accept, self._settings.prompt
        asked, accepted = (found.get((row, turn), 0) for found in (self._asked, self._accepted))
        if n := accept.wanted(1 if asked else 0, accepted, asked):
            if accept.gain and not asked and prompt != "direct":
                yield turn, "direct", 0, 1
            yield turn, prompt, asked, n

    def _good(self, row: int) -> int:
        """Rows that a sample gives, as far as is known."""
        good = 0
        for turn in range(self._turns(row)):
            asked, accepted = (x.get((row, turn), 0) for x in (self._asked, self._accepted))
            if isinstance(self._settings, Cot):
                good += min(accepted, self._settings.keep)
            elif asked:
                band = self._settings.band
                good += band.above < accepted / asked < band.below
        return good

    def _turns(self, row: int) -> int:
        return int(self._samples.turns[row])
