"""Names of the project's Python packages, for tests that read its code."""

from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

from config.variables import BASE_DIR


def _is_ours(app: str) -> bool:
    """Whether an entry of INSTALLED_APPS lies in the project, which may have its `.venv` inside."""
    spec = find_spec(app)
    return spec is not None and spec.origin is not None and Path(spec.origin).parent.parent == BASE_DIR


APPS: tuple[str, ...] = tuple(app for app in settings.INSTALLED_APPS if "." not in app and _is_ours(app))
"""Django apps of the project, in the order of INSTALLED_APPS."""
PACKAGES = (*APPS, "config", "bench", "chaos", "testkit")


def sources(*packages: str) -> list[Path]:
    """Python files of these packages without tests and migrations."""
    found = (path for package in packages for path in (BASE_DIR / package).rglob("*.py"))
    return sorted(path for path in found if not {"migrations", "tests"} & set(path.relative_to(BASE_DIR).parts))
