"""The scripted teacher: right answers pass every check, and each fault is caught for what it is."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

# Records of every shape, which the tests of the tasks have.
sys.path.append(str(Path(__file__).parent.parent / "builders"))
from made import index, record

from mgdata import registry
from mgdata.data import Image, PromptKind, Reply, Request, Sample, Sampling, Target, Turn
from mgdata.errors import Rejected, UsageError
from mgdata.geometry import Box, valid
from mgdata.identity import Stream, digest
from mgdata.judgement import judge
from mgdata.plugins import Backend, Builder
from mgdata.teacher import consistency, language, leaks, thought
from mgdata.teacher.backends.scripted import Scripted, notation_named
from mgdata.teacher.backends.scripted_faults import (
    BROKEN,
    BROKEN_DIRECT,
    FAULTS,
    LEAKS,
    aside,
)
from mgdata.teacher.listing import listing
from mgdata.teacher.mentions import overlap
from mgdata.teacher.replies import ReplyError, read_phrase, read_verdict
from mgdata.teacher.written import read_written

BUILDERS = sorted(point.name for point in entry_points(group="mgdata.builders"))
NOTATIONS = sorted(point.name for point in entry_points(group="mgdata.notations"))
KINDS: tuple[PromptKind, ...] = ("direct", "reason", "rationalise", "trajectory")
LONG = Sampling(max_tokens=4096)


@cache
def samples() -> list[Sample]:
    """Some of every task, built as its stage does."""
    found: list[Sample] = []
    for name in BUILDERS:
        builder: Builder = registry.make("builders", name, {}, f"test: {name}")
        records = [record(n, shape) for n in range(40) for shape in builder.shapes]
        for group in builder.groups(index(records), Stream("groups", name)):
            members = [records[row] for row in group]
            try:
                made = [*builder.build(members, Stream("build", *(one.key for one in members)))]
            except Rejected:
                continue
            found += [replace(one, task=name) for one in made if isinstance(one, Sample)]
    return found


def requests(
    some: Iterable[Sample], kinds: Iterable[PromptKind] = KINDS, number: int = 0
) -> Iterator[Request]:
    for sample in some:
        for turn in range(len(sample.turns)):
            for kind in kinds:
                yield asked(sample, turn, kind, number)


def asked(sample: Sample | None, turn: int, kind: PromptKind, number: int = 0) -> Request:
    name = sample.id if sample else ""
    return Request(
        key=digest(name, str(turn), kind, str(number)), prompt="", system="", user="what?",
        pictures=(), sampling=LONG, seed=number, sample=sample, turn=turn, kind=kind,
    )  # fmt: skip


def answers(teacher: Backend, some: Iterable[Request]) -> list[Reply]:
    """Through the door that every backend has; it may open no picture."""

    def refuse(sha256: str) -> bytes:
        raise AssertionError(f"picture {sha256} was opened")

    session = teacher.open(refuse)
    try:
        return [*session.answer(iter(some))]
    finally:
        session.close()


def objections(reply: Reply, request: Request, notation: str) -> dict[str, str]:
    """What every check says of an answer, by check."""
    assert request.sample
    turn, images = request.sample.turns[request.turn], request.sample.images
    written = notation_named(notation, {})
    if reply.finish != "stop":
        return {"finish": reply.finish}
    try:
        told = thought.read(reply.text, request.kind)  # pyright: ignore[reportArgumentType]
    except thought.FormatError as error:
        return {"format": error.reason}
    verdict = judge(told.answer, turn, images, written)
    found = {"parse": verdict.reason}
    if verdict.score and not verdict.score.full:
        found["score"] = "short of full marks"
    if request.kind == "direct":
        return {check: said for check, said in found.items() if said}
    findings = {
        "language": language.check(told.reasoning),
        "leak": leaks.check(
            told.reasoning,
            kind=request.kind,  # pyright: ignore[reportArgumentType]
            turn=turn,
            images=images,
            notation=written,
        ),
        "consistency": consistency.check(
            told.reasoning,
            answer=told.answer,
            targets=verdict.targets,
            turn=turn,
            images=images,
            notation=written,
        ),
    }
    found |= {check: finding.reason for check, finding in findings.items() if finding}
    return {check: said for check, said in found.items() if said}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_right_answers_to_every_task_pass_every_check(notation: str) -> None:
    teacher = Scripted(notation=notation)
    some = [*requests(samples()[NOTATIONS.index(notation) :: 5])]
    assert len(some) > 300
    assert {r.sample.task for r in some if r.sample} == {*BUILDERS}
    for request, reply in zip(some, answers(teacher, some), strict=True):
        assert reply.key == request.key
        assert objections(reply, request, notation) == {}, reply.text


CAUGHT: dict[str, set[str]] = {
    "failed": {"finish"},
    "empty": {"format"},
    "cut": {"finish"},
    "bad_format": {"format"},
    "repetition": {"language"},
    "other_language": {"language"},
    "leaked_answer": {"leak"},
    "conclusion_first": {"leak"},
    "inconsistent": {"consistency"},
    "offset_box": {"score"},
    "wrong_image": {"score"},
    "extra_box": {"score"},
    "missing_box": {"score"},
    "wrong_words": {"score"},
}
"""The one check that objects to each fault."""


OF_FACTS: dict[str, set[str]] = {
    "bad_json": {"phrase: malformed", "written: malformed", "verdict: malformed"},
    "misfit": {"phrase: does not fit"},
    "hedging": {"explanation: hedged"},
    "unknown_object": {"objects: unknown"},
    "told_box": {"explanation: box told"},
    "wrong_verdict": {"verdict: not answerable", "verdict: not unique", "verdict: not correct"},
}
"""What the readers of facts, questions and verdicts say to each fault of theirs."""


def test_every_fault_has_a_check_that_must_catch_it() -> None:
    assert [*CAUGHT, *OF_FACTS] == [*FAULTS]


@pytest.mark.parametrize("notation", ["json", "qwen2.5-vl", "deepseek-vl2"])
@pytest.mark.parametrize("fault", CAUGHT)
def test_a_fault_is_caught_by_its_own_check_and_by_no_other(fault: str, notation: str) -> None:
    teacher = Scripted(faults={fault: 1.0}, notation=notation)
    hit = 0
    for request in requests(samples()[::7], number=1):
        found = objections(teacher.reply(request), request, notation)
        if teacher.fault(request) is None:
            assert found == {}
            continue
        hit += 1
        if fault == "wrong_image" and "no such image" in found.values():
            continue  # all images have a target, so that it is in one that is not there
        assert {*found} == CAUGHT[fault], teacher.reply(request).text
    assert hit > 10


def test_a_leak_and_a_first_conclusion_are_found_as_what_they_are() -> None:
    found: Counter[str] = Counter()
    for fault in ("leaked_answer", "conclusion_first"):
        teacher = Scripted(faults={fault: 1.0})
        for request in requests(samples()[::9], ("rationalise",)):
            said = objections(teacher.reply(request), request, "json")["leak"]
            assert (said == "conclusion first") == (fault == "conclusion_first")
            found[said] += 1
    assert {"ground truth", "given answer", "hint", "secrecy", "worked backwards"} <= {*found}


def test_formats_are_broken_in_every_way_that_is_told_apart() -> None:
    for table, kind in ((BROKEN, "reason"), (BROKEN_DIRECT, "direct")):
        for reason, form in table.items():
            with pytest.raises(thought.FormatError) as caught:
                thought.read(form.format(think="I look at it.", answer="[]"), kind)
            assert caught.value.reason == reason
    assert {*BROKEN, *BROKEN_DIRECT, "empty"} == {*thought.REASONS}


def test_shares_of_faults_are_kept_and_the_rest_is_right() -> None:
    shares = {"empty": 0.2, "cut": 0.1, "leaked_answer": 0.15, "failed": 0.05}
    teacher = Scripted(faults=shares)
    some = [*requests(samples(), ("reason", "rationalise"))]
    hits = Counter(map(teacher.fault, some))
    for fault, share in shares.items():
        assert hits[fault] / len(some) == pytest.approx(share, abs=0.03)
    right = [request for request in some if teacher.fault(request) is None]
    assert len(right) / len(some) == pytest.approx(0.5, abs=0.03)
    assert not any(objections(teacher.reply(one), one, "json") for one in right[::11])


def test_an_answer_depends_on_its_request_and_the_settings_alone() -> None:
    faults = {"offset_box": 0.2, "bad_format": 0.2, "inconsistent": 0.1, "failed": 0.1}
    teacher = Scripted(faults=faults)
    some = [*requests(samples()[::15])]
    first = answers(teacher, some)
    again = Scripted(faults=dict(reversed(faults.items())), delay=0.0)
    backwards = answers(pickle.loads(pickle.dumps(again)), reversed(some))
    assert first == backwards[::-1]
    other = [*requests(samples()[::15], number=1)]
    assert [*map(teacher.fault, some)] != [*map(teacher.fault, other)]


def test_more_of_one_fault_takes_no_answer_from_those_that_had_it() -> None:
    some = [*requests(samples()[::5], ("reason",))]
    few, many = (Scripted(faults={"empty": share}) for share in (0.1, 0.3))
    assert {r.key for r in some if few.fault(r)} < {r.key for r in some if many.fault(r)}


def test_its_name_tells_what_shapes_its_answers_and_nothing_else() -> None:
    plain = Scripted()
    assert plain.simulated and plain.model.startswith("annotation@")
    assert Scripted(delay=1.0).model == plain.model
    pair = [{"empty": 0.1, "cut": 0.2}, {"cut": 0.2, "empty": 0.1}]
    assert len({Scripted(faults=faults).model for faults in pair}) == 1
    others = [
        Scripted(faults={"empty": 0.1}),
        Scripted(notation="qwen2-vl"),
        Scripted(offset_iou=0.1),
        Scripted(notation="qwen2.5-vl"),
        Scripted(notation="qwen2.5-vl", notation_settings={"max_pixels": 500000}),
    ]
    assert len({plain.model, *(other.model for other in others)}) == 6


@pytest.mark.parametrize("seed", range(40))
def test_a_box_aside_keeps_no_more_overlap_than_it_may(seed: int) -> None:
    rng = Stream("boxes", str(seed))
    image = Image(uri="", width=rng.between(20, 2000), height=rng.between(20, 2000))
    wide, high = 1 + rng.uniform() * (image.width - 1), 1 + rng.uniform() * (image.height - 1)
    x, y = rng.uniform() * (image.width - wide), rng.uniform() * (image.height - high)
    box = Box(x, y, x + wide, y + high)
    whole = Box(0.0, 0.0, image.width, image.height)
    for one in (box, whole):
        moved = aside(one, image, 0.3)
        assert valid(moved, image.width, image.height)
        assert overlap(one, moved) <= 0.3 + 1e-9


def test_a_sample_of_one_image_is_answered_too() -> None:
    """Such a sample has no other image to be wrong about: it names one that is not there."""
    image = Image(uri="a:b", width=640, height=480)
    turn = Turn(
        question="<image:0>\nWhere is the cat?",
        answer="<target:0>",
        targets=(Target(image=0, box=Box(10, 10, 200, 300), phrase="cat"),),
    )
    sample = Sample(
        id="1", task="t", association="referential", split="train", images=(image,),
        turns=(turn,), records=("a/b",), license="CC0-1.0",
    )  # fmt: skip
    right = asked(sample, 0, "reason")
    assert objections(Scripted().reply(right), right, "json") == {}
    wrong = Scripted(faults={"wrong_image": 1.0})
    assert objections(wrong.reply(right), right, "json")["parse"] == "no such image"


@given(phrase=st.text(max_size=40) | st.sampled_from(["the given answer", "a hint of red", "dog"]))
def test_whatever_a_thing_is_called_its_reasoning_stays_clean(phrase: str) -> None:
    image = Image(uri="a:b", width=640, height=480)
    targets = (Target(image=1, box=Box(10, 10, 200, 300), phrase=phrase),)
    turn = Turn(
        question="<image:0>\n<image:1>\nFind it.",
        answer="<target:0>",
        targets=targets,
    )
    sample = Sample(
        id="1", task="t", association="semantic", split="train", images=(image, image),
        turns=(turn,), records=("a/b",), license="CC0-1.0",
    )  # fmt: skip
    for request in requests([sample], ("rationalise", "trajectory")):
        reply = Scripted(notation="qwen2-vl").reply(request)
        reasoning = reply.text.partition("<think>")[2].partition("</think>")[0]
        bare = replace(sample, turns=(replace(turn, targets=(replace(targets[0], phrase=None),)),))
        rest = f"<think>{reasoning}</think><answer>Image-2: "
        rest += (
            Scripted(notation="qwen2-vl")
            .reply(replace(request, sample=bare, kind="direct"))
            .text.removeprefix("<answer>")
            .removesuffix("</answer>")
        )
        told = replace(reply, text=f"{rest}</answer>")
        assert objections(told, request, "qwen2-vl") == {}, reply.text


def test_an_answer_is_cut_where_the_request_has_no_more_tokens() -> None:
    request = replace(next(requests(samples(), ("reason",))), sampling=Sampling(max_tokens=10))
    reply = Scripted().reply(request)
    assert (reply.finish, reply.tokens, len(reply.text)) == ("length", 10, 40)


def test_a_failure_has_one_of_the_reasons_that_were_set() -> None:
    teacher = Scripted(faults={"failed": 1.0}, failures=("timeout", "rate limit"))
    replies = answers(teacher, requests(samples()[::10]))
    assert {reply.reason for reply in replies} == {"timeout", "rate limit"}
    assert {(reply.finish, reply.text) for reply in replies} == {("failed", "")}


def test_a_request_without_its_sample_fails_alone() -> None:
    some = [asked(None, 0, "caption"), next(requests(samples(), ("direct",)))]
    replies = answers(Scripted(faults={"empty": 0.5}), some)
    assert replies[0].reason == "nothing to answer from"
    assert replies[1].finish == "stop"


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("refine", {"fits", "phrase"}),
        ("write", {"question", "objects", "explanation"}),
        ("verify", {"reason", "answerable", "unique", "correct"}),
    ],
)
def test_facts_questions_and_verdicts_are_the_json_that_is_asked_for(
    kind: PromptKind, keys: set[str]
) -> None:
    for request in requests(samples()[::10], (kind,)):
        told = json.loads(Scripted().reply(request).text)
        assert {*told} == keys
        assert "<image:" not in str(told) and "<region:" not in str(told)


def test_captions_and_phrases_say_nothing_that_only_one_sample_knows() -> None:
    """Whoever asks the same of the same picture gets the answer of whoever asked first."""
    teacher = Scripted()
    for sample in samples()[::6]:
        bare = replace(sample, id="other", turns=(replace(sample.turns[0], targets=()),))
        captions = {teacher.reply(asked(one, 0, "caption")).text for one in (sample, bare)}
        assert len(captions) == 1 and captions.pop().startswith("A scene")
        turn = sample.turns[0]
        for place, target in enumerate(turn.targets):
            alone = [other for other in turn.targets if other.image == target.image]
            fewer = replace(sample, turns=(replace(turn, targets=tuple(alone)),))
            found = [asked(sample, place, "refine"), asked(fewer, alone.index(target), "refine")]
            assert len({teacher.reply(one).text for one in found}) == 1


def reading(request: Request, reply: Reply) -> str:
    """What the reader of a kind says to a reply."""
    assert request.sample
    try:
        if request.kind == "refine":
            read_phrase(reply)
        elif request.kind == "write":
            read_written(reply, listing(request.sample), explained=True)
        else:
            read_verdict(reply)
    except ReplyError as error:
        return error.reason
    return "right"


def drafts() -> list[Sample]:
    """Samples of one turn with targets in several images, as drafts have."""
    return [
        replace(one, turns=one.turns[:1])
        for one in samples()
        if len({target.image for target in one.turns[0].targets}) > 1
    ]


@pytest.mark.parametrize("fault", OF_FACTS)
def test_a_fault_of_facts_is_caught_for_what_it_is(fault: str) -> None:
    teacher, seen = Scripted(faults={fault: 1.0}), Counter[str]()
    for draft in drafts():
        for kind in ("refine", "write", "verify"):
            request = asked(draft, 0, kind, 1)
            seen[reading(request, teacher.reply(request))] += teacher.fault(request) == fault
    seen = +seen
    assert {*seen} - {"objects: ambiguous"} == OF_FACTS[fault] and seen.total() > 30
    assert seen["objects: ambiguous"] < seen.total() / 3


def test_what_it_says_of_facts_is_right_or_declined_where_nothing_is_wrong() -> None:
    found = Counter(
        (kind, reading(request, Scripted().reply(request)))
        for draft in drafts()
        for kind in ("refine", "write", "verify")
        if (request := asked(draft, 0, kind))
    )
    assert {reason for _, reason in found} == {"right", "written: declined"}
    assert found["write", "right"] > found["write", "written: declined"] / 4


def test_prose_comes_in_several_forms() -> None:
    by_association: dict[str, set[str]] = {}
    for request in requests(samples(), ("reason",)):
        assert request.sample
        opening = Scripted().reply(request).text.split(".")[0]
        by_association.setdefault(request.sample.association, set()).add(opening)
    assert {*by_association} == {"referential", "semantic", "temporal", "spatial"}
    assert all(len(openings) >= 4 for openings in by_association.values())
    texts = [Scripted().reply(one).text for one in requests(samples()[::9], KINDS[1:])]
    assert max(len(text.partition("</think>")[0].split()) for text in texts) < 500


def test_each_answer_takes_its_time() -> None:
    started = time.monotonic()
    answers(Scripted(delay=0.02), list(requests(samples()))[:5])
    assert time.monotonic() - started >= 0.1


def test_answers_come_before_all_requests_are_there() -> None:
    def endless() -> Iterator[Request]:
        while True:
            yield from requests(samples()[:1])

    session = Scripted().open(lambda _: b"")
    replies = session.answer(endless())
    assert next(replies).finish == next(replies).finish == "stop"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"faults": {"offset": 0.5}}, "there is no fault 'offset': there are failed, empty"),
        ({"faults": {"empty": 0.7, "cut": 0.4}}, "together at most 1"),
        ({"faults": {"empty": -0.1}}, "shares of faults are 0 to 1"),
        ({"faults": {"empty": float("nan")}}, "shares of faults are 0 to 1"),
        ({"offset_iou": 1.0}, "offset_iou is over 0 and under 1"),
        ({"faults": {"failed": 0.5}, "failures": []}, "failures is empty"),
        ({"delay": -1.0}, "delay is a number of seconds"),
        ({"notation": "qwen9"}, "there is no notation 'qwen9'"),
        ({"notation": "objects"}, "there is no notation 'objects'"),
        ({"notation": "json", "notation_settings": {"colour": 1}}, "colour"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.make("backends", "scripted", settings, "recipe.yaml: teacher.with")


@pytest.mark.parametrize("name", NOTATIONS)
def test_notations_are_those_that_the_registry_makes(name: str) -> None:
    made = registry.make("notations", name, {}, "test")
    assert notation_named(name, {}) == made


def test_leaks_are_sentences() -> None:
    assert all(leak.endswith(".") and len(leak.split()) >= 5 for leak in LEAKS)
