"""What forms say in every office: labels, titles, roles, stamps, sentences. Common words, not values.

`labels` has the wordings of each label; its keys are those of `answers.FIELDS`. In sentences, subjects and attachments
{item}, {place} and {name} stand for values.
"""

from dataclasses import dataclass

from warraq.synth.words import Language


@dataclass(frozen=True)
class Phrases:
    labels: dict[str, tuple[str, ...]]
    columns: dict[str, tuple[str, ...]]  # heads of the goods table
    company: str  # order of {company} and {trade}
    invoice_titles: tuple[str, ...]
    receipt_titles: tuple[str, ...]
    running_heads: dict[str, str]  # kind of document -> top of its later pages
    bodies: tuple[str, ...]  # who issues letters, besides companies
    departments: tuple[str, ...]
    roles: tuple[str, ...]
    stamps: tuple[str, ...]
    sensitivities: tuple[str, ...]
    urgencies: tuple[str, ...]
    subjects: tuple[str, ...]
    sentences: tuple[str, ...]
    closings: tuple[str, ...]
    instructions: tuple[str, ...]
    attachments: tuple[str, ...]
    currencies: tuple[str, ...]
    months: tuple[str, ...]  # Gregorian, short
    hijri_months: tuple[str, ...]
    pages: tuple[str, ...]  # wordings of a page number


PHRASES: dict[Language, Phrases] = {
    "en": Phrases(
        labels={
            "number": ("No", "Number", "No."),
            "reference": ("Ref", "Reference", "Our ref"),
            "date": ("Date", "Dated"),
            "due": ("Due", "Due date", "Pay by"),
            "seller": ("From", "Seller", "Supplier"),
            "buyer": ("To", "Bill to", "Customer"),
            "address": ("Address", "City"),
            "tax_id": ("Tax ID", "VAT No"),
            "sender": ("From",),
            "recipient": ("To", "Attention"),
            "department": ("Department", "Section"),
            "subject": ("Subject", "Re"),
            "copy": ("Copy to", "cc"),
            "attachment": ("Attached", "Enclosed"),
            "answers": ("Your ref", "In reply to"),
            "instructions": ("Action", "Required"),
            "goods": ("For", "Paid for"),
            "subtotal": ("Subtotal", "Net"),
            "tax": ("VAT", "Tax"),
            "total": ("Total", "Amount due", "To pay"),
        },
        columns={
            "description": ("Item", "Goods"),
            "quantity": ("Qty", "Pcs"),
            "unit_price": ("Price", "Each"),
            "total": ("Total", "Sum"),
        },
        company="{company} {trade}",
        invoice_titles=("Invoice", "Tax invoice", "INVOICE"),
        receipt_titles=("Receipt", "Cash receipt", "RECEIPT"),
        running_heads={"letter": "Letter", "invoice": "Invoice"},
        bodies=("{place} Council", "{place} School", "{place} Hospital", "Port of {place}"),
        departments=("Sales", "Finance", "Legal", "Records", "Planning"),
        roles=("Manager", "Director", "Secretary", "Accountant", "Clerk"),
        stamps=("PAID", "RECEIVED", "APPROVED", "ORIGINAL", "COPY", "CHECKED"),
        sensitivities=("CONFIDENTIAL", "RESTRICTED", "PRIVATE"),
        urgencies=("URGENT", "IMMEDIATE"),
        subjects=("{item} order", "Visit to {place}", "{item} delivery", "{place} office"),
        sentences=(
            "Please send the {item} to {place}.",
            "The {item} came to {place} today.",
            "{name} will visit {place} soon.",
            "We met {name} about the {item}.",
            "Your order of {item} is ready.",
            "The {place} office is open again.",
        ),
        closings=("Yours sincerely,", "Kind regards,", "With thanks,"),
        instructions=("reply", "sign and return", "for filing", "for approval"),
        attachments=("{item} list", "{place} map", "{item} sample"),
        currencies=("SAR", "AED", "USD", "EUR", "GBP", "OMR"),
        months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        hijri_months=(),
        pages=("{page}/{pages}", "Page {page} of {pages}", "Page {page}"),
    ),
    "ar": Phrases(
        labels={
            "number": ("الرقم", "رقم", "رقم القيد"),
            "reference": ("المرجع", "الرقم", "رقم الكتاب"),
            "date": ("التاريخ", "بتاريخ"),
            "due": ("الاستحقاق", "آخر موعد"),
            "seller": ("من", "البائع", "المورد"),
            "buyer": ("إلى", "العميل", "المشتري"),
            "address": ("العنوان", "المدينة"),
            "tax_id": ("الرقم الضريبي", "السجل"),
            "sender": ("من",),
            "recipient": ("إلى", "السيد"),
            "department": ("القسم", "الإدارة"),
            "subject": ("الموضوع", "بشأن"),
            "copy": ("نسخة إلى", "صورة إلى"),
            "attachment": ("المرفق", "مرفق"),
            "answers": ("جوابا على", "كتابكم"),
            "instructions": ("المطلوب", "الإجراء"),
            "goods": ("وذلك عن", "مقابل"),
            "subtotal": ("الصافي", "قبل الضريبة"),
            "tax": ("الضريبة", "ضريبة"),
            "total": ("المجموع", "الإجمالي", "المبلغ"),
        },
        columns={
            "description": ("الصنف", "البيان"),
            "quantity": ("الكمية", "عدد"),
            "unit_price": ("السعر", "الوحدة"),
            "total": ("المبلغ", "القيمة"),
        },
        company="{trade} {company}",
        invoice_titles=("فاتورة", "فاتورة ضريبية", "فاتورة بيع"),
        receipt_titles=("إيصال", "إيصال قبض", "سند قبض"),
        running_heads={"letter": "خطاب", "invoice": "فاتورة"},
        bodies=("بلدية {place}", "مدرسة {place}", "مستشفى {place}", "ميناء {place}"),
        departments=("المبيعات", "المالية", "القانونية", "الأرشيف", "التخطيط"),
        roles=("المدير", "الأمين", "المحاسب", "المشرف", "أمين السر"),
        stamps=("مدفوع", "وارد", "معتمد", "أصل", "نسخة", "روجع"),
        sensitivities=("سري", "محدود التداول", "خاص"),
        urgencies=("عاجل", "عاجل جدا"),
        subjects=("طلب {item}", "زيارة {place}", "تسليم {item}", "فرع {place}"),
        sentences=(
            "نرجو إرسال طلب {item} إلى {place}.",
            "وصل طلب {item} إلى {place} اليوم.",
            "موعد زيارة {name} يوم الأحد.",
            "اجتمعنا مع {name} بشأن {item}.",
            "نفيدكم بأن طلب {item} جاهز.",
            "عاد مكتب {place} إلى العمل.",
        ),
        closings=("مع الشكر والتقدير", "وتقبلوا التحية", "مع خالص الاحترام"),
        instructions=("الرد", "التوقيع والإعادة", "للحفظ", "للاعتماد"),
        attachments=("قائمة {item}", "خريطة {place}", "عينة {item}"),
        currencies=("ريال", "دينار", "درهم", "جنيه", "ليرة"),
        months=(
            "يناير",
            "فبراير",
            "مارس",
            "أبريل",
            "مايو",
            "يونيو",
            "يوليو",
            "أغسطس",
            "سبتمبر",
            "أكتوبر",
            "نوفمبر",
            "ديسمبر",
        ),
        hijri_months=(
            "محرم",
            "صفر",
            "ربيع الأول",
            "ربيع الآخر",
            "جمادى الأولى",
            "جمادى الآخرة",
            "رجب",
            "شعبان",
            "رمضان",
            "شوال",
            "ذو القعدة",
            "ذو الحجة",
        ),
        pages=("{page}/{pages}", "صفحة {page} من {pages}", "صفحة {page}"),
    ),
}
