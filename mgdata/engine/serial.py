"""The serial engine: one worker, in this process, shards in order.

For previews, debugging and most tests; the reference that every other engine must equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from mgdata.engine.stage import More, Stage, Tell, always, close_all, unfinished
from mgdata.manifest import Entry, Shard


class SerialEngine:
    """Runs shards one after another. Needs nothing and starts at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def run(self, stage: Stage, shards: Sequence[Shard], more: More = always) -> Iterator[Entry]:
        """Entries in the order of `shards`, until `more` says False."""
        waiting: set[str] = set()

        def fed() -> Iterator[Shard]:
            for shard in shards:
                if not more():
                    return
                self._tell("shard started", {"stage": stage.name, "shard": shard.name})
                waiting.add(shard.name)
                yield shard

        feed = fed()
        if (first := next(feed, None)) is None:  # nothing to do: a worker may be dear to open
            return
        for entry in stage.open()(chain([first], feed)):
            waiting.discard(entry.name)
            yield entry
        if waiting:
            raise unfinished(stage, waiting)

    def close(self) -> None:
        """Close what stages keep in this process."""
        close_all()
