"""From a model to predictions: a perfect teacher earns full marks, and nothing is asked twice."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from command import mgdata
from PIL import Image as Picture
from small_runs import done, write_corpora, write_recipe

sys.path.append(str(Path(__file__).parent / "teacher"))
from faulty_server import MODEL, Way, choice, error, serving

from mgdata import questions
from mgdata.against import Report, answer_against, lines
from mgdata.asked import BATCH
from mgdata.data import Reply, Request, Sampling
from mgdata.errors import EnvironmentFailure, MgdataError
from mgdata.gold import Fault, Release
from mgdata.plugins import Session
from mgdata.questions import Question, questions_of
from mgdata.score import Report as Scores
from mgdata.score import notation_of, score_file, source_of
from mgdata.storage import Store
from mgdata.synth import write
from mgdata.teacher.backends.scripted import Scripted

LONG = Sampling(max_tokens=4096)


@dataclass(frozen=True)
class Place:
    """Something to ask about."""

    name: str
    roots: tuple[str, ...] = ()

    def answered(self, file: Path, settings: tuple[str, ...] = (), **more: Any) -> Report:
        usual: dict[str, Any] = {"sampling": LONG, "roots": self.roots}
        return answer_against(self.name, file, "scripted", settings, "qwen2-vl", **usual | more)

    def scored(self, file: Path) -> Scores:
        return score_file(file, self.name, "qwen2-vl", roots=self.roots)

    def questions(self) -> tuple[list[Question], list[Fault], Callable[[str], bytes]]:
        pairs = dict(root.split("=") for root in self.roots)
        source = source_of(self.name, None, pairs, notation_of("qwen2-vl", ()), pictures=True)
        asked = questions_of(source)
        found = [one for part in source.parts() for one in asked.questions(part)]
        sound = [one for one in found if isinstance(one, Question)]
        return sound, [one for one in found if isinstance(one, Fault)], asked.picture


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with several turns a sample, several files and row groups."""
    folder = tmp_path_factory.mktemp("small")
    roots = write_corpora(folder)
    done(write_recipe(folder / "small.yaml"), roots, folder / "run", "--engine", "serial")
    return folder / "run"


@pytest.fixture(scope="module")
def mig_bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks") / "mig_bench"
    write("mig_bench", folder, clips=20, frames=2, size=(160, 120), seed=4)
    return folder


@pytest.fixture(scope="module")
def places(
    release: Path, mig_bench: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Place]:
    mc_bench = tmp_path_factory.mktemp("benchmarks") / "mc_bench"
    write("mc_bench", mc_bench, clips=20, frames=2, size=(160, 120), seed=4)
    return {
        "release": Place(str(release)),
        "mig_bench": Place("mig_bench", (f"mig_bench={mig_bench}",)),
        "mc_bench": Place("mc_bench", (f"mc_bench={mc_bench}",)),
    }


@pytest.fixture(params=["release", "mig_bench", "mc_bench"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    return places[request.param]


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["direct", "reason"])
def test_a_perfect_teacher_earns_full_marks(place: Place, kind: Any, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    report = place.answered(file, kind=kind)
    scores = place.scored(file)
    assert report.answered == report.items == scores.total["items"] == len(read(file))
    assert scores.predictions == {
        "read": report.items, "used": report.items, "unknown": 0, "repeated": 0
    }  # fmt: skip
    assert {scores.total[k] for k in ("acc@0.3", "acc@0.5", "acc@0.7", "format")} == {1.0}
    assert report.failed == report.unreadable == scores.unreadable == {}
    assert report.left_out == scores.left_out
    assert report.known == report.cut == 0
    assert report.prompt_tokens > report.items and report.tokens > report.items
    assert not any("answer>" in line["text"] or "think" in line["text"] for line in read(file))


def test_a_release_has_samples_of_several_turns_and_each_is_asked(
    places: dict[str, Place], tmp_path: Path
) -> None:
    places["release"].answered(tmp_path / "p.jsonl")
    found = read(tmp_path / "p.jsonl")
    assert {line.get("turn", 0) for line in found} >= {0, 1}
    assert all("turn" not in line or line["turn"] > 0 for line in found)


def test_faults_of_the_model_cost_marks_and_are_told(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    faults = "faults={failed: 0.25, bad_format: 0.2, offset_box: 0.2, extra_box: 0.2}"
    report = place.answered(file, (faults,), kind="reason")
    scores = place.scored(file)
    failed = sum(report.failed.values())
    assert 0 < failed == report.items - report.answered == scores.total["missing"]
    assert set(report.failed) <= {"timeout", "server error", "prompt too long", "image refused"}
    assert sum(report.unreadable.values()) > 0
    assert scores.total["acc@0.5"] < 1 - failed / report.items
    told = lines(report)
    assert f"failed: {next(iter(report.failed.values())):,} {next(iter(report.failed))}" in told
    assert any(line.startswith("unreadable: ") for line in told)


def test_an_unreadable_reply_is_written_as_it_is(places: dict[str, Place], tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    report = places["mc_bench"].answered(file, ("faults={cut: 1.0}",), kind="reason")
    assert report.cut == report.answered == sum(report.unreadable.values())
    assert all(line["text"].startswith("<think>") for line in read(file))


def test_questions_come_in_the_order_of_the_items_with_their_pictures(place: Place) -> None:
    found, faults, picture = place.questions()
    assert len(found) > 10
    for one in found:
        assert len(one.pictures) == len(one.sample.images) > 1
        for name, image in zip(one.pictures, one.sample.images, strict=True):
            data = picture(name)
            assert hashlib.sha256(data).hexdigest() == name
            with Picture.open(io.BytesIO(data)) as opened:
                assert opened.size == (image.width, image.height)
    assert all(fault.reason for fault in faults)


def test_each_row_group_of_a_release_is_read_once_for_its_pictures(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though few are remembered, and a backend fetches pictures some requests late."""
    source = Release(store=Store(f"{release}/release"))
    asked = questions_of(source)
    opened: list[str] = []
    before = Release.opened
    monkeypatch.setattr(questions, "REMEMBERED", 500_000)
    late: deque[Question] = deque()
    groups = 0
    for part in source.parts():
        groups += pq.read_metadata(f"{release}/release/{part}").num_row_groups
        found = asked.questions(part)
        late.append(next(one for one in found if isinstance(one, Question)))
        monkeypatch.setattr(
            Release, "opened", lambda self, path: opened.append(path) or before(self, path)
        )
        for one in found:
            assert isinstance(one, Question)
            late.append(one)
            if len(late) > 8:
                assert all(map(asked.picture, late.popleft().pictures))
        monkeypatch.setattr(Release, "opened", before)
    assert groups > 6
    assert len(opened) <= groups


def test_questions_of_a_release_ask_what_its_rows_ask(places: dict[str, Place]) -> None:
    found, _, _ = places["release"].questions()
    source = Release(store=Store(f"{places['release'].name}/release"))
    items = [item for part in source.parts() for item in source.items(part)]
    assert [(one.sample.id, one.turn) for one in found] == [
        (item.id, item.number) for item in items if not isinstance(item, Fault)
    ]
    assert all(one.sample.turns[one.turn] == item.turn  # type: ignore[union-attr]
               for one, item in zip(found, items, strict=True))  # fmt: skip


def test_a_box_that_mig_bench_gives_is_written_in_the_notation_asked_for(
    places: dict[str, Place],
) -> None:
    found, _, _ = places["mig_bench"].questions()
    qwen, shown = notation_of("qwen2-vl", ()), notation_of("json", ())
    given = [one for one in found if one.sample.turns[0].regions]
    assert {one.sample.task for one in given} == {"multi_view", "object_tracking"}
    for one in given:
        turn = one.sample.turns[0]
        assert turn.question.count("<region:0>") == 1 and "<|" not in turn.question
        assert "<|box_start|>" in qwen.question(turn, one.sample.images)
        assert "<|" not in shown.question(turn, one.sample.images)
    grouped = [one for one in found if one.sample.task == "group_grounding"]
    assert grouped and not any("object_ref" in one.sample.turns[0].question for one in grouped)


def test_boxes_given_by_mig_bench_are_its_own_in_qwens_notation(
    places: dict[str, Place], mig_bench: Path
) -> None:
    """There and back: what the notation writes is what the file says, but for rounding."""
    raw = json.loads((mig_bench / "MIG_data.json").read_text())
    qwen = notation_of("qwen2-vl", ())
    found, _, _ = places["mig_bench"].questions()
    for one in found:
        if one.sample.turns[0].regions:
            written = qwen.question(one.sample.turns[0], one.sample.images)
            ours, theirs = (
                [int(n) for n in re.findall(r"\d+", text.split("<|box_start|>")[1].split("<|")[0])]
                for text in (written, raw[int(one.sample.id)]["question"])
            )
            assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 1


def asks(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Everything that a scripted teacher is asked from here on."""
    seen: list[Request] = []
    before = Scripted.reply

    def reply(self: Scripted, request: Request) -> Reply:
        seen.append(request)
        return before(self, request)

    monkeypatch.setattr(Scripted, "reply", reply)
    return seen


class _Dies(Session):
    """A session that ends after some replies, as where a server goes away."""

    def __init__(self, session: Session, replies: int) -> None:
        self._session, self._left = session, replies
        self.closed = False

    def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
        for reply in self._session.answer(requests):
            if not self._left:
                raise EnvironmentFailure("the server went away")
            self._left -= 1
            yield reply

    def close(self) -> None:
        self._session.close()


def test_a_run_that_was_killed_asks_only_the_rest(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, file = tmp_path / "whole.jsonl", tmp_path / "p.jsonl"
    report = place.answered(whole)
    opened = Scripted.open

    def dying(self: Scripted, pictures: Callable[[str], bytes]) -> Session:
        return _Dies(opened(self, pictures), 7)

    with monkeypatch.context() as context:
        context.setattr(Scripted, "open", dying)
        with pytest.raises(EnvironmentFailure, match="went away"):
            place.answered(file)
    assert not file.exists()
    seen = asks(monkeypatch)
    again = place.answered(file)
    assert (again.known, len(seen)) == (7, report.items - 7)
    assert file.read_bytes() == whole.read_bytes()
    assert msgspec.structs.replace(again, known=0, score="") == msgspec.structs.replace(
        report, score=""
    )


def test_a_finished_run_opens_no_model(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.jsonl"
    first = place.answered(file)
    before = file.read_bytes()
    file.unlink()
    monkeypatch.setattr(Scripted, "open", lambda *_: pytest.fail("it was opened"))
    again = place.answered(file)
    assert again.known == again.answered == first.items
    assert file.read_bytes() == before


def test_what_failed_and_may_pass_is_asked_again(
    places: dict[str, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.jsonl"
    faults = ("faults={failed: 0.5}",)
    first = places["mig_bench"].answered(file, faults)
    passing = first.failed.get("timeout", 0) + first.failed.get("server error", 0)
    assert 0 < passing < sum(first.failed.values())
    seen = asks(monkeypatch)
    again = places["mig_bench"].answered(file, faults)
    assert len(seen) == passing and again.failed == first.failed


def test_replies_in_any_order_are_written_in_the_order_of_the_items(
    places: dict[str, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places["release"].answered(tmp_path / "straight.jsonl")
    opened = Scripted.open

    class Backwards(_Dies):
        def answer(self, requests: Iterator[Request]) -> Iterator[Reply]:
            yield from reversed(list(self._session.answer(requests)))

    monkeypatch.setattr(Scripted, "open", lambda self, p: Backwards(opened(self, p), 0))
    places["release"].answered(tmp_path / "turned.jsonl")
    straight, turned = (tmp_path / f"{name}.jsonl" for name in ("straight", "turned"))
    assert straight.read_bytes() == turned.read_bytes()


def test_another_model_is_asked_anew_and_its_predictions_take_the_place(
    places: dict[str, Place], tmp_path: Path
) -> None:
    file = tmp_path / "p.jsonl"
    first = places["mc_bench"].answered(file)
    worse = places["mc_bench"].answered(file, ("faults={empty: 1.0}",))
    assert worse.known == 0 and worse.model != first.model
    assert {line["text"] for line in read(file)} == {""}
    assert places["mc_bench"].answered(file).known == first.items
    assert first.model.startswith("scripted:annotation@")


def test_the_first_items_alone_can_be_asked(place: Place, tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.jsonl", tmp_path / "p.jsonl"
    items = place.answered(whole).items
    report = place.answered(file, limit=5)
    assert report.items == report.answered == 5
    assert file.read_text().splitlines() == whole.read_text().splitlines()[:5]
    assert place.scored(file).total["missing"] == items - 5
    assert any("at most 5 items" in line for line in lines(report))
    assert place.answered(file).known == 5  # the rest comes later


def test_a_split_alone_can_be_asked(places: dict[str, Place], tmp_path: Path) -> None:
    one, other, both = (
        places["release"].answered(tmp_path / f"{split}.jsonl", split=split).items
        for split in ("train", "test", None)
    )
    assert one + other == both and one and other


def test_the_command_to_run_next_is_told_and_runs(places: dict[str, Place], tmp_path: Path) -> None:
    file = tmp_path / "my predictions.jsonl"
    report = places["mig_bench"].answered(file)
    assert lines(report)[-1] == f"score them: {report.score}"
    program, *words = shlex.split(report.score)
    ended = mgdata(*words, "--quiet")
    assert (program, ended.code) == ("mgdata", 0), ended.err


def test_progress_is_told_in_batches(places: dict[str, Place], tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    report = places["release"].answered(
        tmp_path / "p.jsonl", tell=lambda name, facts: told.append((name, facts))
    )
    (first, facts), *middle, (last, _) = told
    assert (first, last) == ("stage started", "stage done")
    assert facts["shards"] == len(middle) == -(-report.items // BATCH) > 1
    assert sum(facts["rows"] for _, facts in middle) == report.items


def test_an_item_without_its_image_is_left_out_and_counted(mig_bench: Path, tmp_path: Path) -> None:
    root = tmp_path / "mig_bench"
    shutil.copytree(mig_bench, root)
    place = Place("mig_bench", (f"mig_bench={root}",))
    before = place.answered(tmp_path / "before.jsonl")
    gone = next((root / "images/refer_grounding").glob("*_raw.jpg"))
    gone.unlink()
    after = place.answered(tmp_path / "after.jsonl")
    assert after.left_out["missing image"] == before.left_out["missing image"] + 1
    assert after.items == before.items - 1


def test_a_benchmark_without_any_image_is_refused_before_a_model_is_opened(
    mig_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(mig_bench / "MIG_data.json", tmp_path)
    monkeypatch.setattr(Scripted, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(EnvironmentFailure, match=r"no item of mig_bench .* \d+ missing image"):
        Place("mig_bench", (f"mig_bench={tmp_path}",)).answered(tmp_path / "p.jsonl")


def test_a_picture_that_exif_turns_is_sent_upright(mig_bench: Path, tmp_path: Path) -> None:
    root = tmp_path / "mig_bench"
    shutil.copytree(mig_bench, root)
    (path,) = list((root / "images/refer_grounding").glob("*_raw.jpg"))[:1]
    with Picture.open(path) as picture:
        width, height = picture.size
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(path, exif=exif)
    found, _, fetch = Place("mig_bench", (f"mig_bench={root}",)).questions()
    (one,) = [q for q in found if any(i.orientation == 6 for i in q.sample.images)]
    with Picture.open(io.BytesIO(fetch(one.pictures[1]))) as sent:
        assert sent.size == (height, width) and not sent.getexif()


def refused(code: int, *words: Any, **more: Any) -> str:
    with pytest.raises(MgdataError) as ended:
        answer_against(*words, **more)
    assert ended.value.exit_code == code
    assert "\n" not in str(ended.value)
    return str(ended.value)


def test_wrong_usage_is_one_sentence_with_the_way_out(release: Path, tmp_path: Path) -> None:
    file, run = tmp_path / "p.jsonl", str(release)
    assert "scripted" in refused(2, run, file, "scriptd", (), "json")
    assert "did you mean qwen2-vl?" in refused(2, run, file, "scripted", (), "qwen2_vl")
    assert "notatoin" in refused(2, run, file, "scripted", ("notatoin=json",), "json")
    assert "--with delay" in refused(2, run, file, "scripted", ("delay",), "json")
    assert "delay" in refused(2, run, file, "scripted", ("delay=-1",), "json")
    assert "--set" in refused(2, run, file, "scripted", (), "json", ("x",))
    assert "--root mig_bench=PATH" in refused(3, "mig_bench", file, "scripted", (), "json")
    there = f"mig_bench={tmp_path}/gone"
    told = refused(3, "mig_bench", file, "scripted", (), "json", roots=(there,))
    assert "there is no folder" in told
    nowhere = tmp_path / "gone" / "p.jsonl"
    assert "there is no folder" in refused(2, run, nowhere, "scripted", (), "json")
    assert "is a folder" in refused(2, run, tmp_path, "scripted", (), "json")
    assert "--limit 0" in refused(2, run, file, "scripted", (), "json", limit=0)
    assert "no such split" in refused(2, run, file, "scripted", (), "json", split="tset")
    assert list(tmp_path.iterdir()) == []


TINY = """
from dataclasses import dataclass

from mgdata.teacher.backends.endpoint import Endpoint


@dataclass(frozen=True, kw_only=True)
class Tiny(Endpoint):
    name: str = "tiny"
"""


def test_a_server_is_sent_the_images_and_asked_once(
    places: dict[str, Place], tmp_path: Path
) -> None:
    """Over HTTP, through a backend in a file of the user's own."""
    place, file = places["mig_bench"], tmp_path / "p.jsonl"
    (tmp_path / "tiny.py").write_text(TINY)
    backend = f"{tmp_path}/tiny.py:Tiny"
    found, _, fetch = place.questions()

    def way(number: int, body: Any) -> Way:
        if number == 3:
            return error(400, "This model's maximum context length is 10 tokens.")
        return choice(message={"content": "<answer>Image-1: nothing</answer>"})

    def report(url: str) -> Report:
        settings = (f"url={url}", "concurrency=1", "revision=r1")
        return answer_against("mig_bench", file, backend, settings, "qwen2-vl",
                              roots=place.roots, limit=6)  # fmt: skip

    with serving(way) as server:
        first, again = report(server.url), report(server.url)
    assert len(server.seen) == 6 and (first.known, again.known) == (0, 6)
    assert first.model == f"{backend}:{MODEL}@r1"
    assert first.failed == again.failed == {"prompt too long": 1}  # it would fail again
    assert {line["text"] for line in read(file)} == {"Image-1: nothing"}
    sent = [json.dumps(seen.body) for seen in server.seen]
    for one, body in zip(found, sent, strict=False):
        pictures = [base64.b64encode(fetch(name)).decode() for name in one.pictures]
        assert [body.index(data) for data in pictures] == sorted(map(body.index, pictures))
        assert body.count("data:image/") == len(pictures)
