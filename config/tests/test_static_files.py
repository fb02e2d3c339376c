"""Static files of `make run`: collected once, compressed, and named by their contents."""

import json

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.storage import storages
from django.utils.functional import empty

from config.run import static_files

HASHED = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}


@pytest.fixture
def folder(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(static_files, "_fingerprint", lambda: "these files")
    settings.STATIC_ROOT = str(tmp_path / "static")
    settings.STORAGES = {**settings.STORAGES, **HASHED}
    yield tmp_path / "static"
    storages._storages.clear()
    staticfiles_storage._wrapped = empty


def test_every_file_is_compressed_and_has_a_name_of_its_contents(folder):
    assert static_files.collect()
    names = json.loads((folder / "staticfiles.json").read_text())["paths"]
    for name in ("support/desk.css", "aval/refresh.js", "unfold/css/styles.css"):
        hashed = folder / names[name]
        assert names[name] != name
        assert hashed.with_name(hashed.name + ".gz").is_file(), name
    assert not static_files.collect(), "nothing has changed"


def test_a_changed_file_is_collected_again(folder, monkeypatch):
    folder.mkdir()
    (folder / "collected-from").write_text("other files")
    (folder / "old.css").write_text("")
    assert static_files.collect()
    assert not (folder / "old.css").exists()
    assert (folder / "collected-from").read_text() == "these files"


def test_the_fingerprint_sees_a_file_that_was_touched(tmp_path, settings):
    settings.STATICFILES_DIRS = [str(tmp_path)]
    from django.contrib.staticfiles import finders

    finders.get_finder.cache_clear()
    (tmp_path / "a.css").write_text("a")
    before = static_files._fingerprint()
    assert static_files._fingerprint() == before
    (tmp_path / "a.css").write_text("ab")
    assert static_files._fingerprint() != before
    finders.get_finder.cache_clear()


def test_an_operator_s_folder_is_left_to_them(monkeypatch):
    monkeypatch.setenv("STATIC_ROOT", "/srv/static")
    assert not static_files.use_own_folder()
