"""The card's front matter: what the Hub and `datasets` read of it. Knows nothing of its text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from mgdata.manifest import Entry
from mgdata.recipe import Loaded
from mgdata.release import statistics
from mgdata.release.rows import LESSON_SCHEMA, SCHEMA

_HUB_LICENSES = frozenset(
    (
        *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
        *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("odbl", "pddl", "odc-by", "cdla-permissive-2.0"),
    )
)
"""Of the identifiers that the Hub knows, those that image corpora carry."""


def front_matter(loaded: Loaded, entries: Sequence[Entry]) -> dict[str, Any]:
    """The card's metadata, as the Hub and `datasets.load_dataset` read it."""
    found = statistics.parts(entries)
    configs = list(dict.fromkeys(part.config for part in found))
    readers = {section.corpus or name for name, section in loaded.recipe.corpora.items()}
    return {
        "pretty_name": title(loaded),
        "language": ["en"],
        **_license(statistics.histogram(entries, "license")),
        "annotations_creators": ["machine-generated"],
        "source_datasets": sorted(readers),
        "size_categories": [statistics.size_category(sum(part.rows for part in found))],
        "task_categories": ["image-text-to-text"],
        "tags": ["visual-grounding", "multi-image", "object-detection", "mgdata", *_tags(loaded)],
        "configs": [
            {
                "config_name": config,
                "data_files": [
                    {"split": part.split, "path": f"data/{config}/{part.split}-*.parquet"}
                    for part in found
                    if part.config == config
                ],
            }
            for config in configs
        ],
        "dataset_info": [
            _info(config, [part for part in found if part.config == config], _schema(loaded))
            for config in configs
        ],
    }


def _schema(loaded: Loaded) -> pa.Schema:
    """Columns of every configuration: with a teacher they are lessons, all alike."""
    return LESSON_SCHEMA if loaded.teacher else SCHEMA


def _tags(loaded: Loaded) -> list[str]:
    return ["simulated"] if loaded.teacher and loaded.teacher.backend.simulated else []


def _info(config: str, found: Sequence[statistics.Part], schema: pa.Schema) -> dict[str, Any]:
    return {
        "config_name": config,
        "features": [_feature(field) for field in schema],
        "splits": [
            {"name": part.split, "num_bytes": part.loaded, "num_examples": part.rows}
            for part in found
        ],
        "download_size": sum(part.download for part in found),
        "dataset_size": sum(part.loaded for part in found),
    }


def _feature(field: pa.Field) -> dict[str, Any]:
    """A column as the YAML of `datasets` writes features: `dtype`, `list` or `struct`."""
    if field.name == "images":
        return {"name": "images", "list": "image"}
    return {"name": field.name, **_feature_type(field.type)}


def _feature_type(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        inner = _feature_type(kind.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or [inner]}
    if pa.types.is_struct(kind):
        return {"struct": [_feature(field) for field in kind]}
    return {"dtype": "float64" if pa.types.is_float64(kind) else str(kind)}


def _license(licenses: Iterable[str]) -> dict[str, str]:
    """The Hub's licence keys. Only one known licence over all rows can be named outright."""
    names = list(licenses)
    if len(names) == 1 and names[0].lower() in _HUB_LICENSES:
        return {"license": names[0].lower()}
    if names == ["unknown"]:
        return {"license": "other", "license_name": "unknown"}
    return {"license": "other", "license_name": "see-sources-and-licences"}


def title(loaded: Loaded) -> str:
    """The release's name for people."""
    return loaded.recipe.release.pretty_name or loaded.recipe.name
