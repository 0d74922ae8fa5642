"""What the names of columns say about their roles, in several languages."""

from functools import lru_cache

from tl_core.data.sources.split_names import name_words

_FIRST = (
    "label labels class classes target gold truth groundtruth y choice choices etiqueta etiquetas clase etichetta "
    "etiquette etiquettes classe classi klasse klassen etikett etiket etikete etykieta klasa rotulo luokka sinif "
    "метка метки класс 标签 类别 分类 ラベル クラス 레이블 라벨"
)
_SECOND = (
    "category categories sentiment topic topics intent genre emotion rating stars polarity diagnosis dx species breed "
    "disease finding findings stance toxicity severity priority department kategorie kategorien thema rubrik abteilung "
    "sparte fachgebiet diagnose befund art gattung bewertung stimmung categoria categorias tema sentimiento genero "
    "especie raza diagnostico categorie sujet genre espece diagnostic avis specie razza argomento sentimento "
    "departamento departement categorie onderwerp kategori amne emne kategoria temat "
    "категория тема 主题 情感 カテゴリ 카테고리"
)
_THIRD = "code tag tags type kind status outcome result verdict decision score grade annotation group answer"
_TIERS = tuple(
    frozenset(word for name in names.split() for word in name_words(name)) for names in (_FIRST, _SECOND, _THIRD)
)
_QUALIFYING = (
    "name names text id ids idx index str string raw true truth final gold main primary ground manual human assigned "
    "the my original"
)
_QUALIFIERS = frozenset(_QUALIFYING.split())
_OTHER = (
    "id ids idx index nr no num number nummer row rowid uuid guid key "
    "annotator rater coder worker user username author reviewer editor annotated labeller labeler operator doctor "
    "physician bearbeiter bearbeiterin sachbearbeiter anotador annotateur photographer "
    "source fuente quelle origin origen origine fonte url uri link site website domain host region country land pais "
    "pays city ciudad ville stadt location place hospital clinic klinik centre center standort lang language languages "
    "sprache idioma langue lingua locale "
    "date datum fecha data time timestamp created updated published year month day hour jahr monat "
    "width height size length channels depth format camera device scanner lines bytes lead xmin xmax ymin ymax "
    "split fold subset partition usage confidence probability prob weight agreement version batch page verified "
    "license licence flickr coco hash md5 sha sex gender age geschlecht alter"
)
_OTHER_ROLES = frozenset(_OTHER.split())
GROUP_NAMES = ("group", "group_id", "patient_id", "subject_id", "author_id", "user_id", "document_id")
"""Names of columns that say which items belong together, whatever they hold."""
_TOGETHER = (
    "patient subject participant person proband author user speaker document doc group lesion session case family "
    "household film video clip movie scene sequence recording conversation dialog dialogue thread study exam slide "
    "donor animal mouse client customer episode interview paciente pid sujeto autor patiente patienten"
)
_GROUPS = frozenset(_TOGETHER.split())
PEOPLE = frozenset(("author", "speaker", "participant", "patient", "person", "user", "donor", "customer", "client"))
"""Words for people, whose names are those of groups even without numbers."""
_ID_WORDS = frozenset(("id", "ids", "no", "nr", "number", "num", "key", "uid"))
_SPLITTING = "split splits subset partition set usage dataset datasplit datasets phase role sample fold part purpose"
_SPLIT_NAMES = frozenset(_SPLITTING.split())
NO_TIER = 3
"""The tier of a column whose name does not speak of labels."""


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(name_words(name))


def label_tier(name: str) -> tuple[int, bool]:
    """Return how strongly a name speaks of labels, from 0 ("label") to 3 (not at all), and whether only a part does.

    >>> label_tier("class_id"), label_tier("Topic"), label_tier("School class"), label_tier("site")
    ((0, False), (1, False), (0, True), (3, False))
    """
    words = _words(name)
    tiers = {word: tier for word in words for tier, names in enumerate(_TIERS) if word in names}
    if not tiers:
        return NO_TIER, False
    rest = [word for word in words if word not in tiers and word not in _QUALIFIERS]
    return min(tiers.values()), bool(rest)


def has_other_role(name: str) -> bool:
    """Return whether a name says that a column holds something else than labels: an id, a person, a place, a time."""
    return any(word in _OTHER_ROLES for word in _words(name))


def is_split_name(name: str) -> bool:
    """Return whether a column is called as one that holds splits is: "Usage", "data set", "train_test_split"."""
    words = set(_words(name)) - {"data", "train", "test", "val", "valid", "validation", "dev", "or", "is", "the"}
    return bool(words) and words <= _SPLIT_NAMES


def group_kind(name: str) -> str:
    """Return whether a name is that of a column that says what belongs together: "sure", "likely" or "".

    "sure" names an id ("Patient ID", "lesionId"), "likely" only a person or thing ("author").
    """
    words = _words(name)
    things = [word for word in words if word in _GROUPS]
    if name.lower() in GROUP_NAMES:
        return "sure"
    rest = set(words) - set(things) - _ID_WORDS
    if not things and len(words) == 1:  # "patientid", without a sign between
        things = [w for i in ("id", "no", "nr") if (w := words[0].removesuffix(i)) != words[0] and w in _GROUPS]
        return "sure" if things else ""
    if not things or rest:
        return ""
    return "sure" if len(words) > len(things) else "likely"
