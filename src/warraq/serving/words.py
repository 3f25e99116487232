"""What the forms for people say beside what was read, in English or Arabic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from warraq import tasks
from warraq.files import read_json
from warraq.serving.answers import CheckedAnswer, Reason

Headers = Literal["en", "ar"]

_OWN: dict[Headers, dict[str, str]] = {
    "en": {"file": "File", "document": "Document", "pages": "Pages read", "state": "State", "review": "Needs review",
           "doubts": "Doubts", "page": "Page", "part": "Part", "place": "No.", "read": "read", "partly": "partly read",
           "not_read": "not read", "yes": "yes", "no": "no", "documents": "Documents", "notes": "Notes",
           "coloured": "coloured cells are in doubt"},
    "ar": {"file": "الملف", "document": "الوثيقة", "pages": "الصفحات المقروءة", "state": "الحال",
           "review": "تحتاج مراجعة", "doubts": "مواضع الشك", "page": "الصفحة", "part": "الجزء", "place": "م",
           "read": "مقروءة", "partly": "مقروءة جزئيا", "not_read": "غير مقروءة", "yes": "نعم", "no": "لا",
           "documents": "الوثائق", "notes": "تنبيهات", "coloured": "الخلايا الملونة موضع شك"},
}  # fmt: skip

_REASONS: dict[Headers, dict[Reason, str]] = {
    "en": {
        "schema_invalid": "the first answer did not fit its schema, and this one was asked for in its place",
        "truncated": "the first answer was longer than the limit, and this one was asked for in its place",
        "loop": "the first answer went round in circles, and this one was asked for in its place",
        "cut": "the answer is cut: the rest of the page is not in it",
        "empty": "the answer has no text, though the page may have some",
        "damaged": "the file is damaged, and something may be missing from the page",
        "low_confidence": "the model is less sure than the threshold",
        "no_threshold": "no threshold is proved for the task",
        "lines_too_small": "the lines of the page are too small for the model",
        "too_dense": "the answer is longer than what the model can see of the page",
    },
    "ar": {
        "schema_invalid": "لم توافق الإجابة الأولى صيغتها فطُلبت هذه بدلا منها",
        "truncated": "جاوزت الإجابة الأولى الحد فطُلبت هذه بدلا منها",
        "loop": "دارت الإجابة الأولى على نفسها فطُلبت هذه بدلا منها",
        "cut": "الإجابة مقطوعة: بقية الصفحة ليست فيها",
        "empty": "لا نص في الإجابة وقد يكون في الصفحة نص",
        "damaged": "الملف تالف وقد يكون بعض الصفحة ناقصا",
        "low_confidence": "ثقة النموذج دون العتبة",
        "no_threshold": "لم تثبت عتبة لهذه المهمة",
        "lines_too_small": "أسطر الصفحة أصغر مما يراه النموذج",
        "too_dense": "الإجابة أطول مما يراه النموذج من الصفحة",
    },
}


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    own: Mapping[str, str]  # of the forms themselves
    reasons: Mapping[Reason, str]
    names: Mapping[str, str]  # of tasks and fields, where their own say too little
    is_rtl: bool

    def name(self, name: str) -> str:
        """A task or field as a person reads it."""
        return self.names.get(name) or name.replace("_", " ")

    def name_path(self, path: str) -> str:
        """A field and what it is part of: `sender.name`."""
        text = ": ".join(self.name(part) for part in re.sub(r"\[\d+\]", "", path).split("."))
        return text[:1].upper() + text[1:]

    def explain_marks(self, checked: CheckedAnswer) -> str:
        """Why an answer needs a person, for reasons of its own."""
        return "; ".join(self.reasons[reason] for reason in checked.marks)


def load_words(language: Headers) -> Words:
    """The words of a language."""
    return Words(_OWN[language], _REASONS[language], read_json(tasks.NAMES)[language], is_rtl=language == "ar")
