"""From where the flusher takes the packages that it imports: where the program would, from what is installed, and from
no directory that others may write to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lastword.launch.packages import PACKAGES, places_of_packages
from tests.support import needs
from tests.support.promise import Section, promise
from tests.support.raising import Switch

pytestmark = promise(
    Section.FLUSHER_MODES,
    "The flusher imports packages from where the program would, from installed directories only, never "
    "from one that other users can write to",
    broken_by="metadata alone counts, or modules; modes, owners not checked; relative entries taken",
)

NOBODY = 65534


@pytest.fixture(autouse=True)
def _usual_modes() -> Iterator[None]:
    """Whatever the umask of who runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def install(place: Path, *packages: str, metadata: str = "{}-1.0.dist-info", module: str = "{}/__init__.py") -> str:
    """Put packages into a directory as an installer does."""
    for package in packages:
        file = place / module.format(package)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        file.touch(mode=0o644)
        if metadata:
            (place / metadata.format(package)).mkdir(exist_ok=True)
    place.chmod(0o755)
    return str(place)


def places(*path: Any, own: Any = "/nonexistent") -> dict[str, str]:
    return dict(places_of_packages(path, str(own)))


def test_a_package_is_taken_from_where_the_program_would_import_it(tmp_path: Path) -> None:
    """Debian has them in several directories; an installation by --target has them beside others."""
    first = install(tmp_path / "first", "requests", "flask")
    second = install(tmp_path / "second", "requests", "urllib3", "idna")
    assert places(first, second) == {"requests": first, "urllib3": second, "idna": second}
    assert places(second, first) == {"requests": second, "urllib3": second, "idna": second}


@pytest.mark.parametrize(
    "metadata",
    [
        "{}-2.32.3.dist-info",
        "{}-2.25.1.egg-info",  # of Debian
        "{}-2.0-py3.9.egg-info",
        "{}.egg-info",  # of a development tree
    ],
)
@pytest.mark.parametrize("module", ["{}/__init__.py", "{}/__init__.pyc"])
def test_each_kind_of_installation_counts(metadata: str, module: str, tmp_path: Path) -> None:
    place = install(tmp_path / "place", "requests", "charset_normalizer", metadata=metadata, module=module)
    assert places(place) == {"requests": place, "charset_normalizer": place}


def test_names_of_distributions_have_several_forms(tmp_path: Path) -> None:
    place = install(tmp_path / "place", "requests", metadata="Requests-2.0.dist-info")
    assert places(place) == {"requests": place}


def planted_metadata(place: Path) -> None:
    (place / "requests-9.9.dist-info").mkdir()
    (place / "brotli.py").touch()


def planted_module(place: Path) -> None:
    (place / "requests.py").touch()
    install(place, "urllib3", metadata="")


def planted_directories(place: Path) -> None:
    """Namespace packages, of which nobody installs one."""
    (place / "requests").mkdir()
    (place / "requests-9.9.dist-info").mkdir()


def planted_for_others(place: Path) -> None:
    install(place, "requests", metadata="requests_oauthlib-1.0.dist-info")
    install(place, "urllib3", metadata="urllib3_future-1.0.dist-info")


def planted_optional(place: Path) -> None:
    install(place, "brotli", "zstandard", "simplejson", "socks", "OpenSSL", "cryptography", "sitecustomize")


def open_to_all(place: Path) -> None:
    install(place, "requests")
    place.chmod(0o777)


def open_to_all_but_sticky(place: Path) -> None:
    install(place, "requests")
    place.chmod(0o1777)


def package_open_to_all(place: Path) -> None:
    install(place, "requests")
    (place / "requests").chmod(0o777)


def module_open_to_all(place: Path) -> None:
    install(place, "requests")
    (place / "requests" / "__init__.py").chmod(0o666)


def lead_to_a_place_open_to_all(place: Path) -> None:
    open_to_all(place.with_name("open"))
    place.rmdir()
    place.symlink_to(place.with_name("open"))


def a_fifo(place: Path) -> None:
    install(place, "requests")
    (place / "requests" / "__init__.py").unlink()
    os.mkfifo(place / "requests" / "__init__.py")


@pytest.mark.parametrize(
    "plant",
    [
        *(planted_metadata, planted_module, planted_directories, planted_for_others, planted_optional, a_fifo),
        *(open_to_all, open_to_all_but_sticky, package_open_to_all, module_open_to_all, lead_to_a_place_open_to_all),
    ],
)
def test_incomplete_or_unsafe_installations_are_passed_over(plant: Callable[[Path], None], tmp_path: Path) -> None:
    """The next place that has the package is used."""
    script, installed = tmp_path / "script", install(tmp_path / "installed", "requests", "urllib3")
    script.mkdir()
    plant(script)
    assert places(str(script), installed) == {"requests": installed, "urllib3": installed}
    assert places(str(script)) == {}


@needs.capability(os.geteuid() == 0, "root")
@pytest.mark.parametrize("whose", ["", "requests", "requests/__init__.py"])
def test_root_uses_no_packages_of_another_user(whose: str, tmp_path: Path) -> None:
    """Root takes nothing from the directory that a user had it look into, unless lastword itself is that user's."""
    place, own = Path(install(tmp_path / "place", "requests")), tmp_path / "own"
    os.chown(place / whose, NOBODY, NOBODY)
    own.mkdir()
    assert places(str(place), own=own) == {}
    os.chown(own, NOBODY, NOBODY)
    assert places(str(place), own=own) == {"requests": str(place)}


def test_lastwords_own_directory_counts_with_any_mode(tmp_path: Path) -> None:
    """A file system that knows no modes has everything open to all. Installed it has to be all the same."""
    place = tmp_path / "place"
    open_to_all(place)
    link = tmp_path / "link"
    link.symlink_to(place)
    assert places(str(place), own=place) == places(str(place), own=link) == {"requests": str(place)}
    shutil.rmtree(place / "requests-1.0.dist-info")
    assert places(str(place), own=place) == {}


def test_working_directory_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do entries that are no directories."""
    monkeypatch.chdir(install(tmp_path / "lib", "requests"))
    monkeypatch.syspath_prepend("")
    switch = Switch()
    hostile = switch.new(str, str(tmp_path / "other"), how="attributes")
    other = install(tmp_path / "other", "idna")
    with switch.on(SystemExit):
        assert places("", ".", "../lib", b"/lib", None, Path("/lib"), "/no\0place", "/dev/null", hostile) == {
            "idna": other
        }


def test_an_archive_that_lastword_is_in_may_hold_all(tmp_path: Path) -> None:
    """Which is looked at before what is installed elsewhere; another archive never."""
    archive, other, installed = (
        tmp_path / "app.pyz",
        tmp_path / "other.zip",
        install(tmp_path / "installed", "requests"),
    )
    archive.touch()
    other.touch()
    path = [str(archive), str(other), installed]
    inside = [(package, str(archive)) for package in PACKAGES]
    assert places_of_packages(path, str(archive)) == [*inside, ("requests", installed)]
