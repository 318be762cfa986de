"""Mails that are sent once: what a server accepted is remembered and not sent again.

A crash between the server's answer and our note can still send a mail twice; its Message-ID is then
the same, which mail programs show as one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from batch_platform.core.hashing import text_id
from batch_platform.gateways.mail import Mailer, MailMessage, SentMail
from batch_platform.gateways.platform_db import PlatformDb


@dataclass(frozen=True)
class Delivery:
    """What became of a mail: sent now, sent before, or why not."""

    is_sent_now: bool
    recipients: tuple[str, ...]
    note: str


def send_once(
    message: MailMessage,
    *,
    content: str,
    asset: str,
    partition: str,
    db: PlatformDb,
    mailer: Mailer,
    again: bool = False,
) -> Delivery:
    """Send a mail unless the same content went to the same people before.

    Args:
        message: The mail.
        content: What makes it this mail and no other (figures, file's hash), not its time of day.
        asset: The asset that mails, `group/name`.
        partition: Its partition.
        db: Where sent mails are remembered.
        mailer: The mail server; not configured is an answer, not an error.
        again: Send it even if it was sent before.
    """
    if not mailer.is_configured:
        return Delivery(False, (), "No mail server is configured (SMTP_SERVER, SENDER_EMAIL)")
    if not message.recipients:
        return Delivery(False, (), "Nobody to send to (RECIPIENT_EMAILS)")
    key = text_id("\0".join([asset, partition, content, *sorted(message.recipients)]))
    message_id = f"<{key}@batch-platform>"
    if not again:
        earlier = _sent_before(db, message_id, asset, partition)
        if earlier:
            return Delivery(False, tuple(message.recipients), earlier)
    sent = mailer.send(message, message_id=message_id)
    with db.connect(f"mail {asset} {partition}") as connection:
        connection.execute(
            "INSERT INTO operations.sent_mails (message_id, asset, partition, recipients, subject)"
            " VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (message_id) DO UPDATE SET sent_at = now()",
            [message_id, asset, partition, list(message.recipients), message.subject],
        )
    return Delivery(True, sent.accepted, _note(sent))


def note_sent_elsewhere(
    connection: psycopg.Connection[Any], asset: str, partition: str, import_id: int, now: datetime
) -> None:
    """Note that an old system mailed a partition, whatever its mail said: ours is not sent."""
    connection.execute(
        "INSERT INTO operations.sent_mails"
        " (message_id, asset, partition, recipients, subject, sent_at, import_id)"
        " VALUES (%s, %s, %s, '{}', 'Sent by the old system', %s, %s)"
        " ON CONFLICT (message_id) DO NOTHING",
        [f"<imported {asset} {partition}>", asset, partition, now, import_id],
    )


def forget_sent_elsewhere(connection: psycopg.Connection[Any], import_id: int) -> None:
    """Take back what an import said was mailed."""
    connection.execute("DELETE FROM operations.sent_mails WHERE import_id = %s", [import_id])


def _sent_before(db: PlatformDb, message_id: str, asset: str, partition: str) -> str:
    """Why the mail is not sent once more; empty when it is to be sent."""
    rows = db.fetch_all(
        "SELECT import_id FROM operations.sent_mails WHERE message_id = %s"
        " OR asset = %s AND partition = %s AND import_id IS NOT NULL ORDER BY 1 NULLS FIRST",
        [message_id, asset, partition],
    )
    if not rows:
        return ""
    return "The same mail was sent before" if rows[0][0] is None else "The old system mailed it"


def _note(sent: SentMail) -> str:
    note = "Sent"
    if sent.refused:
        note += f"; the server refused {len(sent.refused)} of the recipients"
    if sent.left_out:
        note += f"; too large to attach: {', '.join(path.name for path in sent.left_out)}"
    return note
