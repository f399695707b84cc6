"""What a refusal says of a mailbox: the words of the servers, and whose fault they tell of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.refusal_classifier import BounceKind, classify, classify_refusal, status_in

GONE = [
    # Gmail
    "550 5.1.1 The email account that you tried to reach does not exist. Please try 5.1.1 double-checking the "
    "recipient's email address for typos or 5.1.1 unnecessary spaces. For more information, go to 5.1.1 "
    "https://support.google.com/mail/?p=NoSuchUser a1-20020adfspam.12 - gsmtp",
    "550 5.2.1 The email account that you tried to reach is disabled. https://support.google.com/mail/?p=DisabledUser",
    # Exchange and Exchange Online
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ada@example.org not found by SMTP address lookup",
    "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found",
    "550 5.4.1 Recipient address rejected: Access denied. [AM7EUR03FT1.eop-EUR03.prod.protection.outlook.com]",
    # Yahoo
    "554 delivery error: dd This user doesn't have a yahoo.com account (ada@yahoo.com) [0] - mta1.mail.bf1.yahoo.com",
    "554 30 Sorry, your message to ada@yahoo.com cannot be delivered. This mailbox is disabled (554.30).",
    "552 1 Requested mail action aborted, mailbox not found",
    # Postfix
    "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in relay recipient table",
    "550 5.1.1 <ada@example.org> not found in relay_recipient_maps",
    "550 <ada@example.org>: Recipient address rejected: User unknown in local recipient table",
    # Exim
    "550 Unrouteable address",
    "550 No Such User Here",
    "550 Unknown user",
    # iCloud, GMX, Mail.ru, Zoho, Mail.ee
    "550 5.1.1 <ada@icloud.com>: user does not exist",
    "550 5.1.1 ada@gmx.example: mailbox unavailable",
    "550 Message was not accepted -- invalid mailbox. Local mailbox ada@mail.example is unavailable: user not found",
    "550 5.1.1 User does not exist - <ada@zoho.example>",
    "554 5.2.1 <ada@mail.example>: Recipient address rejected: Inactive user",
    # Proofpoint, Mimecast, Barracuda, IronPort
    "550 5.1.1 User Unknown",
    "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [vH7Ns8biNg.uk14]",
    "550 permanent failure for one or more recipients (ada@example.org:550 5.1.1 User unknown)",
    "550 #5.1.1 bad address ada@example.org",
    # qmail, Domino, Sendmail
    "553 sorry, no mailbox here by that name (#5.1.1)",
    "550 5.1.1 ada@example.org... User not listed in public Name & Address Book",
    "550 5.1.1 ada@example.org... User unknown",
    "550 5.1.2 ada@example.org... Host unknown (Name server: example.org: host not found)",
    "550 5.1.6 Recipient has moved",
    "550 5.1.3 Bad recipient address syntax",
    # Who closed it does not matter: the code is of the mailbox.
    "550 5.2.1 Account suspended",
    "550 5.2.1 mailbox disabled, not accepting messages",
    "550 no account by that name here",
    "550 destination addresses were unknown",
    "550 unknown local part ada",
    "550 non existent user",
    # What is in a name means nothing.
    "550 5.1.1 <spam-policy@blocked.example>: user unknown",
    "550 5.1.1 mx1.antispam.example.net: ada unknown",
]

OUR_FAULT = [
    # Relaying
    "554 5.7.1 <ada@example.org>: Relay access denied",
    "454 4.7.1 Relay access denied",
    "550 5.7.1 Unable to relay",
    "550 5.7.1 Relaying denied",
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "550 relay not permitted",
    "550 5.1.1 relaying denied",
    "550 5.1.2 We do not relay",
    "550 5.1.1 <ada@example.org>... Relaying to unknown user is not allowed",
    "553 sorry, that domain isn't in my list of allowed rcpthosts",
    "550 This server does not allow relaying without authentication",
    "550 not local host example.org, not a gateway",
    # The login, and our own account
    "550 5.1.1 Authentication required",
    "550 5.7.1 Client was not authenticated",
    "535 5.7.8 Username and Password not accepted",
    "535 unknown user",
    "525 5.7.13 User account disabled",
    "550 User account disabled",
    "550 Account suspended",
    "550 5.0.0 This account has been suspended",
    "550 5.2.1 Your account has been suspended for abuse",
    "554 5.2.1 Sender account disabled",
    "554 5.7.1 Account disabled",
    "554 Message rejected: Email address is not verified. The following identities failed the check in region X",
    "554 Sending paused for this account. For more information, please check the inbox of the email address",
    "550 Unauthenticated senders not allowed",
    "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.",
    "554 Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized "
    "recipients in Account Settings.",
    "553 5.1.1 <papers@example.org>: Sender address rejected: not owned by user papers",
    # How much we may send
    "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to 5.4.5",
    "550 5.4.5 Daily SMTP relay sending limit exceeded for customer",
    "552 5.2.2 daily sending quota exceeded",
    "554 5.2.0 hourly message quota exceeded for papers@example.org",
    "454 Throttling failure: Daily message quota exceeded.",
    "451 Authentication failed: Maximum credits exceeded",
    "550 5.2.1 You have exceeded your messaging limits",
    "550 5.1.1 too many messages from you today",
    "550 5.7.232 Your message can't be sent because your tenant exceeded its daily limit for external recipients",
    "550 5.2.1 Sending account over quota: papers has exceeded the max emails per hour",
    # An account of ours, by other words
    "550 5.1.1 this account is not allowed to send",
    "550 5.2.1 your organization has been suspended",
    "550 5.2.1 customer account suspended for non-payment",
    # Lists, reputation, policy
    "550 5.2.1 Mailbox unavailable. Your IP address 192.0.2.7 is blacklisted using SPAMHAUS-XBL.",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal visit https://sender.office.com/",
    "554 Service unavailable; Client host [192.0.2.7] blocked by zen.spamhaus.org; 192.0.2.7",
    "550 192.0.2.7 listed at zen.spamhaus.org",
    "550 permanent failure for one or more recipients (ada@example.org:blocked)",
    "550 csi.mimecast.org Poor Reputation Sender. - https://community.mimecast.com/docs/DOC-1369#550",
    "550 Rejected by header based manually Blocked Senders - block for manual block",
    "550 Administrative prohibition - envelope blocked",
    "554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137",
    "554 Transaction failed. Reject due to policy restrictions. For explanation visit https://postmaster.gmx.net/",
    "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes",
    "550 <ada@example.org>: Recipient address rejected: Access denied",
    "550 5.1.1 Recipient address rejected: blocked by policy",
    # What is sent
    "550 5.7.1 Message contains spam or virus",
    "554 5.1.1 rejected as spam",
    "550 5.1.1 junk mail rejected",
    "550 5.1.1 This message looks like phishing",
    "554 Message not allowed - [PH01] Email not accepted for policy reasons",
    "552 5.3.4 Message size exceeds fixed limit",
    "552 5.2.3 Message too large",
    "550 5.6.0 Lone CR or LF in body",
    "554 5.6.1 content rejected",
    # The sender, which words of a missing user may be about
    "550 Verification failed for <papers@example.org> No Such User Here Sender verify failed",
    "550 callback verification failed: no such user papers@example.org",
    "550 Return path mailbox unknown",
    "550 5.1.8 Sender address rejected: Domain not found",
    "550 Sender address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 unknown sender",
    "550 Invalid sender domain",
    "550 5.1.0 sender domain does not exist",
    "550 Helo command rejected: Host not found",
    "550 Client host rejected: cannot find your hostname, [192.0.2.7]",
    "550 5.7.25 The IP address sending this message does not have a PTR record setup",
    # The talk itself
    "501 5.5.4 Invalid recipient",
    "503 5.5.1 no such user before RCPT",
    "502 unknown user command",
]

UNCLEAR = [
    "550 Requested action not taken: mailbox unavailable",
    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
    "550 refused",
    "554 no",
    "554 Transaction failed",
    "571 Delivery not authorized, message refused",
    "550 5.4.4 no route",
    "550 5.3.2 system not accepting messages",
]

MAY_PASS = [
    "552 5.2.2 The recipient's inbox is out of storage space. https://support.google.com/mail/?p=OverQuotaPerm",
    "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from "
    "being delivered.",
    "450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
    "552 Mailbox full",
    "550 5.1.1 user over quota. (#5.1.1)",
    "450 4.1.1 <ada@example.org>: Recipient address rejected: unverified address",
    "450 5.1.1 user unknown",
    "550 5.1.0 Address rejected.",
    "550 5.2.0 STOREDRV.Deliver.Exception:QuotaExceededException",
]


@pytest.mark.parametrize("reply", GONE)
def test_a_mailbox_that_is_gone(reply: str) -> None:
    assert classify_refusal(reply) is BounceKind.HARD
    assert classify(status_in(reply), reply) is BounceKind.HARD


@pytest.mark.parametrize("reply", OUR_FAULT)
def test_what_is_our_fault_is_never_the_recipients(reply: str) -> None:
    assert classify_refusal(reply) is None
    assert classify(status_in(reply), reply) is not BounceKind.HARD


@pytest.mark.parametrize("reply", UNCLEAR)
def test_what_does_not_say_whose_fault_it_is_counts_for_nothing(reply: str) -> None:
    assert classify_refusal(reply) is None


@pytest.mark.parametrize("reply", MAY_PASS)
def test_what_may_pass_is_no_proof_that_the_mailbox_is_gone(reply: str) -> None:
    assert classify_refusal(reply) is BounceKind.SOFT


@pytest.mark.parametrize("words", [one for one in OUR_FAULT if status_in(one) and ".7." in one])
def test_no_code_makes_our_fault_the_recipients(words: str) -> None:
    """A report may carry a code that its own server made up."""
    assert classify("5.7.1", words) is BounceKind.REFUSED


@given(st.integers(0, 999), st.text())
def test_a_policy_code_is_our_fault_whatever_the_words(detail: int, words: str) -> None:
    assert classify_refusal(f"550 5.7.{detail} {words}") is None


@given(st.text(max_size=3000) | st.text("relay no sender5. @<>[]", max_size=3000))
def test_any_words_are_judged(words: str) -> None:
    classify_refusal(words)
    assert classify(None, words) in (BounceKind.HARD, BounceKind.SOFT, BounceKind.REFUSED)
