"""Turns for every notation: boxes of any size in images of any size, answers naming each image."""

from __future__ import annotations

from hypothesis import strategies as st

from mgdata.data import Image, Kind, Target, Turn
from mgdata.geometry import Box

TOKENS = [
    *("<ref>", "</ref>", "<box>", "</box>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"),
    *("<|box_start|>", "<|box_end|>"),
]
HARD = [
    *("<image>", "<image:0>", "<target:0>", "[[1, 2, 30, 40]]", "[1, 2, 30, 40]", "(1,2),(30,40)"),
    *('"', "\\", '{"bbox_2d": [1, 2, 3, 4]}', '"box": ', "<", "|", "image 2", "the first image"),
    *("\n", ". ", "größe", "```", "</", "<re"),
]
"""Pieces of phrases that look like part of a notation."""

FORMS = [
    "Image-{0}: <target:{1}>. ",
    "<target:{1}> in image {0}; ",
    "In image #{0}, at <target:{1}>\n",
]
KINDS: list[Kind] = ["boxes", "text", "choice", "order", "count"]


def phrases(pieces: list[str]) -> st.SearchStrategy[str]:
    """Phrases with `pieces` in them and any other letters."""
    letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    return st.lists(st.sampled_from(pieces) | letters, max_size=4).map("".join)


@st.composite
def spans(draw: st.DrawFn, size: int) -> tuple[float, float]:
    """A low and a high edge inside `size` pixels: at the borders, tiny, or anything."""
    low = draw(st.just(0.0) | st.floats(0, 0.999)) * size
    room = size - low
    wide = draw(
        st.sampled_from([0.02, 0.3, 1.0, 8.0]) | st.floats(0.001, 1).map(lambda f: f * room)
    )
    return (low, min(low + wide, float(size))) if draw(st.booleans()) else (low, float(size))


@st.composite
def asked(
    draw: st.DrawFn, pieces: list[str] = HARD, kinds: list[Kind] = KINDS, most: int = 8
) -> tuple[Turn, list[Image]]:
    """A turn of any kind with up to `most` boxes in up to twelve images."""
    count = draw(st.integers(1, 12))
    side = st.integers(20, 4000)
    images = [Image(uri=f"c:{i}", width=draw(side), height=draw(side)) for i in range(count)]
    targets: list[Target] = []
    for index in sorted(draw(st.lists(st.integers(0, count - 1), max_size=most))):
        x1, x2 = draw(spans(images[index].width))
        y1, y2 = draw(spans(images[index].height))
        phrase = draw(st.none() | phrases(pieces))
        targets.append(Target(image=index, box=Box(x1, y1, x2, y2), phrase=phrase))
    form = draw(st.sampled_from(FORMS))
    answer = "".join(form.format(t.image + 1, i) for i, t in enumerate(targets))
    kind = draw(st.sampled_from(kinds))
    return Turn(question="?", answer=answer, kind=kind, targets=tuple(targets)), images
