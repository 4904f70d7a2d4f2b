"""Photos of toys: what they say of themselves is what they show."""

from dataclasses import replace

import numpy as np
import pytest

from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.synth.drawing import film
from mgdata.synth.photos import arranged, bounds, photo, shot, shown
from mgdata.synth.toybox import KINDS, PARTS

SIZE = (160, 120)


def stream(seed: int) -> Stream:
    return Stream("test", str(seed))


def test_equal_streams_take_equal_photos() -> None:
    first, again, other = (photo(stream(seed), SIZE, 4).pixels.tobytes() for seed in (1, 1, 2))
    assert first == again != other


def test_a_photo_shows_the_things_asked_for() -> None:
    taken = photo(stream(3), SIZE, 5, kinds=("ball", "car"))
    assert taken.pixels.shape == (120, 160, 3)
    assert taken.pixels.dtype == np.uint8
    assert len(taken.things) == 5
    assert {thing.label for thing in taken.things} == {"ball", "car"}
    assert len({thing.phrase for thing in taken.things}) == 5


def test_masks_and_boxes_are_those_the_drawing_itself_reports() -> None:
    for seed in range(12):
        still = arranged(stream(seed), SIZE, 6)
        ((_, placements),) = film(still.scene())
        seen = [p for p in placements if p.visible]
        things = shown(still)
        assert [thing.box for thing in things] == [p.seen for p in seen]
        assert [int(thing.mask.sum()) for thing in things] == [p.visible for p in seen]
        assert [thing.visibility for thing in things] == [p.visibility for p in seen]


def test_things_keep_apart_and_inside() -> None:
    covered = 0
    for seed in range(12):
        for thing in photo(stream(seed), SIZE, 4).things:
            assert 0 <= thing.box.x1 < thing.box.x2 <= 160
            assert 0 <= thing.box.y1 < thing.box.y2 <= 120
            assert bounds(thing.mask) == thing.box
            covered += thing.visibility < 0.8
    assert covered <= 2


def test_the_large_thing_covers_what_it_should() -> None:
    for size in ((160, 120), (120, 200)):
        for seed in range(20):
            first = photo(stream(seed), size, 1 + seed % 3, large=True).things[0]
            assert 0.12 <= first.share <= 0.64
            assert first.share == first.box.area / (size[0] * size[1])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in PARTS])
def test_parts_lie_on_their_thing(kind: str) -> None:
    (thing,) = photo(stream(1), SIZE, 1, kinds=(kind,), large=True).things
    assert {part.label for part in thing.parts} == set(PARTS[kind])
    for part in thing.parts:
        assert not (part.mask & ~thing.mask).any()
        assert bounds(part.mask) == part.box
        assert part.mask.sum() < thing.mask.sum() / 2


def test_a_still_without_one_toy_differs_only_there() -> None:
    still = arranged(stream(5), SIZE, 4)
    gone = shown(still)[-1]
    before, after = shot(still), shot(replace(still, toys=still.toys[:-1]))
    changed = np.any(before.pixels != after.pixels, axis=2)
    found = bounds(changed)
    around = gone.box
    assert changed.sum() >= gone.mask.sum() * 0.9
    near = Box(around.x1 - 4, around.y1 - 4, around.x2 + 8, around.y2 + 8)
    assert near.x1 <= found.x1
    assert near.y1 <= found.y1
    assert found.x2 <= near.x2
    assert found.y2 <= near.y2
    assert len(after.things) == 3


@pytest.mark.parametrize(
    ("things", "kinds", "size"),
    [(0, None, SIZE), (9, ("ball",), SIZE), (1, ("unicorn",), SIZE), (1, None, (63, 200))],
)
def test_what_cannot_be_shown_is_refused(
    things: int, kinds: tuple[str, ...] | None, size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=r"cannot show|at least"):
        photo(stream(0), size, things, kinds=kinds)
