"""No task can be answered without looking: not from its templates, nor from how many images it has.

Every registered task is built on synthetic corpora; each best guess must stay within three standard
deviations of chance. What chance is, `guesses` says.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from guesses import Seen, centre, count, image_index, regions, seen
from made import index

from mgdata import registry
from mgdata.data import Drop, Record, Sample
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.plugins import Builder, Corpus
from mgdata.storage import Root
from mgdata.synth import write

SIGMA = 3.0
TURNS = 1500
"""Turns looked at of a task, about; fewer where the corpora give no more."""
BUILDERS = sorted(point.name for point in entry_points(group="mgdata.builders"))
COUNTED = [
    name
    for name in BUILDERS
    if "count" in registry.settings_of(registry.find("builders", name, "test"))
]
"""Tasks of which a recipe says how many samples have no, one and many targets."""


class Source(NamedTuple):
    """A corpus that a task is tried on."""

    layout: str
    corpus: str
    clips: int
    frames: int = 1
    size: tuple[int, int] = (240, 180)
    settings: Mapping[str, Any] = MappingProxyType({})


PHOTOS = (
    Source("coco", "coco", 800, size=(160, 120)),
    Source("objects365", "coco", 350, size=(400, 300)),
)
CLIPS = (
    Source("got10k", "got10k", 30, 24, (128, 96)),
    Source("motchallenge", "motchallenge", 12, 30, (128, 96)),
)
STORIES = (
    Source("star", "star", 20, 30, (160, 120)),
    Source("tao", "tao", 24, 40, (160, 120)),
    Source("youtube_vos", "youtube_vos", 24, 30, (160, 120)),
    Source("got10k", "got10k", 30, 24, (128, 96)),
)
VIEWS = (Source("egoexo4d", "egoexo4d", 24, 8, (160, 120)),)
CHANGES = (Source("clevr_change", "clevr_change", 60, size=(480, 360)),)
SOURCES: dict[str, tuple[Source, ...]] = {
    "common_object": PHOTOS,
    "correspondence": (*PHOTOS, Source("paco", "coco", 150)),
    "free_form": PHOTOS,
    "group_grounding": (Source("grand", "grand", 150, settings={"dense": True}),),
    "multi_view": VIEWS,
    "object_tracking": CLIPS,
    "reasoning": PHOTOS,
    "referential_retrieval": (Source("d3", "d3", 400), PHOTOS[0]),
    "referring": PHOTOS,
    "region_locating": PHOTOS,
    "robust_difference": CHANGES,
    "semantic_association": (*PHOTOS, Source("paco", "coco", 150)),
    "spatial_association": (*VIEWS, Source("wildtrack", "wildtrack", 40, 6, (160, 120))),
    "static_difference": CHANGES,
    "temporal_association": STORIES,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "spatial_association": {"per_record": 16},
    "temporal_association": {"per_clip": 20, "min_side": 4.0},
}
"""What a task needs on corpora as small as these."""
SAYS_HOW_MANY: set[str] = {
    "ask_both",
    "ask_moment",
    "ask_odd",
    "ask_odd_set",
    "ask_order",
    "ask_several",
}
"""Sets of question forms that say themselves how many targets there are."""


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every source, written once."""
    folder = tmp_path_factory.mktemp("shortcuts")
    for source in {source.layout: source for some in SOURCES.values() for source in some}.values():
        write(source.layout, folder / source.layout, clips=source.clips, frames=source.frames,
              size=source.size, seed=7)  # fmt: skip
    return {path.name: str(path) for path in folder.iterdir()}


class Tried(NamedTuple):
    """What came of a task."""

    turns: list[Seen]
    pool: list[tuple[float, float, float, float]]


@cache
def tried(name: str, places: tuple[tuple[str, str], ...]) -> Tried:
    """A task on its corpora; one with a setting `count` equally often with each number of targets."""
    roots = dict(places)
    records = [record for source in SOURCES[name] for record in read(source, roots)]
    kind = registry.find("builders", name, "test")
    counts = ("none", "one", "many") if "count" in registry.settings_of(kind) else (None,)
    turns: list[Seen] = []
    wording = importlib.import_module(kind.__module__).WORDING
    for wanted in counts:
        more = {} if wanted is None else {"count": wanted}
        builder: Builder = registry.make("builders", name, {**SETTINGS.get(name, {}), **more}, name)
        turns += islice(seen(samples(builder, records), wording), TURNS // len(counts))
    return Tried(turns, regions(records))


def read(source: Source, roots: dict[str, str]) -> list[Record]:
    given: Any = {"name": source.layout, "root": Root(roots[source.layout])}
    corpus: Corpus = registry.make("corpora", source.corpus, dict(source.settings), "test", **given)
    return [item for part in corpus.parts() for item in corpus.records(part) if isinstance(item, Record)]  # fmt: skip


def samples(builder: Builder, records: Sequence[Record]) -> list[Sample]:
    """About as many samples as are looked at."""
    fit = [record for record in records if record.shape in builder.shapes]
    found: list[Sample] = []
    again: dict[tuple[int, ...], int] = {}
    for group in builder.groups(index(fit), Stream("groups", builder.association)):
        rows = tuple(group)
        again[rows] = again.get(rows, 0) + 1
        some = [fit[row] for row in rows]
        rng = Stream("build", *(one.key for one in some), str(again[rows]))
        try:
            items = list(builder.build(some, rng))
        except Rejected:
            continue
        found += [item for item in items if not isinstance(item, Drop)]
        if len(found) >= TURNS:
            break
    return found


@pytest.fixture
def task(request: pytest.FixtureRequest, roots: dict[str, str]) -> Tried:
    return tried(request.param, tuple(sorted(roots.items())))


each_task = pytest.mark.parametrize("task", BUILDERS, indirect=True)


@each_task
def test_no_image_is_the_answer_more_often_than_another(task: Tried) -> None:
    assert image_index(task.turns, lambda turn: len(turn.asked)) <= SIGMA


@each_task
def test_no_template_tells_the_image(task: Tried) -> None:
    assert image_index(task.turns, lambda turn: (turn.template, len(turn.asked))) <= SIGMA


@each_task
def test_no_template_of_a_question_tells_how_many_targets_there_are(task: Tried) -> None:
    """A question may say that it is about one thing; none of its paraphrases may say it more."""
    alike = count(task.turns, lambda t: t.template, lambda t: (t.question, len(t.asked)))
    assert alike <= SIGMA


@pytest.mark.parametrize("task", COUNTED, indirect=True)
def test_nothing_tells_how_many_targets_an_open_question_has(task: Tried) -> None:
    open_ = [turn for turn in task.turns if turn.question not in SAYS_HOW_MANY]
    assert len(open_) > len(task.turns) / 3
    assert count(open_, lambda turn: turn.template, lambda turn: turn.corpus) <= SIGMA
    assert count(open_, lambda turn: len(turn.asked), lambda turn: turn.corpus) <= SIGMA


@each_task
def test_targets_are_no_nearer_to_the_middle_than_other_things_of_their_size(task: Tried) -> None:
    assert centre(task.turns, task.pool, lambda turn: None) <= SIGMA


@each_task
def test_no_template_tells_whether_the_target_is_in_the_middle(task: Tried) -> None:
    assert centre(task.turns, task.pool, lambda turn: turn.template) <= SIGMA
