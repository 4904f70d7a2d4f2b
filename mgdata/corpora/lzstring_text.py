"""Text packed by lz-string's `compressToEncodedURIComponent`: how Ego-Exo4D writes its masks.

LZW over UTF-16 units, whose codes grow by a bit where the dictionary fills one (pieroxy.net,
lz-string 1.4). Written out here because the `lzstring` package takes ten times as long (115 ms for
a mask of 26,000 characters), and meets a damaged text with whatever Python error it runs into.
Knows no mask.
"""

from __future__ import annotations

from mgdata.errors import Rejected

UNDECODABLE = "LZString does not decode"
"""Reason of every rejection here."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
_BITS = str.maketrans({char: f"{value:06b}" for value, char in enumerate(_ALPHABET)})
_KNOWN = frozenset(_ALPHABET)
_LITERAL = {0: 8, 1: 16}
"""Codes that announce a character that is not in the dictionary, and its bits."""
_END = 2


def decompress(packed: str, longest: int = 1 << 24) -> str:
    """The text that was packed.

    Args:
        packed: characters of the URI-safe alphabet; a blank stands for a plus.
        longest: characters above which the text is refused: few can unpack to very many.

    Raises:
        Rejected: `LZString does not decode`: another character, a code without a meaning, or an
            end before the mark of the end.
    """
    packed = packed.replace(" ", "+")
    if not packed or not _KNOWN.issuperset(packed):
        raise Rejected(UNDECODABLE, f"{packed[:40]!r} is no text of its alphabet")
    try:
        return "".join(_words(packed.translate(_BITS)[::-1], longest))
    except (IndexError, ValueError):  # no such code; no more bits
        raise Rejected(UNDECODABLE, f"cut or damaged after {packed[:40]!r}") from None


def _words(bits: str, longest: int) -> list[str]:
    """The dictionary's words in order. `bits` are last first, so that a slice is a number."""
    words, out = ["", "", ""], list[str]()
    end, width, room, length = len(bits), 2, 1, 0
    before = ""
    while True:
        if end < width:
            raise IndexError
        code = int(bits[end - width : end], 2)
        end -= width
        if code == _END:
            return out
        if code in _LITERAL:
            start, end = end, end - _LITERAL[code]
            words.append(chr(int(bits[max(end, 0) : start], 2)))
            code = len(words) - 1
            room -= 1
            if not room:
                room, width = 1 << width, width + 1
        if code > len(words):
            raise IndexError
        word = words[code] if code < len(words) else before + before[0]
        length += len(word)
        if length > longest:
            raise ValueError
        out.append(word)
        if before:
            words.append(before + word[0])
            room -= 1
            if not room:
                room, width = 1 << width, width + 1
        before = word
