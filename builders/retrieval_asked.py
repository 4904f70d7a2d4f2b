"""What can be asked of one group of photos: which class or which text, and all that answers it.

Not a task: `referential_retrieval` uses it. It reads records, and trusts nothing that choosing from
the index columns has found: regions may have become regions to be ignored since. It knows no
wording but what a class or a text is called.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from builders.asking import Band, area_of, called, without_article
from builders.rivals import alike
from mgdata.data import Count, Expression, Record, Region, complete, count_of, known_absent
from mgdata.errors import Rejected
from mgdata.identity import Stream, name_hash
from mgdata.wording import noun, plural

Phrases = Literal["labels", "expressions"]
"""What is asked for: a region's label, or a text about the photo that leads the group."""
Scope = Literal["all", "image"]
"""Where it is looked for: in all images, or in one that the question names."""
MOST_WORDS = 30
"""Words of a text; longer ones tell a story."""

_STRANGE = re.compile(r"[<>{}\[\]|\\\"\n\t\N{REPLACEMENT CHARACTER}]|\.\s")
# Texts about a collage speak of pictures within the image, and would be read as naming an image.
_COLLAGE = re.compile(
    r"\b(?:first|second|third|fourth|\d+(?:st|nd|rd|th)?|left|right|top|bottom|upper|lower|middle|"
    r"center|last|other|both|each|which) ?(?:most )?(?:images?|photos?|pictures?|pics?)\b"
    r"|\b(?:image|photo|picture|pic)s? ?(?:#|no\.)? ?(?:\d|one\b|two\b|three\b|left\b|right\b)",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"(?:An?|The|Some|One|Two|Three|Four|Five|Six|Several|Many)\b")


class Rules(NamedTuple):
    """The task's settings that say what may be asked for."""

    phrases: Phrases
    scope: Scope
    area: Band
    most: int
    """Targets a question may have."""


class Words(NamedTuple):
    """What a question calls the thing that it asks for."""

    text: str
    """A class in the plural (`people`, `bread`), or a text that has to stand in quotes."""
    quoted: bool
    gold: str
    """As a target's phrase: a class in the singular, or the text."""


class Asked(NamedTuple):
    """One thing that can be asked for."""

    words: Words
    shown: Sequence[Record]
    """The photos of the sample."""
    image: int | None
    """Place among them of the one that is asked about; None for all."""
    found: list[tuple[int, Region]]
    """All that is meant: places among the photos shown, and regions."""


class _Photo(NamedTuple):
    """A record with its regions by label."""

    record: Record
    things: dict[str, list[Region]]

    def knows(self, label: str) -> bool:
        """Whether all boxes of a label that the photo shows are there, and all may be counted."""
        own = self.things[label]
        return complete(self.record, label) and all(r.box and not r.ignore for r in own)

    def lacks(self, label: str) -> bool:
        """Whether nothing of a label is there, nor of a class that may be called so."""
        return known_absent(self.record, label)


def hidden(lead: Record, count: Count, rules: Rules) -> bool:
    """Whether the leading photo only gives the words and is not shown: for no target in all images.

    A text that refers to nothing is asked for beside its own photo.
    """
    if count != "none" or rules.scope == "image":
        return False
    return rules.phrases == "labels" or not blank(lead, rules.scope)


def blank(lead: Record, scope: Scope) -> bool:
    """Whether a photo has a text that refers to nothing."""
    return any(not e.regions and (scope == "image" or e.label) for e in lead.expressions)


def lot(seal: int, label: str) -> int:
    """The number that a label has drawn in one group; of several the lowest is asked for.

    Choosing from the index draws the same, and so knows for which class it puts a group together:
    otherwise frequent classes, of which any photos show several, would be those of many targets.
    """
    return name_hash(f"{seal:x} {label}")


def sealed(keys: Iterable[int]) -> int:
    """What the lots of a group depend on: the hashes of its records' keys, in any order."""
    seal = 0
    for key in keys:
        seal ^= key
    return seal


def asked(
    records: Sequence[Record], shown: Sequence[Record], count: Count, rules: Rules, rng: Stream
) -> Asked:
    """What is asked of a group so that there are so many targets.

    Args:
        records: The group, the photo that leads it first.
        shown: Those of the group that the sample shows.
        count: How many targets there must be.
        rules: The task's settings.
        rng: Draws a text where several are about the class whose lot is drawn, and the image that
            is asked about where the leading one is not.

    Raises:
        Rejected: there is nothing of which so many are known to be there, or a thing's size is out
            of the band.
    """
    seal = sealed(name_hash(record.key) for record in records)
    make = _label if rules.phrases == "labels" else _text
    return make(records[0], shown, count, rules, seal, rng)


def _label(
    lead: Record, shown: Sequence[Record], count: Count, rules: Rules, seal: int, rng: Stream
) -> Asked:
    first, photos = _photo(lead), [_photo(record) for record in shown]
    labels = [
        label
        for label in first.things
        if first.knows(label)
        and words_of(label, first.things[label])
        and _fits(label, first, photos, count, rules)
    ]
    if not labels:
        raise Rejected("no class of so many things", count)
    label = min(labels, key=lambda one: lot(seal, one))
    words = words_of(label, first.things[label])
    if words is None:
        raise ValueError(f"{label!r} has no name")
    if rules.scope == "all":
        found = [(k, r) for k, photo in enumerate(photos) for r in photo.things.get(label, ())]
        image = None
    elif count == "none":
        found, image = [], rng.choice(_places_without(label, first, photos))
    else:
        image = shown.index(lead)
        found = [(image, region) for region in first.things[label]]
    # What the words are from counts too, or they would tell something of the number.
    _check([*((shown[k], r) for k, r in found), *((lead, r) for r in first.things[label])], rules)
    _apart(found)
    return Asked(words, shown, image, found)


def _fits(label: str, first: _Photo, photos: Sequence[_Photo], count: Count, rules: Rules) -> bool:
    """Whether so many of a label are known to be where the question looks."""
    own = len(first.things[label])
    if rules.scope == "image":
        if count == "none":
            return bool(_places_without(label, first, photos))
        return count_of(own) == count and own <= rules.most and not _doubtful(label, [first])
    total = 0
    for photo in photos:
        if label in photo.things:
            if not photo.knows(label):
                return False
            total += len(photo.things[label])
        elif not photo.lacks(label):
            return False
    return count_of(total) == count and total <= rules.most and not _doubtful(label, photos, first)


def _places_without(label: str, first: _Photo, photos: Sequence[_Photo]) -> list[int]:
    return [
        place
        for place, photo in enumerate(photos)
        if photo.record is not first.record
        and photo.lacks(label)
        and not _doubtful(label, [photo], first)
    ]


def _doubtful(label: str, photos: Sequence[_Photo], first: _Photo | None = None) -> bool:
    """Whether photos show a class that may be called the same; a sentence is judged for itself."""
    home = first or photos[0]
    if any(region.phrase == label for region in home.things[label]):
        return False
    return label in alike({label}.union(*(photo.things for photo in photos)))


def _text(
    lead: Record, shown: Sequence[Record], count: Count, rules: Rules, seal: int, rng: Stream
) -> Asked:
    others = {place: _photo(r) for place, r in enumerate(shown) if r is not lead}
    nothing = count == "none" and blank(lead, rules.scope)
    texts: defaultdict[str, list[Expression]] = defaultdict(list)
    known: dict[str | None, bool] = {}
    for one in lead.expressions:
        if not _so_many(one, lead, count, nothing, rules.most) or not quotable(one.text):
            continue
        if one.label not in known:
            photos = list(others.values())
            known[one.label] = _somewhere(one.label, photos, count, nothing, rules.scope)
        if known[one.label]:
            texts[one.label or ""].append(one)
    if not texts:
        raise Rejected("no text for so many things", count)
    one = rng.choice(texts[min(texts, key=lambda label: lot(seal, label))])
    regions = [lead.regions[i] for i in one.regions]
    _check([(lead, region) for region in regions], rules)
    words = Words(quotable(one.text), True, quotable(one.text))
    if count != "none" or nothing:
        place = shown.index(lead)
        found = [(place, region) for region in regions]
        _apart(found)
    else:
        # What it refers to is in the leading photo, which is hidden or not the one asked about.
        places = [k for k, photo in others.items() if _absent(one.label, photo)]
        place, found = rng.choice(places), []
    return Asked(words, shown, place if rules.scope == "image" else None, found)


def _so_many(one: Expression, lead: Record, count: Count, nothing: bool, most: int) -> bool:
    """Whether a text may be asked for: a phrase that refers to so many things, all to be seen.

    For no target it refers to nothing, or else to what is not where the question looks.
    """
    n = len(one.regions)
    right = (n > 0) != nothing if count == "none" else count_of(n) == count
    regions = [lead.regions[i] for i in one.regions]
    return (
        right
        and n <= most
        and one.form == "phrase"
        and all(r.box and not r.ignore for r in regions)
    )


def _somewhere(
    label: str | None, others: Sequence[_Photo], count: Count, nothing: bool, scope: Scope
) -> bool:
    """Whether the other photos are known not to show what a text may mean."""
    if scope == "image" and (count != "none" or nothing):
        return True
    found = (_absent(label, photo) for photo in others)
    return any(found) if scope == "image" else all(found)


def _absent(label: str | None, photo: _Photo) -> bool:
    """Whether nothing is there that a text about a thing of this label may mean."""
    return bool(label) and photo.lacks(label) and label not in alike({label, *photo.things})


def _check(things: Iterable[tuple[Record, Region]], rules: Rules) -> None:
    low, high = rules.area
    for record, region in things:
        if not low <= area_of(region, record) <= high:
            raise Rejected("a thing outside the size band", region.label)


def _apart(found: Sequence[tuple[int, Region]]) -> None:
    if len({(place, region.box) for place, region in found}) < len(found):
        raise Rejected("one box twice", found[0][1].label)


def _photo(record: Record) -> _Photo:
    things: defaultdict[str, list[Region]] = defaultdict(list)
    for region in record.regions:
        things[region.label].append(region)
    return _Photo(record, dict(things))


def words_of(label: str, regions: Sequence[Region]) -> Words | None:
    """What a label is called; a sentence of its corpus is one that regions have as their phrase."""
    if any(region.phrase == label for region in regions):
        text = quotable(label)
        return Words(text, True, text) if text else None
    words = called(label)
    return Words(several(words), False, words) if words else None


@lru_cache(1 << 16)
def several(words: str) -> str:
    """What `asking.called` gives, in the plural: `people`, `pens or pencils`, `bread`, `skis`."""
    *others, last = words.split(" or ")
    # A cutting or chopping board: the first is no noun.
    names = [word if word.endswith("ing") else _plural(word) for word in others]
    return " or ".join((*names, _plural(last)))


def _plural(words: str) -> str:
    return plural(words) if noun(words) == words and not without_article(words) else words


@lru_cache(1 << 16)
def quotable(text: str) -> str:
    """A text as it stands between quotes; empty where it cannot.

    Corpora's texts may be telegraphic (`left guy`); so they are quoted and never made part of a
    sentence. What is no words, is marked up, or speaks of one of several pictures is refused.
    """
    words = " ".join(text.split()).strip(" .,;:")
    if not 1 <= len(words.split()) <= MOST_WORDS or not words.isprintable():
        return ""
    if not re.search(r"[A-Za-z]{2}", words) or _STRANGE.search(words) or _COLLAGE.search(words):
        return ""
    return words[0].lower() + words[1:] if _CAPITALS.match(words) else words
