"""The Debian packages: clean, and on a fresh machine they install, start, answer, upgrade, are removed and purged."""

import gzip
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


def inside(deb, path):
    """The content of a file in a package."""
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True).stdout
    return subprocess.run(["tar", "-xO", path], input=archive, capture_output=True, check=True).stdout


def test_manual_pages_are_pages(packages):
    for name, section in [("bramble", 1), ("bramble-coordinator", 8), ("bramble-worker", 8)]:
        deb = next(packages.glob(f"{name}_*.deb"))
        page = gzip.decompress(inside(deb, f"./usr/share/man/man{section}/{name}.{section}.gz"))
        read = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True)
        assert read.returncode == 0 and read.stderr == b"", read.stderr


def test_completions_are_scripts_of_their_shells(packages):
    deb = next(packages.glob("bramble_*.deb"))
    for shell, path in [("bash", "bash-completion/completions/bramble"), ("zsh", "zsh/vendor-completions/_bramble")]:
        script = inside(deb, f"./usr/share/{path}")
        done = subprocess.run([shell, "-n"], input=script, capture_output=True)
        assert done.returncode == 0 and len(script) > 100, done.stderr


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
    accounts = host.run("cat", "/etc/passwd", "/etc/group")
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
                 "-d", json.dumps({"model": "model", "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}))
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

    assert len(host.run("pgrep", "-x", "bramble-.*").split()) == 2
    host.run("apt-get", "remove", "-y", "bramble", "bramble-coordinator", "bramble-worker")
    assert host.run("ls", "/etc/bramble", "/var/lib/bramble-coordinator")
    assert host.run("pgrep", "-x", "bramble-.*", check=False) == "", "removing stops both"
    host.run("apt-get", "purge", "-y", "bramble", "bramble-coordinator", "bramble-worker")
    assert tree(host) - before == set()
    assert host.run("cat", "/etc/passwd", "/etc/group") == accounts
