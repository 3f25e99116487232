"""Every score of metrics.json in a line: its label, whether less is better, whether it lies in [0, 1], what it is.

Tables, charts and the text of the report are made from here, in this order.
"""

from dataclasses import dataclass

ScoreSums = dict[str, tuple[float, float]]
"""Numerator and denominator by the name of a score."""


@dataclass(frozen=True)
class Score:
    """How a score is shown and read.

    It is the mean over documents of the documents' own scores, each at most 1; a pooled one is a ratio of sums over all
    documents, without an interval.
    """

    label: str
    text: str
    lower: bool  # is better
    pooled: bool = False


def _up(label: str, text: str, *, pooled: bool = False) -> Score:
    return Score(label, text, lower=False, pooled=pooled)


def _down(label: str, text: str, *, pooled: bool = False) -> Score:
    return Score(label, text, lower=True, pooled=pooled)


READING = ("question_score", "field_f1", "words_found", "words_true")
FORM = "schema_valid_share"
PRIMARY = (*READING, FORM)
"""Declared beforehand: reading and form are judged by these alone, with Holm's correction over all of them."""

GROUPS: dict[str, dict[str, Score]] = {
    "Faithfulness": {
        "insertion_rate": _down("characters added", "by the reference's length, from one alignment"),
        "added_run_page_share": _down(
            "pages with an added run", "15 or more characters of words put in or in place of others"
        ),
        "added_run_rate": _down("characters in added runs", "by the reference's length"),
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
        "cer": _down("CER", "character error rate: edits by the reference's length"),
        "cer_pooled": _down(
            "CER, pooled", "all edits by all characters, as benchmarks publish; may pass 1", pooled=True
        ),
        "cer_strict": _down("CER strict", "Unicode spelling counts"),
        "cer_bare": _down("CER without diacritics", ""),
        "cer_folded": _down("CER folded", "alef, ى, ة, digits and punctuation folded, as other benchmarks do"),
        "wer": _down("WER", "the same in words"),
        "wer_strict": _down("WER strict", ""),
        "wer_bare": _down("WER without diacritics", ""),
        "wer_folded": _down("WER folded", ""),
        "deletion_rate": _down("characters lost", "by the reference's length"),
        "substitution_rate": _down("characters changed", "by the reference's length"),
        "diacritic_error_rate": _down("diacritics wrong", "of letters read that bear or were given any"),
        "words_found": _up("words found", "of the reference's words, in any order"),
        "words_true": _up("words true", "of those written, how many stand on the page, any order; silence has 0"),
        "words_added": _down("words added", "by the reference's number of words, in any order"),
        "lost_end_share": _down("pages with a lost end", "the last tenth is missing and what is before it is not"),
        "chrf": _up("chrF, page mean", "character n-grams up to 6, beta 2"),
    },
    "Tables and structure": {
        "teds": _up(
            "TEDS", "PubTabNet's, th as td, no thead or tbody; tables paired by likeness, 0 if lost or invented"
        ),
        "teds_structure": _up("TEDS, structure", "cells without text"),
        "grits_precision": _up("GriTS precision", "cells written that are there; lower for invented rows"),
        "grits_recall": _up("GriTS recall", "cells of the table that were written"),
        "header_cell_f1": _up("header cells, F1", "by their places, in the tables of the reference that mark any"),
        "mirrored_table_share": _down("tables mirrored", "fit clearly better with their columns reversed"),
        "uncompared_table_share": _down(
            "tables left out",
            "of the reference: over 1,000 rows and cells or 100,000 characters, or after ten so large",
        ),
        "element_f1": _up("element F1", "paragraphs, headings, tables found, merged and split ones too"),
        "element_precision": _up("element precision", "made-up elements lower it"),
        "element_recall": _up("element recall", ""),
        "element_joined_share": _down("elements merged or split", "of those found"),
        "element_kind_accuracy": _up("kind of element", "of those found"),
        "element_language_accuracy": _up("language of element", "of those found whose language the reference tells"),
        "checkbox_accuracy": _up("boxes with their state", "of the reference's boxes to be ticked"),
        "reading_order": _up("reading order", "pairs of elements in their order"),
    },
    "Fields": {
        "field_f1": _up("field F1", "harmonic mean of precision and recall"),
        "field_precision": _up("field precision", "correct / (correct + wrong + invented)"),
        "field_recall": _up("field recall", "correct / (correct + wrong + missing)"),
        "field_rewritten_share": _down("right but rewritten", "of correct fields: the same value, other letters"),
        "field_anls": _up("free text, ANLS", "likeness of free text, 0 below a half"),
        "right_where_teacher_wrong": _up("right, teacher wrong", "of the fields that the teacher has wrong or missing"),
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
        "fenced_share": _down("in a fence", "the answer stands in a fence of Markdown"),
        "other_task_share": _down("of another task", "most keys are of another task"),
        "empty_share": _down("empty answers", "nothing said about a page that has something"),
        "failed_share": _down("no answer", ""),
        "needs_review_share": _down("needs review", "less sure than the threshold, cut or not of the schema"),
        "unread_field_error": _down("wrong in unread fields", "of the fields of answers that need no review"),
        "unread_character_error": _down("wrong in unread text", "of the characters of answers that need no review"),
    },
    "Speed": {
        "pages_per_s": _up("pages per second", "a page counts once for all its tasks", pooled=True),
        "answers_per_s": _up("answers per second", "", pooled=True),
    },
}
SCORES: dict[str, Score] = {name: score for group in GROUPS.values() for name, score in group.items()}
