"""The Debian packages: clean, and on a fresh machine they install, start, answer, upgrade, are removed and purged."""

import json
import pathlib
import subprocess
import time

import pytest

from hosts import Host, Network
from models import chat_model


def test_lintian_finds_nothing(packages):
    done = subprocess.run(
        ["lintian", "--fail-on", "error,warning", "--allow-root", *packages.glob("bramble*_0*.deb")], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout


def test_manual_pages_are_pages(packages):
    for name, section in [("bramble", 1), ("bramble-coordinator", 8), ("bramble-worker", 8)]:
        deb = next(packages.glob(f"{name}_*.deb"))
        page = subprocess.run(
            f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./usr/share/man/man{section}/{name}.{section}.gz | gunzip | groff -man -Tutf8 -ww -z",
            shell=True,
            capture_output=True,
            text=True,
        )
        assert page.returncode == 0 and page.stderr == "", page.stderr


@pytest.fixture(scope="module")
def host(packages):
    model = pathlib.Path(chat_model()).resolve()
    with Network() as network, Host(network, "pi-1", [f"{packages}:/packages", f"{model}:/model.gguf"]) as host:
        yield host


def tree(host):
    """Everything on the host's disk that a package could have left."""
    found = host.run("find", "/etc", "/usr", "/var/lib", "/var/cache", "/opt", "-xdev", "-not", "-path", "/var/lib/dpkg/*",
                     "-not", "-path", "/var/lib/systemd/*", "-not", "-path", "/var/cache/apt/*", "-not", "-path", "/var/lib/apt/*", "-not", "-name", "*-old", "-not", "-name", "*-")  # fmt: skip
    return set(found.split("\n"))


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def test_a_fresh_machine_from_installing_to_purging(host):
    before = tree(host)
    accounts = host.run("cat", "/etc/passwd")
    install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]
    host.run("sh", "-c", " ".join(install) + " /packages/bramble_*.deb /packages/bramble-coordinator_*.deb /packages/bramble-worker_*.deb")
    assert host.run("systemctl", "is-enabled", "bramble-worker", check=False).strip() == "disabled"
    assert host.run("systemctl", "is-active", "bramble-coordinator", check=False).strip() == "inactive"
    # Without settings: refused, and not tried again.
    host.run("systemctl", "start", "bramble-coordinator", check=False)
    assert host.run("systemctl", "show", "-P", "ExecMainStatus", "bramble-coordinator").strip() == "78"
    assert host.run("systemctl", "is-active", "bramble-coordinator", check=False).strip() == "failed"

    host.run("sh", "-c", "echo 'model: /model.gguf' >>/etc/bramble/coordinator.yaml")
    host.run("systemctl", "enable", "--now", "bramble-coordinator")
    host.run("sh", "-c", "printf 'join: 127.0.0.1:8478\\nmetrics: 127.0.0.1:9478\\nmemory: 2G\\nthreads: 1\\n' >>/etc/bramble/worker.yaml")
    host.run("sh", "-c", "umask 077; bramble token create >/etc/bramble/join-token")
    host.run("systemctl", "enable", "--now", "bramble-worker")
    until(lambda: "serves" in host.run("bramble", "health", check=False), 120, "the model is served\n" + host.journal())
    answer = json.loads(
        host.run("curl", "-sS", "127.0.0.1:8479/v1/completions", "-H", "Content-Type: application/json",
                 "-d", json.dumps({"model": "model", "prompt": "The capital of France is", "max_tokens": 4}))
    )  # fmt: skip
    assert answer["choices"][0]["text"].strip().startswith("Paris"), answer
    assert "ok" in host.run("curl", "-sS", "127.0.0.1:9478/health")
    # A user of its own, and logs that the journal understands.
    assert host.run("systemctl", "show", "-P", "User", "bramble-worker").strip() == "bramble-worker"
    assert host.run("stat", "-c", "%U %a", "/var/lib/bramble-coordinator").split() == ["bramble-coordinator", "700"]
    assert "/var/cache/bramble-worker" in host.run("find", "/var/cache/bramble-worker", "-type", "f")
    entries = [json.loads(line) for line in host.run("journalctl", "-u", "bramble-worker", "-o", "json").splitlines()]
    ours = [e for e in entries if e.get("_COMM") == "bramble-worker"]
    assert json.loads(ours[-1]["MESSAGE"])["logger"] == "bramble-worker" and ours[-1]["PRIORITY"] in "346"
    host.run("rm", "/etc/bramble/join-token")
    host.run("systemctl", "restart", "bramble-worker")
    until(lambda: "serves" in host.run("bramble", "health", check=False), 60, "the worker is back without its token")

    # An upgrade restarts the coordinator and leaves the worker alone.
    pid = {unit: host.run("systemctl", "show", "-P", "MainPID", unit) for unit in ["bramble-coordinator", "bramble-worker"]}
    host.run("sh", "-c", "dpkg -i /packages/bramble_*.deb /packages/bramble-coordinator_*.deb /packages/bramble-worker_*.deb")
    assert host.run("systemctl", "show", "-P", "MainPID", "bramble-worker") == pid["bramble-worker"]
    assert host.run("systemctl", "show", "-P", "MainPID", "bramble-coordinator") != pid["bramble-coordinator"]

    host.run("apt-get", "remove", "-y", "bramble", "bramble-coordinator", "bramble-worker")
    assert host.run("ls", "/etc/bramble", "/var/lib/bramble-coordinator")
    assert host.run("systemctl", "is-active", "bramble-worker", check=False).strip() != "active"
    host.run("apt-get", "purge", "-y", "bramble", "bramble-coordinator", "bramble-worker")
    assert tree(host) - before == set()
    assert host.run("cat", "/etc/passwd") == accounts
