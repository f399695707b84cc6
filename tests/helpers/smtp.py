"""A mailbox behind a real SMTP server (aiosmtpd): it keeps what it accepts, and refuses what it is configured to."""

from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

Answer = Callable[[str], str | None]
"""Returns for an address the server's refusal, or None to accept it."""


class Mailbox:
    """A handler for :class:`newsletter.services.demo.LoopbackServer`.

    Attributes:
        on_sender, on_recipient, on_data: what to answer; each is given the address (``on_data`` the recipient's).
        accepted: what was taken: recipient and raw message.
        pipelining: whether it offers to take commands together.
        connections: how many sessions said hello.
        greeted_by: the names they gave.
    """

    def __init__(self) -> None:
        self.on_sender: Answer = lambda address: None
        self.on_recipient: Answer = lambda address: None
        self.on_data: Answer = lambda address: None
        self.accepted: list[tuple[str, bytes]] = []
        self.pipelining = False
        self.connections = 0
        self.greeted_by: list[str] = []

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        self.greeted_by.append(hostname)
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]] if self.pipelining else responses

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self.on_sender(address)
        if answer is None:
            envelope.mail_from = address
        return answer or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self.on_recipient(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        (recipient,) = envelope.rcpt_tos
        answer = self.on_data(recipient)
        if answer is None:
            self.accepted.append((recipient, envelope.original_content))
        return answer or "250 taken"

    def messages(self) -> list[EmailMessage]:
        """The accepted messages, parsed."""
        return [message_from_bytes(content, policy=policy.default) for _, content in self.accepted]  # type: ignore[misc]

    def recipients(self) -> list[str]:
        """The recipients, in order."""
        return [recipient for recipient, _ in self.accepted]
