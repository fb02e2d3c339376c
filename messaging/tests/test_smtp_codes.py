"""Causes of mail servers' refusals, with texts of real servers. Names and numbers are made up."""

import pytest

from messaging.gateways.smtp_codes import Fault, classify

RECIPIENT = [
    "550 5.1.1 <ana@x.pe>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 <ana@x.pe>: Recipient address rejected: User unknown in relay recipient table",
    "550 5.1.1 <ana@x.pe>: user not found in relay recipient table",
    "550-5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking the "
    "recipient's email address for typos or unnecessary spaces",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ana@x.pe not found by SMTP address lookup",
    "556 5.1.10 Recipient address has null MX",
    "556 nullMX",
    "550 5.1.2 <ana@x.pe>: Recipient address rejected: Domain not found",
    "553 5.1.3 The recipient address is not a valid RFC 5321 address",
    "550 5.1.6 Mailbox has moved",
    "550 5.2.1 The email account that you tried to reach is inactive",
    "552 5.2.2 The email account that you tried to reach is over quota",
    "554 5.2.2 mailbox full",
    "552 5.2.2 Recipient quota exceeded",
    "550 sorry, no mailbox here by that name (#5.1.1)",
    "550 #5.1.1 bad address ana@x.pe",
    "550 5.1.1 Your message could not be delivered: user unknown",
    "550 5.7.17 Mailbox owner has changed",
    "550-Requested action not taken\n5.1.1 no such mailbox",
    "550 <ana@x.pe>: 5.1.1 nobody",
    "550 [5.1.1] nobody",
    "550 5.1.1 <bl@x.pe>: user unknown",
    "550 5.1.1 not.relay@x.pe: user unknown",
    "550 5.1.1 User unknown, see https://ayuda.x.pe/hour/7",
    "550 5.1.1 user unknown, contact our abuse desk",
    "550 5.1.1 you sent a message to an unknown user",
    "550 5.1.1 unknown " + "y" * 50_000,
]
RECIPIENT_BY_WORDS = [
    "550 No such user here",
    "550 User unknown",
    "550 unknown user ana@x.pe",
    "550 <ana@x.pe>... User unknown",
    "550 Requested action not taken: mailbox unavailable",
    "550 5.0.0 <ana@x.pe>... User unknown",
    "550 5.1.0 Address rejected: unknown recipient",
    "554 delivery error: dd This user doesn't have a yahoo.com account (ana@x.pe) [-5]",
    "550 Unrouteable address",
    "550 Mailbox ana@x.pe does not exist",
    "550 Unknown local part ana in <ana@x.pe>",
    "552 mailbox full",
    "552 Mailbox size limit exceeded",
    "550 Recipient domain not found",
    "550 mailbox is over quota",
    "551 User not local; please try another",
    "553 sorry, that is not a valid mailbox",
    "550 El usuario no existe",
    "550 Buzón lleno",
]
OURS = [
    "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to",
    "554 5.7.1 <ana@x.pe>: Relay access denied",
    "553 5.7.1 <no-responder@aval.pe>: Sender address rejected: not owned by user aval",
    "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org",
    "550 5.7.1 Our system has detected that this message is likely unsolicited mail",
    "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
    "550 5.2.2 Submission quota exceeded",
    "554 Message rejected: Email address is not verified",
    "550 5.1.0 <no-responder@aval.pe>: Sender address rejected: User unknown in local recipient table",
    "550 5.1.1 <no-responder@aval.pe>: Sender address rejected: undeliverable address: user unknown",
    "550 Verification failed for <no-responder@aval.pe>\nNo Such User Here\nSender verify failed",
    "550 5.1.8 Access denied, bad outbound sender",
    "550 5.1.7 Invalid sender",
    "550 relay not permitted",
    "550 we do not relay",
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "550 rejected",
    "550 Account aval disabled",
    "550 Domain not found",
    "550 Access denied - Invalid HELO name",
    "550 unknown sender",
    "553 Invalid sender domain",
    "550 Invalid user credentials, please authenticate",
    "550 User aval is not allowed to send as no-responder@aval.pe",
    "550 Unknown user or relaying denied",
    "551 User not local or invalid address - relay denied",
    "550 Recipient limit exceeded",
    "550 Administrative prohibition",
    "550 This user is not permitted to relay through this server",
    "550 Invalid recipient: relay only for authenticated users",
    "550 5.1.0 sender rejected (unknown user)",
    "550 Too many invalid recipients",
    "554 5.7.1 The message from (<no-responder@aval.pe>) with the subject of (x) matches a profile: user unknown",
    "550 5.7.509 Access denied, sending domain does not pass DMARC verification",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.9]",
    "550 5.5.0 Requested action not taken",
    "554 5.5.1 Error: no valid recipients",
    "554 5.6.0 rejected",
    "550 5.3.5 system configuration error",
    "550 5.4.1 Recipient address rejected: Access denied",
    "550 Your account has been suspended",
    "550 5.2.1 Your account is disabled for sending",
    "550 mailbox unavailable: your IP is listed",
    "550 Mailbox disabled for outgoing mail",
    "550 5.2.2 user exceeded quota (200 mails/hour)",
    "550 5.2.2 limit of 500 messages per day reached",
    "550 5.2.2 Domain aval.pe has exceeded the max defers and failures per hour",
    "550 5.2.2 Message quota exceeded for today",
    "550 5.2.1 account disabled due to abuse",
    "550 5.2.1 Account temporarily blocked for sending",
    "550 5.2.2 Límite diario de envíos excedido",
    "550 5.1.1 Remitente desconocido",
    "550 user aval has exceeded quota (200 mails/hour)",
    "550 Mail account over quota for sent messages",
    "550 account inactive: please pay",
    "550 5.0.0 SMTP account not found",
    "550 El usuario no existe; falta autenticación",
    "530 5.7.0 Authentication required",
    "535 5.7.8 bad credentials",
    "552 You have exceeded your daily quota",
    "550 5.1.1.20 is a strange address",
    "550 refused by version 5.1.1 of the filter",
    "550 5.7.1 no: host said 5.1.1",
    "599 what?",
]


def cause_of(reply, stage="rcpt"):
    return classify(int(reply[:3]), reply[4:], stage=stage)


@pytest.mark.parametrize("stage", ["rcpt", "data"])
@pytest.mark.parametrize("reply", RECIPIENT)
def test_a_code_about_the_recipient_is_for_good_at_rcpt_and_after_the_message(reply, stage):
    assert cause_of(reply, stage) is Fault.RECIPIENT


@pytest.mark.parametrize("reply", RECIPIENT_BY_WORDS)
def test_without_a_specific_code_an_unambiguous_text_counts_only_at_rcpt(reply):
    assert cause_of(reply) is Fault.RECIPIENT
    assert cause_of(reply, "data") is Fault.OURS


@pytest.mark.parametrize("stage", ["rcpt", "data"])
@pytest.mark.parametrize("reply", OURS)
def test_what_is_about_us_or_unclear_is_never_the_recipients_fault(reply, stage):
    assert cause_of(reply, stage) is Fault.OURS


@pytest.mark.parametrize("reply", RECIPIENT + RECIPIENT_BY_WORDS)
@pytest.mark.parametrize("stage", ["connect", "ehlo", "starttls", "auth", "mail"])
def test_before_rcpt_everything_is_about_us(reply, stage):
    assert cause_of(reply, stage) is Fault.OURS


@pytest.mark.parametrize(
    "reply",
    [
        "452 4.2.2 mailbox full",
        "450 4.2.0 greylisted",
        "451 4.7.1 Greylisting in action, please come back later",
        "450 4.7.1 <ana@x.pe>: Recipient address rejected: Greylisted",
        "450 try again",
        "451 local error",
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents further messages",
        "450 4.1.1 unverified address",
        "450 4.7.1 Sender address rejected: greylisted",
        "550 4.2.2 mailbox full",
        "432 4.2.1 mailbox busy",
    ],
)
def test_a_4xx_to_rcpt_is_about_the_recipient_for_now(reply):
    assert cause_of(reply) is Fault.RECIPIENT_FOR_NOW


@pytest.mark.parametrize(
    "reply",
    [
        "421 4.3.2 going down",
        "421 too many connections",
        "452 4.3.1 Insufficient system storage",
        "451 4.3.0 lookup failed",
        "454 4.7.1 <ana@x.pe>: Relay access denied",
        "450 4.1.8 <no-responder@aval.pe>: Sender address rejected: Domain not found",
        "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.9]",
        "451 4.2.2 500 mails per day sent",
    ],
)
def test_a_4xx_to_rcpt_that_speaks_of_the_server_or_of_us_counts_against_it(reply):
    assert cause_of(reply) is Fault.OURS


def test_a_4xx_after_the_message_is_about_the_recipient_only_by_its_code():
    assert cause_of("452 4.2.2 mailbox full", "data") is Fault.RECIPIENT_FOR_NOW
    assert cause_of("451 4.7.1 try again", "data") is Fault.OURS
    assert cause_of("450 mailbox busy", "data") is Fault.OURS


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    "reply", ["552 5.3.4 Message size exceeds fixed limit", "552 message too big", "550 5.2.3 message too long"]
)
def test_a_message_too_big_for_this_server_may_fit_another(reply, stage):
    assert cause_of(reply, stage) is Fault.UNSUPPORTED


@pytest.mark.parametrize("reply", ["553 5.6.7 SMTPUTF8 is required", "550 5.6.10 no", "554 5.6.9 no"])
def test_an_address_this_server_cannot_carry_may_go_by_another(reply):
    assert cause_of(reply) is Fault.UNSUPPORTED
