"""The words of all prompts, from `prompts.yaml`: filled in, and which of them a prompt used.

Knows no sample and no model. What fills a slot is never itself looked at for slots.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import msgspec

from mgdata.data import Association, Kind
from mgdata.identity import digest

FILE = Path(__file__).with_name("prompts.yaml")
"""Where the words are."""

SLOTS = {
    "system": "",
    "system_facts": "",
    "images": "labelled",
    "earlier": "turns",
    "earlier_turn": "question answer",
    "question": "question",
    "options": "options",
    "reason": "steps names least most",
    "rationalise": "anchor steps names least most",
    "trajectory": "notes steps names least most",
    "trajectory_first": "",
    "trajectory_last": "",
    "boxes": "one_name two_name one two none",
    "boxes_in_text": "one_name one",
    "coordinates_all": "across down",
    "coordinates_each": "limits",
    "coordinates_limit": "name across down",
    "choice": "letters",
    "order": "",
    "count": "",
    "text": "",
    "reply_direct": "",
    "reply_thought": "",
    "instruct_reason": "",
    "instruct_direct": "",
    "caption": "least most",
    "picture": "",
    "refine": "box name least most rivals reply",
    "refine_rivals": "boxes",
    "write": "notes wanted least most names reply",
    "write_wanted_one": "",
    "write_wanted_many": "most",
    "verify": "anchor least most reply",
}
"""Every text and the slots that it must hold, each at least once."""

_SLOT = re.compile(r"\{([a-z_]+)\}")


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one version."""

    version: int
    """Raised by hand with every change, for people; what counts is the digest."""
    named: dict[str, str]
    """Texts by name, with `{slot}` where something is filled in."""
    steps: dict[str, tuple[str, ...]]
    """Steps of reasoning by association, where boxes are asked for; `words` where words are."""
    across: dict[str, tuple[str, ...]]
    """What a trajectory does between looking at each image and concluding, likewise."""


def parse(document: Any) -> Texts:
    """The texts of a document as `prompts.yaml` has it.

    Raises:
        ValueError: a text, slot or list of steps that is missing, unknown or empty; says which.
    """
    if not isinstance(document, dict):
        raise ValueError(f"prompts.yaml: expected a mapping of names to texts, found {document!r}")
    left: dict[str, Any] = {**document}
    version = left.pop("version", None)
    lists = {name: left.pop(name, None) for name in ("steps", "across")}
    if type(version) is not int:
        raise ValueError(f"prompts.yaml: version is a whole number, found {version!r}")
    for name in sorted(left.keys() ^ SLOTS.keys()):
        raise ValueError(f"prompts.yaml: the text {name!r} is missing or unknown")
    for name, text in left.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"prompts.yaml: {name}: expected text, found {text!r}")
        if {*_SLOT.findall(text)} != {*SLOTS[name].split()}:
            raise ValueError(f"prompts.yaml: {name}: its slots must be {SLOTS[name] or 'none'}")
        if re.search("[{}]", _SLOT.sub("", text)):
            raise ValueError(f"prompts.yaml: {name}: a brace that is no part of a slot")
    lists = {name: _lists(found, name) for name, found in lists.items()}
    return Texts(version=version, named=left, steps=lists["steps"], across=lists["across"])


def _lists(found: object, where: str) -> dict[str, tuple[str, ...]]:
    """Steps of every association, and of `words`."""
    wanted = {*get_args(Association), "words"}
    if not isinstance(found, dict) or {*found} != wanted:
        raise ValueError(f"prompts.yaml: {where}: expected lists for {', '.join(sorted(wanted))}")
    known = cast("dict[str, object]", found)
    for name, some in known.items():
        if (
            not isinstance(some, list)
            or not some
            or not all(
                isinstance(step, str) and step.strip() for step in cast("list[object]", some)
            )
        ):
            raise ValueError(f"prompts.yaml: {where}: {name}: expected steps, found {some!r}")
    return {name: tuple(cast("list[str]", some)) for name, some in known.items()}


@cache
def texts() -> Texts:
    """The words that come with mgdata."""
    import yaml

    return parse(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def write(name: str, /, **slots: object) -> str:
    """A text with its slots filled."""
    text = texts().named[name]
    return text.format_map(slots) if slots else text


def default_steps(association: Association, kind: Kind) -> tuple[str, ...]:
    """Steps of reasoning for a task that has none of its own."""
    return texts().steps[association if kind == "boxes" else "words"]


def across(association: Association, kind: Kind) -> tuple[str, ...]:
    """Steps of a trajectory between the first and the last, likewise."""
    return texts().across[association if kind == "boxes" else "words"]


def instruction(form: Literal["direct", "reason"], own: str | None = None) -> str:
    """What a question of a released row ends with, so that a model knows which form is wanted."""
    return (write(f"instruct_{form}") if own is None else own).strip()


def numbered(steps: Sequence[str]) -> str:
    """Steps as a list, one a line."""
    return "\n".join(f"{place}. {step}" for place, step in enumerate(steps, 1))


@lru_cache(4096)
def words_digest(names: tuple[str, ...], steps: tuple[str, ...] = ()) -> str:
    """Digest of the texts of these names and of these steps: what no other text changes."""
    return digest(*(part for name in names for part in (name, texts().named[name])), *steps)
