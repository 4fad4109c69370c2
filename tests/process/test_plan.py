"""`bramble plan`: the running plan, and plans for models that nobody serves."""

import json

import pytest
from cluster import KEY, Cluster
from evaluation import GOLDEN, bramble, real_model

SERVED = GOLDEN / "models" / "llama_gqa_tied"
OTHER = GOLDEN / "models" / "gpt2"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(SERVED, workers=2, worker=("--memory", "256M", "--threads", "1")) as running:
        yield running


def plan(*arguments):
    done = bramble("plan", *arguments, environment={"BRAMBLE_API_KEY": KEY})
    return done, json.loads(done.stdout) if done.returncode == 0 and "--json" in arguments else None


def test_the_running_plan_names_who_holds_what(cluster):
    url = f"http://{cluster.address}"
    _, running = plan("--url", url, "--json")
    assert {stage["node"] for stage in running["stages"]} <= {"worker-1", "worker-2"}
    table, _ = plan("--url", url)
    assert "embed" in table.stdout and "head" in table.stdout


def test_another_model_is_planned_for_the_clusters_workers_and_not_loaded(cluster):
    _, other = plan(OTHER, "--url", f"http://{cluster.address}", "--json")
    assert other["model"] != cluster.state()["plan"]["model"]
    assert sum(stage["blocks"] for stage in other["stages"]) >= 3
    for stage in other["stages"]:
        assert stage["memory_limit_bytes"] == 256 << 20
        assert stage["row_seconds"] > 0  # of the speed that the workers measured
    assert cluster.state()["model"] == cluster.name


def test_a_plan_for_imagined_workers_needs_no_cluster():
    _, one = plan(SERVED, "--workers", "1", "--memory", "1G", "--json")
    needed = one["stages"][0]["needed_bytes"]
    assert len(one["stages"]) == 1
    # A little less than one worker needs: three share it.
    done, three = plan(SERVED, "--workers", "3", "--memory", str(needed - 1), "--json")
    assert done.returncode == 0, done.stderr
    assert len(three["stages"]) > 1
    assert "- a token" not in plan(SERVED, "--memory", "1G")[0].stdout


def test_slices_are_planned_where_they_are_asked_for():
    model = real_model("smollm2")
    done, shared = plan(model, "--workers", "3", "--memory", "1G", "--sharding", "slices", "--json")
    assert done.returncode == 0, done.stderr
    assert [(stage["member"], stage["members"]) for stage in shared["stages"]] == [(0, 3), (1, 3), (2, 3)]
    assert {stage["blocks"] for stage in shared["stages"]} == {shared["stages"][0]["blocks"]}
    table, _ = plan(model, "--workers", "3", "--memory", "1G", "--sharding", "slices")
    assert "shared" in table.stdout
    assert "3 workers share every block" in table.stdout
    done, _ = plan(SERVED, "--workers", "2", "--memory", "1G", "--sharding", "slices")
    assert done.returncode == 1 and "nothing that is worth sharing" in done.stderr


def test_a_model_that_does_not_fit_is_refused_with_the_sum():
    done, _ = plan(SERVED, "--workers", "2", "--memory", "1M")
    assert done.returncode == 1
    assert "worker-1" in done.stderr and "MiB" in done.stderr


def test_half_a_question_is_refused():
    assert "needs a MODEL" in plan("--memory", "1G")[0].stderr
    assert "needs --memory" in plan(SERVED, "--workers", "2")[0].stderr
