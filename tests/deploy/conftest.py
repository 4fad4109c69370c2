"""Slow tests: `bash tests/run.sh --slow`, or pytest with BRAMBLE_BUILD (a build folder) and, for models, BRAMBLE_MODELS."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))
os.environ.setdefault("BRAMBLE_BIN", str((ROOT / os.environ.get("BRAMBLE_BUILD", "build/test") / "bin").resolve()))


def make_packages(folder, *more):
    """Packages of the built programs."""
    build = pathlib.Path(os.environ["BRAMBLE_BIN"]).parent
    done = subprocess.run(
        [ROOT / "tools/make-packages", "--from", build, "--out", folder, *more], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    # Readable for a host's user too.
    for path in [folder, *folder.parents]:
        if path != pathlib.Path("/tmp") and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Their folder."""
    return make_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def newer_packages(tmp_path_factory):
    """The same programs as a newer version."""
    return make_packages(tmp_path_factory.mktemp("newer"), "--version", "0.2.0~next1")
