"""Wording: a task's paraphrases, and the small grammar that filling them in needs.

Reads `wording/<task>.yaml` beside the task's module, picks forms and fills their slots; knows no
task, no box and no model. The file maps the name of each set to its forms, one string each:

    {image}             the text given for this slot; `{Image}` the same with a capital letter
    {is|are}            the first for one thing, the second for several
    [..][, ][ and ]     the first bracket once for each item; the second stands between items, the
                        third, where it is there, before the last

So "[{image} has {box}][, ][ and ]." with three items gives "A has 1, B has 2 and C has 3.".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from mgdata.errors import UsageError
from mgdata.identity import Stream

_SLOT = re.compile(r"\{([^{}|]*)\}")
_EITHER = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
_ITEMS = re.compile(r"\[([^][]*)\]\[([^][]*)\](?:\[([^][]*)\])?")

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
             "tenth", "eleventh", "twelfth")  # fmt: skip
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
            "eleven", "twelve")  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


# Endings of the last word, tried in this order; a word that takes another plural comes first.
_PLURALS = _pairs(
    """human:humans german:germans roman:romans shaman:shamans talisman:talismans ottoman:ottomans
    doberman:dobermans caiman:caimans mongoose:mongooses handicraft:handicrafts blouse:blouses
    woman:women man:men child:children tooth:teeth foot:feet mouse:mice louse:lice goose:geese
    knife:knives wife:wives life:lives shelf:shelves wolf:wolves calf:calves half:halves
    leaf:leaves loaf:loaves scarf:scarves hoof:hooves thief:thieves potato:potatoes tomato:tomatoes
    torpedo:torpedoes mango:mangoes volcano:volcanoes mosquito:mosquitoes buffalo:buffaloes
    tornado:tornadoes domino:dominoes passer-by:passers-by quiz:quizzes axis:axes crisis:crises
    oasis:oases fungus:fungi cactus:cacti fish:fish sheep:sheep deer:deer moose:moose bison:bison
    craft:craft shrimp:shrimp offspring:offspring"""
)
_WHOLE_WORDS = _pairs(
    """person:people salesperson:salespeople die:dice ox:oxen elf:elves dwarf:dwarves hero:heroes
    superhero:superheroes echo:echoes swine:swine squid:squid salmon:salmon trout:trout cod:cod"""
)
_ALREADY_SEVERAL = _words(
    """people salespeople dice oxen mice lice geese teeth feet children fungi cacti octopi cattle
    passers-by police clothes media bacteria graffiti paparazzi skis taxis bikinis kiwis zucchinis
    martinis safaris emus gnus menus tutus gurus haikus"""
)
# In -s or -men and yet no plural, besides those in -ss, -us and -is.
_SINGULAR = _words(
    """lens canvas atlas gas rhinoceros cosmos christmas pancreas specimen abdomen ramen omen stamen
    regimen"""
)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The slots that every form of a set must hold, and those that it may hold."""

    must: str = ""
    """Names, separated by spaces."""
    may: str = ""
    """Names, separated by spaces."""
    each: str = ""
    """Names that the item between brackets must hold; empty where the set has no items."""


class Form:
    """One paraphrase, ready to be filled. Immutable; picklable, since a task file may travel."""

    __slots__ = ("_item", "_join", "_last", "_one", "_several", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        repeated = _ITEMS.search(text)
        outer = _ITEMS.sub("{items}", text, count=1)
        self._one, self._several = _EITHER.sub(r"\1", outer), _EITHER.sub(r"\2", outer)
        self._item, self._join, self._last = repeated.groups() if repeated else (None, "", None)

    def __reduce__(self) -> tuple[type[Form], tuple[str]]:
        return Form, (self.text,)

    def fill(self, *, many: bool = False, each: Sequence[dict[str, str]] = (), **slots: str) -> str:
        """The text with every slot filled; `many` chooses plurals, `each` fills the items."""
        filled = _Slots(slots)
        if self._item is not None:
            items = [self._item.format_map(_Slots(item)) for item in each]
            if self._last is not None and len(items) > 1:
                items[-2:] = [f"{items[-2]}{self._last}{items[-1]}"]
            filled["items"] = self._join.join(items)
        return (self._several if many else self._one).format_map(filled)

    def slots(self) -> tuple[set[str], set[str] | None]:
        """Names of the slots outside the items, and inside; None where it has no items."""
        inside = None if self._item is None else _names(self._item)
        return (_names(self._one) | _names(self._several)) - {"items"}, inside


class _Slots(dict[str, str]):
    """Slot texts, with a capital letter where the slot's name has one."""

    def __missing__(self, name: str) -> str:
        if name[:1].islower():
            raise KeyError(name)
        return capital(self[name[0].lower() + name[1:]])


class Wording:
    """The sets of one wording file, checked."""

    def __init__(self, forms: Mapping[str, Sequence[Form]]) -> None:
        self.forms = dict(forms)

    def pick(self, rng: Stream, name: str) -> Form:
        """One form of a set, uniformly."""
        return rng.choice(self.forms[name])

    def pick_several(self, rng: Stream, name: str, n: int) -> list[Form]:
        """`n` forms of a set, none twice before all were used."""
        forms = self.forms[name]
        picked: list[Form] = []
        while len(picked) < n:
            picked += rng.sample(forms, min(n - len(picked), len(forms)))
        return picked


def load(module_file: str, needs: Mapping[str, Needs]) -> Wording:
    """The wording file of the task whose module is `module_file`; call it at the module's top.

    Loaded on import, so that a task file which travels to workers by value brings its words along.

    Raises:
        UsageError: no such file, or one that `parse` refuses.
    """
    module = Path(module_file)
    path = module.parent / "wording" / f"{module.stem}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}, the wording of {module.name}: {error}") from error
    return parse(text, str(path), needs)


def parse(text: str, name: str, needs: Mapping[str, Needs]) -> Wording:
    """The wording written in `text`; `name` is its file, for messages.

    Raises:
        UsageError: not YAML; a set that is unknown, missing, twice there or empty; a form that is
            no text, is there twice, or holds other slots than its set needs.
    """
    document = _yaml(text, name)
    if not isinstance(document, dict):
        raise UsageError(f"{name}: expected a mapping of sets to forms, found {document!r}")
    for key in document:
        if key not in needs:
            close = difflib.get_close_matches(str(key), needs, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(needs)}"
            raise UsageError(f"{name}: unknown set {key!r}{hint}")
    for key in needs:
        if key not in document:
            raise UsageError(f"{name}: the set {key!r} is missing; write at least one form")
    return Wording({key: _forms(document[key], f"{name}: {key}", needs[key]) for key in needs})


def _forms(found: object, where: str, needs: Needs) -> tuple[Form, ...]:
    if not isinstance(found, list) or not found:
        raise UsageError(f"{where}: expected a list of forms, found {found!r}")
    forms: list[Form] = []
    for number, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{where}[{number}]: expected text in quotes, found {text!r}")
        if any(form.text == text for form in forms):
            raise UsageError(f"{where}[{number}]: {text!r} is there twice; remove one")
        forms.append(_form(text, f"{where}[{number}]", needs))
    return tuple(forms)


def _form(text: str, where: str, needs: Needs) -> Form:
    # Between brackets nothing is chosen by number: an item is one thing.
    item = _ITEMS.search(text)
    left = _EITHER.sub("", _ITEMS.sub("", text, count=1)) + (item[1] if item else "")
    if stray := re.search(r"[{}\[\]|]", _SLOT.sub("", left)):
        raise UsageError(f"{where}: {stray[0]!r} is no part of a slot or of items in {text!r}")
    form = Form(text)
    outside, inside = form.slots()
    must, each = set(needs.must.split()), set(needs.each.split())
    if (inside is None) == bool(each):
        raise UsageError(
            f"{where}: {'needs' if each else 'cannot have'} items in [..][..]: {text!r}"
        )
    for have, need, may in (
        (outside, must, set(needs.may.split())),
        (inside or set(), each, set()),
    ):
        if unknown := sorted(have - need - may):
            known = ", ".join(sorted(need | may)) or "none"
            raise UsageError(f"{where}: unknown slot {unknown[0]!r} in {text!r}; known are {known}")
        if missing := sorted(need - have):
            raise UsageError(f"{where}: slot {missing[0]!r} is missing in {text!r}")
    return form


def _names(text: str) -> set[str]:
    return {name[:1].lower() + name[1:] for name in _SLOT.findall(text)}


def _yaml(text: str, name: str) -> Any:
    import yaml

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise UsageError(f"{name}: the set {key!r} is there twice; join the two")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader=Strict)
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not YAML: {' '.join(str(error).split())}") from error


def capital(text: str) -> str:
    """The text with a capital first letter; the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str], last: str = " and ") -> str:
    """`A`, `A and B`, `A, B and C`."""
    return last.join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def ordinal(n: int) -> str:
    """`first` to `twelfth`, then `13th`, `21st`, `112th`; n counts from 1."""
    if n < 1:
        raise ValueError(f"ordinals count from 1, got {n}")
    if n <= len(_ORDINALS):
        return _ORDINALS[n - 1]
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def number(n: int) -> str:
    """`zero` to `twelve` in letters, then digits."""
    return _NUMBERS[n] if 0 <= n < len(_NUMBERS) else str(n)


def plural(noun: str) -> str:
    """The plural of an English noun; of several words the last changes (`red bus`, `red buses`)."""
    head, space, word = noun.rpartition(" ")
    return head + space + _several(word)


def _several(word: str) -> str:
    if word in _WHOLE_WORDS:
        return _WHOLE_WORDS[word]
    for one, several in _PLURALS.items():
        if word.endswith(one):
            return word[: -len(one)] + several
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def counted(n: int, noun: str) -> str:
    """`one image`, `three images`, `14 images`."""
    return f"{number(n)} {noun if n == 1 else plural(noun)}"


def article(words: str) -> str:
    """The words with `a` or `an` before them, by sound (`an hour`, `a unicycle`, `an 8`)."""
    said = words.lower()
    vowel = re.match(r"[aeiou]|8|11(?!\d)|18(?!\d)|hour|honest|honour|honor|heir", said)
    consonant = re.match(r"uni(?!n|m)|us[eau]|eu|one\b|once|ut[ei]|ubiq|ufo", said)
    return f"{'an' if vowel and not consonant else 'a'} {words}"


@lru_cache(4096)
def noun(label: str) -> str:
    """A label as it can stand after `the` and before a singular verb, else `object`.

    Class names of corpora are lower case words, some with underscores; plurals, codes and words in
    other scripts would make a sentence wrong.
    """
    words = " ".join(label.replace("_", " ").split()).lower()
    last = words.rpartition(" ")[2]
    fits = re.fullmatch(r"[a-z][a-z' -]{0,38}[a-z]", words) and not _is_several(last)
    return words if fits and not words.startswith(("a ", "an ", "the ")) else "object"


def _is_several(word: str) -> bool:
    """Whether a word is a plural and no singular, as far as its ending and the tables tell."""
    if word in _ALREADY_SEVERAL:
        return True
    return word not in _SINGULAR and re.search(r"[^sui]s$|men$", word) is not None


@dataclass(frozen=True)
class ImageNames:
    """What a sample calls its images; always by their place in the list, counted from 1."""

    style: Literal["ordinal", "number"]
    """`ordinal`: the third image. `number`: Image-3."""

    def one(self, image: int) -> str:
        """Name of one image by its index (from 0)."""
        return _image_names(self.style, (image,))

    def several(self, images: Sequence[int]) -> str:
        """Names of images by their indices: `the second, third and fourth images`."""
        return _image_names(self.style, tuple(images))


@lru_cache(4096)
def _image_names(style: str, images: tuple[int, ...]) -> str:
    if style == "number":
        return listed([f"Image-{i + 1}" for i in images])
    return f"the {listed([ordinal(i + 1) for i in images])} image{'s' if len(images) > 1 else ''}"
