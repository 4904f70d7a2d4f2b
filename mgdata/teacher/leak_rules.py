"""The phrases that betray a given answer, as a table, and the forms of a conclusion stated first.

All patterns are for text in lower case, and every gap in them is bounded, so that searching is
linear. A phrase that honest reasoning uses too belongs here only with what tells the two apart.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Phrases that betray the answer in one way."""

    reason: str
    """How a finding by this rule is called."""
    why: str
    """What such a phrase shows, and what it must not be confused with."""
    needs: tuple[str, ...]
    """Patterns of words: a phrase holds a word of each. They save most of the search."""
    pattern: re.Pattern[str]
    given: Literal["never", "named", "any"] = "never"
    """Whether the phrase may speak of a region that the question gives. `any`: it is passed where
    the question gives one, unless it names an image in which none is given; `named`: it is passed
    only where it names an image in which one is given."""


def _rule(
    reason: str,
    why: str,
    *patterns: str,
    needs: str,
    given: Literal["never", "named", "any"] = "never",
) -> Rule:
    return Rule(
        reason=reason,
        why=why,
        needs=tuple(needs.split(" & ")),
        pattern=re.compile("|".join(f"(?:{pattern})" for pattern in patterns)),
        given=given,
    )


_BOX = r"(?:bounding[ -]?box(?:es)?|bbox(?:es)?|boxes|box|coordinates?)"
_PLACE = rf"(?:{_BOX}|region|rectangle|location|position)"
_GIVEN = r"(?:given|provided|supplied|known|told|revealed|disclosed)"
_ONE = r"(?:i|we)"
_ASKER = r"(?:user|question|prompt|task|instructions?|problem|input|system)"
_GIVES = r"(?:provid|giv|gave|stat|tell|told|suppl|reveal|disclos|contain)\w*"
_WAS = r"(?:am|are|was|were|have been|had been|'ve been|'m|'re)"
# What comes after "the answer is given" where it is about its form or its cause.
_FORM = r"(?! (?:as|in the form|in the format|by|with|that|this|these|to be|how|what|which)\b)"
_SCALE = (
    r"(?! (?:as|in (?:pixels|thousandths|the range|normali[sz]ed|relative)|on a scale|relative)\b)"
)
_CHOICES = r"(?! (?:options?|choices?|candidates?|letters?|lists?|formats?|forms?|types?|sets?)\b)"

RULES = (
    _rule(
        "ground truth",
        "Only one who has the annotation has it. 'On the ground, truth be told' is not it.",
        r"(?<!no )(?<!without )(?<!without a )(?<!without any )\bground[ -]?truths?\b",
        rf"\bgt (?:{_BOX}|answer|label|annotation)",
        needs="truth|gt$",
    ),
    _rule(
        "given answer",
        "An answer that is there before the reasoning. The answer's form ('is given as a box') and "
        "the options of a choice ('the given answer options') may be spoken of.",
        r"\b(?:given|provided|supplied|known|reference|official|gold|hidden|annotated) "
        rf"(?:final |correct |right )?(?:answers?|solution)\b{_CHOICES}",
        r"\bexpected (?:final |correct |right )?answers?\b"
        rf"{_CHOICES}(?! (?:is an?|has to|must|should|will|would)\b)",
        r"\b(?:answers?|solution) (?:(?:that |which )?(?:is|was|were|are|has|have) )?(?:already )?"
        rf"(?:been )?{_GIVEN}\b{_FORM}",
        rf"\b(?:since|because|as|given that) {_ONE} (?:already )?know the (?:\w+ )?answer",
        rf"\b{_ONE} already (?:know|have) the (?:\w+ )?(?:answer|solution)",
        r"\bknowing (?:that )?(?:the|its) (?:\w+ )?(?:answer|solution)\b",
        r"\b(?:since|because) the (?:correct |right |final )?answer (?:is|lies)\b"
        r"(?! (?:one of|an?|either|asked|supposed|not|in one)\b)",
        r"\bthe answer (?:mentions|says|states|shows|indicates|lists|places|refers|tells|points)\b",
        rf"\b(?:consistent with|match(?:es|ing)?|fit|reach|justify|obtain) the "
        rf"(?:target|final|correct|expected|answer) {_BOX}\b",
        r"\banswer box (?:shows|contains|lies|places|tells|says|points|indicates)\b",
        r"\b(?:per|from|in|consistent with|according to) the solution\b",
        rf"\b{_ONE} already know (?:where|which (?:image|picture|one))\b",
        r"\banswer (?:key|sheet)\b",
        r"\b(?:given|provided|stated|shown|indicated|written|specified) in the answer\b",
        rf"\b(?:according to|based on|consistent with|from) the answer\b{_CHOICES}(?! being| that)",
        rf"\b(?:final|target|correct|answer) {_BOX} (?:(?:that|which) )?(?:(?:is|was|were) )?"
        r"(?:given|provided|supplied)\b",
        rf"\b{_ASKER} (?:has |have |already |also )*{_GIVES} (?:us |me )?(?:that )?(?:the|its) "
        rf"(?:correct |right |final )?(?:answer|solution)\b{_CHOICES}"
        r"(?! (?:as|must|should|has to|is to|in)\b)",
        needs="answer|solution|box|coordinate|already"
        " & answer|solution|target|final|correct|expected|already"
        " & solution|given|provid|suppl|know|reference|official|gold|hidden|annotat|expected|told"
        "|tell|reveal|disclos|since|because|mention|says|stat|show|indicat|list|place|refer|point"
        "|consistent|match|fit|reach|justify|obtain|box|contain|key|sheet|written|specified"
        "|according|based|from|giv|gave|already",
    ),
    _rule(
        "given box",
        "A box that is there before the reasoning, where the question gives none. 'Given in "
        "thousandths' is about its form.",
        rf"\b(?:given|provided|supplied|stated|predetermined) (?:\w+ )?{_PLACE}\b(?! of )",
        rf"\b(?:known|reference|expected|gold|hidden) (?:\w+ )?{_BOX}\b(?! of )",
        r"\b(?:annotated|labell?ed) (?:bounding|bbox|coordinates|box\b(?! (?:on|of|with)))",
        rf"\b{_BOX} (?:(?:that|which) )?(?:(?:is|was|are|were|has been|have been) )?(?:already )?"
        rf"(?:{_GIVEN}|annotated)\b{_FORM}{_SCALE}",
        rf"\baccording to (?:the|these|those) (?:\w+ )?{_BOX}\b",
        r"\b(?:since|because|given that|knowing(?: that)?) the "
        rf"(?:target|final|correct|true|answer) {_BOX}\b",
        r"\bthe (?:given|provided) (?:target|change|difference)\b",
        rf"\b{_ONE} (?:already )?know the (?:[\w']+ )?{_BOX}\b",
        r"\b(?:annotated|labell?ed) (?:position|location)\b",
        rf"\b{_ASKER} (?:has |have |already |also )*{_GIVES} (?:us |me )?(?:the|its) "
        rf"(?:\w+ )?{_BOX}\b",
        needs="given|provid|suppl|stat|predetermined|know|reference|expected|gold|hidden|annotat"
        "|label|told|tell|reveal|disclos|according|since|because|giv|gave|contain"
        " & box|coordinate|bounding|region|rectangle|location|position|target|change|difference",
        given="any",
    ),
    _rule(
        "annotation",
        "Pictures come without annotation; marks drawn in them are the question's to give.",
        r"\bas annotated\b",
        r"\bthe annotations? (?:file |data )?(?:says?|shows?|gives?|indicates?|states?|tells?|"
        r"places?|marks?|confirms?|lists?|provided|given|has|have)\b",
        r"\b(?:according to|per|from|based on|in) the (?:\w+ )?annotations?\b",
        r"\bthe annotated (?!with|by|on|as)\w",
        r"\bthe labell?ed (?:answer|target|object|region|change|difference)\b",
        r"\baccording to the (?:data|labels?|file|records?)\b",
        r"\bthe (?:given|provided) label\b",
        r"\b(?:the|its|provided|given) (?:metadata|annotation file|label file|dataset)\b",
        needs="annotat|label|data|file|record"
        " & annotat|labell?ed|according|given|provided|metadata|file|dataset",
        given="named",
    ),
    _rule(
        "told",
        "Nobody tells a blind teacher where the answer is. 'We are told to box it' and 'we are "
        "told the answer should be one box' repeat the question.",
        rf"\b{_ONE} ?{_WAS} (?:already )?(?:told|informed|given|provided with|shown|instructed) "
        r"(?:that |of |about )?(?:where )?(?:the |its )(?:\w+ )?"
        rf"(?:answers?{_CHOICES}(?! (?:should|must|is to|has to|may|can|will)\b)|{_BOX}|"
        r"correct (?:image|picture|object|option|region)|(?:location|position) of|"
        r"(?:target|correct|final) (?:location|position))",
        needs="told|informed|given|provided|shown|instructed"
        " & answer|box|coordinate|correct|location|position",
        given="any",
    ),
    _rule(
        "hint",
        "A hint or anchor is what the prompt hides. A hint of red and a boat's anchor are not it.",
        r"\b(?:according to|per|from|following|given|as) (?:the|this) (?:\w+ )?hints?\b(?! of)",
        r"\bthe hints?\b(?! of)",
        r"\b(?:hidden|provided|given|verification|answer) (?:hints?|anchors?)\b(?! of)",
        needs="hint|anchor",
    ),
    _rule(
        "secrecy",
        "Repeats the instruction not to betray the answer, which only a hidden one needs.",
        r"(?:\bnot|n't|\bnever|\bwithout|\bavoid|\bcannot) (?:\w+ ){0,2}?"
        r"(?:reveal|disclos|betray|leak|giv\w+ away|mention)\w* (?:\w+ ){0,4}?"
        rf"(?:answers?|solution|anchor|hint|{_BOX})\b",
        r"\bpretend(?:ing)? (?:that )?(?:i|we|to not|not to)\b",
        rf"\bas (?:if|though) {_ONE} (?:did not|didn't|do not|don't|had not|hadn't|never) "
        r"(?:know|see|seen|have)",
        needs=r"reveal|disclos|betray|leak|away|mention|pretend|\bif$|\bthough$"
        " & answer|solution|anchor|hint|box|coordinate|pretend|know|see|have"
        " & not|n't|never|without|avoid|pretend",
    ),
    _rule(
        "worked backwards",
        "The reasoning starts from the answer and looks for its grounds.",
        r"\b(?:work|reason|go|trac|start)\w* back(?:wards?)? from (?:the|this|its) (?:\w+ ){0,2}?"
        rf"(?:answer|solution|result|{_BOX})\b",
        needs="^back & ^from$ & answer|solution|result|box|coordinate",
    ),
)
"""Phrases that betray the answer, wherever they stand."""

PREAMBLE = re.compile(
    r"(?:okay|ok|sure|alright|all right|well|hmm|right|first|firstly|so|now|let me|let's|let us|"
    r"(?:i|we)(?:'ll| will| need| have to| must| (?:am|are) (?:asked|looking)| start| begin|"
    r" should| look)|to (?:answer|solve|find|locate|identify|do this)|"
    r"the (?:question|task|goal) )\b"
)
"""How a sentence begins that only announces what is to come; it may name no image and no box."""

FILLER = re.compile(
    r"\A(?:(?:therefore|thus|hence|okay|ok|sure|alright|all right|well|hmm|right|so|now|yes|"
    r"clearly|obviously)\b[,.!: ]*)+"
)
"""What may stand before the first words that say something."""

HEDGED = re.compile(
    r"\?|\b(?:whether|either|or|if|might|may|could|should|perhaps|one of|asks?|asked|wants?|"
    r"need to|has to be (?:a|an|given)|at first|seems?)\b"
)
"""Words of a sentence that weighs or repeats the question, and so concludes nothing."""

ANSWER = re.compile(
    r"(?:the |my |our )?(?:final |correct |right |best )*(?:answer|solution|option|choice)"
    r"(?: to (?:the|this) question| here)?(?: (?:is|must be|would be|lies|can only be)\b|:)"
)
"""A sentence that begins with the answer; it concludes if it then names one or a reason."""

OPTION = re.compile(
    r"\W*(?:option )?(?:[a-h]\b(?=\W*(?:$|[.,;:)]))|\d{1,3}\b|none\b|nothing\b|nowhere\b|empty\b)"
)
"""What an answer may be besides an image and a box."""

BECAUSE = re.compile(
    r"\b(?:because|since|which is why|as (?:it|he|she|only|the|this|there|both))\b"
)
"""A reason that comes after what it is for."""

SOUGHT = re.compile(
    r"(?:the |our )?(?:target|match|odd one|"
    r"(?:matching|correct|right|described|requested|queried|wanted) \w+|"
    r"only (?:match|difference|change)|difference|[\w -]{1,40} (?:we|i) (?:look|search) for)\b"
)
"""A sentence that begins with what is looked for."""

LOCATED = re.compile(
    r"\b(?:is|are|lies|appears?|seen|found|located|visible|shown|present|be)"
    r"(?: (?!not\b|no\b|same\b|like\b|than\b|of\b|from\b)\w+){0,2}? (?:(?:in|on) )?(?:the )?\Z"
)
"""What stands before the name of an image that something is said to be in."""

IT_IS = re.compile(r"(?:it|that)(?:'s| is| must be) (?:in )?(?:the )?\Z")
"""A sentence that begins with `it is`, up to the name of an image."""

NAMED_RIGHT = re.compile(
    r" (?:(?:contains|shows|has|depicts) the (?:target|match|answer|right|correct)\b)|"
    r" (?:is|must be) (?:clearly )?(?:the )?(?:\w+ )?(?:answer|correct|target|match|odd one|"
    r"right (?:one|image|answer|choice)|one (?:that|which|we|i)\b)"
)
"""What follows the name of an image that is said to be the answer."""

ELSEWHERE = re.compile(
    r"[^,;.]{0,40}\b(?:in|of|for) (?:the |each )?(?:other|remaining|answer|target|last)\b"
)
"""What follows a box that is not the question's, whatever image it names."""

PLAIN_WORDS = frozenset(
    ("the", "and", "with", "that", "this", "from", "one", "who", "are", "for", "has", "its", "near")
)
"""Words of a phrase that tell nothing apart, besides those of one or two letters."""

NOTHING = re.compile(
    r"(?:none of the|no image|no picture|nothing in|there (?:is|are) no)\b[^.]{0,120}?"
    r"\b(?:so|therefore|thus|hence)\b[^.]{0,20}?\b(?:answer|list|result)\b"
)
"""A sentence that begins with there being nothing to find."""
