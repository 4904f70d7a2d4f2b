"""The refs of RefCOCO's files: which texts name which annotations of which image, in which split.

A pickle of a list, or for gRefCOCO a JSON list. What is wrong with one ref is told there and costs
its texts, not the file. It knows no box.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mgdata.corpora.coco_table import Id, Lost
from mgdata.corpora.instances import shown
from mgdata.corpora.pickles import plain
from mgdata.errors import MissingFile, Rejected
from mgdata.storage import Root

NOTHING = -1
"""The annotation that a text for nothing names."""


class _Sentence(msgspec.Struct, frozen=True, kw_only=True):
    sent: str


class _Ref(msgspec.Struct, frozen=True, kw_only=True):
    ref_id: Id
    image_id: int
    ann_id: int | list[int]
    split: str
    sentences: list[Any]
    category_id: int | list[int] | None = None
    no_target: bool | None = None


@dataclass(frozen=True)
class Ref:
    """One ref: texts that mean the same."""

    id: Id
    split: str
    targets: tuple[int, ...]
    """Annotation ids, rising; none for texts that mean nothing in the image."""
    categories: tuple[int | None, ...]
    """Category id of each target, where it says."""
    sentences: tuple[str, ...]
    """Texts as written; empty ones too."""
    fault: str = ""
    """Why the targets cannot be trusted."""


@dataclass
class Refs:
    """A file's refs."""

    refs: dict[Id, list[Ref]] = field(default_factory=dict[Id, list[Ref]])
    """By image id, in the file's order."""
    lost: list[Lost] = field(default_factory=list[Lost])
    """What is in no ref: malformed refs and texts."""


def refs_of(root: Root, path: str) -> Refs:
    """Read a file of refs; `.json` is JSON, anything else a pickle.

    Raises:
        Rejected: it is missing, damaged, no list, or a pickle of more than plain data.
        StorageError: it cannot be read.
    """
    content = _json(root, path) if path.endswith(".json") else plain(root, path)
    if not isinstance(content, list):
        raise Rejected("malformed annotation", f"{path}: {type(content).__name__}, not a list")
    made = Refs()
    seen: set[Id] = set()
    items: list[Any] = content
    for at, item in enumerate(items):
        try:
            raw = msgspec.convert(item, _Ref)
            raw.split.encode()
        except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
            made.lost.append(Lost(f"[{at}]", "malformed ref", str(error)[:80]))
            continue
        if raw.ref_id in seen:
            made.lost.append(Lost(f"[{at}]", "repeated ref id", shown(raw.ref_id)))
            continue
        seen.add(raw.ref_id)
        made.refs.setdefault(raw.image_id, []).append(_ref(raw, at, made.lost))
    return made


def _json(root: Root, path: str) -> Any:
    try:
        # Python's own: it reads NaN, so that one such number loses a ref and not the file.
        return json.loads(root.read(path).decode("utf-8-sig"))
    except MissingFile:
        raise Rejected("missing annotation", path) from None
    except UnicodeDecodeError:
        raise Rejected("text is not UTF-8", path) from None
    except (ValueError, RecursionError) as error:
        raise Rejected("malformed JSON", f"{path}: {str(error)[:80]}") from None


def _ref(raw: _Ref, at: int, lost: list[Lost]) -> Ref:
    targets = raw.ann_id if isinstance(raw.ann_id, list) else [raw.ann_id]
    several = isinstance(raw.category_id, list)
    categories: list[Any] = raw.category_id if several else [raw.category_id] * len(targets)  # pyright: ignore[reportAssignmentType]
    fault = ""
    nothing = targets == [NOTHING]
    if nothing:
        targets, categories = [], []
    if raw.no_target is not None and raw.no_target != nothing:
        fault = "expression said to mean something and nothing"
    elif not nothing and (not targets or NOTHING in targets or len(set(targets)) < len(targets)):
        fault = "expression for an impossible list of annotations"
    elif len(categories) != len(targets):
        fault = "expression and annotation differ in category"
        categories = [None] * len(targets)
    pairs = sorted(zip(targets, categories, strict=False), key=lambda pair: pair[0])
    return Ref(
        id=raw.ref_id,
        split=raw.split,
        targets=tuple(target for target, _ in pairs),
        categories=tuple(category for _, category in pairs),
        sentences=tuple(_texts(raw, at, lost)),
        fault=fault,
    )


def _texts(raw: _Ref, at: int, lost: list[Lost]) -> list[str]:
    """The texts that are texts."""
    texts: list[str] = []
    for number, found in enumerate(raw.sentences):
        try:
            text = msgspec.convert(found, _Sentence).sent
            text.encode()
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            where = f"[{at}].sentences[{number}]"
            lost.append(Lost(where, "malformed sentence", str(error)[:80]))
            continue
        texts.append(text)
    return texts
