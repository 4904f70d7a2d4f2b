"""Text of data made fit to stand in a prompt: it can end no quotation and be taken for no mark-up.

Every tag, picture slot and control token that a prompt or a chat template is made of begins with
"<" (a few families have tokens in square brackets, in capitals). So data may hold neither: "<"
becomes a quotation mark that looks like it. What comes between tags thereby cannot close them; what
comes on one line is a JSON string. What the words say is not looked at: the prompt says how they
are to be taken.
"""

from __future__ import annotations

import re

import msgspec

from mgdata.data import Target, Turn

MOST = 1200
"""Characters of a caption or phrase; more is no description but a flood."""

_MARK = "\u2039"
_SLOT = r"(?:image|region|target):\d+>"
# Angle brackets and their compatible forms; controls but tab and line feed; what is invisible or
# turns the direction of writing; tags of plane 14; halves of surrogate pairs, which have no bytes.
_ANGLE = "<\uff1c\ufe64"
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff"
)
_TOKEN = r"\[(/?[A-Z][A-Z_]{2,19}|[gs]?MASK|sop|eop)\]"
_SUSPECT = re.compile(rf"[{_ANGLE}{_HIDDEN}]|{_TOKEN}")
_SUSPECT_BUT_SLOTS = re.compile(rf"<(?!{_SLOT})|[{_ANGLE[1:]}{_HIDDEN}]|{_TOKEN}")


def plain(text: str) -> str:
    """`text` without mark-up, control tokens and what cannot be seen; lines are kept."""
    return _SUSPECT.sub(_harmless, text)


def quoted(text: str, most: int = MOST) -> str:
    """`text` as a JSON string on one line, cut after `most` characters."""
    words = " ".join(plain(text).split())
    if len(words) > most:
        words = f"{words[:most].rstrip()}..."
    return msgspec.json.encode(words).decode()


def plain_turn(turn: Turn) -> Turn:
    """The turn with all that comes from data made `plain`, its own placeholders kept."""
    question = _SUSPECT_BUT_SLOTS.sub(_harmless, turn.question)
    answer = _SUSPECT_BUT_SLOTS.sub(_harmless, turn.answer)
    regions, targets = _plain_targets(turn.regions), _plain_targets(turn.targets)
    same = question == turn.question and answer == turn.answer
    if same and regions is turn.regions and targets is turn.targets:
        return turn
    return msgspec.structs.replace(
        turn, question=question, answer=answer, regions=regions, targets=targets
    )


def _plain_targets(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    if not any(target.phrase and _SUSPECT.search(target.phrase) for target in targets):
        return targets
    return tuple(
        msgspec.structs.replace(target, phrase=plain(target.phrase)) if target.phrase else target
        for target in targets
    )


def _harmless(found: re.Match[str]) -> str:
    if found[1]:
        return f"({found[1]})"
    return _MARK if found[0] in _ANGLE else ""
