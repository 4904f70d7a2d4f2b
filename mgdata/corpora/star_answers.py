"""What a question of STAR asks, and which class of thing its answer names.

Questions are made from about twenty templates (STAR's QA_templates.csv). Those that begin `Which
object` or `Which other object` are answered by a thing: `The cup/glass/bottle.` Others are answered
by an action on one, `Put down the blanket.`, or by a bare verb, `Took.`, which names nothing. It
knows no box.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Asked = Literal["object", "action"]
"""For a thing, or for what was done."""

_THING = re.compile(r"the ([a-z]+(?:/[a-z]+)*)\.?")
_ACTION = re.compile(r"[a-z]+(?: [a-z]+){0,2}? the ([a-z]+(?:/[a-z]+)*)\.?")
_WHICH = re.compile(r"which (other )?object\b")


def asked(question: str) -> Asked:
    """What a question asks for."""
    return "object" if _WHICH.match(" ".join(question.lower().split())) else "action"


def named(question: str, answer: str, codes: Mapping[str, str]) -> str | None:
    """The code of the one class that an answer names; None where that is in doubt.

    Args:
        question: decides of which form the answer must be.
        answer: as the file has it.
        codes: code of every class, by its name in lower case.
    """
    words = " ".join(answer.lower().split())
    form = _THING if asked(question) == "object" else _ACTION
    found = form.fullmatch(words)
    # Two articles, two things: which of them is meant is not told.
    if found is None or words.count("the ") != 1 or found[1] not in codes:
        return None
    return codes[found[1]]
