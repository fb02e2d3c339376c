"""Benchmark of the support desk: each kind of page over years of messages, beside the same over few."""

import argparse
import html
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import psycopg

from bench import history
from bench.harness import NORMAL
from bench.report import percentile
from testkit.stack import Stack, running

PASSWORD = "una-clave-larga-de-medir"
LOG = "/soporte/mensajes/"
SINCE = "desde=2000-01-01"
TARGET = 300
"""Milliseconds at the 95th percentile, for a case and for every page of the log."""
NEXT = re.compile(r'rel="next" href="([^"]+)"')
PAGES_OF_EACH_KIND = 40
"""Pages that are timed of each kind."""


def run(folder: Path, options: argparse.Namespace) -> None:
    rows = options.history
    print(
        f"\ndesk: pages one after another over HTTP; with {rows:,} codes and as many messages; floor: with 400 of each"
    )
    with running(folder, **NORMAL) as stack, stack.database() as database:
        database.execute("SET statement_timeout = 0")
        history.prepare(database)
        history.fill(database, 400)
        agent = _agent(stack)
        _measured(agent, database)  # for the caches
        floor = _measured(agent, database)
        database.execute("TRUNCATE clients_applicant, tokens_verificationtoken, messaging_message CASCADE")
        history.fill(database, rows)
        full = _measured(agent, database)
    print(f"{'milliseconds':24}{'p50':>8}{'p95':>8}{'most':>8}{'p95 of the floor':>20}{'ratio':>8}")
    for name, seconds in full.items():
        p50, p95, most = (1000 * percentile(seconds, each) for each in (50, 95, 100))
        least = 1000 * percentile(floor[name], 95)
        print(f"{name:24}{p50:8.0f}{p95:8.0f}{most:8.0f}{least:20.0f}{p95 / least:8.2f}")
    worst = max(1000 * percentile(seconds, 95) for seconds in full.values())
    print(f"the slowest kind: {worst:.0f} ms at the 95th percentile; target: {TARGET}")


def _agent(stack: Stack) -> httpx.Client:
    """HTTP client that is logged in as staff."""
    stack.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    stack.manage("createsuperuser", "--noinput", "--username", "eva", "--email", "eva@example.com")
    agent = httpx.Client(base_url=stack.url, timeout=30, trust_env=False, headers={"Referer": stack.url})
    agent.get("/admin/login/")
    form = {"username": "eva", "password": PASSWORD, "csrfmiddlewaretoken": agent.cookies["csrftoken"]}
    agent.post("/admin/login/", data=form)
    assert agent.get(LOG).status_code == 200, "logged in"
    return agent


def _measured(agent: httpx.Client, database: "psycopg.Connection") -> dict[str, list[float]]:
    """Seconds of each page, by its kind."""
    persons = database.execute(
        "SELECT applicant_id::text, destination FROM tokens_verificationtoken ORDER BY md5(id::text) LIMIT %s",
        [PAGES_OF_EACH_KIND],
    ).fetchall()
    return {
        "case": _timed(agent, [f"/soporte/caso/cliente/{id}/" for id, _ in persons]),
        "search by phone": _timed(agent, [f"/soporte/?q={phone}" for _, phone in persons]),
        "log, page after page": _timed(agent, _pages_of_the_log(agent)),
        **{
            f"log, {name}": _timed(agent, [f"{LOG}?{SINCE}&{asked}"] * 10)
            for name, asked in (
                ("failed", "grupo=fallidos"),
                ("queued", "grupo=cola"),
                ("a rare via", "via=W"),
                ("a rare kind", "tipo=boletin"),
                ("rare and failed", "via=W&grupo=fallidos"),
            )
        },
    }


def _pages_of_the_log(agent: httpx.Client) -> Iterator[str]:
    """URLs of the log from the newest page on. Each page is read twice; only the second read is timed."""
    url = f"{LOG}?{SINCE}"
    for _ in range(PAGES_OF_EACH_KIND):
        yield url
        found = NEXT.search(agent.get(url).text)
        if found is None:
            return
        url = LOG + html.unescape(found[1])


def _timed(agent: httpx.Client, urls: Sequence[str] | Iterator[str]) -> list[float]:
    return [_seconds(lambda url=url: agent.get(url)) for url in urls]  # type: ignore[misc]


def _seconds(act: Callable[[], httpx.Response]) -> float:
    began = time.perf_counter()
    answer = act()
    took = time.perf_counter() - began
    assert answer.status_code in (200, 302), answer.status_code
    return took
