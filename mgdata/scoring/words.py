"""An answer as words: what it could be naming, whatever its case, punctuation and articles.

Tells images by number (`Image-3`, `the third photo`), options by letter or text, whole numbers by
digits or in words. It judges nothing; `short` does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_WORD = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)|\d+\.\d+|[^\W_]+(?:['.][^\W_]+)*")
_UNITS: list[str] = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen",
)
_TENS: list[str] = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBERS = {word: n for n, word in enumerate(_UNITS)} | {
    word: 10 * n for n, word in enumerate(_TENS, 2)
}
_ORDINALS: list[str] = re.findall(
    r"\w+",
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
)
_NTH = re.compile(r"(\d{1,4})(?:st|nd|rd|th)")
_PICTURE = re.compile(r"(?:image|picture|photo)(\d{1,4})?")
_ARTICLES = frozenset(("a", "an", "the"))
_NAMES_A_LETTER = frozenset(("option", "options", "choice", "letter", "answer"))
_AFTER_A_LETTER = frozenset(("is", "because", "since", "as", "and", "or", "not"))
_NEGATORS = frozenset(("not", "never", "neither", "nor", "cannot", "except"))
_MOST_DIGITS = 9
_STRAIGHT = {0x2019: "'", 0x2212: "-"}
"""A typographer's apostrophe and minus sign, which models write now and then."""


class Word(NamedTuple):
    """One word of a text; a named image is one word, whatever it was written as."""

    form: str
    """Lower case; `image#3` for an image that is named."""
    letter: int | None
    """Which option it names, from 0, where it stands for a letter."""


def straight(text: str) -> str:
    """The text with the apostrophe and the minus sign of a keyboard."""
    return text if text.isascii() else text.translate(_STRAIGHT)


def words(text: str) -> list[Word]:
    """The words of a `straight` text without articles and punctuation."""
    found = list(_WORD.finditer(text))
    told: list[Word] = []
    at = 0
    while at < len(found):
        raw = found[at][0]
        form = raw.casefold()
        following = found[at + 1][0].casefold() if at + 1 < len(found) else ""
        if form in _ARTICLES and (form != "a" or _is_article(text, found, at, following)):
            at += 1
            continue
        image, used = _image(form, following)
        if image is not None:
            told.append(Word(f"image#{image}", None))
            at += used
            continue
        told.append(Word(form, _letter(text, found, at) if len(raw) == 1 else None))
        at += 1
    return told


@lru_cache(maxsize=1 << 14)
def forms(text: str) -> tuple[str, ...]:
    """The forms of `words(text)`; remembered, because options and gold answers come again."""
    return tuple(word.form for word in words(text))


def denies(said: Sequence[Word]) -> bool:
    """Whether a word turns what is named into what is not meant: `not B`."""
    return any(form in _NEGATORS or form.endswith("n't") for form, _ in said)


def named(said: Sequence[Word], options: Sequence[str]) -> tuple[list[int], list[Word]]:
    """Options that an answer names, by place, in its order; and the words that are left over.

    An option is named by its text or its letter. Longer texts are looked for first, so that "dog"
    is not found in "dog with a hat". A letter beyond the options is -1.
    """
    left: list[Word | None] = list(said)
    places: dict[int, int] = {}
    for option in sorted(range(len(options)), key=lambda i: (-len(forms(options[i])), i)):
        wanted = forms(options[option])
        first = 0
        while wanted and (at := _find(left, wanted, first)) is not None:
            places[at] = option
            left[at : at + len(wanted)] = [None] * len(wanted)
            first = at + len(wanted)
    for at, word in enumerate(left):
        if word is not None and word.letter is not None:
            places[at] = word.letter if word.letter < len(options) else -1
            left[at] = None
    return [places[at] for at in sorted(places)], [word for word in left if word is not None]


def numbers(said: Sequence[Word]) -> list[int | None]:
    """Whole numbers of 0 and more, digits or words, in order; None for any other number.

    Numbers of images are not among them. `no` and `none` are 0 where there is no other number.
    """
    found: list[int | None] = []
    tens = False
    for form, _ in said:
        value = _NUMBERS.get(form)
        if value is not None and tens and 0 < value < 10:
            found[-1] = (found[-1] or 0) + value
            tens = False
            continue
        tens = value is not None and value >= 20
        if value is not None:
            found.append(value)
        elif form[0].isdecimal() and not _NTH.fullmatch(form):
            digits = form.replace(",", "")
            whole = digits.isdecimal() and len(digits) <= _MOST_DIGITS
            found.append(int(digits) if whole else None)
    if not found and any(form in ("no", "none") for form, _ in said):
        return [0]
    return found


def images(said: Sequence[Word]) -> list[str]:
    """The images that are named, in order, as `image#3`."""
    return [form for form, _ in said if form.startswith("image#")]


def _find(left: Sequence[Word | None], wanted: tuple[str, ...], first: int) -> int | None:
    for at in range(first, len(left) - len(wanted) + 1):
        word = left[at]
        if word is not None and word.form == wanted[0]:
            some = left[at : at + len(wanted)]
            if all(w is not None and w.form == f for w, f in zip(some, wanted, strict=True)):
                return at
    return None


def _image(form: str, following: str) -> tuple[int | None, int]:
    """Number of the image that is named here, and how many words name it."""
    if picture := _PICTURE.fullmatch(form):
        if picture[1]:
            return int(picture[1]), 1
        if following.isdecimal() and len(following) <= 4:
            return int(following), 2
        number = _NUMBERS.get(following, 0)
        return (number, 2) if 0 < number < 20 else (None, 0)
    nth = _NTH.fullmatch(form)
    if (nth or form in _ORDINALS) and following in ("image", "picture", "photo"):
        return int(nth[1]) if nth else _ORDINALS.index(form), 2
    return None, 0


def _is_article(text: str, found: Sequence[re.Match[str]], at: int, following: str) -> bool:
    """Whether this `a` is an article: it has a noun after it and nothing says it is a letter."""
    if not following or following in _AFTER_A_LETTER:
        return False
    if len(following) == 1 and found[at][0] == "A":
        return False
    before = found[at - 1][0].casefold() if at else ""
    return text[found[at].end()].isspace() and before not in _NAMES_A_LETTER


def _letter(text: str, found: Sequence[re.Match[str]], at: int) -> int | None:
    """The option that a word of one letter stands for, if it does."""
    raw = found[at][0]
    place = "abcdefghijklmnopqrstuvwxyz".find(raw.casefold())  # "ß" folds into two letters
    if place < 0:
        return None
    before = found[at - 1][0].casefold() if at else ""
    marked = text[found[at].end() : found[at].end() + 1] in (")", "]") or (
        at == 0 and text[found[at].end() : found[at].end() + 1] in (".", ":")
    )
    if len(found) == 1 or before in _NAMES_A_LETTER or marked:
        return place
    return place if raw.isupper() and raw != "I" else None
