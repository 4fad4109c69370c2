"""Containers and Kubernetes: files are clean, the image is built by buildah and runs as a cluster by podman, manifests are what Kubernetes takes."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from hosts import DEPENDENCIES, ROOT, Network, debian, need_hosts, sh
from models import chat_model

BIN = pathlib.Path(sys.executable).parent
CHART = ROOT / "deploy/kubernetes/chart"
MANIFESTS = ROOT / "deploy/kubernetes/manifests/bramble.yaml"
# Or podman asks for more than this process may have.
LIMITS = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1000:1000"]


def test_the_containerfile_is_clean():
    done = subprocess.run([BIN / "hadolint", ROOT / "deploy/containers/Containerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_yaml_is_clean():
    rules = "{extends: default, rules: {line-length: disable, document-start: disable, braces: disable, brackets: disable, comments-indentation: disable}}"
    files = [ROOT / "deploy/containers/compose.yaml", MANIFESTS, *(ROOT / "deploy/monitoring").glob("*.yml")]
    done = subprocess.run([BIN / "yamllint", "-d", rules, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_kubernetes_takes_the_manifests():
    for version in ["1.28.0", "1.33.0"]:
        done = subprocess.run([BIN / "kubernetes-validate", "--strict", "-k", version, MANIFESTS], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("helm"), reason="helm is not installed")
def test_the_chart_makes_the_manifests():
    done = subprocess.run(["helm", "lint", "--strict", CHART], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = sh("helm", "template", "bramble", CHART, "--namespace", "bramble")
    assert made == MANIFESTS.read_text(), "helm template bramble deploy/kubernetes/chart --namespace bramble >deploy/kubernetes/manifests/bramble.yaml"
    refused = subprocess.run(["helm", "template", "bramble", CHART, "--set", "model.claim="], capture_output=True, text=True)
    assert refused.returncode != 0 and "claim" in refused.stderr


class Podman:
    """Containers in a namespace, from an image that buildah made of the packages; storage of its own."""

    def __init__(self, folder, network):
        self.storage = ["--root", folder / "storage", "--runroot", folder / "run"]
        self.network, self.folder, self.names = network, folder, []

    def build(self, packages):
        # In place of Debian's own image, so that no registry is needed: its packages, and those that ours depend on.
        slim = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale", "info")]
        tree = debian("image", [*DEPENDENCIES, "systemd-standalone-sysusers"], more=slim)
        tar = subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["podman", *map(str, self.storage), "import", "-q", "-", "localhost/base"], stdin=tar.stdout, check=True, capture_output=True)
        assert tar.wait() == 0
        sh("buildah", *self.storage, "bud", "--format", "docker", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "-t", "bramble",
           "-f", ROOT / "deploy/containers/Containerfile", packages, timeout=900)  # fmt: skip

    def podman(self, *words, **more):
        return sh("podman", *self.storage, "--cgroup-manager=cgroupfs", "--runtime", "runc", *words, **more)

    def start(self, name, *words, volumes=(), variables=()):
        self.names.append(name)
        self.podman(
            "run", "-d", "--name", name, "--pull=never", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges",
            *LIMITS, f"--network=ns:/run/netns/{self.network.name}",
            *(f"--volume={v}" for v in volumes), *(f"--env={v}" for v in variables), "localhost/bramble", *words,
        )  # fmt: skip

    def stop(self):
        codes = {}
        for name in reversed(self.names):
            self.podman("stop", "-t", "30", name)
            codes[name] = json.loads(self.podman("inspect", name))[0]["State"]["ExitCode"]
            self.podman("rm", "-f", name)
        self.names = []
        return codes


def test_the_image_is_small(containers):
    size = int(containers.podman("image", "inspect", "--format", "{{.Size}}", "localhost/bramble"))
    base = int(containers.podman("image", "inspect", "--format", "{{.Size}}", "localhost/base"))
    print(f"image: {size / 1e6:.0f} MB, of them Debian and libraries {base / 1e6:.0f} MB")
    # Three programs: what else would come in is a fault of the file.
    assert size - base < 30e6


def test_nothing_is_in_the_image_that_only_its_making_needed(containers):
    tree = pathlib.Path(containers.podman("image", "mount", "localhost/bramble").strip())
    for empty in ["tmp", "etc/bramble", "var/lib/apt/lists", "var/cache/apt/archives", "var/lib/bramble", "models"]:
        left = {path.name for path in (tree / empty).iterdir()} if (tree / empty).exists() else set()
        assert left <= {"lock", "partial", "auxfiles"}, empty
    assert {path.name for path in (tree / "root").iterdir()} <= {".bashrc", ".profile"}, "no history"
    compilers = [path.name for path in (tree / "usr/bin").iterdir() if re.fullmatch(r"(.*-)?(cc|gcc|g\+\+|clang|ld|as)(-\d+)?", path.name)]
    assert compilers == []
    texts = [path for folder in ["etc", "var", "root", "home"] for path in (tree / folder).rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in texts if b"PRIVATE KEY" in path.read_bytes()] == []
    containers.podman("image", "umount", "localhost/bramble")


@pytest.fixture(scope="module")
def containers(packages, tmp_path_factory):
    need_hosts()
    for tool in ["buildah", "podman", "runc"]:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed (tools/install-packages deploy)")
    folder = tmp_path_factory.mktemp("containers")
    with Network() as network:
        podman = Podman(folder, network)
        podman.build(packages)
        try:
            yield podman
        finally:
            podman.stop()
            subprocess.run(["umount", "-R", str(folder / "storage/overlay")], capture_output=True)


def test_a_cluster_of_containers_answers(containers):
    model = pathlib.Path(chat_model()).resolve()
    containers.start(
        "coordinator", "coordinator", "--model", "/models/model.gguf", "--listen", "10.79.0.1:8478", "--http", "127.0.0.1:8479",
        "--wait-workers", "2", "--drain", "5s",
        volumes=[f"{model}:/models/model.gguf:ro", "state:/var/lib/bramble"],
    )  # fmt: skip

    def ask(name, *words):
        return subprocess.run(
            ["podman", *map(str, containers.storage), "--cgroup-manager=cgroupfs", "--runtime", "runc", "exec", name, *words], capture_output=True, text=True
        )

    def until(condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, what + "\n" + containers.podman("logs", "coordinator")[-3000:]
            time.sleep(0.5)

    # As compose.yaml makes the token.
    maker = yaml.safe_load((ROOT / "deploy/containers/compose.yaml").read_text())["services"]["token"]
    containers.podman(
        "run", "--rm", "--pull=never", "--read-only", "--cap-drop=all", "--network=none", *LIMITS, *(f"--volume={v}" for v in maker["volumes"]),
        f"--workdir={maker['working_dir']}", f"--entrypoint={json.dumps(maker['entrypoint'])}", "localhost/bramble", *maker["command"], timeout=60,
    )  # fmt: skip
    for i in (1, 2):
        containers.start(
            f"worker-{i}", "worker", "--join", "10.79.0.1:8478", "--token-file", "/var/lib/bramble-join/join-token", "--name", f"worker-{i}",
            "--listen", "10.79.0.1:0", "--metrics", f"127.0.0.1:{9477 + i}", "--memory", "2G", "--threads", "1",
            volumes=["join:/var/lib/bramble-join:ro"], variables=[f"BRAMBLE_URL=http://127.0.0.1:{9477 + i}"],
        )  # fmt: skip
    until(lambda: ask("coordinator", "bramble", "health").returncode == 0, 120, "the model is served")
    for name in containers.names:
        assert ask(name, "bramble", "health").returncode == 0, name
        assert ask(name, "id", "-u").stdout.strip() == "10001"
        assert ask(name, "touch", "/usr/bin/x").returncode != 0, "the root is read-only"
        state = json.loads(containers.podman("inspect", name))[0]
        assert state["Config"]["Healthcheck"]["Test"] == ["CMD", "bramble", "health"]
    body = json.dumps({"model": "model", "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0})
    reply = sh(*containers.network.inside("curl", "-sS", "127.0.0.1:8479/v1/completions", "-H", "Content-Type: application/json", "-d", body))
    assert "Paris" in json.loads(reply)["choices"][0]["text"]
    assert set(containers.stop().values()) == {0}, "SIGTERM ends all of them well"
