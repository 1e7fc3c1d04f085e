"""The pages in Debian's Chromium: live, by keyboard, on a phone, in the dark, and nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import browser as chromium
from harness.browser import Browser
from harness.console import ConsoleProcess
from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.schema.deploying import deploy_prefix
from tests.console_client import UNDER_WAY, an_agent
from tests.integration.test_console import PREFIX, Fleet

PATHS = (
    "/", "/hosts/lb-2", "/services", "/services/shop/cart", "/refused", "/publishers",
    "/lookup?url=cart.example.com", "/login", "/nowhere", "/cluster", "/apps", "/apps/shop/cart", "/deployments",
    f"/deployments/shop/cart/{UNDER_WAY}",
)  # fmt: skip
#: For each text that is shown: whether its colour stands out from what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """
const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const lum = (c) => { const [r, g, b] = c.map(v => linear(v / 255));
  return .2126 * r + .7152 * g + .0722 * b; };
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const draw = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const drawn = new Map();
const parse = (text) => { if (!drawn.has(text)) drawn.set(text, draw(text)); return drawn.get(text); };
const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
const behind = (element) => { if (!element) return parse("Canvas").slice(0, 3);
  const own = parse(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own.slice(0, 3) : over(own, behind(element.parentElement)); };
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("");
  if (!text || !element.checkVisibility() || element.closest(".sr, option, svg, .skip")) continue;
  const back = behind(element), front = over(parse(getComputedStyle(element).color), back);
  const [high, low] = [lum(front), lum(back)].sort((a, b) => b - a);
  if ((high + .05) / (low + .05) < 4.5) found.push(`${text.slice(0, 40)}: ${((high + .05) / (low + .05)).toFixed(2)}`);
}
return found;
"""
#: Gives the first thing the focus, notes what gets it from then on, and returns how often it has to go on.
WALK = """
const usable = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']";
window.usable = [...document.querySelectorAll(usable)].filter(e => !e.disabled && e.checkVisibility());
window.usable[0].focus();
window.walked = [[window.usable[0], true]];
document.addEventListener("focusin", event => { const style = getComputedStyle(event.target);
  window.walked.push([event.target, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2]); });
return window.usable.length - 1;
"""
#: What was passed over, came in another order, or does not show that it has the focus.
WALKED = """
const name = e => e.outerHTML.slice(0, 80);
const found = window.usable.flatMap((e, n) => window.walked[n]?.[0] === e ? [] : [`not next: ${name(e)}`]);
return [...found, ...window.walked.filter(([, seen]) => !seen).map(([e]) => `not seen to have the focus: ${name(e)}`)];
"""
WIDER = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOREIGN = """
return performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith(location.origin + "/"))
"""
NAMELESS = """
return [...document.querySelectorAll("a, button, input:not([type=hidden]), select, [role=region]")]
  .filter(e => !(e.innerText?.trim() || e.labels?.length || e.getAttribute("aria-label"))).map(e => e.outerHTML)
"""
#: By the rules of axe-core for WCAG 2.1 A and AA, and its best practices: headings, landmarks, labels, tables.
AXE = """
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];
return axe.run(document, { resultTypes: ["violations"], runOnly: rules })
  .then(found => found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${v.help}: ${n.html.slice(0, 160)}`)))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not chromium.installed():
        pytest.skip("chromium and chromedriver are not installed")
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def fleet(etcd: Etcd) -> Iterator[Fleet]:
    etcd.delete(PREFIX, "--prefix")
    source = open_etcd([etcd.node.url], PREFIX)
    etcd.delete(deploy_prefix(PREFIX), "--prefix")
    made = Fleet(source)
    made.keep_a_deployment()
    yield made
    made.lease.end()
    source.close()


@pytest.fixture(scope="module")
def console(
    etcd: Etcd, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleProcess]:
    made = ConsoleProcess(tmp_path_factory.mktemp("console"), [etcd.node.url], PREFIX).start()
    yield made
    made.stop()


def test_pages_are_readable_on_every_screen_and_load_nothing_from_elsewhere(
    browser: Browser, console: ConsoleProcess
) -> None:
    browser.complaints()
    wrong: list[Any] = []
    for path in PATHS:
        for scheme, width in (("light", 1280), ("dark", 360)):
            browser.prefer(scheme)
            browser.resize(width, 800)
            browser.open(f"{console.url}{path}")
            wrong += [(path, scheme, said) for said in browser.run(CONTRAST)]
            wrong += [(path, "comes from elsewhere", said) for said in browser.run(FOREIGN)]
            wrong += [(path, "has no name", said) for said in browser.run(NAMELESS)]
            if (more := browser.run(WIDER)) > 0:
                wrong.append((path, width, f"is {more} px wider than the screen"))
    wrong += [said for said in browser.complaints() if "404" not in said]
    assert wrong == []


def test_pages_break_no_rule_of_accessibility(
    browser: Browser, console: ConsoleProcess, fleet: Fleet
) -> None:
    package = pytest.importorskip("axe_core_python").__file__
    axe = Path(package).with_name("axe.min.js").read_text()
    earlier = {"generation": 3, "digest": "abcdef12", "revision": 40, "proved_at": ""}
    fleet.put("agents/lb-1", an_agent(earlier=earlier))
    browser.resize(1280, 800)
    wrong = []
    for path in (*PATHS, "/history"):
        browser.open(f"{console.url}{path}")
        browser.run(axe)
        wrong += [(path, said) for said in browser.run(AXE)]
    assert wrong == []
    browser.run("document.documentElement.removeAttribute('lang')")
    assert "html-has-lang" in str(browser.run(AXE)), "the rules are looked at"


def test_a_live_page_changes_without_losing_what_is_typed_or_the_place(
    browser: Browser, console: ConsoleProcess, fleet: Fleet
) -> None:
    browser.resize(1280, 800)
    browser.open(f"{console.url}/services")
    browser.wait_for_text("live", "#live")
    browser.type("#q", "half a wo")
    browser.run("window.row = document.querySelector('tbody tr')")
    fleet.put("services/shop/new", {"mode": "http", "hosts": ["new.example.com"]})
    browser.wait_for_text("new.example.com")
    assert (
        browser.run("return document.activeElement.id + document.querySelector('#q').value")
        == "qhalf a wo"
    )
    assert browser.run("return window.row.isConnected")
    fleet.delete("services/shop/new")
    wait_until("it to go", lambda: "new.example.com" not in browser.text())


def test_a_host_that_is_updated_moves_nothing_else(
    browser: Browser, console: ConsoleProcess, fleet: Fleet
) -> None:
    browser.open(f"{console.url}/")
    browser.wait_for_text("live", "#live")
    where = (
        "return [...document.querySelectorAll('tbody tr')]"
        ".map(e => [e.dataset.key, e.offsetTop, e.children[1].offsetLeft])"
    )
    before = browser.run(where)
    fleet.put("agents/lb-1", an_agent(revision=99_999, generation=77))
    browser.wait_for_text("99999")
    assert browser.run(where) == before
    assert "ago" in browser.text("time")


def test_everything_is_reached_by_the_keyboard(browser: Browser, console: ConsoleProcess) -> None:
    browser.open(f"{console.url}/")
    stops = []
    for _ in range(12):
        browser.press("\ue004")  # Tab (WebDriver, 17.4.2)
        stops.append(browser.run(
            "const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.innerText.trim().slice(0, 30), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]"
        ))  # fmt: skip
    words = [word for word, _ in stops]
    assert words[0] == "Skip to the content"
    assert {
        "lbsync",
        "Fleet",
        "Services",
        "Refused",
        "Publishers",
        "Who answers?",
        "Log in",
    } <= set(words)
    assert all(is_seen for _, is_seen in stops)
    browser.run("document.querySelector('.skip').focus()")
    browser.press("\ue007")  # Enter
    assert browser.run("return document.activeElement.id") == "main"


def test_every_page_is_walked_by_the_keyboard_in_its_order(
    browser: Browser, console: ConsoleProcess
) -> None:
    """Each thing that can be used gets the focus in turn, and shows that it has it."""
    browser.resize(1280, 800)
    wrong = []
    for path in PATHS:
        browser.open(f"{console.url}{path}")
        count = browser.run(WALK)
        browser.press("\ue004", count)  # Tab (WebDriver, 17.4.2)
        wrong += [(path, said) for said in browser.run(WALKED)]
    assert wrong == []


def test_pages_work_without_javascript(browser: Browser, console: ConsoleProcess) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{console.url}/lookup")
        browser.type("#url", "cart.example.com/api")
        browser.click("form.search button")
        browser.wait_for_text("shop/cart answers")
        assert "UTC" not in browser.text() or "ago" not in browser.text()
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


def test_a_deployment_is_live_and_told_to_pause_by_who_may(
    browser: Browser, console: ConsoleProcess, fleet: Fleet
) -> None:
    token = console.command("token", "add", "dora", "--right", "deploy", "--namespace", "shop")
    wait_until("the token to count", lambda: console.get("/api/fleet")[0] == 401)
    browser.open(f"{console.url}/deployments/shop/cart/{UNDER_WAY}")
    browser.type("#token", token)
    browser.click("form.login button")
    browser.wait_for_text("live", "#live")
    assert "Fleet" not in browser.text("nav")
    browser.click(f'a[href$="/{UNDER_WAY}/pause"]')
    browser.wait_for_text("until somebody resumes it")
    browser.run("document.querySelector('form.action button').focus()")
    browser.press("\ue007")  # Enter
    browser.wait_for_text("paused", "h1")
    browser.wait_for_text("by token dora from 127.0.0.1", ".events")
    browser.wait_for_text("live", "#live")
    bearer = {"Authorization": f"Bearer {token}"}
    path = f"/api/deployments/shop/cart/{UNDER_WAY}/resume"
    assert console.ask("POST", path, "", bearer)[0] == 202
    browser.wait_for_text("resumed", ".events")
    assert "paused" not in browser.text("h1")
    browser.click("button.quiet")
    browser.wait_for_text("Log in", "h1")
    console.command("token", "rm", "dora")


def test_somebody_logs_in_and_confirms_a_removal(
    browser: Browser, console: ConsoleProcess, fleet: Fleet
) -> None:
    token = console.command("token", "add", "ann", "--right", "admin")
    wait_until("the token to count", lambda: console.get("/api/fleet")[0] == 401)
    browser.open(f"{console.url}/services?q=cart")
    browser.type("#token", token)
    browser.click("form.login button")
    browser.wait_for_text("1 of")
    browser.open(f"{console.url}/")
    browser.click("a.button")
    browser.wait_for_text("Confirm a removal", "h1")
    browser.click("button.danger")
    browser.wait_for_text("The removal is confirmed")
    assert fleet.source.get("confirmations/4f2a") is not None
    browser.click("button.quiet")
    browser.wait_for_text("Log in", "h1")
