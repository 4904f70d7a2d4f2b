from __future__ import annotations

import difflib
import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from builders.referential_retrieval import WORDING, ReferentialRetrieval
from builders.retrieval_asked import quotable, several
from mgdata.data import ALL, Expression, Image, Record, Region, Sample, Turn
from mgdata.errors import Rejected
from mgdata.geometry import Box
from mgdata.identity import Stream
from mgdata.notations.qwen2_vl import Qwen2VL
from mgdata.scoring.matching import score
from mgdata.validity import sample_fault

TEXT = "a dog without a leash"


def photo(
    number: int,
    *shown: str,
    exhaustive: tuple[str, ...] = (ALL,),
    absent: tuple[str, ...] = (),
    ignored: str = "",
    size: float = 20,
    texts: tuple[Expression, ...] = (),
) -> Record:
    """A photo of 100 x 100 with a thing for each label; D3's labels are their phrases too."""
    regions = [
        Region(image=0, box=Box(9 * i, number, 9 * i + size, number + size), label=label,
               phrase=label if " " in label else None)
        for i, label in enumerate(shown)
    ]  # fmt: skip
    if ignored:
        regions.append(Region(image=0, box=Box(0, 0, 30, 30), label=ignored, ignore=True))
    return Record(
        key=f"made/{number}",
        shape="image",
        unit=str(number),
        images=(Image(uri=f"made:{number}.jpg", width=100, height=100),),
        regions=tuple(regions),
        expressions=texts,
        license="CC0-1.0",
        exhaustive=exhaustive,
        absent=absent,
    )


def text(words: str, *regions: int, label: str | None = "dog", form: Any = "phrase") -> Expression:
    return Expression(text=words, regions=regions, label=label, form=form)


def built(records: list[Record], seed: str = "s", **settings: Any) -> Sample:
    (found,) = ReferentialRetrieval(**settings).build(records, Stream(seed))
    assert isinstance(found, Sample)
    assert sample_fault(found) is None
    return found


def asked(records: list[Record], **settings: Any) -> dict[str, int]:
    """Every name that a set of photos is ever asked for, with the number of targets."""
    names = {several(r.label) for record in records for r in record.regions}
    names |= {quotable(r.label) for record in records for r in record.regions}
    names |= {quotable(e.text) for record in records for e in record.expressions}
    found: dict[str, int] = {}
    for seed in range(30):
        # Another key draws another lot.
        keyed = [r.__replace__(key=f"{r.key}/{seed}") for r in records]
        try:
            turn = built(keyed, str(seed), **settings).turns[0]
        except Rejected:
            continue
        named = [n for n in names if n and re.search(rf'[ "]{re.escape(n)}\b', turn.question)]
        found[max(named, key=len)] = len(turn.targets)
    return found


def test_one_target_is_the_only_thing_of_its_class_in_all_photos() -> None:
    records = [photo(1, "dog", "cat", "bus"), photo(2, "cat"), photo(3, "kite")]
    assert asked(records, count="one") == {"dogs": 1, "buses": 1}


def test_many_targets_lie_in_one_photo_or_in_several() -> None:
    records = [photo(1, "dog", "cat", "cat", "bus"), photo(2, "dog", "dog"), photo(3, "kite")]
    assert asked(records, count="many") == {"dogs": 3, "cats": 2}
    turn = built([photo(1, "dog"), photo(2, "dog", "dog"), photo(3)], count="many").turns[0]
    assert sorted(Counter(target.image for target in turn.targets).values()) == [1, 2]


def test_no_target_is_asked_for_by_a_photo_that_is_not_shown() -> None:
    records = [photo(1, "dog", "dog", "cat"), photo(2, "cat"), photo(3, "kite")]
    assert asked(records, count="none") == {"dogs": 0}
    sample = built(records, count="none")
    assert sorted(sample.records) == ["made/2", "made/3"]
    assert len(sample.images) == 2


@pytest.mark.parametrize("count", ["none", "one", "many"])
@pytest.mark.parametrize(
    ("leads", "other"),
    [
        # a crowd of dogs beside the dog, or elsewhere
        (photo(1, "dog", "dog", ignored="dog"), photo(2, "cat")),
        (photo(1, "dog", ignored="dog"), photo(2, "cat")),
        (photo(1, "dog", "dog"), photo(2, "cat", ignored="dog")),
        (photo(1, "dog"), photo(2, "cat", ignored="dog")),
        # nobody looked for dogs, or for more dogs (LVIS: not exhaustive)
        (photo(1, "dog", "dog"), photo(2, exhaustive=("cat",))),
        (photo(1, "dog"), photo(2, exhaustive=("cat",))),
        (photo(1, "dog", "dog", exhaustive=("cat",)), photo(2)),
        (photo(1, "dog", exhaustive=()), photo(2)),
        (photo(1, "dog", "dog"), photo(2, "dog", exhaustive=("cat",))),
        # a puppy is a dog too, shown anywhere
        (photo(1, "dog", "dog"), photo(2, "puppy")),
        (photo(1, "dog"), photo(2, "puppy")),
        # no words
        (photo(1, "n02084071"), photo(2)),
        (photo(1, "n02084071", "n02084071"), photo(2)),
    ],
)
def test_what_is_not_known_to_be_complete_is_not_asked_for(
    leads: Record, other: Record, count: str
) -> None:
    assert asked([leads, other], count=count) == {}


def test_a_class_is_known_by_lists_of_labels_too() -> None:
    leads = photo(1, "dog", exhaustive=("dog",))
    for other in (photo(2, exhaustive=("dog",)), photo(2, exhaustive=(), absent=("dog",))):
        assert asked([leads, other], count="one") == {"dogs": 1}
        assert asked([leads, other], count="none") == {"dogs": 0}


def test_a_thing_too_small_to_be_seen_is_not_left_out_of_the_answer_but_never_asked_for() -> None:
    records = [photo(1, "dog"), photo(2, "dog", size=2), photo(3)]
    with pytest.raises(Rejected, match="size band"):
        built(records, count="many")
    assert asked(records, count="many", area=(0.0001, 1.0)) == {"dogs": 2}
    with pytest.raises(Rejected, match="size band"):
        built([photo(2, "dog", size=2), photo(3)], count="none")
    with pytest.raises(Rejected, match="size band"):
        built([photo(1, "dog", size=60), photo(3)], count="one", area=(0.0, 0.3))


def test_sets_with_more_targets_than_the_most_are_not_asked_about() -> None:
    records = [photo(1, "dog", "dog"), photo(2, "dog", "dog")]
    assert asked(records, count="many") == {"dogs": 4}
    assert asked(records, count="many", most=3) == {}


def test_a_thing_that_is_boxed_twice_is_no_answer() -> None:
    twice = photo(1, "dog")
    twice = twice.__replace__(regions=twice.regions * 2)
    with pytest.raises(Rejected, match="one box twice"):
        built([twice, photo(2)], count="many")


def test_a_sentence_is_quoted_and_judged_for_itself() -> None:
    """D3 looked for each sentence: that a dog is there says nothing of dogs without a leash."""
    records = [photo(1, TEXT, "dog"), photo(2, "dog"), photo(3, absent=(TEXT,))]
    assert asked(records, count="one") == {TEXT: 1}
    sample = built(records, count="one")
    assert f'"{TEXT}"' in sample.turns[0].question
    assert sample.turns[0].targets[0].phrase == TEXT


def test_which_class_is_asked_for_does_not_hang_on_the_order_of_regions() -> None:
    for seed in range(20):
        records = [photo(1, "dog", "cat", "bus"), photo(2 + seed, "kite")]
        first = records[0]
        turned = first.__replace__(regions=first.regions[::-1])
        a, b = built(records, count="one"), built([turned, records[1]], count="one")
        assert a.turns[0].targets[0].phrase == b.turns[0].targets[0].phrase


def test_in_one_image_the_others_need_not_lack_anything() -> None:
    leads = photo(1, "dog", "cat", "cat")
    others = [photo(2, "dog", "cat", exhaustive=()), photo(3, exhaustive=())]
    assert asked([leads, *others], count="one", scope="image") == {"dogs": 1}
    assert asked([leads, *others], count="many", scope="image") == {"cats": 2}
    assert asked([leads, *others], count="none", scope="image") == {}
    assert asked([leads, others[0], photo(3, "cat")], count="none", scope="image") == {"dogs": 0}
    sample = built([leads, *others], count="one", scope="image")
    (place,) = sample.turns[0].asked
    assert sample.records[place] == "made/1"
    assert {target.image for target in sample.turns[0].targets} == {place}
    sample = built([leads, others[0], photo(3, "cat")], count="none", scope="image")
    assert sample.records[sample.turns[0].asked[0]] == "made/3"
    assert len(sample.images) == 3


TEXTS = (text("left dog", 0), text("both dogs", 0, 1), text("the dog with a hat"))


def test_a_text_is_asked_where_the_others_are_known_not_to_show_its_label() -> None:
    leads = photo(1, "dog", "dog", texts=TEXTS)
    rest: dict[str, Any] = {"phrases": "expressions"}
    assert asked([leads, photo(2, "cat")], count="one", **rest) == {"left dog": 1}
    assert asked([leads, photo(2, "cat")], count="many", **rest) == {"both dogs": 2}
    assert asked([leads, photo(2, "cat")], count="many", most=2, **rest) == {"both dogs": 2}
    for other in (photo(2, "dog"), photo(2, "puppy"), photo(2, exhaustive=("cat",)),
                  photo(2, ignored="dog")):  # fmt: skip
        assert asked([leads, other], count="one", **rest) == {}
        assert asked([leads, other], count="none", **rest) == {}


def test_a_text_that_refers_to_nothing_is_asked_beside_its_own_photo() -> None:
    records = [photo(1, "dog", "dog", texts=TEXTS), photo(2, "cat"), photo(3)]
    sample = built(records, count="none", phrases="expressions")
    assert '"the dog with a hat"' in sample.turns[0].question
    assert "made/1" in sample.records


def test_any_other_text_has_no_target_where_its_photo_is_not_shown() -> None:
    records = [photo(1, "dog", "dog", texts=TEXTS[:2]), photo(2, "cat"), photo(3)]
    settings: dict[str, Any] = {"count": "none", "phrases": "expressions"}
    assert asked(records, **settings) == {"left dog": 0, "both dogs": 0}
    assert sorted(built(records, **settings).records) == ["made/2", "made/3"]
    sample = built(records, scope="image", **settings)
    assert len(sample.images) == 3
    assert sample.records[sample.turns[0].asked[0]] != "made/1"


def test_a_text_without_a_label_is_asked_of_its_own_image_alone() -> None:
    leads = photo(1, "people", "people", texts=(text("two pedestrians", 0, 1, label=None),))
    records = [leads, photo(2, "people", exhaustive=())]
    settings: dict[str, Any] = {"count": "many", "phrases": "expressions"}
    assert asked(records, **settings) == {}
    assert asked(records, scope="image", **settings) == {"two pedestrians": 2}


@pytest.mark.parametrize(
    "leads",
    [
        photo(1, "dog", texts=(text("where is the dog?", 0, form="question"),)),
        photo(1, "dog", ignored="dog", texts=(text("the pack", 1),)),
        photo(1, "dog", texts=(text("the <region:0> dog", 0),)),
        photo(1, "dog", texts=(text("dog in the second picture", 0),)),
        photo(1, "dog", size=2, texts=(text("left dog", 0),)),
    ],
)
def test_a_text_that_cannot_be_asked_is_not(leads: Record) -> None:
    assert asked([leads, photo(2)], count="one", phrases="expressions") == {}


def test_without_a_count_a_set_is_asked_about_as_it_can_be() -> None:
    """It has one photo more than it shows, so that the first may be hidden."""
    records = [photo(1, "dog", "cat", "cat"), photo(2, "cat"), photo(3)]
    found = Counter(
        len(built([r.__replace__(key=f"{r.key}/{i}") for r in records], str(i)).turns[0].targets)
        for i in range(90)
    )
    assert set(found) == {0, 1, 3}
    assert min(found.values()) > 10
    assert all(len(built(records, str(i)).images) == 2 for i in range(20))


def test_every_target_follows_its_image_in_order() -> None:
    records = [photo(1, "dog", "dog"), photo(2, "dog"), photo(3), photo(4, "dog", "dog", "dog")]
    for seed in range(60):
        sample = built(records, str(seed), count="many", naming="number")
        turn = sample.turns[0]
        order = [(target.image, target.box.x1) for target in turn.targets]
        assert order == sorted(order)
        named = re.findall(r"Image-(\d)|<target:(\d)>", turn.answer)
        image, told = 0, dict[int, int]()
        for name, slot in named:
            image = int(name) - 1 if name else image
            if slot:
                told[int(slot)] = image
        assert list(told) == list(range(6))
        assert [told[i] for i in range(6)] == [target.image for target in turn.targets]
        text_ = Qwen2VL().answer(turn, sample.images)
        assert score(Qwen2VL().parse(text_, turn, sample.images), turn, text=text_).full


def test_the_target_is_in_any_image_alike() -> None:
    records = [photo(n, "dog") if n == 1 else photo(n, "cat") for n in range(1, 6)]
    places = Counter(
        built(records, str(seed), count="one").turns[0].targets[0].image for seed in range(600)
    )
    assert sum((places[k] - 120) ** 2 / 120 for k in range(5)) < 18.5  # p = 0.001


def turns(**settings: Any) -> list[Turn]:
    """Questions and answers of all that words can be about."""
    leads = photo(1, "person", "broccoli", "scissors", "cabinet/shelf", "ox", TEXT, "cat", "cat",
                  texts=(text("left guy", 0, label="person"), text("the cats", 6, 7, label="cat"),
                         text("blue hydrant", label="fire hydrant")))  # fmt: skip
    records = [leads, photo(2, "kite"), photo(3)]
    found: list[Turn] = []
    for seed in range(900):
        keyed = [r.__replace__(key=f"{r.key}/{seed}") for r in records]
        found += built(keyed, str(seed), **settings).turns
    return found


@pytest.mark.parametrize("phrases", ["labels", "expressions"])
@pytest.mark.parametrize("scope", ["all", "image"])
def test_no_form_is_left_unused_and_none_reads_wrong(phrases: str, scope: str) -> None:
    said = [
        turn
        for count in ("none", "one", "many")
        for turn in turns(phrases=phrases, scope=scope, count=count)
    ]
    kinds = ["phrase"] if phrases == "expressions" else ["phrase", "class"]
    end = "_in" if scope == "image" else ""
    for kind in kinds:
        for name, side in ((f"ask_{kind}{end}", "question"), (f"none_{kind}{end}", "answer")):
            for form in WORDING.forms[name]:
                pattern = re.sub(r"\\\{\w+\\\}", ".+?", re.escape(form.text))
                assert any(re.search(pattern, getattr(turn, side)) for turn in said), form.text
    for turn in said:
        words = f"{turn.question} {turn.answer}"
        assert not re.search(r"[{}]|  | \.|\.\.|persons|broccolis|\boxes|[^\"]left guy", words)
        for wrong in ("is people", "a people", "are bread", "scissorses", "cabinets/"):
            assert wrong not in words


def test_wording_is_rich_and_every_question_admits_any_number() -> None:
    for name, forms in WORDING.forms.items():
        assert len(forms) >= (22 if name.startswith("ask") else 8), name
        for one, other in combinations(forms, 2):
            if name.startswith("ask"):
                alike = difflib.SequenceMatcher(None, one.text, other.text).ratio()
                assert alike < 0.85, (one.text, other.text)


def test_words_are_put_as_they_can_stand() -> None:
    assert [several(words) for words in ("person", "bread", "skis", "pen or pencil")] == [
        "people", "bread", "skis", "pens or pencils"]  # fmt: skip
    assert several("cutting or chopping board") == "cutting or chopping boards"
    assert quotable(" A  dog. ") == "a dog"
    assert quotable("Asian man") == "Asian man"
    for strange in ("", "?", 'the "x" one', "first photo", "left pic", "photo 2", "word " * 31):
        assert quotable(strange) == ""
    assert quotable("picture on the wall") == "picture on the wall"


@pytest.mark.parametrize(
    "settings",
    [
        {"images": (1, 4)},
        {"images": (4, 3)},
        {"hard": 1.5},
        {"spread": -0.1},
        {"power": 2.0},
        {"area": (0.5, 0.5)},
        {"most": 1},
        {"per_image": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        ReferentialRetrieval(**settings)
