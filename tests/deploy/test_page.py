"""The coordinator's page in a real browser: what it shows, with a keyboard, on a phone, in the dark, and that it asks nobody else."""

import os
import pathlib
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from cluster import KEY, Cluster, until
from models import chat_model

CHROMIUM = shutil.which("chromium")
# A folder for the pictures, to be looked at.
PICTURES = os.environ.get("BRAMBLE_PICTURES")
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Debian's chromium is not installed (tools/install-packages deploy)")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[1, 3, 12])
def cluster(request):
    with Cluster(chat_model(), workers=request.param) as cluster:
        yield cluster


class Visit:
    """A page that remembers whom it asked and what it complained about."""

    def __init__(self, browser, cluster, size="desk", scheme="light", key=KEY):
        self.cluster = cluster
        self.context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
        self.page = self.context.new_page()
        self.asked, self.complaints = set(), []
        self.page.on("request", lambda request: self.asked.add(re.match(r"[a-z]+:(//[^/]*)?", request.url).group(0)))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        if key:
            self.page.add_init_script(f"sessionStorage.setItem('key', '{key}')")
        self.page.goto(f"http://{cluster.address}/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def picture(self, name):
        if PICTURES:
            pathlib.Path(PICTURES).mkdir(exist_ok=True)
            self.page.screenshot(path=f"{PICTURES}/{len(self.cluster.workers)}-workers-{name}.png", full_page=True)

    def fits(self):
        return self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def names(cluster):
    return [stage["node"] for stage in cluster.state()["plan"]["stages"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_shows_who_holds_what_and_asks_nobody_else(browser, cluster, size, scheme):
    with Visit(browser, cluster, size, scheme) as visit:
        expect(visit.page.locator("#state")).to_contain_text("serves on", timeout=20_000)
        assert visit.page.locator("#boards .name").all_text_contents() == names(cluster)
        assert visit.page.locator("#boards > li, #others > li").count() == len(cluster.workers)
        assert visit.page.locator("#boards .part").first.text_content().startswith("embed")
        assert visit.page.locator("#model").text_content() == cluster.name
        assert visit.fits(), "nothing is wider than the screen"
        visit.picture(f"{size}-{scheme}")
        assert visit.asked <= {f"http://{cluster.address}", "data:"}
        assert visit.complaints == []


def test_a_conversation_by_keyboard(browser, cluster):
    with Visit(browser, cluster) as visit:
        expect(visit.page.locator("#state")).to_contain_text("serves on", timeout=20_000)
        visit.page.keyboard.press("Tab")
        for _ in range(10):
            if visit.page.evaluate("document.activeElement.id") == "question":
                break
            visit.page.keyboard.press("Tab")
        visit.page.keyboard.type("What is the capital of France? Answer in one sentence.")
        visit.page.keyboard.press("Enter")
        answer = visit.page.locator("#said .assistant")
        expect(answer).not_to_be_empty(timeout=30_000)
        expect(visit.page.locator("#stop")).to_be_hidden(timeout=60_000)
        assert visit.page.evaluate("document.activeElement.id") == "question"
        # The counter has moved since the page began to look.
        expect(visit.page.locator("#trace polyline")).to_have_attribute("points", re.compile(r"\d"), timeout=10_000)
        visit.picture("chat")
        assert visit.complaints == []


def test_a_long_answer_flows_and_can_be_stopped(browser, cluster):
    with Visit(browser, cluster) as visit:
        expect(visit.page.locator("#state")).to_contain_text("serves on", timeout=20_000)
        visit.page.locator("#question").fill("Tell me a very long story about a fox and a bramble bush.")
        visit.page.locator("#send").click()
        expect(visit.page.locator("#said .assistant")).not_to_be_empty(timeout=30_000)
        until(lambda: visit.page.evaluate("speeds.some((speed) => speed > 0)"), 10, "the speed is shown")
        visit.picture("flowing")
        if visit.page.locator("#stop").is_visible():
            visit.page.locator("#stop").click()
        expect(visit.page.locator("#stop")).to_be_hidden(timeout=60_000)
        expect(visit.page.locator("#send")).to_be_enabled()
        assert visit.complaints == []


def test_without_a_key_it_shows_nothing_but_a_door(browser, cluster):
    with Visit(browser, cluster, key=None) as visit:
        expect(visit.page.locator("#door")).to_be_visible(timeout=20_000)
        expect(visit.page.locator("section:visible")).to_have_count(0)
        assert cluster.name not in visit.page.locator("body").inner_text()
        visit.picture("door")
        visit.page.keyboard.type("a-wrong-key-0123456789")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#state")).to_have_text("this key is not known here", timeout=10_000)
        visit.page.locator("#key").fill(KEY)
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#boards .name")).to_have_count(len(names(cluster)), timeout=10_000)
        expect(visit.page.locator("#door")).to_be_hidden()


def test_what_others_say_is_never_taken_for_html(browser, cluster):
    evil = "<img src=x onerror=alert(1)>"
    with Visit(browser, cluster) as visit:
        expect(visit.page.locator("#state")).to_contain_text("serves on", timeout=20_000)
        visit.page.evaluate("evil => say('user', evil)", evil)
        visit.page.evaluate(
            "evil => show({...{state: 'waiting', why: evil, model: evil, progress: [], plan: null, serve: {running: 0, queued: 0, pages: 0}},"
            " members: [{node: evil, present: true, architecture: evil, threads: 1, read_bytes_per_second: 1, round_trip_seconds: 0,"
            " health: {throttled: [evil], undervoltage: true, hottest_celsius: 85}}]})",
            evil,
        )
        assert visit.page.locator("img").count() == 0
        assert visit.page.locator("#others .ill").text_content() == f"under-voltage, {evil}, hot"
