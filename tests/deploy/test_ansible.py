"""The Ansible collection: clean by ansible-lint's strictest profile, and real: a coordinator and three workers on fresh machines over ssh."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from hosts import KEY, ROOT, Host, Network
from models import chat_model

BIN = pathlib.Path(sys.executable).parent
COLLECTION = ROOT / "deploy/ansible"
HERE = pathlib.Path(__file__).parent
API_KEY = "a-key-of-the-tests-0123456789"


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
        # Four machines on this one, and what else it does: sudo may take a while.
        "ANSIBLE_TIMEOUT": "60",
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
                                    "coordinator_api_keys": [API_KEY],
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
                                "vars": {"monitoring_api_key": API_KEY, "monitoring_interval": "2s"},
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

    def client(self):
        """Somebody who asks all the time."""
        words = self.network.inside(
            sys.executable, "-B", HERE / "steady_client.py", f"http://{self.hosts[0].address}:8479", API_KEY, "smol"
        )
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answers(self, seconds=0):
        """How a client fares for so long."""
        client = self.client()
        time.sleep(seconds)
        return json.loads(client.communicate(timeout=120)[0])

    def nodes(self):
        """Who is here."""
        listed = self.hosts[0].run("env", f"BRAMBLE_API_KEY={API_KEY}", "bramble", "nodes", "--json")
        return {node["node"] for node in json.loads(listed) if node["present"]}


@pytest.fixture(scope="module")
def site(collections, packages, tmp_path_factory):
    model = pathlib.Path(chat_model()).resolve()
    folder = tmp_path_factory.mktemp("site")
    with Network() as network, Host(network, "brain") as a, Host(network, "pi-1") as b, Host(network, "pi-2") as c, Host(network, "pi-3") as d:
        yield Site(network, [a, b, c, d], folder, collections, packages, model)


def changes(output):
    return [line for line in output.splitlines() if "changed=" in line and "changed=0" not in line]


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(1)


# In this order, each with what the ones before it have left; their durations are the times of the playbooks.
def test_from_fresh_machines_to_an_answer(site):
    site.play("install")
    found = site.answers()
    assert found["answers"] >= 1 and found["failures"] == []


def test_a_second_run_changes_nothing(site):
    assert changes(site.play("install")) == []


def test_what_would_be_changed_is_nothing_too(site):
    assert changes(site.play("install", "--check", "--diff")) == []


def test_workers_have_joined_and_keep_no_token(site):
    for worker in site.hosts[1:]:
        assert worker.run("ls", "/etc/bramble").split() == ["worker.yaml"]
    assert site.nodes() == {"pi-1", "pi-2", "pi-3"}


def test_units_run_hardened(site):
    for host, unit in [(site.hosts[0], "bramble-coordinator"), (site.hosts[1], "bramble-worker")]:
        rated = host.run("systemd-analyze", "security", "--no-pager", unit)
        exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", rated).group(1))
        print(unit, exposure)
        assert exposure <= 2.0, rated


def test_prometheus_reads_all_of_them(site):
    def up():
        reply = json.loads(site.hosts[0].run("curl", "-sS", "127.0.0.1:9090/api/v1/query?query=up"))
        return sorted(r["value"][1] for r in reply["data"]["result"]) == ["1"] * 4

    until(up, 90, "four targets are up")


def test_a_machine_that_was_rebuilt_joins_again(site):
    site.hosts[2].rebuild()
    site.play("add")
    # A name is given once.
    until(lambda: site.nodes() == {"pi-1", "pi-2-2", "pi-3"}, 60, "it is back")
    site.hosts[0].run("bramble", "node", "remove", "pi-2")
    assert site.answers()["failures"] == []
    assert changes(site.play("add")) == []


def test_an_upgrade_loses_no_request(site, newer_packages):
    client = site.client()
    site.play("upgrade", "-e", f"packages_folder={newer_packages}")
    found = json.loads(client.communicate(timeout=120)[0])
    print(found)
    assert found["answers"] > 0 and found["failures"] == []
    for host in site.hosts:
        package = "bramble-coordinator" if host is site.hosts[0] else "bramble-worker"
        assert host.run("dpkg-query", "-W", "-f", "${Version}", package) == "0.2.0~next1"
        # What runs is what is installed.
        pid = host.run("systemctl", "show", "-P", "MainPID", package).strip()
        assert host.run("readlink", f"/proc/{pid}/exe").strip() == f"/usr/bin/{package}"


def test_a_removed_worker_stays_away(site):
    site.play("remove", "--limit", "pi-2")
    assert "bramble-worker" not in site.hosts[2].run("ls", "/var/lib").split()
    assert site.nodes() == {"pi-1", "pi-3"}
    assert site.answers()["failures"] == []


def test_reset_leaves_nothing(site):
    site.play("reset", "-e", "bramble_reset=true")
    for host in site.hosts:
        assert "bramble" not in host.run("ls", "/var/lib", "/var/cache", "/etc", "/usr/bin")
