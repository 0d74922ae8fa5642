"""Language identification, by py3langid (Lui and Baldwin 2012, https://aclanthology.org/P12-3005)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.measurement_cache import Measure, MeasurementCache
from tl_core.data.options import OnProgress, no_progress
from tl_core.data.sampling import sample_rows

MIN_LETTERS = 20
"""Fewest letters of a text whose language is identified. Of 1,000 pieces of 20 characters from BBC news, 369 were then
identified as English and 3 as another language; the others were left unknown."""
SURE = 0.5
"""Smallest probability of a language that is reported."""
LOOKED_AT = 300
"""Most texts of a data set that its main language is guessed from."""
_READ = 400  # characters of a text
_CHUNK = 1000
_UNSEEN = 255  # not identified yet; a language is stored as its index in a list, in one byte
_NAMES = """ace Acehnese,af Afrikaans,am Amharic,an Aragonese,ar Arabic,ary Moroccan Arabic,arz Egyptian Arabic,
as Assamese,az Azerbaijani,ba Bashkir,bcl Bikol,be Belarusian,bg Bulgarian,bn Bengali,br Breton,bs Bosnian,ca Catalan,
crh Crimean Tatar,cs Czech,cy Welsh,da Danish,de German,dz Dzongkha,el Greek,en English,eo Esperanto,es Spanish,
et Estonian,eu Basque,ext Extremaduran,fa Persian,fi Finnish,fo Faroese,fr French,fuv Fulfulde,fy Frisian,ga Irish,
gcf Guadeloupean Creole,gcr Guianan Creole,gd Scottish Gaelic,gl Galician,gom Konkani,grc Ancient Greek,gu Gujarati,
gug Guarani,guw Gun,ha Hausa,hbo Biblical Hebrew,he Hebrew,hi Hindi,hr Croatian,ht Haitian Creole,hu Hungarian,
hy Armenian,id Indonesian,ig Igbo,is Icelandic,it Italian,ja Japanese,jv Javanese,ka Georgian,kab Kabyle,kik Kikuyu,
kk Kazakh,km Khmer,kn Kannada,ko Korean,ku Kurdish,ky Kyrgyz,la Latin,lb Luxembourgish,lg Ganda,lij Ligurian,
ln Lingala,lo Lao,lt Lithuanian,ltg Latgalian,lv Latvian,mg Malagasy,mk Macedonian,ml Malayalam,mn Mongolian,
mr Marathi,ms Malay,mt Maltese,my Burmese,ne Nepali,nl Dutch,nn Norwegian Nynorsk,no Norwegian,nso Northern Sotho,
oc Occitan,om Oromo,or Odia,pa Punjabi,pcm Nigerian Pidgin,pl Polish,ps Pashto,pt Portuguese,qu Quechua,ro Romanian,
ru Russian,rw Kinyarwanda,sa Sanskrit,sdh Southern Kurdish,se Northern Sami,si Sinhala,sk Slovak,sl Slovenian,sn Shona,
so Somali,sq Albanian,sr Serbian,st Sotho,sv Swedish,sw Swahili,ta Tamil,te Telugu,tg Tajik,th Thai,tk Turkmen,
tl Tagalog,tr Turkish,tt Tatar,ug Uyghur,uk Ukrainian,ur Urdu,uz Uzbek,uzs Southern Uzbek,vec Venetian,vi Vietnamese,
vo Volapuk,wa Walloon,wuu Wu Chinese,xh Xhosa,yo Yoruba,yue Cantonese,zh Chinese,zu Zulu,zxx no language"""
LANGUAGES = {code: name for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.split(","))}
"""English names of the languages that can be identified, by code."""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def detect_language(text: str) -> str:
    """Return the code of a text's language, "" where the text is too short or too mixed to tell."""
    text = text[:_READ]
    if sum(map(str.isalpha, text)) < MIN_LETTERS:
        return ""
    code, sure = _identifier().classify(text)
    return str(code) if sure >= SURE and code != "zxx" and code in LANGUAGES else ""


def languages_of(dataset: Dataset, rows: np.ndarray, progress: OnProgress = no_progress) -> np.ndarray:
    """Return the language code of each text in `rows` `[len(rows)]`, "" where it is unknown.

    Codes are stored beside the manifest, also where `progress` ends the work by raising.
    """
    with language_cache(dataset) as identify:
        return identify(rows, progress)


def mostly_english(dataset: Dataset) -> bool:
    """Return whether at least half of the texts whose language can be told are English; True where none can be.

    A text that is too short to identify is not English if most of its letters are none of A to Z. A sample is read.
    """
    rows = sample_rows(len(dataset.items), LOOKED_AT)
    codes = languages_of(dataset, rows)
    unknown = dataset.items["text"].iloc[rows[codes == ""]]
    foreign = int(((codes != "") & (codes != "en")).sum()) + sum(map(_other_letters, unknown))
    return int((codes == "en").sum()) >= foreign


def _other_letters(text: str) -> bool:
    letters = [letter for letter in text[:_READ] if letter.isalpha()]
    return 2 * sum(map(str.isascii, letters)) < len(letters)


@contextmanager
def language_cache(dataset: Dataset) -> Iterator[Measure]:
    """Yield a function like `languages_of` for many calls, which stores its results when the block ends."""
    texts = dataset.items["text"]
    blank = {"order": np.array(["", *LANGUAGES]), "known": np.full(len(texts), _UNSEEN, dtype=np.uint8)}
    with MeasurementCache(dataset.folder / "languages.npz", **blank) as cache:
        order, codes = cache["order"], cache["known"]
        place = {code: i for i, code in enumerate(order.tolist())}

        def identify(rows: np.ndarray, progress: OnProgress = no_progress) -> np.ndarray:
            missing = rows[codes[rows] == _UNSEEN]
            for start in range(0, len(missing), _CHUNK):
                progress("Identifying languages", start, len(missing))
                batch = missing[start : start + _CHUNK]
                codes[batch] = [place[detect_language(text)] for text in texts.iloc[batch]]
                cache.mark_changed()
            return order[codes[rows]]

        yield identify
