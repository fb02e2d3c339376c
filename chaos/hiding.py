"""After everything that was done to it: is any code that a provider received, or any key of ours, where it must not be?

Searched are all logs, every table (events and the providers' replies among them), every key of Redis and its file. The
providers' own logs hold the codes; they are the providers'.
"""

import random

from chaos.checker import Counts
from chaos.standing import KEYS, META_TOKEN, Field, code_of
from testkit.code_search import everything_in_redis, everything_in_the_database, findings, searchable


def nothing_tells(stack: Field, dice: random.Random, *, codes: int) -> Counts:
    """So many of the codes that arrived, chosen by the dice; a code that could be a word or a number tells nothing."""
    masked = {
        str(row[0]): row[1]
        for row in stack.sql("SELECT id, text FROM messaging_message WHERE sent_at > now() - '1 h'::interval")
    }
    arrivals = [each for log in stack.logs_of_all for each in log.arrivals() if each.message in masked]
    arrived = {code_of(each, masked[each.message]) for each in arrivals}
    wanted = sorted(code for code in arrived if searchable(code))
    wanted = dice.sample(wanted, min(codes, len(wanted)))
    texts = {f"log {name}": text for name, text in stack.logs().items()}
    texts |= everything_in_redis(stack) | everything_in_the_database(stack)
    counts = Counts(accepted=len(arrivals), once=len(wanted))
    for found in findings(texts, wanted):
        counts.broken("false", f"a code: {found}")
    for where, text in texts.items():
        for key in (*KEYS.values(), META_TOKEN):
            counts.expect(key not in text, f"a key of a provider stands in {where}")
    counts.expect(bool(wanted), "there was no code to look for")
    counts.notes.append(f"{len(wanted)} codes looked for in {sum(map(len, texts.values())) / 1e6:.0f} MB")
    return counts
