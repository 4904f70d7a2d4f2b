"""One reply as one line of a journal, with a checksum, and back.

A line is `{"sum":"<16 hex digits>","reply":{...}}`: JSON, but in a fixed layout, so that checksum
and reply are told apart without parsing. Whatever bytes come, reading raises nothing. Knows no
file.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

import msgspec

from mgdata.data import Reply

PART = ".jsonl"
"""Ending of a file of lines."""

_HEAD = b'{"sum":"'
_MIDDLE = b'","reply":'
_END = b"}\n"
_SUM_AT = len(_HEAD)
_SUM_END = _SUM_AT + 16
_REPLY_AT = _SUM_END + len(_MIDDLE)


class Heading(msgspec.Struct, frozen=True, gc=False):
    """As much of a reply as an index needs."""

    key: str
    """Its request's."""
    finish: str
    """`failed` where there is no answer."""
    reason: str | None = None
    """Why, then."""


_decode_heading = msgspec.json.Decoder(Heading).decode
_decode_reply = msgspec.json.Decoder(Reply).decode


def line(reply: Reply) -> bytes:
    """A reply as a line, with its line end.

    Raises:
        UnicodeEncodeError: a text of it holds half a surrogate pair (see `storable`).
    """
    body = msgspec.json.encode(reply)
    return b"".join((_HEAD, _sum(body), _MIDDLE, body, _END))


def storable(reply: Reply) -> Reply:
    """The reply with every half of a surrogate pair, which has no bytes, as U+FFFD.

    JSON from a server may hold one, where an answer was cut in the middle of a letter.
    """
    try:
        msgspec.json.encode(reply)
    except UnicodeEncodeError:
        told = {name: getattr(reply, name) for name in ("text", "reason", "value")}
        return msgspec.structs.replace(
            reply, **{name: _mended(text) for name, text in told.items() if text}
        )
    return reply


def heading(raw: bytes) -> Heading | None:
    """Key and end of the reply in a line; None where the line is not what was written."""
    if not whole(raw):
        return None
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return _decode_heading(raw[_REPLY_AT : -len(_END)])
    return None


def reply(raw: bytes) -> Reply | None:
    """The reply in a `whole` line; None where it is of another version of this library."""
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return _decode_reply(raw[_REPLY_AT : -len(_END)])
    return None


def whole(raw: bytes) -> bool:
    """Whether a line is what was written."""
    return (
        raw.startswith(_HEAD)
        and raw.endswith(_END)
        and raw[_SUM_END:_REPLY_AT] == _MIDDLE
        and raw[_SUM_AT:_SUM_END] == _sum(raw[_REPLY_AT : -len(_END)])
    )


def _sum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8).hexdigest().encode()


def _mended(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
