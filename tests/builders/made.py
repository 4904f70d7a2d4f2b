"""Records of every shape, made by rule: what a corpus of that shape would give."""

from __future__ import annotations

import pyarrow as pa

from mgdata.data import ALL, Expression, Image, Record, Region, Shape
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.index import Index
from mgdata.tables import RECORDS, RecordRows

INDEX_COLUMNS = [name for name in RECORDS.names if name != "record"]
TRACKED = ("goat", "person", "person", "bmx rider")
THINGS = ("chair", "table", "mug", "drawer", "dog", "cat", "car", "bus", "kite", "ball", "lamp",
          "boat", "tree", "clock", "bear", "vase", "train", "sofa", "bench", "horse")  # fmt: skip
PARTS = {"chair": "leg", "table": "leg", "bench": "leg", "mug": "handle", "drawer": "handle"}
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "grey")
KINDS = ("add", "drop", "move", "color", "material")
SIZE = (640, 480)


def record(number: int, shape: Shape = "clip", frames: int = 24) -> Record:
    """One record of a shape; another number, another record."""
    rng = Stream("record", shape, str(number))
    name = f"{shape}{number:05d}"
    make = {"clip": _clip, "image": _photo, "pair": _pair, "views": _views, "set": _photo}[shape]
    count = {"clip": frames, "pair": 2, "views": 4}.get(shape, 1)
    images = tuple(
        Image(
            uri=f"made:{name}/{i + 1:08d}.jpg",
            width=SIZE[0],
            height=SIZE[1],
            format="jpeg",
            frame=i + 1 if shape == "clip" else 30 if shape == "views" else None,
            view=("aria01", "cam01", "cam02", "cam03")[i] if shape == "views" else None,
        )
        for i in range(count)
    )
    regions = sorted(make(rng, number, count), key=lambda region: region.image)
    return Record(
        key=f"made/{name}",
        shape=shape,
        unit=name,
        images=images,
        regions=tuple(regions),
        license="CC-BY-4.0",
        exhaustive=() if shape in ("clip", "views") else (ALL,),
        expressions=_expressions(regions, shape, number),
    )


def index(records: list[Record]) -> Index:
    """An index that holds what is documented, and nothing that leads to an image."""
    rows = RecordRows()
    for one in records:
        rows.add(one)
    table = rows.table().select(INDEX_COLUMNS)
    return Index(table.append_column("corpus", pa.array(["made"] * len(records), pa.string())))


def _clip(rng: Stream, number: int, frames: int) -> list[Region]:
    """Objects that move, leave and come back; one to be ignored; one seen twice only."""
    starts = [(rng.uniform() * 300, rng.uniform() * 200) for _ in TRACKED]
    away = range(10, 14)
    regions: list[Region] = []
    for i in range(frames):
        for k, (label, (x, y)) in enumerate(zip(TRACKED, starts, strict=True)):
            box = Box(x + 9.5 * i, y + 5 * i, x + 9.5 * i + 60 + 10 * k, y + 5 * i + 80)
            hidden = k < 2 and i in away
            regions.append(
                Region(
                    image=i,
                    box=None if hidden else box,
                    label=label,
                    phrase="grey goat on a rock" if label == "goat" else None,
                    track=str(k),
                    visibility=0.0 if hidden else 0.25 + 0.25 * k,
                )
            )
        regions.append(
            Region(image=i, box=Box(0, 0, 640, 480), label="crowd", track="crowd", ignore=True)
        )
        if i < 2:
            regions.append(Region(image=i, box=Box(1, 1, 30, 30), label="ball", track="ball"))
    return regions


def _photo(rng: Stream, number: int, images: int) -> list[Region]:
    """One large thing of four classes on the left, twelve small ones on the right; parts.

    Some of the small ones are there twice.
    """
    first = rng.choice(THINGS[3:7])
    labels = [first, *rng.sample([name for name in THINGS if name != first], 6)]
    wide, high = 180 + 140 * rng.uniform(), 250 + 200 * rng.uniform()
    boxes = [(labels[0], Box(4, 8, 4 + wide, 8 + high))]
    for cell in range(12):
        # The first four of the small ones are single, the last eight share two classes.
        label = labels[1 + cell] if cell < 4 else labels[5 + cell % 2]
        x, y = 340 + 98 * (cell % 3), 4 + 118 * (cell // 3)
        w, h = 55 + 35 * rng.uniform(), 55 + 50 * rng.uniform()
        boxes.append((label, Box(x, y, x + w, y + h)))
    regions = [
        Region(image=0, box=box, label=label, phrase=f"{COLOURS[k % 7]} {label}")
        for k, (label, box) in enumerate(boxes)
    ]
    for label, box in boxes[:5]:
        if part := PARTS.get(label):
            middle = (box.x1 + box.x2) / 2
            inside = Box(box.x1 + 2, box.y1 + 2, middle, box.y2 - 2)
            regions.append(Region(image=0, box=inside, label=f"{label}:{part}"))
    if number % 7 == 0:
        regions.append(Region(image=0, box=Box(0, 400, 300, 480), label="bear", ignore=True))
    return regions


def _expressions(regions: list[Region], shape: Shape, number: int) -> tuple[Expression, ...]:
    """Texts about photos; a question about what happens in every fourth clip."""
    if shape == "image":
        return _texts(regions)
    if shape != "clip" or number % 4:
        return ()
    places = [i for i, r in enumerate(regions) if r.label == "goat" and r.box is not None]
    asked = "Which object did the person lead away after they fed it?"
    return (Expression(text=asked, regions=tuple(places), label="goat", form="question"),)


def _texts(regions: list[Region]) -> tuple[Expression, ...]:
    """A text for every class, of all its things; one of a class that is there, of no thing."""
    by_class: dict[str, list[int]] = {}
    for place, region in enumerate(regions):
        if ":" not in region.label and not region.ignore:
            by_class.setdefault(region.label, []).append(place)
    texts = [
        Expression(text=f"{name} in the picture", regions=tuple(places), label=name)
        for name, places in by_class.items()
    ]
    first = regions[0].label
    return (*texts, Expression(text=f"{first} of purple glass", label=first))


def _pair(rng: Stream, number: int, images: int) -> list[Region]:
    """A change of each kind in turn; now and then none."""
    if number % 9 == 8:
        return []
    kind = KINDS[number % len(KINDS)]
    x, y = 400 * rng.uniform(), 300 * rng.uniform()
    box = Box(x, y, x + 60 + 100 * rng.uniform(), y + 50 + 100 * rng.uniform())
    shift = 30.0 if kind == "move" else 0.0
    moved = Box(box.x1 + shift, box.y1, box.x2 + shift, box.y2)
    told = f"the {COLOURS[number % 7]} {THINGS[number % 20]} has changed"
    return [
        Region(image=i, box=side, label=kind, phrase=told, track="change")
        for i, side in enumerate(
            (None if kind == "add" else box, None if kind == "drop" else moved)
        )
    ]


def _views(rng: Stream, number: int, images: int) -> list[Region]:
    """Four cameras, three things; the last of them is hidden from one camera or two."""
    regions: list[Region] = []
    for k, label in enumerate(rng.sample(THINGS, 3)):
        hidden = set(rng.sample(range(1, images), rng.between(1, 2))) if k == 2 else set[int]()
        for i in range(images):
            x, y = 150 * k + 60 * rng.uniform(), 250 * rng.uniform()
            box = Box(x, y, x + 70 + 40 * rng.uniform(), y + 70 + 60 * rng.uniform())
            regions.append(
                Region(image=i, box=None if i in hidden else box, label=label, track=f"{label}_{k}")
            )
    return regions
