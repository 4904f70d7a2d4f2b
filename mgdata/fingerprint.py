"""Fingerprints: everything that shapes a shard's data, and so makes an old entry stale."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec

from mgdata.identity import digest
from mgdata.manifest import Shard
from mgdata.plugins import Corpus
from mgdata.registry import source_digest
from mgdata.resources import versions


def shape(module: str, plugins: Sequence[Any]) -> str:
    """Digest of what shapes a stage's data: sources, settings and libraries."""
    parts = [source_digest(module)]
    for plugin in plugins:
        # What a plug-in has worked out and remembers is no setting.
        fields = dataclasses.fields(plugin) if dataclasses.is_dataclass(plugin) else ()
        given = ("root", "name") if isinstance(plugin, Corpus) else ()
        settings = {x.name: getattr(plugin, x.name) for x in fields if x.name not in given}
        parts.append(source_digest(type(plugin).__module__))
        parts.append(msgspec.json.encode(settings, order="sorted").decode())
    libraries = {k: v for k, v in versions().items() if k != "mgdata's source"}
    return digest(*parts, *(f"{k}={v}" for k, v in sorted(libraries.items())))


def shard(stage: str, name: str, payload: dict[str, Any], *inputs: str) -> Shard:
    """A shard whose fingerprint covers its payload and `inputs`."""
    fingerprint = digest(msgspec.json.encode(payload, order="sorted"), *inputs)
    return Shard(stage=stage, name=name, fingerprint=fingerprint, payload=payload)
