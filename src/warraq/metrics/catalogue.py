"""Every score of metrics.json in a line: its label, whether less is better, whether it lies in [0, 1], what it is.

Tables, charts and the text of the report are made from here, in this order.
"""

from dataclasses import dataclass

ScoreSums = dict[str, tuple[float, float]]
"""Numerator and denominator by the name of a score."""


@dataclass(frozen=True)
class Score:
    """How a score is shown and read."""

    label: str
    lower: bool  # is better
    share: bool  # lies in [0, 1]
    text: str


def _up(label: str, text: str) -> Score:
    return Score(label, lower=False, share=True, text=text)


def _down(label: str, text: str) -> Score:
    return Score(label, lower=True, share=True, text=text)


def _rate(label: str, text: str) -> Score:
    return Score(label, lower=True, share=False, text=text)


PRIMARY = ("field_f1", "cer", "insertion_rate")
"""Declared beforehand: the verdict is decided on these alone, with Holm's correction."""

GROUPS: dict[str, dict[str, Score]] = {
    "Faithfulness": {
        "insertion_rate": _rate("characters added", "by the reference's length, from one alignment"),
        "added_run_page_share": _down("pages with an added run", "15 or more characters of words put in"),
        "added_run_rate": _rate("characters in added runs", "by the reference's length"),
        "silent_correction_rate": _down("spelling mended", "of the letters ى ي ة ه أ إ آ ا ؤ و ئ: put for each other"),
        "fact_precision": _up("facts that are there", "numbers, dates, addresses written that stand on the page"),
        "fact_recall": _up("facts found", "numbers, dates, addresses on the page that were written"),
        "fact_near_miss_share": _down("facts nearly right", "one character from a lost one"),
        "field_invention_rate": _down("null fields filled", "fields invented, of those that are null"),
        "foreign_answer_share": _down("answers, foreign script", "of a script that the page does not use; Latin apart"),
        "foreign_letter_rate": _down("foreign letters", "of the characters written"),
        "looped_answer_share": _down("answers in circles", "says the same five times in a row, or repeats itself"),
        "talk_share": _down("answers with talk", "speaks about the task, or wraps the answer up"),
        "blank_page_invention_share": _down("blank pages written on", "more than 10 letters on a page without any"),
        "planted_copied_share": _up("planted errors copied", "misspellings, digits and names planted on purpose"),
        "planted_fixed_share": _down("planted errors mended", "written as they would be without the planted error"),
    },
    "Text": {
        "cer": _rate("CER", "character error rate: edits by the reference's length, summed over pages"),
        "cer_macro": _rate("CER, document mean", "each document as one"),
        "cer_strict": _rate("CER strict", "Unicode spelling counts"),
        "cer_bare": _rate("CER without diacritics", ""),
        "cer_folded": _rate("CER folded", "alef, ى, ة, digits and punctuation folded, as other benchmarks do"),
        "wer": _rate("WER", "the same in words"),
        "wer_macro": _rate("WER, document mean", ""),
        "wer_strict": _rate("WER strict", ""),
        "wer_bare": _rate("WER without diacritics", ""),
        "wer_folded": _rate("WER folded", ""),
        "deletion_rate": _rate("characters lost", "by the reference's length"),
        "substitution_rate": _rate("characters changed", "by the reference's length"),
        "diacritic_error_rate": _down("diacritics wrong", "of letters read that bear or were given any"),
        "words_found": _up("words found, any order", "of the reference's words"),
        "words_added": _rate("words added, any order", "by the reference's number of words"),
        "lost_end_share": _down("pages with a lost end", "the last tenth is missing and what is before it is not"),
        "chrf": _up("chrF, page mean", "character n-grams up to 6, beta 2"),
    },
    "Tables and structure": {
        "teds": _up("TEDS", "PubTabNet's, th as td, no thead or tbody; tables in their order"),
        "teds_structure": _up("TEDS, structure", "cells without text"),
        "grits_precision": _up("GriTS precision", "cells written that are there; lower for invented rows"),
        "grits_recall": _up("GriTS recall", "cells of the table that were written"),
        "mirrored_table_share": _down("tables mirrored", "fit clearly better with their columns reversed"),
        "uncompared_table_share": _down("tables left out", "with more than 1,000 rows and cells"),
        "element_f1": _up("element F1", "paragraphs, headings, tables found one to one"),
        "element_precision": _up("element precision", "made-up elements lower it"),
        "element_recall": _up("element recall", ""),
        "element_kind_accuracy": _up("kind of element", "of those found"),
        "reading_order": _up("reading order", "pairs of elements in their order"),
    },
    "Fields": {
        "field_f1": _up("field F1", "harmonic mean of precision and recall"),
        "field_precision": _up("field precision", "correct / (correct + wrong + invented)"),
        "field_recall": _up("field recall", "correct / (correct + wrong + missing)"),
        "field_rewritten_share": _down("right but rewritten", "of correct fields: the same value, other letters"),
        "field_anls": _up("free text, ANLS", "likeness of free text, 0 below a half"),
        "right_where_teacher_wrong": _up("right, teacher wrong", "of the fields that the teacher has wrong or missing"),
        "field_f1_mended": _up("field F1, JSON mended", "cut answers closed, wrappers taken off"),
    },
    "Questions": {
        "question_score": _up("questions answered", "numbers exactly, lists as sets, other text by ANLS"),
        "question_exact": _up("answers exact", ""),
        "question_relaxed": _up("answers within 5 %", "numbers; other answers exactly"),
        "question_set_f1": _up("answers as sets, F1", ""),
        "question_anls": _up("answers as text, ANLS", ""),
    },
    "Answers": {
        "schema_valid_share": _up("schema-valid answers", "exactly the task's fields and types, nothing repaired"),
        "strict_json_share": _up("strict JSON", "parses as written"),
        "mended_share": _down("valid once mended", "a wrapper taken off, or closed where it was cut"),
        "lost_share": _down("not to be mended", ""),
        "truncated_share": _down("cut at token limit", ""),
        "failed_share": _down("no answer", ""),
        "needs_review_share": _down("needs review", "less sure than the threshold, cut or not of the schema"),
        "unread_field_error": _down("wrong in unread fields", "of the fields of answers that need no review"),
        "unread_character_error": _down("wrong in unread text", "of the characters of answers that need no review"),
    },
    "Speed": {
        "pages_per_s": Score("pages per second", lower=False, share=False, text="a page counts once for all its tasks"),
        "answers_per_s": Score("answers per second", lower=False, share=False, text=""),
    },
}
SCORES: dict[str, Score] = {name: score for group in GROUPS.values() for name, score in group.items()}
