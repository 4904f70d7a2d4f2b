"""What everyday things and their parts are for: whether two classes serve the same purpose.

Not a task; `semantic_association` uses it. It knows the class names of COCO, Objects365, LVIS and
PACO and no image. The tables are ours, written by hand, and meant to be beyond argument rather than
complete: a class is in one use at most, one that serves several (a bottle, a bowl, a table, a bed)
is in none, and of two uses that a reader may call one (a knife and a fork are both cutlery) things
are never set against each other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import permutations
from typing import Literal, NamedTuple

from builders.parts import NO_FUNCTION

Same = Literal["same", "another"] | None
"""Of what use something is beside something else; None where that can be argued about."""


class Use(NamedTuple):
    """One purpose and the classes that serve it."""

    purpose: str
    """As it stands after `is for` and `are for`."""
    classes: tuple[str, ...]


def _use(purpose: str, classes: str) -> Use:
    return Use(purpose, tuple(" ".join(name.split()) for name in classes.split(",")))


USES: dict[str, Use] = {
    "sit": _use(
        "sitting on",
        """chair, couch, sofa, bench, stool, armchair, folding chair, deck chair, rocking chair,
        recliner, loveseat, park bench""",
    ),
    "travel": _use(
        "getting from place to place",
        """car, bus, train, airplane, boat, ship, motorcycle, bicycle, truck, van, suv, sports car,
        pickup truck, helicopter, sailboat, car (automobile), bus (vehicle), jeep, minivan, wagon,
        train (railroad vehicle), cab (taxi), limousine, motor scooter, school bus, ferry""",
    ),
    "drink": _use(
        "drinking from",
        "cup, mug, wine glass, wineglass, glass (drink container), teacup, goblet, shot glass",
    ),
    "cut": _use(
        "cutting", "knife, scissors, cleaver, steak knife, pocketknife, saw, chainsaw, ax, axe"
    ),
    "eat": _use("eating with", "fork, spoon, chopsticks, chopstick, soupspoon"),
    "carry": _use(
        "carrying belongings",
        """handbag, backpack, suitcase, luggage, briefcase, handbag/satchel, shoulder bag,
        tote bag, duffel bag, satchel""",
    ),
    "time": _use(
        "telling the time", "clock, watch, alarm clock, wall clock, wristwatch, pocket watch"
    ),
    "light": _use(
        "giving light",
        """lamp, lantern, candle, flashlight, street lights, streetlight, table lamp, chandelier,
        lightbulb""",
    ),
    "heat": _use(
        "heating food",
        """oven, microwave, toaster, stove, gas stove, induction cooker, microwave oven,
        toaster oven, hotplate""",
    ),
    "pan": _use("cooking food in", "pan, pan (for cooking), frying pan, wok, saucepan, skillet"),
    "cold": _use("keeping food cold", "refrigerator, fridge, freezer"),
    "ball": _use(
        "playing ball games",
        """sports ball, ball, soccer, soccer ball, basketball, volleyball, baseball, golf ball,
        american football, tennis ball""",
    ),
    "bat": _use(
        "hitting a ball",
        "tennis racket, baseball bat, golf club, golfclub, table tennis paddle",
    ),
    "snow": _use("gliding over snow", "skis, ski, snowboard, skiboard"),
    "head": _use(
        "wearing on the head",
        """hat, helmet, cap (headwear), beanie, baseball cap, cowboy hat, sunhat, sombrero, beret,
        bonnet""",
    ),
    "feet": _use(
        "wearing on the feet",
        """shoe, sneakers, leather shoes, boots, boot, high heels, sandals, slippers,
        sandal (type of shoe), slipper (footwear), flip-flop (sandal), running shoe""",
    ),
    "neck": _use("wearing round the neck", "tie, bow tie, necktie, bow-tie, scarf"),
    "eyes": _use("wearing over the eyes", "sunglasses, spectacles, goggles, glasses"),
    "music": _use(
        "making music",
        """guitar, piano, violin, drum, cello, trumpet, saxophone, flute, trombone, tuba, cymbal,
        drum (musical instrument), banjo, accordion, clarinet, ukulele, grand piano""",
    ),
    "write": _use(
        "writing and drawing",
        "pen, pencil, marker, pen/pencil, crayon, fountain pen, ballpoint pen",
    ),
    "traffic": _use(
        "regulating traffic", "traffic light, stop sign, traffic sign, speed limit sign"
    ),
    "fire": _use("fighting fires", "fire hydrant, fire extinguisher, fireplug, hydrant"),
    "sweep": _use("cleaning floors", "broom, mop, vacuum cleaner"),
    "read": _use("reading", "book, magazine, newspaper, comic book"),
    "photo": _use("taking pictures", "camera, camcorder"),
    "phone": _use("making calls", "cell phone, telephone, cellular telephone"),
    "rain": _use("keeping off the rain", "umbrella"),
    "teeth": _use("cleaning teeth", "toothbrush"),
}
"""Purposes by a short name."""
_ARGUABLE = """
    cut-eat heat-pan ball-bat ball-snow bat-snow snow-travel snow-feet carry-travel eat-drink
    eat-pan time-phone photo-phone read-phone read-write light-traffic light-time sweep-teeth
    head-feet head-neck head-eyes feet-neck feet-eyes neck-eyes time-head time-feet time-neck
    time-eyes carry-head carry-feet carry-neck carry-eyes head-ball head-bat rain-head
    drink-eyes"""
"""Pairs of uses that a reader may take for one."""

_FAMILIES = """
    handle grip handlebar arm loop lug strap shaft knob pull_tab door_handle headband clip stem
    base bottom foot heel leg pedestal_column stand punt
    lid cap cover closure hood capsule brush_cap top_cap back_cover vapour_cover canopy top
    wheel turntable scroll_wheel
    door window windowpane windshield mirror screen glass visor face_shield
    seat saddle
    blade jaw
    button key switch pedal keyboard
    spout nozzle mouth neck sipper tip
    headlight taillight turnsignal bulb light
    cable wire string lace
    sleeve cuff
    roof
    rim border frame bezel hem
    label text logo sticker sign
    eye
    ear
    tail
    shelf drawer step footrest"""
"""A line a family: parts of one may be the same thing under two names, those of two are not."""

_USE_OF = {name: use for use, (_, classes) in USES.items() for name in classes}
_DOUBTFUL = frozenset(
    pair for both in _ARGUABLE.split() for pair in permutations(both.split("-"), 2)
)
_FAMILY_OF = {
    part: line.split()[0] for line in _FAMILIES.strip().splitlines() for part in line.split()
}


@lru_cache(1 << 16)
def use_of(label: str) -> str | None:
    """The short name of what a class is for; None where it is for several things or unknown."""
    return _USE_OF.get(" ".join(label.replace("_", " ").lower().split()))


def purpose_of(label: str) -> str | None:
    """What a class is for, as it stands after `is for`."""
    use = use_of(label)
    return USES[use].purpose if use else None


@lru_cache(1 << 16)
def same_use(first: str, second: str) -> Same:
    """Whether two classes serve the same purpose; None for one class and its other names."""
    mine, theirs = use_of(first), use_of(second)
    if mine is None or theirs is None or first == second:
        return None
    if mine == theirs:
        return "same"
    return None if (mine, theirs) in _DOUBTFUL else "another"


@lru_cache(1 << 16)
def family_of(label: str) -> str | None:
    """The family of a part, `handle` for `chair:arm`; None for an object or an unknown part."""
    _, colon, part = label.partition(":")
    return _FAMILY_OF.get(re.sub(r"\s+", "_", part)) if colon else None


@lru_cache(1 << 16)
def same_part(first: str, second: str) -> Same:
    """Whether two labels `object:part` are the same part, be it of unlike objects.

    None where the parts have different names and yet may be one (`lid` and `cap`), or where one
    name does not mean one thing on two objects (`parts.NO_FUNCTION`).
    """
    mine, theirs = family_of(first), family_of(second)
    if mine is None or theirs is None:
        return None
    if first == second:
        return "same"
    if mine != theirs:
        return "another"
    part = first.partition(":")[2]
    equal = part == second.partition(":")[2] and part not in NO_FUNCTION
    return "same" if equal else None
