"""Search for leaked codes and keys, after all other scenarios.

It reads all logs, every table (events and the providers' replies included), every key of Redis and its append-only
file. The providers' own journals hold the codes and are not searched.
"""

import random

from chaos.checker import Counts
from chaos.harness import KEYS, META_TOKEN, ChaosStack, code_of
from testkit.code_search import everything_in_redis, everything_in_the_database, findings, searchable


def search_for_leaks(stack: ChaosStack, rng: random.Random, *, codes: int) -> Counts:
    """Look for a random sample of the codes that arrived. A code that could be a word or a number is left out."""
    stack.alarms.begin(stack.sql)
    masked = {
        str(row[0]): row[1]
        for row in stack.sql("SELECT id, text FROM messaging_message WHERE sent_at > now() - '1 h'::interval")
    }
    arrivals = [each for log in stack.arrival_logs for each in log.arrivals() if each.message in masked]
    arrived = {code_of(each, masked[each.message]) for each in arrivals}
    wanted = sorted(code for code in arrived if searchable(code))
    wanted = rng.sample(wanted, min(codes, len(wanted)))
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
