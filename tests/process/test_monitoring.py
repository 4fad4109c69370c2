"""Monitoring as it is delivered (deploy/monitoring): a real Prometheus scrapes a real cluster, finds the workers through the
coordinator, and answers every query of the dashboard."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest

from cluster import BIN, KEY, Cluster, Daemon, until
from models import ROOT, chat_model

MONITORING = ROOT / "deploy/monitoring"
# Boards say these; a machine without such sensors, and a cluster without faults, have none.
TLS = ["worker-1", "worker-2", "worker-3"]
# What vLLM's own dashboard asks, with its label and nothing else.
VLLM_DASHBOARD = [
    *(
        query.replace("METRIC", metric)
        for metric in ("e2e_request_latency_seconds", "inter_token_latency_seconds", "time_to_first_token_seconds")
        for query in (
            "histogram_quantile(0.99, sum by(le) (rate(vllm:METRIC_bucket{NAME}[1m])))",
            "rate(vllm:METRIC_sum{NAME}[1m]) / rate(vllm:METRIC_count{NAME}[1m])",
        )
    ),
    *(f"rate(vllm:{kind}_tokens_total{{NAME}}[1m])" for kind in ("prompt", "generation")),
    *(f"vllm:{gauge}{{NAME}}" for gauge in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")),
    *(f"sum by(le) (increase(vllm:request_{kind}_tokens_bucket{{NAME}}[1m]))" for kind in ("prompt", "generation")),
    "sum by(finished_reason) (increase(vllm:request_success_total{NAME}[1m]))",
    *(f"rate(vllm:request_{part}_time_seconds_sum{{NAME}}[1m])" for part in ("queue", "prefill", "decode")),
    "rate(vllm:request_max_num_generation_tokens_sum{NAME}[1m])",
]
MAY_BE_EMPTY = ("bramble_member_temperature", "bramble_node_", "bramble_member_throttled", "bramble_member_undervoltage", "ALERTS")

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="Debian's prometheus is not installed")


def promtool(*words):
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_rules_are_sound_and_the_alerts_fire_when_they_should():
    promtool("check", "rules", *MONITORING.glob("bramble-*.yml"))
    promtool("test", "rules", ROOT / "tests/deploy/monitoring/alerts_test.yml")
    promtool("check", "config", "--syntax-only", MONITORING / "prometheus.yml")


def test_every_alert_has_a_test_and_a_runbook():
    alerts = (MONITORING / "bramble-alerts.yml").read_text()
    tests = (ROOT / "tests/deploy/monitoring/alerts_test.yml").read_text()
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for name in re.findall(r"alert: (\w+)", alerts):
        assert re.search(rf"alertname: {name}\n\s+exp_alerts", tests), name
    for anchor in re.findall(r"runbook: docs/troubleshooting.md#(\S+)", alerts):
        assert anchor in anchors


class Prometheus:
    """The delivered configuration, with the addresses of `cluster` and faster."""

    def __init__(self, cluster, folder):
        self.folder = folder
        made = subprocess.run(
            [BIN / "bramble", "certificate", "create", "--state", cluster.path / "coordinator", "--out", folder / "tls"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert made.returncode == 0, made.stderr
        (folder / "tls/api-key").write_text(KEY)
        for rules in MONITORING.glob("bramble-*.yml"):
            (folder / rules.name).write_text(re.sub(r"for: \d+[mh]", "for: 1s", rules.read_text()))
        config = (MONITORING / "prometheus.yml").read_text()
        for old, new in [
            ("127.0.0.1:8479", cluster.address),
            ("/etc/prometheus/bramble", str(folder / "tls")),
            ("interval: 15s", "interval: 1s"),
            ("interval: 30s", "interval: 1s"),
        ]:
            assert old in config
            config = config.replace(old, new)
        (folder / "prometheus.yml").write_text(config)
        promtool("check", "config", folder / "prometheus.yml")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self.address}",
                ],
                stdout=log,
                stderr=log,
            )

    def get(self, path, **query):
        url = f"http://{self.address}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            body = json.loads(reply.read())
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression):
        return self.get("/api/v1/query", query=expression)["result"]

    def targets(self):
        try:
            return {t["labels"].get("node", t["labels"]["job"]): t for t in self.get("/api/v1/targets")["activeTargets"]}
        except OSError:
            return {}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def stages(cluster):
    return {stage["node"] for stage in (cluster.state()["plan"] or {"stages": []})["stages"]}


def ask(cluster, prompt, tokens):
    """The text, or None while no plan serves."""
    fields = {"model": cluster.name, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    status, answer = cluster.post("/v1/completions", fields)
    assert status in (200, 503), answer
    return answer["choices"][0]["text"] if status == 200 else None


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    # Three by TLS because their address is not loopback, one by plain HTTP on loopback.
    with Cluster(chat_model(), worker=["--threads", "1", "--metrics", "0.0.0.0:0"]) as cluster:
        cluster.add_worker("plain", "--metrics", "127.0.0.1:0")
        until(lambda: len(cluster.state()["members"]) == 4, 60, "all are here")
        prometheus = Prometheus(cluster, tmp_path_factory.mktemp("prometheus"))
        try:
            yield cluster, prometheus
        finally:
            prometheus.stop()


def test_prometheus_finds_and_reads_the_workers(watched):
    cluster, prometheus = watched

    def all_up():
        targets = prometheus.targets()
        up = {name for name, target in targets.items() if target["health"] == "up"}
        return up == {"bramble-coordinator", "plain", *TLS} and targets

    targets = until(all_up, 30, "every target is up")
    assert targets["plain"]["scrapeUrl"].startswith("http://127.0.0.1:")
    for name in TLS:
        assert targets[name]["scrapeUrl"].startswith("https://"), name


def test_every_panel_has_an_answer(watched):
    cluster, prometheus = watched
    # While the model moves to the fourth worker nobody is served.
    for _ in range(3):
        until(lambda: ask(cluster, "Say a word. " * 40, 8), 60, "an answer")
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
    assert len(expressions) > 30

    missing = [expression for expression in expressions if not any(name in expression for name in MAY_BE_EMPTY)]

    def all_answered():
        ready = {e: e.replace("$__rate_interval", "1m").replace("$model_name", cluster.name) for e in missing}
        missing[:] = [expression for expression in missing if not prometheus.query(ready[expression])]
        return not missing

    try:
        until(all_answered, 60, "every panel shows something")
    except AssertionError as error:
        raise AssertionError(f"{error}: {missing}") from None
    for expression in VLLM_DASHBOARD:
        assert prometheus.query(expression.replace("NAME", f'model_name="{cluster.name}"')), expression
    until(lambda: prometheus.query("sum(vllm:generation_tokens_total) >= 24"), 30, "every id is counted")

    def every_stage_counts():
        ask(cluster, "Once upon a time", 4)  # of the plan that serves now
        counted = prometheus.query("sum by (node) (bramble_worker_rows_total) > 0")
        return stages(cluster) and {series["metric"]["node"] for series in counted} >= stages(cluster)

    until(every_stage_counts, 60, "the rows of every stage are counted")
    rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert [rule for rule in rules if rule["health"] != "ok"] == []


def test_what_is_ours_is_named_as_prometheus_wants_it(watched):
    cluster, prometheus = watched
    pages = [cluster.request("GET", "/metrics")[2].decode()]
    with urllib.request.urlopen(prometheus.targets()["plain"]["scrapeUrl"], timeout=10) as reply:
        pages.append(reply.read().decode())
    for page in pages:
        # A colon is reserved for recording rules: those of vLLM have one, as its dashboards want it.
        ours = "".join(line + "\n" for line in page.splitlines() if "vllm:" not in line)
        done = subprocess.run(["promtool", "check", "metrics"], input=ours, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stderr == "", done.stderr


def test_the_list_of_targets_is_as_http_sd_wants_it(watched):
    cluster, _ = watched
    status, headers, body = cluster.request("GET", "/bramble/v1/sd")
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    targets = {group["labels"]["__meta_bramble_node"]: group for group in json.loads(body)}
    assert set(targets) == {"plain", *TLS}
    assert targets["worker-1"]["labels"]["__scheme__"] == "https"
    assert all(len(group["targets"]) == 1 for group in targets.values())
    assert cluster.request("GET", "/bramble/v1/sd", headers={"Authorization": ""})[0] == 401


def test_a_worker_tells_only_members_its_metrics(watched):
    _, prometheus = watched
    url = prometheus.targets()["worker-1"]["scrapeUrl"]
    tls = pathlib.Path(prometheus.folder / "tls")
    port = url.rsplit(":", 1)[1].split("/")[0]
    base = ["curl", "-sS", "--max-time", "10", "-o", "-", "-w", "%{http_code}", "--cacert", tls / "root.pem",
            "--connect-to", f"worker.bramble:{port}:127.0.0.1:{port}"]  # fmt: skip
    named = f"https://worker.bramble:{port}"

    def ask(path, *more):
        return subprocess.run([*base, *more, named + path], capture_output=True, text=True, timeout=30).stdout

    assert ask("/metrics").endswith("403")
    assert ask("/health").endswith("200")
    assert ask("/metrics", "--cert", tls / "chain.pem", "--key", tls / "key.pem").endswith("200")


def test_health_tells_who_serves(watched):
    cluster, prometheus = watched
    worker = prometheus.targets()["plain"]["scrapeUrl"].removesuffix("/metrics")
    for url in [f"http://{cluster.address}", worker]:
        assert subprocess.run([BIN / "bramble", "health", "--url", url], timeout=60).returncode == 0
    assert subprocess.run([BIN / "bramble", "health", "--url", "http://127.0.0.1:1"], timeout=60).returncode == 1


def test_health_tells_who_does_not_serve_yet(tmp_path):
    line = [BIN / "bramble-coordinator", "--model", chat_model(), "--state", tmp_path / "state"]
    coordinator = Daemon("coordinator", [*line, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], tmp_path / "log")
    try:
        asked = subprocess.run(
            [BIN / "bramble", "health", "--url", f"http://{coordinator.ready['http']}"], capture_output=True, text=True, timeout=60
        )
        assert asked.returncode == 3 and "no worker is here yet" in asked.stderr
    finally:
        coordinator.stop(20)


def test_a_removed_worker_is_sent_away_and_forgotten(watched):
    cluster, prometheus = watched
    removed = subprocess.run([BIN / "bramble", "node", "remove", "plain", "--state", cluster.path / "coordinator"], timeout=60)
    assert removed.returncode == 0
    until(lambda: "plain" not in {member["node"] for member in cluster.state()["members"]}, 30, "it is no member any more")
    cluster.wait_ready()
    assert stages(cluster) <= set(TLS)
    until(lambda: "plain" not in prometheus.targets(), 30, "Prometheus does not look for it")
    until(lambda: not prometheus.query('bramble_member_present{node="plain"}'), 30, "its series have ended")
    assert "Paris" in until(lambda: ask(cluster, "The capital of France is", 4), 60, "an answer")


def test_prometheus_had_nothing_to_complain_about(watched):
    _, prometheus = watched
    log = (prometheus.folder / "log").read_text()
    assert "level=info" in log
    assert [line for line in log.splitlines() if "level=info" not in line] == []


def test_what_is_broken_raises_its_alert(watched):
    cluster, prometheus = watched

    def raised(alert, **labels):
        wanted = ", ".join(f'{name}="{value}"' for name, value in {"alertname": alert, **labels}.items())
        return lambda: prometheus.query(f'ALERTS{{{wanted}, alertstate="firing"}}')

    worker = next(daemon for daemon in cluster.workers if daemon.name == "worker-3")
    worker.stop(20)
    until(raised("BrambleWorkerAbsent", node="worker-3"), 30, "a worker's absence is told")
    for daemon in cluster.workers:
        daemon.stop(20)
    until(raised("BrambleNotServing"), 30, "that nobody is served is told")
    cluster.coordinator.stop(20)
    until(raised("BrambleCoordinatorDown"), 30, "the coordinator's absence is told")
