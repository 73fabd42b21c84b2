"""Texts as they were written before UTF-8: whoever opens one reads its letters, whatever its language, code page and length."""

from __future__ import annotations

import pytest

from ingest.parse.text import decode

WEST = ("windows-1252", "mac-roman", "cp850")
CENTRAL = ("windows-1250", "iso-8859-2", "cp852")
TEXTS = {
    "French, a letter": (WEST, """Madame, Monsieur, nous avons bien reçu votre réclamation du 3 février et nous vous présentons nos excuses.
La livraison prévue à Orléans a été retardée par la grève. Un remboursement de 42 € vous sera versé dès que possible.
Où en êtes-vous avec la deuxième commande ? Veuillez agréer l'expression de nos sentiments distingués."""),
    "French, a recipe": (WEST, """Tarte aux pommes. Épluchez les pommes, coupez-les en dés et laissez-les mijoter à feu doux. Étalez la pâte,
versez la crème fraîche et le sucre, puis enfournez pendant trente minutes. Le gâteau doit être doré. Servez tiède, peut-être avec
une boule de glace à la vanille."""),
    "Italian": (WEST, """Gentile cliente, la città di Forlì ha approvato il nuovo orario della biblioteca. Da lunedì sarà aperta più a lungo,
perché la comunità lo ha chiesto. Chi può venire di venerdì troverà anche il caffè. Non è necessario prenotare, ma c'è poco posto.
La novità vale per tutti i soci, cioè anche per gli studenti delle università."""),
    "Spanish": (WEST, """El niño cogió el autobús a las ocho de la mañana. ¿Cuánto cuesta el billete? ¡Qué caro! La compañía subió el precio en
enero según publicó el periódico. También cambió la dirección de la estación: está detrás del pingüinario, más allá del jardín."""),
    "Portuguese": (WEST, """A prestação do condomínio não inclui a água nem o gás. Os moradores já pagaram três mensalidades em atraso e
pedem uma reunião à administração. Até amanhã será possível enviar sugestões por correio eletrónico. As obras no elevador começarão
em março, se houver orçamento. Informações: João Conceição, rua da Estação."""),
    "Catalan": (WEST, """L'associació de veïns farà una reunió el dimarts a les vuit. Es parlarà de les obres del carrer, que ja són més lentes
que no es pensava, i de què passarà amb la plaça. També hi haurà xocolata per als nens."""),
    "German": (WEST, """Sehr geehrte Frau Müller, die Wohnung in der Hauptstraße wird zum ersten März frei. Die Miete beträgt 640 Euro,
die Kaution drei Monatsmieten. Bitte bringen Sie für die Übergabe den Schlüssel und das ausgefüllte Formular mit. Über Änderungen
der Öffnungszeiten informieren wir Sie rechtzeitig. Mit freundlichen Grüßen"""),
    "Dutch": (WEST, """De patiënten worden verzocht hun identiteitsbewijs mee te nemen. Er zijn twee categorieën: wie één keer komt en wie
vaker komt. Het coördinatiepunt is geopend van maandag tot en met vrijdag. Voor vragen over de financiële regeling belt u de balie."""),
    "Swedish": (WEST, """Föreningens årsmöte hålls på söndag i församlingshuset. Vi bjuder på kaffe och smörgåsar. Motioner ska lämnas in
före den femte april. Är du förhindrad så kan någon annan rösta åt dig. Städdagen är flyttad till hösten eftersom många är bortresta."""),
    "Danish": (WEST, """Kære beboere, på mandag bliver der lukket for vandet mellem klokken ni og tolv. Grunden er, at røret i kælderen er utæt.
Vær venlige at fylde nogle flasker i forvejen. Hvis I har spørgsmål, så ring til viceværten. Håndværkerne kører også på Nørrebro."""),
    "Norwegian": (WEST, """Hytta ligger ved sjøen, og det er ikke vei helt fram. Nøkkelen henger på kroken bak døra. Husk å slå av strømmen når
dere går. Båten må ikke brukes uten redningsvest. Søppel tas med hjem igjen. God påske!"""),
    "Finnish": (WEST, """Hei, taloyhtiön kokous pidetään torstaina kello kuusi. Käsittelemme pihan kunnostusta ja vesimaksujen nousua.
Tämä on viimeinen mahdollisuus esittää toiveita ennen kesää. Jos et pääse paikalle, voit lähettää valtakirjan isännöitsijälle.
Pöytäkirja on nähtävillä yleisissä tiloissa."""),
    "Icelandic": (("windows-1252", "mac-iceland", "cp861")[:1], """Strætó keyrir ekki á morgun vegna veðurs. Foreldrar eru beðnir um að sækja börnin í skólann
fyrir klukkan þrjú. Símanúmer skrifstofunnar er óbreytt. Það er von á mikilli snjókomu um allt land og fólk er hvatt til að vera heima."""),
    "Estonian": (("windows-1257", "windows-1252"), """Lugupeetud üürnikud, kütteperiood lõpeb mai alguses. Palume näidud teatada hiljemalt kuu viimasel päeval.
Kui näit jääb teatamata, siis arvestame keskmise järgi. Küsimuste korral pöörduge haldaja poole, ta on kohal esmaspäeviti."""),
    "Polish": (CENTRAL, """Szanowni Państwo, uprzejmie informujemy, że przychodnia będzie nieczynna w piątek. Recepty można odebrać wcześniej
albo zamówić przez telefon. Prosimy również o przyniesienie zaświadczenia od lekarza. Następna wizyta odbędzie się w środę o ósmej.
Łączymy pozdrowienia, rejestracja."""),
    "Czech": (CENTRAL, """Vážení cestující, vlak do Břeclavi bude opožděn přibližně o dvacet minut. Omlouváme se za způsobené potíže. Jízdenky
zůstávají v platnosti. Občerstvení koupíte ve čtvrtém voze. Příští zastávka je Žďár, výstup je možný pouze vpravo."""),
    "Slovak": (CENTRAL, """Milí susedia, v sobotu sa bude čistiť spoločný dvor. Prineste si rukavice a dobrú náladu, o občerstvenie je postarané.
Kľúč od pivnice má pán Ďurica z tretieho poschodia. Ak bude pršať, stretneme sa o týždeň neskôr. Tešíme sa na vás!"""),
    "Hungarian": (CENTRAL, """Tisztelt Lakók! A felújítás miatt a lift hétfőtől szerdáig nem működik. A bejárati ajtót kérjük mindig becsukni.
A közös költség befizetésének határideje tizedike. Aki késik, annak külön díjat kell fizetnie. Köszönjük a türelmüket, és elnézést
kérünk a kellemetlenségért. Az őszi gyűlés időpontja később derül ki."""),
    "Romanian": (("windows-1250", "iso-8859-2"), """Stimaţi locatari, vă rugăm să plătiţi întreţinerea până la sfârşitul lunii. Apa caldă va fi oprită marţi între
orele nouă şi douăsprezece. Cheia de la pivniţă se află la administrator. Îi mulţumim doamnei Ţepeş pentru ajutor."""),
    "Croatian": (CENTRAL, """Poštovani, vaša narudžba je stigla i čeka vas u trgovini. Možete je preuzeti svaki dan osim nedjelje. Ako želite
dostavu kući, javite nam kad ste slobodni. Račun ćete dobiti e-poštom. Rođendanski popust vrijedi još tjedan dana."""),
    "Slovene": (CENTRAL, """Spoštovani starši, šolski izlet bo v četrtek. Otroci naj prinesejo malico, pijačo in dežnik, ker je napovedan dež.
Vrnili se bomo okoli šestih zvečer. Če kdo ne more zraven, naj to sporoči razredničarki. Cena je za vse enaka."""),
    "Turkish": (("windows-1254", "cp857"), """Sayın velimiz, okulumuzda salı günü saat onda toplantı yapılacaktır. Öğrencilerin karneleri dağıtılacak ve
gelecek dönemin programı görüşülecektir. Lütfen kimliğinizi yanınızda getiriniz. İyi günler dileriz. Çay ve kurabiye ikram edilecek."""),
    "Lithuanian": (("windows-1257", "cp775"), """Gerbiami gyventojai, šiandien nuo devintos valandos nebus karšto vandens. Atsiprašome už nepatogumus. Jei turite
klausimų, skambinkite į administraciją. Žiemą šildymas įjungiamas, kai lauke šalta. Ačiū, kad tausojate energiją ir rūšiuojate šiukšles."""),
    "Latvian": (("windows-1257", "cp775"), """Cienījamie pasažieri, autobuss uz Rēzekni šodien kavēsies. Biļetes var iegādāties pie šofera vai kasē. Bagāžu lūdzam
nodot laikus. Ja jums ir kādi jautājumi, griezieties informācijas centrā. Novēlam jums patīkamu ceļojumu un jaukus svētkus ģimenē."""),
    "English with names": (("windows-1252",), """The café on the corner belongs to Zoë Müller and her “fiancé”, François. It’s been there since 1998 – naïve people
said that it wouldn’t last. They pay £900 in rent, and the crème brûlée is the best in town, as the critics of “El Niño” wrote."""),
    "English of a Macintosh": (("mac-roman",), """The café on the corner belongs to Zoë Müller and her “fiancé”, François. It’s been there since 1998 – naïve people
said that it wouldn’t last. Their crème brûlée is the best in town, and they know it."""),
    "Russian": (("windows-1251", "koi8-r", "cp866", "iso-8859-5"), """Уважаемые жильцы, завтра с девяти до двенадцати часов не будет горячей воды. Просим прощения за
неудобства. Если у вас есть вопросы, звоните диспетчеру. Собрание собственников переносится на следующую среду, начало в семь вечера."""),
    "Russian, a notice": (("windows-1251", "koi8-r", "cp866", "iso-8859-5", "mac-cyrillic"), """Лицензионный сбор составляет девяносто девять евро в год. Договор вступает в силу завтра.
Оплатить можно в кассе или на сайте. ПРОСИМ НЕ ОПАЗДЫВАТЬ!"""),
    "Bulgarian": (("windows-1251",), """Уважаеми пътници, влакът за Пловдив ще закъснее с двадесет минути. Извиняваме се за неудобството. Билетите са валидни и за
следващия влак. Моля, не забравяйте багажа си на перона."""),
    "Serbian": (("windows-1251", "iso-8859-5"), """Поштовани станари, сутра од девет до дванаест неће бити топле воде. Молимо вас да се јавите ако имате питања. Састанак је
у среду у осам, а записник ће бити на огласној табли."""),
    "Ukrainian": (("windows-1251", "koi8-u"), """Шановні пасажири, потяг до Львова відправляється о восьмій годині з другої колії. Їжу та напої можна придбати у вагоні.
Будь ласка, не забувайте свої речі. Щасливої дороги! Квитки є дійсними лише разом із посвідченням особи."""),
    "Greek": (("windows-1253", "iso-8859-7"), """Αγαπητοί γονείς, η εκδρομή του σχολείου θα γίνει την Πέμπτη. Τα παιδιά να φέρουν μαζί τους νερό και κολατσιό. Θα
επιστρέψουμε γύρω στις έξι το απόγευμα. Αν κάποιος δεν μπορεί να έρθει, ας ενημερώσει τη δασκάλα."""),
    "Hebrew": (("windows-1255",), """שלום לכולם, האסיפה תתקיים ביום שני בשעה שמונה בערב. נדבר על תיקון הגג ועל התשלומים החודשיים. מי שלא יכול להגיע מתבקש
להודיע מראש. יהיו גם קפה ועוגה. תודה רבה לכל מי שעזר בניקיון החצר בשבוע שעבר."""),
    "Arabic": (("windows-1256", "iso-8859-6"), """السادة الركاب، سيتأخر القطار المتجه إلى الإسكندرية عشرين دقيقة. نعتذر عن هذا التأخير ونشكركم على صبركم. يمكنكم شراء
الطعام والشراب في العربة الرابعة. يرجى عدم ترك الحقائب دون مراقبة."""),
    "Arabic, history": (("windows-1256", "iso-8859-6"), """في عام ألف وتسعمئة تبرع التاجر بلوحات كثيرة من أعمال فنانين معاصرين و رسامين من المدينة، و بقيت في القاعة الكبيرة زمنا
طويلا، ثم نقلت إلى المتحف الجديد و عرضت فيه للجمهور."""),
    "Thai": (("cp874",), """เรียนผู้โดยสารทุกท่าน รถไฟไปเชียงใหม่จะออกช้ากว่ากำหนดประมาณยี่สิบนาที ขออภัยในความไม่สะดวก ท่านสามารถซื้ออาหารและเครื่องดื่มได้ที่ตู้ที่สี่
กรุณาดูแลสัมภาระของท่านตลอดเวลา"""),
    "Japanese": (("shift_jis", "euc-jp", "iso-2022-jp"), """お客様各位、明日は設備の点検のため、午前九時から正午まで水が出ません。ご迷惑をおかけして申し訳ございません。
ご質問がございましたら、管理事務所までお電話ください。次の集まりは来週の水曜日です。"""),
    "Chinese": (("gb18030",), """各位旅客，开往成都的列车将晚点二十分钟，请您谅解。餐车在第四节车厢，供应热饭和饮料。请保管好随身携带的行李物品，祝您旅途愉快。
如果有问题，可以向乘务员询问。"""),
    "Chinese of Taiwan": (("big5",), """各位旅客，開往臺南的列車將晚二十分鐘到達，請您諒解。餐車在第四節車廂，供應熱飯和飲料。請保管好隨身攜帶的行李，祝您旅途愉快。
如果有問題，可以向服務員詢問。"""),
    "Korean": (("cp949",), """입주민 여러분께 알려 드립니다. 내일 오전 아홉 시부터 열두 시까지 물이 나오지 않습니다. 불편을 드려 죄송합니다. 궁금한 점이
있으시면 관리 사무소로 전화해 주십시오. 다음 모임은 수요일입니다."""),
}  # fmt: skip
OTHER_SCRIPTS = (
    "Russian",
    "Ukrainian",
    "Greek",
    "Hebrew",
    "Arabic",
    "Thai",
    "Japanese",
    "Chinese",
    "Chinese of Taiwan",
    "Korean",
)
GUESSED = frozenset(page for name in OTHER_SCRIPTS for page in TEXTS[name][0])
CASES = [pytest.param(text, page, id=f"{name} in {page}") for name, (pages, text) in TEXTS.items() for page in pages]


@pytest.mark.parametrize(("text", "page"), CASES)
def test_a_text_is_read_with_its_own_letters_whatever_its_code_page_and_length(text, page):
    text = "".join(c for c in text if c.encode(page, "ignore"))
    first_line = text.partition("\n")[0]
    lengths = (text, text * 5) if page in GUESSED else (first_line, text, text * 5, text * 40)
    for whole in (*lengths, f"{'=' * 3000}\n{text}"):
        found, encoding, warnings = decode(whole.encode(page), "letter.txt")
        assert found == whole, encoding
        assert warnings == ()


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("windows-1252", "Prénom;Ville;Montant\nHélène;Besançon;12,50\nJérôme;Orléans;7,00\nAgnès;Nîmes;9,90\n"),
        ("windows-1252", "Größe;Stück;Preis\nMüller GmbH;12;3,50 €\nJäger & Söhne;4;19,90 €\n"),
        ("windows-1252", "Año;País;Población\n2020;España;47 millones\n2021;México;126 millones\n"),
        ("windows-1250", "Imię;Miasto;Kwota\nŁukasz;Łódź;12,50\nMałgorzata;Gdańsk;7,00\nZbyszek;Częstochowa;9,90\n"),
        ("iso-8859-2", "Imię;Miasto;Kwota\nŁukasz;Łódź;12,50\nMałgorzata;Gdańsk;7,00\nZbyszek;Częstochowa;9,90\n"),
        ("windows-1250", "Jméno;Město;Částka\nJiří;Brno;12,50\nŠtěpán;Plzeň;7,00\nRůžena;Žďár;9,90\n"),
        (
            "iso-8859-2",
            "Opłata licencyjna wynosi dziewięćdziesiąt dziewięć euro rocznie. Jutro o umowie źródłowej, żółć.",
        ),
        ("windows-1254", "Adı;Şehir;Tutar\nAyşe;Iğdır;12,50\nÇağla;Eskişehir;7,00\nİsmail;Muğla;9,90\n"),
    ],
)
@pytest.mark.parametrize("times", [1, 50])
def test_rows_of_names_and_figures_are_read_with_their_own_letters(page, rows, times):
    assert decode((rows * times).encode(page), "rows.csv")[0] == rows * times


@pytest.mark.parametrize(
    "text",
    ["Temperature 20 °C ± 2 µm", "100 µl, 4 °C", "Voltage ±5 V", "5 µF ± 10 %", "Temp °C;Length µm;Area m²\n1;2;3"],
)
def test_signs_of_measures_alone_are_no_letters_of_another_page(text):
    assert decode(text.encode("windows-1252"), "t") == (text, "windows-1252", ())


@pytest.mark.parametrize(
    ("text", "page"), [("ľud ľan", "iso-8859-2"), ("są tą", "iso-8859-2"), ("░░░░ Größe ░░", "cp850")]
)
def test_letters_and_shades_at_the_place_of_a_sign_of_measures_stay(text, page):
    assert decode(text.encode(page), "t") == (text, page, ())


def test_the_signs_that_windows_added_to_japanese_are_read_where_escapes_say_that_it_is_japanese():
    # ESC $ B: two bytes for each character; ① is in row 13, which only windows has; 髙 in its row 94.
    mail = b"\x1b$B-!\x1b(B Tokyo \x1b$BF|K\\\x1b(B, \x1b(I\x36\x45\x1b(B.\n"
    assert decode(mail, "mail.txt") == ("① Tokyo 日本, ｶﾅ.\n", "iso-2022-jp", ())


def test_half_a_character_of_japanese_is_lost_alone_and_said():
    text, _, (warning,) = decode("日本語の文書です。".encode("iso-2022-jp")[:-3] + b"N\x1b(B ok", "mail.txt")
    assert text == "日本語の文書です。\ufffd ok"
    assert warning.lost


@pytest.mark.parametrize("log", [b"\x1b[32mok\x1b(B\x1b[m done\n", b"PS1=\x1b$Bad prompt\n"])
def test_the_escapes_of_a_terminal_make_no_japanese(log):
    assert decode(log, "build.log") == (log.decode(), "utf-8", ())
