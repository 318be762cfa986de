"""Finds the foods and drugs that a text names, however it writes them. Pure; the words: `lexicon`.

A text is read as a person would read it: full-width and accented letters, letters of other
alphabets that look alike, invisible characters and Hangul taken apart become plain letters first.
A word may be broken by spaces, signs, digits or pictures, provided that its pieces are words by
themselves, so that 우 유 is found and the end of one word with the beginning of the next is not
(경우 유산소). A mention is a mention: "우유 대신" and "우유는 피하세요" name milk.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from batch_platform.domains.interventions import lexicon
from batch_platform.domains.interventions.models import Allergy

_Place = Literal["within", "start", "alone", "english", "sign"]

# Letters of other alphabets that look like Latin ones: the usual part of Unicode TR 39's table.
_LOOKALIKES = str.maketrans(
    "абвгдеёкмнорстухіїјѕԁԛԝһաοανεικρτυχηβ", "a6bгdeekmhopctyxiijsdqwhuoaveikptuxnb"
)
_HANGUL_FILLERS = re.compile("[\u115f\u1160\u3164\uffa0]")
_LOOSE_FINAL = re.compile("([가-힣])([\u1100-\u1112])(?![\u1161-\u1175])")
_LOOSE_JAMO = re.compile("[\u1100-\u11ff]")
_FINALS = "ᄀ ᄁ _ ᄂ _ _ ᄃ ᄅ _ _ _ _ _ _ _ ᄆ ᄇ _ ᄉ ᄊ ᄋ ᄌ ᄎ ᄏ ᄐ ᄑ ᄒ".split()  # noqa: SIM905
_GAP = r"[\W\d_]*"
_PARTICLES = (
    "으로 이나 이랑 에는 부터 까지 보다 처럼 대신 만 을 를 은 는 이 가 와 과 나 랑 도 로 에 의 류"
)
_PARTICLE = f"(?:{_PARTICLES.replace(' ', '|')})?"
_IS_WORD = r"(?![^\W\d_])"
_STARTS_WORD = r"(?<![^\W\d_])"
_STARTS_LATIN = r"(?<![a-z])"
_ENDS_LATIN = r"(?:e?s)?(?![a-z])"
_SAFE_IN_PIECES = frozenset("우유 치즈 계란 달걀 땅콩 빵".split())  # noqa: SIM905
"""Words of two letters that no two neighbouring words happen to spell."""

_LONG = 3


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the lexicon, ready to be looked for.

    Attributes:
        letters: What a text must hold to name it: rules most words out at once.
        whole: Finds it in one piece, or in pieces that are words.
        broken: Finds it in pieces of which one is part of a longer word; None where that is usual.
    """

    text: str
    letters: frozenset[str]
    whole: re.Pattern[str]
    broken: re.Pattern[str] | None

    def is_in(self, text: str, characters: frozenset[str]) -> bool:
        return self.letters <= characters and (
            self.whole.search(text) is not None
            or (self.broken is not None and self.broken.search(text) is not None)
        )


@lru_cache(maxsize=4_096)
def plain(text: str) -> str:
    """A text in the plain letters that a person sees, in lower case."""
    text = html.unescape(text)
    decomposed = unicodedata.normalize("NFKD", _HANGUL_FILLERS.sub("", text))
    visible = "".join(
        each for each in decomposed if unicodedata.category(each) not in ("Mn", "Me", "Cf", "Co")
    )
    composed = unicodedata.normalize("NFC", visible).casefold().translate(_LOOKALIKES)
    joined = _LOOSE_FINAL.sub(_with_final, composed)
    return _LOOSE_JAMO.sub(" ", joined)


def foods_named(
    text: str, allergies: Collection[Allergy], names: Iterable[str] = ()
) -> frozenset[str]:
    """The words in a text that name a food with one of the allergens.

    Args:
        text: As it was written.
        allergies: A user's.
        names: Further foods that contain one of them, by name; found at the beginning of words.
    """
    if not allergies:
        return frozenset()
    read = plain(text)
    found: set[str] = set()
    for allergy in allergies:
        found |= _found(_words(allergy), _without_harmless(read, allergy))
    return frozenset(found | _found(filter(None, map(_name, names)), read))


def drugs_named(text: str) -> frozenset[str]:
    """The words in a text that name a drug or a kind of drug."""
    return frozenset(_found(_drugs(), plain(text)))


def _found(words: Iterable[_Word], text: str) -> set[str]:
    characters = frozenset(text)
    return {word.text for word in words if word.is_in(text, characters)}


def _with_final(match: re.Match[str]) -> str:
    syllable, final = match.groups()
    index = _FINALS.index(final) + 1 if final in _FINALS else 0
    has_final = (ord(syllable) - 0xAC00) % 28
    return syllable + final if has_final or not index else chr(ord(syllable) + index)


def _without_harmless(text: str, allergy: Allergy) -> str:
    pattern = _harmless(allergy)
    return pattern.sub(" ", text) if pattern else text


@lru_cache(maxsize=50_000)
def _name(text: str) -> _Word | None:
    """A food's name in the source; None when it is too short to tell anything."""
    read = plain(text).strip()
    letters = sum(each.isalnum() for each in read)
    return _word(read, "start") if letters > 1 else None


@cache
def _words(allergy: Allergy) -> tuple[_Word, ...]:
    places: Mapping[str, _Place] = {
        lexicon.FOODS: "within",
        lexicon.FOODS_AT_START: "start",
        lexicon.FOODS_ALONE: "alone",
        lexicon.FOODS_ENGLISH: "english",
        lexicon.FOODS_OTHER: "sign",
    }
    return tuple(
        _word(plain(text), place)
        for block, place in places.items()
        for allergens, text in _entries(block)
        if allergy in allergens
    )


@cache
def _drugs() -> tuple[_Word, ...]:
    return tuple(
        [_word(plain(text), "within") for text in lexicon.DRUGS.split()]
        + [_word(text, "english") for text in lexicon.DRUGS_ENGLISH.split()]
    )


@cache
def _harmless(allergy: Allergy) -> re.Pattern[str] | None:
    patterns = [
        text.replace("_", r"[\s-]*")
        for allergens, text in _entries(lexicon.HARMLESS)
        if allergy in allergens
    ]
    return re.compile("|".join(patterns)) if patterns else None


def _entries(block: str) -> Iterator[tuple[frozenset[Allergy], str]]:
    """Yield (allergens, word) of a block of the lexicon."""
    for line in block.strip().splitlines():
        names, _, words = line.partition(": ")
        allergens = frozenset(Allergy(name) for name in names.split())
        for word in words.split():
            yield allergens, word


def _word(text: str, place: _Place) -> _Word:
    letters = [re.escape(each) for each in text if each.isalnum() or place == "sign"]
    one_piece, in_pieces = "".join(letters), _GAP.join(letters)
    broken = None
    match place:
        case "within":
            whole = f"{one_piece}|{_STARTS_WORD}{in_pieces}{_PARTICLE}{_IS_WORD}"
            if len(letters) >= _LONG or text in _SAFE_IN_PIECES:
                broken = re.compile(f"{_STARTS_WORD}{in_pieces}|{in_pieces}{_PARTICLE}{_IS_WORD}")
        case "start":
            begins = f"{_STARTS_WORD}(?:{'|'.join(lexicon.QUALITIES.split())})?"
            whole = f"{begins}{one_piece}|{_STARTS_WORD}{in_pieces}{_PARTICLE}{_IS_WORD}"
        case "alone":
            whole = f"{_STARTS_WORD}{in_pieces}{_PARTICLE}{_IS_WORD}"
        case "english":
            whole = f"{_STARTS_LATIN}{in_pieces}{_ENDS_LATIN}"
        case "sign":
            whole = one_piece
    return _Word(text, frozenset(text) - {" "}, re.compile(whole), broken)
