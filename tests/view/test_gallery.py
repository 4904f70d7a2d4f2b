import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from mgdata.errors import StorageError
from mgdata.geometry import Box
from mgdata.view import Exchange, Mark, Picture, Shown, write

HOSTILE = (
    "\"'><script>alert(1)</script></script><img src=x onerror=alert(1)>&amp; javascript:alert(1)"
)
FOREIGN = "כלב אדום \u202e 画像の中の赤い車 صورة"
VOID = {"meta", "input", "img", "rect", "link", "br"}


class Read(HTMLParser):
    """What a browser would make of the page: elements with their attributes, and running text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[str, str] = {}
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), f"an attribute stands twice: {tag} {attrs}"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data
        else:
            self.text += data

    def of(self, tag: str, style: str = "") -> list[dict[str, str]]:
        return [
            a for t, a in self.elements if t == tag and style in ["", *a.get("class", "").split()]
        ]


def jpeg(width: int = 64, height: int = 48, shade: int = 90) -> bytes:
    pixels = np.full((height, width, 3), shade, np.uint8)
    pixels[: height // 2] = 255 - shade
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def picture(data: bytes | None, name: str = "Image-1", size=(64, 48), caption: str = "") -> Picture:
    return Picture(data=data, name=name, width=size[0], height=size[1], caption=caption)


def sample(id: str = "00ff", **changes) -> Shown:
    turn = Exchange(
        question="Where is the dog of Image-1 in Image-2?",
        answer="At (100,200),(300,400).",
        given=(Mark(image=0, box=Box(1, 2, 30.25, 40)),),
        targets=(Mark(image=1, box=Box(6.4, 9.6, 19.2, 19.2), phrase="a dog"),),
    )
    fields = {
        "id": id,
        "task": "tracking",
        "split": "train",
        "images": (picture(jpeg()), picture(jpeg(shade=10), "Image-2")),
        "turns": (turn,),
        "provenance": {"records": "corpus/clip", "seed": "7"},
    }
    return Shown(**fields | changes)


def page(tmp_path: Path, *items: Shown, **options) -> Read:
    index = write(items, tmp_path / "gallery", title="a title", facts={"seed": "7"}, **options)
    return Read(index.read_text("utf-8"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def hostile() -> Shown:
    mark = Mark(image=0, box=Box(1, 2, 3, 4), phrase=HOSTILE)
    far = Mark(image=9, box=Box(1, 2, 3, 4), phrase=FOREIGN)
    return sample(
        id=HOSTILE,
        task=HOSTILE,
        split=HOSTILE,
        reason=HOSTILE,
        images=(picture(jpeg(), HOSTILE, caption=HOSTILE + "/" + FOREIGN),),
        turns=(
            Exchange(
                question=HOSTILE + FOREIGN + "<target:0><image:0><image:77>",
                answer="<|" + HOSTILE + "|> [1, 2, 3, 4] $title ${style}",
                kind=HOSTILE,
                gold=HOSTILE,
                given=(mark,),
                targets=(mark, far),
            ),
        ),
        provenance={HOSTILE: HOSTILE, "script": FOREIGN},
    )


def test_hostile_text_stays_text(tmp_path):
    index = write([hostile(), sample()], tmp_path / "g", title=HOSTILE, facts={HOSTILE: HOSTILE})
    read = Read(index.read_text("utf-8"))
    assert len(read.of("script")) == 1 and len(read.of("style")) == 1
    assert len(read.of("img")) == 3 and len(read.of("article")) == 2
    for tag, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
    assert read.text.count(HOSTILE) >= 10, "what was hostile is there to be read"
    assert FOREIGN in read.text and "$title ${style}" in read.text
    assert not read.open, "every element is closed"


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    read = page(tmp_path, hostile(), sample())
    for _, attributes in read.elements:
        for name in ("href", "src", "srcset", "action", "data", "poster"):
            if name in attributes:
                assert re.fullmatch(r"images/[0-9a-f]{16}\.(jpg|png|gif|webp)", attributes[name])
    loaded = read.inside["style"] + read.inside["script"]
    assert not re.search(r"https?:|//|url\(|@import|fetch|XMLHttp|eval|innerHTML", loaded)


def test_the_policy_allows_this_script_and_this_style_only(tmp_path):
    read = page(tmp_path, sample())
    [policy] = [a["content"] for a in read.of("meta") if "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag in ("script", "style"):
        digest = hashlib.sha256(read.inside[tag].encode()).digest()
        assert rules[f"{tag}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_boxes_are_drawn_in_the_pixels_of_their_picture(tmp_path):
    read = page(tmp_path, sample())
    drawings = [a for a in read.of("svg")]
    assert [drawing["viewbox"] for drawing in drawings] == ["0 0 64 48"] * 2
    edges = [tuple(a[n] for n in ("x", "y", "width", "height")) for a in read.of("rect", "edge")]
    assert edges == [("1", "2", "29.25", "38"), ("6.4", "9.6", "12.8", "9.6")]
    marks = [(a["class"], a["data-mark"]) for a in read.of("g", "mark")]
    assert marks == [("mark given", "A"), ("mark c0", "1")]


def test_a_box_and_its_coordinates_in_the_text_wear_one_colour(tmp_path):
    read = page(tmp_path, sample())
    chips = [(a["class"], a["data-mark"]) for a in read.of("span", "chip")]
    assert chips == [("chip c0", "1"), ("chip given", "A"), ("chip c0", "1")], "text, then legend"
    assert "1 (100,200),(300,400)" in read.text


def test_each_distinct_image_is_there_once_and_every_file_is_used(tmp_path):
    read = page(tmp_path, sample("1"), sample("2"))
    used = {a["src"] for a in read.of("img")}
    there = {f"images/{path.name}" for path in (tmp_path / "gallery/images").iterdir()}
    assert used == there and len(used) == 2
    assert {a["href"] for a in read.of("a", "frame")} == used


@pytest.mark.parametrize(
    ("ending", "size", "thumbs", "expected"),
    [
        ("jpg", (640, 300), 640, "untouched"),
        ("jpg", (641, 300), 640, (640, 300)),
        ("jpg", (300, 1000), 500, (150, 500)),
        ("jpg", (1000, 300), None, "untouched"),
        ("png", (200, 100), 640, "untouched"),
        ("webp", (200, 100), 640, "untouched"),
        ("bmp", (200, 100), 640, (200, 100)),  # not every browser shows it
        ("bmp", (200, 100), None, (200, 100)),
    ],
)
def test_only_what_is_too_large_or_unknown_to_browsers_is_encoded_again(
    tmp_path, ending, size, thumbs, expected
):
    data = cv2.imencode(f".{ending}", np.full((size[1], size[0], 3), 99, np.uint8))[1].tobytes()
    page(tmp_path, sample(images=(picture(data, size=size),), turns=()), thumbs=thumbs)
    [path] = (tmp_path / "gallery/images").iterdir()
    assert path.stem == hashlib.sha256(data).hexdigest()[:16]
    if expected == "untouched":
        assert path.read_bytes() == data and path.suffix == f".{ending}"
    else:
        height, width = cv2.imread(str(path)).shape[:2]
        assert (width, height) == expected and path.suffix == ".jpg"


@pytest.mark.parametrize("data", [None, b"", b"no image at all"])
def test_a_picture_that_cannot_be_had_keeps_its_boxes(tmp_path, data):
    read = page(tmp_path, sample(images=(picture(data), picture(jpeg(), "Image-2"))))
    assert len(read.of("img")) == 1
    assert read.text.count("image not available") == 1
    assert len(read.of("rect", "edge")) == 2


def test_ids_are_unique_even_where_samples_share_one(tmp_path):
    read = page(tmp_path, sample("a/b"), sample("a b"), sample("a b"), sample("boxes"), sample(""))
    ids = [a["id"] for _, a in read.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {"s-a-b", "s-a-b-2", "s-a-b-3", "s-boxes"} <= set(ids)


def test_filters_offer_what_there_is_with_its_count(tmp_path):
    read = page(
        tmp_path, sample("1"), sample("2", task="group", split="test"), sample("3", reason="small")
    )
    offered = [a["value"] for a in read.of("option") if "value" in a]
    assert offered == ["group", "tracking", "test", "train", "kept", "small"]
    assert "tracking (2)" in read.text and "kept (2)" in read.text
    assert [a["data-reason"] for a in read.of("article")] == ["kept", "kept", "small"]
    assert "3 samples" in read.text


def test_a_dropped_item_may_have_neither_pictures_nor_turns(tmp_path):
    read = page(tmp_path, sample(images=(), turns=(), task="", split="", reason="too small"))
    assert "too small" in read.text
    assert not read.of("svg") and not read.of("section", "turn")


def test_no_samples_still_make_a_page(tmp_path):
    assert "0 samples" in page(tmp_path).text


def test_writing_again_gives_the_same_bytes(tmp_path):
    page(tmp_path, sample("1"), hostile())
    first = contents(tmp_path)
    page(tmp_path, sample("1"), hostile())
    assert contents(tmp_path) == first


def test_writing_again_leaves_nothing_of_the_earlier_gallery(tmp_path):
    page(tmp_path, sample(), hostile())
    page(tmp_path, sample(images=(picture(jpeg(shade=3)),), turns=()))
    assert len(list((tmp_path / "gallery/images").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


def test_a_failure_midway_leaves_the_earlier_gallery_as_it_was(tmp_path):
    page(tmp_path, sample())
    before = contents(tmp_path)

    def broken() -> Iterator[Shown]:
        yield hostile()
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        write(broken(), tmp_path / "gallery", title="", facts={})
    assert contents(tmp_path) == before


@pytest.mark.parametrize("names", [["notes.txt"], ["index.html"], ["index.html", "images"]])
def test_a_folder_that_is_no_gallery_is_left_alone(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(StorageError, match="no gallery"):
        write([sample()], tmp_path, title="", facts={})
    assert contents(tmp_path) == {name: b"mine" for name in names}


def test_a_gallery_with_something_else_in_it_is_left_alone(tmp_path):
    page(tmp_path, sample())
    (tmp_path / "gallery/notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="no gallery"):
        page(tmp_path, sample())


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "gallery").mkdir()
    assert "1 sample" in page(tmp_path, sample()).text


def test_a_file_name_that_is_no_utf8_is_written(tmp_path):
    read = page(tmp_path, sample(images=(picture(jpeg(), caption="clip/\udcff.jpg"),), turns=()))
    assert ".jpg" in read.text
