"""The Ansible collection: clean by ansible-lint's strictest profile, and real: a coordinator and three workers on fresh machines over ssh."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from hosts import KEY, ROOT, Host, Network
from models import chat_model

BIN = pathlib.Path(sys.executable).parent
COLLECTION = ROOT / "deploy/ansible"


@pytest.fixture(scope="session")
def collections(tmp_path_factory):
    """A folder where Ansible finds the collection."""
    folder = tmp_path_factory.mktemp("collections")
    place = folder / "ansible_collections/bramble"
    place.mkdir(parents=True)
    (place / "cluster").symlink_to(COLLECTION)
    return folder


def environment(collections):
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "4",
        "ANSIBLE_PIPELINING": "1",
    }


def test_ansible_lint_finds_nothing(collections):
    done = subprocess.run(
        ["ansible-lint", "--offline", "--profile", "production", "--nocolor"],
        cwd=collections / "ansible_collections/bramble/cluster",
        env=environment(collections),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Site:
    def __init__(self, network, hosts, folder, collections, packages, model):
        self.network, self.hosts, self.collections = network, hosts, collections
        self.inventory = folder / "inventory.json"
        machine = lambda host: {  # noqa: E731
            "ansible_host": host.address,
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": str(KEY),
            "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        coordinator, *workers = hosts
        self.inventory.write_text(
            json.dumps(
                {
                    "bramble_cluster": {
                        "vars": {"packages_folder": str(packages), "coordinator_wait_workers": 3},
                        "children": {
                            "bramble_coordinators": {
                                "hosts": {coordinator.name: machine(coordinator)},
                                "vars": {
                                    "coordinator_model_source": str(model),
                                    "coordinator_served_name": "smol",
                                    "coordinator_http": "0.0.0.0:8479",
                                    "coordinator_api_keys": ["a-key-of-the-tests-0123456789"],
                                },
                            },
                            "bramble_workers": {
                                "hosts": {worker.name: machine(worker) for worker in workers},
                                "vars": {
                                    "worker_coordinator": f"{coordinator.address}:8478",
                                    "worker_metrics": "0.0.0.0:9478",
                                    "worker_memory": "2G",
                                    "worker_threads": 1,
                                },
                            },
                            "bramble_monitoring": {
                                "hosts": {coordinator.name: {}},
                                "vars": {"monitoring_api_key": "a-key-of-the-tests-0123456789", "monitoring_interval": "2s"},
                            },
                        },
                    }
                }
            )
        )

    def play(self, name, *more):
        done = subprocess.run(
            self.network.inside(BIN / "ansible-playbook", "-i", self.inventory, COLLECTION / f"playbooks/{name}.yml", *more),
            env=environment(self.collections),
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr + self.hosts[0].journal()
        return done.stdout

    def ask(self):
        body = {"model": "smol", "prompt": "The capital of France is", "max_tokens": 4}
        url = f"http://{self.hosts[0].address}:8479/v1/completions"
        words = ["curl", "-sS", "--max-time", "60", url, "-H", "Content-Type: application/json"]
        words += ["-H", "Authorization: Bearer a-key-of-the-tests-0123456789", "-d", json.dumps(body)]
        done = subprocess.run(self.network.inside(*words), capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout)["choices"][0]["text"]


@pytest.fixture(scope="module")
def site(collections, packages, tmp_path_factory):
    model = pathlib.Path(chat_model()).resolve()
    folder = tmp_path_factory.mktemp("site")
    with Network() as network, Host(network, "brain") as a, Host(network, "pi-1") as b, Host(network, "pi-2") as c, Host(network, "pi-3") as d:
        yield Site(network, [a, b, c, d], folder, collections, packages, model)


def changes(output):
    return [line for line in output.splitlines() if "changed=" in line and "changed=0" not in line]


def test_from_fresh_machines_to_an_answer(site):
    site.play("install")
    assert "Paris" in site.ask()
    assert changes(site.play("install")) == [], "a second run changes nothing"
    assert changes(site.play("install", "--check", "--diff")) == []
    for worker in site.hosts[1:]:
        assert worker.run("ls", "/etc/bramble").split() == ["worker.yaml"], "the token is gone"
    nodes = json.loads(site.hosts[0].run("env", "BRAMBLE_API_KEY=a-key-of-the-tests-0123456789", "bramble", "nodes", "--json"))
    assert {node["node"] for node in nodes if node["present"]} == {"pi-1", "pi-2", "pi-3"}


def test_prometheus_reads_all_of_them(site):
    def up():
        reply = json.loads(site.hosts[0].run("curl", "-sS", "127.0.0.1:9090/api/v1/query?query=up"))
        return sorted(r["value"][1] for r in reply["data"]["result"]) == ["1"] * 4

    deadline = time.monotonic() + 90
    while not up():
        assert time.monotonic() < deadline, "four targets are up"
        time.sleep(2)


def test_an_upgrade_keeps_the_cluster_and_a_removed_worker_stays_away(site):
    site.play("upgrade")
    assert "Paris" in site.ask()
    site.play("remove", "--limit", "pi-3")
    assert site.hosts[3].run("ls", "/var/lib").split().count("bramble-worker") == 0
    site.play("add", "--limit", "brain,pi-1,pi-2")
    assert "Paris" in site.ask()


def test_reset_leaves_nothing(site):
    site.play("reset", "-e", "bramble_reset=true")
    for host in site.hosts:
        assert "bramble" not in host.run("ls", "/var/lib", "/var/cache", "/etc", "/usr/bin")
