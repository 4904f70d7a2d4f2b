"""The floor: the least that any program must do to make the same release with plain pyarrow.

    python -m tests.benchmarks.floor PLAN CORPUS OUT HASH_IMAGES

It reads each distinct image once, writes the same columns with the same schema, encodings and row
groups, and hashes its output once. Everything that has to be thought out (questions, boxes, which
rows go where) is given to it, in memory-mapped Arrow tables made from a finished release: no
annotation is read, nothing is chosen, built, checked or recorded. With HASH_IMAGES 1 it also
computes the column of image digests, which mgdata computes; with 0 that column is given too.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path


def main(plan: str, corpus: str, out: str, hash_images: str) -> None:
    """Write every file of the plan; see the module."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    settings = json.loads((Path(plan) / "plan.json").read_text())
    schema = pa.ipc.open_file(pa.memory_map(f"{plan}/schema.arrow")).schema
    images_type = schema.field("images").type.value_type
    at = schema.get_field_index("images")
    Path(out).mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(settings["files"]):
        path = f"{out}/{number:05d}.parquet"
        rest = pa.ipc.open_file(pa.memory_map(f"{plan}/{number:05d}.arrow")).read_all()
        held: dict[str, bytes] = {}
        with pq.ParquetWriter(path, schema, **settings["writer"]) as writer:
            for group in file:
                distinct = group["distinct"]
                held = {uri: held[uri] for uri, _ in distinct if uri in held}
                for uri, _ in distinct:
                    if uri not in held:
                        with open(f"{corpus}/{uri}", "rb", buffering=0) as source:  # noqa: PTH123
                            held[uri] = source.read()
                        if hash_images == "1":
                            hashlib.sha256(held[uri]).hexdigest()
                numbers = pa.array(group["numbers"], pa.int32())
                data = pa.array([held[uri] for uri, _ in distinct], pa.binary())
                names = pa.array([name for _, name in distinct], pa.string())
                pictures = pa.StructArray.from_arrays(
                    [pa.DictionaryArray.from_arrays(numbers, data),
                     pa.DictionaryArray.from_arrays(numbers, names)],
                    fields=list(images_type),
                )  # fmt: skip
                column = pa.ListArray.from_arrays(pa.array(group["ends"], pa.int32()), pictures)
                table = rest.slice(group["start"], len(group["ends"]) - 1)
                table = table.add_column(at, schema.field("images"), column)
                writer.write_table(table, row_group_size=table.num_rows)
        with open(path, "rb") as written:  # noqa: PTH123
            hashlib.file_digest(written, "sha256").hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
