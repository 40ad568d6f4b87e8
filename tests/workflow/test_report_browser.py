"""The report in a real browser: nothing complains, nothing is fetched, and the viewer does what its controls say."""

import base64
from importlib.resources import files

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import Evaluation
from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.localization import upsample
from mmpkd.evaluation.verdicts import signed
from mmpkd.outputs import table_claims, table_localization, table_summary
from mmpkd.outputs.inputs import Inputs
from mmpkd.outputs.table import Table
from mmpkd.provenance.record import origin
from mmpkd.report.items import prose_html
from mmpkd.report.page import build
from mmpkd.results import Results
from tests.browser import CHROMIUM, Browser
from tests.report_results import ASSUMPTIONS, make_scores, make_viewer, write_figure, write_results
from tests.synthetic import DESIGN

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
PIXELS = "[...document.querySelectorAll('.stages canvas')].map(e => e.toDataURL()).join()"
FOCUSED = "document.activeElement.id"
STATUS = "document.getElementById('viewer-status').textContent"
AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
VIOLATIONS = "axe.run().then(r => r.violations.map(v => [v.id, v.impact, v.nodes.map(n => n.html)]))"
VIEWER = "document.getElementById('viewer-root').scrollIntoView()"  # keys work while it is in sight


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    scores = make_scores()
    return make_viewer(scores, write_results(tmp_path_factory.mktemp("results"), scores))


@pytest.fixture(scope="module")
def address(shown, tmp_path_factory) -> str:
    """A report with five claims, the summary, a long table, a figure and the viewer."""
    folder = tmp_path_factory.mktemp("report")
    scores, evaluation, results = make_scores(), Evaluation(resamples=100), Results(str(folder))
    claims = claims_table(scores, DEMO.claims, evaluation, DESIGN)
    Table(claims, "The claims.", table_claims.SHOWN, DESIGN).write(*results.table("claims").values())
    for module, name in ((table_summary, "summary"), (table_localization, "localization")):
        module.make(Inputs(scores, evaluation, DESIGN)).write(*results.table(name).values())
    write_figure(results, "The claims.")
    Image.new("L", (1440, 900), 255).save(results.figure("claims")["png"])
    study = {**DEMO.model_dump(mode="json"), "tables": ["summary", "localization", "claims"], "figures": ["claims"]}
    text = build(study, results, origin(study), viewer=shown, assumptions=prose_html(ASSUMPTIONS, "Assumptions"))
    (folder / "report.html").write_text(text)
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(browser, address):
    """The report as it is when it was just opened on a laptop's screen."""
    browser.show(1280, 800)
    browser.open(address)
    return browser


def tab_to(page, identifier: str) -> None:
    """Moves the focus as a keyboard does."""
    for _ in range(200):
        page.press("Tab")
        if page.evaluate(FOCUSED) == identifier:
            return
    raise AssertionError(f"no key leads to {identifier}")


def test_nothing_complains_and_nothing_is_fetched(page, address):
    assert page.complaints() == []
    requests = {event["request"]["url"] for event in page.named("Network.requestWillBeSent")}
    assert {url for url in requests if not url.startswith("data:")} == {address}
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize(
    ("action", "rule"),
    [
        ("fetch('http://127.0.0.1:9/').catch(() => 0)", "connect-src"),
        ("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))", "img-src"),
        ("document.body.append(Object.assign(document.createElement('script'), { text: '1' }))", "script-src-elem"),
    ],
    ids=["network", "picture", "script"],
)
def test_the_page_forbids_what_it_does_not_need(page, action, rule):
    listen = "addEventListener('securitypolicyviolation', event => done(event.effectiveDirective))"
    assert page.evaluate(f"new Promise(done => {{ {listen}; {action}; }})") == rule


def test_five_claims_fit_one_laptop_screen(page):
    bottoms = page.evaluate("[...document.querySelectorAll('.claim')].map(e => e.getBoundingClientRect().bottom)")
    assert len(bottoms) == 5 and max(bottoms) <= 800


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 400, 900, 1280])
def test_nothing_runs_off_the_screen(browser, address, width, scheme):
    browser.show(width, 800, scheme, mobile=width < 768)
    browser.open(address)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 27)"
    assert dark == (scheme == "dark")
    assert browser.complaints() == []


def choose(page, name: str, value: object) -> None:
    """An entry of a list of the viewer."""
    entry = f"document.getElementById('viewer-{name}')"
    page.evaluate(f"{entry}.value = {value}; {entry}.dispatchEvent(new Event('change', {{ bubbles: true }}))")


def test_cells_are_chosen_before_cases_with_the_keyboard(page, shown):
    tab_to(page, "viewer-cell")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    before = page.evaluate(PIXELS)
    assert "rank 7 of 12" in page.evaluate(STATUS), "the median, where no image has a marker"
    page.press("ArrowDown")
    cell = shown.cells[1]
    assert page.evaluate(PIXELS) != before and page.evaluate(STATUS).startswith(f"{cell['name']}; rank 1 of 12")
    titles = page.evaluate("[...document.getElementById('viewer-case').options].map(e => e.textContent)")
    assert titles == [shown.data["cases"][number]["title"] for number in cell["cases"]]
    page.press("Tab")
    assert page.evaluate(FOCUSED) == "viewer-case"
    page.press("ArrowDown")
    assert titles[1] in page.evaluate(STATUS)
    assert page.complaints() == []


def test_keys_work_at_once_while_the_viewer_is_in_sight(page):
    first = page.evaluate(PIXELS)
    page.press("n")
    assert page.evaluate(PIXELS) == first, "it is not seen"
    page.evaluate(VIEWER)
    page.press("n")
    second = page.evaluate(PIXELS)
    page.press("m")
    assert second != first and page.evaluate(PIXELS) != second
    assert "last-layer attention" in page.evaluate(STATUS)
    page.press("m")
    page.press("p")
    assert page.evaluate(PIXELS) == first
    visible = "[...document.querySelectorAll('.stage path')].map(e => getComputedStyle(e).display != 'none')"
    assert page.evaluate(visible) == [True] * 12
    page.press("o")
    assert page.evaluate(visible) == [False] * 12 and "ROI not outlined" in page.evaluate(STATUS)
    page.evaluate("document.getElementById('viewer-shortcuts').click()")
    page.press("n")
    assert page.evaluate(PIXELS) == first, "keys are switched off"


def test_buttons_stop_at_the_ends_and_keep_the_focus(page, shown):
    tab_to(page, "viewer-next")
    for _ in range(2):
        page.press(" ")
    assert shown.data["cases"][shown.data["start"] + 2]["title"] in page.evaluate(STATUS)
    choose(page, "cell", len(shown.cells) - 1)
    last = len(shown.data["cases"]) - 1
    choose(page, "case", last - 1)
    page.press(" ")
    page.press(" ")
    assert page.evaluate("document.getElementById('viewer-case').value") == str(last)
    assert page.evaluate(FOCUSED) == "viewer-next"
    assert page.evaluate("document.activeElement.getAttribute('aria-disabled')") == "true"


def test_opacity_and_method_are_worked_by_the_keyboard(page):
    opacity = "[...document.querySelectorAll('.stages canvas')].map(e => getComputedStyle(e).opacity)"
    tab_to(page, "viewer-method")
    before = page.evaluate(PIXELS)
    page.press("ArrowDown")
    assert page.evaluate(PIXELS) != before and "last-layer attention" in page.evaluate(STATUS)
    assert page.evaluate(opacity) == ["0.6"] * 3
    tab_to(page, "viewer-opacity")
    page.press("ArrowRight")
    assert page.evaluate(opacity) == ["0.65"] * 3
    assert page.evaluate("document.getElementById('viewer-percent').textContent") == "65 %"


@pytest.mark.parametrize(("place", "arm"), [(0, "baseline"), (1, "mmpkd")])
def test_the_maps_are_drawn_as_they_are_scored(page, shown, place, arm):
    """The canvases against the library's own interpolation and matplotlib's colours."""
    case = shown.data["cases"][shown.data["start"]]
    canvas = f"document.querySelectorAll('.stages canvas')[{place}]"
    drawn = page.evaluate(f"Array.from({canvas}.getContext('2d').getImageData(0, 0, 256, 256).data)")
    grid = np.array(case["maps"]["rollout"][arm])
    shares = upsample(grid[None], 256)[0] / shown.data["tops"]["rollout"]
    expected = 255 * colormaps["magma"](shares)[..., :3]
    found = np.array(drawn).reshape(256, 256, 4)[..., :3]
    assert np.abs(found - expected).max() < 4 and np.ptp(expected) > 100


def test_picture_outline_scores_and_probabilities_belong_to_the_case(page, shown):
    page.evaluate(VIEWER)
    page.press("n")
    case = shown.data["cases"][shown.data["start"] + 1]
    sources = page.evaluate("[...document.querySelectorAll('.stage img')].map(e => e.src)")
    assert [base64.b64decode(source.split(",")[1]) for source in sources] == [base64.b64decode(case["image"])] * 4
    assert page.evaluate("document.querySelector('.stage path').getAttribute('d')") == case["outline"]
    words = page.evaluate("[...document.querySelectorAll('.stages figcaption span')].map(e => e.textContent)")
    scores = case["scores"]["rollout"]
    for arm, said in zip(("baseline", "mmpkd", "shuffled"), words, strict=True):
        chance = f"p(Consolidation) {case['chances'][arm]['Consolidation']:.2f}"
        gain = f"gain {signed(scores[arm] - scores['baseline'])}, " if arm != "baseline" else ""
        assert said == f"pixel AUROC {scores[arm]:.3f}, {gain}{chance}"
    assert "finding: Consolidation" in page.evaluate(STATUS)
    record = page.evaluate("document.getElementById('viewer-record').textContent")
    assert record == f"Privileged record (phantom): {case['record']}" and "consolidation on the left" in record


@pytest.mark.parametrize(("width", "abreast"), [(400, 2), (900, 4), (1280, 4)])
def test_image_and_arms_stand_side_by_side(browser, address, width, abreast):
    browser.show(width, 800, mobile=width < 768)
    browser.open(address)
    tops = browser.evaluate("[...document.querySelectorAll('.stages figure')].map(e => e.getBoundingClientRect().top)")
    assert len(tops) == 4 and tops.count(tops[0]) == abreast


@pytest.mark.parametrize(("width", "wanted"), [(400, 720), (900, 830), (1280, 929)])
def test_a_figure_scrolls_on_a_phone_and_fits_elsewhere(browser, address, width, wanted):
    browser.show(width, 800, mobile=width < 768)
    browser.open(address)
    picture = "document.querySelector('#figure-claims .picture')"
    drawn = browser.evaluate(f"{picture}.firstElementChild.getBoundingClientRect().width")
    assert drawn == pytest.approx(wanted, abs=20), "legible: a picture of 7.2 inches, or the width of the text"
    assert browser.evaluate(f"{picture}.scrollWidth > {picture}.clientWidth") == (width == 400)


def test_every_control_has_a_name(page):
    nameless = "[...document.querySelectorAll('select, input, button')].filter(e => !e.textContent && !e.labels.length)"
    assert page.evaluate(f"{nameless}.length") == 0
    assert page.evaluate("document.querySelectorAll('.viewer :is(select, input, button)').length") == 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_nothing(browser, address, width, scheme):
    browser.show(width, 800, scheme)
    browser.open(address)
    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    browser.evaluate(AXE)
    assert browser.evaluate(VIOLATIONS) == []


def test_axe_finds_a_picture_without_a_text(page):
    page.evaluate("document.querySelector('main img').removeAttribute('alt')")
    page.evaluate(AXE)
    assert [rule for rule, *_ in page.evaluate(VIOLATIONS)] == ["image-alt"]


def test_without_scripts_the_viewer_says_so_and_shows_no_control(browser, address):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(address)
        text = browser.evaluate("document.body.innerText")
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
    assert "The viewer needs JavaScript" in text and "Outlines" not in text


LONG = "document.getElementById('table-localization')"
OPEN = f"new Promise(done => {{ {LONG}.parentElement.open = true; setTimeout(done, 100); }})"


def column(page, place: int) -> list[str]:
    """The cells of a column of the long table that are shown."""
    rows = f"[...{LONG}.querySelectorAll('tbody tr')].filter(row => row.offsetParent)"
    return page.evaluate(f"{rows}.map(row => row.cells[{place}].textContent)")


def test_a_click_on_a_head_sorts_and_what_is_missing_stays_last(page):
    page.evaluate(OPEN)
    heads = page.evaluate(f"[...{LONG}.querySelectorAll('th[scope=col]')].map(e => e.textContent)")
    gain, label = heads.index("gain"), heads.index("label")
    before = column(page, gain)
    click = f"{LONG}.querySelectorAll('th button')[{gain}].click()"
    for order, sign in (("ascending", 1), ("descending", -1)):
        page.evaluate(click)
        cells = column(page, gain)
        assert page.evaluate(f"{LONG}.querySelector('[aria-sort]').getAttribute('aria-sort')") == order
        numbers = [sign * float(cell.split()[0].replace("\u2212", "-")) for cell in cells if cell != "-"]
        assert numbers == sorted(numbers) and len(set(numbers)) > 5
        assert cells[len(numbers) :] == ["-"] * (len(cells) - len(numbers)) and sorted(cells) == sorted(before)
    page.evaluate(f"{LONG}.querySelectorAll('th button')[{label}].focus()")
    page.press(" ")
    assert column(page, label) == sorted(column(page, label), key=str.lower)


def test_rows_are_filtered_by_all_words(page):
    page.evaluate(OPEN)
    rows = len(column(page, 0))
    page.evaluate(f"{LONG}.querySelector('input').focus()")
    for letter in "mmpkd pointing":
        page.press(letter)
    assert set(column(page, 5)) == {"MMPKD"} and set(column(page, 4)) == {"pointing game accuracy"}
    assert page.evaluate(f"{LONG}.querySelector('output').textContent") == f"{len(column(page, 0))} of {rows} rows"


def test_a_hyphen_finds_a_minus_sign(page):
    page.evaluate(OPEN)
    rows = len(column(page, 0))
    page.evaluate(f"{LONG}.querySelector('input').focus()")
    for letter in "-0.":
        page.press(letter)
    shown = f"[...{LONG}.querySelectorAll('tbody tr')].filter(row => row.offsetParent)"
    texts = page.evaluate(f"{shown}.map(row => row.textContent)")
    assert 0 < len(texts) < rows and all("\u22120." in text for text in texts)


def test_words_in_a_table_that_scrolls_do_not_stand_one_below_the_other(browser, address):
    browser.show(400, 800, mobile=True)
    browser.open(address)
    browser.evaluate(OPEN)
    words = f"[...{LONG}.querySelectorAll('tbody th, td:not(.number)')]"
    assert min(browser.evaluate(f"{words}.map(e => e.getBoundingClientRect().width)")) >= 95


CLAIMS, SUMMARY = "document.getElementById('table-claims')", "document.querySelector('.whole')"


@pytest.mark.parametrize(
    ("table", "width", "kept"),
    [
        (LONG, 1280, ["training domain", "arm"]),
        (LONG, 900, ["arm"]),
        (LONG, 400, ["arm"]),
        (CLAIMS, 400, ["claim"]),
        (SUMMARY, 400, ["arm"]),
    ],
)
def test_key_columns_stay_in_sight(browser, address, table, width, kept):
    """The arm first: without it no row says anything."""
    browser.show(width, 800, mobile=width < 768)
    browser.open(address)
    browser.evaluate("document.querySelectorAll('details.long').forEach(e => { e.open = true; })")
    heads = f"[...{table}.querySelectorAll('thead th')]"
    place = f"{table}.querySelector('.scroll')"
    browser.evaluate(f"{place}.scrollLeft = {place}.scrollWidth")
    edges = browser.evaluate(f"{heads}.map(e => [e.textContent, e.getBoundingClientRect().left, e.offsetWidth])")
    left = browser.evaluate(f"{place}.getBoundingClientRect().left")
    seen = [name for name, start, _ in edges if start >= left and edges[-1][0] != name]
    assert set(kept) <= set(seen) and browser.evaluate(f"{place}.scrollLeft") > 50
    frozen = browser.evaluate(f"{heads}.filter(e => e.className.includes('frozen')).map(e => e.textContent)")
    assert set(kept) <= set(frozen)
    assert browser.complaints() == []


def test_the_summary_is_seen_whole_on_900_pixels_and_csv_files_are_in_the_page(browser, address):
    browser.show(900, 800)
    browser.open(address)
    table = "document.querySelector('.whole .scroll')"
    assert browser.evaluate(
        f"{table}.scrollWidth <= {table}.clientWidth && {table}.scrollHeight <= {table}.clientHeight"
    )
    link = "document.querySelector('a[download=\"localization.csv\"]').href"
    text = base64.b64decode(browser.evaluate(link).partition("base64,")[2]).decode()
    assert text.startswith("domain,cohort,phantom,label,")


def test_paper_has_the_summary_and_not_the_rows_of_long_tables(page):
    page.evaluate(OPEN)
    page.send("Emulation.setEmulatedMedia", media="print")
    try:
        assert page.evaluate("document.querySelectorAll('.whole tbody tr').length") == 12
        assert page.evaluate("document.querySelector('.whole table').offsetHeight") > 100
        assert page.evaluate("getComputedStyle(document.querySelector('.whole')).breakInside") == "avoid"
        frozen = "[...document.querySelectorAll('.whole .frozen')].map(e => getComputedStyle(e).position)"
        assert set(page.evaluate(frozen)) <= {"static"}
        assert column(page, 0) == []
        evidence = "[...document.querySelectorAll('.claim details')].map(e => [e.open, e.offsetHeight])"
        assert all(not is_open and height > 20 for is_open, height in page.evaluate(evidence)), "read without a click"
        assert page.evaluate("getComputedStyle(document.querySelector('.viewer')).breakInside") == "avoid"
    finally:
        page.send("Emulation.setEmulatedMedia", media="")
