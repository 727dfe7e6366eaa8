"""The wheel: installed in another environment, from an empty directory, it works with the configuration it carries."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_it_carries_the_package_and_every_file_of_conf(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    conf = {f"nnexp/{path.relative_to(PROJECT).as_posix()}" for path in (PROJECT / "conf").rglob("*.yaml")}
    files = {path for path in (PROJECT / "nnexp").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {".py", ".j2", ".css", ".js"} <= {path.suffix for path in files}  # the page of a report is not only code
    assert conf | {path.relative_to(PROJECT).as_posix() for path in files} <= names
    assert not any(name.startswith(("conf/", "tests/", "scripts/", "docs/")) for name in names)
    assert not any("example" in name for name in names)


def test_installed_elsewhere_it_trains_and_sweeps_from_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    """The other environment sees this one's packages, but not this checkout."""
    venv, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = Path(subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip())
    # a plain path line: what is in there is found, its own .pth files, the checkout's among them, are not read
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    origin = "import nnexp; print(nnexp.__file__)"
    found = subprocess.run([python, "-c", origin], check=True, capture_output=True, text=True, cwd=empty).stdout
    assert Path(found.strip()).is_relative_to(packages)
    small = ("training.epochs=1", "architecture.hidden=[4]", "dataset=iris")
    for arguments in (small, ("-m", "seed=0,1", *small)):
        done = subprocess.run([venv / "bin" / "nnexp-run", *arguments], cwd=empty, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in empty.iterdir()] == ["runs"]
    assert len(list((empty / "runs" / "sweeps").iterdir())) == 2
