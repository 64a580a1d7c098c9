"""What an address says, whoever wrote it: words without accents and abbreviations, numbers, postal codes.

Pure. The same folding makes the index and reads the question, so a rule that is wrong twice does no harm.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Question", "edits_apart", "fold", "is_number", "read_question", "shortened", "words_of"]

_SHORT: Final = {
    # Portuguese and Spanish
    "r": "rua",
    "calle": "rua",
    "av": "avenida",
    "avda": "avenida",
    "aven": "avenida",
    "pc": "praca",
    "pca": "praca",
    "praza": "praca",
    "plaza": "praca",
    "plz": "praca",
    "tv": "travessa",
    "trav": "travessa",
    "lg": "largo",
    "lgo": "largo",
    "est": "estrada",
    "estr": "estrada",
    "al": "alameda",
    "calc": "calcada",
    "esc": "escadas",
    "bc": "beco",
    "rot": "rotunda",
    "urb": "urbanizacao",
    "br": "bairro",
    "qta": "quinta",
    "vl": "vila",
    "cam": "caminho",
    "pte": "ponte",
    "hosp": "hospital",
    # whom streets are named after
    "doutor": "dr",
    "doutora": "dr",
    "dra": "dr",
    "dtor": "dr",
    "engenheiro": "eng",
    "engo": "eng",
    "professor": "prof",
    "professora": "prof",
    "general": "gen",
    "gal": "gen",
    "coronel": "cor",
    "capitao": "cap",
    "almirante": "alm",
    "comendador": "com",
    "comend": "com",
    "conselheiro": "cons",
    "visconde": "visc",
    "marechal": "mal",
    "tenente": "ten",
    "padre": "pe",
    "dom": "d",
    "dona": "d",
    "sao": "s",
    "santo": "s",
    "santa": "s",
    "sto": "s",
    "sta": "s",
    "saint": "s",
    "san": "s",
    "infante": "inf",
    "nossa": "n",
    "senhora": "sra",
    "primeiro": "1",
    # German and English
    "str": "strasse",
    "pl": "platz",
    "street": "strt",
    "road": "rd",
    "avenue": "avenida",
    "ave": "avenida",
    "square": "sq",
    "lane": "ln",
    "drive": "drv",
}
"""Spelling → the one under which it is filed."""
_SMALL: Final = frozenset(
    (  # noqa: SIM905  # words read better in a line
        "de da do das dos e a o as os em no na la el le los las del der die das den dem von vom zu zum zur "
        "the of and y i du des et"
    ).split()
)
"""Words that are dropped: some write them, some don't."""
_ASIDE: Final = frozenset(
    (  # noqa: SIM905  # words read better in a line
        "no nr num numero andar piso esq esquerdo dto dir direito frente fte tras loja lj bloco bl lote lt "
        "sala cave rc ap apt apto fraccao porta portugal pt espana deutschland germany floor apartment flat "
        "unit suite casa"
    ).split()
)
"""Words that say nothing about which street it is."""
_SUFFIXES: Final = (("strasse", "strasse"), ("str", "strasse"))
_POSTCODE = re.compile(r"\b([0-9]{4})[ -]+([0-9]{3})\b|\b([0-9]{5})\b")
_FLOOR = re.compile(r"\b[0-9]{1,2} ?[ºª°]")
_WORD = re.compile(r"[a-z]+|[0-9]+[a-z]?(?![a-z0-9])|[0-9]+|[^\W\d_a-z]+")
_NUMBER = re.compile(r"^[0-9]{1,5}[a-z]?$")


@dataclass(frozen=True, slots=True)
class Question:
    """An address taken apart."""

    words: tuple[str, ...]
    """What may be part of a name, in order, numbers included."""
    postcode: str | None = None
    """As it is written in the country: `4050-262`, or `20095`."""


def fold(text: str) -> str:
    """Return a text in lower case, without accents and with one kind of blank."""
    split = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    return re.sub(r"\s+", " ", "".join(one for one in split if not unicodedata.combining(one))).strip()


def words_of(name: str) -> tuple[str, ...]:
    """Return the words under which a name is filed."""
    return tuple(_filed(word) for word in _WORD.findall(fold(name).replace("'", "")) if word not in _SMALL)


def read_question(text: str) -> Question:
    """Return what an address says: a postal code is taken out, and what only says which door it is."""
    text = _FLOOR.sub(" ", text)  # before folding, which makes 2º a 2o
    folded = fold(text).replace("'", "")
    postcode = None
    if (found := _POSTCODE.search(folded)) is not None:
        postcode = f"{found[1]}-{found[2]}" if found[1] else found[3]
        folded = folded[: found.start()] + " " + folded[found.end() :]
    words = [word for word in _WORD.findall(folded) if word not in _SMALL and word not in _ASIDE]
    return Question(tuple(_filed(word) for word in words), postcode)


def is_number(word: str) -> bool:
    """Tell whether a word may be a house number."""
    return _NUMBER.match(word) is not None


def shortened(word: str) -> Iterator[str]:
    """Yield a word without each of its letters, and the word itself: two words that share one are close."""
    yield word
    seen = {word}
    for place in range(len(word)):
        if (key := word[:place] + word[place + 1 :]) not in seen:
            seen.add(key)
            yield key


def edits_apart(one: str, other: str, most: int) -> int:
    """Return how many letters have to be added, dropped, changed or swapped with a neighbour; `most` + 1 at most."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _filed(word: str) -> str:
    word = _SHORT.get(word, word)
    for suffix, whole in _SUFFIXES:
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            return word[: -len(suffix)] + whole
    return word
