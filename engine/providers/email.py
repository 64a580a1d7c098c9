"""E-mail over SMTP: `smtp://user:password@host:587` (with STARTTLS where the server offers it) or `smtps://…`."""

import asyncio
import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from engine.providers.breaker import Breaker
from engine.providers.circuits import SharedCircuits
from engine.providers.outgoing import Outgoing
from engine.settings import EmailSettings
from models.documents.document import now
from models.errors import MessageRefused, OutcomeUnknown, ProviderDown

__all__ = ["EmailSender", "mail_of"]

_PORTS = {"smtp": 25, "smtps": 465}


class EmailSender:
    """Sends e-mail over SMTP, a connection a mail, in a thread."""

    def __init__(self, url: str, settings: EmailSettings, circuits: SharedCircuits | None = None) -> None:
        self.idempotent = settings.idempotent
        self._sender, self._timeout_s = settings.sender, settings.timeout_s
        parts = urlsplit(url)
        self._tls = parts.scheme == "smtps"
        self._host, self._port = parts.hostname or "localhost", parts.port or _PORTS[parts.scheme]
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._breaker = Breaker(
            "email", settings.failures, settings.recovery_s, settings.timeout_s, (MessageRefused,), circuits
        )

    async def send(self, message: Outgoing) -> None:
        """Send a mail; raises as `Sender.send` does."""
        try:
            mail = mail_of(message, self._sender)
        except (ValueError, IndexError, MessageError) as fault:  # how the library says that an address is none
            raise MessageRefused("no mail can be written to this address") from fault
        async with self._breaker:
            await asyncio.to_thread(self._send, mail)

    async def close(self) -> None:
        """Return at once: no connection is kept."""

    def _send(self, mail: EmailMessage) -> None:
        with self._connected() as server:
            try:
                server.send_message(mail)
            except smtplib.SMTPRecipientsRefused as refused:
                raise _refusal(*next(iter(refused.recipients.values()))) from refused
            except smtplib.SMTPNotSupportedError as refused:
                raise MessageRefused("the mail server does not take such an address") from refused
            except smtplib.SMTPResponseException as refused:
                raise _refusal(refused.smtp_code, refused.smtp_error) from refused
            except (OSError, smtplib.SMTPException) as broken:
                raise OutcomeUnknown(f"the mail server broke off: {type(broken).__name__}") from broken

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        try:
            server = self._connect()
        except (OSError, smtplib.SMTPException) as fault:
            raise ProviderDown(f"the mail server does not let us in: {type(fault).__name__}") from fault
        try:
            yield server
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def _connect(self) -> smtplib.SMTP:
        if self._tls:
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout_s, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        try:
            server.ehlo_or_helo_if_needed()
            if not self._tls and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                server.ehlo_or_helo_if_needed()
            if self._user:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def mail_of(message: Outgoing, sender: str) -> EmailMessage:
    """Return a message as a mail from `sender`, in the name of the company; its id never changes."""
    mail = EmailMessage()
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["From"] = Address(message.company, addr_spec=sender)
    mail["To"] = Address(addr_spec=message.to)
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(now())
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps absence notes from answering
    mail.set_content(message.text)
    return mail


def _refusal(code: int, said: bytes | str) -> MessageRefused | ProviderDown:
    """Return what a reply of SMTP means: 4yz is for now, 5yz for good."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    detail = f"the mail server answered {code} {text}"[:200]
    return MessageRefused(detail) if 500 <= code < 600 else ProviderDown(detail)
