"""A mail server for tests: takes what it is told to take, and keeps it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """An SMTP server on loopback; what it answers can be changed at any time."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Reply by command, such as `{"RCPT": "550 nobody of that name"}`; `DATA.` is the end of a mail."""
    breaks_off_at: str | None = None
    """The command at which it closes the connection without a word."""

    @property
    def url(self) -> str:
        """Its address for the settings."""
        return f"smtp://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak SMTP with one client."""
        try:
            writer.write(b"220 test ESMTP\r\n")
            while line := await reader.readline():
                command = line[:4].strip().upper().decode("ascii", "replace")
                if not self._reply(writer, command):
                    return
                if command == "DATA" and "DATA" not in self.answers:
                    raw = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(message_from_bytes(raw[:-5].replace(b"\r\n..", b"\r\n."), policy=policy.default))
                    if not self._reply(writer, "DATA."):
                        return
                if command == "QUIT":
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _reply(self, writer: asyncio.StreamWriter, command: str) -> bool:
        if self.breaks_off_at == command:
            return False
        usual = {"EHLO": "250-test\r\n250 SMTPUTF8", "DATA": "354 go on", "QUIT": "221 bye"}.get(command, "250 ok")
        writer.write(self.answers.get(command, usual).encode() + b"\r\n")
        return True


@contextlib.asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """Run a mail server."""
    server = MailServer()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
