"""What a reasoning concludes: images, boxes, absence, a number, an option.

A sentence is a conclusion where it is one of the last two or speaks of the answer. It is taken
apart into clauses, as "in the second image there is none, so it must be in the third image" denies
and claims in one breath; what is denied, supposed or asked is no claim. Words are English: of a
reasoning in another language nothing is found, and nothing is held against it. Knows no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from mgdata.notations.naming import Name
from mgdata.teacher.mentions import Span, round_it, within
from mgdata.teacher.prose import Cues

_LAST = 2
_MARKS = ("answer", "conclu", "in total", "altogether")
_SO = re.compile(
    r"\b(?:so|therefore|thus|hence|consequently|conclu\w*|answer|final\w*|must be|overall|"
    r"(?:the|its|this) (?:bounding )?box is)\b"
)
_CLAUSE = re.compile(
    r"[,;:]\s+(?=(?:so|but|and|yet|while|whereas|which|where|because|since|as|although|though|"
    r"therefore|hence|thus|leaving|not|rather|if|unlike)\b)|;\s|\s[\u2013\u2014-]\s"
)
_DENIED = re.compile(
    r"n't\b|\b(?:not|no|none|never|neither|nor|without|cannot|nobody|nothing|nowhere|wrong|"
    r"rule[sd]? out|ruling out|reject\w*|discard\w*|exclud\w*|instead of|rather than|unlike|"
    r"differ\w*|other than|except|drop\w*|lacks?|missing|absent)\b"
)
_SUPPOSED = re.compile(
    r"\?|\b(?:if|might|may|could|perhaps|maybe|whether|suppos\w*|would|at first|first glance|"
    r"initially|seem\w*|candidates?|tempting|either|or|possibl\w*|likely|unless|until|before|"
    r"had been|were it)\b"
)
_BETWEEN = r"(?: (?!same\b|as\b|like\b|than\b|from\b|of\b|with\b|to\b|identical\b|similar\b)[\w-]+)"
_IN = re.compile(
    r"\b(?:is|are|be|was|appears?|lies|sits|stands|stays|ends up|reappears?|found|located|visible|"
    rf"seen|shown|leaves?|leaving|choose|pick|select|answer:?){_BETWEEN}{{0,4}}?"
    r" (?:(?:in|on) )?(?:only )?(?:the )?\Z"
)
# "In the third and the fourth image" names only one of them in full.
_OF_SEVERAL = re.compile(
    r"(?:\b(?:first|second|third|last|one|two|three|four|\w+th)|[0-9](?:st|nd|rd|th)?)"
    r"(?:,| and| or| to)+ (?:in )?(?:the )?\Z"
)
_JOINTS = tuple(
    f"{joint} {end}"
    for joint in (",", " and", " or", " to")
    for end in ("", "in ", "the ", "in the ")
)
# What stands round an image that a clause begins with: "So image 2 is the one that fits".
_HENCE = re.compile(r"(?:so|therefore|thus|hence|conclusion),? (?:only )?(?:the )?\Z")
_IS_IT = re.compile(
    r"[.,;]|$| (?:remains|fits|matches|must be it|contains the|"
    r"(?:is|must be) (?:the )?(?:only )?(?:answer|one|match|right|correct|target))\b"
)
_ANY = r"(?:images|pictures|photos|frames|views|them|these)"
_ABSENT = re.compile(
    rf"\bnone of (?:the |these |all )?(?:(?!other|remaining|first|earlier|previous)\w+ )?{_ANY}\b"
    rf"|(?:n't|\bnot|\bnever|\bno longer) (?:\w+ ){{0,4}}?(?:in any\b|anywhere\b)"
    r"|\bno (?:image|picture|photo) (?:shows?|contains?|has|depicts?|holds?)\b"
    r"|\bnowhere (?:to be (?:seen|found)|in (?:the|these|any)|in sight)\b"
    r"|\b(?:there is|there's|there are|i find|i see|we find|we see) no (?:such|match|matches)\b"
    r"|\banswer (?:is|must be|should be|stays|remains) (?:none|empty|nothing|no box|an empty)\b"
    r"|\b(?:nothing|no box|no boxes) to (?:box|mark|report|locate|return|draw)\b"
    rf"|\b(?:so|thus|hence|therefore)\b[^.;]{{0,40}}?\bno (?!second|further|additional|more)"
    rf"(?:[\w-]+ ){{1,4}}?(?:(?:is|are|can be) (?:found|seen|visible) )?"
    rf"in (?:any of |all )?(?:the |these )?{_ANY}\b"
    r"|\blist (?:is|stays|remains|must be) (?:left )?empty\b"
)
_ABSENT_CUES = ("no", "n't", "never", "empty", "left the", "out of")
_MORE = re.compile(
    r"\b(?:but|better|except|other than|besides|else|others?|only|however|apart from|save|until)\b"
)
_GONE = re.compile(
    r"\b(?:is|are|was) (?:(?:therefore|thus|also|clearly) )?(?:no longer|not|nowhere)"
    r"(?: \w+)? ?(?:visible|present|shown|there|seen|in view|in sight|found|in the picture)\b"
    r"|(?:isn't|aren't|cannot be|can't be|can not be) (?:\w+ )?"
    r"(?:visible|present|shown|there|seen|in view|in sight|found)\b"
    r"|\b(?:has|have) left the (?:picture|frame|scene|image|view)\b|\bout of (?:sight|view)\b"
)
_NUMBERS = re.findall(r"\w+", "zero one two three four five six seven eight nine ten eleven twelve")
_NUMBER = rf"(?:\d{{1,4}}|{'|'.join(_NUMBERS)})"
_N = rf"({_NUMBER})"
_COUNT = re.compile(
    rf"\b{_N} (?!images|pictures|photos|candidates|options|differen|steps|views|frames|kinds|types)"
    rf"(?:(?!{_NUMBER}\b)\w+ ){{0,3}}?(?:in total|altogether|in all|all in all|overall)\b"
    rf"|\b(?:in total|altogether|in all|overall|a total of)[,:]? (?:\w+ ){{0,4}}?{_N}\b"
    r"(?! (?:images|pictures|photos|candidates|options|differen|steps|views|frames|kinds|types))"
    rf"|\banswer (?:is|must be) {_N}\b(?! (?:of|or|image|picture|photo)\b)"
    rf"|\b(?:so|therefore|thus|hence|makes|gives|leaves)\b[^.,;]{{0,30}}?\b{_N} "
    r"(?:boxes|targets|matches|instances|answers)\b"
)
_OPTION = re.compile(
    r"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)(?: is| must be| should be|:)? (?:[Oo]ption )?\(?([A-H])\b"
    r"(?! (?!is (?:the )?(?:correct|right|answer))[a-z])"
)

# Words that a phrase of each pattern holds, in the order of the bits below.
_CUES = Cues(
    r"[,:]$",
    r"^(?:so|but|and|yet|while|whereas|which|where|because|since|as|although|though|therefore|"
    r"hence|thus|leaving|not|rather|if|unlike)\b",
    r";$|^[\u2013\u2014-]$",
    r"n't|\b(?:(?:not?|nor)\b|none|never|neither|without|cannot|nobody|nothing|nowhere|wrong|rule|"
    r"ruling|reject|discard|exclud|instead|rather|unlike|differ|other|except|drop|lack|missing|"
    r"absent)",
    r"\?|\b(?:(?:if|may|first|or|had|were)\b|might|could|perhaps|maybe|whether|suppos|would|"
    r"initially|seem|candidate|tempting|either|possibl|likely|unless|until|before)",
    r"\b(?:(?:so|box)\b|therefore|thus|hence|consequently|conclu|answer|final|must|overall)",
    r"\b(?:total|altogether|all|overall|answer|boxes|targets|matches|instances)",
    rf"\d|\b{_NUMBER}",
    r"\b(?:answer|option|choice)",
    r"n't|cannot|\b(?:no|never|empty|left|out)",
)
_PAUSES, _JOINS, _PARTS, _DENIES, _SUPPOSES, _FOLLOWS, _TOTAL, _NUMERAL, _OPTS, _ABSENCE = (
    1 << bit for bit in range(10)
)


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What one concluding sentence says."""

    span: Span
    """Where the sentence stands."""
    images: tuple[int, ...] = ()
    """Images (from 0) that, as it follows, something is in."""
    clauses: tuple[Span, ...] = ()
    """Where it claims: clauses that follow from something, and deny and suppose nothing."""
    nothing: bool = False
    """It says that nothing is in any image."""
    gone: bool = False
    """It says that something is not to be seen; where, is for the images it names."""
    count: int | None = None
    """A total that it states."""
    option: str | None = None
    """The letter of the option that it states."""


def conclusions(
    text: str, low: str, spans: Sequence[Span], names: Sequence[Name]
) -> list[Conclusion]:
    """The concluding sentences of a reasoning, in order.

    Args:
        text: The reasoning.
        low: The same in lower case, letter for letter.
        spans: Its sentences.
        names: The images that it names.
    """
    marked = any(mark in low for mark in _MARKS)
    late = len(spans) - _LAST
    return [
        _read(text, low, span, within(names, span))
        for place, span in enumerate(spans)
        if place >= late or (marked and any(low.find(mark, *span) >= 0 for mark in _MARKS))
    ]


def _read(text: str, low: str, span: Span, names: Sequence[Name]) -> Conclusion:
    sentence = low[span[0] : span[1]]
    words = sentence.split()
    if words and words[-1].endswith("?"):
        return Conclusion(span=span)
    cues = _CUES.of({*words})
    denies = bool(cues & _DENIES and _DENIED.search(sentence))
    supposes = bool(cues & _SUPPOSES and _SUPPOSED.search(sentence))
    parted = cues & _PARTS or (cues & _PAUSES and cues & _JOINS)
    claims = _clauses(low, span) if parted else [span]
    if denies or supposes:
        claims = [clause for clause in claims if not _doubts(low, clause)]
    follows = bool(cues & _FOLLOWS and _SO.search(sentence))
    images: tuple[int, ...] = ()
    if follows and claims and not any(_of_several(low, span, name) for name in names):
        images = tuple(name[2] for name in names if _claimed(low, claims, name))
    # The two patterns for absence cost as much as all others; few sentences can match them.
    absent = bool(cues & _ABSENCE) and any(cue in sentence for cue in _ABSENT_CUES)
    absent = absent and not supposes and not images and not _MORE.search(sentence)
    counts = cues & _TOTAL and cues & _NUMERAL and not (denies or supposes)
    options = [
        found[1]
        for clause in (claims if cues & _OPTS else ())
        for found in _OPTION.finditer(text, *clause)
    ]
    return Conclusion(
        span=span,
        images=images,
        clauses=tuple(claims) if follows else (),
        nothing=absent and bool(_ABSENT.search(sentence)),
        gone=absent and bool(_GONE.search(sentence)),
        count=_count(sentence) if counts else None,
        option=options[-1] if options else None,
    )


def _of_several(low: str, span: Span, name: Name) -> bool:
    if not low.endswith(_JOINTS, span[0], name[0]):
        return False
    return bool(_OF_SEVERAL.search(low, max(span[0], name[0] - 40), name[0]))


def _claimed(low: str, claims: Sequence[Span], name: Name) -> bool:
    """Whether one of the clauses says that something is in the image of this name."""
    if not claims:
        return False
    start, end = round_it(claims, name[0])
    if not start <= name[0] < end:
        return False
    if _IN.search(low, max(start, name[0] - 120), name[0]):
        return True
    hence = _HENCE.search(low, max(start, name[0] - 24), name[0])
    return bool(hence and _IS_IT.match(low, name[1]))


def _clauses(low: str, span: Span) -> list[Span]:
    start, last = span
    clauses: list[Span] = []
    for found in _CLAUSE.finditer(low, start, last):
        clauses.append((start, found.start()))
        start = found.end()
    return [*clauses, (start, last)]


def _doubts(low: str, clause: Span) -> bool:
    """Whether a clause denies or supposes something."""
    return bool(_DENIED.search(low, *clause) or _SUPPOSED.search(low, *clause))


def _count(sentence: str) -> int | None:
    totals = _COUNT.findall(sentence)
    if not totals:
        return None
    word = next(group for group in totals[-1] if group)
    return _NUMBERS.index(word) if word in _NUMBERS else int(word)
