"""The look of the platform's mails: pieces of HTML that Outlook, Gmail and a phone all show alike.

Tables and inline styles only (Outlook draws mails with Word's engine), no pictures, nothing fetched
from outside. Every text that comes in is escaped here, so that who composes a mail need not think
of it. No domain's words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

INK = "#1F2937"
MUTED = "#6B7280"
ACCENT = "#1F3A5F"
BAR = "#3B6EA5"
PALE = "#EEF2F7"
RULE = "#D5DBE3"
WARNING = "#B42318"
WARNING_PALE = "#FDECEA"

_FONT = "font-family:'Malgun Gothic','맑은 고딕','Apple SD Gothic Neo',sans-serif;"
_TABLE = 'role="presentation" cellpadding="0" cellspacing="0" border="0"'
_WIDTH = 640
_BAR_WIDTH = 300
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """A number to read at a glance.

    Attributes:
        note: What it is to be compared with; may be empty.
        is_alarming: Whether it is shown in the colour of warnings.
    """

    label: str
    value: str
    note: str = ""
    is_alarming: bool = False


def page(
    *, title: str, subtitle: str, preview: str, banner: str, blocks: Iterable[str], footer: str
) -> str:
    """Make a whole mail.

    Args:
        title: Its heading.
        subtitle: Under the heading.
        preview: What a list of mails shows beside the subject.
        banner: A warning above everything; none when empty.
        blocks: What the functions below made, in order.
        footer: Who sent it and why.
    """
    warning = (
        f'<tr><td style="{_FONT}background:{WARNING_PALE};color:{WARNING};font-size:13px;'
        f'font-weight:bold;padding:10px 28px">{escape(banner)}</td></tr>'
        if banner
        else ""
    )
    body = "".join(f'<tr><td style="padding:0 28px 22px">{block}</td></tr>' for block in blocks)
    return (
        '<!DOCTYPE html><html lang="ko"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title></head>"
        f'<body style="margin:0;padding:0;background:{PALE}">'
        f'<div style="display:none;max-height:0;overflow:hidden">{escape(preview)}</div>'
        f'<table {_TABLE} width="100%" bgcolor="{PALE}"><tr>'
        '<td align="center" style="padding:20px">'
        f'<table {_TABLE} width="{_WIDTH}" bgcolor="#FFFFFF" '
        f'style="width:{_WIDTH}px;max-width:100%;background:#FFFFFF;border:1px solid {RULE}">'
        f"{warning}"
        f'<tr><td style="{_FONT}padding:24px 28px 18px">'
        f'<div style="font-size:20px;font-weight:bold;color:{ACCENT}">{escape(title)}</div>'
        f'<div style="font-size:13px;color:{MUTED};padding-top:4px">{escape(subtitle)}</div>'
        f"</td></tr>{body}"
        f'<tr><td style="{_FONT}font-size:11px;line-height:17px;color:{MUTED};padding:14px 28px;'
        f'border-top:1px solid {RULE}">{escape(footer)}</td></tr>'
        "</table></td></tr></table></body></html>"
    )


def figures(shown: Sequence[Figure]) -> str:
    """Put figures side by side."""
    share = 100 // len(shown)
    cells = "".join(
        f'<td width="{share}%" valign="top" bgcolor="{PALE}" style="{_FONT}padding:12px 14px;'
        f'border-left:3px solid {WARNING if figure.is_alarming else ACCENT}">'
        f'<div style="font-size:12px;color:{MUTED}">{escape(figure.label)}</div>'
        f'<div style="font-size:26px;line-height:34px;font-weight:bold;'
        f'color:{WARNING if figure.is_alarming else ACCENT}">{escape(figure.value)}</div>'
        f'<div style="font-size:12px;color:{MUTED}">{escape(figure.note)}</div></td>'
        for figure in shown
    )
    return f'<table {_TABLE} width="100%"><tr>{cells}</tr></table>'


def bars(heading: str, values: Sequence[tuple[str, int]]) -> str:
    """Draw a bar for each named value, as long as its share of the largest."""
    largest = max((value for _, value in values), default=0) or 1
    rows = "".join(
        f'<tr><td width="190" style="{_FONT}font-size:13px;color:{INK};padding:4px 10px 4px 0">'
        f"{escape(shortened(label))}</td>"
        f'<td width="{_BAR_WIDTH}"><table {_TABLE}><tr>'
        f'<td width="{max(2, round(_BAR_WIDTH * value / largest))}" height="14" bgcolor="{BAR}" '
        'style="font-size:1px;line-height:14px">&nbsp;</td></tr></table></td>'
        f'<td align="right" style="{_FONT}font-size:13px;color:{INK};padding-left:10px">'
        f"{value:,}</td></tr>"
        for label, value in values
    )
    return _headed(heading, f'<table {_TABLE} width="100%">{rows}</table>')


def sentence(heading: str, text: str) -> str:
    """Put one paragraph under a heading."""
    return _headed(
        heading,
        f'<div style="{_FONT}font-size:13px;line-height:21px;color:{INK}">{escape(text)}</div>',
    )


def points(heading: str, texts: Sequence[str], *, is_alarming: bool = False) -> str:
    """List sentences under a heading."""
    colour = WARNING if is_alarming else ACCENT
    rows = "".join(
        f'<tr><td width="14" valign="top" style="{_FONT}font-size:13px;line-height:21px;'
        f'color:{colour}">•</td>'
        f'<td style="{_FONT}font-size:13px;line-height:21px;color:{INK}">{escape(text)}</td></tr>'
        for text in texts
    )
    return _headed(heading, f'<table {_TABLE} width="100%">{rows}</table>', colour)


def facts(heading: str, named: Sequence[tuple[str, str]]) -> str:
    """List names with what they stand for."""
    rows = "".join(
        f'<tr><td width="110" valign="top" style="{_FONT}font-size:13px;line-height:21px;'
        f'color:{MUTED}">{escape(name)}</td>'
        f'<td style="{_FONT}font-size:13px;line-height:21px;color:{INK};word-break:break-all">'
        f"{escape(value)}</td></tr>"
        for name, value in named
    )
    return _headed(heading, f'<table {_TABLE} width="100%">{rows}</table>')


def log(heading: str, lines: Sequence[str]) -> str:
    """Show lines of a log as they are, under a heading."""
    return _headed(
        heading,
        f'<pre style="font-family:monospace;font-size:12px;line-height:18px;color:{INK};'
        f"background:{PALE};margin:0;padding:10px 12px;white-space:pre-wrap;"
        f'word-break:break-all">{escape(chr(10).join(lines))}</pre>',
    )


def button(label: str, url: str) -> str:
    """Make a link that is easy to hit; what is no web address is only shown."""
    if not url.startswith(("http://", "https://")):
        return sentence(label, url)
    return (
        f'<table {_TABLE}><tr><td bgcolor="{ACCENT}" style="padding:9px 18px">'
        f'<a href="{escape(url)}" style="{_FONT}font-size:13px;color:#FFFFFF;'
        f'text-decoration:none">{escape(label)}</a></td></tr></table>'
    )


def shortened(text: str, longest: int = _LONGEST_LABEL) -> str:
    """Bring a text to one line of at most `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _headed(heading: str, content: str, colour: str = ACCENT) -> str:
    return (
        f'<div style="{_FONT}font-size:14px;font-weight:bold;color:{colour};padding-bottom:6px">'
        f"{escape(heading)}</div>{content}"
    )
