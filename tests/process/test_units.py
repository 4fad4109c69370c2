"""The daemons as systemd runs them (deploy/systemd): what the units allow, and what the daemons tell."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from cluster import BIN, Cluster
from models import ROOT, chat_model

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
WORST_EXPOSURE = 2.0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="Debian's systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_hardened(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, timeout=60
    )
    exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout).group(1))
    assert exposure <= WORST_EXPOSURE, done.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="Debian's systemd is not installed")
def test_units_are_what_systemd_reads(tmp_path):
    for unit in UNITS:
        # Where the program is when it is installed.
        text = unit.read_text().replace("/usr/bin/", f"{BIN}/")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("*"))], capture_output=True, text=True, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if "bramble" in line]
    assert ours == [], done.stderr


class Manager:
    """The socket on which systemd hears a service."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)

    def hear(self, wanted):
        """Waits for a line; all that came until then."""
        heard = []
        while wanted not in heard:
            heard += self.socket.recv(4096).decode().split("\n")
        return heard


def test_a_worker_tells_systemd_how_it_is(tmp_path):
    with Cluster(chat_model(), workers=1) as cluster:
        manager = Manager(tmp_path)
        process = subprocess.Popen(
            [
                BIN / "bramble-worker", "--join", cluster.coordinator.ready["grpc"], "--listen", "127.0.0.1:0",
                "--state", tmp_path / "state", "--threads", "1", "--memory", "1G", "--token-file", cluster.path / "token",
            ],
            env={**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            manager.hear("READY=1")
            manager.hear("STATUS=at the coordinator")
            manager.hear("WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            manager.hear("STOPPING=1")
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_a_wrong_setting_ends_a_daemon_with_the_code_that_keeps_systemd_from_trying_again(tmp_path):
    done = subprocess.run(
        [BIN / "bramble-worker", "--join", "nobody", "--state", tmp_path], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 78 and "join" in done.stderr
    for unit in UNITS:
        assert "RestartPreventExitStatus=78" in unit.read_text()
