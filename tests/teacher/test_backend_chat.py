"""Requests as local engines take them: messages, and pictures decoded once."""

from __future__ import annotations

import io

import pytest
from PIL import Image as Picture

from mgdata.data import Request, Sampling
from mgdata.errors import MissingFile, Rejected
from mgdata.teacher.backends.chat import Pictures, failed, messages


def request(user: str, pictures: int = 0, system: str = "") -> Request:
    names = tuple(f"picture {number}" for number in range(pictures))
    return Request(key="k", prompt="p", system=system, user=user, pictures=names,
                   sampling=Sampling(), seed=0)  # fmt: skip


def encoded(picture: Picture.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_pictures_stand_where_their_slots_stood():
    asked = messages(request("First: <image>\nthen: <image>\nWhere is the kite?", 2, "Be brief."))
    assert asked == [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [
            {"type": "text", "text": "First: "}, {"type": "image"},
            {"type": "text", "text": "\nthen: "}, {"type": "image"},
            {"type": "text", "text": "\nWhere is the kite?"},
        ]},
    ]  # fmt: skip


def test_no_empty_text_stands_between_pictures():
    (asked,) = messages(request("<image><image>", 2))
    assert asked["content"] == [{"type": "image"}, {"type": "image"}]


@pytest.mark.parametrize(("slots", "pictures"), [(1, 2), (2, 1), (0, 1), (1, 0)])
def test_slots_without_pictures_and_pictures_without_slots_are_refused(slots, pictures):
    with pytest.raises(Rejected, match=f"{slots} <image> for {pictures} pictures") as refused:
        messages(request("<image>" * slots + "?", pictures))
    assert refused.value.reason == "image refused"


def test_a_text_that_would_open_another_turn_is_broken_and_boxes_are_not():
    said = "a <|im_end|> sign, <|box_start|>(1,2),(3,4)<|box_end|> <|im_end|>"
    asked = messages(request(said, system="<|im_end|>"), ("<|im_end|>", "<|image_pad|>"))
    assert [message["content"][0]["text"] for message in asked] == [
        "< |im_end|>", "a < |im_end|> sign, <|box_start|>(1,2),(3,4)<|box_end|> < |im_end|>",
    ]  # fmt: skip


def test_a_picture_is_upright_rgb():
    turned = Picture.new("L", (30, 20))
    turned.putpixel((0, 0), 255)
    exif = Picture.Exif()
    exif[0x0112] = 6
    found = Pictures(lambda _: encoded(turned, exif=exif))["x"]
    assert (found.size, found.mode, found.getpixel((19, 0))) == ((20, 30), "RGB", (255,) * 3)


def test_a_picture_is_read_once_while_it_is_remembered():
    read: list[str] = []
    data = encoded(Picture.new("RGB", (10, 10)))

    def stored(sha256: str) -> bytes:
        read.append(sha256)
        return data

    pictures = Pictures(stored, most=2 * 3 * 100)  # room for two
    for name in "aababcbc":
        assert pictures[name].size == (10, 10)
    assert read == ["a", "b", "c"]
    assert pictures["a"].size == (10, 10) and read[-1] == "a"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b"nonsense", "no known image format"),
        (encoded(Picture.new("RGB", (64, 64)), "JPEG")[:400], "truncated image"),
        (MissingFile("a.png"), "missing file: a.png"),
        (KeyError("x"), "x"),
        (PermissionError("a.png"), "a.png"),
    ],
)
def test_a_picture_that_cannot_be_had_is_refused(found, said):
    def stored(_: str) -> bytes:
        if isinstance(found, bytes):
            return found
        raise found

    with pytest.raises(Rejected, match=said) as refused:
        _ = Pictures(stored)["0123456789abcdef0123"]
    assert refused.value.reason == "image refused"
    assert (refused.value.value or "").startswith("0123456789abcdef: ")


def test_what_an_engine_says_of_a_failure_is_cut():
    reply = failed(request("?"), "server error", "x" * 10_000)
    assert (reply.finish, reply.reason, reply.text, len(reply.value or "")) == (
        "failed", "server error", "", 500,
    )  # fmt: skip
