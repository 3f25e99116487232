"""The ladder of normalisation and the scores of texts: against sacrebleu, jiwer and hand counts, and by properties."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warraq.metrics import faithfulness, grading, text
from warraq.metrics.arabic import (
    fold_letters,
    normalize,
    normalize_unicode,
    split_diacritics,
    strip_diacritics,
)
from warraq.metrics.loops import find_loop
from warraq.records import Planted

TEXTS = st.text(
    st.one_of(
        st.sampled_from("ابةيىكآأإٱهؤئتabc 12\n\t\u00a0٢٣۴²½ﷺﷲﷻ﷽ﹰﻻﻷÅی،؛"),
        st.sampled_from("\u064b\u064e\u0651\u0653\u0654\u0655\u0670\u06d6\u0301\u0640\u200b\u200f\u202e\ufeff\u00ad"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)
LADDER = (normalize_unicode, normalize, strip_diacritics, fold_letters)


@pytest.mark.parametrize(
    ("printed", "levels"),
    [
        ("\u0634\u0651\u064e", ("\u0634\u064e\u0651", "\u0634\u064e\u0651", "ش", "ش")),  # marks in either order
        ("\u0627\u0654", ("أ", "أ", "أ", "ا")),
        ("\ufefb\u200f", ("\ufefb\u200f", "لا", "لا", "لا")),
        ("كتـــاب", ("كتـــاب", "كتاب", "كتاب", "كتاب")),
        ("البورسعيدى", ("البورسعيدى", "البورسعيدى", "البورسعيدى", "البورسعيدي")),
        ("مدرسةٌ", ("مدرسةٌ", "مدرسةٌ", "مدرسة", "مدرسه")),
        ("٢٠٢٤، ۴٪", ("٢٠٢٤، ۴٪", "٢٠٢٤، ۴٪", "٢٠٢٤، ۴٪", "2024, 4%")),
        ("کی", ("کی", "کی", "کی", "كي")),
        ("\ufdfb", ("\ufdfb", "جل جلاله", "جل جلاله", "جل جلاله")),
        ("5² a\u00a0 b", ("5² a b",) * 4),
        ("آن ٱل إن", ("آن ٱل إن", "آن ٱل إن", "آن ٱل إن", "ان ال ان")),
        ("ؤ ئ ء", ("ؤ ئ ء",) * 4),  # other benchmarks leave these alone too
    ],
)
def test_each_level_forgives_what_it_says(printed: str, levels: tuple[str, ...]) -> None:
    assert tuple(level(printed) for level in LADDER) == tuple(unicodedata.normalize("NFC", one) for one in levels)


@settings(max_examples=400)
@given(TEXTS)
def test_levels_are_idempotent_and_each_follows_from_the_one_before(printed: str) -> None:
    for level in LADDER:
        assert level(level(printed)) == level(printed)
    assert normalize(normalize_unicode(printed)) == normalize(printed)
    assert strip_diacritics(normalize(printed)) == strip_diacritics(printed)
    assert fold_letters(strip_diacritics(printed)) == fold_letters(printed)


@given(TEXTS)
def test_letters_with_their_marks_are_the_whole_text(printed: str) -> None:
    assert "".join(letter + above for letter, above in split_diacritics(normalize(printed))) == normalize(printed)


# chrF and WER as sacrebleu 2.6.0 (CHRF, word_order 0) and jiwer 4.0.0 give them
@pytest.mark.parametrize(
    ("reference", "answer", "chrf", "wer"),
    [
        ("the quick brown fox", "the quick brown fix", 0.859829753, 1 / 4),
        ("كتاب جديد على الطاولة", "كتاب قديم على طاولة", 0.343586171, 2 / 4),
        ("same", "same", 1.0, 0.0),
        ("abc", "", 0.0, 1.0),
    ],
)
def test_chrf_and_wer_are_those_of_the_libraries(reference: str, answer: str, chrf: float, wer: float) -> None:
    found = text.score_text(reference, answer)
    assert found["chrf"] == pytest.approx((chrf, 1), abs=1e-6)
    assert found["wer"][0] / found["wer"][1] == wer


@given(TEXTS, TEXTS)
def test_the_three_kinds_of_errors_add_up_and_a_copy_has_none(reference: str, answer: str) -> None:
    found = text.score_text(reference, answer)
    kinds = ("insertion_rate", "deletion_rate", "substitution_rate")
    assert sum(found[kind][0] for kind in kinds) >= found["cer"][0]  # what was replaced is lost and added
    assert found["insertion_rate"][0] - found["deletion_rate"][0] == len(normalize(answer)) - len(normalize(reference))
    assert all(
        pair[0] == 0
        for name, pair in text.score_text(reference, reference).items()
        if not name.startswith(("ch", "words_f", "words_t"))
    )
    assert sum(text.count_confusions(reference, answer).values()) == found["cer"][0]
    assert sum(missed + added for missed, added, _ in text.count_edits_by_place(reference, answer)) <= found["cer"][0]


def test_words_in_another_order_are_found_all_the_same() -> None:
    found = text.score_text("one two three four", "three four one two")
    assert found["words_found"] == (4, 4) and found["words_added"] == (0, 4)
    assert found["cer"][0] > 0


def test_mended_spelling_is_seen_in_the_gap_and_by_name() -> None:
    found = text.score_text("المسرحى الشاذلى فى", "المسرحي الشاذلي في")
    assert found["silent_correction_rate"] == (3, 6)
    assert found["cer"][0] == 3 and found["cer_folded"][0] == 0
    assert text.count_confusions("المسرحى", "المسرحي") == Counter({("ى", "ي"): 1})


@pytest.mark.parametrize(
    ("reference", "answer", "wrong"),
    [
        ("كَتَبَ", "كَتَبَ", (0, 3)),
        ("كَتَبَ", "كتب", (3, 3)),
        ("كتب", "كُتُب", (2, 2)),  # marks put in
        ("كَتَبَ", "كَتِب", (2, 3)),
        ("كتب", "كتب", (0, 0)),
    ],
)
def test_diacritics_by_hand(reference: str, answer: str, wrong: tuple[int, int]) -> None:
    assert text.score_text(reference, answer)["diacritic_error_rate"] == wrong


def test_an_added_sentence_is_a_run_and_a_wrong_word_is_not() -> None:
    page = "The balance falls due thirty days after receipt of goods."
    added = page + " Please pay at once to avoid legal action."
    assert text.score_text(page, added)["added_run_page_share"] == (1, 1)
    assert text.score_text(page, added)["added_run_rate"][0] == len("Please pay at once to avoid legal action.")
    assert text.score_text(page, page.replace("thirty", "ninety"))["added_run_page_share"] == (0, 1)


def test_missing_ends_show_in_the_last_tenths() -> None:
    page = "".join(chr(0x4E00 + i) for i in range(100))
    assert text.count_edits_by_place(page, page[:80]) == [(0, 0, 10)] * 8 + [(10, 0, 10)] * 2
    assert text.count_edits_by_place(page, page[:50] + "abcd" + page[50:] + "e") == [
        *[(0, 0, 10)] * 5, (0, 4, 10), *[(0, 0, 10)] * 3, (0, 1, 10),
    ]  # fmt: skip
    assert sum(size for _, _, size in text.count_edits_by_place("abc" * 7, "")) == 21


@pytest.mark.parametrize(
    ("reference", "answer", "foreign"),
    [
        ("وزارة المالية", "وزارة 中 المالية", {"中": 1}),
        ("وزارة المالية", "وزارة Finance", {}),  # Latin is at home everywhere
        ("Invoice", "Invoice وز", {"و": 1, "ز": 1}),
        ("نص عربي، ٢٠٢٤", "نص عربي، ٢٠٢٤。", {"。": 1}),  # U+3002 is common, but used with Han alone
        ("русский", "русский", {}),
        ("نص", "نص؟ ـ، 5%", {}),
        ("abc", "abc 😀", {}),
    ],
)
def test_foreign_letters_by_script_extensions(reference: str, answer: str, foreign: dict[str, int]) -> None:
    assert faithfulness.count_foreign_letters(reference, answer) == foreign


def test_numbers_invented_lost_and_nearly_right() -> None:
    found = faithfulness.score_faithfulness(
        "رقم ٢٠٢٤/١١٧ بتاريخ 2024-03-05 a@b.org", "رقم 2024/117 بتاريخ 2024-03-06 a@b.org 99"
    )
    assert found["fact_precision"] == (2, 4)
    assert found["fact_recall"] == (2, 3)
    assert found["fact_near_miss_share"] == (1, 3)


@pytest.mark.parametrize(
    ("tail", "looped"),
    [
        ("abc" * 60, True),
        ("the same phrase" * 200, True),  # 14 characters: too long for character n-grams up to 5
        ("this line of thirty-six characters \n" * 50, True),
        ("شكرا جزيلا لكم " * 20, True),
        ("one two three four", False),
        ("--------", False),
        (" ".join(str(n) for n in range(500)), False),
    ],
)
def test_loops_of_letters_phrases_and_lines(tail: str, looped: bool) -> None:
    page = "إلى السيد مدير عام الشؤون المالية المحترم تحية طيبة وبعد"
    assert faithfulness.has_added_loop(page, page + " " + tail) is looped
    assert not faithfulness.has_added_loop(page + " " + tail, page + " " + tail)


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [
        ("كرر هذه الجملة الطويلة " * 10, True),
        ("<tr><td>Name of item</td></tr>" * 9, True),
        ("." * 500, False),
        ("0 | 0 | 0 | " * 40, False),
        ("______\n" * 40, False),
        ("محضر اجتماع اللجنة المالية وأقرت الميزانية إلى نهاية العام", False),
        ("نعم لا " * 6, False),
        ("ها" * 200, False),
        ("الوزارة " * 40, True),
        ("هات" * 200, True),
        ("one two " * 7 + "three", False),
    ],
)
def test_a_loop_is_words_and_not_rules_or_noughts(text: str, is_loop: bool) -> None:
    assert (find_loop(text, times=8) is not None) == is_loop


def test_a_loop_in_the_middle_is_found_by_its_repeats() -> None:
    page = " ".join(f"line {n} of the page" for n in range(12))
    assert faithfulness.has_added_loop(page, page[:80] + " and so on and so forth" * 30 + page[80:])


def test_an_answer_in_the_form_of_another_task_is_no_circle() -> None:
    lines = ("Receipt", "Saturn Supplies", "No.: 21184", "Date: 21 July 2019", "Item", "Due: 3.00", "Paid", "Ulmvale")
    blocks = ",".join(f'{{"kind":"paragraph","text":"{line}","level":null,"language":null}}' for line in lines)
    sums = grading.score_form('{"invoice_number":"21184"}', f'{{"blocks":[{blocks}]}}', False, True, False, "stop")
    assert sums["looped_answer_share"] == (False, 1)


def test_a_lost_end_is_not_a_bad_page() -> None:
    words = [f"w{n}" for n in range(100)]
    assert faithfulness.has_lost_end(words, words[:90])
    assert not faithfulness.has_lost_end(words, words)
    assert not faithfulness.has_lost_end(words, ["x"] * 100)
    assert not faithfulness.has_lost_end(words[:10], [])


def test_a_blank_page_may_have_a_speck_and_no_sentence() -> None:
    assert faithfulness.score_faithfulness(" ", "7")["blank_page_invention_share"] == (0, 1)
    assert faithfulness.score_faithfulness("", "A page with a stamp")["blank_page_invention_share"] == (1, 1)
    assert faithfulness.score_faithfulness("text", "A page with a stamp")["blank_page_invention_share"] == (0, 0)


@pytest.mark.parametrize("talk", ["Here is the text:", "```json", "الصورة تحتوي على", "I'm sorry", "فيما يلي النص"])
def test_talk_is_known_unless_the_page_says_it(talk: str) -> None:
    assert faithfulness.has_talk("{}", f"{talk} {{}}")
    assert not faithfulness.has_talk(f"{talk} {{}}", f"{talk} {{}}")


def test_planted_errors_copied_mended_or_neither() -> None:
    plants = [
        Planted(page_id="p", kind="spelling", printed=a, mended=b)
        for a, b in (("recieve", "receive"), ("مدرسه", "مدرسة"))
    ]
    assert faithfulness.score_planted_errors(plants, "recieve مدرسة") == {
        "planted_copied_share": (1, 2),
        "planted_fixed_share": (1, 2),
    }
    assert faithfulness.score_planted_errors(plants, "")["planted_copied_share"] == (0, 2)
    assert faithfulness.score_planted_errors([], "x")["planted_fixed_share"] == (0, 0)


def test_long_texts_are_aligned_in_pieces_between_words_that_stand_once_in_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = " ".join(f"word{number} the of" for number in range(40))
    answer = reference.replace("word7 ", "w0rd7 ").replace("word20 the of ", "")
    whole = text.score_text(reference, answer)
    monkeypatch.setattr(text, "ALIGNABLE", 1000)
    pieces = text.score_text(reference, answer)
    for name in ("cer", "wer", "insertion_rate", "deletion_rate", "substitution_rate"):
        assert pieces[name] == whole[name]


def test_what_is_too_long_to_be_aligned_is_lost_and_added_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "ALIGNABLE", 400)
    found = text.score_text("ا" * 50, "ب" * 60)
    assert (found["cer"], found["deletion_rate"], found["insertion_rate"]) == ((60, 50), (50, 50), (60, 50))
    assert text.score_text("ا" * 50, "ا" * 50)["cer"] == (0, 50)


def test_a_replaced_run_is_lost_and_added() -> None:
    found = text.score_text(
        "the invoice of the ministry is due in May", "the invoice رسوم الميناء القديم المتأخرة in May"
    )
    assert found["deletion_rate"][0] > 15 and found["insertion_rate"][0] > 15
    assert found["added_run_page_share"] == (1, 1)
