"""What is a mark of secrecy, whatever its dress, and what only holds its letters."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warraq.teachers.safety import mark_words
from warraq.teachers.safety.marks import find_mark, find_mark_in

MARKED = [
    "سرّي", "ســري للغايــة", "سري وعاجل", "وثيقة سرية", "محدود التداول", "خاص", "CONFIDENTIAL - INTERNAL USE ONLY",
    "Private & Confidential", "C O N F I D E N T I A L", "( سري )", "س ر ي", "سِرِّيٌّ لِلْغَايَةِ", "ﺳﺮﻱ", "سرى للغايه", "س.ر.ي",
    "سري جداً", "مكتوم", "هذه الوثيقة سرية", "«سري للغاية»", "سري/عاجل", "ةياغلل يرس", "سر\u200fي", "خاص وسري",
    "محضر اجتماع اللجنة (سري)", "التصنيف: داخلي", "درجة السرية: سري", "للاستخدام الداخلي فقط", "غير مخصص للنشر",
    "محدود\nالتداول", "س\nر\nي", "وزارة الدفاع\nسري\nإلى المدير", "<table><tr><td>سري</td></tr></table>",
    "TOP SECRET//SI//NOFORN", "Classification: Internal", "Strictly Private and Confidential", "***CONFIDENTIAL***",
    "C.O.N.F.I.D.E.N.T.I.A.L", "ACME CORP. CONFIDENTIAL", "Acme Confidential", "Minutes of the board – CONFIDENTIAL",
    "Page 3 of 5 CONFIDENTIAL", "ＣＯＮＦＩＤＥＮＴＩＡＬ", "This document is confidential.", "RESTRICTED", "PRIVATE",
    "INTERNAL USE\nONLY", "Not for distribution", "CONFIDENTIEL", "SECRET DÉFENSE", "Diffusion restreinte", "محرمانه",
    "\n".join("CONFIDENTIAL"),
]  # fmt: skip

UNMARKED = [
    "السرير", "سرية عسكرية", "خاصة", "قطاع خاص", "القطاع الخاص", "مدارس خاصة", "بشكل خاص", "تم فتح حساب خاص", "أشخاص",
    "secretary", "Secretary General", "private sector", "confidentiality clause", "Confidentiality Agreement",
    "5. Confidential Information", "Confidential Treatment Requested", "Trade Secret", "The Secret Garden",
    "private school", "Restricted cash",
    "The parties agree that all confidential information shall be kept secret by the recipient",
    "غير سري", "Not confidential", "NON-CONFIDENTIAL", "UNCLASSIFIED", "Classification: Public", "التصنيف: عام",
    "أدخل الرقم السري ثم اضغط موافق", "الرقم السري: 1234", "بالاقتراع السري المباشر", "حافظ على سرية المعلومات",
    "المادة 9: السرية", "درجة السرية:", "اتفاقية السرية", "تسري أحكام هذا القانون", "ساري", "سريع", "Personal", "شخصي",
    "Internal Medicine", "شركة ذات مسؤولية محدودة", "هام وعاجل", "عاجل", "copy no 3", "Page 3 of 5", "Public", "عادي",
    "<table><tr><td>خاص</td><td>عام</td></tr></table>",
    "المدارس في الأردن\n" * 9 + "ومنها ما هو\nخاص\nومنها ما هو عام", "",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKED)
def test_a_mark_is_found_whatever_its_dress(text: str) -> None:
    assert find_mark(text)


@pytest.mark.parametrize("text", UNMARKED)
def test_what_holds_its_letters_is_no_mark(text: str) -> None:
    assert find_mark(text) is None


@pytest.mark.parametrize("word", mark_words.MARKS)
def test_every_word_of_the_list_is_a_mark(word: str) -> None:
    assert find_mark(word) and find_mark(f"وزارة المالية\n[ {word.upper()} ]\nإلى المدير")


def test_where_a_mark_belongs_a_word_of_it_is_enough() -> None:
    for kind, found in {"stamp": True, "paragraph": False}.items():
        assert bool(find_mark_in({"blocks": [{"kind": kind, "text": "صدر سري من وزارة الدفاع برقم ١٢"}]})) == found
    for words in ("Internal", "سري - نسخة المدير", "خاصة", "محدود", "Company Confidential, level 3"):
        assert find_mark_in({"classification": {"sensitivity_marking": words}}), words
    for words in ("غير سري", "not confidential", "عام", "public", "unclassified", "عادي"):
        assert not find_mark_in({"classification": {"sensitivity_marking": words}}), words


def test_a_mark_is_found_in_a_response_as_it_came() -> None:
    answer = json.dumps({"answer": {"blocks": [{"kind": "paragraph", "text": "وزارة المالية\nسري للغاية"}]}})
    for text in (answer, answer[:-4], json.dumps(json.loads(answer), ensure_ascii=False)[:-5]):
        assert find_mark_in(json.dumps({"candidates": [{"content": {"parts": [{"text": text}]}}]})), text


@given(
    word=st.sampled_from(mark_words.MARKS),
    dress=st.lists(st.sampled_from(["", "\u064b", "\u0651", "\u0640", "\u200f", "\u200b", " ", ".", "-"]), min_size=1),
    around=st.sampled_from(
        ["{}", "({})", "[ {} ]", "*** {} ***", "« {} »", "{} 12/3", "وزارة المالية\n{}\nإلى", "\t{}."]
    ),
)
def test_no_dress_hides_a_mark(word: str, dress: list[str], around: str) -> None:
    dressed = "".join(letter + dress[index % len(dress)] for index, letter in enumerate(word))
    assert find_mark(around.format(dressed))


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    mark = find_mark(text)
    assert mark is None or mark
