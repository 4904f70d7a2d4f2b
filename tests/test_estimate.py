"""A few samples put to a teacher before it is paid: what is counted, and what is made of it."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from command import mgdata
from msgspec.structs import replace
from small_runs import RECIPE, write_corpora, write_recipe

from mgdata import load_recipe, run
from mgdata.data import Reply
from mgdata.errors import StorageError, UsageError
from mgdata.estimate import estimate, estimated, facts, lines
from mgdata.manifest import Entry, Manifest
from mgdata.plugins import Session
from mgdata.projection import project, taught, wilson
from mgdata.recipe import Loaded
from mgdata.release.statistics import traces as verdicts
from mgdata.stages.answer import JOURNAL
from mgdata.storage import Store
from mgdata.synth import write as write_corpus
from mgdata.teacher.backends.scripted import Scripted
from mgdata.teacher.journal import Journal
from mgdata.teacher.tables import read_answers
from mgdata.trial import Part, Trial, ask_few

FAULTS = {"offset_box": 0.25, "bad_format": 0.1, "failed": 0.1, "wrong_verdict": 0.1, "misfit": 0.1}
TEACHER = {
    "backend": "scripted",
    "with": {"faults": FAULTS},
    "cot": {"rows": 20, "share": 0.5, "prompt": "trajectory"},
    "rl": {"rows": 10, "share": 0.25, "answers": 4},
    "write": {"rows": {"free_form": 30}},
}
CORPORA = {"got10k": {}, "motchallenge": {}, "coco": {}}
TASKS = {
    "object_tracking": {"samples": 120, "corpora": ["got10k", "motchallenge"]},
    "free_form": {"samples": 40, "corpora": ["coco"]},
}


def quiet(name: str, facts: dict[str, object]) -> None:
    """Tells nobody."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two corpora of clips and one of photos; never written to."""
    folder = tmp_path_factory.mktemp("corpora")
    write_corpus("coco", folder / "coco", clips=40, frames=1, size=(160, 120), seed=5)
    return {**write_corpora(folder), "coco": str(folder / "coco")}


def loaded_with(
    folder: Path,
    roots: dict[str, str],
    teacher: Mapping[str, object] | None = None,
    **changes: object,
) -> Loaded:
    """The recipe with a teacher and other sections."""
    given = {"corpora": CORPORA, "tasks": TASKS, "teacher": teacher or TEACHER, **changes}
    recipe = write_recipe(folder / "recipe.yaml", **given)
    return load_recipe(str(recipe), pairs=[f"{name}={path}" for name, path in roots.items()])


@pytest.fixture(scope="module")
def tried(
    roots: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Loaded, Store, Trial]:
    """A recipe with all products, its trial, and the store that it was made in."""
    folder = tmp_path_factory.mktemp("tried")
    loaded = loaded_with(folder, roots)
    store = Store(str(folder / "scratch"))
    return loaded, store, ask_few(loaded, store, 20, quiet)


# What is counted.


def test_answers_and_tokens_are_those_of_the_journal(tried: tuple[Loaded, Store, Trial]) -> None:
    _, store, trial = tried
    paid = paid_for(store)
    assert sum(part.answers for part in trial.parts) == len(paid) > 0
    assert sum(part.prompt_tokens for part in trial.parts) == sum(r.prompt_tokens for r in paid)
    assert sum(part.tokens for part in trial.parts) == sum(r.tokens for r in paid) > 0
    failed = sum(reply.finish == "failed" for reply in paid)
    assert sum(part.failed for part in trial.parts) == failed > 0
    tally = Journal(store, JOURNAL).tally
    lasting = [reply for reply in paid if reply.key in Journal(store, JOURNAL).known([reply.key])]
    assert tally.replies == len(lasting)


def test_verdicts_are_those_that_the_entries_count(tried: tuple[Loaded, Store, Trial]) -> None:
    _, store, trial = tried
    said = Counter[tuple[str, str, str]]()
    for part in trial.parts:
        for kind, some in part.verdicts.items():
            said.update({(part.task, kind, what): n for what, n in some.items()})
    counted = Counter[tuple[str, str, str]]()
    for (task, kind, what), n in verdicts([*found(store, "judge"), *found(store, "teach")]).items():
        counted[task, kind.rpartition(":")[2], what] += n
    assert said == counted
    judged = Counter((trace.answer.kind, trace.reason or "accepted") for trace in trial.traces)
    for (kind, what), n in judged.items():
        assert sum(m for (_, k, w), m in said.items() if (k, w) == (kind, what)) == n
    assert {kind for _, kind, _ in said} == {"trajectory", "reason", "write"}


def test_every_sample_is_asked_whatever_rows_the_recipe_wants(
    tried: tuple[Loaded, Store, Trial],
) -> None:
    _, store, trial = tried
    asked = {
        answer.sample
        for entry in found(store, "answer")
        for answer in read_answers(store.local(entry.data().path))
    }
    assert asked == {sample.id for sample in trial.samples}
    assert len(trial.samples) == sum(part.samples for part in trial.parts)
    assert {(part.product, part.task) for part in trial.parts} == {
        ("cot", "object_tracking"), ("rl", "object_tracking"), ("write", "free_form"),
    }  # fmt: skip


def test_rows_are_lessons_and_written_ones_are_shown(tried: tuple[Loaded, Store, Trial]) -> None:
    _, store, trial = tried
    assert sum(part.rows for part in trial.parts) == sum(e.rows for e in found(store, "teach"))
    written = [part for part in trial.parts if part.product == "write"]
    assert len(trial.written) == sum(part.rows for part in written) > 0
    for part in trial.parts:
        assert part.taught <= min(part.samples, part.rows)


def test_a_task_of_few_samples_serves_both_products(roots: dict[str, str], tmp_path: Path) -> None:
    teacher = {**TEACHER, "rl": {"share": 0.05, "answers": 2}}
    teacher.pop("write")
    tasks = {"object_tracking": TASKS["object_tracking"]}
    loaded = loaded_with(tmp_path, roots, teacher, tasks=tasks)
    trial = ask_few(loaded, Store(str(tmp_path / "scratch")), 4, quiet)
    samples = {part.product: part.samples for part in trial.parts}
    assert samples == {"cot": 3, "rl": 1}


def test_the_model_is_loaded_once_for_all_products_and_let_go(
    roots: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    opened = Scripted.open

    def telling(self: Scripted, pictures: Callable[[str], bytes]) -> Session:
        session = opened(self, pictures)
        seen.append("open")
        monkeypatch.setattr(session, "close", lambda: seen.append("close"), raising=False)
        return session

    monkeypatch.setattr(Scripted, "open", telling)
    trial = ask_few(loaded_with(tmp_path, roots), Store(str(tmp_path / "scratch")), 6, quiet)
    assert {part.product for part in trial.parts} == {"cot", "rl", "write"}
    assert seen == ["open", "close"]


# What is made of it: a case by hand. 200 samples in two splits, a fifth of them for rl.


HAND = {
    "backend": "scripted",
    "cot": {"rows": 50, "share": 0.8},
    "rl": {"share": 0.2, "answers": 4},
}


def part(product: str, **changes: object) -> Part:
    """Ten samples of one turn, two answers each, half of them accepted."""
    made = {
        "product": product, "task": "object_tracking", "samples": 10, "turns": 10, "kind": "reason",
        "answers": 20, "failed": 0, "prompt_tokens": 2000, "tokens": 600, "pictures": 40,
        "verdicts": {"reason": {"accepted": 10, "wrong: box": 10}}, "good": 5, "rows": 5,
        "taught": 5, **changes,
    }  # fmt: skip
    return msgspec.convert(made, Part)


def by_hand(tmp_path: Path, roots: dict[str, str], teacher: Mapping[str, object]) -> Loaded:
    """A recipe of 200 samples."""
    tasks = {"object_tracking": {"samples": 200, "corpora": ["got10k"]}}
    return loaded_with(tmp_path, roots, teacher, tasks=tasks)


def test_a_projection_multiplies_what_was_found(roots: dict[str, str], tmp_path: Path) -> None:
    loaded = by_hand(tmp_path, roots, HAND)
    assert loaded.teacher
    parts = [part("cot"), part("rl", answers=40, rows=8, good=8, taught=8)]
    made = project(loaded.recipe, loaded.teacher, parts, {"cot": 10.0, "rl": 8.0})
    cot, rl = made.lines
    # 25 rows a split at half a row a sample: 28 samples give 14, and 1.1 * 11 / 0.5 more the rest;
    # two answers each, at half a second.
    assert (cot.samples, cot.asked, cot.answers, cot.rows) == (160, 2 * (28 + 25), 212, 50)
    assert (cot.prompt_tokens, cot.tokens, cot.seconds) == (21_200, 6_360, 106.0)
    # All of its 40 samples, four answers each, at a fifth of a second.
    assert (rl.samples, rl.asked, rl.answers, rl.rows) == (40, 40, 160, 32)
    assert rl.seconds == pytest.approx(32.0)
    assert made.seconds == pytest.approx(138.0)
    # A row that does not reason to every four that do: 50 / 4, and samples are left for them.
    assert made.direct == 12
    assert not made.unknown


@pytest.mark.parametrize(
    ("good", "asked", "rows"),
    [
        # no answer holds: all are asked, in vain
        (0, 160, 0),
        # too few hold: all are asked, and 16 rows are all there are
        (1, 160, 16),
        # two rows a sample: as many samples as rows, and a tenth, are asked before that is known
        (20, 56, 50),
    ],
)
def test_a_quota_asks_no_more_samples_than_there_are_and_no_fewer_than_rows(
    good: int, asked: int, rows: int, roots: dict[str, str], tmp_path: Path
) -> None:
    loaded = by_hand(tmp_path, roots, HAND)
    assert loaded.teacher
    parts = [part("cot", good=good, rows=good, taught=min(good, 10)), part("rl")]
    line = project(loaded.recipe, loaded.teacher, parts, {"cot": 1.0}).lines[0]
    assert (line.asked, line.rows) == (asked, rows)


def test_samples_are_left_for_direct_rows_where_no_number_of_rows_is_set(
    roots: dict[str, str], tmp_path: Path
) -> None:
    loaded = by_hand(tmp_path, roots, {"backend": "scripted", "cot": {"share": 0.5}})
    assert loaded.teacher
    made = project(loaded.recipe, loaded.teacher, [part("cot")], {"cot": 1.0})
    # Of each split's 100 samples 50 give 25 rows, 33 more 16, 11 more 5, and so on up to 50 : 50.
    (line,) = made.lines
    assert 180 <= line.asked <= 200
    assert made.direct == pytest.approx(line.rows, abs=2)
    assert line.rows + made.direct <= 200
    # Where every sample gives its row, half of them are not asked.
    sure = project(loaded.recipe, loaded.teacher, [part("cot", good=10, rows=10, taught=10)], {})
    assert (sure.lines[0].asked, sure.lines[0].rows, sure.direct) == (100, 100, 100)


def test_what_was_not_asked_is_said_not_to_be_known(roots: dict[str, str], tmp_path: Path) -> None:
    loaded = by_hand(tmp_path, roots, HAND)
    assert loaded.teacher
    made = project(loaded.recipe, loaded.teacher, [part("cot")], {"cot": 1.0})
    assert made.unknown == (("rl", "object_tracking"),)
    other = project(loaded.recipe, loaded.teacher, [part("cot", task="other")], {"cot": 1.0})
    assert [line.own for line in other.lines] == [False]
    assert other.lines[0].rows == made.lines[0].rows


def test_the_interval_is_that_of_wilson() -> None:
    # The score interval by hand: 10 of 20, z = 1.96.
    low, high = wilson(10, 20)
    assert (low, high) == (pytest.approx(0.29929, abs=1e-4), pytest.approx(0.70071, abs=1e-4))
    assert wilson(0, 10).low == 0 < wilson(0, 10).high < 0.31
    assert wilson(10, 10).high == 1 > wilson(10, 10).low > 0.69
    assert wilson(0, 0) == (0, 1)
    assert taught([part("cot"), part("rl", taught=10)], "rl").high == 1


def test_gpu_hours_are_claimed_for_gpus_alone(roots: dict[str, str], tmp_path: Path) -> None:
    loaded = by_hand(tmp_path, roots, HAND)
    trial = Trial(samples=(), parts=(part("cot"), part("rl")), opened=60.0, traces=(), written=(),
                  seconds={"cot": 3600.0, "rl": 1800.0}, drops=())  # fmt: skip
    found = estimated(loaded, trial, tmp_path / "index.html")
    hours = found.projected.seconds / 3600
    # 212 answers of cot at 180 s and 80 of rl at 90 s: 12.6 hours, the opening not among them.
    assert hours == pytest.approx(12.6)
    assert found.gpu_hours is None
    assert "none claimed" in facts(found)["GPU hours"]
    two = replace(found, gpus=2.0)
    assert two.gpu_hours == pytest.approx(25.2)
    assert facts(two)["GPU hours"].startswith("25.2 (")
    assert "60.0 s to open" in facts(two)["time"] and "2 GPUs" in facts(two)["time"]


def test_fewer_rows_and_more_hours_are_told_where_few_samples_were_asked(
    roots: dict[str, str], tmp_path: Path
) -> None:
    loaded = by_hand(tmp_path, roots, HAND)
    trial = Trial(samples=(), parts=(part("cot"), part("rl")), opened=0.0, traces=(), written=(),
                  seconds={"cot": 36.0, "rl": 36.0}, drops=())  # fmt: skip
    found = estimated(loaded, trial, tmp_path / "index.html")
    assert found.poor.rows("cot") < found.projected.rows("cot") <= found.rich.rows("cot")
    hours, within = found.hours
    assert within.low < hours < within.high
    accepted, judged, share = found.acceptance("cot")
    # Ten answers of twenty, but of ten samples: the interval is that of ten.
    assert (accepted, judged, share) == (10, 20, wilson(5, 10))


def test_a_projection_is_near_what_the_run_then_asks(roots: dict[str, str], tmp_path: Path) -> None:
    tasks = {"object_tracking": {**RECIPE["tasks"]["object_tracking"], "samples": 80}}
    teacher = {"backend": "scripted", "with": {"faults": FAULTS}, "cot": {"rows": 40, "share": 0.5}}
    corpora = {name: {} for name in ("got10k", "motchallenge")}
    loaded = loaded_with(tmp_path, roots, teacher, tasks=tasks, corpora=corpora)
    found = estimate(loaded, tmp_path / "page", number=40)
    run(loaded, str(tmp_path / "run"), engine="serial", last="answer")
    store = Store(str(tmp_path / "run"))
    made = sum(entry.rows for entry in Manifest(store).entries("answer").values())
    (line,) = found.projected.lines
    print(f"answers: {line.answers:,} projected, {made:,} asked")
    assert line.answers == pytest.approx(made, rel=0.35)


# The verb.


def test_the_verb_leaves_a_page_with_the_reasons_and_nothing_else(
    roots: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = loaded_with(tmp_path, roots)
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    pairs = [word for name, path in roots.items() for word in ("--root", f"{name}={path}")]
    ended = mgdata("estimate", loaded.path, "-n", "12", *pairs)
    assert ended.code == 0, ended.err
    assert "stage=answer" in ended.err
    assert [path.name for path in place.iterdir()] == ["estimate-small"]
    page = place / "estimate-small" / "index.html"
    assert ended.out.splitlines()[-1] == f"page: {page}"
    shown = html.unescape(page.read_text())
    rejected = [line.split(maxsplit=1)[1] for line in ended.out.splitlines() if line[:2] == "  "]
    assert rejected
    for reason in rejected:
        assert reason.partition(" (")[0] in shown
    for text in ("no model was asked", "projection", "claimed by the teacher"):
        assert text in shown
    assert list((page.parent / "images").iterdir())
    assert "no model was asked" in ended.out and "95 %" in ended.out


def test_the_verb_refuses_a_recipe_without_a_teacher(
    roots: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path / "plain.yaml")
    pairs = [w for n in RECIPE["corpora"] for w in ("--root", f"{n}={roots[n]}")]
    ended = mgdata("estimate", recipe, *pairs)
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == 1
    assert "there is no teacher" in ended.err and "mgdata plan" in ended.err
    assert not (tmp_path / "estimate-small").exists()


def test_a_recipe_of_which_nothing_can_be_built_says_why(
    roots: dict[str, str], tmp_path: Path
) -> None:
    tasks = {"object_tracking": {"samples": 10, "corpora": ["coco"]}}
    teacher = {"backend": "scripted", "cot": {}}
    loaded = loaded_with(tmp_path, roots, teacher, tasks=tasks)
    with pytest.raises(UsageError, match=r"no sample could be built to ask about \(.*mgdata prev"):
        estimate(loaded, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_asked(
    roots: dict[str, str], tmp_path: Path
) -> None:
    loaded = loaded_with(tmp_path, roots)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "mine.txt").write_text("kept")
    gone = replace(loaded, corpora={})  # asking would fail, and otherwise
    with pytest.raises(StorageError, match="is no gallery"):
        estimate(gone, tmp_path / "page", number=2)
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["mine.txt"]


def test_a_real_backend_is_not_called_a_program(roots: dict[str, str], tmp_path: Path) -> None:
    loaded = by_hand(tmp_path, roots, HAND)
    trial = Trial(samples=(), parts=(part("cot"),), opened=0.0, traces=(), written=(),
                  seconds={"cot": 1.0}, drops=())  # fmt: skip
    found = estimated(loaded, trial, tmp_path / "index.html")
    assert "no model was asked" in "\n".join(lines(found))
    real = replace(found, simulated=False, sessions=None)
    assert "no model" not in "\n".join(lines(real)) and "no model was asked" not in facts(real)


def found(store: Store, stage: str) -> list[Entry]:
    """The entries of a stage."""
    return list(Manifest(store).entries(stage).values())


def paid_for(store: Store) -> list[Reply]:
    """Every reply to a request that was sent, failures included."""
    replies = {
        answer.reply.key: answer.reply
        for entry in found(store, "answer")
        for answer in read_answers(store.local(entry.data().path))
    }
    known = Journal(store, JOURNAL).known(replies)
    for key, reply in known.items():
        assert replies[key] == reply
    return list(replies.values())
