"""An audit's page in a real browser: it works, fetches nothing, and runs nothing but its own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from statetape.cli import audit_page
from statetape.fsm.audit import CLEAR

from .audit_reports import COLLECT, QUANTITIES, REPORT, SETTLE
from .browser import Browser, find

CONTRAST_TEXT = 4.5
CONTRAST_GRAPHIC = 3.0
PHONE = 360

LEAST_CONTRAST = """
(() => {
  const numbers = (color) => {
    const [r, g, b, a = 1] = color.match(/[0-9.]+/g).map(Number);
    return {r, g, b, a};
  };
  const light = ({r, g, b}) => {
    const part = (one) => {
      one /= 255;
      return one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.a === 1) return color;
    }
    return numbers("rgb(255, 255, 255)");
  };
  const ratio = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const least = {text: 99, graphic: 99, looked: 0};
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!element.getClientRects().length || style.visibility === "hidden") continue;
    const inside = element.namespaceURI.endsWith("svg");
    if (inside && ["path", "circle"].includes(element.localName)) {
      const lined = style.stroke !== "none" && !element.matches(".point");
      const paint = lined ? style.stroke : style.fill;
      least.graphic = Math.min(least.graphic, ratio(numbers(paint), behind(element)));
    } else if (own && !["script", "style", "title", "desc"].includes(element.localName)) {
      const color = numbers(inside ? style.fill : style.color);
      const found = ratio(color, behind(element));
      if (found < least.text) { least.text = found; least.where = element.outerHTML.slice(0, 90); }
      least.looked += 1;
    }
  }
  return least;
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser, started once."""
    program = find()
    if program is None:
        pytest.skip("no Chromium here (apt-get install chromium, or set STATETAPE_BROWSER)")
    started = Browser(program, tmp_path_factory.mktemp("browser"))
    yield started
    started.close()


@pytest.fixture
def shown(browser, tmp_path):
    """The browser with the page of the hand-made report."""
    return show(browser, REPORT, tmp_path)


def show(browser, report, folder):
    """Let the browser show a report's page."""
    path = folder / "audit.html"
    path.write_text("\n".join(audit_page.page(report)))
    browser.size(1100)
    browser.prefer("light")
    browser.open(path)
    return browser


def test_the_page_fetches_nothing_and_has_nothing_to_complain_of(shown):
    """One request, for the file itself; no error on the console, and none of the policy's."""
    assert [url.rpartition("/")[2] for url in shown.requests] == ["audit.html"]
    assert shown.complaints == []


def test_what_is_hostile_on_a_tape_stays_text(shown):
    """No element of the page came from a report's text, and the texts are whole."""
    assert shown.script("document.querySelectorAll('script').length") == 2
    assert shown.script("document.querySelectorAll('img, [onerror]').length") == 0
    assert "<script>alert('x')</script> \"q\" & `tick`" in shown.script("document.body.innerText")
    assert "\\x1b[31m \\u202e" in shown.script("document.body.innerText")


def test_the_policy_would_stop_a_script_that_got_in(browser, tmp_path):
    """The control: the same page with an element smuggled in; it does not run, and is told of."""
    path = tmp_path / "audit.html"
    lines = list(audit_page.page(REPORT))
    smuggled = "<script>document.title = 'taken over'</script><img src='https://example.com/x.png'>"
    path.write_text("\n".join([*lines[:-1], smuggled, lines[-1]]))
    browser.open(path)

    assert browser.script("document.title") != "taken over"
    assert any("Content Security Policy" in one for one in browser.complaints)


def test_every_value_of_the_chart_is_in_it(shown):
    """Each step of each line is a point with its height and its exact value."""
    read = """[...document.querySelectorAll('svg.wide [data-measure=%s] .point')]
              .map((p) => [Number(p.dataset.height), p.dataset.value])"""

    for name in ("deposited", "promised", "to_send"):
        steps = []
        for one in QUANTITIES:
            if not steps or steps[-1][1] != one.values[name]:
                steps.append([one.height, one.values[name]])
        assert shown.script(read % name) == steps
    assert shown.script("document.querySelector('svg.wide .upright').dataset.height") == "1599"


def test_what_is_higher_is_drawn_higher_and_what_is_later_further_right(shown):
    """Places on the chart follow the values, also where a quiet stretch is cut short."""
    places = shown.script(
        """[...document.querySelectorAll('svg.wide [data-measure=promised] .point')]
           .map((p) => [Number(p.getAttribute('cx')), -Number(p.getAttribute('cy'))])"""
    )
    marks = shown.script(
        """[...document.querySelectorAll('svg.wide .track.chain .mark')]
           .map((m) => [Number(m.dataset.height), m.getBoundingClientRect().x])"""
    )

    assert places == sorted(places)
    assert len({y for _, y in places}) == len(places) == 4
    assert marks == sorted(marks)
    assert marks[-1][0] == COLLECT


def test_chain_and_private_facts_lie_on_tracks_of_their_own(shown):
    """A track for the chain, and one for what each side asserts."""
    tracks = shown.script(
        """[...document.querySelectorAll('svg.wide .track')].map((t) =>
           [t.getAttribute('aria-label'), t.querySelectorAll('.mark').length])"""
    )
    private = sum(one.kind == "private" and one.height is not None for one in REPORT.timeline)

    assert tracks[0] == ["chain", sum(one.kind == "chain" for one in REPORT.timeline)]
    assert [name for name, _ in tracks[1:]] == ["ours, asserted", "theirs, asserted"]
    assert sum(count for _, count in tracks[1:]) == private


def test_the_keyboard_reaches_every_mark_and_tells_what_it_is(shown):
    """One stop for a track; arrow keys go on from there, and what has the focus is told."""
    shown.script("document.querySelector('svg.wide .track.chain .mark').focus()")
    first = shown.script("document.querySelector('.detail').textContent")
    shown.key("ArrowRight")
    second = shown.script("document.querySelector('.detail').textContent")
    where = shown.script("document.activeElement.dataset.height")
    stops = shown.script(
        "document.querySelectorAll('svg.wide .track.chain .mark[tabindex=\"0\"]').length"
    )
    shown.key("Enter")

    assert "channel created with 7000" in first
    assert "Settle by the payer" in second
    assert "promised 6000 attofil" in second
    assert where == str(SETTLE)
    assert stops == 1
    assert shown.script("location.hash") == "#entry-ours-20"
    assert "Settle" in shown.script("document.querySelector('li:target').textContent")


def test_the_arrow_keys_go_along_the_heights(shown):
    """The chart is a slider: its values are told at each height."""
    shown.script("document.querySelector('svg.wide .scrub').focus()")
    shown.key("Home")
    at_first = shown.script("document.querySelector('svg.wide .scrub').ariaValueText")
    shown.key("ArrowRight")
    shown.key("ArrowRight")

    assert at_first.startswith("Height 100: deposited so far 7000 attofil, promised 0 attofil")
    told = shown.script("document.querySelector('.detail').textContent")
    assert told.startswith("Height 120: deposited so far 7000 attofil, promised 6000 attofil")


def test_pointing_at_the_chart_tells_the_values(shown):
    """The nearest height's, under the pointer."""
    x, y = shown.script(
        """(() => { const box = document.querySelector(
             'svg.wide [data-measure=promised] [data-height="120"]').getBoundingClientRect();
             return [box.x + box.width / 2, box.y + 40]; })()"""
    )
    shown.point(x, y)

    assert "Height 120:" in shown.script("document.querySelector('.detail').textContent")


def test_every_place_named_as_evidence_leads_somewhere(shown):
    """Links to entries lead into the timeline; ids are there once."""
    broken = shown.script(
        """[...document.querySelectorAll('a[href^="#"]')].map((a) => a.getAttribute('href'))
           .filter((href) => !document.getElementById(href.slice(1)))"""
    )
    twice = shown.script(
        """(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
           return ids.filter((id, place) => ids.indexOf(id) !== place); })()"""
    )

    assert broken == []
    assert twice == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(shown, scheme):
    """Contrast of texts and of lines, as WCAG 2.2 asks of AA."""
    shown.prefer(scheme)
    shown.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    least = shown.script(LEAST_CONTRAST)

    assert least["looked"] > 100
    assert least["text"] >= CONTRAST_TEXT, least
    assert least["graphic"] >= CONTRAST_GRAPHIC


def test_too_little_contrast_would_be_noticed(shown):
    """The control: grey on grey."""
    shown.script("document.querySelector('h1').style.color = '#999'")

    assert shown.script(LEAST_CONTRAST)["text"] < CONTRAST_TEXT


def test_a_phone_shows_it_without_scrolling_sideways(shown):
    """At 360 pixels nothing sticks out, and the chart is the one made for it."""
    shown.size(PHONE)

    assert shown.script("document.documentElement.scrollWidth") == PHONE
    assert shown.script("getComputedStyle(document.querySelector('svg.wide')).display") == "none"
    assert shown.script("document.querySelector('svg.narrow').getBoundingClientRect().width") > 280


def test_paper_hides_nothing(shown):
    """What is folded away on a screen is printed."""
    shown.prefer("light", media="print")
    shown.script("window.dispatchEvent(new Event('beforeprint'))")

    assert shown.script("[...document.querySelectorAll('details')].every((one) => one.open)")
    assert shown.script("getComputedStyle(document.querySelector('.detail')).display") == "none"


def test_a_page_of_a_clear_audit_says_so(browser, tmp_path):
    """Nothing found: the first words of the page are that."""
    clear = tuple(one for one in REPORT.verdicts if one.outcome == CLEAR)
    shown = show(browser, replace(REPORT, verdicts=clear), tmp_path)

    assert shown.script("document.querySelector('h1').textContent").startswith("No dispute found")
    assert shown.script("document.querySelectorAll('.answer.found').length") == 0


def test_a_report_of_nothing_has_a_page(browser, tmp_path):
    """No heights, no marks: no chart, and no complaint."""
    empty = replace(REPORT, measures=(), quantities=(), timeline=(), verdicts=(), tables=())
    shown = show(browser, empty, tmp_path)

    assert shown.complaints == []
    assert shown.script("document.querySelectorAll('svg.chart').length") == 0


def test_a_long_audit_stays_a_page(browser, tmp_path):
    """Of 20,000 marks those that a verdict rests on are shown, with how many are not."""
    template = REPORT.timeline[1]
    many = tuple(
        replace(template, height=100 + n, cited=replace(template.cited, pos=1000 + n))
        for n in range(20_000)
    )
    rows = tuple(
        replace(
            QUANTITIES[0],
            height=100 + n,
            values={"deposited": str(10**18), "promised": str(n * 10**14), "to_send": "0"},
        )
        for n in range(20_000)
    )
    long = replace(REPORT, timeline=(*REPORT.timeline, *many), quantities=rows)
    shown = show(browser, long, tmp_path)

    assert (tmp_path / "audit.html").stat().st_size < 1_000_000
    assert shown.complaints == []
    assert shown.script("document.querySelectorAll('ol.timeline li').length") < 700
    assert shown.script("!!document.getElementById('entry-ours-31')")
    assert (
        shown.script(
            """[...document.querySelectorAll('a[href^="#"]')].map((a) => a.getAttribute('href'))
           .filter((href) => !document.getElementById(href.slice(1))).length"""
        )
        == 0
    )
    assert "19" in shown.script("document.querySelector('ol.timeline .left').textContent")
    assert shown.script("document.querySelector('svg.wide .grid .unit').textContent") == "FIL"
