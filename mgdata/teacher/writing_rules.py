"""What a written question, explanation or phrase must not say, as a table of phrases.

A question whose answer is "not mentioned", a reason that is only probable, a box in prose, words on
the notes that the writer was given: each is found by its words. A phrase that honest sentences use
too belongs here only with what tells the two apart; the tests have sentences of both sorts. Knows
no question and no image.
"""

from __future__ import annotations

import re

import msgspec

from mgdata.scoring.words import straight
from mgdata.teacher.mentions import boxes, lowered
from mgdata.teacher.quoting import plain
from mgdata.teacher.thought import Finding

REASONS = ("markup", "instructions", "box told", "notes told", "hedged")
"""What a text can be found to hold, in the order in which it is looked for: tags, placeholders,
control tokens or what cannot be seen; words to a model; coordinates; words on boxes, captions or
numbers that nobody sees in the images; doubt."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Phrases of one sort, for text in lower case with straight apostrophes."""

    reason: str
    """One of `REASONS`."""
    why: str
    """What they show, and what they must not be confused with."""
    pattern: re.Pattern[str]


def _rule(reason: str, why: str, *patterns: str) -> Rule:
    found = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    return Rule(reason=reason, why=why, pattern=found)


_NO = r"(?:cannot|can not|can't|could not|couldn't|unable to|not able to)"
_HARD = r"(?:not possible to|impossible to|hard to|difficult to|no way to|tricky to|unable to)"
_TOLD = (
    r"(?:determined?|inferred|infer|answer(?:ed)?|identif(?:y|ied)|tell|told|say|said|known?|"
    r"confirm(?:ed)?|verif(?:y|ied)|establish(?:ed)?|judged?|concluded?|ascertain(?:ed)?|"
    r"discern(?:ed)?|be sure|be certain)\b(?! apart)"
)
_MUCH = r"(?:(?:entirely|completely|quite|fully|totally|very|really|absolutely|exactly) )?"
_NUMBER = r"(?:[0-9]{2,5}(?:\.[0-9]{1,3})?|0?\.[0-9]{1,4})"
_ANY = r"-?[0-9]{1,5}(?:\.[0-9]{1,4})?"
_NOTES = (
    r"(?:notes|captions?|descriptions?|annotations?|metadata|object lists?|lists? of objects|"
    r"(?:given|provided|supplied) (?:information|data))"
)

RULES = (
    _rule(
        "instructions",
        "Words to a model, which came from a label or a picture, or are its own talk of itself. "
        "'Ignore the cars' is a question's own business.",
        r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,30}"
        r"\b(?:instructions?|prompts?|rules|guidelines)\b",
        r"\bsystem (?:prompt|message)\b",
        r"\bas an ai\b|\blanguage model\b|\byou are now\b|\bnew instructions?\b",
        r"(?:\A|\n)\s*(?:user|assistant|system|human)\s*:",
        r"\bjson (?:object|format)\b|```",
    ),
    _rule(
        "box told",
        "Boxes come from the annotation alone. A player's number or a price is no coordinate.",
        rf"[\[(]\s*{_ANY}\s*[,;]\s*{_ANY}",
        rf"\b{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}}(?![\w.])",
        r"\b[xy](?:_?(?:min|max)|[12])?\s*[=:]\s*-?[0-9]",
        r"\bcoordinates?\b|\bbbox(?:_2d)?\b",
        r"\b[0-9]{1,5}\s?(?:pixels?|px)\b",
    ),
    _rule(
        "notes told",
        "What the writer was told and nobody sees who has only the images. 'The note on the "
        "fridge' and 'the object on the left' can be seen.",
        rf"\b(?:according to|based on|(?:as )?(?:stated|described|mentioned|listed|noted|given) in|"
        rf"in|from|by|per) (?:the|its|their|each|your|these|this|image) {_NOTES}\b",
        r"\bcaptions? (?:says?|mentions?|states?|describes?|for|of)\b",
        r"\bannotat(?:ed|ions?)\b|\bmetadata\b|\bground[ -]?truth\b|\bbounding[ -]?box(?:es)?\b",
        r"\b(?:object|item)s?\s?(?:no\.?|numbers?|#)?\s?[0-9]{1,3}\b(?! (?:images|pictures))",
        r"\b(?:numbered|listed|labell?ed) (?:objects?|items?)\b|\[[0-9]{1,3}\]",
    ),
    _rule(
        "hedged",
        "Words of mere likelihood. The month of May is none, and 'unlike' is a comparison.",
        r"\b(?:maybe|perhaps|possibly|probably|presumably|supposedly|apparently|seemingly|"
        r"conceivably|potentially|arguably|(?:un)?likely|assumably|allegedly)\b",
        r"\bmight\b",
        r"\bmay (?:be|have|not|also|well|contain|show|belong|refer|depict|represent|indicate)\b",
        r"\b(?:it|this|that|they|these|those|there|he|she) could (?:also |well |easily |just )?"
        r"(?:be|have been)\b",
        r"\bit is (?:also )?possible\b|\bpossible that\b|\bnot necessarily\b",
    ),
    _rule(
        "hedged",
        "Words of seeming. That the same thing appears in two images is a fact, and that one thing "
        "looks like another is too.",
        r"\bseem(?:s|ed)?\b",
        r"\bappears? to (?:be|have|show|hold|contain|depict|represent|come|belong)\b",
        r"\blooks? (?:to be|as if|as though)\b",
    ),
    _rule(
        "hedged",
        "Words of one who does not know. 'A clear glass' and 'not clear but brown' are colours.",
        r"\b(?:i|we)(?: am| are|'m|'re)? (?:think|believe|assume|guess|suppose|suspect|presume|"
        r"would (?:say|guess|assume)|am guessing|guessing)\b",
        rf"\bnot {_MUCH}(?:sure|certain)\b",
        rf"\b(?:it|this|that)(?: is|'s| was| isn't| is still)? (?:not |hardly )?{_MUCH}"
        r"(?:unclear|clear (?:if|whether|which|what|who|where|why|how))\b",
        rf"\b(?:is not|isn't|are not|aren't|not) {_MUCH}clear (?:from|in|if|whether|which|what)\b",
        r"\bunclear\b|\buncertain\b|\bunknown\b|\bundetermined\b|\bindeterminate\b|"
        r"\binconclusive\b|\bambiguous\b",
        r"\bassuming\b|\bif any\b|\bif there (?:is|are) (?:one|any)\b|\bas far as (?:i|we|one)\b",
        r"\bopen to interpretation\b|\b(?:one|you) could argue\b|\bor something (?:similar|like)\b",
        r"\bcan(?:not)? only be (?:guessed|assumed|presumed)\b|\bcan be (?:assumed|presumed)\b",
    ),
    _rule(
        "hedged",
        "What nobody can tell. That two things cannot be told apart can be seen, and so can what "
        "is hard to reach.",
        rf"\b{_NO} (?:be )?(?:\w+ly )?{_TOLD}",
        rf"\b{_HARD} (?:\w+ly )?{_TOLD}",
    ),
    _rule(
        "hedged",
        "What somebody read in words instead of looking (Migician's printed samples have questions "
        "whose answer is 'not mentioned'). That a thing is not shown by an image can be seen.",
        r"\b(?:not|never|nowhere|isn't|aren't|wasn't) (?:\w+ly )?"
        r"(?:mentioned|specified|stated|described|provided|indicated|documented)\b",
        r"\b(?:does not|doesn't|do not|don't|did not|didn't) (?:\w+ly )?"
        r"(?:mention|specify|state|provide|indicate)\b",
        r"\bno (?:mention|information|indication|details?|description) "
        r"(?:of|on|about|that|is|as)\b",
        r"\b(?:not enough|insufficient|too little|lack of) "
        r"(?:information|details?|context|evidence|data)\b",
    ),
)
"""Phrases that a text must not hold, wherever they stand."""


def check(text: str) -> Finding | None:
    """What in a text must not be there, or None. Linear in its length."""
    if plain(text) != text:
        return Finding(reason="markup", quote=ascii(text)[:160])
    low = lowered(straight(text))
    for reason in REASONS[1:]:
        if reason == "box told" and (found := boxes(text)):
            return Finding(reason=reason, quote=text[found[0].start : found[0].end][:160])
        for rule in RULES:
            if rule.reason == reason and (match := rule.pattern.search(low)):
                around = text[max(0, match.start() - 40) : match.end() + 40]
                return Finding(reason=reason, quote=" ".join(around.split())[:160])
    return None
