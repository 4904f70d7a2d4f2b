"""Which classes a reader may take for one another by their names: an `armchair` is a chair.

Not a task; tasks over photos share it. A corpus boxes a thing under one name, though another of its
classes may fit as well, so that a photo without a `car` may yet show a `pickup truck`. It knows
English words and no image, and rather calls two classes alike than not: `hot dog` and `dog`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

_KINDS_OF = {
    "vehicle": "car truck bus van suv bicycle motorcycle train tram boat ship airplane",
    "animal": "dog cat bird horse cow sheep goat pig bear elephant giraffe zebra deer",
    "furniture": "chair table couch bed cabinet shelf stool desk",
    "person": "man woman boy girl child kid baby toddler adult lady guy pedestrian rider cyclist "
    "driver player skier surfer bride groom soldier policeman people passer-by",
    "man": "boy male guy groom policeman",
    "woman": "girl female lady bride",
    "child": "boy girl kid baby toddler",
    "bird": "duck goose parrot pigeon chicken swan penguin seagull gull eagle owl hen rooster "
    "ostrich flamingo crow sparrow hawk turkey",
    "dog": "puppy poodle dalmatian bulldog pug corgi husky",
    "cat": "kitten",
    "cow": "calf bull ox cattle",
    "cattle": "cow bull ox",
    "sheep": "lamb ram goat",
    "horse": "pony foal",
    "bear": "cub",
    "boat": "ship canoe kayak yacht sailboat ferry gondola dinghy",
    "ship": "yacht ferry",
    "car": "suv taxi cab van sedan jeep convertible limousine pickup pickup_truck",
    "suv": "van jeep pickup pickup_truck",
    "truck": "pickup van lorry trailer machinery_vehicle",
    "van": "minivan ambulance",
    "bus": "coach trolleybus minivan",
    "bicycle": "bike tricycle",
    "motorcycle": "moped scooter bike",
    "cup": "mug glass wine_glass",
    "glass": "goblet",
    "bowl": "basin",
    "couch": "sofa loveseat",
    "chair": "stool seat",
    "table": "desk",
    "cabinet": "cupboard dresser nightstand wardrobe locker",
    "hat": "cap helmet beanie fedora bonnet",
    "bag": "suitcase backpack purse pouch luggage",
    "handbag": "purse bag",
    "suitcase": "luggage briefcase",
    "bucket": "barrel",
    "basket": "hamper",
    "tv": "television monitor moniter",
    "monitor": "screen",
    "phone": "telephone cellphone",
    "shoe": "boot sandal sneaker slipper high_heel",
    "boot": "shoe",
    "lamp": "light",
    "flower": "rose tulip sunflower daisy",
    "airplane": "plane aircraft jet helicopter",
    "ball": "basketball football",
    "picture": "poster painting photo",
    "clock": "watch",
    "pen": "pencil marker",
    "glasses": "sunglasses goggles eyeglasses spectacles",
    "donut": "doughnut bagel",
    "carpet": "rug mat",
    "pillow": "cushion",
    "curtain": "drape",
    "bottle": "flask jug thermos",
    "pan": "wok skillet",
    "pot": "kettle saucepan",
}
_ENDING = "es"
"""Letters cut off a name's end, of singular and plural alike: `hou` for house and houses."""
_NARROWER = {
    word.rstrip(_ENDING): frozenset(
        kind.rstrip(_ENDING).replace("_", " ") for kind in kinds.split()
    )
    for word, kinds in _KINDS_OF.items()
}
"""By stem, the stems of what is one as well."""


def alike(labels: Iterable[str]) -> set[str]:
    """Those of some classes that another of them could be mistaken for, or the other way round."""
    stems = {label: _stem(label) for label in labels}
    counts = Counter(name for names in stems.values() for name in names)
    found = {name for name, n in counts.items() if n > 1}
    for names in stems.values():
        # A look-up for each rival: comparing all labels of five LVIS photos would take longer than
        # everything else.
        for name in names:
            if there := _rivals(name).intersection(counts):
                found |= {name, *there}
    return {label for label, names in stems.items() if not found.isdisjoint(names)}


@lru_cache(1 << 16)
def _rivals(stem: str) -> frozenset[str]:
    """Stems of what the class may be called too: its name's last parts; and of the kinds of it."""
    lasts = {stem[i:] for i in range(1, len(stem) - 1)}
    last = stem.rpartition(" ")[2]
    return frozenset(lasts) | _NARROWER.get(stem, frozenset()) | _NARROWER.get(last, frozenset())


@lru_cache(1 << 16)
def _stem(label: str) -> frozenset[str]:
    """A label's names without what is in brackets, `other`, and their plural's ending.

    `cabinet/shelf` and `bull, ox` are several names.
    """
    words = label.split("(")[0].replace("_", " ").lower().removeprefix("other ")
    names = (" ".join(name.split()).rstrip(_ENDING) for name in words.replace("/", ",").split(","))
    return frozenset(name for name in names if name) or frozenset((words.strip(),))
