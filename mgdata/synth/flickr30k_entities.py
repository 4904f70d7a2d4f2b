"""Writes photos in the Flickr30k Entities layout: five sentences with marked phrases, boxed chains.

    ROOT/flickr30k-images/<id>.jpg  Annotations/<id>.xml  Sentences/<id>.txt
    ROOT/{train,val,test}.txt  UNRELATED_CAPTIONS

Every toy is a chain; so are all toys of a kind or of a colour where there are several, so that an
object bears up to three names and a chain several boxes. With it what makes the corpus hard: a
kind's bare name said of two toys ("a ball", "the ball"), pronouns, the ground as a scene, a sky
that has no box, what cannot be seen, a phrase of two types, a line without its full stop, and for
one photo of five a sentence that speaks of something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mgdata.synth.camera import Camera
from mgdata.synth.coco import Shot, shots
from mgdata.synth.photos import Thing

FIRST = 3_000_000_000
"""The first photo's id; ids are Flickr's numbers, of up to ten digits."""
_STEP = 7919
_VEHICLES = ("car", "truck", "wagon")
_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")


@dataclass(frozen=True)
class _Chain:
    """Something that sentences speak of."""

    number: int
    types: str
    things: tuple[int, ...] = ()
    """Places of its toys in the shot; none for what has no box."""

    def mark(self, words: str) -> str:
        """The words as a phrase of it."""
        return f"[/EN#{self.number}/{self.types} {words}]"


def write(out: Path, camera: Camera) -> int:
    """Write the photos, the last fifth to val; no boxed object is absent: 0."""
    for folder in ("Annotations", "Sentences"):
        (out / folder).mkdir(parents=True)
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    unrelated = ["# format: <imageID> <sentence number>"]
    for shot in shots(camera, "flickr30k_entities"):
        name = str(FIRST + _STEP * shot.number)
        lists[shot.split].append(name)
        folder = out / "flickr30k-images"
        camera.shoot(shot.still.scene(), folder, lambda _, name=name: f"{name}.jpg")
        chains = _chains(shot)
        lines = list(_sentences(shot, chains))
        if shot.number % 5 == 4:
            lines[4] = f"{chains[0].mark('A dog')} runs after {chains[0].mark('a cat')} ."
            unrelated.append(f"{name} 5")
        (out / f"Sentences/{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        (out / f"Annotations/{name}.xml").write_text(_annotation(name, shot, chains, camera))
    for split, names in lists.items():
        (out / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    (out / "UNRELATED_CAPTIONS").write_text("\n".join(unrelated) + "\n")
    return 0


def _chains(shot: Shot) -> list[_Chain]:
    """A chain for each toy, then one for each kind and colour of several, the ground, the sky."""
    base = 1000 * (shot.number + 1)
    chains = [
        _Chain(base + place, _types(thing, shot.number), (place,))
        for place, thing in enumerate(shot.things)
    ]
    for group in (*_alike(shot, "label").values(), *_alike(shot, "colour").values()):
        if len(group) > 1:
            chains.append(_Chain(base + len(chains), "other", group))
    chains.append(_Chain(base + len(chains), "scene"))
    chains.append(_Chain(base + len(chains), "other"))
    return chains


def _alike(shot: Shot, field: str) -> dict[str, tuple[int, ...]]:
    """Places of the toys by their kind or colour."""
    found: dict[str, tuple[int, ...]] = {}
    for place, thing in enumerate(shot.things):
        found[getattr(thing, field)] = (*found.get(getattr(thing, field), ()), place)
    return found


def _types(thing: Thing, number: int) -> str:
    if thing.label in _VEHICLES:
        return "vehicles"
    return "instruments/other" if thing.label == "pan" and number % 2 else "other"


def _sentences(shot: Shot, chains: list[_Chain]) -> Iterator[str]:
    """Five sentences; between them they speak of every chain."""
    things = shot.things
    single = [chain for chain in chains if len(chain.things) == 1]
    groups = [chain for chain in chains if len(chain.things) > 1]
    scene, sky = chains[-2:]
    full = [chain.mark(_named(things[chain.things[0]])) for chain in single]
    yield f"{full[0]} lies near {full[-1]} on {scene.mark('the ground')} ."
    yield f"{' , '.join(full)} and {_unseen('nothing')} else ."
    bare = [chain.mark(f"the {things[chain.things[0]].label}") for chain in single]
    yield f"{' and '.join(bare)} under {sky.mark('the sky')}"
    told = [chain.mark(_counted(shot, chain)) for chain in groups] or [full[0]]
    yield f"{' beside '.join(told)} on {scene.mark('a field')} ."
    first = single[0]
    yield f"{_unseen('Someone')} left {full[0]} and {first.mark('it')} stays there ."


def _unseen(words: str) -> str:
    return f"[/EN#0/notvisual {words}]"


def _named(thing: Thing) -> str:
    return f"{'an' if thing.phrase[0] in 'aeiou' else 'a'} {thing.phrase}"


def _counted(shot: Shot, chain: _Chain) -> str:
    """`Two balls`, or `Two red toys` where their kinds differ."""
    toys = [shot.things[place] for place in chain.things]
    kinds = {toy.label for toy in toys}
    if len(kinds) > 1:
        return f"{_COUNTS[len(toys)]} {toys[0].colour} toys"
    (kind,) = kinds
    return f"{_COUNTS[len(toys)]} {kind}{'es' if kind.endswith('s') else 's'}"


def _annotation(name: str, shot: Shot, chains: list[_Chain], camera: Camera) -> str:
    width, height = camera.job.size
    objects = [
        _object(
            [chain.number for chain in chains if place in chain.things],
            _bounds(thing),
        )
        for place, thing in enumerate(shot.things)
    ]
    for chain in chains:
        if not chain.things:
            scene = int(chain.types == "scene")
            flags = f"\t\t<scene>{scene}</scene>\n\t\t<nobndbox>{1 - scene}</nobndbox>\n"
            objects.append(_object([chain.number], flags))
    return (
        f"<annotation>\n\t<filename>{name}.jpg</filename>\n\t<size>\n\t\t<width>{width}</width>\n"
        f"\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"{''.join(objects)}</annotation>\n"
    )


def _bounds(thing: Thing) -> str:
    """The box: pixels counted from 1, both ends included."""
    box = thing.box
    corners = (("xmin", box.x1 + 1), ("ymin", box.y1 + 1), ("xmax", box.x2), ("ymax", box.y2))
    written = "".join(f"\t\t\t<{tag}>{value:.0f}</{tag}>\n" for tag, value in corners)
    return f"\t\t<bndbox>\n{written}\t\t</bndbox>\n"


def _object(names: list[int], rest: str) -> str:
    named = "".join(f"\t\t<name>{name}</name>\n" for name in names)
    return f"\t<object>\n{named}{rest}\t</object>\n"
