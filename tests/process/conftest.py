import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the logs of all running daemons to the report of a failure."""
    report = yield
    if report.failed:
        import cluster

        for running in cluster.RUNNING:
            for name, text in running.said().items():
                report.sections.append((f"log of {name}", text))
    return report
