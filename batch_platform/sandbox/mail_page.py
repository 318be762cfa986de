"""A page that shows the mails of a folder, to somebody who looks at what the demo would have sent.

Reads only. Everything of a mail is escaped; its HTML is shown in a frame that may run nothing and
load nothing, and attachments are only ever offered for download.
"""

import base64
import html
import urllib.parse
from collections.abc import Iterable
from email.message import MIMEPart

from aiohttp import web

from batch_platform.sandbox.mail_folder import MailFolder, StoredMail

_BANNER = (
    "연습용으로 지어낸 메일입니다. 아무에게도 배달되지 않았습니다. · "
    "Made up for practice; delivered to nobody."
)
_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans KR","NanumGothic",sans-serif;margin:0 auto;max-width:60rem;
padding:0 1rem 3rem;color:#1c2024}
.banner{background:#fff3cd;border:1px solid #e0c060;padding:.5rem 1rem;margin:1rem
0;border-radius:4px} table{border-collapse:collapse;width:100%}td,th{padding:.4rem
.6rem;border-bottom:1px solid #ddd;
text-align:left;vertical-align:top}iframe{width:100%;height:34rem;border:1px solid #ddd}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f7f8;padding:1rem}
"""
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"
_FRAME_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SHOWN_HEADERS = ("From", "To", "Cc", "Date", "Subject", "X-Sandbox-Mail-From", "X-Sandbox-Rcpt-To")


def mail_page(folder: MailFolder) -> web.Application:
    """The page as an aiohttp application."""
    page = _MailPage(folder)
    application = web.Application()
    application.router.add_get("/", page.index)
    application.router.add_get("/mails/{name}", page.show)
    application.router.add_get("/mails/{name}/html", page.show_html)
    application.router.add_get("/mails/{name}/raw", page.download_raw)
    application.router.add_get("/mails/{name}/attachments/{number}", page.download)
    return application


class _MailPage:
    def __init__(self, folder: MailFolder) -> None:
        self._folder = folder

    async def index(self, _request: web.Request) -> web.Response:
        rows = "".join(map(_index_row, reversed(self._folder.mails())))
        table = (
            f"<table><tr><th>날짜<th>제목<th>받는 사람<th>첨부</tr>{rows}</table>"
            if rows
            else "<p>아직 메일이 없습니다. · No mail yet.</p>"
        )
        return _page("메일함 · Mails", table)

    async def show(self, request: web.Request) -> web.Response:
        mail = self._asked(request)
        base = f"/mails/{_quoted(mail.name)}"
        headers = "".join(
            f"<tr><th>{html.escape(name)}<td>{html.escape(str(mail.message[name]))}</tr>"
            for name in _SHOWN_HEADERS
            if mail.message[name] is not None
        )
        parts = [
            f'<p><a href="/">← 메일함</a> · <a href="{base}/raw">원문 (.eml)</a></p>',
            f"<table>{headers}</table>",
            *_attachment_links(mail, base),
        ]
        if mail.message.get_body(("html",)):
            parts.append(f'<h2>HTML</h2><iframe sandbox src="{base}/html" title="HTML"></iframe>')
        plain = mail.message.get_body(("plain",))
        if plain is not None:
            parts.append(f"<h2>글 · Text</h2><pre>{html.escape(_text_of(plain))}</pre>")
        return _page(str(mail.message["Subject"] or "(제목 없음)"), "".join(parts))

    async def show_html(self, request: web.Request) -> web.Response:
        mail = self._asked(request)
        body = mail.message.get_body(("html",))
        if body is None:
            raise web.HTTPNotFound(text="The mail has no HTML")
        shown = _text_of(body)
        for part in mail.message.walk():
            content_id = str(part.get("Content-ID", "")).strip("<>")
            if content_id and part.get_content_maintype() == "image":
                shown = shown.replace(f"cid:{content_id}", _data_address(part))
        return web.Response(text=shown, content_type="text/html", headers=_safety(_FRAME_POLICY))

    async def download(self, request: web.Request) -> web.Response:
        mail = self._asked(request)
        attachments = list(mail.message.iter_attachments())
        number = request.match_info["number"]
        if not number.isdecimal() or int(number) >= len(attachments):
            raise web.HTTPNotFound(text="The mail has no such attachment")
        part = attachments[int(number)]
        return _file(part.get_payload(decode=True), part.get_filename() or "attachment")

    async def download_raw(self, request: web.Request) -> web.Response:
        mail = self._asked(request)
        return _file(mail.message.as_bytes(), mail.name)

    def _asked(self, request: web.Request) -> StoredMail:
        mail = self._folder.mail(request.match_info["name"])
        if mail is None:
            raise web.HTTPNotFound(text="No such mail")
        return mail


def _index_row(mail: StoredMail) -> str:
    message = mail.message
    attached = ", ".join(part.get_filename() or "?" for part in message.iter_attachments())
    subject = str(message["Subject"] or "(제목 없음)")
    return (
        f"<tr><td>{html.escape(str(message['Date'] or ''))}"
        f'<td><a href="/mails/{_quoted(mail.name)}">{html.escape(subject)}</a>'
        f"<td>{html.escape(', '.join(mail.recipients))}<td>{html.escape(attached)}</tr>"
    )


def _attachment_links(mail: StoredMail, base: str) -> Iterable[str]:
    for number, part in enumerate(mail.message.iter_attachments()):
        name = html.escape(part.get_filename() or "attachment")
        size = len(_bytes_of(part.get_payload(decode=True)))
        yield f'<p>첨부: <a href="{base}/attachments/{number}">{name}</a> ({size:,} bytes)</p>'


def _text_of(part: MIMEPart) -> str:
    return part.get_content()


def _bytes_of(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else b""


def _data_address(part: MIMEPart) -> str:
    encoded = base64.b64encode(_bytes_of(part.get_payload(decode=True))).decode()
    return f"data:{part.get_content_type()};base64,{encoded}"


def _quoted(name: str) -> str:
    return html.escape(urllib.parse.quote(name, safe=""))


def _safety(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "x-sandbox": "made-up",
    }


def _file(content: object, name: str) -> web.Response:
    quoted = urllib.parse.quote(name, safe="")
    disposition = {"Content-Disposition": f"attachment; filename*=UTF-8''{quoted}"}
    return web.Response(
        body=_bytes_of(content),
        content_type="application/octet-stream",
        headers=_safety("default-src 'none'") | disposition,
    )


def _page(title: str, body: str) -> web.Response:
    escaped = html.escape(title)
    return web.Response(
        text=(
            f'<!doctype html><html lang="ko"><meta charset="utf-8"><title>{escaped}</title>'
            f'<style>{_STYLE}</style><p class="banner" role="note">{_BANNER}</p>'
            f"<h1>{escaped}</h1>{body}</html>"
        ),
        content_type="text/html",
        headers=_safety(_PAGE_POLICY),
    )
