import re

import pytest

from mgdata.geometry import Box
from mgdata.view.highlight import highlight
from mgdata.view.marks import PALETTE, letter, tag
from mgdata.view.shown import Exchange, Mark, Picture

IMAGES = tuple(
    Picture(data=None, name=f"Image-{i + 1}", width=width, height=height)
    for i, (width, height) in enumerate([(640, 480), (1920, 1080), *[(320, 240)] * 10])
)
FIRST = Mark(image=0, box=Box(64.3, 48.2, 320.6, 240.9))
SECOND = Mark(image=1, box=Box(192, 540, 960, 1080))


def html(
    text: str, given: tuple[Mark, ...] = (), targets: tuple[Mark, ...] = (FIRST, SECOND)
) -> str:
    [tagged] = tag([Exchange(question="", answer=text, given=given, targets=targets)])
    return highlight(text, tagged, IMAGES)


def labels(text: str, **marks: tuple[Mark, ...]) -> list[str]:
    return re.findall(r'data-mark="(\w+)"', html(text, **marks))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(100,100),(501,502)", ["1"]),  # thousandths, as Qwen2-VL writes them
        ("[100, 100, 501, 502]", ["1"]),  # thousandths, as a JSON list
        ("(100,100),(500,501)", ["1"]),  # of 999
        ("[64, 48, 321, 241]", ["1"]),  # pixels
        ("[64.3, 48.2, 320.6, 240.9]", ["1"]),  # exact pixels
        ("[0.1, 0.1, 0.501, 0.502]", ["1"]),  # shares
        ("[100,500,500,1000] [100, 100, 501, 502]", ["2", "1"]),  # in any order
        ("[100, 100, 501]", []),  # three numbers
        ("[100, 100, 540, 502]", []),  # near, but elsewhere
        ("[-100, 100, 501, 502]", []),  # outside
        ("100, 100, 501, 502", []),  # a list of numbers, not a box
    ],
)
def test_four_numbers_are_a_box_where_a_box_lies(text, expected):
    assert labels(text) == expected


def test_equal_boxes_are_named_one_after_the_other():
    twin = Mark(image=0, box=FIRST.box)
    assert labels(
        "[100,100,501,502] [100,100,501,502] [100,100,501,502]", targets=(FIRST, twin)
    ) == [
        "1",
        "2",
        "1",
    ]


def test_placeholders_become_tags_and_names():
    text = html("<image:1> shows <region:0> and <target:1>", given=(FIRST,))
    assert '<span class="image slot" data-image="1">Image-2</span>' in text
    assert re.findall(r'class="chip (\w+)" data-turn="0" data-mark="(\w+)"', text) == [
        ("given", "A"),
        ("c1", "2"),
    ]


@pytest.mark.parametrize("text", ["<image:12>", "<target:2>", "<region:0>", "<target:x>", "<b>"])
def test_what_names_nothing_stays_text(text):
    assert html(text) == text.replace("<", "&lt;").replace(">", "&gt;")


def test_names_of_images_are_found_whole():
    text = html("Image-1, Image-12, Image-13 and MyImage-2")
    assert re.findall(r'data-image="(\d+)">([^<]+)', text) == [("0", "Image-1"), ("11", "Image-12")]


def test_special_tokens_step_back():
    assert html("<|box_start|>") == '<span class="token">&lt;|box_start|&gt;</span>'


def test_text_without_its_tags_is_the_text():
    source = 'x < y & "z" <|im_end|> [64, 48, 321, 241] Image-3 <script>'
    plain = re.sub(r"<b>\d+</b> |<[^>]*>", "", html(source))
    assert (
        plain
        == "x &lt; y &amp; &quot;z&quot; &lt;|im_end|&gt; [64, 48, 321, 241] Image-3 &lt;script&gt;"
    )


def test_marks_are_counted_over_the_turns_of_a_sample():
    turn = Exchange(question="", answer="", given=(FIRST,), targets=(FIRST,) * 5)
    first, second = tag([turn, turn])
    assert [one.label for one in first.all] == ["A", "1", "2", "3", "4", "5"]
    assert [one.label for one in second.all] == ["B", "6", "7", "8", "9", "10"]
    assert [one.colour for one in second.targets] == [5, 6, 7, 0, 1]
    assert len(set(PALETTE)) == 8


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")],
)
def test_letters_go_on_after_z(index, name):
    assert letter(index) == name
