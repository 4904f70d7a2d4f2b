"""What a server's refusal means: for one request, for a while, or for good.

Statuses as RFC 9110 has them; texts as vLLM, SGLang and OpenAI word them. Sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import msgspec

RATE_LIMIT = 429
_NO_ROUTE = (404, 405)
_TRY_LATER = {408: "timeout", 425: "server error", RATE_LIMIT: "rate limit"}

_NO_CREDIT = re.compile(r"insufficient[_ ](?:quota|balance|credits)|exceeded your current quota")
_NO_MODEL = re.compile(r"model_not_found|\bmodel\b.{0,80}\b(?:not exist|not found)|unknown model")
_NO_FOLDER = re.compile(r"allowed-local-media-path")
_CAUSES = (
    (
        "prompt too long",
        re.compile(
            r"context[ _](?:length|size|window)|max(?:imum)?[ _]model[ _]len"
            r"|prompt (?:length )?is (?:too long|\d)|maximum (?:prompt|input|allowed) length"
            r"|maximum allowed input length|input tokens exceed|reduce the length of"
        ),
    ),
    (
        "too many images",
        re.compile(r"at most \d+ image|too many images|number of images|maximum .{0,30}images"),
    ),
    (
        "image refused",
        re.compile(
            r"(?:load|identify|decode|parse|process|open|unsupported|invalid|truncated|corrupt)"
            r".{0,40}\bimage|image_parse_error|invalid_image|\bimage.{0,40}(?:invalid|unsupported)"
        ),
    ),
)
"""Failures of one request by what a server says of them, in lower case; the first one counts."""


class Fault(NamedTuple):
    """Why there is no answer."""

    reason: str
    """The same words for the same cause, as a reply has them."""
    value: str
    """What was found."""
    again: bool = False
    """Whether the same request may fare better later."""
    wait: float | None = None
    """Seconds that the server asks to wait before."""
    stops: str = ""
    """Why nothing can be asked any more, and the way out; empty where that is not so."""


class _Error(msgspec.Struct):
    """An error's body: OpenAI and vLLM nest it, SGLang does not, FastAPI says `detail`."""

    error: _Error | str | None = None
    message: str = ""
    code: str | int | None = None
    type: str | None = None
    detail: object = None


def said(body: bytes) -> str:
    """The message in an error's body, with its code; the body itself where it is no such JSON."""
    try:
        found = msgspec.json.decode(body, type=_Error)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return body.decode(errors="replace")
    inner = found.error if isinstance(found.error, _Error) else found
    text = found.error if isinstance(found.error, str) else inner.message
    if not text and found.detail is not None:
        text = str(found.detail)
    code = inner.code if isinstance(inner.code, str) else inner.type or ""
    return f"{text} ({code})" if text and code else text or body.decode(errors="replace")


def refused(status: int, text: str, wait: float | None) -> Fault:
    """What a status other than 200 means, with what the server said."""
    value = f"{status}: {text}" if text else str(status)
    stops = _stops(status, text.lower())
    if stops:
        return Fault("refused by the server", value, stops=stops)
    if status in _TRY_LATER:
        return Fault(_TRY_LATER[status], value, again=True, wait=wait)
    if status >= 500:
        return Fault("server error", value, again=True, wait=wait)
    if status in (400, 422):
        for reason, pattern in _CAUSES:
            if pattern.search(text.lower()):
                return Fault(reason, value)
    return Fault("refused by the server", value)


def _stops(status: int, text: str) -> str:
    """The way out of what no request can be asked under; empty where one can."""
    if 300 <= status < 400:
        return "it answers from another place; set `url` to that"
    if status == 401:
        return "it does not take the key; set `key_from` to the variable that holds the right one"
    if status == 402 or (status == RATE_LIMIT and _NO_CREDIT.search(text)):
        return "the account has nothing left; fill it up and run again"
    if status in _NO_ROUTE or (status in (400, 422) and _NO_MODEL.search(text)):
        return (
            "no such model: set `name` to one that the server lists, and `url` to what stands "
            "before /chat/completions"
        )
    if status in (400, 403) and _NO_FOLDER.search(text):
        return (
            "it may not read `folder`; start it with --allowed-local-media-path and that folder, "
            "or set `images: data`"
        )
    return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, given as such or as a date (RFC 9110, 10.2.3).

    A date is taken against the server's own, where it sends that: clocks differ.
    """
    asked = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d*)?", asked):
        return float(asked)
    until = _moment(asked)
    if until is None:
        return None
    now = _moment(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
