"""requirements.txt serves every Python that README allows, and not only the one that compiled it."""

import re
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config.variables import BASE_DIR

PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.M)


def pins(name: str) -> set[str]:
    return {canonicalize_name(each) for each in PIN.findall((BASE_DIR / name).read_text())}


@pytest.mark.parametrize("version", ["3.11.0", "3.11.2", "3.11.9", "3.12.0", "3.13.0"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_a_package_needs_on_that_python_is_pinned(name, system, version):
    """pip refuses what is unpinned with --require-hashes: no installation on Debian 12, whose Python is 3.11.2."""
    there = {
        **default_environment(),
        "extra": "",
        "python_version": version.rpartition(".")[0],
        "python_full_version": version,
        "sys_platform": system,
        "platform_system": system.capitalize(),
    }
    pinned = pins(name) | pins("requirements.txt")
    missing = set()
    for package in pinned:
        try:
            needs = [Requirement(each) for each in distribution(package).requires or []]
        except PackageNotFoundError:  # of another set
            continue
        missing |= {
            f"{package} needs {need}"
            for need in needs
            if (need.marker is None or need.marker.evaluate(there)) and canonicalize_name(need.name) not in pinned
        }
    assert missing == set()
