"""Words for the values of synthetic pages: common given names, invented family names, companies, places and goods.

Two vocabularies with no string in common, nor any string of DEMO inside one of TRAIN: DEMO fills the documents of
`warraq synth`, TRAIN is for pre-training, so that a student that reads a demo document cannot know its values by heart.
Words move from neither list to the other: weights that were trained on TRAIN may have been published.
"""

from dataclasses import dataclass
from typing import Literal

Language = Literal["ar", "en"]


@dataclass(frozen=True)
class Vocabulary:
    """Single words of one language, each at most nine characters."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    company: tuple[str, ...]
    trade: tuple[str, ...]  # what kind of company: "<company> <trade>", in Arabic "<trade> <company>"
    place: tuple[str, ...]
    item: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TRAIN: dict[Language, Vocabulary] = {
    "en": Vocabulary(
        given=_words(
            """
            Adam Agnes Aidan Alba Alice Alma Amber Amira Anton Arlo Asha Basil Boris Bruno Cara Celia Clara
            Cora Cyrus Dalia Daria Dario David Della Diana Dora Dylan Edith Elena Elias Emil Emma Enzo Erica
            Eva Fadia Fiona Flora Frank Gemma Gilda Glen Greta Habib Hana Hazel Helen Henry Idris Ines Iris
            Isaac Ivan Jack Jasper Joan Jonas Kamal Karen Karim Kevin Laila Lara Laura Lena Lily Linda Lydia
            Mabel Malik Marta Maya Milo Nadia Nancy Naomi Noah Nora Olga Otto Paula Petra Rana Rosa Ruth
            Sami Sara Silas Sofia Tamer Tara Tomas Vera Victor Walter Yara Yusuf Zeno
            """
        ),
        family=_words(
            """
            Aldgate Aldmere Ambstow Ambton Ambvale Arklow Arkmere Arkmont Arkwen Ashgate Ashvale Balvale
            Barstow Barwen Birkton Bramton Caldley Corfell Culfell Culstow Dalvale Dalwick Dunwick Elmmont
            Elmvale Fenby Fenford Folley Folcote Gorford Gorgate Gorwen Holby Ingfell Ingmere Kelmere
            Kelmont Kelstow Landen Linmere Linstow Marrick Melwen Norgate Ormwen Pemvale Quinden Quinley
            Radwen Rosfell Roslow Sellow Selmont Selrick Tamgate Tamwen Torford Torstow Torvale Ulvmere
            Ulvwen Verby Verley Wenrick Wilgate Wilrick Yarmere Yarmont Yarrick Yarvale Zelgate Zelmont
            Zaituni Marjani Nakhli Nahri Rimali Barqi Thalji Warqi Hibri Lawzi Tuti Kamuni Ghaimi Bazi
            Yamami Wamidi Firuzi Aqiqi Kahrabi Nujumi
            """
        ),
        company=_words(
            """
            Acacia Anchor Apex Arrow Atlas Azure Beacon Bison Bridge Bronze Canyon Cobalt Comet Compass
            Coral Cosmos Crest Crystal Dawn Delta Dune Eagle Echo Emerald Equinox Falcon Forest Fountain
            Galaxy Gazelle Glacier Globe Griffin Harbour Harvest Heron Horizon Indigo Ivory Jade Jasmine
            Kestrel Lagoon Lantern Legend Lion Lunar Magnet Maple Meadow Mercury Meteor Mosaic Nebula
            Neptune Nimbus Nova Oasis Olive Onyx Opal Orchid Orion Osprey Panther Pearl Phoenix Pine Planet
            Polar Prairie Raven River Rocket Saffron Sahara Sapphire Silver Sphinx Spring Sunrise Swift
            Tiger Trident Tulip Valley Venus Vista Willow Zephyr
            """
        ),
        trade=_words(
            """
            Trading Stores Press Foods Motors Works Tools Books Glass Timber Farms Marine Travel Energy
            Market Studio Labs Plastics Dairy Steel Ceramics Printing Imports Services Fishery Tailors
            Optics Sports
            """
        ),
        place=_words(
            """
            Aleppo Ankara Aqaba Arbela Bahla Basra Beirut Bergen Cairo Calne Cork Dahab Dalby Delft Derby
            Dover Elmar Essen Fenwick Galway Ghent Giza Hama Harrow Hebden Homs Hull Ibri Izmir Kells Kendal
            Kuwait Leeds Lima Linz Luxor Lyon Malmo Marib Medway Milan Muscat Nablus Najaf Oban Oran Oslo
            Oxford Paris Perth Porto Rabat Riga Salala Seville Sfax Sidon Stroud Suez Tabuk Tanta Tripoli
            Tunis Ulm Vienna York Zarqa
            """
        ),
        item=_words(
            """
            Apple Bag Ball Basin Battery Belt Bench Board Bolt Boot Bowl Box Bread Broom Brush Bucket Butter
            Button Cake Camera Candle Cap Carpet Chain Chalk Cheese Clock Coat Coffee Comb Cream Cup Curtain
            Desk Dish Drill Drum Envelope Filter Flag Flour Fork Frame Fridge Garlic Gloves Glue Hammer
            Handle Hat Honey Hook Ink Iron Jacket Jam Jug Kettle Key Ladder Lamp Leather Lens Lock Map
            Marker Mat Melon Mirror Mop Mouse Nail Napkin Net Notebook Oil Onion Oven Paint Pan Pasta Pepper
            Pillow Pin Pipe Plug Pot Printer Radio Rake Razor Rice Ring Rope Ruler Sack Salt Scale Scarf
            Screen Shelf Shirt Shoe Sink Soap Socket Spade Sponge Spoon Stool Stove Switch Tape Tea Thread
            Ticket Tile Timer Tomato Towel Toy Vase Vest Wallet Watch Whistle Wire Wool Zipper
            """
        ),
    ),
    "ar": Vocabulary(
        given=_words(
            """
            آدم أحمد إبراهيم أسامة إسماعيل أمل أمين أميرة أنور إياد إيمان باسم بدر بسمة بشرى بلال تامر تيم
            ثامر جابر جمال جميلة جواد حازم حسام حسن حمزة حنان خالد خليل دانا دعاء دينا راشد رانيا رباب ربيع
            رجاء رشا رياض ريم زاهر زكريا زياد زينب سارة سامر سحر سعاد سعيد سلمى سلمان سمر سمير سناء سيف شادي
            شريف صابر صالح صباح ضياء طارق طلال عامر عائشة عباس عدنان عزيز عصام علي عمار عمر عمران غسان فادي
            فاطمة فراس فرح فيصل قاسم قيس كمال لبنى لؤي ليلى ماهر محمود مروان مصطفى منى مها نادر نبيل ندى
            نزار نور هاني هند هيثم وائل وليد ياسر يحيى يونس
            """
        ),
        family=_words(
            """
            الساحلي السهلي الصحراوي الريفي الزيتوني المرجاني اللؤلؤي الياقوتي العقيقي الكهرماني النحاسي
            القرمزي البنفسجي الياسميني الزنبقي الوميضي السوسني السندياني اللوزي الجوزي التوتي الخروبي الكرزي
            العنابي السماقي القرنفلي الزعتري الحنائي الفلفلي الملحي الرملي الطيني الكهفي السيلي الغيمي
            الرعدي القمري النجمي الضبابي الثلجي الصقري الحصاني الهدهدي النورسي اليمامي الكرواني الشاهيني
            الخيطي الورقي الحبري الصندوقي الميناوي الجسري البرجي الخاني الطريقي الخليجي العنبري المسكي
            الكافوري الفستقي السفرجلي الفجري المسائي الشروقي الغروبي الشتوي المطري الحقلي البيدري السنبلي
            القمحي الكتاني القطني الحبلي المصباحي القنديلي الشمعي الزجاجي الخزفي الفخاري الحجري الخشبي
            """
        ),
        company=_words(
            """
            الأفق الأمانة الأندلس الأنوار الأرز الأصيل الابتكار الإتقان الاتحاد البرق البيان البادية البحيرة
            البرج البستان التقدم التميز الثريا الثقة الجسر الجوهرة الجودة الحصن الحكمة الخليج الخيال الدرة
            الدانة الذروة الرافدين الربيع الرواد الريادة الريحان الزمرد الزيتونة السحاب السراج السنابل
            السنديان السهم السواحل الشروق الشمس الشهاب الصفوة الصقر الصنوبر الضحى الطليعة الظل العاصمة
            العنقاء العهد الغدير الغيث الفجر الفنار الفيروز القلعة القمة القمر القافلة الكوكب الكهرمان
            الكنوز الليث المحيط المدار المستقبل المسار المورد النجم النجاح النخيل النهضة النوارس النبع الهدف
            الهضبة الوردة الوفاء الوطن الياسمين الياقوت اليمامة
            """
        ),
        trade=_words("شركة متجر مصنع معرض مصرف مطبعة مزرعة ورشة مركز مشتل مصبغة مطحنة"),
        place=_words(
            """
            نزوى صحار صور عبري الرستاق مسقط الدوحة المنامة الكويت جدة تبوك أبها الهفوف حائل نجران عرعر ينبع
            عمان إربد العقبة الكرك معان دمشق حلب حمص اللاذقية طرطوس الرقة صيدا زحلة بعلبك البصرة الموصل
            كركوك الحلة أربيل سامراء الجيزة طنطا المنصورة الأقصر قنا دمياط السويس بنغازي مصراتة تونس سوسة
            صفاقس بنزرت الجزائر وهران سطيف تلمسان الرباط مراكش طنجة أكادير صنعاء عدن تعز زبيد وجدة
            """
        ),
        item=_words(
            """
            قلم دفتر ممحاة مقص ورق حبر كتاب محفظة كرسي خزانة رف وسادة بطانية سجادة مصباح شمعة مرآة مفتاح قفل
            باب نافذة سلم حبل مسمار مطرقة مفك برغي صنبور دلو مكنسة إسفنجة صابون مشط سكين ملعقة صحن كوب قدر
            مقلاة فرن مروحة مكواة سخان مدفأة شاحن هاتف طابعة كاميرا مذياع حاسوب عدسة نظارة سترة معطف جورب
            قبعة حزام قفاز زر إبرة خيط صوف قطن جلد أرز ملح طحين زيت عسل شاي قهوة جبن زبدة تمر عنب تفاح
            برتقال موز بصل طماطم خيار بطاطا فلفل زعتر كعك عصير ماء سمك بيض كرة دراجة عجلة صندوق سلة كيس علبة
            لوح بلاط رمل إسمنت خشب حديد فحم إطار
            """
        ),
    ),
}

DEMO: dict[Language, Vocabulary] = {
    "en": Vocabulary(
        given=_words(
            """
            Adele Alec Anna Bella Cecil Clive Daisy Denis Edgar Elsa Ethan Felix Freya Grace Harry Hugo
            Irene Jana Julia Keira Liam Lucas Marco Mona Nina Oscar Rayan Salma Simon Thea Wafa Zara
            """
        ),
        family=_words(
            """
            Ambley Arkley Arkvale Balgate Benford Caldwen Culwen Elmlow Fenden Folton Hadfell Kelgate
            Kirmere Linvale Norwen Radvale Rosvale Selton Torgate Ulvstow Wenfell Yarford Yarstow Zelvale
            Sahili Qamari Jawzi Sakhri Nawrasi Sunduqi
            """
        ),
        company=_words(
            """
            Alpine Aurora Bluebell Cedar Copper Crown Dolphin Ember Fjord Garnet Granite Hawk Island Jupiter
            Laurel Lotus Marble Mirage Nile Ocean Orbit Palm Pioneer Quartz Ruby Saturn Summit Topaz Vector
            Zenith
            """
        ),
        trade=_words("Supplies Textiles Paper Bakery Transport Metals Fabrics Exports Gardens"),
        place=_words(
            """
            Amman Ashford Belmar Carlow Damar Dublin Genoa Graz Hofuf Jeddah Lagos Lisbon Manama Mosul Nizwa
            Padua Qena Sanaa Sohar Taif Turin Zabid
            """
        ),
        item=_words(
            """
            Apron Basket Blanket Bottle Brick Bulb Cable Canvas Chair Cloth Cotton Cushion Door Fan Folder
            Funnel Grape Heater Hose Jar Knife Lemon Milk Mug Needle Orange Pencil Plate Pump Ribbon Rug Saw
            Screw Shovel Sofa Stapler Sugar Tent Toaster Tray Wheel Wrench
            """
        ),
    ),
    "ar": Vocabulary(
        given=_words(
            """
            أحلام أسماء أنس باسل بشير تغريد جعفر حاتم حسين خديجة داود رامي رنا زهراء سالم سعد سليم سهى شهد
            صفاء عادل عبير علاء غادة فارس فؤاد كريم مازن مريم منير نجلاء هدى وسام يوسف
            """
        ),
        family=_words(
            """
            النهري النخلي الفيروزي الحديدي الكموني الصنوبري البندقي المشمشي النعناعي العسلي الصخري الطائري
            السحابي الجملي البلبلي القلمي الشباكي السوقي البحيري الصندلي الظهيري الخريفي الكرومي الشعيري
            الوتري المرآوي الرخامي
            """
        ),
        company=_words(
            """
            الأمل الأهرام الإبداع البركة البدر التاج التعاون الجزيرة الحديقة الدقة الرائد الرؤية الزهرة
            السلام الشعلة الشاطئ الطموح العروبة الغابة الفنون القوس المجد المروج الميناء النسيم الهلال
            الواحة الينابيع
            """
        ),
        trade=_words("مؤسسة مكتبة وكالة محمصة"),
        place=_words(
            """
            بهلا صلالة الطائف الدمام بريدة الزرقاء جرش حماة بيروت بغداد النجف القاهرة أسوان بنها سبها قابس
            عنابة فاس مكناس الخرطوم
            """
        ),
        item=_words(
            """
            مسطرة حقيبة طاولة سرير ستارة ساعة سلك منشار أنبوب فرشاة منشفة شوكة إبريق ثلاجة غسالة بطارية شاشة
            سماعة قميص حذاء وشاح قماش سكر حليب خبز ليمون ثوم جزر لحم خيمة مضخة زجاجة طوب مقعد
            """
        ),
    ),
}
