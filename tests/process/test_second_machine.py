"""The README's three commands that add machines, on machines with addresses of their own."""

import json
import os
import subprocess

import openai
from cluster import BIN, Daemon, until
from evaluation import bramble
from hosts import Hosts
from models import chat_model


def join_command(state, address):
    made = bramble("token", "create", "--state", state, "--uses", "2", "--print-join-command", "--address", address)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip().splitlines()[-1]


def test_two_machines_join_over_the_network_and_serve(tmp_path):
    model = chat_model()
    daemons = []
    with Hosts(2) as hosts:
        try:
            coordinator = Daemon(
                "coordinator",
                [BIN / "bramble-coordinator", "--model", model, "--state", tmp_path / "state", "--wait-workers", "2",
                 "--listen", "0.0.0.0:0", "--http", "127.0.0.1:0"],
                tmp_path / "coordinator.log",
            )
            daemons.append(coordinator)
            port = coordinator.ready["grpc"].rsplit(":", 1)[1]
            line = join_command(tmp_path / "state", f"{hosts.address}:{port}")
            for board in range(2):
                folder = tmp_path / f"board-{board}"
                folder.mkdir()
                # As a person pastes it; both pretend to be hosts of the same name.
                script = f"cd {folder} && export PATH={BIN}:$PATH && {line} --memory 1G --threads 1"
                daemons.append(Daemon(f"board-{board}", hosts.command(board, ["bash", "-c", script]), folder / "log"))
            url = f"http://{coordinator.ready['http']}"

            def ready():
                cluster = json.loads(bramble("nodes", "--url", url, "--json").stdout or "[]")
                return len(cluster) == 2 and all(node["present"] and node["epoch"] > 0 for node in cluster) and cluster

            nodes = until(ready, 60, "both boards hold a part")
            assert {node["address"].rsplit(".", 1)[1].split(":")[0] for node in nodes} == {"11", "12"}
            plan = json.loads(bramble("plan", "--url", url, "--json").stdout)
            assert len(plan["stages"]) == 2

            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
            question = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
            answer = client.chat.completions.create(
                model=client.models.list().data[0].id, messages=question, max_tokens=24, temperature=0
            )
            assert "Paris" in answer.choices[0].message.content
        finally:
            for daemon in reversed(daemons):
                daemon.stop(20)


def test_a_machine_without_the_token_stays_outside(tmp_path):
    with Hosts(1) as hosts:
        coordinator = Daemon(
            "coordinator",
            [BIN / "bramble-coordinator", "--model", chat_model(), "--state", tmp_path / "state",
             "--listen", "0.0.0.0:0", "--http", "127.0.0.1:0"],
            tmp_path / "coordinator.log",
        )
        try:
            port = coordinator.ready["grpc"].rsplit(":", 1)[1]
            line = join_command(tmp_path / "state", f"{hosts.address}:{port}")
            forged = line.replace("BR1.", "BR1.x", 1) if "BR1." in line else line.replace("BR1", "BR2", 1)
            refused = subprocess.run(
                hosts.command(0, ["bash", "-c", f"cd {tmp_path} && export PATH={BIN}:$PATH && {forged} --memory 1G"]),
                capture_output=True, text=True, timeout=60, env=os.environ,
            )
            assert refused.returncode != 0
            assert "token" in refused.stderr
        finally:
            coordinator.stop(20)
