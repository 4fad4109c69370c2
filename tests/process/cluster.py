"""Starts a coordinator and workers as real processes, on free ports, in a folder of their own.

with Cluster(model, workers=3) as cluster:
    client = cluster.client()
"""

import http.client
import json
import os
import pathlib
import queue
import signal
import subprocess
import tempfile
import threading
import time

import openai

BIN = pathlib.Path(os.environ["BRAMBLE_BIN"])
KEY = "a-key-for-the-tests-0123456789"

# Clusters that are running: a failing test shows what they said (conftest.py).
RUNNING = []


def until(condition, seconds, what):
    """Asks again and again; the first true answer, or a failure that says what did not come."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        pause.wait(0.02)


class Daemon:
    """One process. `ready` holds the words of its line on stdout: ready["http"]."""

    def __init__(self, name, command, log, seconds=60):
        self.name = name
        self.command = [str(word) for word in command]
        self.log = log
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        lines = queue.Queue()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        try:
            words = lines.get(timeout=seconds).split()
        except queue.Empty:
            words = []
        if words[:1] != ["ready"]:
            self.stop()
            raise AssertionError(f"{name} did not become ready: {' '.join(self.command)}\n{self.said()}")
        self.ready = dict(word.split("=", 1) for word in words[1:])

    def _read(self, lines):
        for line in self.process.stdout:
            lines.put(line)
        lines.put("")

    def said(self):
        return pathlib.Path(self.log).read_text(errors="replace")[-6000:]

    def kill(self):
        """As a power cut would."""
        self.process.kill()
        return self.process.wait()

    def stop(self, seconds=60):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()


class Cluster:
    def __init__(self, model, workers=3, coordinator=(), worker=("--memory", "4G", "--threads", "1"), name="bramble/test:1"):
        self.model = str(model)
        self.name = name
        self._count = workers
        self._coordinator_arguments = coordinator
        self._worker_arguments = worker
        self._folder = tempfile.TemporaryDirectory(prefix="bramble-test-")
        self.path = pathlib.Path(self._folder.name)
        self.coordinator = None
        self.workers = []

    def __enter__(self):
        RUNNING.append(self)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for daemon in [*self.workers, self.coordinator]:
            if daemon is not None:
                daemon.stop(20)
        RUNNING.remove(self)
        self._folder.cleanup()

    def _start(self):
        keys = self.path / "api-keys"
        keys.write_text(KEY + "\n")
        state = self.path / "coordinator"
        self.coordinator = Daemon(
            "coordinator",
            [
                BIN / "bramble-coordinator",
                *("--model", self.model, "--served-name", self.name, "--state", state),
                *("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--api-key-file", keys),
                *("--wait-workers", self._count, "--drain", "5s"),
                *self._coordinator_arguments,
            ],
            self.path / "coordinator.log",
        )
        made = subprocess.run(
            [BIN / "bramble", "token", "create", "--state", state, "--uses", "16", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert made.returncode == 0, made.stderr
        (self.path / "token").write_text(json.loads(made.stdout)["token"])
        for i in range(self._count):
            self.add_worker(f"worker-{i + 1}")
        self.wait_ready()

    def add_worker(self, name, *more):
        daemon = Daemon(
            name,
            [
                BIN / "bramble-worker",
                *("--join", self.coordinator.ready["grpc"], "--token-file", self.path / "token"),
                *("--state", self.path / name, "--name", name, "--listen", "127.0.0.1:0"),
                *self._worker_arguments,
                *more,
            ],
            self.path / f"{name}.log",
        )
        self.workers.append(daemon)
        return daemon

    @property
    def address(self):
        return self.coordinator.ready["http"]

    def client(self, key=KEY):
        """The official client, without its silent second attempts."""
        return openai.OpenAI(base_url=f"http://{self.address}/v1", api_key=key, max_retries=0, timeout=120)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, bytes) of one plain HTTP request."""
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {KEY}", **(headers or {})})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def post(self, path, fields):
        status, _, body = self.request("POST", path, json.dumps(fields), {"Content-Type": "application/json"})
        return status, json.loads(body)

    def state(self):
        """What the coordinator knows of its cluster."""
        return json.loads(self.request("GET", "/bramble/v1/cluster")[2])

    def wait_ready(self, seconds=120):
        def ready():
            now = self.state()
            assert now["state"] != "refused", now["why"]
            return now["state"] == "ready" and now

        return until(ready, seconds, "the model is served")

    def said(self):
        return {daemon.name: daemon.said() for daemon in [self.coordinator, *self.workers] if daemon}
