"""Eviction of downloads: what goes, what never goes."""

import os
import threading

import pytest

from iblnm_core.errors import ConfigurationError
from iblnm_core.root import create_root, open_root
from iblnm_core.sources.eviction import DOWNLOAD_LOCK, Evicted, evict_downloads
from iblnm_core.storage.atomic import locked

SESSION = "lab/Subjects/mouse/2025-04-0{}/001"
SIGNAL = "alf/photometry/photometry.signal.pqt"


@pytest.fixture
def cache(tmp_path):
    """Three sessions of 1,000 bytes, the first unused for longest; and what is not to be touched."""
    for number in (1, 2, 3):
        path = tmp_path / SESSION.format(number) / SIGNAL
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (number, number))
        (path.parent / "photometryROI.locations.pqt").write_bytes(bytes(10))
        (tmp_path / SESSION.format(number) / "_ibl_experiment.description.yaml").write_bytes(bytes(10))
    (tmp_path / "alyx" / "sessions").mkdir(parents=True)
    (tmp_path / "alyx" / "sessions" / "detail.json").write_bytes(bytes(5000))
    (tmp_path / "fibers.csv").write_bytes(bytes(5000))
    return tmp_path


def datasets(cache):
    """What the server would give again, of it one that is not there."""
    folders = [cache / SESSION.format(number) for number in (1, 2, 3)]
    names = (
        SIGNAL,
        "_ibl_experiment.description.yaml",
        "alf/photometry/photometryROI.locations.pqt",
        "link.npy",
        "no.npy",
    )
    return [folder / name for folder in folders for name in names]


def signals(cache):
    return [number for number in (1, 2, 3) if (cache / SESSION.format(number) / SIGNAL).exists()]


@pytest.mark.parametrize(
    ("limit", "left"), [(3000, [1, 2, 3]), (2999, [2, 3]), (2000, [2, 3]), (1999, [3]), (1000, [3]), (0, [])]
)
def test_the_longest_unused_go_until_the_rest_fits(cache, limit, left):
    others = {path for path in cache.rglob("*") if path.is_file() and path.name != "photometry.signal.pqt"}
    gone = 3 - len(left)
    assert evict_downloads(cache, datasets(cache), limit) == Evicted(gone, 1000 * gone)
    assert signals(cache) == left
    assert all(path.exists() for path in others)


def test_what_is_in_use_stays_however_old(cache):
    evict_downloads(cache, datasets(cache), 1000, {cache / SESSION.format(1)})
    assert signals(cache) == [1]
    evict_downloads(cache, datasets(cache), 0, {cache / SESSION.format(1)})
    assert signals(cache) == [1]


def test_emptied_folders_go_too(cache):
    folder = cache / SESSION.format(1)
    (folder / "_ibl_experiment.description.yaml").unlink()
    (folder / "alf/photometry/photometryROI.locations.pqt").unlink()
    evict_downloads(cache, datasets(cache), 2000)
    assert not folder.parent.exists()
    assert (cache / "lab/Subjects/mouse").is_dir()


def test_what_the_server_would_not_give_again_stays(cache):
    own = cache / SESSION.format(1) / "alf" / "of_the_user.npy"
    own.write_bytes(bytes(9000))
    evict_downloads(cache, datasets(cache), 0)
    assert own.exists()
    assert signals(cache) == []


def test_links_are_neither_followed_nor_deleted(cache, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious.npy").write_bytes(bytes(9000))
    (cache / SESSION.format(1) / "link.npy").symlink_to(elsewhere / "precious.npy")
    (cache / "lab/Subjects/linked").symlink_to(elsewhere)
    evict_downloads(cache, [*datasets(cache), cache / "lab/Subjects/linked/precious.npy"], 0)
    assert (elsewhere / "precious.npy").exists()
    assert (cache / SESSION.format(1) / "link.npy").is_symlink()


def test_nothing_goes_while_a_file_comes(cache):
    evicting = threading.Thread(target=evict_downloads, args=(cache, datasets(cache), 0))
    with locked(cache / DOWNLOAD_LOCK):
        evicting.start()
        evicting.join(0.2)
        assert signals(cache) == [1, 2, 3]
    evicting.join(10)
    assert signals(cache) == []


@pytest.mark.parametrize("limit", ["0", "-1", '"much"', "true"])
def test_a_limit_that_is_none_is_refused(tmp_path, limit):
    root = create_root(tmp_path / "root", source="alyx")
    assert root.downloads_gib is None
    settings = root.path / "iblnm.toml"
    settings.write_text(settings.read_text().replace("# downloads_gib = 200", f"downloads_gib = {limit}"))
    with pytest.raises(ConfigurationError, match=r"downloads_gib = .* expected a number above 0"):
        open_root(root.path)


def test_a_limit_is_read(tmp_path):
    root = create_root(tmp_path / "root", source="alyx")
    settings = root.path / "iblnm.toml"
    settings.write_text(settings.read_text().replace("# downloads_gib", "downloads_gib"))
    assert open_root(root.path).downloads_gib == 200.0
