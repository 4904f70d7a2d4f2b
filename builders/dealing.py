"""Photos dealt onto heaps until a heap is a set: random sets, or sets that share a class.

Not a task: `free_form` uses it. It sees index columns only.
"""

from __future__ import annotations

from collections.abc import Iterator

from builders.sets import Ints, Photos
from mgdata.identity import Stream


class Deck(Photos):
    """The photos of one index view, to be dealt."""

    @property
    def corpora(self) -> Ints:
        """The corpus of each photo, by number."""
        return self._corpus

    @property
    def units(self) -> Ints:
        """The unit of each photo, by number."""
        return self._unit

    def dealt(
        self, positions: Ints, heaps: Ints, images: tuple[int, int], rng: Stream
    ) -> Iterator[tuple[int, ...]]:
        """Rows of sets: each photo, in the order they come, is put on its heap.

        A heap that has as many photos as were drawn for it (`images`: fewest and most, uniformly)
        is a set. A photo may be put on several heaps: the first to be full has it.
        """
        held: dict[int, tuple[int, list[int]]] = {}
        for position, heap in zip(positions.tolist(), heaps.tolist(), strict=True):
            size, hand = held.get(heap) or (rng.between(*images), [])
            hand = [one for one in hand if self.free(one, ())]
            if position not in hand and self.free(position, hand):
                hand.append(position)
            held[heap] = size, hand
            if len(hand) == size:
                del held[heap]
                if self.new(hand):
                    yield self.taken(hand)
