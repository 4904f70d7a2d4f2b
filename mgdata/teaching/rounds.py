"""The teacher's part of a run: who is asked what, round by round, and which lessons are published.

Runs on the driver over columns. A round asks and judges; the next is a function of what earlier
ones found, never of when an answer came. What is asked of a sample depends on the recipe and on
that sample's own answers; whether it is asked at all, on how many of those before it held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mgdata.data import Sampling
from mgdata.identity import digest
from mgdata.manifest import Entry
from mgdata.publishing import Rows
from mgdata.recipe import Loaded
from mgdata.stages.settle import Settled
from mgdata.stages.turns import Turns
from mgdata.stages.writing import Compose, Describe, Verify
from mgdata.storage import Store
from mgdata.tables import read_samples
from mgdata.teacher.section import Cot, Rl, Write
from mgdata.teachers import Teacher
from mgdata.teaching.hands import Do, Hands
from mgdata.teaching.pool import Pool, Want
from mgdata.teaching.samples import Numbers, Samples

# Its functions are made at import, unseen by type checkers.
pc: Any = pyarrow.compute

FACTS = Sampling(temperature=0.0, max_tokens=512)
"""How captions, phrases and verdicts are drawn: there is one of each."""

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Teaching:
    """A recipe's teacher at work on the samples of a run.

    Args:
        loaded: With its teacher.
        store: The run's.
        do: Has a stage done, and gives its entries in order.
        settled: The samples of all rounds of building.
        entries: Those of the tables that these lie in.
        records: Record tables of the run.
        asking: False: judge what the journal knows, ask nothing.
        retry: Ask again what is known to fail.
    """

    def __init__(
        self, loaded: Loaded, store: Store, do: Do, settled: Settled, entries: Sequence[Entry],
        records: Sequence[str], *, asking: bool = True, retry: bool = False,
    ) -> None:  # fmt: skip
        assert loaded.teacher
        self._loaded = loaded
        self._teacher: Teacher = loaded.teacher
        self._records = tuple(records)
        self._samples = Samples(settled, entries, loaded.recipe.seed)
        self._hands = Hands(loaded, store, do, self._samples, entries, asking=asking, retry=retry)
        self.short: list[str] = []
        """What the recipe asks for and the answers did not give, a sentence each."""

    @property
    def done(self) -> dict[str, list[Entry]]:
        """Entries of the stages answer, judge and teach, of all rounds."""
        return self._hands.done

    def answer(self) -> dict[str, list[Entry]]:
        """Ask and judge as far as the recipe goes.

        Returns:
            Entries of lesson tables: of `cot`, of `rl`, and of each section that makes drafts.
        """
        section, made = self._teacher.section, dict[str, list[Entry]]()
        for product, settings in (("cot", section.cot), ("rl", section.rl)):
            if settings and len(self._pools[product]):
                made[product] = self._rounds(product, settings, self._pools[product])
        if section.write:
            for task, rows in self._drafts.items():
                made[task] = self._write(task, section.write, rows)
        return made

    def rows(self) -> Rows:
        """Lessons of all products in the recipe's numbers and proportions."""
        section, made = self._teacher.section, self.answer()
        chosen: list[pa.Table] = []
        if section.cot:
            rows = self._pools["cot"]
            cot = self._chosen("cot", made.get("cot", []), rows, section.cot.rows)
            chosen += self._beside(section.cot, cot)
        if section.rl:
            rows = self._pools["rl"]
            chosen.append(self._chosen("rl", made.get("rl", []), rows, section.rl.rows))
        if section.write:
            for task, rows in self._drafts.items():
                total = section.write.rows.get(task)
                chosen.append(self._chosen(task, made[task], rows, total))
        return Rows(table=pa.concat_tables(chosen), entries=tuple(self.done["teach"]), lessons=True)

    # Which samples serve which product.

    @cached_property
    def _pools(self) -> dict[str, Numbers]:
        """Rows of samples by product: no sample serves two."""
        section, samples = self._teacher.section, self._samples
        tasks = np.array(samples.tasks, dtype=object)
        asked = np.flatnonzero(np.isin(tasks, list(self._teacher.asked)))
        rl: list[int] = []
        if section.rl:
            for some in samples.parts(asked).values():
                rl += some[: round(len(some) * section.rl.share)].tolist()
        drafts = np.flatnonzero(np.isin(tasks, list(self._teacher.drafts)))
        left = np.setdiff1d(asked, np.array(rl, np.int64))
        return {"cot": left, "rl": np.array(sorted(rl), np.int64), "write": drafts}

    @cached_property
    def _drafts(self) -> dict[str, Numbers]:
        """Rows of drafts by the section that makes them."""
        drafts, tasks = self._pools["write"], self._samples.tasks
        return {
            task: np.array([row for row in drafts.tolist() if tasks[row] == task], np.int64)
            for task in sorted(self._teacher.drafts)
        }

    # Rounds of asking and judging.

    def _rounds(self, product: str, settings: Cot | Rl, rows: Numbers) -> list[Entry]:
        """Ask about more and more samples until enough answers hold; entries of their lessons."""
        pool = Pool(self._samples, rows, self._samples.quotas(rows, settings.rows), settings)
        traces: dict[int, list[str]] = {}
        described: dict[int, str] = {}
        direct: dict[int, str] = {}
        number = 0
        while pool.wake():
            if settings.prompt == "trajectory":
                fresh = [row for row in pool.awake() if row not in described]
                described |= self._describe(f"{product}-{number:02d}", fresh)
            while wants := pool.wants():
                name = f"{product}-r{number:02d}"
                blocks = self._hands.blocks(sorted(wants))
                answers = self._hands.ask(
                    name, self._turns(), settings.sampling, blocks,
                    [self._asked(block, wants, described) for block in blocks],
                )  # fmt: skip
                before = [
                    sorted({direct[row] for row in block if row in direct}) for block in blocks
                ]
                for block, entry in zip(blocks, answers, strict=True):
                    if settings.accept.gain:
                        direct |= {row: entry.data().path for row in block if row not in direct}
                judged = self._hands.judge(
                    name, settings.accept, blocks, answers, before, "rl" if product == "rl" else ""
                )
                for block, entry in zip(blocks, judged, strict=True):
                    for row in block:
                        traces.setdefault(row, []).append(entry.data().path)
                    pool.see(block, wants, read_samples(self._hands.local(entry), _SEEN))
                number += 1
                if not self._hands.asking and not any(entry.rows for entry in answers):
                    return []
        return self._hands.teach(product, pool.awake(), traces)

    def _asked(
        self,
        block: Sequence[int],
        wants: Mapping[int, Sequence[Want]],
        described: Mapping[int, str],
    ) -> dict[str, Any]:
        found: dict[str, Any] = {"wants": [wants[row] for row in block]}
        if told := sorted({described[row] for row in block if row in described}):
            found["described"] = told
        return found

    def _turns(self) -> Turns:
        section = self._teacher.section
        return Turns(
            notation=self._teacher.notation, records=self._records, steps=self._teacher.steps,
            lengths=section.lengths, formed=section.structured,
        )  # fmt: skip

    def _describe(self, name: str, rows: Sequence[int]) -> dict[int, str]:
        """Have the images of samples captioned; the file with the captions of each."""
        blocks = self._hands.blocks(rows)
        entries = self._hands.ask(
            f"{name}-captions", self._describer(captions=True, refine=False), FACTS, blocks,
            [{} for _ in blocks],
        )  # fmt: skip
        return {
            row: entry.data().path
            for block, entry in zip(blocks, entries, strict=True)
            for row in block
        }

    def _describer(self, *, captions: bool, refine: bool) -> Describe:
        section = self._teacher.section
        return Describe(
            captions=captions, refine=refine, notation=self._teacher.notation,
            lengths=section.lengths, formed=section.structured,
        )  # fmt: skip

    def _write(self, task: str, write: Write, rows: Numbers) -> list[Entry]:
        """Describe, write, verify: each over all drafts of a task, then what holds as lessons."""
        section, notation = self._teacher.section, self._teacher.notation
        blocks = self._hands.blocks(rows.tolist())
        described = self._hands.ask(
            f"{task}-described", self._describer(captions=write.captions, refine=write.refine),
            FACTS, blocks, [{} for _ in blocks],
        )  # fmt: skip
        given = _with([{} for _ in blocks], "described", described)
        common: Any = {
            "write": write, "notation": notation, "lengths": section.lengths,
            "formed": section.structured,
        }  # fmt: skip
        asked = ((f"{task}-written", Compose, write.sampling), (f"{task}-verified", Verify, FACTS))
        for (name, asker, sampling), key in zip(asked, ("written", "verified"), strict=True):
            if key == "written" or write.verify:
                found = self._hands.ask(name, asker(**common), sampling, blocks, given)
                given = _with(given, key, found)
        config = self._loaded.recipe.tasks[task].config or task
        payloads = [{**one, "config": config} for one in given]
        return self._hands.write(task, common, blocks, payloads)

    # Which lessons are published.

    def _chosen(
        self, product: str, entries: Sequence[Entry], rows: Numbers, total: int | None
    ) -> pa.Table:
        """Lessons made of some samples, no more than asked for, the first in random order."""
        table = self._lessons(entries)
        if total is not None:
            keep: Mask = np.zeros(len(table), np.bool_)
            order = self._order(table)
            tasks, splits = np.asarray(table["task"]), np.asarray(table["split"])
            for (task, split), n in self._samples.quotas(rows, total).items():
                keep[order[(tasks[order] == task) & (splits[order] == split)][:n]] = True
            table = table.filter(pa.array(keep))
        if total is not None and len(table) < total:
            self.short.append(f"{product}: {len(table):,} rows of {total:,}: too few answers held")
        elif not len(table):
            self.short.append(f"{product}: no row: no answer held")
        return table

    def _beside(self, cot: Cot, reasoned: pa.Table) -> Iterator[pa.Table]:
        """Rows that reason with direct ones beside them, in proportion, split by split.

        Where samples are too few for the direct ones, rows that reason are left out; but where the
        recipe says how many it wants of these, the direct ones fall short.
        """
        samples, odds = self._samples, (1 - cot.share) / cot.share
        used = set(reasoned["origin"].to_pylist())
        kept_out = {*self._pools["rl"].tolist(), *self._pools["write"].tolist()}
        free = [i for i, id_ in enumerate(samples.ids) if id_ not in used and i not in kept_out]
        rows: list[int] = []
        for split in self._loaded.recipe.splits:
            some = reasoned.filter(pc.equal(reasoned["split"], split))
            mine = [row for row in free if samples.splits[row] == split]
            if cot.rows is None and odds and len(some) * odds > len(mine):
                some = some.take(pa.array(self._order(some)[: int(len(mine) / odds)]))
            wanted = round(len(some) * odds)
            rows += sorted(mine, key=samples.rank.__getitem__)[:wanted]
            if len(mine) < wanted:
                self.short.append(
                    f"direct: {len(mine):,} rows of {wanted:,} in {split}: no more samples are "
                    "left beside those that reason"
                )
            yield some
        yield self._lessons(self._hands.teach("direct", sorted(rows), {}))

    def _order(self, lessons: pa.Table) -> Numbers:
        """A random order of lessons that hangs on nothing but their ids."""
        salt = str(self._loaded.recipe.seed)
        return np.argsort([digest("lesson", salt, id_) for id_ in lessons["id"].to_pylist()])

    def _lessons(self, entries: Sequence[Entry]) -> pa.Table:
        """The planning columns of lesson tables, with task and split of their samples."""
        places = {entry.name: i for i, entry in enumerate(self.done["teach"])}
        tables = [_PLANNED.empty_table()]
        for entry in entries:
            table = read_samples(self._hands.local(entry), _COLUMNS)
            table = table.rename_columns(_PLANNED.names[:-2]).replace_schema_metadata(None)
            n = len(table)
            table = table.append_column(
                "source", pa.array(np.full(n, places[entry.name], np.int32))
            ).append_column("source_row", pa.array(np.arange(n, dtype=np.int32)))
            tables.append(table)
        table = pa.concat_tables(tables)
        at = pc.index_in(table["origin"], pa.array(self._samples.ids, pa.string()))
        for name, column in (("task", self._samples.tasks), ("split", self._samples.splits)):
            table = table.append_column(name, pa.array(column, pa.string()).take(at))
        return table


def _with(
    payloads: Iterable[Mapping[str, Any]], key: str, entries: Iterable[Entry]
) -> list[dict[str, Any]]:
    """Payloads with the file of each entry under a key."""
    pairs = zip(payloads, entries, strict=True)
    return [{**payload, key: [entry.data().path]} for payload, entry in pairs]


_SEEN = ("sample", "turn", "kind", "accepted")
_COLUMNS = ("id", "config", "source", "row", "uri", "pictures", "bytes")
_PLANNED = pa.schema(
    [
        ("id", pa.string()),
        ("config", pa.string()),
        ("origin", pa.string()),
        ("row", pa.int64()),
        ("uri", pa.string()),
        ("pictures", pa.list_(pa.int64())),
        ("bytes", pa.list_(pa.int64())),
        ("source", pa.int32()),
        ("source_row", pa.int32()),
    ]
)
"""What a release is planned by; `origin` is the id of the sample that a lesson was made from."""
