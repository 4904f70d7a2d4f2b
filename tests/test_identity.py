"""Ids that cannot collide by joining, and a stream that no version or machine may change."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgdata.identity import Stream, content_id, digest


def stream() -> Stream:
    return Stream("7", "train", "got10k/a")


# Ids


def test_a_digest_is_pinned_because_ids_are_published():
    # SHA-256 of the little-endian 8-byte lengths before "a" and "bc".
    assert digest("a", "bc") == "9a8acca1b6c6c0befd3fbc756aed625da998c998f7252e738c4ef061906b9b21"
    assert content_id("mgdata") == "12714b747b72f962"


def test_text_and_its_utf8_bytes_are_the_same_part():
    assert digest("größe") == digest("größe".encode())


PARTS = st.lists(st.text(max_size=3) | st.binary(max_size=3), max_size=4)


def as_bytes(parts: list[str | bytes]) -> list[bytes]:
    return [part.encode() if isinstance(part, str) else part for part in parts]


@given(PARTS, PARTS)
def test_digests_are_equal_only_where_the_parts_are(first, second):
    assert (digest(*first) == digest(*second)) == (as_bytes(first) == as_bytes(second))


@given(st.text(max_size=6), st.data())
def test_where_a_text_is_cut_changes_its_digest(text, data):
    cut = data.draw(st.integers(0, len(text)))
    assert digest(text[:cut], text[cut:]) != digest(text)


def test_a_part_that_holds_another_parts_length_does_not_collide():
    one = b"a" + (1).to_bytes(8, "little") + b"b"
    assert digest(one) != digest("a", "b")


# The stream


def test_the_stream_is_pinned_because_releases_are_made_from_it():
    rng = stream()
    assert [rng.below(10) for _ in range(12)] == [3, 3, 6, 3, 6, 1, 4, 9, 2, 6, 3, 6]
    assert rng.below(1 << 63) == 776739879692040290
    assert rng.uniform() == 0.7381445964566102
    assert rng.between(3, 9) == 3
    assert rng.choice("abcdef") == "e"
    assert rng.sample(range(10), 4) == [6, 4, 9, 2]
    items = list(range(8))
    rng.shuffle(items)
    assert items == [2, 4, 3, 1, 0, 7, 6, 5]
    assert rng.permutation(8).tolist() == [3, 5, 6, 7, 4, 1, 0, 2]


def test_equal_parts_give_equal_streams():
    one, two = stream(), stream()
    assert [one.below(1 << 60) for _ in range(50)] == [two.below(1 << 60) for _ in range(50)]


@pytest.mark.parametrize(
    "parts",
    [
        ("7", "train", "got10k/b"),  # another group
        ("8", "train", "got10k/a"),  # another seed
        ("7", "traingot10k/a"),  # the same letters, cut elsewhere
        ("train", "7", "got10k/a"),  # another order
        (),
    ],
)
def test_different_parts_give_different_streams(parts):
    other, own = Stream(*parts), stream()
    assert [other.below(1 << 60) for _ in range(4)] != [own.below(1 << 60) for _ in range(4)]


def test_the_first_draws_of_neighbouring_streams_are_uniform():
    # Every group draws only a few times from a stream of its own.
    counts = Counter(Stream("7", str(i)).below(10) for i in range(5000))
    assert chi_square([counts[i] for i in range(10)]) < 27.9


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 for count in counts) / expected


# The value that a uniform stream exceeds once in a thousand seeds, by degrees of freedom.
@pytest.mark.parametrize(("n", "limit"), [(2, 10.8), (6, 20.5), (10, 27.9), (97, 143.9)])
def test_below_is_uniform(n, limit):
    rng = stream()
    counts = Counter(rng.below(n) for _ in range(20000))
    assert set(counts) == set(range(n))
    assert chi_square([counts[i] for i in range(n)]) < limit


def test_below_has_no_modulo_bias_at_a_bound_that_does_not_divide():
    # Taken modulo 3 * 2^62, raw draws would fall below 2^62 half the time instead of a third.
    rng = stream()
    low = sum(rng.below(3 << 62) < 1 << 62 for _ in range(6000))
    assert abs(low - 2000) < 120  # 3.3 standard deviations


@pytest.mark.parametrize("n", [0, -1])
def test_below_needs_a_positive_bound(n):
    with pytest.raises(ValueError, match="positive bound"):
        stream().below(n)


def test_between_includes_both_ends_and_nothing_else():
    rng = stream()
    assert {rng.between(4, 6) for _ in range(200)} == {4, 5, 6}


def test_uniform_is_in_the_half_open_unit_interval_with_mean_a_half():
    rng = stream()
    values = [rng.uniform() for _ in range(20000)]
    assert 0 <= min(values) < 0.001
    assert 0.999 < max(values) < 1
    assert abs(sum(values) / len(values) - 0.5) < 0.007  # 3.4 standard errors


def test_choice_reaches_every_item():
    rng = stream()
    assert {rng.choice("abc") for _ in range(100)} == set("abc")


def test_a_sample_holds_distinct_positions_and_leaves_the_items_alone():
    rng = stream()
    items = ["a", "a", "b"]
    for n in range(4):
        drawn = rng.sample(items, n)
        assert len(drawn) == n
        assert not Counter(drawn) - Counter(items)
    assert items == ["a", "a", "b"]


def test_every_order_is_shuffled_and_sampled_equally_often():
    rng = stream()
    shuffled, sampled = Counter(), Counter()
    for _ in range(6000):
        items = [0, 1, 2]
        rng.shuffle(items)
        shuffled[tuple(items)] += 1
        sampled[tuple(rng.sample([0, 1, 2], 3))] += 1
    for counts in (shuffled, sampled):
        assert len(counts) == 6
        assert chi_square(list(counts.values())) < 20.5


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_a_permutation_holds_every_number_once(n):
    order = stream().permutation(n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_a_permutation_of_a_thousand_is_not_the_order_it_began_with():
    order = stream().permutation(1000)
    assert (order == np.arange(1000)).sum() < 10
    assert order.tolist() != stream().permutation(1001)[:1000].tolist()
