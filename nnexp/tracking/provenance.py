"""Provenance: which code, which environment, whose machine. Only what is named here is read from the environment."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from nnexp import __version__
from nnexp.numerics import NUMERICS_VERSION

PACKAGES = ("numpy", "scipy", "scikit-learn", "hydra-core", "omegaconf", "mlflow", "pandas", "matplotlib", "pydantic")
VARIABLES = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "PYTHONHASHSEED")  # those that may change numbers


@cache
def git() -> dict[str, str]:
    """Return commit and dirty flag of nnexp's checkout, else of the folder it is run in; {} outside a repository."""
    package = Path(__file__).resolve().parents[2]
    installed = "site-packages" in package.parts or "dist-packages" in package.parts
    folder = Path.cwd() if installed else package
    commit, status = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    return {} if commit is None or status is None else {"commit": commit, "dirty": str(bool(status)).lower()}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def user() -> str:
    """Return the user's name, or `unknown` where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@cache
def blas() -> str:
    """Return NumPy's BLAS, its version and the kernel it chose: `openblas 0.3.30 SkylakeX`."""
    found = [each for each in threadpool_info() if each.get("user_api") == "blas"]
    own = [each for each in found if "numpy" in each.get("filepath", "")]  # SciPy brings another one
    names = [f"{each['internal_api']} {each.get('version')} {each.get('architecture', '')}" for each in own or found]
    return ", ".join(dict.fromkeys(name.strip() for name in names)) or "unknown"


def environment() -> dict[str, Any]:
    """Return what the numbers may depend on, as plain data."""
    return {
        "nnexp": __version__,
        "numerics": NUMERICS_VERSION,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "blas": blas(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git": git(),
        "user": user(),
        "argv": [Path(sys.argv[0]).name],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
