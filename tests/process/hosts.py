"""Machines of their own on one computer: network namespaces on a bridge.

with Hosts(2) as hosts:
    hosts.address                      # this machine's, as the others reach it
    hosts.command(0, ["bramble-worker", ...])  # the same command on the first of them
"""

import os
import shutil
import subprocess

import pytest


class Hosts:
    """Needs root; skips the test where namespaces can't be made."""

    def __init__(self, count):
        self._count = count
        self._prefix = f"bt{os.getpid() % 10000}"
        self._network = f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"

    @property
    def address(self):
        return f"{self._network}.1"

    def name(self, index):
        return f"{self._prefix}-{index}"

    def command(self, index, words):
        return ["ip", "netns", "exec", self.name(index), *words]

    def _ip(self, *words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30)

    def _must(self, *words):
        done = self._ip(*words)
        if done.returncode != 0:
            raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def __enter__(self):
        if os.geteuid() != 0 or shutil.which("ip") is None:
            pytest.skip("network namespaces need root and iproute2")
        try:
            self._make()
        except RuntimeError as why:
            self.__exit__()
            pytest.skip(f"no network namespace can be made here: {why}")
        return self

    def _make(self):
        bridge = self._prefix
        self._must("link", "add", bridge, "type", "bridge")
        self._must("addr", "add", f"{self.address}/24", "dev", bridge)
        self._must("link", "set", bridge, "up")
        for index in range(self._count):
            name = self.name(index)
            self._must("netns", "add", name)
            self._must("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            self._must("link", "set", name, "master", bridge, "up")
            self._must("-n", name, "addr", "add", f"{self._network}.{11 + index}/24", "dev", "eth0")
            self._must("-n", name, "link", "set", "eth0", "up")
            self._must("-n", name, "link", "set", "lo", "up")

    def __exit__(self, *_):
        for index in range(self._count):
            self._ip("netns", "del", self.name(index))
        self._ip("link", "del", self._prefix)
