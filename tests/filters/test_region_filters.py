"""Filters that keep regions from being asked for: visibility, co-occurrence, ambiguity."""

from __future__ import annotations

from typing import Any

import pytest
from filter_samples import record, region
from hypothesis import given
from hypothesis import strategies as st

from mgdata.data import Region
from mgdata.filters.ambiguity import Ambiguity
from mgdata.filters.cooccurrence import Cooccurrence
from mgdata.filters.visibility import Visibility
from mgdata.plugins import Filter

FITS, TWICE = "phrase fits two regions", "annotated twice"


def ignored(filter_: Filter, *regions: Region, shape: Any = "image") -> dict[int, str]:
    found = list(filter_.regions(record(*regions, shape=shape)))
    assert len({place for place, _ in found}) == len(found)
    return dict(found)


def test_what_is_hardly_visible_is_not_asked_for_and_what_is_unknown_is() -> None:
    seen = [region("dog", visibility=share) for share in (0.0, 0.24, 0.25, 1.0, None)]
    hidden = region("dog", visibility=0.0, box=None)
    assert ignored(Visibility(), *seen, hidden) == {0: "hardly visible", 1: "hardly visible"}
    assert ignored(Visibility(least=0), *seen, hidden) == {}


@pytest.mark.parametrize("make", [lambda: Visibility(least=1.1), lambda: Ambiguity(same=0)])
def test_settings_that_are_no_share_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_classes_that_co_occur_are_not_asked_for() -> None:
    regions = (region("Dining  Table"), region("dog"), region("couch"))
    why = "habitually co-occurs"
    assert ignored(Cooccurrence(), *regions) == {0: why, 2: why}
    assert ignored(Cooccurrence(labels=("dog",)), *regions) == {1: why}
    assert ignored(Cooccurrence(), *regions, shape="clip") == {}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # The same words, whatever the label and the spelling.
        (region("dog", "The brown dog."), region("dog", "a brown  dog", 100), {0, 1}),
        (region("dog", "brown dog"), region("animal", "Brown Dog", 100), {0, 1}),
        (region("dog", "brown dog"), region("dog", "white dog", 100), set()),
        # A phrase that is the other's label.
        (region("dog", "the dog"), region("dog", "brown one", 100), {0}),
        (region("dog", "dog"), region("dog", None, 100), {0}),
        (region("animal", "dog"), region("dog", None, 100), {0}),
        # Not known: the second may or may not be brown.
        (region("dog", "brown dog"), region("dog", None, 100), set()),
        # All words of the one in the other, of the same thing.
        (region("dog", "brown dog"), region("dog", "big brown dog", 100), {0}),
        (region("person", "man"), region("person", "man in blue", 100), {0}),
        (region("person", "man"), region("person", "man left", 100), {0}),
        (region("person", "man"), region("person", "woman next to a man", 100), set()),
        (region("vehicle", "red car"), region("vehicle", "red truck by a car", 100), set()),
        (region("person", "dog"), region("dog", "man's dog", 100), set()),
        # A crowd is there all the same, and is never asked for.
        (region("person", "person"), region("person", None, 100, ignore=True), {0}),
        (region("person", "a man", ignore=True), region("person", "a man", 100), {1}),
        # One object described twice, by its box or by its track.
        (region("dog", "dog"), region("dog", "brown dog", 1), set()),
        (region("dog", "dog", track="1"), region("dog", "dog", 100, track="1"), set()),
        # Not shown, so nothing fits it; other image.
        (region("dog", "dog"), region("dog", "dog", box=None), set()),
        (region("dog", "dog"), region("dog", "dog", image=1), set()),
        # Nothing but articles and signs names nothing in particular.
        (region("dog", "a brown dog"), region("dog", "-", 100), set()),
        # By label alone only where asked for.
        (region("dog"), region("dog", None, 100), set()),
    ],
)
def test_a_phrase_that_fits_two_regions_is_not_asked_for(
    first: Region, second: Region, expected: set[int]
) -> None:
    assert ignored(Ambiguity(), first, second) == dict.fromkeys(expected, FITS)
    turned = {} if second.image > first.image else ignored(Ambiguity(), second, first)
    assert turned in ({}, dict.fromkeys({1 - place for place in expected}, FITS))


def test_labels_are_compared_where_no_phrase_is_needed() -> None:
    two = (region("dog"), region("dog", None, 100), region("cat", None, 200))
    assert ignored(Ambiguity(labels=True), *two) == {0: FITS, 1: FITS}
    spoken = (region("dog", "dog"), region("dog", "dog", 100))
    assert ignored(Ambiguity(phrases=False), *spoken) == {}


def test_of_an_object_annotated_twice_one_region_stays() -> None:
    assert ignored(Ambiguity(), region("dog"), region("dog", None, 1)) == {1: TWICE}
    assert ignored(Ambiguity(), region("dog"), region("dog", "brown dog", 1)) == {0: TWICE}
    assert ignored(Ambiguity(), region("dog"), region("cat", None, 1)) == {}
    assert ignored(Ambiguity(), region("dog"), region("dog", None, 5)) == {}
    assert ignored(Ambiguity(same=0.7), region("dog"), region("dog", None, 5)) == {1: TWICE}


def test_frames_of_a_clip_are_left_alone() -> None:
    assert ignored(Ambiguity(), region("dog", "dog"), region("dog", "dog", 100), shape="clip") == {}


PHRASES = st.sampled_from(["dog", "the dog", "brown dog", "dog with a ball", "-", None])


@given(
    st.lists(
        st.builds(region, st.sampled_from(["dog", "cat"]), PHRASES, st.integers(0, 200)),
        max_size=12,
    ),
    st.data(),
)
def test_what_stays_is_unique_and_the_order_of_regions_does_not_matter(
    regions: list[Region], data: Any
) -> None:
    out = ignored(Ambiguity(), *regions)
    kept = [r for i, r in enumerate(regions) if i not in out and r.phrase not in (None, "-")]
    words = [str(r.phrase).removeprefix("the ") for r in kept]
    for i, one in enumerate(kept):
        for j, other in enumerate(kept):
            if i != j and words[i] == words[j]:
                assert one.box is not None and other.box is not None
                assert abs(one.box.x1 - other.box.x1) <= 40 * 0.1 and one.label != other.label
    order = data.draw(st.permutations(range(len(regions))))
    turned = ignored(Ambiguity(), *(regions[i] for i in order))
    fits = {i for i, why in out.items() if why == FITS}
    if TWICE not in out.values():
        assert {order[i] for i, why in turned.items() if why == FITS} == fits
