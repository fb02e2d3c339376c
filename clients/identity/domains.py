"""Internationalised domain names: validation, the spelling in Unicode, and the one in ASCII for SMTP.

Accepts what `email-validator` accepts, with the same outcome (a test compares them). That library converts each label
to Punycode and back three times, 1 to 3 ms for a long domain; here each label is converted once, and only if it can
fit.
"""

import re
import unicodedata
from functools import lru_cache

import idna

from clients.identity.names import nfc

LONGEST = 253
"""Most octets of a domain in ASCII (RFC 1035, 2.3.4, without the root's dot)."""
LONGEST_LABEL = 63
PREFIX = "xn--"
REMEMBERED = 2048
"""Domains cached with their outcome in each process, about 1 MB. The clients of a partner share a few domains."""

_HOSTNAME = re.compile(r"[a-z0-9.\x80-\U0010ffff-]+", re.I)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SPECIAL = re.compile(r"(?:.*\.)?(?:arpa|invalid|local|localhost|onion)")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


class InvalidDomain(ValueError):
    """Domain that cannot receive mail from the Internet. The text is English, for a log."""


@lru_cache(maxsize=REMEMBERED)
def spellings(domain: str) -> tuple[str, str] | None:
    """Domain in Unicode and in ASCII; None if it is not valid."""
    try:
        return _spellings(domain)
    except (InvalidDomain, idna.IDNAError, UnicodeError):
        return None


def _spellings(domain: str) -> tuple[str, str]:
    if len(domain) > LONGEST or not _HOSTNAME.fullmatch(domain):
        raise InvalidDomain("too long, or holds what no domain holds")
    domain = nfc(domain)
    _check_length(unicodedata.normalize("NFKC", domain))
    mapped = idna.uts46_remap(domain, std3_rules=False)
    if mapped.count(".") != len(_DOTS.findall(domain)):
        raise InvalidDomain("a character stands for a dot")
    _check_length(mapped)
    pairs = [_label(label) for label in mapped.split(".")]
    unicode_domain = ".".join(pair[0] for pair in pairs)
    ascii_domain = ".".join(pair[1] for pair in pairs)
    if not (domain.isprintable() and unicode_domain.isprintable()):
        raise InvalidDomain("a space, or a character that Unicode does not have yet")
    if len(ascii_domain) > LONGEST or len(pairs) == 1 or not ascii_domain[-1].isalpha():
        raise InvalidDomain("too long, without a dot, or its top-level name ends in a digit")
    if _SPECIAL.fullmatch(ascii_domain):
        raise InvalidDomain("a name that never reaches the Internet")
    if any(unicodedata.bidirectional(each) in _RIGHT_TO_LEFT for each in unicode_domain):
        for label, _ in pairs:
            idna.check_bidi(label, check_ltr=True)  # RFC 5893, 1.4: then the rule holds for every label
    return unicode_domain, ascii_domain


def _check_length(domain: str) -> None:
    """Refuse what cannot fit before anything is converted: Punycode takes at least one octet for each character."""
    fewest = -1
    for label in domain.split("."):
        octets = len(label) if label.isascii() else len(PREFIX) + len(label) + (min(label) < "\x80")
        if octets > LONGEST_LABEL:
            raise InvalidDomain("a label is too long")
        fewest += octets + 1
    if fewest > LONGEST:
        raise InvalidDomain("too long")


@lru_cache(maxsize=2 * REMEMBERED)
def _label(label: str) -> tuple[str, str]:
    """Label in Unicode and in ASCII."""
    if not label.isascii():
        if label[2:4] == "--":
            raise InvalidDomain("two hyphens in the third place")
        idna.check_label(label)
        in_ascii = PREFIX + label.encode("punycode").decode("ascii")
    elif not _LABEL.fullmatch(label) or (label[2:4] == "--" and not label.startswith(PREFIX)):
        raise InvalidDomain("a label of forbidden shape")
    else:
        in_ascii = label
        if label.startswith(PREFIX):
            label = idna.ulabel(label)
    if len(in_ascii) > LONGEST_LABEL:
        raise InvalidDomain("a label is too long")
    return label, in_ascii
