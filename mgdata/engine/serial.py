"""The serial engine: one worker, in this process, shards in order.

For previews, debugging and most tests; the reference that every other engine must equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mgdata.engine.stage import Stage, Tell, unfinished
from mgdata.manifest import Entry, Shard


class SerialEngine:
    """Runs shards one after another. Needs nothing and starts at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def run(self, stage: Stage, shards: Sequence[Shard]) -> Iterator[Entry]:
        """Entries in the order of `shards`."""
        waiting: set[str] = set()

        def fed() -> Iterator[Shard]:
            for shard in shards:
                self._tell("shard started", {"stage": stage.name, "shard": shard.name})
                waiting.add(shard.name)
                yield shard

        for entry in stage.open()(fed()):
            waiting.discard(entry.name)
            yield entry
        if waiting:
            raise unfinished(stage, waiting)

    def close(self) -> None:
        """Nothing to let go."""
