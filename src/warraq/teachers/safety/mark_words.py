"""The words by which a document says that not everybody may see it; `marks` reads them.

Only data, and a module so that a changed list runs `label` again. Case, diacritics, tatweel, hamza, ة and ى do not
matter. A word that is missing here lets a document out, one too many costs a person a look at it: when in doubt, add.
"""

MARKS = (
    "سري", "سرية", "سري للغاية", "سرية للغاية", "سري جدا", "سرية جدا", "سري وشخصي", "سري ومكتوم", "مكتوم", "مكتومة",
    "كتمان", "محدود التداول", "محدودة التداول", "محدود الانتشار", "محدود الاطلاع", "محظور النشر", "محظور التداول",
    "ممنوع النشر", "ممنوع التداول", "غير قابل للنشر", "غير قابل للتداول", "غير مخصص للنشر", "ليس للنشر", "لا ينشر",
    "للاستخدام الداخلي", "للاستعمال الداخلي", "لالستخدام الداخلي", "للاستخدام الرسمي", "للاستعمال الرسمي",
    "شخصي وسري", "خاص وسري", "سري وخاص", "خاص وعاجل", "محرمانه", "خیلی محرمانه", "به کلی سری", "خفیہ", "صیغہ راز",
    "صیغۂ راز", "confidential", "strictly confidential", "highly confidential", "private and confidential",
    "personal and confidential", "privileged and confidential", "proprietary and confidential",
    "confidential and proprietary", "confidential proprietary", "company confidential", "commercial in confidence",
    "in confidence", "in strict confidence", "secret", "top secret", "most secret", "eyes only", "noforn",
    "internal use", "internal use only", "for internal use", "for official use only", "official use only",
    "official sensitive", "fouo", "law enforcement sensitive", "controlled unclassified information",
    "limited distribution", "restricted distribution", "restricted circulation", "restricted access",
    "not for distribution", "not for circulation", "not for publication", "not for public release", "not for release",
    "do not distribute", "do not copy or distribute", "tlp red", "tlp amber", "tlp amber strict", "nato restricted",
    "eu restricted", "confidentiel", "confidentielle", "strictement confidentiel", "tres secret", "secret defense",
    "confidentiel defense", "diffusion restreinte", "diffusion limitee", "a usage interne", "usage interne",
    "usage strictement interne", "ne pas diffuser", "personnel et confidentiel", "non communicable", "confidencial",
    "reservado y confidencial", "vertraulich", "streng vertraulich", "geheim", "streng geheim", "verschlusssache",
    "nur fur den dienstgebrauch", "riservato", "riservatissimo", "gizli", "cok gizli", "hizmete ozel",
)  # fmt: skip
"""A document that says one of them is secret, wherever a line or a part of it holds nothing else but COMPANIONS."""

WEAK = ("خاص", "خاص جدا", "private", "strictly private", "restricted", "classified")
"""Marks only where they stand for themselves at the head of a page or between empty lines, and never in a table: in
running text the last line of a paragraph may be one of them, and a cell says so of a school, a share or a telephone."""

LEVELS = (
    "خاصة", "داخلي", "internal", "محدود", "محدودة", "شخصي", "شخصية", "مقيد", "مقيدة", "حساس", "حساسة", "personal",
    "limited", "sensitive", "proprietary", "protected", "privileged", "interne", "restreint", "prive", "personnel",
    "reserve",
)  # fmt: skip
"""Marks, like the weak ones, only after one of LABELS, or in the field where a model writes the mark."""

LABELS = (
    "درجة السرية", "مستوى السرية", "تصنيف السرية", "التصنيف الأمني", "درجة التصنيف", "مستوى التصنيف", "تصنيف الوثيقة",
    "تصنيف المستند", "تصنيف المعلومات", "التصنيف", "السرية", "classification", "classification level",
    "security classification", "document classification", "information classification", "data classification",
    "sensitivity", "security level", "confidentiality", "confidentiality level", "niveau de confidentialite",
)  # fmt: skip

COMPANIONS = (
    *LABELS, "و", "أو", "من", "في", "على", "هذه", "هذا", "فقط", "لا غير", "عاجل", "عاجلة", "عاجل جدا", "فوري", "هام",
    "هام جدا", "مهم", "وثيقة", "الوثيقة", "وثائق", "كتاب", "الكتاب", "خطاب", "الخطاب", "رسالة", "الرسالة", "مذكرة",
    "تقرير", "التقرير", "مستند", "المستند", "محضر", "محضر اجتماع", "ملف", "تعميم", "برقية", "نسخة", "نسخة رقم", "رقم",
    "صفحة", "معلومات", "بيانات", "محتوى", "ويفتح بالذات", "يفتح بالذات", "يفتح بمعرفة المرسل إليه", "لصاحب الشأن",
    "تعتبر", "and", "or", "the", "of", "for", "this", "is", "are", "to", "only", "use", "internal", "private",
    "personal", "restricted", "urgent", "important", "strictly", "very", "highly", "document", "file", "letter",
    "memo", "memorandum", "report", "minutes", "draft", "copy", "copy no", "page", "addressee", "addressee only",
    "nato", "cosmic", "eu", "proprietary", "privileged", "sensitive", "property", "all", "contents", "distribution",
    "level", "release", "rel", "si", "tk", "et", "le", "la", "ce", "cette", "est", "lettre", "note", "rapport",
    "strictement", "tres", "und", "y", "do not copy", "do not duplicate", "do not forward", "do not disclose",
    "do not reproduce", "do not share",
)  # fmt: skip
"""What may stand beside a mark."""

NEGATIONS = ("غير", "ليس", "ليست", "not", "non", "no", "nicht", "pas")
"""What takes a mark back that follows it; a whole phrase of MARKS is read before."""
