"""Just enough Korean for a made-up answer to look like one: words, and a likely category.

This is a stand-in for a model's judgement, for the sandbox alone. Nothing real is decided by it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

_WORD = re.compile(r"[가-힣A-Za-z0-9]{2,}")
_READ_CHARACTERS = 4_000
"""A model's keywords of a very long text come from its beginning; so do ours, to be quick."""

_PARTICLES = (
    *("에서는", "으로는", "이라고", "에게는", "이랑은", "까지는", "부터는"),
    *(
        "에서",
        "에게",
        "으로",
        "까지",
        "부터",
        "이나",
        "이랑",
        "하고",
        "처럼",
        "보다",
        "한테",
        "라고",
    ),
    *("은", "는", "이", "가", "을", "를", "의", "에", "도", "로", "와", "과", "만", "요"),
)
_ENDINGS = re.compile(
    r"(나요|까요|어요|아요|해요|예요|이에요|세요|습니다|습니까|니다|ㄴ가요|인가요|은가요|"
    r"하는|되는|하면|되면|해서|하려|하고|했는데|는데|은데|인데|던데|싶은|싶어|주셔|같아|거든|네요|죠|지요)$"
)
_FILLERS = frozenset(
    (
        *(
            "안녕하세요",
            "감사합니다",
            "문의",
            "질문",
            "궁금",
            "정말",
            "너무",
            "혹시",
            "그리고",
            "그런데",
        ),
        *(
            "어떻게",
            "무엇",
            "언제",
            "어디",
            "어디서",
            "왜",
            "얼마",
            "누가",
            "제가",
            "저희",
            "우리",
            "이거",
        ),
        *(
            "방법",
            "경우",
            "관련",
            "대해",
            "대한",
            "있는",
            "없는",
            "하는",
            "되는",
            "알려",
            "가능",
            "좀더",
        ),
        *(
            "지금",
            "오늘",
            "내일",
            "어제",
            "다시",
            "아직",
            "그냥",
            "진짜",
            "계속",
            "많이",
            "조금",
            "이제",
        ),
    )
)

_HINTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("학교폭력",),
        (
            "학교폭력",
            "학폭",
            "왕따",
            "따돌림",
            "괴롭",
            "가해",
            "피해학생",
            "폭행",
            "언어폭력",
            "신고",
        ),
    ),
    (
        ("교권", "교육활동"),
        ("교권", "교육활동", "악성민원", "아동학대 신고", "선생님을 모욕", "폭언"),
    ),
    (("검정고시",), ("검정고시", "고졸", "중졸", "고검")),
    (("임용",), ("임용", "교사 시험", "1차 시험", "2차 시험", "교원자격")),
    (
        ("증명",),
        ("증명서", "생활기록부", "졸업증명", "재학증명", "발급", "생기부", "민원24", "팩스민원"),
    ),
    (("정보공개",), ("정보공개", "공개청구", "비공개", "회의록", "업무추진비")),
    (("전학", "편입"), ("전학", "편입", "전입", "이사", "재배정", "귀국")),
    (("입학",), ("입학", "신입생", "배정", "예비소집", "원서", "취학", "유예")),
    (
        ("평가", "성적"),
        ("성적", "평가", "시험", "내신", "수행", "중간고사", "기말고사", "등급", "점수", "재시험"),
    ),
    (
        ("생활",),
        (
            "교복",
            "두발",
            "휴대폰",
            "급식",
            "결석",
            "지각",
            "출결",
            "체험학습",
            "방학",
            "동아리",
            "학교생활",
        ),
    ),
)
_OTHERS = ("기타", "미분류", "other", "none")


def words(text: str, most: int) -> list[str]:
    """Words of a text that could be its keywords, in order of appearance, without particles.

    Args:
        text: Any text; what is no Hangul, Latin letter or digit is ignored.
        most: Most words to return.

    Returns:
        Distinct words. Words that point to a category come first. May be empty.
    """
    found: dict[str, bool] = {}
    for token in _WORD.findall(unicodedata.normalize("NFC", text[:_READ_CHARACTERS])):
        word = _without_particle(token)
        if word in _FILLERS or word.isdigit() or _ENDINGS.search(token):
            continue
        found.setdefault(word, any(hint in word for _, hints in _HINTS for hint in hints))
        if len(found) >= 24:
            break
    return sorted(found, key=lambda word: not found[word])[:most]


def _without_particle(token: str) -> str:
    for particle in _PARTICLES:
        if token.endswith(particle) and len(token) - len(particle) >= 2:
            return token[: -len(particle)]
    return token


def likely_labels(sources: Sequence[str], labels: Mapping[str, object]) -> list[object]:
    """Choose the labels that a text most plausibly belongs to.

    Args:
        sources: What to judge by, the most telling first (a keyword, then its text).
        labels: Label as a person reads it → the value that stands for it in the answer.

    Returns:
        Values, the likeliest first; only the one that stands for "none of these" when nothing
        points anywhere, and nothing at all when there is no such label either.
    """
    chosen: list[object] = []
    for source in sources:
        read = source[:_READ_CHARACTERS]
        for stems, hints in _HINTS:
            if not any(hint in read for hint in hints):
                continue
            for label, value in labels.items():
                if value not in chosen and any(stem in label for stem in stems):
                    chosen.append(value)
        for label, value in labels.items():
            if value not in chosen and any(part in read for part in _WORD.findall(label)):
                chosen.append(value)
        if chosen:
            return chosen
    return [value for label, value in labels.items() if label.lower().startswith(_OTHERS)][:1]
