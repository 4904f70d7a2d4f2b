"""A server's key: taken from the environment, shown to nobody. Knows no server."""

from __future__ import annotations

import os
import re
from typing import NoReturn
from urllib.parse import quote

from mgdata.errors import EnvironmentFailure

HIDDEN = "[key]"
"""What stands where a key stood."""
SHORTEST = 8
"""Characters of a key that is worth hiding: servers of one's own are often given `EMPTY` or `x`,
and an answer that holds that word is to stay as it is."""

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_BEARER = re.compile(r"(?i)(bearer\s+)[^\s\"',}]+")


def check_name(key_from: str) -> None:
    """Refuse what is no variable's name: it may be a key that was written in its place.

    Raises:
        ValueError: without what was found, as that may be the key.
    """
    if key_from and not _NAME.fullmatch(key_from):
        raise ValueError(
            "key_from: expected the name of an environment variable, in capitals, such as "
            "OPENAI_API_KEY; if what stands there is a key, take it out of the recipe"
        )


class Key:
    """What a request shows to a server; prints, pickles and copies as nothing."""

    __slots__ = ("_hidden", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        shown = {value, quote(value, safe="")} if len(value) >= SHORTEST else set[str]()
        self._hidden = re.compile("|".join(map(re.escape, sorted(shown)))) if shown else None

    def __repr__(self) -> str:
        return "Key()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key stays in the process that read it")

    @property
    def headers(self) -> dict[str, str]:
        """The header that shows it, or none."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def hide(self, text: str) -> str:
        """`text` without the key, should a server have sent it back."""
        return self._hidden.sub(HIDDEN, text) if self._hidden else text

    def told(self, text: str, most: int = 300) -> str:
        """What a server said of a failure, fit for a ledger: one line, without any bearer.

        Give it all: what was cut before may end in half a key.
        """
        shown = " ".join(_BEARER.sub(rf"\1{HIDDEN}", self.hide(text)).split())
        return shown if len(shown) <= most else f"{shown[:most]}..."


def key_of(key_from: str) -> Key:
    """The key in an environment variable; no key where none is named.

    Raises:
        EnvironmentFailure: the variable is not set, or holds what no header can.
    """
    if not key_from:
        return Key("")
    value = os.environ.get(key_from, "").strip()
    if not value:
        raise EnvironmentFailure(
            f"key_from names the environment variable {key_from}, which is not set here; "
            "export the server's key in it, on every machine that asks"
        )
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise EnvironmentFailure(
            f"the environment variable {key_from} holds no key: it has spaces or characters "
            "that no HTTP header can have"
        )
    return Key(value)
