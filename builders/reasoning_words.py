"""Which classes of a set of photos can be counted, compared and asked for by their name.

Not a task; `reasoning` uses it. It knows English words and no image. A class is left out where its
plural or its article would be wrong, where its name is for a substance or for things in general, or
where another class that is seen in the same photos may be the same thing to a reader: an
`armchair` is a chair, a `puppy` a dog.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from mgdata.wording import noun

# Substances, and what comes in pairs or bunches.
_SUBSTANCES = """
    air bacon beef beer bread broccoli butter cauliflower celery cereal cheese clothing cloth coffee
    corn crowd dessert dirt fabric fire fog foliage food fruit furniture garlic grass gravel hair
    hay headgear ice jewelry juice land lettuce lightning luggage machinery meat milk money mud oil
    paint paper pasta people pork rain rice salt sand seafood sky snow soap spaghetti spinach steam
    steel sugar sushi tea tofu traffic vegetation water wheat wine wood wool yogurt
    baggage cutlery earphones equipment eyewear footwear graffiti headphones silverware skis
    tableware binoculars goggles jeans pants pliers shorts tights tongs trousers"""
# Their plural is none of the regular ones that `wording.plural` knows.
_IRREGULAR = """
    potato tomato mango hero echo torpedo loaf calf half scarf hoof thief dwarf elf ox die dice
    cactus fungus octopus moose swine bison squid shrimp salmon trout louse axis crisis oasis
    spacecraft hovercraft watercraft offspring species series"""
_UNCOUNTED = frozenset(f"{_SUBSTANCES} {_IRREGULAR}".split())
"""Last words of a class' name."""
# Names for things in general: another class of the photo may be one as well.
_GENERAL = """
    animal background building container device electronics glass group instrument item mammal
    object other part plant product room scene stuff thing tool toy vegetable vehicle"""
_WHOLE = frozenset(_GENERAL.split())
"""Whole names."""
_KINDS_OF = {
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
    "car": "suv taxi cab van sedan jeep convertible limousine pickup",
    "truck": "pickup van lorry",
    "van": "minivan ambulance",
    "bus": "coach trolleybus minivan",
    "bicycle": "bike tricycle",
    "motorcycle": "moped scooter bike",
    "cup": "mug glass",
    "couch": "sofa loveseat",
    "chair": "stool seat",
    "table": "desk",
    "hat": "cap helmet beanie fedora bonnet",
    "bag": "suitcase backpack purse pouch",
    "handbag": "purse",
    "tv": "television monitor",
    "monitor": "screen",
    "phone": "telephone cellphone",
    "shoe": "boot sandal sneaker slipper",
    "boot": "shoe",
    "lamp": "light",
    "flower": "rose tulip sunflower daisy",
    "airplane": "plane aircraft jet helicopter",
    "ball": "basketball football",
    "picture": "poster painting photo",
    "clock": "watch",
}
_ENDING = "es"
"""Letters cut off a name's end, of singular and plural alike: `hou` for house and houses."""
_NARROWER = {
    word.rstrip(_ENDING): frozenset(kind.rstrip(_ENDING) for kind in kinds.split())
    for word, kinds in _KINDS_OF.items()
}
"""By stem, the stems of what is one as well."""


@lru_cache(1 << 16)
def askable(label: str) -> str | None:
    """A class as a noun with a plural and an article, or None where it has none of both."""
    word = noun(label)
    return None if word in _WHOLE or word.rpartition(" ")[2] in _UNCOUNTED else word


def distinct(labels: list[str]) -> dict[str, str]:
    """The nouns of those classes that no other of `labels` could be mistaken for, by class."""
    stems = {label: _stem(label) for label in labels}
    alike = {stem for stem, n in Counter(stems.values()).items() if n > 1}
    for stem in stems.values():
        # A look-up for each rival: comparing all labels of five LVIS photos would take longer than
        # everything else.
        if there := _rivals(stem).intersection(stems.values()):
            alike |= {stem, *there}
    words = {label: askable(label) for label in labels if stems[label] not in alike}
    return {label: word for label, word in words.items() if word}


@lru_cache(1 << 16)
def _rivals(stem: str) -> frozenset[str]:
    """Stems of what the class may be called too: its name's last parts; and of the kinds of it."""
    lasts = {stem[i:] for i in range(1, len(stem) - 1)}
    return frozenset(lasts) | _NARROWER.get(stem, frozenset())


@lru_cache(1 << 16)
def _stem(label: str) -> str:
    """A label without what is in brackets, its further names and its plural's ending."""
    words = " ".join(label.split(",")[0].split("(")[0].replace("_", " ").lower().split())
    return words.rstrip(_ENDING)
