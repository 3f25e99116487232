"""A random generator and a vocabulary -> the pages of a letter, a decision or the like with their true answers."""

from warraq.synth.page_builder import LETTERHEAD, TITLE, PageBuilder
from warraq.synth.style import Style
from warraq.synth.values import Dates, Values

HEAD_LINES = 4  # below its heading: reference, date, recipient, subject
KINDS = ("memo", "decision", "circular", "minutes", "judgment", "power_of_attorney")  # besides plain letters
MARKED = ("sensitivity", "urgency")
REGISTERED = ("incoming", "outgoing")
DATED = ("received", "effective", "expiry")
ABOVE = (*MARKED, "department", "sender", *REGISTERED)  # the reference
BELOW = ("answers", "instructions", "attachment", "copy", "boxes", "marginal_note")  # the text
NOTE_INK = "#1030a0"


def make_letter(values: Values, style: Style) -> list[PageBuilder]:
    """The first page has the letterhead, later ones a running head; the last one is signed."""
    rng, phrases = values.rng, values.phrases
    count = rng.choices((1, 2, 3), (65, 28, 7))[0]
    dates, reference, wording = values.draw_dates(), values.draw_reference(), rng.choice(phrases.pages)
    kind, pages = rng.choice(KINDS) if rng.random() < 0.45 else "letter", []
    for number in range(1, count + 1):
        page = PageBuilder(style, kind)
        numbered = count > 1 or rng.random() < 0.15
        footer = values.format_digits(wording.format(page=number, pages=count)) if numbered else None
        last = number == count
        stamp = values.draw_stamp(0.4 if last else 0.1)
        signature = values.draw_signature(0.75) if last else ()
        free_lines = style.count_free_lines(bool(stamp or signature), footer is not None)
        if number == 1:
            page.add_heading(
                values.draw_company() if rng.random() < 0.6 else values.fill_phrase(phrases.bodies), LETTERHEAD[0]
            )
            if kind != "letter":
                page.add_text(phrases.running_heads[kind], TITLE)
            _add_head(page, values, free_lines - (kind != "letter"), dates, reference)
        else:
            page.add_running_head(phrases.running_heads[kind], reference)
            for _ in range(min(2, (free_lines - 1) // 2)):
                page.add_text(values.fill_phrase(phrases.sentences))
            if last:
                page.add_text(rng.choice(phrases.closings))
        page.add_foot(stamp, signature, rng.random() < 0.85, footer)
        pages.append(page)
    return pages


def _add_head(page: PageBuilder, values: Values, free_lines: int, dates: Dates, reference: str) -> None:
    """Date, recipient, subject, and a sentence and other lines as far as there is room."""
    rng, phrases = values.rng, values.phrases
    optional = {
        "sensitivity": rng.choice(phrases.sensitivities),
        "urgency": rng.choice(phrases.urgencies),
        "department": rng.choice(phrases.departments),
        "sender": values.draw_name(),
        "copy": values.draw_name(),
        "attachment": values.fill_phrase(phrases.attachments),
        "answers": values.draw_reference(),
        "instructions": rng.choice(phrases.instructions),
        **{direction: values.draw_reference() for direction in REGISTERED},
        **dict.fromkeys(DATED, dates.due),
        "boxes": "\n".join(rng.sample(phrases.boxes, 2)),
        "marginal_note": rng.choice(phrases.marginal_notes),
    }
    room = free_lines - HEAD_LINES
    sentence = values.fill_phrase(phrases.sentences) if room >= 2 and rng.random() < 0.35 else None
    registered_on = dates.date if rng.random() < 0.5 else None
    double = {"boxes", *(REGISTERED if registered_on else ())}
    chosen = _choose_parts(page, values, optional, room - 2 * (sentence is not None), double)
    for label in filter(chosen.__contains__, ABOVE):
        _add_part(page, values, label, optional[label], registered_on)
    page.add_line("reference", reference)
    page.add_date("date", dates.date, dates.calendar)
    for label in filter(chosen.__contains__, DATED):
        page.add_date(label, optional[label], dates.calendar)
    page.add_line("recipient", values.draw_name())
    page.add_line("subject", values.fill_phrase(phrases.subjects))
    if sentence is not None:
        page.add_text(sentence)
    for label in filter(chosen.__contains__, BELOW):
        _add_part(page, values, label, optional[label], None)


def _choose_parts(page: PageBuilder, values: Values, optional: dict[str, str], room: int, double: set[str]) -> set[str]:
    """At most three that fit into the room in lines; those in `double` take two."""
    order = values.rng.sample(sorted(optional), len(optional))
    if values.rng.random() < 0.2:
        order.sort(key=lambda label: label != "marginal_note")
    chosen: set[str] = set()
    for label in order:
        lines = 2 if label in double else page.style.count_lines(f"{label}: {optional[label]}")
        if lines <= room and len(chosen) < 3:
            chosen.add(label)
            room -= lines
    return chosen


def _add_part(page: PageBuilder, values: Values, label: str, text: str, date: str | None) -> None:
    """A part besides the dates; `date` is that of a registration."""
    if label in MARKED:
        page.add_text(text, f"metadata.classification.{label}_marking")
    elif label in REGISTERED:
        page.add_registration(label, text, date, values.phrases.registration)
    elif label == "boxes":
        page.add_boxes(text.split("\n"), values.rng.randrange(2))
    elif label == "marginal_note":
        page.add_text(text, "metadata.marginal_notes[]", ink=NOTE_INK)
    else:
        page.add_line(label, text)
