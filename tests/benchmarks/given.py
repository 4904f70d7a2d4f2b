"""What the floor and `datasets` are given: a finished release without its images, and its cuts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mgdata.release.rows import SCHEMA, features, writer_settings


def give(release: Path, folder: Path) -> dict[str, Any]:
    """Write the columns and the plan of `release` into `folder`; facts of the release.

    Facts: `files`, `groups`, `rows`, `distinct` (images over the whole release, not a row group),
    `distinct_bytes` and `bytes` of its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [_file(path, folder / f"{number:05d}.arrow")
             for number, path in enumerate(sorted(release.rglob("*.parquet")))]  # fmt: skip
    with pa.OSFile(str(folder / "schema.arrow"), "wb") as sink, pa.ipc.new_file(sink, SCHEMA):
        pass
    settings = {"files": files, "writer": writer_settings(), "features": features()}
    (folder / "plan.json").write_text(json.dumps(settings))
    sizes: dict[str, int] = {}
    for path in sorted(release.rglob("*.parquet")):
        for images in pq.read_table(path, columns=["images"])["images"].to_pylist():
            sizes.update({image["path"]: len(image["bytes"]) for image in images})
    return {
        "files": len(files),
        "groups": sum(len(groups) for groups in files),
        "rows": sum(len(group["ends"]) - 1 for groups in files for group in groups),
        "distinct": len(sizes),
        "distinct_bytes": sum(sizes.values()),
        "bytes": sum(path.stat().st_size for path in release.rglob("*.parquet")),
    }


def _file(path: Path, out: Path) -> list[dict[str, Any]]:
    """The row groups of one file; its other columns go to `out` as Arrow."""
    file = pq.ParquetFile(path)
    names = [field.name for field in SCHEMA if field.name != "images"]
    table = file.read(columns=names).cast(pa.schema([SCHEMA.field(name) for name in names]))
    with pa.OSFile(str(out), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    groups: list[dict[str, Any]] = []
    start = 0
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        paths = [
            [image["path"] for image in images]
            for images in file.read_row_group(number, columns=["images.list.element.path"])[
                "images"
            ].to_pylist()
        ]
        infos = table.slice(start, rows)["image_info"].to_pylist()
        distinct = {
            name: info["uri"].partition(":")[2]
            for names_, infos_ in zip(paths, infos, strict=True)
            for name, info in zip(names_, infos_, strict=True)
        }
        at = {name: i for i, name in enumerate(distinct)}
        ends = [0]
        for names_ in paths:
            ends.append(ends[-1] + len(names_))
        groups.append(
            {
                "start": start,
                "ends": ends,
                "numbers": [at[name] for names_ in paths for name in names_],
                "distinct": [(uri, name) for name, uri in distinct.items()],
            }
        )
        start += rows
    return groups
