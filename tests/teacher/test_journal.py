"""The journal of answers: nothing whole is lost or asked twice, nothing broken is believed."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from mgdata.data import Reply
from mgdata.errors import EnvironmentFailure
from mgdata.identity import digest
from mgdata.storage import Store
from mgdata.teacher.journal import LASTING, Journal
from mgdata.teacher.journal_lines import line

FOLDER = "answers/journal"


def key(number: int) -> str:
    return digest(str(number))


def reply(number: int, text: str | None = None) -> Reply:
    said = f"the answer\nto {number}, in a box ❏" if text is None else text
    return Reply(key=key(number), text=said, finish="stop", tokens=number)


def failure(number: int, reason: str) -> Reply:
    return Reply(key=key(number), text="", finish="failed", reason=reason, value="said so")


def add(store: Store, *replies: Reply) -> None:
    """As a worker of its own does."""
    with Journal(store, FOLDER).writer() as writer:
        for one in replies:
            writer.add(one)


def parts(store: Store) -> list[Path]:
    return sorted((Path(store.url) / FOLDER).iterdir())


def known(store: Store, count: int) -> dict[str, Reply]:
    return Journal(store, FOLDER).known(key(n) for n in range(count))


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A folder on this disk, and one behind fsspec, where files can only be put whole."""
    if request.param == "local":
        return Store(str(tmp_path / "run"))
    return Store(f"memory://{secrets.token_hex(8)}")


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "run"))


def test_a_journal_that_was_never_written_is_empty(store: Store) -> None:
    journal = Journal(store, FOLDER)
    assert journal.known([key(1)]) == {}
    assert journal.tally.replies == journal.tally.parts == 0
    assert journal.compact().parts == 0


def test_what_workers_wrote_is_read_back_in_the_order_asked_for(store: Store) -> None:
    add(store, *map(reply, range(0, 40, 2)))
    add(store, *map(reply, range(1, 40, 2)))
    journal = Journal(store, FOLDER)
    wanted = [7, 2, 99, 2, 31]
    found = journal.known(key(n) for n in wanted)
    assert list(found) == [key(7), key(2), key(31)]
    assert [*found.values()] == [reply(7), reply(2), reply(31)]
    assert (journal.tally.replies, journal.tally.parts) == (40, 2)


def test_an_open_journal_sees_more_when_it_looks_again(store: Store) -> None:
    journal = Journal(store, FOLDER)
    with journal.writer() as writer:
        writer.add(reply(1))
        writer.flush()
        assert journal.known([key(1)]) == {}
        journal.refresh()
        assert journal.known([key(1)]) == {key(1): reply(1)}
        writer.add(reply(2))
    journal.refresh()
    journal.refresh()
    assert [*journal.known([key(1), key(2)]).values()] == [reply(1), reply(2)]
    assert journal.tally.repeated == 0


def test_each_reply_is_there_for_others_as_soon_as_it_is_added_to_a_local_disk(
    local: Store,
) -> None:
    with Journal(local, FOLDER).writer() as writer:
        writer.add(reply(1))
        assert known(local, 2) == {key(1): reply(1)}


def test_a_remote_batch_is_put_whole_when_it_is_full(tmp_path: Path) -> None:
    store = Store(f"memory://{secrets.token_hex(8)}")
    with Journal(store, FOLDER, batch_replies=3).writer() as writer:
        for number in range(5):
            writer.add(reply(number))
        assert len(known(store, 5)) == 3
    assert len(known(store, 5)) == 5
    with Journal(store, FOLDER, batch_seconds=0).writer() as writer:
        writer.add(reply(5))
        assert len(known(store, 6)) == 6


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_replies_are_kept_when_their_worker_fails(store: Store, error: type[BaseException]) -> None:
    def fail() -> None:
        with Journal(store, FOLDER).writer() as writer:
            writer.add(reply(1))
            raise error

    with pytest.raises(error):
        fail()
    assert known(store, 2) == {key(1): reply(1)}


def test_a_writer_that_was_given_nothing_leaves_no_file(local: Store) -> None:
    add(local)
    assert local.list(FOLDER) == []


def test_two_writers_never_share_a_part(local: Store) -> None:
    with Journal(local, FOLDER).writer() as one, Journal(local, FOLDER).writer() as two:
        for number in range(10):
            (one if number % 2 else two).add(reply(number))
    assert len(parts(local)) == 2
    assert len(known(local, 10)) == 10


def test_of_two_replies_the_first_by_part_and_line_counts(local: Store) -> None:
    folder = Path(local.url) / FOLDER
    folder.mkdir(parents=True)
    for name, texts in (("b", ["third"]), ("a", ["first", "second"])):
        (folder / f"{name}.jsonl").write_bytes(b"".join(line(reply(1, t)) for t in texts))
    journal = Journal(local, FOLDER)
    assert journal.known([key(1)])[key(1)].text == "first"
    assert journal.tally.repeated == 2
    (folder / "0.jsonl").write_bytes(line(reply(1, "before")))
    journal.refresh()
    assert journal.known([key(1)])[key(1)].text == "before"
    journal.compact()
    (folder / "0.jsonl").write_bytes(line(reply(1, "late")))
    assert known(local, 2)[key(1)].text == "before"


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_a_failure_that_would_come_again_is_remembered(store: Store, reason: str) -> None:
    add(store, failure(1, reason))
    assert known(store, 2) == {key(1): failure(1, reason)}
    journal = Journal(store, FOLDER)
    assert journal.tally.failed == 1
    assert journal.known([key(1)], failures=False) == {}


@pytest.mark.parametrize(
    "reason",
    ["timeout", "server error", "refused by the server", "rate limit", "malformed reply",
     "cut stream", "words nobody has heard of"],
)  # fmt: skip
def test_a_failure_that_may_pass_is_asked_again(store: Store, reason: str) -> None:
    add(store, failure(1, reason))
    journal = Journal(store, FOLDER)
    assert journal.known([key(1)]) == {}
    assert (journal.tally.transient, journal.tally.replies) == (1, 0)
    add(store, reply(1))
    assert known(store, 2) == {key(1): reply(1)}


def test_an_answer_counts_before_a_failure_that_came_earlier(store: Store) -> None:
    add(store, failure(1, "too many images"))
    assert Journal(store, FOLDER).compact().failed == 1
    add(store, reply(1))  # asked again, as a limit was raised
    assert known(store, 2) == {key(1): reply(1)}
    tally = Journal(store, FOLDER).compact()
    assert (tally.failed, tally.replies) == (0, 1)


@pytest.mark.parametrize("cut", [1, 2, 10, 60])
def test_a_torn_last_line_is_counted_and_left_out(local: Store, cut: int) -> None:
    add(local, reply(0), reply(1), reply(2))
    (part,) = parts(local)
    part.write_bytes(part.read_bytes()[:-cut])
    journal = Journal(local, FOLDER)
    assert [*journal.known(key(n) for n in range(3))] == [key(0), key(1)]
    assert (journal.tally.torn, journal.tally.damaged) == (1, 0)
    add(local, reply(2))
    assert len(known(local, 3)) == 3


def test_a_line_that_was_only_half_there_is_read_when_it_is_whole(local: Store) -> None:
    whole = line(reply(0)) + line(reply(1))
    path = Path(local.url) / FOLDER / "live.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(whole[:-9])
    journal = Journal(local, FOLDER)
    assert journal.tally.torn == 1
    path.write_bytes(whole)
    journal.refresh()
    assert len(journal.known([key(0), key(1)])) == 2
    assert (journal.tally.torn, journal.tally.damaged) == (0, 0)


def test_every_flipped_byte_costs_its_own_line_at_most(local: Store) -> None:
    add(local, *map(reply, range(3)))
    (part,) = parts(local)
    whole = part.read_bytes()
    ends = [len(line(reply(0))), len(line(reply(0)) + line(reply(1)))]
    for at in range(len(whole)):
        for flip in (1, 0x80):
            broken = bytearray(whole)
            broken[at] ^= flip
            part.write_bytes(broken)
            journal = Journal(local, FOLDER)
            found = journal.known(key(n) for n in range(3))
            assert all(found[k] == reply(n) for n in range(3) if (k := key(n)) in found)
            hit = {0 if at < ends[0] else 1 if at < ends[1] else 2}
            if at + 1 in ends:  # without its end a line runs into the next one
                hit.add(min(hit) + 1)
            assert {key(n) for n in {0, 1, 2} - hit} == {*found}, at
            assert journal.tally.damaged + journal.tally.torn >= 1, at


def test_a_byte_that_flips_after_opening_is_seen_when_it_is_read(local: Store) -> None:
    add(local, reply(0), reply(1))
    journal = Journal(local, FOLDER)
    (part,) = parts(local)
    broken = bytearray(part.read_bytes())
    broken[80] ^= 4
    part.write_bytes(broken)
    assert [*journal.known([key(0), key(1)])] == [key(1)]
    assert journal.tally.damaged == 1


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.integers(0, 5).map(lambda n: line(reply(n))),
            st.just(b"\n"),
            st.sampled_from([b'{"sum":"', b'","reply":', b'{"key":"a"}', b"}\n", b"[" * 3000]),
        ),
        max_size=12,
    )
)
def test_arbitrary_bytes_never_raise_and_never_give_a_wrong_reply(
    local: Store, pieces: list[bytes]
) -> None:
    path = Path(local.url) / FOLDER / "fuzz.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.iterdir():
        other.unlink()
    path.write_bytes(b"".join(pieces))
    found = known(local, 6)
    assert all(one == reply(n) for n in range(6) if (one := found.get(key(n))))
    journal = Journal(local, FOLDER)
    assert journal.tally.replies == len(found)
    journal.compact()
    assert known(local, 6) == found


@settings(max_examples=100, database=None)
@given(text=st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_comes_back_as_it_was_told_to(text: str) -> None:
    store = Store(f"memory://{secrets.token_hex(8)}")
    with Journal(store, FOLDER).writer() as writer:
        told = writer.add(reply(1, text))
    assert known(store, 2) == {key(1): told}
    assert told.text == text or "�" in told.text or any("\ud800" <= c <= "\udfff" for c in text)


def test_half_a_letter_does_not_cost_the_answer(store: Store) -> None:
    add(store, reply(1, "cut here: \ud83d"), reply(2, "and whole: \ud83d\ude00"))
    found = known(store, 3)
    assert found[key(1)].text == "cut here: �"
    assert found[key(2)].text == "and whole: \U0001f600"


def test_equal_replies_are_compacted_to_equal_bytes_however_they_came(tmp_path: Path) -> None:
    made: list[bytes] = []
    for run, step in enumerate((1, 7, 13)):
        store = Store(str(tmp_path / str(run)))
        order = [n * step % 60 for n in range(60)]
        for start in range(0, 60, 20 + run):
            add(store, *map(reply, order[start : start + 20 + run]), failure(99, "timeout"))
            if run == 1:
                Journal(store, FOLDER).compact()
        add(store, reply(order[3]))
        tally = Journal(store, FOLDER).compact()
        assert (tally.replies, tally.parts, tally.repeated, tally.transient) == (60, 1, 0, 0)
        (part,) = parts(store)
        made.append(part.read_bytes())
        assert known(store, 60) == {key(n): reply(n) for n in range(60)}
    assert made[0] == made[1] == made[2]


def test_a_compacted_journal_reads_alike_and_grows_on(store: Store) -> None:
    add(store, *map(reply, range(20)))
    before = known(store, 30)
    journal = Journal(store, FOLDER)
    assert journal.compact().parts == 1
    assert [*journal.known(map(key, range(30))).items()] == [*before.items()]
    names = store.list(FOLDER)
    assert journal.compact().parts == 1
    assert store.list(FOLDER) == names
    add(store, reply(20))
    assert journal.compact().replies == 21
    assert len(store.list(FOLDER)) == 1
    assert len(known(store, 30)) == 21


def test_a_compaction_drops_damage_and_keeps_what_is_whole(local: Store) -> None:
    add(local, *map(reply, range(5)))
    (part,) = parts(local)
    part.write_bytes(b"dirt\n" + part.read_bytes()[:-3])
    tally = Journal(local, FOLDER).compact()
    assert (tally.replies, tally.damaged, tally.torn) == (4, 0, 0)


def test_what_a_killed_compaction_left_is_collected(local: Store, tmp_path: Path) -> None:
    add(local, *map(reply, range(5)))
    (part,) = parts(local)
    shutil.copy(part, tmp_path / "kept")
    Journal(local, FOLDER).compact()
    shutil.copy(tmp_path / "kept", part)  # killed before it was deleted
    (part.parent / "dirt.jsonl").write_bytes(b"\n\n")
    journal = Journal(local, FOLDER)
    assert sorted(journal.gc()) == sorted([part.name, "dirt.jsonl"])
    assert journal.tally.parts == 1
    assert len(known(local, 5)) == 5
    assert journal.gc() == []


def test_a_part_that_vanishes_under_a_reader_is_one_sentence(local: Store) -> None:
    add(local, reply(1))
    journal = Journal(local, FOLDER)
    parts(local)[0].unlink()
    with pytest.raises(EnvironmentFailure, match="was deleted while it was in use"):
        journal.known([key(1)])


def test_a_file_that_cannot_be_read_is_one_sentence(local: Store) -> None:
    (Path(local.url) / FOLDER / "folder.jsonl").mkdir(parents=True)
    with pytest.raises(EnvironmentFailure, match=r"folder\.jsonl cannot be read: Is a directory"):
        Journal(local, FOLDER)


WRITES = """
    import sys, time
    from mgdata.data import Reply
    from mgdata.identity import digest
    from mgdata.storage import Store
    from mgdata.teacher.journal import Journal

    journal = Journal(Store(sys.argv[1]), "answers/journal")
    keys = [digest(str(number)) for number in range(int(sys.argv[2]))]
    known = journal.known(keys)
    with journal.writer() as writer:
        for key in keys:
            if key not in known:
                print(key, flush=True)
                time.sleep(float(sys.argv[3]))
                writer.add(Reply(key=key, text=key[:5] * 3000, finish="stop"))
"""


def writing(*arguments: object, **options: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", textwrap.dedent(WRITES), *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def test_after_a_kill_only_the_request_in_flight_is_asked_again(local: Store) -> None:
    asked: list[str] = []
    for attempt in range(4):
        with writing(local.url, 60, 0.002) as process:
            assert process.stdout
            for _ in range(13):
                asked.append(process.stdout.readline().strip())
            process.send_signal(signal.SIGKILL)
            asked += process.stdout.read().split()
        assert process.returncode == -signal.SIGKILL
        assert len(set(asked)) >= len(asked) - attempt
    with writing(local.url, 60, 0) as process:
        assert process.stdout
        asked += process.stdout.read().split()
    assert process.returncode == 0
    assert {*asked} == {key(n) for n in range(60)}
    assert len(asked) <= 60 + 4  # one in flight at each kill
    assert len(known(local, 60)) == 60
    assert Journal(local, FOLDER).tally.damaged == 0


def test_a_full_disk_is_one_sentence_and_leaves_what_was_whole(local: Store) -> None:
    """A limit on the size of files, as a full disk cuts a write in the middle."""
    size = 40_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    with writing(local.url, 9, 0, stderr=subprocess.PIPE, preexec_fn=limited) as process:
        assert process.stderr
        assert "EnvironmentFailure: cannot write to" in process.stderr.read()
    journal = Journal(local, FOLDER)
    assert (journal.tally.replies, journal.tally.torn) == (size // 15_130, 1)
    assert parts(local)[0].stat().st_size == size


def test_a_writer_goes_on_in_another_part_after_a_write_that_failed(
    local: Store, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Journal(local, FOLDER).writer() as writer:
            writer.add(reply(1))
            resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
            with pytest.raises(EnvironmentFailure, match="cannot write to"):
                writer.add(reply(2, "x" * 2000))
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            writer.add(reply(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [*known(local, 4)] == [key(1), key(3)]
    assert len(parts(local)) == 2


def test_a_reply_of_a_later_version_is_asked_again(local: Store) -> None:
    from mgdata.teacher import journal_lines

    known_line = line(reply(1))
    body = known_line[known_line.index(b'"reply":') + 8 : -2]
    later = body.replace(b'"finish"', b'"mood":"good","finish"')
    path = Path(local.url) / FOLDER / "later.jsonl"
    path.parent.mkdir(parents=True)
    sums = journal_lines._sum(later)  # pyright: ignore[reportPrivateUsage]
    path.write_bytes(b'{"sum":"' + sums + b'","reply":' + later + b"}\n")
    journal = Journal(local, FOLDER)
    assert journal.known([key(1)]) == {}
    assert journal.tally.damaged == 1


def test_memory_holds_no_texts(local: Store) -> None:
    """Forty megabytes of replies are opened and asked for in far less."""
    with Journal(local, FOLDER).writer() as writer:
        for number in range(2000):
            writer.add(reply(number, "word " * 4000))
    code = (
        "import sys, resource\n"
        "from mgdata.storage import Store\n"
        "from mgdata.teacher.journal import Journal\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"journal = Journal(Store(sys.argv[1]), {FOLDER!r})\n"
        "assert journal.tally.replies == 2000\n"
        f"assert len(journal.known({[key(n) for n in range(5)]})) == 5\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, local.url],
        capture_output=True, text=True, check=True, env=dict(os.environ),
    )  # fmt: skip
    assert int(done.stdout) < 8_000  # KB
