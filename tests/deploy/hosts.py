"""Fresh Debian machines for tests of packages and of Ansible: each is a copy-on-write clone of one tree, booted by systemd-nspawn
with systemd as process 1 and an sshd, in a network namespace of its own. Needs root and what `tools/install-packages deploy` installs.

with Network() as network, Host(network, "pi-1") as host:
    host.run("systemctl", "is-system-running")
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import time
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("BRAMBLE_CACHE", pathlib.Path.home() / ".cache/bramble")) / "test-hosts"
KEY = CACHE / "ssh-key"
# What the packages of ours depend on: a host has no way out.
DEPENDENCIES = [
    "libcurl4", "libgrpc++1.51", "libgomp1", "libicu72", "libpcre2-8-0", "libprometheus-cpp-core1.0", "libprotobuf32", "libsqlite3-0",
    "libssl3", "libyaml-cpp0.7",
]  # fmt: skip
# That, systemd, ssh and what Ansible needs.
INCLUDE = [
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "python3", "python3-apt", "sudo", "iproute2", "ca-certificates",
    *DEPENDENCIES, "prometheus", "openssl", "curl",
]  # fmt: skip
TOOLS = ["mmdebstrap", "systemd-nspawn", "ip", "ssh", "ssh-keygen"]


def need_hosts():
    """Skips where fresh machines can't be made."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"fresh machines need root and {', '.join(missing) or 'more rights'} (tools/install-packages deploy)")


def sh(*words, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout


def debian(kind, include, finish=lambda tree: None, more=()):
    """A Debian with these packages, made once and kept (a minute or two)."""
    tree = CACHE / f"{kind}-{hashlib.sha256(' '.join(include).encode()).hexdigest()[:8]}"
    if (tree / "etc").is_dir():
        return tree
    CACHE.mkdir(parents=True, exist_ok=True)
    new = CACHE / f"{kind}-{uuid.uuid4().hex[:8]}"
    sh("mmdebstrap", "--quiet", "--variant=minbase", *more, f"--include={','.join(include)}", "bookworm", new, timeout=1800)
    finish(new)
    new.rename(tree)
    return tree


def base():
    """The tree that all hosts begin with."""
    return debian("base", INCLUDE, prepare_host)


def prepare_host(tree):
    if not KEY.exists():
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY)
    for name in (tree / "etc/ssh").glob("ssh_host_*"):
        name.unlink()
    (tree / "etc/machine-id").write_text("")
    # Nothing of the packages' own services runs before a test wants it.
    sh("systemctl", f"--root={tree}", "disable", "prometheus")
    sh("chroot", tree, "useradd", "-m", "-s", "/bin/bash", "deploy")
    (tree / "etc/sudoers.d/deploy").write_text("deploy ALL=(ALL) NOPASSWD: ALL\n")
    ssh = tree / "home/deploy/.ssh"
    ssh.mkdir(mode=0o700)
    (ssh / "authorized_keys").write_text(KEY.with_suffix(".pub").read_text())
    sh("chroot", tree, "chown", "-R", "deploy:deploy", "/home/deploy/.ssh")


class Network:
    """A bridge in a namespace of its own; the caller is 10.79.0.1 in it, and nobody has a way out."""

    def __init__(self):
        self.name = f"brt{uuid.uuid4().hex[:6]}"
        self.count = 0

    def __enter__(self):
        need_hosts()
        sh("ip", "netns", "add", self.name)
        for words in ["link set lo up", "link add bridge0 type bridge", "addr add 10.79.0.1/24 dev bridge0", "link set bridge0 up"]:
            sh("ip", "-n", self.name, *words.split())
        return self

    def __exit__(self, *_):
        sh("ip", "netns", "del", self.name)

    def inside(self, *words):
        """The command as somebody in the network would run it."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]


class Host:
    def __init__(self, network, name, binds=()):
        self.network, self.name, self.binds = network, name, binds
        network.count += 1
        self.address = f"10.79.0.{10 + network.count}"
        self.namespace = f"{network.name}-{network.count}"
        self.disk = CACHE / "hosts" / f"{network.name}-{name}"
        self.process = None

    def __enter__(self):
        try:
            self._connect()
            self._boot(base())
        except BaseException:
            self.__exit__()
            raise
        return self

    def rebuild(self):
        """The same machine with an empty disk."""
        self._halt()
        self._boot(base())

    def _connect(self):
        cable = f"v{self.network.count}"
        sh("ip", "netns", "add", self.namespace)
        sh("ip", "-n", self.network.name, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        for words in [f"link set {cable} master bridge0", f"link set {cable} up"]:
            sh("ip", "-n", self.network.name, *words.split())
        for words in ["link set lo up", "link set eth0 up", f"addr add {self.address}/24 dev eth0"]:
            sh("ip", "-n", self.namespace, *words.split())

    def _boot(self, tree):
        for part in ["upper", "work", "root"]:
            (self.disk / part).mkdir(parents=True)
        self.root = self.disk / "root"
        options = f"lowerdir={tree},upperdir={self.disk / 'upper'},workdir={self.disk / 'work'}"
        sh("mount", "-t", "overlay", "overlay", "-o", options, self.root)
        (self.root / "etc/hostname").write_text(self.name + "\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.root / "etc/ssh/ssh_host_ed25519_key")
        command = [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--machine={self.namespace}",
            f"--directory={self.root}", f"--network-namespace-path=/run/netns/{self.namespace}", "--console=pipe",
            *(f"--bind-ro={bind}" for bind in self.binds),
        ]  # fmt: skip
        with open(self.disk / "console", "wb") as console:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        deadline = time.monotonic() + 120
        while subprocess.run(self.ssh("true"), capture_output=True).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < deadline, (self.disk / "console").read_text(errors="replace")[-3000:]
            time.sleep(0.2)

    def __exit__(self, *_):
        self._halt()
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)

    def _halt(self):
        """Ends the machine and takes its disk away."""
        if self.process:
            self.process.terminate()  # nspawn lets its systemd power off
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        # What was not made can't be taken away; that is no failure of its own.
        subprocess.run(["umount", str(self.disk / "root")], capture_output=True)
        # Never through a mount that somebody left in the tree.
        if f" {self.disk}/" not in pathlib.Path("/proc/self/mounts").read_text():
            shutil.rmtree(self.disk, ignore_errors=True)

    def ssh(self, *words):
        return self.network.inside(
            "ssh", "-i", KEY, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "-o", "ConnectTimeout=3", "-o", "BatchMode=yes", f"deploy@{self.address}", *words,
        )  # fmt: skip

    def run(self, *words, check=True):
        """As root on the host; its output."""
        quoted = " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in words)
        done = subprocess.run(self.ssh("sudo " + quoted), capture_output=True, text=True, timeout=300)
        if check:
            assert done.returncode == 0, f"{self.name}: {quoted}\n{done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def journal(self):
        words = self.ssh("sudo journalctl -b -o cat -u bramble-worker -u bramble-coordinator | tail -n 40")
        return subprocess.run(words, capture_output=True, text=True).stdout
