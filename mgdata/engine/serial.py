"""The serial engine: one worker, in this process, shards in order.

For previews, debugging and most tests; the reference that every other engine must equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mgdata.engine.stage import Stage, Tell
from mgdata.manifest import Entry, Shard


class SerialEngine:
    """Runs shards one after another. Needs nothing and starts at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def run(self, stage: Stage, shards: Sequence[Shard]) -> Iterator[Entry]:
        """Entries in the order of `shards`."""

        def fed() -> Iterator[Shard]:
            for shard in shards:
                self._tell("shard started", {"stage": stage.name, "shard": shard.name})
                yield shard

        yield from stage.open()(fed())

    def close(self) -> None:
        """Nothing to let go."""
