"""Asking a teacher: every answer in its place, nothing asked twice, whatever the session does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import pytest
from small_runs import write_corpora, write_recipe

from mgdata import load_recipe
from mgdata import run as run_recipe
from mgdata.data import Answer, Reply, Request, Sampling
from mgdata.edits import Codec
from mgdata.engine.line import Line
from mgdata.engine.serial import SerialEngine
from mgdata.errors import EnvironmentFailure
from mgdata.manifest import Entry, Manifest, Shard
from mgdata.notations.json import Json
from mgdata.plugins import Backend, Session
from mgdata.stages.answer import JOURNAL, Ask
from mgdata.stages.picked import picked
from mgdata.stages.turns import Turns
from mgdata.storage import Root, Store
from mgdata.teacher.backends.scripted import Scripted
from mgdata.teacher.journal import Journal
from mgdata.teacher.tables import read_answers

ASKS: list[tuple[str, int, int]] = [("reason", 0, 2), ("direct", 0, 1)]
A_SHARD = 5
"""Samples."""


@dataclass(frozen=True)
class Built:
    """A run up to its samples."""

    out: Path
    roots: dict[str, Root]
    picks: list[list[tuple[str, list[int]]]]
    """A shard's worth each."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("answer")
    roots = write_corpora(folder)
    settings = {"per_clip": 16, "given": "mixed", "turns": "mixed"}
    tasks = {"object_tracking": {"samples": 23, "with": settings}}
    recipe = write_recipe(folder / "small.yaml", tasks=tasks, splits={"train": 1.0})
    loaded = load_recipe(str(recipe), None, [f"{name}={path}" for name, path in roots.items()])
    run_recipe(loaded, str(folder / "run"), last="build", engine="serial")
    entries = Manifest(Store(str(folder / "run"))).entries("build").values()
    rows = [(entry.data().path, row) for entry in entries for row in range(entry.rows)]
    picks = [
        [(path, [row]) for path, row in rows[start : start + A_SHARD]]
        for start in range(0, len(rows), A_SHARD)
    ]
    return Built(folder / "run", {name: Root(path) for name, path in roots.items()}, picks)


@dataclass(frozen=True, kw_only=True)
class Told(Backend):
    """A backend of the tests' own round the scripted one, which counts what it is asked."""

    asked: list[str]
    session: Callable[[Told, Scripted], Session]

    @property
    def model(self) -> str:
        return "told@1"

    def open(self, pictures: Callable[[str], bytes]) -> Session:
        return self.session(self, Scripted())


@dataclass
class Feeding(Session):
    """Takes requests in a thread of its own, as a server's client does; answers last come first."""

    backend: Told
    scripted: Scripted

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        queue: SimpleQueue[Request | None] = SimpleQueue()

        def feed() -> None:
            for request in requests:
                queue.put(request)
            queue.put(None)

        threading.Thread(target=feed, daemon=True).start()
        waiting: list[Request] = []
        while True:
            found = queue.get() if not waiting or not queue.empty() else False
            if found is None:
                break
            if found:
                waiting.append(found)
                continue
            yield self._reply(waiting.pop())
        yield from map(self._reply, waiting)

    def _reply(self, request: Request) -> Reply:
        self.backend.asked.append(request.key)
        return self.scripted.reply(request)

    def close(self) -> None: ...


@dataclass
class Dying(Session):
    """Fails after some answers, as where a server goes down for good."""

    backend: Told
    scripted: Scripted
    after: int = 17

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        for request in requests:
            if len(self.backend.asked) == self.after:
                raise EnvironmentFailure("the server is gone")
            self.backend.asked.append(request.key)
            yield self.scripted.reply(request)

    def close(self) -> None: ...


def stage(built: Built, out: Path, backend: Backend) -> Ask:
    for path in {path for shard in built.picks for path, _ in shard}:
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((built.out / path).read_bytes())
    return Ask(out=str(out), backend=backend, backend_name="told", asker=Turns(notation=Json()),
               sampling=Sampling(), seed=3, codec=Codec(), roots=built.roots)  # fmt: skip


def shards(built: Built, asks: list[tuple[str, int, int]] = ASKS) -> list[Shard]:
    store, made = Store(str(built.out)), list[Shard]()
    for i, picks in enumerate(built.picks):
        wants = [
            [[turn, *ask] for turn in range(len(sample.turns)) for ask in asks]
            for sample in picked(store, picks)
        ]
        payload = {"picks": picks, "wants": wants}
        made.append(Shard(stage="answer", name=f"s{i:05d}", fingerprint="f", payload=payload))
    return made


def serial(asking: Ask, work: list[Shard]) -> list[Entry]:
    engine = SerialEngine(lambda *_: None)
    try:
        return list(engine.run(asking, work))
    finally:
        engine.close()


def answers(asking: Ask, entries: list[Entry]) -> list[Answer]:
    found = sorted(entries, key=lambda entry: entry.name)
    return [a for e in found for a in read_answers(Store(asking.out).local(e.data().path))]


def test_every_turn_has_its_answers_in_order(built: Built, tmp_path: Path) -> None:
    asking = stage(built, tmp_path, Scripted())
    found = answers(asking, serial(asking, shards(built)))
    samples = [s for picks in built.picks for s in picked(Store(asking.out), picks)]
    wanted = [
        (sample.id, place, kind, number)
        for sample in samples
        for place in range(len(sample.turns))
        for kind, _, n in ASKS
        for number in range(n)
    ]
    assert [(a.sample, a.turn, a.kind, a.number) for a in found] == wanted
    assert {a.reply.finish for a in found} == {"stop"}
    assert all(a.reply.text and a.model == f"told:{Scripted().model}" for a in found)
    by_prompt = Counter(a.prompt for a in found if a.kind == "reason")
    assert set(by_prompt.values()) == {2}
    assert len({a.reply.key for a in found}) == len(found)


def test_entries_count_requests_tokens_and_kinds(built: Built, tmp_path: Path) -> None:
    asking = stage(built, tmp_path, Scripted())
    for entry in serial(asking, shards(built)):
        counts = entry.counts
        assert entry.rows == counts["requests"] == counts["kind=reason"] + counts["kind=direct"]
        assert counts["kind=reason"] == 2 * counts["kind=direct"]
        assert counts["tokens"] > 0 and counts["finish=stop"] == entry.rows


def test_a_session_that_reads_ahead_gives_the_same_tables(built: Built, tmp_path: Path) -> None:
    one = stage(built, tmp_path / "one", Told(asked=[], session=plain))
    two = stage(built, tmp_path / "two", Told(asked=[], session=Feeding))
    assert answers(one, serial(one, shards(built))) == answers(two, serial(two, shards(built)))


def test_a_line_that_holds_two_shards_at_a_time_never_stands_still(
    built: Built, tmp_path: Path
) -> None:
    asked: list[str] = []
    asking = stage(built, tmp_path, Told(asked=asked, session=Feeding))
    work = shards(built)
    first = through_a_line(asking, work)
    # Once more: every shard is known, and none has a reply to come.
    assert answers(asking, through_a_line(asking, work)) == answers(asking, first)
    assert len(asked) == len(set(asked)) == sum(entry.rows for entry in first)


def through_a_line(asking: Ask, work: list[Shard]) -> list[Entry]:
    """As on a Ray actor: a shard more is given only when an entry has come."""
    line, waiting, found = Line(asking), iter(work), list[Entry]()
    lock = threading.Lock()

    def give() -> None:
        while True:
            with lock:
                shard = next(waiting, None)
            if shard is None:
                return
            found.append(line.put(shard))

    threads = [threading.Thread(target=give, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    line.drain(len(work))
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return found


def test_what_was_answered_before_the_end_is_not_asked_again(built: Built, tmp_path: Path) -> None:
    asked: list[str] = []
    dying = stage(built, tmp_path, Told(asked=asked, session=Dying))
    with pytest.raises(EnvironmentFailure, match="the server is gone"):
        serial(dying, shards(built))
    before = list(asked)
    assert len(before) == 17
    asked.clear()
    again = stage(built, tmp_path, Told(asked=asked, session=plain))
    entries = serial(again, shards(built))
    assert not set(asked) & set(before)
    assert len(asked) + len(before) == sum(entry.rows for entry in entries)
    whole = stage(built, tmp_path / "whole", Told(asked=[], session=plain))
    assert answers(again, entries) == answers(whole, serial(whole, shards(built)))
    assert Journal(Store(str(tmp_path)), JOURNAL).tally.repeated == 0


def test_more_answers_to_the_same_turns_go_on_from_the_last_number(
    built: Built, tmp_path: Path
) -> None:
    asking = stage(built, tmp_path, Scripted())
    first = answers(asking, serial(asking, shards(built, [("reason", 0, 2)])))
    more = answers(asking, serial(asking, shards(built, [("reason", 2, 1)])))
    assert {a.number for a in more} == {2}
    assert {a.prompt for a in more} == {a.prompt for a in first}
    assert not {a.seed for a in more if a.turn == 0} & {a.seed for a in first if a.turn == 0}


def test_a_session_stays_open_between_rounds_until_the_engine_lets_go(
    built: Built, tmp_path: Path
) -> None:
    opened: list[Session] = []
    closed: list[bool] = []

    @dataclass
    class Closing(Plain):
        """Tells when it is closed."""

        def close(self) -> None:
            closed.append(True)

    def open_one(backend: Told, scripted: Scripted) -> Session:
        opened.append(Closing(backend, scripted))
        return opened[-1]

    asking = stage(built, tmp_path, Told(asked=[], session=open_one))
    engine = SerialEngine(lambda *_: None)
    for first in (0, 1):
        list(engine.run(asking, shards(built, [("reason", first, 1)])))
    assert len(opened) == 1 and not closed
    engine.close()
    assert closed == [True]


def test_what_the_journal_knows_can_be_had_without_asking(built: Built, tmp_path: Path) -> None:
    asked: list[str] = []
    with pytest.raises(EnvironmentFailure):
        serial(stage(built, tmp_path, Told(asked=asked, session=Dying)), shards(built))
    assert len(asked) == 17
    quiet = replace(stage(built, tmp_path, Told(asked=asked, session=plain)), asking=False)
    entries = serial(quiet, shards(built))
    assert len(asked) == 17
    assert sum(entry.rows for entry in entries) == 17
    wanted = sum(len(some) for s in shards(built) for some in s.payload["wants"]) * 3 // 2
    assert sum(entry.counts["not asked"] for entry in entries) == wanted - 17
    assert all(a.reply.finish == "stop" for a in answers(quiet, entries))


def test_a_changed_picture_ends_the_stage(built: Built, tmp_path: Path) -> None:
    @dataclass
    class Looking(Session):
        """Looks at the pictures."""

        pictures: Callable[[str], bytes]

        def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
            for request in requests:
                sizes = [len(self.pictures(name)) for name in request.pictures]
                yield Reply(key=request.key, text=str(sizes), finish="stop")

        def close(self) -> None: ...

    @dataclass(frozen=True, kw_only=True)
    class Seeing(Backend):
        """A backend that looks at what it is shown."""

        @property
        def model(self) -> str:
            return "seeing@1"

        def open(self, pictures: Callable[[str], bytes]) -> Session:
            return Looking(pictures)

    asking = stage(built, tmp_path / "run", Seeing())
    assert all(a.reply.text != "[]" for a in answers(asking, serial(asking, shards(built))))
    copies = {name: tmp_path / name for name in built.roots}
    for name, copy in copies.items():
        for file in Path(built.roots[name].url).rglob("*.jpg"):
            target = copy / file.relative_to(built.roots[name].url)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes() + b"more")
    moved = Built(built.out, {n: Root(str(path)) for n, path in copies.items()}, built.picks)
    changed = stage(moved, tmp_path / "changed", Seeing())
    with pytest.raises(EnvironmentFailure, match="changed since it was measured"):
        serial(changed, shards(moved))


@dataclass
class Plain(Session):
    """Answers one request after the other."""

    backend: Told
    scripted: Scripted

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        for request in requests:
            self.backend.asked.append(request.key)
            yield self.scripted.reply(request)

    def close(self) -> None: ...


def plain(backend: Told, scripted: Scripted) -> Session:
    return Plain(backend, scripted)
