"""pytest plugin with the fixtures `browser` and `page`: Chromium, driven by Playwright.

Playwright runs an event loop in the thread that started it, where Django refuses its ORM. So Playwright has its own
thread, and a test holds proxies that forward each call to it. `page` has Playwright's synchronous API.

The browser is the system's. Without one, tests that need it are skipped and the summary says so, unless
AVAL_TEST_EVERYTHING is set, as in .ci/run: there they fail. The browser reaches this machine only, and
`Browser.requested` records the URLs that pages asked for.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from testkit.skipping import EVERYTHING, skip_or_fail

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
TIMEOUT_MS = 20_000
"""Limit for a page to load or an element to appear."""


class ThreadProxy:
    """Proxy of a Playwright object that makes each call in Playwright's thread."""

    def __init__(self, thread: ThreadPoolExecutor, real: Any) -> None:
        self._thread = thread
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return self._do(lambda: getattr(self._real, name))

    def __repr__(self) -> str:
        return f"<{self._real!r}, in its thread>"

    def __call__(self, *args: Any, **options: Any) -> Any:
        plain = [_plain(each) for each in args]
        named = {name: _plain(each) for name, each in options.items()}
        return self._do(lambda: self._real(*plain, **named))

    def __enter__(self) -> Any:
        return self._do(self._real.__enter__)

    def __exit__(self, *fault: Any) -> Any:
        return self._do(lambda: self._real.__exit__(*fault))

    def _do(self, act: Callable[[], Any]) -> Any:
        return self._wrapped(self._thread.submit(act).result())

    def _wrapped(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._wrapped(each) for each in value]
        is_playwrights = callable(value) or type(value).__module__.startswith("playwright.")
        return ThreadProxy(self._thread, value) if is_playwrights else value


def _plain(value: Any) -> Any:
    return value._real if isinstance(value, ThreadProxy) else value


class Browser:
    """One test's pages in a Chromium, and a record of what they asked for."""

    def __init__(self, thread: ThreadPoolExecutor, chromium: ThreadProxy, folder: Path) -> None:
        self.requested: list[str] = []
        """The URL of each request that a page made, in order."""
        self.violations: list[str] = []
        """Violations of a page's Content-Security-Policy; a test with any fails."""
        self._thread = thread
        self._chromium = chromium
        self._folder = folder
        self._pages: list[ThreadProxy] = []

    def open(self, *, javascript: bool = True, width: int = 1280, height: int = 800, dark: bool = False) -> Any:
        """A page in a new context, without cookies. `width` and `height` in CSS pixels."""
        context = self._chromium.new_context(
            java_script_enabled=javascript,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="es-PE",
            timezone_id="America/Lima",
        )
        context.set_default_timeout(TIMEOUT_MS)
        context.on("request", lambda request: self.requested.append(request.url))
        context.on("console", self._on_console)
        self._pages.append(context.new_page())
        return self._pages[-1]

    def _on_console(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.violations.append(f"{message.page.url if message.page else '?'}: {message.text}")

    def expect(self, what: Any) -> Any:
        """Playwright's assertions, which wait: `browser.expect(page.get_by_role("alert")).to_be_visible()`."""
        from playwright.sync_api import expect

        return ThreadProxy(self._thread, expect)(what)

    def scrolls_sideways(self, page: Any) -> bool:
        """Whether a page is wider than its window; works without JavaScript on the page too."""
        return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def picture(self, page: Any, name: str) -> Path:
        """Screenshot of the whole page, a PNG in the test's folder."""
        path = self._folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    def pictures(self) -> list[str]:
        """URL and screenshot of each page, for the report of a failed test."""
        return [f"{page.url}: {self.picture(page, f'page-{n}')}" for n, page in enumerate(self._pages, 1)]

    def close(self) -> None:
        for page in self._pages:
            page.context.close()


_browser = pytest.StashKey[Browser]()
_skipped = pytest.StashKey[list[str]]()
"""Tests that were skipped without a browser."""

# --- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _playwright_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, "playwright") as thread:
        yield thread


@pytest.fixture(scope="session")
def _chromium(_playwright_thread: ThreadPoolExecutor) -> Iterator[ThreadProxy]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        skip_or_fail(MISSING)
    from playwright.sync_api import sync_playwright

    playwright = ThreadProxy(_playwright_thread, sync_playwright()).start()
    try:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to start as root without
        chromium = playwright.chromium.launch(executable_path=found, args=[*FLAGS, *as_root])
        yield chromium
        chromium.close()
    finally:
        playwright.stop()


@pytest.fixture
def browser(
    request: pytest.FixtureRequest, _playwright_thread: ThreadPoolExecutor, _chromium: ThreadProxy, tmp_path: Path
) -> Iterator[Browser]:
    """`browser.open(javascript=False, width=360)` gives a page; all of them end with the test."""
    browser = request.node.stash[_browser] = Browser(_playwright_thread, _chromium, tmp_path)
    try:
        yield browser
        assert browser.violations == []
    finally:
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Any:
    """A desktop page: with JavaScript, 1280 pixels wide."""
    return browser.open()


# --- reports of a test run --------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add screenshots of the open pages to the report of a failed test."""
    report = yield
    if report.when == "call" and report.failed and _browser in item.stash:
        try:
            report.sections.append(("Chromium", "\n".join(item.stash[_browser].pictures())))
        except Exception as fault:  # noqa: BLE001  the test's own failure is what matters
            report.sections.append(("Chromium", f"no picture: {fault}"))
    if report.skipped and MISSING in str(report.longrepr):
        item.config.stash.setdefault(_skipped, []).append(item.nodeid)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    skipped = config.stash.get(_skipped, [])
    if skipped:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests of pages were skipped: {MISSING}.")
        terminalreporter.line(f"{EVERYTHING}=1 makes them fail instead.")
