"""Static files of `make run`: collected into DATA_DIR, compressed and named by their contents, as in the image.

Collected again only when a file of an app or of a package has changed: it takes some seconds.
"""

import hashlib
import os
from pathlib import Path

from config.run.environment import set_default
from config.run.supervisor import print_line
from config.variables import data_dir

_FINGERPRINT = "collected-from"


def use_own_folder() -> bool:
    """Set STATIC_ROOT below DATA_DIR, before Django is loaded. False if it is given: then it is the operator's."""
    if os.environ.get("STATIC_ROOT"):
        return False
    set_default("STATIC_ROOT", str(data_dir() / "static"))
    return True


def collect() -> bool:
    """Collect the static files into STATIC_ROOT if any has changed; return whether they were."""
    from django.conf import settings
    from django.core.management import call_command

    folder = Path(str(settings.STATIC_ROOT))
    now, noted = _fingerprint(), folder / _FINGERPRINT
    if noted.is_file() and noted.read_text() == now:
        return False
    print_line("aval: collecting the static files.")
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    noted.write_text(now)  # last: an interrupted collection is made again
    return True


def _fingerprint() -> str:
    """Hash of path, size and modification time of every file."""
    from django.contrib.staticfiles.finders import get_finders

    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in sorted(finder.list([]), key=lambda found: found[0]):
            stat = os.stat(storage.path(path))
            digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
