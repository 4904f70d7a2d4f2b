"""Multi-view: one camera shows an object; say where other cameras see it at the same moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from builders.asking import (
    Band,
    Naming,
    Turns,
    box_of,
    expected,
    image_names,
    one_by_one,
    samples,
)
from builders.tracking_turns import Given
from builders.views import Side, by_track, known, marked, on_side
from mgdata.data import Association, Drop, Record, Region, Sample, Shape, Target, Turn
from mgdata.errors import Rejected
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.plugins import Builder, Grouping
from mgdata.wording import ImageNames, Needs, load, noun

WORDING = load(
    __file__,
    {
        "target_coordinates": Needs(must="noun box reference"),
        "target_mark": Needs(must="noun mark reference"),
        "target_both": Needs(must="noun box mark reference"),
        "ask_one": Needs(must="target image"),
        "ask_next": Needs(must="image", may="same"),
        "ask_all": Needs(must="target images"),
        "answer_one": Needs(must="box", may="name image"),
        "answer_hidden": Needs(may="name image"),
        "answer_all": Needs(may="name", each="image box"),
        "answer_all_some": Needs(may="name", each="image there"),
        "not_there": Needs(),
    },
)


class Scene(NamedTuple):
    """What the turns of one sample share. The reference is image 0."""

    target: str
    """How the question tells what it is about."""
    given: tuple[Target, ...]
    """The box that it gives, if any."""
    asked: list[Target | None]
    """The object in images 1, 2 ...; None where it is not visible."""
    noun: str
    names: ImageNames


@dataclass(frozen=True, kw_only=True)
class MultiView(Builder):
    """One sample a moment: the reference view with an object given, then other views of it.

    The object is given by its box (written, drawn or both), so that it is clear which one is meant
    even where several of its class are there; these make the views harder. The other views come in
    random order. A view is asked about only where the annotation speaks of the object: where it has
    a box, or, for a share of them, where it is known not to be visible and no other of its class
    is seen; then there is no target. A box outside the size band is neither, nor one that holds a
    strip of it only, as its size and shape tell beside those of the object's largest box. MIG-Bench
    has 2 to 6 views a question and asks them one by one (`turns: apart`); sizes, strips, the choice
    of the reference and hidden views are ours.
    """

    association: ClassVar[Association] = "spatial"
    shapes: ClassVar[tuple[Shape, ...]] = ("views",)
    targets: ClassVar[str] = "one a view; none where a view that does not show it is asked"
    grouping: ClassVar[Grouping] = "alone"

    images: tuple[int, int] = (2, 6)
    """Fewest and most views a sample, uniformly; fewer where fewer can be asked about."""
    reference: Side = "mixed"
    """Image 1: the worn camera, one that stands, any that shows the object, or the first two in
    halves, as far as both are there. A camera is worn if its name has `aria` in it."""
    given: Given | Literal["mixed"] = "mixed"
    """How the object is shown: its box in the question, a drawn rectangle, or both."""
    turns: Turns = "mixed"
    """A view a turn, all views in one answer, or a sample for each view as in MIG-Bench."""
    absent: float = 0.0
    """Share of asked views in which the object is known not to be visible, as far as there are."""
    area: Band = (0.0005, 0.6)
    """Smallest and largest share of its view that a box covers: 16 x 16 pixels of 960 x 540."""
    slivers: bool = False
    """Keep boxes with a side below a sixteenth of the view's that are twice as narrow or as flat as
    the object's largest: mostly what an occluder or the border leaves of it."""
    naming: Naming = "mixed"
    """`the third image`, `Image-3`, or either; never both in a sample."""
    per_record: int = 1
    """Most samples a moment, of random objects; each is used once before any is used again."""

    def __post_init__(self) -> None:
        """Refuse settings that no moment could meet."""
        fewest, most = self.images
        if not 2 <= fewest <= most:
            raise ValueError(f"images: expected 2 <= fewest <= most, found {fewest} and {most}")
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise ValueError(f"area: expected 0 <= smallest < largest <= 1, found {self.area}")
        if not 0 <= self.absent <= 1:
            raise ValueError(f"absent: expected a share from 0 to 1, found {self.absent}")
        if self.per_record < 1:
            raise ValueError(f"per_record: expected at least 1, found {self.per_record}")

    def groups(self, index: Index, rng: Stream) -> Iterator[Sequence[int]]:
        """Every moment with views enough, in random order; again and again, `per_record` times."""
        visible = 1 if self.absent else self.images[0]
        enough = (index.numbers("longest") >= visible) & (index.numbers("images") >= self.images[0])
        rows = index.rows[enough]
        for _ in range(self.per_record):
            yield from zip(rows[rng.permutation(len(rows))].tolist(), strict=True)

    def expected(self) -> float:
        """A sample a view but the reference where they are asked apart."""
        return expected(self.turns, self.images[0] - 1, self.images[1] - 1)

    def build(self, records: Sequence[Record], rng: Stream) -> Iterator[Sample | Drop]:
        """One sample of the moment; `Rejected` where no object is known in views enough."""
        moment = records[0]
        reference, asked = self._choose(moment, rng)
        given = rng.choice(("coordinates", "mark", "both")) if self.given == "mixed" else self.given
        names = image_names(self.naming, rng)
        # Half of the questions name the class; by coordinates or mark they are clear without.
        word = noun(reference.label) if rng.below(2) else "object"
        first = _target(reference, 0)
        images = [moment.images[view] for view, _ in ((reference.image, None), *asked)]
        if given != "coordinates":
            images[0] = marked(images[0], first.box)
        scene = Scene(
            target=WORDING.pick(rng, f"target_{given}").fill(
                noun=word, box="<region:0>", mark="a red rectangle", reference=names.one(0)
            ),
            given=() if given == "mark" else (first,),
            asked=[r and _target(r, place) for place, (_, r) in enumerate(asked, 1)],
            noun=word,
            names=names,
        )
        alone = one_by_one(self.turns, rng) or len(asked) == 1
        turns = _polling(scene, self.turns == "apart", rng) if alone else [_all(scene, rng)]
        yield from samples(self, records, images, turns, self.turns)

    def _choose(
        self, moment: Record, rng: Stream
    ) -> tuple[Region, list[tuple[int, Region | None]]]:
        """An object in its reference view, and the views to ask about with what they show of it."""
        objects = by_track(moment)
        longest = 0
        for name in rng.sample(list(objects), len(objects)):
            seen, hidden = known(moment, objects[name], self.area, slivers=self.slivers)
            # Another of its class there would be taken for it.
            label = objects[name][0].label
            hidden = [v for v in hidden if self.absent and not _shows(moment, v, label)]
            if not (sides := on_side(moment, list(seen), self.reference, rng)):
                continue
            reference = seen.pop(rng.choice(sides))
            longest = max(longest, 1 + len(seen) + len(hidden))
            views = self._views(list(seen), hidden, rng)
            if len(views) + 1 >= self.images[0]:
                return reference, [(view, seen.get(view)) for view in views]
        raise Rejected("too few views of an object", f"{longest} of {self.images[0]}")

    def _views(self, seen: list[int], hidden: list[int], rng: Stream) -> list[int]:
        """Views to ask about, in random order."""
        rng.shuffle(seen)
        rng.shuffle(hidden)
        fewest, most = self.images
        wanted = rng.between(fewest, max(fewest, min(most, 1 + len(seen) + len(hidden)))) - 1
        views: list[int] = []
        while len(views) < wanted:
            pool = hidden if hidden and rng.uniform() < self.absent else seen
            if not pool:
                break
            views.append(pool.pop())
        return views


def _shows(moment: Record, view: int, label: str) -> bool:
    """Whether a view shows anything of a class, be it to be ignored or not."""
    return any(r.image == view and r.label == label and r.box for r in moment.regions)


def _target(region: Region, place: int) -> Target:
    return Target(image=place, box=box_of(region), phrase=region.phrase or region.label)


def _polling(scene: Scene, apart: bool, rng: Stream) -> list[Turn]:
    """A turn for each asked view; one answer form for all that show the object."""
    asks = WORDING.pick_several(rng, "ask_one" if apart else "ask_next", len(scene.asked))
    asks[0] = WORDING.pick(rng, "ask_one")
    found, hidden = WORDING.pick(rng, "answer_one"), WORDING.pick(rng, "answer_hidden")
    turns: list[Turn] = []
    for place, (target, ask) in enumerate(zip(scene.asked, asks, strict=True), 1):
        image = scene.names.one(place)
        answer = found if target else hidden
        turns.append(
            Turn(
                question=ask.fill(target=scene.target, image=image, same=f"the same {scene.noun}"),
                answer=answer.fill(box="<target:0>", image=image, name=f"the {scene.noun}"),
                regions=() if turns and not apart else scene.given,
                targets=(target,) if target else (),
                asked=(place,),
            )
        )
    return turns


def _all(scene: Scene, rng: Stream) -> Turn:
    """One turn for all asked views; each is named before its box or what stands for one."""
    targets = tuple(target for target in scene.asked if target)
    places = range(1, len(scene.asked) + 1)
    whole = len(targets) == len(scene.asked)
    missing = WORDING.pick(rng, "not_there").fill()
    slots = iter(range(len(targets)))
    each = [
        {
            "image": scene.names.one(place),
            "box" if whole else "there": f"<target:{next(slots)}>" if target else missing,
        }
        for place, target in zip(places, scene.asked, strict=True)
    ]
    form = WORDING.pick(rng, "answer_all" if whole else "answer_all_some")
    return Turn(
        question=WORDING.pick(rng, "ask_all").fill(
            target=scene.target, images=scene.names.several(places)
        ),
        answer=form.fill(each=each, name=f"the {scene.noun}"),
        regions=scene.given,
        targets=targets,
        asked=tuple(places),
    )
