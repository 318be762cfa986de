"""Just enough Korean for a made-up answer to look like one: words, and a likely category.

This is a stand-in for a model's judgement, for the sandbox alone. Nothing real is decided by it.
"""

import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence

_READ_CHARACTERS = 4_000
"""A model's keywords of a very long text come from its beginning; so do ours, to be quick."""
_MOST_WORDS = 24

_WORD = re.compile(r"[가-힣A-Za-z0-9]{2,}")
_PARTICLE = re.compile(
    "(?<=..)(에서는|으로는|이라고|에게는|까지는|부터는|에서|에게|으로|까지|부터|이나|이랑|하고|처럼|"
    "보다|한테|라고|은|는|이|가|을|를|의|에|도|로|와|과|만|요)$"
)
_ENDING = re.compile(
    "(나요|까요|어요|아요|해요|예요|세요|습니다|습니까|니다|가요|려면|려고|려는데|"
    "하는|되는|하면|되면|해서|하려|했는데|는데|은데|인데|던데|싶은|싶어|주셔|같아|거든|네요|죠|지요)$"
)
_FILLER_WORDS = """
안녕하세요 감사합니다 문의 질문 궁금 정말 너무 혹시 그리고 그런데 어떻게 무엇 무슨 언제 어디 어디서
얼마 누가 제가 저희 우리 이거 방법 경우 관련 대해 대한 있는 없는 알려 가능 지금 오늘 내일 어제
다시 아직 그냥 진짜 계속 많이 조금 이제 급해 저기 필요한
"""
_FILLERS = frozenset(_FILLER_WORDS.split())

_HINTS = {
    "학교폭력": "학교폭력|학폭|왕따|따돌림|괴롭|가해|피해학생|폭행|언어폭력|때렸|욕설",
    "교권|교육활동": "교권|교육활동|악성민원|폭언|교사 심리",
    "검정고시": "검정고시|고졸|중졸",
    "임용": "임용|교원자격|1차 시험|2차 시험",
    "증명": "증명서|생활기록부|생기부|졸업증명|재학증명|발급|팩스민원",
    "정보공개": "정보공개|공개청구|비공개|회의록|업무추진비|예산 내역",
    "전학|편입": "전학|편입|전입|이사|재배정|귀국",
    "입학": "입학|신입생|배정|예비소집|원서|취학",
    "평가|성적": "성적|평가|시험|내신|수행|중간고사|기말고사|등급|점수|결시",
    "생활": "교복|두발|휴대폰|급식|결석|지각|출결|체험학습|방학|동아리|학교생활|돌봄",
}
"""What a category's name holds → words that point to it; earlier ones win."""
_STEMS = [re.compile(stems) for stems in _HINTS]
_HINT = re.compile("|".join(f"({hints})" for hints in _HINTS.values()))
_OTHERS = ("기타", "미분류", "other", "none")


def words(text: str, most: int) -> list[str]:
    """Words of a text that could be its keywords, in order of appearance, without particles.

    Args:
        text: Any text; what is no Hangul, Latin letter or digit is ignored.
        most: Most words to return.

    Returns:
        Distinct words. Words that point to a category come first. May be empty.
    """
    telling: dict[str, bool] = {}
    for token in _WORD.findall(unicodedata.normalize("NFC", text[:_READ_CHARACTERS])):
        word = _PARTICLE.sub("", token)
        if word in _FILLERS or word.isdigit() or _ENDING.search(token):
            continue
        telling.setdefault(word, _HINT.search(word) is not None)
        if len(telling) >= _MOST_WORDS:
            break
    return sorted(telling, key=lambda word: not telling[word])[:most]


def likely_labels(sources: Sequence[str], labels: Mapping[str, object]) -> list[object]:
    """Choose the labels that a text most plausibly belongs to.

    Args:
        sources: What to judge by, the most telling first (a keyword, then its text).
        labels: Label as a person reads it → the value that stands for it in the answer.

    Returns:
        Values, the likeliest first; only the one that stands for "none of these" when nothing
        points anywhere, and nothing at all when there is no such label either.
    """
    names = tuple(labels)
    for source in sources:
        read = unicodedata.normalize("NFC", source[:_READ_CHARACTERS])
        hinted = {found.lastindex or 0 for found in _HINT.finditer(read)}
        chosen = [name for group in sorted(hinted) for name in _names_of_group(group, names)]
        chosen += [name for name, part in _name_parts(names) if part in read]
        if chosen:
            return [labels[name] for name in dict.fromkeys(chosen)]
    return [labels[name] for name in names if name.lower().startswith(_OTHERS)][:1]


@functools.lru_cache(maxsize=256)
def _names_of_group(group: int, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if _STEMS[group - 1].search(name))


@functools.lru_cache(maxsize=64)
def _name_parts(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each name with each word in it: this finds a category that the table above lacks."""
    return tuple((name, part) for name in names for part in _WORD.findall(name) if part != "관련")
