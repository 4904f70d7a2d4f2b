"""Everything that is stored and so has a JSON Schema of its own.

`python -m mgdata.stored` writes `schemas/`; a test holds the files equal to the structs.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from mgdata import data, folder, manifest, recipe, resources
from mgdata.release import rows
from mgdata.schema import schema_of

STORED: dict[str, type[msgspec.Struct]] = {
    "record": data.Record,
    "drop": data.Drop,
    "sample": data.Sample,
    "lesson": data.Lesson,
    "manifest": manifest.Entry,
    "recipe": recipe.Recipe,
    "run": folder.RunFile,
    "row": rows.Row,
    "lesson_row": rows.LessonRow,
}


def texts() -> dict[str, str]:
    """The schema files, by name."""
    return {
        f"{name}.schema.json": json.dumps(schema_of(kind, name), indent=2) + "\n"
        for name, kind in STORED.items()
    }


def write(place: Path) -> None:
    """Write every schema into `place`."""
    for name, text in texts().items():
        (place / name).write_text(text)


if __name__ == "__main__":
    write(resources.folder("schemas"))
