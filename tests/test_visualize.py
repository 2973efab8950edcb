"""gmm-visualize.py: its figures by structure, its command line, the fits it refuses."""

import itertools
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run
from matplotlib import pyplot as plt
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.text import Text
from scipy.special import logsumexp
from scipy.stats import norm

plt.switch_backend("Agg")
IGNORED = "ignore::DeprecationWarning", "ignore:(Glyph|loadtxt)"
pytestmark = pytest.mark.filterwarnings("error", *IGNORED)
SCRIPT = ROOT / "gmm-visualize.py"
NAMES = [("dié_$x^2$日\udcff.t", "svg"), (240 * "n", "pdf"), ("\f\u2028\x85. ", "png")]
UNITS = [(0, 1), (0, 1e-9), (0, 4e7), (0.012, 1e-3), (1.2, 0.3), (5000, 2e-6)]
UNITS += [(1e5, 0.3), (1.7e9, 1), (1.7e12, 1e3), (-123456, 0.5), (20, 1e-16)]
STEPS = [(2.54, 1), (5 / 9, 0.1), (1, 1), (0.5, 0.5), (5, 5), (0.4536, 0.1)]
HEIGHTS = [f"fit.txt --height {text}" for text in (0, -1, "nan", "1_0", "２", 1e9)]
ARGUMENTS = dict.fromkeys(HEIGHTS, "argument --height: ") | {
    "- -": "standard input:1: expected a whole fit, data to bic, found none",
    "gone.txt": "[Errno 2] No such file or directory: 'gone.txt'",
    "fit.txt -o fit.txt": "cannot write fit.txt/data-k2.png: File exists",
    "": "expected fits in writeup/fits, found none: make -C writeup",
}
LINES = r"""1 data: \0|2 n: café|2 n: 0|3 k: 2.0|4 tol: 0|5 min_sd: -1|6 restarts: x
7 seed: ２|8 start: $x^2_$|9 iterations: 1_0|10 weights: 0.2 0.7|10 weights: -1 2
10 k: 3|11 means: nan 9|11 means: 1_0 9|11 means: 1e308 9|11 means: ２ 9|11 means: 9
12 varis: 0 9|13 ll: inf|14 bic: 1 2|3 n: 1\nn: 1|16 bic: 1\n\n3|17 bic: 1\ndata: a"""


@pytest.fixture(scope="session")
def printed():
    """Return what gmm-em.py prints for data.txt, by k."""
    text = run("gmm-em", "data.txt", "2-6", "1").stdout
    return dict(enumerate(re.split("(?m)^(?=data: )", text)[1:], 2))


@pytest.fixture(autouse=True)
def fit(viz, printed, tmp_path, monkeypatch):
    """Run every test in a folder of its own, with a fit but not its data."""
    monkeypatch.setattr(viz, "__file__", str(tmp_path / "gmm-visualize.py"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own
    monkeypatch.chdir(tmp_path)
    Path("fit.txt").write_text(printed[2])
    yield viz.read_fits("fit.txt")[0]
    plt.close("all")


@pytest.fixture
def called(command, viz):
    """Return called(arguments) -> exit code, stdout, stderr of the script."""
    return lambda arguments: command(*arguments.split(), script=viz)


def shell(command, **env):
    """Run a bash command with $run for the script -> exit code, stdout, stderr."""
    env = os.environ | {"run": f"{sys.executable} {SCRIPT}"} | env
    options = {"capture_output": True, "text": True, "errors": "replace", "env": env}
    done = subprocess.run(["bash", "-c", command], **options)
    return done.returncode, done.stdout, done.stderr


def changed(fit, weights, means, varis, **changes):
    """Return a fit with other parameters, and with other facts."""
    lists = {"weights": weights, "means": means, "varis": varis}
    lists = {key: np.array(values, float) for key, values in lists.items()}
    return fit | lists | {"mixture": [*lists.values()], "k": len(means)} | changes


def texts(artists):
    return [artist.get_text() for artist in artists]


def legible(figure):
    """Draw a figure, assert that no texts overlap, that ticks are true; return them."""
    drawn, draw = [], Text.draw
    Text.draw = lambda self, renderer: (drawn.append(self), draw(self, renderer))
    figure.canvas.draw()
    Text.draw = draw
    drawn = [text for text in drawn if text.get_visible() and text.get_text().strip()]
    boxes = [text.get_window_extent() for text in drawn]
    for a, b in itertools.combinations(boxes, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        pair = texts(drawn[boxes.index(box)] for box in (a, b))
        assert min(overlap) < 0.5, f"{pair} overlap"
    ends = np.array([box.extents for box in boxes])
    assert ends[:, :2].min() > -1.5 and (ends[:, 2:] < figure.bbox.size + 1.5).all()
    all_axes = [axes for part in figure.subfigs or [figure] for axes in part.axes]
    for axis in [axis for axes in all_axes for axis in (axes.xaxis, axes.yaxis)]:
        offset, (low, high) = axis.get_offset_text(), axis.get_view_interval()
        ticks = [tick for tick in axis.get_major_ticks() if tick.label1 in drawn]
        for tick in ticks:  # 2.5, and beside the axis 10^{-5}+5 10^{3}
            plain = "".join(texts([tick.label1, offset])).replace("\N{MINUS SIGN}", "-")
            plain = re.sub(r"[${} ]|\\mathdefault", "", plain).replace("^", "**")
            error = eval(plain.replace(r"\times", "*")) - tick.get_loc()
            assert abs(error) < 1e-3 * (high - low) + np.spacing(high)
        assert len(ticks) >= 3 or figure.subfigs, "few ticks"
    return texts(drawn)


def test_plot_model_draws_every_component_and_the_mixture_on_top(viz):
    x, k = np.random.default_rng(0).permutation(np.linspace(-3, 15, 50)), 12
    clusters = np.array([norm.pdf(x, i, 1) / k for i in range(k)])
    model, order = clusters.sum(axis=0), np.argsort(x)
    bars = np.full(10, 1 / 18), np.linspace(-3, 15, 11)
    figure = viz.plot_model(x.tolist(), clusters.tolist(), model.tolist(), bars)
    (axes,), (legend,) = figure.axes, figure.legends
    names = [f"component {i + 1}" for i in range(k)]
    assert texts(legend.get_texts()) == [*names, "mixture $p(x)$", "data"]
    assert {*names, "density", "$x$"} < set(legible(figure))
    wanted = [(x[order], curve[order]) for curve in (*clusters, model)]
    np.testing.assert_array_equal([line.get_data() for line in axes.lines], wanted)
    colours = [to_rgb(line.get_color()) for line in axes.lines]
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(styles) == k + 1 and colours[k] == (0, 0, 0)
    hues = np.sort(rgb_to_hsv(colours[:4])[:, 0])
    assert min(np.diff([*hues, hues[0] + 1])) > 0.1, "two of four look the same"
    areas = [area.get_facecolor()[0] for area in axes.collections]
    assert [(*area[:3],) for area in areas] == colours[:k]
    assert [key.get_facecolor()[:3] for key in legend.legend_handles[:k]] == colours[:k]
    assert all(0.1 < area[3] < 0.5 for area in areas), "areas hide what is below"
    tops = [area.get_datalim(axes.transData).y1 for area in axes.collections]
    assert tops == pytest.approx(clusters.max(axis=1))
    (outline,) = axes.patches
    assert not outline.get_fill() and axes.lines[k].get_linestyle() == "-"
    assert all(0.4 < a.get_linewidth() < 2 for a in (outline, *axes.lines))
    depths = [a.get_zorder() for a in (*axes.collections, outline, *axes.lines)]
    assert depths == sorted(depths) and depths[k - 1] < depths[k] < depths[k + 1]
    assert axes.get_xlim() == (-3, 15) and axes.get_ylim()[0] == 0


def test_the_curves_are_fine_enough_for_every_component(viz):
    narrow = [0.5, 0.3, 0.2], [0.0, 5.0, 2.5], [1.0, 1.5, 1e-4]
    far = [0.9, 0.1], [1.7e9, 1.7e9 + 1e6], [1.0, 1e-4]
    for weights, means, varis in ([1.0], [5.0], [2.0]), narrow, far:
        (axes,), sds = viz.main(weights, means, varis).axes, np.sqrt(varis)
        assert axes.get_xlim() == (min(means - 4 * sds), max(means + 4 * sds))
        *components, mixture = [line.get_data() for line in axes.lines]
        for i, (x, y) in enumerate(components):
            near = means[i] + sds[i] * np.linspace(-4, 4, 999)  # between the points
            exact = weights[i] * norm.pdf(near, means[i], sds[i])
            assert max(abs(np.interp(near, x, y) - exact)) < 0.002 * max(exact)
        np.testing.assert_allclose(mixture[1], sum(y for _, y in components))
    assert viz.gauss(np.ones((3, 4)), 0, 1) == pytest.approx(norm.pdf(np.ones((3, 4))))
    for lengths in ([1.0], [0.0, 1], [1.0]), ([0.5, 0.5], [1, 2], [1.0]):
        with pytest.raises(ValueError):
            viz.main(*lengths)


def test_the_legend_has_the_parameters_in_columns_in_any_unit(viz, fit, data):
    fit = changed(fit, [0.25, 0.75], [2, -13.29], [0.25, 28.1171917], ll=-1.5, bic=9)
    fit |= {"tol": 1e-6, "restarts": 9, "seed": 3, "min_sd": 0.5}
    figure = viz.figure_of(fit, viz.view_of([fit["mixture"]], data))
    legible(figure)
    (axes,), (legend,) = figure.axes, figure.legends
    assert axes.get_title("right") == r"$k = 2,\ \rm ll = -1.50,\ BIC = 9.00$"
    *found, heads = legend.get_title().get_text().splitlines()
    settings = r"tol = $10^{−6}$, $\sigma \geq 0.5$, seed 3"
    assert found == ["best of 9 restarts,", settings]
    assert heads.split() == [r"$\pi$", r"$\mu$", r"$\sigma^2$"]
    rows = legend.get_texts()[:2]
    wanted = [["1", "0.2500", "2.000", "0.2500"], ["2", "0.7500", "-13.29", "28.12"]]
    assert [row.split() for row in texts(rows)] == wanted
    assert len({re.sub("[^.]", " ", row) for row in texts(rows)}) == 1, "points"
    assert np.ptp([row.get_window_extent().width for row in rows]) < 1, "no typewriter"
    assert min(text.get_size() for text in legend.get_texts()) >= 8
    figure = viz.figure_of(fit | {"data": "µ²"}, viz.view_of([fit["mixture"]], data))
    assert figure.legends[0].get_texts()[-1].get_family() == ["DejaVu Sans Mono"]
    far, noise = ([1.7e9, 1.7e9 + 0.05], [1e-4] * 2), ([7e-14, 3.0], [1e-10, 1])
    wanted = ["1700000000.0000", "1700000000.0500"], ["0.000", "3.000"]
    for mixture, column in zip((far, noise), wanted):
        other = changed(fit, [0.5, 0.5], *mixture)
        legend = viz.figure_of(other, viz.view_of([other["mixture"]])).legends[0]
        assert [row.split()[2] for row in texts(legend.get_texts()[:2])] == column


def test_the_numbers_stand_in_a_row_at_the_means_where_there_is_room(viz, fit):
    means, varis = [0, 2.02, 2, 5, 6, 7], [1, 1, 1, 1, 1e-8, 1]
    fit = changed(fit, [0.3, 0.1, 0.395, 0.2, 0.005, 0], means, varis)
    values = np.random.default_rng(0).normal([0, 2, 5], 1, (400, 3)).ravel()
    figure = viz.figure_of(fit, viz.view_of([fit["mixture"]], values))
    legible(figure)
    (axes,) = figure.axes
    numbers = {text.get_text(): text.xy[0] for text in axes.texts}
    assert numbers == {"1": 0, "3": 2, "4": 5, "$5^\\uparrow$": 6}
    assert all(text.get_window_extent().y0 >= axes.bbox.y1 for text in axes.texts)
    assert {(text.xy[1], text.get_size()) for text in axes.texts} == {(1, 7)}


def test_the_x_axis_is_of_the_bulk_and_what_is_beyond_is_counted(viz, fit, data):
    random, wide = np.random.default_rng(1), [[0.9, 0.1], [0.0, 1.0], [1.0, 1e6]]
    samples = random.standard_cauchy(500), random.standard_t(3, 20_000), data
    for sample in *samples, np.repeat([3, 4, 5], 40), np.repeat([0, 7], [199, 1]):
        n, view = len(sample), viz.view_of([wide], sample)
        left, right = np.percentile(sample, [1, 99])
        assert view.low < left and right < view.high
        beyond = np.count_nonzero((sample < view.low) | (sample > view.high))
        wide_enough = right - left >= (view.high - view.low) / 2
        assert wide_enough or (left == right and beyond == 0)
        densities, edges = view.bars
        assert densities @ np.diff(edges) == pytest.approx(1 - beyond / n)
        assert 12 < len(densities) <= 120 or left in (0, 3)
        label = f"data.txt, n = {n:,} ({beyond} beyond)".replace(" (0 beyond)", "")
        legend = viz.figure_of(fit | {"n": n}, view).legends[0]
        assert texts(legend.get_texts())[-1] == label
    assert viz.view_of([wide], np.array([*range(48), 1000])).beyond == 0
    unseen = viz.view_of([wide])
    assert 100 < unseen.high < 3000 and unseen.bars is None
    for needle, low, high in (1e-10, 1.29, 1.31), (0.1, 0.99, 1.2):  # cut, and whole
        values = norm.ppf((np.arange(400) + 0.5) / 400)
        view = viz.view_of([[[0.97, 0.03], [0, 1], [1, needle]]], values)
        assert low < view.top / 1.05 / max(view.bars[0]) < high


@pytest.mark.parametrize("step, unit", STEPS)
def test_bars_of_rounded_values_are_as_high_as_the_mixture(viz, step, unit):
    for seed, sd in itertools.product(range(3), (4 * step, 30 * step)):
        values = np.random.default_rng(seed).normal(50, sd, 20_000)
        values = np.round(np.round(np.round(values / step) * step / unit) * unit, 6)
        values = np.append(values, values[:3] + unit / 2)  # a few are rounded less
        densities, edges = viz.view_of([[[1], [50], [sd**2]]], values).bars
        middle = (edges[:-1] > 50 - sd) & (edges[1:] < 50 + sd)
        wanted = np.diff(norm.cdf(edges, 50, sd)) / np.diff(edges)
        ratios = densities[middle] / wanted[middle]
        assert min(ratios) > 0.6 and max(ratios) < 1.55


def test_bars_are_of_all_values_of_two_channels_that_take_turns(viz):
    channels = np.random.default_rng(0).normal(0, [1, 5, 1], (100_000, 3)).ravel()
    densities, edges = viz.view_of([[[1.0], [0.0], [9.0]]], channels).bars
    x = (edges[1:] + edges[:-1]) / 2
    wanted = (2 * norm.pdf(x) + norm.pdf(x, 0, 5)) / 3
    np.testing.assert_allclose(densities, wanted, atol=0.01)
    assert 15 < edges[-1] - edges[0] < 60, "the axis is of one channel"
    spike = np.append(np.zeros(40), np.random.default_rng(0).normal(3, 0.7, 60))
    densities, edges = viz.view_of([[[1], [2], [9]]], spike).bars
    tallest = np.argmax(densities)
    assert edges[tallest] + edges[tallest + 1] == pytest.approx(0), "not in its middle"


@pytest.mark.parametrize("middle, sd", UNITS)
def test_ticks_are_true_and_no_texts_overlap_in_any_unit(viz, fit, middle, sd):
    for k, letters, ll in (1, 5, -1e3), (3, 60, -123456789.12), (12, 20, 4321):
        means = middle + sd * np.linspace(-6, 6, k)
        fit = changed(fit, np.full(k, 1 / k), means, np.geomspace(1e-8, 1, k) * sd**2)
        fit |= {"data": "n" * letters, "ll": ll, "bic": -2 * ll, "n": 12_345_678}
        values = np.concatenate([means + i * sd for i in np.linspace(-2, 2, 9)])
        mixtures = [fit["mixture"]]
        for view in viz.view_of(mixtures, values), viz.view_of(mixtures):
            figure = viz.figure_of(fit, view, 1.5)
            legible(figure)
            (axes,), (legend,) = figure.axes, figure.legends
            size = figure.get_size_inches().tolist()
            assert size == [6.5, 1.5] or (k == 12 and size[1] > 1.5)
            assert axes.bbox.width > 0.28 * figure.bbox.width
            offset = axes.yaxis.get_offset_text()  # clear of the components' numbers
            assert offset.get_window_extent().x1 <= axes.bbox.x0 + 1
            box, (low, high) = legend.get_window_extent(), axes.get_xlim()
            assert box.x0 > axes.bbox.x1 and box.y0 > -2
            assert low < min(means) and max(means) < high


def test_fits_of_the_same_data_only_share_their_axes_and_are_compared(viz, fit, data):
    stdin, elsewhere = fit | {"data": "-"}, {"folder": Path("elsewhere").absolute()}
    other = changed(fit, np.full(9, 1 / 9), np.arange(9) * 2, np.ones(9))
    apart = [fit, other | {"n": 9}], [fit, other | elsewhere], [stdin, stdin | {"n": 9}]
    for pair in apart:
        assert "data-comparison" not in dict(viz.figures(pair))
    pair = [stdin, other | elsewhere | {"data": "-"}]
    stems = [stem for stem, _ in viz.figures(pair)]
    assert stems == ["stdin-k2", "stdin-k9", "stdin-comparison"]
    np.savetxt("data.txt", data)
    logs = norm.logpdf(data[:, None], other["means"]) - np.log(9)
    drawn = viz.figures([fit, other | {"ll": logsumexp(logs, axis=1).sum()}])
    parts = [(figure.subfigs or [figure])[0] for _, figure in drawn]
    panels = [axes for part in parts for axes in part.axes if axes.lines]
    assert len({axes.viewLim.bounds for axes in panels}) == 1 and len(panels) == 4
    for axes in panels:
        assert len(axes.patches) == 1, "a histogram is missing"
        assert [line.get_color() for line in axes.lines[:2]] == list(viz.COLOURS[:2])


@pytest.fixture
def search(fit):
    """Return search(tol, restarts, ks, **changes) -> fits, BIC falling with k."""

    def fits(tol, restarts, ks, **changes):
        facts = {"tol": tol, "restarts": restarts, "ll": -1e8, "data": "-"} | changes
        mixtures = {k: ([1 / k] * k, range(k), [1] * k) for k in ks}
        return [changed(fit, *mixtures[k], bic=60 - k, **facts) for k in ks]

    return fits


def test_the_comparison_fills_the_lowest_bic_only_and_grows(viz, search):
    fits = search(1, 0, [4, 3, 2, 1]) + search(1e-6, 50, [1, 3, 2], ll=-1e8 - 1e-5)
    fits[1] |= {"bic": 49.5, "ll": -2e8}  # neither the last, nor of the highest ll
    series, view = viz.series_of(fits), viz.view_of([fits[0]["mixture"]])
    figure = viz.compare(series, view)
    legible(figure)
    panels, (ll, bic) = figure.subfigs[0].axes, figure.subfigs[1].axes
    assert [len(axes.lines) for axes in panels] == [2, 2, 3, 3, 4, 4, 5, 0]
    assert [axes.get_ylabel() for axes in panels[::2]] == [f"$k = {k}$" for k in "1234"]
    titles = [axes.get_title().partition("=")[2] for axes in panels[4:6]]
    scores = r" -200000000.00,\ BIC\ = 49.50$", r" -100000000.00,\ BIC\ +7.50$"
    assert titles == [*scores]
    for axes, key in (ll, "ll"), (bic, "bic"):
        lines = [line for line in axes.lines if line.get_mfc() == "none"]
        points = [[[k, own[k][key]] for k in sorted(own)] for own in series]
        assert [line.get_xydata().tolist() for line in lines] == points
        styles = {(line.get_marker(), line.get_linestyle()) for line in lines}
        assert len(styles) == len(dict(styles)) == len({style for _, style in styles})
        ticks = [tick for tick in axes.get_xticks() if 1 <= tick <= 4]
        assert ticks == [1, 2, 3, 4]
        filled = [line for line in axes.lines if line not in lines]
        wanted = [[[3, 49.5]]] if key == "bic" else []
        assert [line.get_xydata().tolist() for line in filled] == wanted
    more = [search(1, seed, range(1, 14), ll=-1e3 - 1e-5 * seed) for seed in range(5)]
    large = viz.compare([viz.series_of(own)[0] for own in more], view)
    legible(large)
    boxes = [axes.bbox.size / figure.dpi for axes in large.subfigs[0].axes]
    assert (np.min(boxes, axis=0) > [1.2, 0.4]).all()
    assert np.ptp(large.subfigs[1].axes[0].get_ylim()) >= 1, (
        "rounding looks like a climb"
    )
    lines = large.subfigs[1].axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 5


def test_a_series_has_one_search_and_its_label_tells_what_differs(viz, search, capfd):
    fits = search(1e-6, 50, [4, 3]) + search(1e-6, 9, [2]) + search(1e-6, 100, [4])
    fits += search(1e-6, 9, [5], min_sd=0.5) + search(1, 0, [2, 3])
    fits += search(1, 0, [2], seed=3)
    *_, (_, comparison) = viz.figures(fits)
    legends = [axes.get_legend() for axes in comparison.subfigs[0].axes[:5]]
    labels = [texts(legend.get_texts())[0].replace("\n", " ") for legend in legends]
    start, tight = "handout's start, tol = $1$", r"restarts, tol = $10^{−6}$"
    searches = [f"best of {count} {tight}" for count in ("9 to 50", 100, 9)]
    assert labels[:4] == [start, f"{start}, seed 3", *searches[:2]]
    assert labels[4] == rf"{searches[2]}, $\sigma \geq 0.5$"
    stems = [stem for stem, _ in viz.figures([*fits, *search(0.1, 0, [2])])]
    assert stems == [f"stdin-k{fit['k']}" for fit in fits] + ["stdin-k2"]
    assert " 6 series" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["txt", "gz", "int8.npy", "float16.npy", "column.npy"])
def test_the_histogram_is_of_the_data_that_the_fit_names(viz, fit, tmp_path, kind):
    file, link = tmp_path / "store.bin", tmp_path / f"velocities.{kind}"
    link.symlink_to(file)
    data = np.resize([-100, 100, 9, 8], 400).astype("int8" if "int" in kind else "f2")
    if link.suffix == ".npy":
        np.save(link, data[:, None] if "column" in kind else data)
    else:
        link.write_text("\ufeff# a comment\n" + "\n".join(map(str, data)), "utf-8")
    ll = norm.logpdf(data.astype(float), 0, 70).sum()
    fit = changed(fit, [1.0], [0], [4900], data=link.name, ll=ll)
    for here, folder in ("/", tmp_path / "below"), (tmp_path, Path("/")):
        os.chdir(here)
        found, values = viz.find_data(fit | {"folder": folder})
        assert (found, values.tolist()) == (file, data.tolist())
        assert isinstance(values, np.memmap) == (link.suffix == ".npy")
        ((stem, figure),) = viz.figures([fit | {"folder": folder}])
        assert stem == f"{link.stem}-k1" and len(figure.axes[0].patches) == 1


def test_what_is_not_the_data_is_not_drawn_but_noted(viz, fit, data, capfd):
    os.mkfifo("pipe.npy")  # which would be waited for
    np.savetxt("pairs", np.c_[data, data])
    np.savetxt("moments", 2 * data.mean() - data)  # of the same n, mean and variance
    np.savetxt("inf", np.full(400, np.inf))
    np.save("words.npy", np.full(400, "word"))
    Path("empty").touch()
    Path("bad.npy").write_bytes(b"\x93NUMPY\x00not numbers")
    for name in "-", "data.txt":
        np.savetxt(name, data)
    assert viz.find_data(fit)[1] is not None
    names = "-", "gone.xz", "pipe.npy", "bad.npy", "words.npy", "pairs", "inf", "empty"
    wrong = [fit | {"data": name} for name in (*names, "moments")]
    for other in *wrong, fit | {"n": 399}, fit | {"ll": fit["ll"] + 1}:
        ((_, figure),) = viz.figures([other])
        note = capfd.readouterr().err
        assert not figure.axes[0].patches and note.count("\n") == (other["data"] != "-")
        assert f"{other['data']} with {other['n']} values" in note or not note


def test_a_data_file_is_parsed_once_and_found(viz, fit, data, monkeypatch):
    parsed, read = [], np.loadtxt
    count = lambda *a, **b: parsed.append(a) or read(*a, **b)  # noqa: E731
    monkeypatch.setattr(np, "loadtxt", count)
    os.makedirs("above/fits")
    np.savetxt("above/data.txt", data)
    np.savetxt("above/fits/data.txt", 2 * data)
    fit["folder"] = Path("above/fits").absolute()
    *_, (stem, figure) = viz.figures([fit | {"tol": 10.0**-i} for i in range(4)])
    assert stem == "data-comparison" and figure.subfigs[0].axes[0].patches
    assert len(parsed) == 2


@pytest.mark.parametrize("name, kind", NAMES)
def test_any_name_gives_the_same_file_on_any_day(viz, called, monkeypatch, name, kind):
    text = Path("fit.txt").read_text().replace("data.txt", name).replace("\n", "\r\n")
    Path("fit.txt").write_bytes(f"\ufeff{text}".encode(errors="surrogateescape"))
    ((stem, figure),) = viz.figures(fits := viz.read_fits("fit.txt"))
    assert legible(figure) and stem == f"{Path(name).stem}-k2"
    assert [fit["data"] for fit in fits] == [name]
    path, contents = Path(f"new/folder/{stem}.{kind}"), set()
    for day in "12":
        monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{day}00000")
        called(f"fit.txt -o new/folder --format {kind} --height 1.5")
        contents.add(content := path.read_bytes())
    assert len(contents) == 1 and os.listdir(path.parent) == [path.name]
    size = {"svg": b'height="108pt"', "png": struct.pack(">II", 1300, 300)}
    assert size.get(kind, b"/FontFile2") in content and b"/Type3" not in content


def test_read_fits_returns_what_was_printed_also_in_utf_16(viz, em, data, printed):
    Path("fit.txt").write_text("".join(printed.values()), "utf-16")
    fits = viz.read_fits("fit.txt")
    assert [fit["k"] for fit in fits] == [2, 3, 4, 5, 6]
    *mixture, ll = em.train(data, 3, 1)
    for key, values in zip(("weights", "means", "varis"), mixture):
        np.testing.assert_allclose(fits[1][key], values, rtol=1e-12)
    wanted = {"data": "data.txt", "n": 400, "k": 3, "tol": 1.0, "min_sd": 0.0}
    wanted |= {"restarts": 0, "seed": 0, "start": "handout", "iterations": 15}
    found = {key: fits[1][key] for key in wanted}
    assert repr(found) == repr(wanted) and fits[1]["ll"] == pytest.approx(ll)
    assert fits[1]["bic"] == pytest.approx(8 * np.log(400) - 2 * ll)


def test_wrong_arguments_get_a_line_and_no_file(called):
    with open("fit.txt") as file:
        os.dup2(file.fileno(), 0)  # standard input, which has an end
    for arguments, error in ARGUMENTS.items():
        code, out, err = called(arguments)
        assert err.splitlines()[-1].startswith(f"gmm-visualize.py: error: {error}")
        assert (code, out, os.listdir()) == (2, "", ["fit.txt"])


def test_what_is_not_a_fit_is_named_with_its_line(called, printed):
    for case in re.split("[|]|\n(?=[0-9])", LINES):
        number, line = case.split(" ", 1)
        line = line.replace(r"\n", "\n").replace(r"\0", "\0")
        key = line.partition(" ")[0]
        bad = re.sub(f"(?m)^{key} .*", lambda _, line=line: line, printed[2])
        Path("bad.txt").write_bytes(bad.encode("latin-1", "replace"))
        code, out, err = called("fit.txt bad.txt")
        assert (code, out, sorted(os.listdir())) == (2, "", ["bad.txt", "fit.txt"])
        wanted = rf"gmm-visualize.py: error: bad.txt:{number}: expected .*, found .*\n"
        assert re.fullmatch(wanted, err) and "again" not in err
    for key in "min_sd", "restarts", "seed":
        Path("fit.txt").write_text(re.sub(f"(?m)^{key}: .*\n", "", printed[2]))
        assert called("fit.txt")[2].endswith("make it again with this gmm-em.py\n")


def test_several_fits_are_compared_and_no_figure_is_lost(called, printed, tmp_path):
    fits, figures = Path("writeup/fits"), tmp_path / "writeup" / "figures"
    os.makedirs(fits / "others")
    (fits / "others" / "k2.txt").write_text(printed[2])
    (fits / "2.txt").write_text(printed[3] + printed[2].replace("tol: 1", "tol: 2"))
    (fits / "1.txt").write_text(printed[2])
    code, out, _ = called("")
    names = [f"{figures}/data-{end}.png" for end in ("k2", "k3", "k2-2", "comparison")]
    assert (code, out.splitlines()) == (None, names)
    assert sorted(map(str, figures.iterdir())) == sorted(names)
    assert plt.get_fignums() == [], "figures are kept that nobody sees"


def test_show_opens_windows_and_says_when_it_cannot(viz, called, monkeypatch):
    shown, canvas = [], type(plt.figure().canvas)
    monkeypatch.setattr(plt, "show", lambda block: shown.append(plt.get_fignums()))
    for name in "foo", "module://gone", "module://os", "webagg", "svg", "pdf", "Agg":
        monkeypatch.setattr(viz, "BACKEND", name)
        code, out, err = called("fit.txt --show")
        assert (code, out, shown) == (None, "data-k2.png\n", []) and "only saved" in err
        plt.switch_backend("Agg")
    plt.close("all")
    monkeypatch.setattr(canvas, "required_interactive_framework", "tk")
    monkeypatch.setattr(plt, "switch_backend", lambda name: None)
    assert "only saved" not in called("fit.txt --show")[2] and len(shown[0]) == 1


def test_settings_of_the_user_change_nothing(data):
    np.savetxt("data.txt", data)
    settings = "text.usetex: True|axes.grid: True|figure.facecolor: red|lines.marker: o"
    settings += "|axes.labelsize: 20|savefig.dpi: 30|savefig.bbox: tight|font.size: 20"
    os.mkdir("own")
    Path("own/matplotlibrc").write_text(settings.replace("|", "\n"))
    assert shell("cd own && $run ../fit.txt")[0] == 0
    done = shell("$run fit.txt", MPLBACKEND="unknown", PYTHONOPTIMIZE="2")
    assert done == (0, "data-k2.png\n", "")
    assert Path("data-k2.png").read_bytes() == Path("own/data-k2.png").read_bytes()
    load = f"import os, runpy; runpy.run_path('{SCRIPT}'); print(os.environ)"
    assert (
        shell(f'{sys.executable} -c "{load}"', MPLBACKEND="svg")[1].count("'svg'") == 1
    )


def test_other_runs_full_disks_and_signals_leave_whole_files_only():
    done = shell("$run fit.txt & $run fit.txt --format pdf & $run fit.txt & wait")
    whole = ["data-k2.pdf", "data-k2.png", "fit.txt"]
    assert sorted(done[1].split()) == ["data-k2.pdf", "data-k2.png", "data-k2.png"]
    old = Path("data-k2.png").read_bytes()
    assert old[1:4] == b"PNG" and Path("data-k2.pdf").read_bytes()[:4] == b"%PDF"
    code, out, err = shell("ulimit -f 8; $run fit.txt")
    assert (code, out) == (2, "") and err.endswith("File too large\n")
    patch = "    Path.replace = lambda *_: os.kill(os.getpid(), 15); command_line"
    Path("../killed.py").write_text(
        SCRIPT.read_text().replace("    command_line", patch)
    )
    assert shell(f"{sys.executable} ../killed.py fit.txt")[0] == 143
    assert sorted(os.listdir()) == whole and Path("data-k2.png").read_bytes() == old


def test_streams_locales_and_folders_cost_no_figure(data, printed):
    for i, end in enumerate(["2>/dev/full", ">&- 2>&- <&-", ">/dev/full"]):
        code = shell(f"cat fit.txt fit.txt >two.txt; $run two.txt -o {i} {end}")[0]
        assert code == (2 if i == 2 else 0)  # where the names of the figures are lost
        assert sorted(os.listdir(f"{i}"))[-2:] == ["data-k2-2.png", "data-k2.png"]
    np.savetxt("donné.txt", data)
    Path("fit.txt").write_text(printed[2].replace("data.txt", "donné.txt"), "utf-8")
    plain = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "C"}
    code, _, err = shell("$run fit.txt -o é", **plain)
    assert (code, err, os.listdir("é")) == (0, "", ["donné-k2.png"])
    code, out, err = shell("mkdir gone; cd gone; rmdir ../gone; $run - <../fit.txt")
    assert (code, out, err.count("\n")) == (2, "", 1)
