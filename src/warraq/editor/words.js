"use strict";
const NAMES = {{file names.json}};
const WORDS = {
  en: {
    language: "العربية", queue: "Queue", task: "Task", filters: "Filters, progress", reader: "Your name", token: "Token", keys: "Keys (?)",
    document: "Document", reason: "Reason", sensitivity: "Sensitivity", pages: "Pages", image: "Page image", answer: "Answer",
    zoomIn: "Larger", zoomOut: "Smaller", fit: "Fit", turn: "Turn", from: "Filled from", against: "compared with", takeAll: "Take all",
    pageText: "Text of the page", saveNext: "Save, next", save: "Save", blank: "Blank page", unreadable: "No answer …", skip: "Skip …",
    revert: "Revert", undo: "Undo last save", close: "Close", ok: "OK", cancel: "Cancel", why: "Why?", all: "all", choose: "choose …", none: "nothing",
    todo: "To be labelled", quarantined: "Quarantined", doubtful: "Doubtful", unsure: "Least sure first", sample: "Random check",
    second: "Second reading", skipped: "Skipped", done: "Done",
    review: "your review", draft: "draft", label: "label", student: "student", textlayer: "text layer", page: "the page's own data", tesseract: "Tesseract", empty: "nothing",
    add: "Add", remove: "Remove", up: "Move up", down: "Move down", split: "Split at the cursor", merge: "Merge with the one before", after: "Add below",
    row: "+ row", column: "+ column", dropRow: "− row", dropColumn: "− column", mergeRight: "Merge with next", mergeDown: "Merge with below",
    splitCell: "Split cell", head: "Header", wider: "Lay out wider", narrower: "narrower", whole: "Whole row", rawTable: "This table holds markup that the grid would lose; it is edited as it is written.", asTable: "Cells",
    left: (n, m, h) => `${n} left` + (m && n ? `, ${m} each, ${h}` : ""), seconds: s => `${s} s`, minutes: m => `${m} min`, hours: h => `${h} h`,
    saved: "Saved.", undone: "Taken back.", reverted: "Reverted; once more brings back what you wrote.", unreverted: "What you wrote is back.",
    renewed: "New pages, labels or answers of a model have come; the list has them with the next page.",
    nothingLeft: "This queue is empty. Choose another one.", noUndo: "Nothing was saved here yet.", named: "Please give your name first.",
    held: who => `${who} has this page open in another window.`, draftFound: "Your draft is here again; it is not saved yet.",
    gone: "The server cannot be reached. What you wrote is kept in this browser; save again when it runs.", reading: "This machine reads the page …",
    fits: n => `${n} places do not fit; nothing is saved.`, unsureOf: p => `the model is ${p} % sure`, accepted: "All doubts accepted.",
    noDoubt: "No doubt is left.", unreadableWhy: "Why has it no answer? It cannot be read, it is no page for this task …", skipWhy: "Why is it left for later?",
    gold: "Gold pages", validation: (has, need) => `Validation documents: ${has} of ${need} that a threshold in review.json needs`,
    next: "Next command", teacherError: "Teacher against people", agreement: "Two people", on: (p, d) => `${p} pages of ${d} documents`,
    keySaveNext: "save and go on", keySave: "save", keyRevert: "revert; again: back", keyField: "next, previous field", keyDoubt: "next, previous doubt",
    keyTake: "take the other source's value; with Shift all of it", keyAccept: "accept all doubts", keyBlank: "blank page", keyUnreadable: "no answer: cannot be read, or is no page for this task",
    keySkip: "skip, with a reason", keyUndo: "take back the last save", keyPage: "next, previous page, without saving", keySigns: "show invisible characters",
    keyAdd: "add an item or a table row below (with Shift a column)", keyRemove: "remove the item or table row (with Shift the column)",
    keyMove: "move the item", keySplit: "split the block at the cursor, or the merged cell", keyMerge: "merge the block with the one before, or the cell with the next (with Shift the one below)",
    keyKind: "the block's kind: 1 heading, 2 paragraph …", keyHead: "header cell", keyWider: "lay the cells out in one more column (with Shift one fewer)", keyWhole: "the cell takes a whole row", keyLanguage: "the block's language for all that have none", keyZoom: "zoom, fit", keyTurn: "turn the page", keyPan: "on the image: move it", keySwitch: "between image and answer", keyHelp: "these keys",
    names: NAMES.en,
  },
  ar: {
    language: "English", queue: "القائمة", task: "المهمة", filters: "التصفية والتقدم", reader: "اسمك", token: "الرمز", keys: "المفاتيح (?)",
    document: "الوثيقة", reason: "السبب", sensitivity: "السرية", pages: "الصفحات", image: "صورة الصفحة", answer: "الإجابة",
    zoomIn: "تكبير", zoomOut: "تصغير", fit: "ملاءمة", turn: "تدوير", from: "مملوءة من", against: "مقارنة مع", takeAll: "خذ الكل",
    pageText: "نص الصفحة", saveNext: "حفظ ثم التالي", save: "حفظ", blank: "صفحة فارغة", unreadable: "بلا إجابة …", skip: "تخطٍّ …",
    revert: "استرجاع", undo: "التراجع عن آخر حفظ", close: "إغلاق", ok: "موافق", cancel: "إلغاء", why: "لماذا؟", all: "الكل", choose: "اختر …", none: "لا شيء",
    todo: "للوسم", quarantined: "محجوزة", doubtful: "مشكوك فيها", unsure: "الأقل ثقة أولا", sample: "فحص عشوائي",
    second: "قراءة ثانية", skipped: "متروكة", done: "منجزة",
    review: "مراجعتك", draft: "مسودة", label: "وسم", student: "النموذج", textlayer: "طبقة النص", page: "بيانات الصفحة", tesseract: "Tesseract", empty: "لا شيء",
    add: "إضافة", remove: "حذف", up: "إلى أعلى", down: "إلى أسفل", split: "قسمة عند المؤشر", merge: "ضم إلى السابق", after: "إضافة تحته",
    row: "+ صف", column: "+ عمود", dropRow: "− صف", dropColumn: "− عمود", mergeRight: "دمج مع التالية", mergeDown: "دمج مع ما تحتها",
    splitCell: "فك الدمج", head: "رأس", wider: "توزيع على عمود أكثر", narrower: "على عمود أقل", whole: "صف كامل", rawTable: "في هذا الجدول ترميز تفقده الشبكة، فيحرر كما كتب.", asTable: "خلايا",
    left: (n, m, h) => `بقي ${n}` + (m && n ? `، ${m} للصفحة، ${h}` : ""), seconds: s => `${s} ثانية`, minutes: m => `${m} دقيقة`, hours: h => `${h} ساعة`,
    saved: "حُفظ.", undone: "تم التراجع.", reverted: "استُرجع؛ مرة أخرى تعيد ما كتبت.", unreverted: "عاد ما كتبت.",
    renewed: "وصلت صفحات أو وسوم أو إجابات نموذج جديدة؛ تظهر في القائمة مع الصفحة التالية.",
    nothingLeft: "هذه القائمة فارغة. اختر غيرها.", noUndo: "لم يحفظ شيء هنا بعد.", named: "اكتب اسمك أولا.",
    held: who => `فتح ${who} هذه الصفحة في نافذة أخرى.`, draftFound: "عادت مسودتك؛ لم تحفظ بعد.",
    gone: "تعذر الوصول إلى الخادم. ما كتبته محفوظ في هذا المتصفح؛ احفظ ثانية حين يعمل.", reading: "هذا الجهاز يقرأ الصفحة …",
    fits: n => `${n} مواضع لا تصح؛ لم يحفظ شيء.`, unsureOf: p => `ثقة النموذج ${p} ٪`, accepted: "قُبلت كل الشكوك.",
    noDoubt: "لم يبق شك.", unreadableWhy: "لماذا بلا إجابة؟ لا تُقرأ، ليست من هذه المهمة …", skipWhy: "لماذا تؤجل؟",
    gold: "صفحات ذهبية", validation: (has, need) => `وثائق التحقق: ${has} من ${need} تحتاجها عتبة review.json`,
    next: "الأمر التالي", teacherError: "المعلم مقابل الناس", agreement: "شخصان", on: (p, d) => `${p} صفحة من ${d} وثيقة`,
    keySaveNext: "حفظ ثم التالي", keySave: "حفظ", keyRevert: "استرجاع؛ مرة أخرى: إعادة", keyField: "الحقل التالي، السابق", keyDoubt: "الشك التالي، السابق",
    keyTake: "خذ قيمة المصدر الآخر؛ مع Shift كلها", keyAccept: "قبول كل الشكوك", keyBlank: "صفحة فارغة", keyUnreadable: "بلا إجابة: لا تُقرأ أو ليست من هذه المهمة",
    keySkip: "تخطٍّ مع سبب", keyUndo: "التراجع عن آخر حفظ", keyPage: "الصفحة التالية، السابقة، دون حفظ", keySigns: "إظهار المحارف الخفية",
    keyAdd: "إضافة عنصر أو صف تحته (مع Shift عمود)", keyRemove: "حذف العنصر أو الصف (مع Shift العمود)",
    keyMove: "نقل العنصر", keySplit: "قسمة الكتلة عند المؤشر أو فك الخلية", keyMerge: "ضم الكتلة إلى السابقة، أو الخلية إلى التالية (مع Shift ما تحتها)",
    keyKind: "نوع الكتلة: 1 عنوان، 2 فقرة …", keyHead: "خلية رأس", keyWider: "توزيع الخلايا على عمود أكثر (مع Shift أقل)", keyWhole: "تأخذ الخلية صفا كاملا", keyLanguage: "لغة الكتلة لكل ما ليست له لغة", keyZoom: "تكبير، ملاءمة", keyTurn: "تدوير الصفحة", keyPan: "على الصورة: تحريكها", keySwitch: "بين الصورة والإجابة", keyHelp: "هذه المفاتيح",
    names: NAMES.ar,
  },
};
let language = localStorage.getItem("language") || (navigator.language.startsWith("ar") ? "ar" : "en");
const t = (key, ...values) => {
  const word = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return typeof word === "function" ? word(...values) : word;
};
/** A name of the schema as a person reads it. */
const named = name => WORDS[language].names?.[name] ?? name.replaceAll("_", " ");
const at = id => document.getElementById(id);
/** An element with properties and children; text is never markup. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
function translate() {
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-l]")) { element.setAttribute("aria-label", t(element.dataset.l)); element.title = t(element.dataset.l); }
  at("language").textContent = t("language");
  at("language").lang = language === "ar" ? "en" : "ar";
}
