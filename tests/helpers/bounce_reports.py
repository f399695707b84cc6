"""Reports in the formats of mail servers and providers, each about one message: recipient, return path, Message-ID."""

import base64
import quopri
from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True)
class About:
    """The message that a report is about."""

    recipient: str = "ada@example.net"
    return_path: str = "bounces@papers.example.org"
    message_id: str = "<20251128.0123456789abcdef01234567@papers.example.org>"

    @property
    def headers(self) -> str:
        """Return the headers that a report returns."""
        return (
            f"From: Test Papers <papers@papers.example.org>\nTo: Ada <{self.recipient}>\n"
            f"Subject: Several goals at once, and 9 more\nDate: Fri, 28 Nov 2025 07:30:01 +0000\n"
            f"Message-ID: {self.message_id}\nList-Id: <papers.example.org>\n"
        )


def joined(text: str) -> bytes:
    """Convert a text to the form of a message in transit, with CRLF."""
    return text.replace("\n", "\r\n").encode()


def postfix(
    about: About,
    status: str = "5.1.1",
    said: str = "smtp; 550 5.1.1 <ada@example.net>: Recipient address rejected: User unknown",
    action: str = "failed",
) -> bytes:
    return joined(
        dedent(f"""\
        Return-Path: <>
        Received: by mx.papers.example.org (Postfix)
         id 4F1B21E00C; Fri, 28 Nov 2025 07:30:04 +0000 (UTC)
        Date: Fri, 28 Nov 2025 07:30:04 +0000 (UTC)
        From: MAILER-DAEMON@mx.papers.example.org (Mail Delivery System)
        Subject: Undelivered Mail Returned to Sender
        To: {about.return_path}
        Auto-Submitted: auto-replied
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status;
         boundary="B8C7B1E00B.1764315004/mx.papers.example.org"
        Message-Id: <20251128073004.4F1B21E00C@mx.papers.example.org>

        This is a MIME-encapsulated message.

        --B8C7B1E00B.1764315004/mx.papers.example.org
        Content-Description: Notification
        Content-Type: text/plain; charset=us-ascii

        This is the mail system at host mx.papers.example.org.

        I'm sorry to have to inform you that your message could not
        be delivered to one or more recipients. It's attached below.

        <{about.recipient}>: host mail.example.net[192.0.2.7] said: {said}

        --B8C7B1E00B.1764315004/mx.papers.example.org
        Content-Description: Delivery report
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mx.papers.example.org
        X-Postfix-Queue-ID: B8C7B1E00B
        X-Postfix-Sender: rfc822; {about.return_path}
        Arrival-Date: Fri, 28 Nov 2025 07:30:01 +0000 (UTC)

        Final-Recipient: rfc822; {about.recipient}
        Original-Recipient: rfc822;{about.recipient}
        Action: {action}
        Status: {status}
        Remote-MTA: dns; mail.example.net
        Diagnostic-Code: {said}

        --B8C7B1E00B.1764315004/mx.papers.example.org
        Content-Description: Undelivered Message Headers
        Content-Type: text/rfc822-headers

        Return-Path: <{about.return_path}>
        """)
        + about.headers
        + "\n--B8C7B1E00B.1764315004/mx.papers.example.org--\n"
    )


def exim(about: About) -> bytes:
    return joined(
        dedent(f"""\
        Return-path: <>
        X-Failed-Recipients: {about.recipient}
        Auto-Submitted: auto-replied
        From: Mail Delivery System <Mailer-Daemon@out.example.com>
        To: {about.return_path}
        Subject: Mail delivery failed: returning message to sender
        Message-Id: <E1vOt2k-000aBc-2D@out.example.com>
        Date: Fri, 28 Nov 2025 07:30:09 +0000

        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of its
        recipients. This is a permanent error. The following address(es) failed:

          {about.recipient}
            host mail.example.net [192.0.2.7]
            SMTP error from remote mail server after RCPT TO:<{about.recipient}>:
            550 No such user here

        ------ This is a copy of the message, including all the headers. ------

        Return-path: <{about.return_path}>
        """)
        + about.headers
        + "\nHello Ada, here are 10 papers.\n"
    )


def gmail(about: About) -> bytes:
    return joined(
        dedent(f"""\
        Delivered-To: {about.return_path}
        Return-Path: <>
        From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
        To: {about.return_path}
        Auto-Submitted: auto-replied
        Subject: Delivery Status Notification (Failure)
        References: {about.message_id}
        In-Reply-To: {about.message_id}
        X-Failed-Recipients: {about.recipient}
        Message-ID: <69295a3e.050a0220.1b3b4.0001.GMR@mx.google.com>
        Date: Thu, 27 Nov 2025 23:30:06 -0800 (PST)
        Content-Type: multipart/report; boundary="0000000000001a"; report-type=delivery-status

        --0000000000001a
        Content-Type: multipart/related; boundary="0000000000001b"

        --0000000000001b
        Content-Type: multipart/alternative; boundary="0000000000001c"

        --0000000000001c
        Content-Type: text/plain; charset="UTF-8"

        ** Address not found **

        Your message wasn't delivered to {about.recipient} because the address couldn't be found.

        --0000000000001c--

        --0000000000001b--

        --0000000000001a
        Content-Type: message/delivery-status

        Reporting-MTA: dns; googlemail.com
        Received-From-MTA: dns; papers@papers.example.org
        Arrival-Date: Thu, 27 Nov 2025 23:30:05 -0800 (PST)
        X-Original-Message-ID: {about.message_id}

        Final-Recipient: rfc822; {about.recipient}
        Action: failed
        Status: 5.0.0
        Remote-MTA: dns; mail.example.net. (192.0.2.7, the server for the domain example.net.)
        Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try
         550-5.1.1 double-checking the recipient's email address for typos or
         550 5.1.1 unnecessary spaces.
        Last-Attempt-Date: Thu, 27 Nov 2025 23:30:06 -0800 (PST)

        --0000000000001a
        Content-Type: message/rfc822

        """)
        + about.headers
        + "\n----- Message truncated -----\n\n--0000000000001a--\n"
    )


def exchange(about: About) -> bytes:
    return joined(
        dedent(f"""\
        Return-Path: <>
        From: postmaster@example.onmicrosoft.com
        To: {about.return_path}
        Date: Fri, 28 Nov 2025 07:30:05 +0000
        Content-Type: multipart/report; report-type=delivery-status;
         boundary="4ac61b0d-7f0b-4e3a-8d5f-0f1d0c9b7e11"
        X-MS-Exchange-Message-Is-Ndr:
        Content-Language: en-GB
        Message-ID: <b3a0@DB9PR02MB0001.eurprd02.prod.example>
        In-Reply-To: {about.message_id}
        References: {about.message_id}
        Subject: Undeliverable: Several goals at once, and 9 more
        Auto-Submitted: auto-replied

        --4ac61b0d-7f0b-4e3a-8d5f-0f1d0c9b7e11
        Content-Type: multipart/alternative; differences=Content-Type;
         boundary="1b2c3d4e"

        --1b2c3d4e
        Content-Type: text/plain; charset="us-ascii"
        Content-Transfer-Encoding: quoted-printable

        Your message to {about.recipient} couldn't be delivered.=20

        --1b2c3d4e--

        --4ac61b0d-7f0b-4e3a-8d5f-0f1d0c9b7e11
        Content-Type: message/delivery-status

        Reporting-MTA: dns;DB9PR02MB0001.eurprd02.prod.example
        Received-From-MTA: dns;mx.papers.example.org
        Arrival-Date: Fri, 28 Nov 2025 07:30:04 +0000

        Final-Recipient: rfc822;{about.recipient}
        Action: failed
        Status: 5.1.10
        Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {about.recipient}
         not found by SMTP address lookup

        --4ac61b0d-7f0b-4e3a-8d5f-0f1d0c9b7e11
        Content-Type: message/rfc822

        """)
        + about.headers
        + "\n--4ac61b0d-7f0b-4e3a-8d5f-0f1d0c9b7e11--\n"
    )


def qmail(about: About) -> bytes:
    return joined(
        dedent(f"""\
        Return-Path: <>
        Date: 28 Nov 2025 07:30:07 -0000
        From: MAILER-DAEMON@mail.example.net
        To: {about.return_path}
        Subject: failure notice

        Hi. This is the qmail-send program at mail.example.net.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out.

        <{about.recipient}>:
        Sorry, no mailbox here by that name. (#5.1.1)

        --- Below this line is a copy of the message.

        Return-Path: <{about.return_path}>
        Received: (qmail 4711 invoked from network); 28 Nov 2025 07:30:06 -0000
        """)
        + about.headers
        + "\nHello Ada, here are 10 papers.\n"
    )


def yahoo_complaint(about: About, feedback: str = "abuse") -> bytes:
    """Yahoo's feedback loop: the recipient is left out, the message is there."""
    return joined(
        dedent(f"""\
        From: Yahoo! Mail AntiSpam Feedback <feedback@arf.mail.yahoo.example>
        To: complaints@papers.example.org
        Date: Fri, 28 Nov 2025 08:02:11 +0000
        Subject: FW:Several goals at once, and 9 more
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=feedback-report; boundary="part_boundary_1"

        --part_boundary_1
        Content-Type: text/plain; charset="US-ASCII"

        This is an email abuse report for an email message received from papers.example.org

        --part_boundary_1
        Content-Type: message/feedback-report

        Feedback-Type: {feedback}
        User-Agent: Yahoo!-Mail-Feedback/2.0
        Version: 0.1
        Original-Mail-From: <{about.return_path}>
        Original-Rcpt-To: redacted@yahoo.example
        Received-Date: Fri, 28 Nov 2025 07:30:06 +0000
        Reported-Domain: papers.example.org

        --part_boundary_1
        Content-Type: message/rfc822
        Content-Disposition: inline

        """)
        + about.headers
        + "\nHello Ada, here are 10 papers.\n\n--part_boundary_1--\n"
    )


def outlook_complaint(about: About) -> bytes:
    """Outlook's older feedback loop, which is not ARF."""
    return joined(
        dedent("""\
        From: staff@hotmail.com
        To: complaints@papers.example.org
        Date: Fri, 28 Nov 2025 08:05:40 -0800
        Subject: complaint about message from 192.0.2.25
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="jmrp-1"

        --jmrp-1
        Content-Type: message/rfc822
        Content-Disposition: attachment

        X-HmXmrOriginalRecipient: <ada@hotmail.example>
        """)
        + about.headers
        + "\nHello Ada, here are 10 papers.\n\n--jmrp-1--\n"
    )


def vacation(about: About) -> bytes:
    return joined(
        dedent(f"""\
        Return-Path: <>
        From: Ada <{about.recipient}>
        To: {about.return_path}
        Subject: Out of office: Several goals at once, and 9 more
        In-Reply-To: {about.message_id}
        Auto-Submitted: auto-replied (vacation)

        I am away until Monday. Your message could not be delivered to my attention:
        <{about.recipient}>
        """)
    )


def letter(subject: str, text: str = "", in_reply_to: str | None = None) -> bytes:
    reply = f"In-Reply-To: {in_reply_to}\n" if in_reply_to else ""
    return joined(
        f"From: Ada <ada@example.net>\nTo: papers@papers.example.org\nSubject: {subject}\n{reply}"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    )


def report(
    about: About,
    fields: str,
    text: str = "Your message could not be delivered.",
    kind: str = "delivery-status",
    encoding: str = "8bit",
    returned: str = "message/rfc822",
) -> bytes:
    """A multipart/report with the usual three parts.

    Args:
        fields: of the recipient, in which ``TO`` stands for the address.
        kind: ``global-delivery-status`` for RFC 6533.
        encoding: of the part with the fields.
        returned: the type of the part with the message that is returned.
    """
    status = f"Reporting-MTA: dns; mx.example.net\n\n{fields.replace('TO', about.recipient)}\n"
    if encoding == "base64":
        status = base64.encodebytes(status.encode()).decode()
    elif encoding == "quoted-printable":
        status = quopri.encodestring(status.encode()).decode()
    return joined(
        f"Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: {about.return_path}\n"
        "Subject: Delivery Status Notification (Failure)\nMIME-Version: 1.0\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="part-7"\n\n'
        f"--part-7\nContent-Type: text/plain; charset=utf-8\n\n{text.replace('TO', about.recipient)}\n\n"
        f"--part-7\nContent-Type: message/{kind}\nContent-Transfer-Encoding: {encoding}\n\n{status}\n"
        f"--part-7\nContent-Type: {returned}\n\n{about.headers}\nHello.\n--part-7--\n"
    )


def wrapped(content: bytes, about: About, levels: int = 1) -> bytes:
    """A report that a gateway has wrapped into another message, with a remark."""
    for level in range(levels):
        head, _, body = content.decode().replace("\r\n", "\n").partition("\n\n")
        kept = [line for line in head.replace("\n ", " ").splitlines() if line.lower().startswith("content-")]
        inner = "\n".join(kept) + "\n\n" + body
        content = joined(
            f"Return-Path: <>\nFrom: postmaster@gateway.example.net\nTo: {about.return_path}\nSubject: Undeliverable\n"
            f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="gate{level}"\n\n'
            f"--gate{level}\nContent-Type: text/plain\n\nScanned.\n\n--gate{level}\n{inner}\n--gate{level}--\n"
        )
    return content


_GONE = "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 user unknown\n"

VENDORS: dict[str, tuple[str, str, str]] = {
    "Cisco ESA": (
        "Final-recipient: RFC822; TO\nAction: failed\nStatus: 5.0.0\nRemote-MTA: dns; [192.0.2.7]\n"
        "X-Supplementary-Info: <mx2.example.net #5.0.0 smtp; 550 Mailbox not found>\n",
        "The following message to <TO> was undeliverable.\n",
        "Mailbox not found",
    ),
    "Cisco ESA, in its text alone": (
        "Final-recipient: RFC822; TO\nAction: failed\nStatus: 5.0.0\nRemote-MTA: dns; [192.0.2.7]\n",
        "The following message to <TO> was undeliverable.\nThe reason for the problem:\n"
        "5.1.0 - Unknown address error 550-'no such mailbox'\n",
        "Unknown address",
    ),
    "Sendmail": (
        "Final-Recipient: RFC822; TO\nAction: failed\nStatus: 5.1.1\nRemote-MTA: DNS; mail.example.net\n"
        "Diagnostic-Code: SMTP; 550 5.1.1 <TO>: Recipient address rejected\nLast-Attempt-Date: Fri, 28 Nov 2025\n",
        "   ----- The following addresses had permanent fatal errors -----\n<TO>\n    (reason: 550 5.1.1 <TO>)\n",
        "Recipient address rejected",
    ),
    "Zimbra": (
        "Final-Recipient: rfc822; TO\nOriginal-Recipient: rfc822;TO\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 TO: Recipient address rejected: example.net\n",
        "This is the mail system at host zimbra.example.net.\n",
        "Recipient address rejected",
    ),
    "Mimecast": (
        "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 Invalid Recipient\n"
        "X-Mimecast-Reference: https://community.example.com/docs/DOC-1369#550\n",
        "Message delivery failed.\n",
        "Invalid Recipient",
    ),
    "Proofpoint": (
        "Final-Recipient: RFC822; TO\nX-Actual-Recipient: RFC822; TO\nAction: failed\nStatus: 5.1.1\n"
        "Remote-MTA: DNS; mx.example.net\nDiagnostic-Code: SMTP; 550 5.1.1 <TO>... User unknown\n",
        "The original message was received at Fri, 28 Nov 2025 07:30:04 GMT\n",
        "User unknown",
    ),
    "Barracuda": (
        "Final-Recipient: rfc822; TO\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp; mail.example.net[192.0.2.7]: 550 permanent failure for one or more recipients\n"
        "X-Barracuda-Response: 550 TO: unknown recipient\n",
        "**** This is an automatic message from the Barracuda Spam Firewall ****\n",
        "unknown recipient",
    ),
    "OpenSMTPD": (
        "Final-Recipient: rfc822; TO\nAction: error\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp; 550 Invalid recipient: <TO>\n",
        "    Hi!\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n",
        "Invalid recipient",
    ),
    "Exchange 2003": (
        "Final-Recipient: rfc822;TO\nAction: failed\nStatus: 5.1.1\nX-Display-Name: Ada L\n",
        "Your message did not reach some or all of the intended recipients.\n",
        "",
    ),
    "Exim 4.95": (
        "Action: failed\nFinal-Recipient: rfc822;TO\nStatus: 5.0.0\nRemote-MTA: dns; mail.example.net\n"
        "Diagnostic-Code: smtp; 550 Unrouteable address\n",
        "This message was created automatically by mail delivery software.\n",
        "Unrouteable address",
    ),
}
"""By vendor: the fields of the recipient, the text, and words of the diagnostic."""


def gone(about: About, **options: str) -> bytes:
    """A report on a mailbox that does not exist."""
    return report(about, _GONE, **options)
