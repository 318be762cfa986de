"""Which parts of a text are personal data, and how they are masked and put back. Pure rules.

Used before a text leaves for a model and before a line is logged. What is masked: Korean resident
registration numbers, payment card numbers, phone numbers (Korean, and international with `+`) and
e-mail addresses. Names and street addresses are not recognised: no rule without a model can.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LABELS = {
    "resident_number": "주민등록번호",
    "card": "카드번호",
    "phone": "전화번호",
    "email": "이메일",
}

_GAP = r"[ \t]?[-.·]?[ \t]?"
_PATTERN = re.compile(
    rf"""
    (?P<email>(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{{1,64}}@[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}}){{1,8}})
    |(?P<resident_number>(?<![0-9])[0-9]{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]){_GAP}[1-8](?:[0-9]{{6}}|\*{{6}})(?![0-9]))
    |(?P<card>(?<![0-9])(?:[0-9]{{4}}[ ]?-?[ ]?){{3}}[0-9]{{4}}(?![0-9])
        |(?<![0-9])3[47][0-9]{{2}}[ -]?[0-9]{{6}}[ -]?[0-9]{{5}}(?![0-9]))
    |(?P<phone>(?<![0-9+])\+82{_GAP}(?:\(0\)|0)?(?:2|[13-8][0-9]{{1,2}}){_GAP}[0-9]{{3,4}}{_GAP}[0-9]{{4}}(?![0-9])
        |(?<![0-9+])\+[1-9](?:[-. ()]{{0,2}}[0-9]){{7,14}}(?![0-9])
        |(?<![0-9])\(?01[016789]\)?{_GAP}[0-9]{{3,4}}{_GAP}[0-9]{{4}}(?![0-9])
        |(?<![0-9])\(?0(?:2|[3-6][0-9]|70|80|50[0-9])\)?{_GAP}[0-9]{{3,4}}{_GAP}[0-9]{{4}}(?![0-9]))
    """,
    re.VERBOSE,
)
_WORTH_A_LOOK = re.compile(r"@|[0-9](?:[^0-9]{0,3}[0-9]){6}")

# One character for one character, so that a span found in the plain form is the span in the text.
_PLAIN_FORM = str.maketrans(
    {
        **{0xFF10 + digit: str(digit) for digit in range(10)},
        **dict.fromkeys(map(ord, "‐‑‒–—―−－ー─"), "-"),
        **dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000"), " "),
        ord("＠"): "@",
        ord("．"): ".",
        ord("＋"): "+",
        ord("（"): "(",
        ord("）"): ")",
    }
)
_NOT_PLAIN = re.compile(f"[{''.join(map(chr, _PLAIN_FORM))}]")
"""Found in few texts; translating a text costs more than all else that is done here."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without its personal data.

    Attributes:
        text: The text, each piece of personal data replaced by a placeholder like `[전화번호_1]`;
            the same piece has the same placeholder.
        originals: Placeholder → what it stands for. Personal: never store or log it.
        counts: Kind (`phone`, `email`, `resident_number`, `card`) → pieces masked.
    """

    text: str
    originals: Mapping[str, str] = field(default_factory=dict[str, str])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])


def mask(text: str) -> Masked:
    """Replace the personal data in a text by placeholders. A masked text masks to itself."""
    originals: dict[str, str] = {}
    counts: dict[str, int] = {}
    placeholders: dict[str, str] = {}
    # A replaced piece can uncover another one beside it, so look until nothing is found.
    while True:
        plain = text.translate(_PLAIN_FORM) if _NOT_PLAIN.search(text) else text
        if not _WORTH_A_LOOK.search(plain):
            break
        pieces: list[str] = []
        end = 0
        for match in _PATTERN.finditer(plain):
            kind = match.lastgroup or ""
            if kind == "card" and not _is_card(match.group()):
                continue
            start, stop = match.span()
            original = text[start:stop]
            counts[kind] = counts.get(kind, 0) + 1
            placeholder = placeholders.get(original)
            if placeholder is None:
                placeholder = _free_placeholder(_LABELS[kind], originals, text)
                placeholders[original] = placeholder
                originals[placeholder] = original
            pieces += text[end:start], placeholder
            end = stop
        if not pieces:
            break
        text = "".join(pieces) + text[end:]
    return Masked(text, originals, counts)


def restore(text: str, originals: Mapping[str, str]) -> str:
    """Put the masked pieces back into a text that was derived from a masked one."""
    if not originals or "[" not in text:
        return text
    pattern = re.compile("|".join(re.escape(placeholder) for placeholder in originals))
    return pattern.sub(lambda match: originals[match.group()], text)


def _free_placeholder(label: str, taken: Mapping[str, str], text: str) -> str:
    number = 1
    while (placeholder := f"[{label}_{number}]") in taken or placeholder in text:
        number += 1
    return placeholder


def _is_card(piece: str) -> bool:
    """A grouped number is taken for a card's as it is, a bare run of digits by its check digit.

    The check digit is Luhn's (ISO/IEC 7812-1).
    """
    digits = [int(character) for character in piece if character.isdigit()]
    if len(digits) != len(piece):
        return True
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
