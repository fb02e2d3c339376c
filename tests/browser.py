"""A pytest plugin: Chromium for tests of pages, driven by Playwright; they ask for the fixture `browser` or `page`.

Playwright keeps an event loop running in the thread it was started in, and Django rightly refuses its ORM there. So
Playwright lives in a thread of its own, and a test holds stand-ins: they do in that thread what is asked of them, and
the documentation of Playwright's synchronous API is that of `page`.

The browser is the system's. Where there is none, tests that need it are skipped and the summary says so, unless
AVAL_TEST_EVERYTHING is set, as in .ci/run: there they fail. It reaches nobody but this machine, whatever a page asks
for, and what it asked for is kept in `Browser.requested`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "there is no Chromium on this machine (Debian: apt install chromium)"
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
PATIENCE = 10_000
"""Milliseconds for a page to load or a thing on it to appear."""


class There:
    """A stand-in for one of Playwright's objects. What it is asked happens in Playwright's thread."""

    def __init__(self, thread: ThreadPoolExecutor, real: Any) -> None:
        self._thread = thread
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return self._do(lambda: getattr(self._real, name))

    def __repr__(self) -> str:
        return f"<{self._real!r}, there>"

    def __call__(self, *args: Any, **options: Any) -> Any:
        plain = [_plain(each) for each in args]
        named = {name: _plain(each) for name, each in options.items()}
        return self._do(lambda: self._real(*plain, **named))

    def __enter__(self) -> Any:
        return self._do(self._real.__enter__)

    def __exit__(self, *fault: Any) -> Any:
        return self._do(lambda: self._real.__exit__(*fault))

    def _do(self, act: Callable[[], Any]) -> Any:
        return self._stand_in(self._thread.submit(act).result())

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._stand_in(each) for each in value]
        theirs = callable(value) or type(value).__module__.startswith("playwright.")
        return There(self._thread, value) if theirs else value


def _plain(value: Any) -> Any:
    return value._real if isinstance(value, There) else value


class Browser:
    """One test's pages in a Chromium, and a record of what they asked for."""

    def __init__(self, thread: ThreadPoolExecutor, chromium: There, folder: Path) -> None:
        self.requested: list[str] = []
        """The URL of each request that a page made, in order."""
        self.violations: list[str] = []
        """What Chromium refused because of a page's own policy; a test with any fails."""
        self._thread = thread
        self._chromium = chromium
        self._folder = folder
        self._pages: list[There] = []

    def open(self, *, javascript: bool = True, width: int = 1280, height: int = 800, dark: bool = False) -> Any:
        """A page of somebody new: no cookies, nothing kept. `width` and `height` in CSS pixels."""
        context = self._chromium.new_context(
            java_script_enabled=javascript,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="es-PE",
            timezone_id="America/Lima",
        )
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: self.requested.append(request.url))
        context.on("console", self._heard)
        self._pages.append(context.new_page())
        return self._pages[-1]

    def _heard(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.violations.append(f"{message.page.url if message.page else '?'}: {message.text}")

    def expect(self, what: Any) -> Any:
        """Playwright's assertions, which wait: `browser.expect(page.get_by_role("alert")).to_be_visible()`."""
        from playwright.sync_api import expect

        return There(self._thread, expect)(what)

    def scrolls_sideways(self, page: Any) -> bool:
        """Whether a page is wider than its window. Also where pages may run no scripts: we may."""
        return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def picture(self, page: Any, name: str) -> Path:
        """The whole page as it looks now, as a PNG in the test's own folder."""
        path = self._folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    def pictures(self) -> list[str]:
        """Where each page is now and where its picture lies, for a failed test's report."""
        return [f"{page.url}: {self.picture(page, f'page-{n}')}" for n, page in enumerate(self._pages, 1)]

    def close(self) -> None:
        for page in self._pages:
            page.context.close()


_browser = pytest.StashKey[Browser]()
_without = pytest.StashKey[list[str]]()
"""The tests that were skipped for want of a browser."""

# --- fixtures ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _playwrights_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, "playwright") as thread:
        yield thread


@pytest.fixture(scope="session")
def _chromium(_playwrights_thread: ThreadPoolExecutor) -> Iterator[There]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        (pytest.fail if os.environ.get("AVAL_TEST_EVERYTHING") else pytest.skip)(MISSING)
    from playwright.sync_api import sync_playwright

    playwright = There(_playwrights_thread, sync_playwright()).start()
    try:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to start as root without
        chromium = playwright.chromium.launch(executable_path=found, args=[*FLAGS, *as_root])
        yield chromium
        chromium.close()
    finally:
        playwright.stop()


@pytest.fixture
def browser(
    request: pytest.FixtureRequest, _playwrights_thread: ThreadPoolExecutor, _chromium: There, tmp_path: Path
) -> Iterator[Browser]:
    """`browser.open(javascript=False, width=360)` gives a page; all of them end with the test."""
    browser = request.node.stash[_browser] = Browser(_playwrights_thread, _chromium, tmp_path)
    try:
        yield browser
        assert browser.violations == []
    finally:
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Any:
    """A page at a desk: with JavaScript, 1280 pixels wide."""
    return browser.open()


# --- what a test run says about it -------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failed test shows its pages: they are still open, and here is where their pictures are."""
    report = yield
    if report.when == "call" and report.failed and _browser in item.stash:
        try:
            report.sections.append(("Chromium", "\n".join(item.stash[_browser].pictures())))
        except Exception as fault:  # noqa: BLE001  the test's own failure is what matters
            report.sections.append(("Chromium", f"no picture: {fault}"))
    if report.skipped and MISSING in str(report.longrepr):
        item.config.stash.setdefault(_without, []).append(item.nodeid)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    skipped = config.stash.get(_without, [])
    if skipped:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests of pages were skipped: {MISSING}.")
        terminalreporter.line("AVAL_TEST_EVERYTHING=1 makes them fail instead.")
