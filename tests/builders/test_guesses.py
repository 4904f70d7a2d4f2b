"""The guesses find a shortcut where there is one, and none where there is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from guesses import Seen, centre, count, image_index, template_of

from mgdata.identity import Stream
from mgdata.wording import Form, Wording

Box = tuple[float, float, float, float]
Change = Callable[[Seen, Stream], Seen]


def box(rng: Stream, side: float = 0.5) -> Box:
    x, y = rng.uniform() * (1 - side), rng.uniform() * (1 - side)
    return (x, y, x + side, y + side)


def turns(change: Change | None = None, n: int = 600) -> list[Seen]:
    """Turns about two to five images in four templates; none, one or two targets in one image."""
    rng, found = Stream("turns"), list[Seen]()
    for _ in range(n):
        asked, number = tuple(range(rng.between(2, 5))), rng.below(3)
        images = frozenset((rng.choice(asked),)) if number else frozenset[int]()
        boxes = tuple(box(rng) for _ in range(number))
        turn = Seen("c", "ask", f"template {rng.below(4)}", asked, images, number, boxes)
        found.append(change(turn, rng) if change else turn)
    return found


def last_image(turn: Seen, rng: Stream) -> Seen:
    """A quarter of the answers are moved to the last image."""
    return turn if rng.below(4) or not turn.images else turn._replace(images=frozenset((turn.asked[-1],)))  # fmt: skip


def template_for_the_first(turn: Seen, rng: Stream) -> Seen:
    return (
        turn._replace(template="first") if turn.images == frozenset((0,)) and rng.below(2) else turn
    )


def template_for_none(turn: Seen, rng: Stream) -> Seen:
    return turn._replace(template="template 0") if not turn.targets and rng.below(3) == 0 else turn


def fewer_images_for_none(turn: Seen, rng: Stream) -> Seen:
    return turn._replace(asked=(0, 1)) if not turn.targets and rng.below(4) == 0 else turn


def in_the_middle(turn: Seen, rng: Stream) -> Seen:
    return turn._replace(boxes=((0.25, 0.25, 0.75, 0.75),)) if turn.boxes and rng.below(6) == 0 else turn  # fmt: skip


def figures(found: list[Seen]) -> dict[str, float]:
    rng = Stream("pool")
    pool = [box(rng) for _ in range(800)]
    return {
        "image": image_index(found, lambda turn: len(turn.asked)),
        "image by template": image_index(found, lambda turn: turn.template),
        "count by template": count(found, lambda turn: turn.template, lambda turn: None),
        "count by images": count(found, lambda turn: len(turn.asked), lambda turn: None),
        "centre": centre(found, pool, lambda turn: None),
        "centre by template": centre(found, pool, lambda turn: turn.template),
    }


def test_nothing_is_found_where_nothing_is() -> None:
    assert all(figure < 3 for figure in figures(turns()).values())


@pytest.mark.parametrize(
    ("change", "found_by"),
    [
        (last_image, "image"),
        (template_for_the_first, "image by template"),
        (template_for_none, "count by template"),
        (fewer_images_for_none, "count by images"),
        (in_the_middle, "centre"),
        (in_the_middle, "centre by template"),
    ],
)
def test_a_planted_shortcut_is_found(change: Change, found_by: str) -> None:
    assert figures(turns(change))[found_by] > 3


def test_a_template_is_known_by_its_words() -> None:
    wording = Wording(
        {
            "ask": [Form("Where {is|are} {thing}?"), Form("Where {is|are} {thing} in {image}?")],
            "ask_all": [Form("Box [{thing} in {image}][, ][ and ].")],
        }
    )
    assert template_of("<image:0>\n<image:1>\nWhere are dogs in Image-2?", wording) == (
        "ask",
        "Where {is|are} {thing} in {image}?",
    )
    assert template_of("Where is a dog?", wording) == ("ask", "Where {is|are} {thing}?")
    assert template_of("Box a dog in Image-1 and a cat in Image-2.", wording)[0] == "ask_all"
    with pytest.raises(ValueError, match="no form fits 'Show it'"):
        template_of("Show it", wording)
