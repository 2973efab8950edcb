"""gmm-visualize.py: its figures by structure, its command line, the fits it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from matplotlib import pyplot as plt
from matplotlib.colors import rgb_to_hsv, to_rgb
from scipy.integrate import trapezoid
from scipy.stats import norm

plt.switch_backend("Agg")
IGNORED = "ignore::DeprecationWarning", "ignore:(Glyph|loadtxt)"
pytestmark = pytest.mark.filterwarnings("error", *IGNORED)
FIT = (ROOT / "writeup" / "fits" / "k2.txt").read_text()
NAMES = [("dié_$x^2$日\udcff.t", "svg"), (240 * "n", "pdf"), ("\f\u2028\x85. ", "png")]
EDGES = [  # means, sd, and values that are not to be beyond or on the edge
    ([20.0], 1e-16, [20.0] * 99 + [np.nextafter(20, 21)]),
    ([1.2], 1.2, [0, 1e-310, 1, 2, 3]),
    *(([0, far], 1.0, [-1, 1, far - 1, far + 1] * 99) for far in (1e4, 1e6)),
    *(([1.7e9, 1.7e9 + 8 * sd], sd, [1.7e9, 1.7e9 + 8 * sd]) for sd in (1e-3, 1, 1e4)),
]
WRONG = [  # arguments, or the line that stands in bad.txt for the one of this key
    ("- -", "standard input:1: expected a whole fit, from data to bic, found none"),
    ("gone.txt", "cannot read gone.txt: No such file or directory"),
    ("fit.txt -o fit.txt", "cannot write fit.txt/data-k2.png and its name: [Errno"),
    ("fit.txt --format gif", "argument --format: invalid choice: 'gif'"),
    ("", "expected fits in writeup/fits, found none: make -C writeup"),
    ("data: \0", "bad.txt:1: expected data: ..., found 'data: \\x00'"),
    ("n: café", "bad.txt:2: expected n: ..., found 'n: caf\\udce9'"),
    ("n: 1\nn: 1", "bad.txt:3: expected k: ..., found 'n: 1'"),
    ("tol: 0", "bad.txt:4: expected tol: ..., found 'tol: 0'"),
    ("start: $x^2_$", "bad.txt:5: expected start: ..., found"),
    ("k: 3", "bad.txt:7: expected weights: 3 numbers ≥ 0, sum 1, found 'weights: 0."),
    ("weights: 0.2 0.7", "bad.txt:7: expected weights: 2 numbers ≥ 0, sum 1"),
    ("weights: -1 2", "bad.txt:7: expected weights: 2 numbers ≥ 0, sum 1"),
    ("means: nan 9", "bad.txt:8: expected means: 2 numbers, found 'means: nan 9'"),
    ("means: 1e308 9", "bad.txt:8: expected means: 2 numbers, found"),
    ("varis: 0 9", "bad.txt:9: expected varis: 2 numbers > 0, found"),
    ("bic: 1 2", "bad.txt:11: expected bic: ..., found 'bic: 1 2'"),
    ("bic: 1\ndata: a", "bad.txt:14: expected a whole fit, from data to bic, found"),
    (f"bic: 1\n{FIT}\n3", "bad.txt:25: expected data: ..., found '3'"),
]


@pytest.fixture(autouse=True)
def fit(viz, tmp_path, monkeypatch):
    """Run every test in a folder of its own, with a fit but not its data."""
    monkeypatch.setattr(viz, "HERE", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("fit.txt").write_text(FIT)
    plt.close("all")
    return viz.read_fits("fit.txt")[0]


@pytest.fixture
def called(command, viz):
    """Return called(arguments) -> exit code, stdout, stderr of the script."""
    return lambda arguments: command(*arguments.split(), script=viz)


def variant(fit, k, **changes):
    """Return a fit of k equal components, with nearly the ll of any other k."""
    mixture = np.full((3, k), [[1 / k], [7], [1]])
    scores = {"ll": -1e5 - 1e-5 * k, "bic": 50 + k, "scores": f"scores of {k}"}
    return fit | scores | {"k": k, "mixture": mixture} | changes


def texts(artists):
    return [artist.get_text() for artist in artists]


def laid_out(figure):
    """Return its axes and the words of its legend, if all is legible, in its place."""
    figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    artists = axes._left_title, axes._right_title, legend, *axes.texts
    left, right, key, *boxes = [artist.get_window_extent() for artist in artists]
    assert figure.get_figwidth() == 6.5 and axes.bbox.width > 0.35 * figure.bbox.width
    assert key.x0 > axes.bbox.x1 and key.x1 <= figure.bbox.x1 and key.y0 > -2
    assert left.x1 <= right.x0 and min(t.get_size() for t in legend.get_texts()) >= 8
    tops = [title.y1 for title in (left, right) if title.width]
    assert all(axes.bbox.y1 < top <= figure.bbox.y1 for top in tops)
    for axis in axes.xaxis, axes.yaxis:
        low, high = axis.get_view_interval()
        assert sum(low <= tick <= high for tick in axis.get_majorticklocs()) >= 3
    x, y = axes.transData.transform(axes.lines[-1].get_xydata()).T
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        curve = max(y[(box.x0 < x) & (x < box.x1)], default=0)
        assert min(curve, axes.bbox.y1) - 1.5 <= box.y0 and box.y1 <= right.y0
    return axes, [*map(str.split, texts([legend.get_title(), *legend.get_texts()]))]


def test_plot_model_draws_every_component_and_the_mixture_on_top(viz):
    x, k = np.random.default_rng(0).permutation(np.linspace(-3, 15, 50)), 12
    clusters = np.array([norm.pdf(x, i, 1) / k for i in range(k)])
    model, order = clusters.sum(axis=0), np.argsort(x)
    figure = viz.plot_model(x.tolist(), clusters.tolist(), model.tolist())
    axes, labels = laid_out(figure)
    names = [["component", f"{i + 1}"] for i in range(k)]
    assert labels == [[], *names, ["mixture", "$p(x)$"]]
    wanted = [(x[order], curve[order]) for curve in (*clusters, model)]
    np.testing.assert_array_equal([line.get_data() for line in axes.lines], wanted)
    colours = [to_rgb(line.get_color()) for line in axes.lines]
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(styles) == k + 1 and colours[k] == (0, 0, 0)
    hues = np.sort(rgb_to_hsv(colours[:4])[:, 0])
    assert min(np.diff([*hues, hues[0] + 1])) > 0.1, "two of four look the same"
    areas = [tuple(area.get_facecolor()[0, :3]) for area in axes.collections]
    keys = [key.get_facecolor()[:3] for key in figure.legends[0].legend_handles[:k]]
    assert areas == keys == colours[:k]
    tops = [area.get_datalim(axes.transData).y1 for area in axes.collections]
    assert tops == pytest.approx(clusters.max(axis=1))
    assert axes.lines[k].get_zorder() > max(a.get_zorder() for a in axes.collections)
    assert axes.viewLim.bounds == pytest.approx((-3, 0, 18, 1.05 * max(model)))


def test_the_grid_shows_every_component_however_narrow_or_far(viz):
    narrow = [0.5, 0.3, 0.2], [0.0, 5.0, 2.5], [1.0, 1.5, 1e-4]
    far = [0.9, 0.1], [1.7e9, 1.7e9 + 1e6], [1.0, 1e-4]
    for weights, means, varis in (([1.0], [5.0], [2.0]), narrow, far):
        (x, clusters, model), sds = viz.curves(weights, means, varis), np.sqrt(varis)
        assert (x[0], x[-1]) == (min(means - 4 * sds), max(means + 4 * sds))
        np.testing.assert_allclose(clusters.sum(axis=0), model)
        np.testing.assert_allclose(trapezoid(clusters, x), weights, rtol=4e-3)
        peaks = weights / sds / np.sqrt(2 * np.pi)
        np.testing.assert_allclose(clusters.max(axis=1), peaks, rtol=1e-6)
    assert viz.gauss(np.ones((3, 4)), 0, 1).shape == (3, 4)


def test_main_writes_the_parameters_in_columns_in_any_unit(viz):
    figure = viz.main([0.25, 0.75], [2, -13.29], [0.25, 16], ("a_$b", "k"))
    axes, labels = laid_out(figure)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$x$", "density")
    assert [axes.get_title(side) for side in ("left", "right")] == ["a_$b", "k"]
    assert not axes._left_title.get_parse_math() and figure.get_figheight() == 2.8
    assert not any(axes.spines[side].get_visible() for side in ("top", "right"))
    rows = "1 0.2500 2.000 0.2500", "2 0.7500 -13.290 16.0000"
    assert labels[:3] == [row.split() for row in (r"$\pi$ $\mu$ $\sigma^2$", *rows)]
    rows = figure.legends[0].get_texts()[:2]
    points = {re.sub("[^.]", " ", row) for row in texts(rows)}
    assert len(points) == 1, "decimal points are not below each other"
    assert np.ptp([row.get_window_extent().width for row in rows]) < 1, "no typewriter"
    for lengths in ([1.0], [0.0, 1], [1.0]), ([0.5, 0.5], [1, 2], [1.0]):
        with pytest.raises(ValueError):
            viz.main(*lengths)
    rows = viz.table([1, 0], np.array([1.7e9, 1.7e9 + 0.05]), [1e-4, 4e-4])[1:]
    for mean, var in (5.25e-9, 2.345e-18), (0, 1):
        rows += viz.table([1], np.array([mean]), [var])[1:]
    wanted = """1 1.0000 1700000000.0000 0.0001000
                2 0.0000 1700000000.0500 0.0004000
                1 1.0000 5.250e-09 2.345e-18
                1 1.0000 0.00 1.000"""
    assert [row.split() for row in rows] == [*map(str.split, wanted.splitlines())]


def test_every_peak_has_its_number_clear_of_the_curves(viz):
    spike, _ = laid_out(viz.main([0.5, 0.3, 0.2], [0, 5, 2.5], [1, 1.5, 1e-6]))
    assert texts(spike.texts) == ["1", "3$\\uparrow$", "2"]
    assert norm.pdf(0) / 2 < spike.get_ylim()[1] < 20
    together = [0.3, 0.2, 0.3, 0.2, 0], [0, 0, 0.001, 5, 9], [1, 1, 1, 1, 1]
    fifth = viz.read_fits(f"{ROOT}/writeup/fits/k5.txt")[0]["mixture"]
    for mixture, last, close in (together, 4, (0, 1, 2)), (fifth, 5, (1, 2)):
        axes, _ = laid_out(viz.main(*mixture))
        assert texts(axes.texts) == [*"12345"[:last]]
        (x, model), peak = axes.lines[-1].get_data(), mixture[1][close[0]]
        heights = {axes.texts[i].xy[1] for i in close}
        assert heights == {max(model[abs(x - peak) < 1])}, "not side by side on top"


def test_the_x_axis_is_of_the_bulk_and_what_is_beyond_is_counted(viz, data):
    random, wide = np.random.default_rng(1), [[0.9, 0.1], [0.0, 1.0], [1.0, 1e6]]
    for sample in random.standard_cauchy(500), random.standard_t(3, 2000), data:
        n, view = len(sample), viz.view_of([wide], sample)
        left, right = np.percentile(sample, [1, 99])
        assert view.low < left and right < view.high
        assert right - left > 0.7 * (view.high - view.low)
        beyond = np.count_nonzero((sample < view.low) | (sample > view.high))
        label = f"data, $n$ = {n:,} ({beyond} beyond)"
        assert view.label == label.removesuffix(" (0 beyond)")
        assert view.bars[0] @ np.diff(view.bars[1]) == pytest.approx(1 - beyond / n)
    assert viz.view_of([wide], [*range(48), 1000]).label == "data, $n$ = 49"
    unseen = viz.view_of([wide])
    assert 100 < unseen.high < 3000 and not unseen.bars


def test_bars_are_of_all_values_and_hold_equally_many_steps_of_rounded_ones(viz):
    rounded = np.round(np.random.default_rng(0).normal(0.08, 0.01, 500), 3)
    grid = np.round(np.arange(min(rounded), max(rounded) + 5e-4, 1e-3), 3)
    _, edges = viz.view_of([[[1.0], [0.08], [1e-4]]], rounded).bars
    assert len(set(np.histogram(grid, edges)[0][2:-2])) == 1
    assert abs(np.subtract.outer(grid, edges)).min() > 4e-4, "a value on an edge"
    marks = np.repeat(np.arange(1.0, 8), 9)  # steps wider than a bar would be
    densities, edges = viz.view_of([[[1.0], [4.0], [4.0]]], marks).bars
    assert edges[1:9] == pytest.approx(np.arange(0.5, 8))
    assert densities[1:8] == pytest.approx([1 / 7] * 7)
    channels = np.random.default_rng(0).normal(0, [1, 5, 1], (100_000, 3)).ravel()
    densities, edges = viz.view_of([[[1.0], [0.0], [9.0]]], channels).bars
    x = (edges[1:] + edges[:-1]) / 2
    wanted = (2 * norm.pdf(x) + norm.pdf(x, 0, 5)) / 3
    np.testing.assert_allclose(densities, wanted, atol=0.01)
    assert 15 < edges[-1] - edges[0] < 60, "the axis is of one channel"


@pytest.mark.parametrize("means, sd, values", EDGES)
def test_what_is_far_or_narrow_stands_inside_of_the_axes(viz, means, sd, values):
    k, margin = len(means), 0.05 * np.ptp(values)
    mixture = [1 / k] * k, means, [sd**2] * k
    for view in viz.view_of([mixture], values), None:
        axes, _ = laid_out(viz.main(*mixture, view=view))
        low, high = axes.get_xlim()
        assert low < min(values) - margin and max(values) + margin < high
        assert max(axes.lines[0].get_ydata()) > 0
        if low > 10:
            offset = float(axes.get_xlabel().partition(" minus ")[2].replace(",", ""))
            ticks = [text.strip("$") for text in texts(axes.get_xticklabels())]
            error = offset + np.array(ticks, float) - axes.get_xticks()
            assert max(abs(error)) < 1e-3 * (high - low) + 1e-15 * low
            assert max(map(len, ticks)) <= 7


def test_fits_of_the_same_data_only_share_their_axes_and_are_compared(viz, fit, data):
    stdin, elsewhere = fit | {"data": "-"}, {"folder": Path("elsewhere").absolute()}
    apart = [fit, fit | {"n": 399}], [fit, fit | elsewhere], [stdin, stdin | {"n": 399}]
    assert [len(dict(viz.figures(pair))) for pair in apart] == [1, 1, 1]
    stems = [stem for stem, _ in viz.figures([stdin, stdin | elsewhere])]
    assert stems == ["stdin-k2", "stdin-k2", "stdin-comparison"]
    np.savetxt("data.txt", data)
    other = variant(fit, 12, tol=1e-6, start="random 7 of 50")
    drawn = dict(viz.figures([fit, other], 1.5))
    assert list(drawn) == ["data-k2", "data-k12", "data-comparison"]
    *figures, comparison = *dict(viz.figures([fit])).values(), *drawn.values()
    (alone, *both), labels = zip(*map(laid_out, figures))
    panels = [axes for axes in comparison.subfigs[0].axes if axes.lines]
    frames = {axes.viewLim.bounds for axes in (*both, *panels)}
    assert len(frames) == 1 and len(panels) == 2
    for axes in (*both, *panels):
        assert len(axes.patches) == 1, "a histogram is missing"
        assert [line.get_color() for line in axes.lines[:2]] == list(viz.COLOURS[:2])
        assert max(axes.lines[-1].get_ydata()) < axes.get_ylim()[1]
    first, last = "start: handout, tol = $1$", "start: random 7 of 50, tol = $10^{−6}$"
    assert [" ".join(words[0][:-3]) for words in labels] == [first, first, last]
    scores = r"$k = 2$,  $\rm ll = -1117.73,\ BIC = 2265.42$"
    assert [alone.get_title(side) for side in ("left", "right")] == ["data.txt", scores]


def test_the_comparison_has_every_fit_with_its_scores_and_both_against_k(viz, fit):
    tight, random = {"tol": 1e-6}, {"tol": 1e-6, "start": "random 7 of 50"}
    fits = [variant(fit, k, **tight) for k in (1, 2)]
    fits += [variant(fit, k) for k in (10, 1, 2)]
    series = viz.series_of(fits + [variant(fit, k, **random) for k in (2, 10)])
    assert [sorted(own) for own in series] == [[1, 2, 10], [1, 2], [2, 10]]
    figure = viz.compare(series, viz.View(-5, 14, 0.5))
    figure.draw_without_rendering()
    left, right = figure.subfigs
    grid, (ll, bic) = np.reshape(left.axes, (3, 3)), right.axes
    assert [len(axes.lines) for axes in left.axes] == [2, 2, 0, 3, 3, 3, 11, 0, 11]
    assert [axes.get_title() for axes in grid[1]] == 3 * ["scores of 2"]
    assert [axes.get_ylabel() for axes in grid[::2, 0]] == ["$k = 1$", "$k = 10$"]
    keys = [words for axes in grid[0] for words in texts(axes.get_legend().get_texts())]
    start, best, tol = "handout's start,\n", "best of 50 restarts,\n", "tol = $10^{−6}$"
    assert keys == [f"{start}tol = $1$", start + tol, best + tol]
    for axes in ll, bic:
        assert len({line.get_marker() for line in axes.lines}) == 3
    points = ll.lines[0].get_xydata().tolist()
    assert points == [[k, -1e5 - 1e-5 * k] for k in (1, 2, 10)]
    filled = [line for line in bic.lines if line.get_markerfacecolor() == "black"]
    assert [[*line.get_xydata()[0]] for line in filled] == [[1, 51], [1, 51], [2, 52]]
    names = ll.get_ylabel(), bic.get_ylabel().split()[0], bic.get_xlabel()
    assert len(bic.lines) == 6 and names == ("ll", "BIC", "$k$")
    assert np.ptp(ll.get_ylim()) >= 1, "a difference of 1e-5 looks like a climb"
    assert ll.yaxis.get_offset_text().get_text() == "" and figure.get_figwidth() == 6.5
    assert viz.series_of([fit | {"k": 3}, fit | {"start": "random 1 of 5"}])[1:] == []


@pytest.mark.parametrize("kind", ["txt", "gz", "int8.npy", "float16.npy", "column.npy"])
def test_the_histogram_is_of_the_data_that_the_fit_names(viz, tmp_path, kind):
    file, link = tmp_path / "store.bin", tmp_path / f"velocities.{kind}"
    link.symlink_to(file)
    data = np.resize([-100, 100, 9, 9], 400).astype("int8" if "int" in kind else "f2")
    if link.suffix == ".npy":
        np.save(link, data[:, None] if "column" in kind else data)
    else:
        link.write_text("\ufeff# a comment\n" + "\n".join(map(str, data)), "utf-8")
    os.renames("fit.txt", "below/fit.txt")
    fit = viz.read_fits("below/fit.txt")[0] | {"data": link.name, "means": [4.5, 4.5]}
    os.chdir("/")
    found, values = viz.find_data(fit)
    assert (found, values.tolist()) == (file, data.tolist())
    assert isinstance(values.base, np.memmap) == (link.suffix == ".npy")
    ((stem, figure),) = viz.figures([fit])
    assert stem == f"{link.stem}-k2" and len(figure.axes[0].patches) == 1
    os.chdir(tmp_path)
    assert viz.find_data(fit | {"folder": Path("/")})[0] == file, "not where it is run"


def test_what_is_not_the_data_is_not_drawn(viz, fit, data):
    os.mkfifo("pipe.npy")  # which would be waited for
    other = {"pairs": np.c_[data, data], "inf": np.full(400, np.inf), "empty": []}
    for name, values in {"data.txt": data, "-": data, **other}.items():
        np.savetxt(name, values)
    Path("bad.npy").write_bytes(b"\x93NUMPY\x00not numbers")
    assert viz.find_data(fit)[1] is not None
    names = "gone.xz", "pipe.npy", "-", "bad.npy", *other
    wrong = {"n": 399}, {"means": fit["means"] + 1}, *({"data": name} for name in names)
    for change in wrong:
        path, values = viz.find_data(fit | change)
        assert values is None and Path(path).name == (fit | change)["data"]


@pytest.mark.parametrize("name, kind", NAMES)
def test_any_data_give_the_same_file_on_any_day(viz, called, monkeypatch, name, kind):
    content = "\ufeff" + FIT.replace("data.txt", name).replace("\n", "\r\n")
    Path("fit.txt").write_bytes(content.encode(errors="surrogateescape"))
    ((stem, figure),) = viz.figures(fits := viz.read_fits("fit.txt"))
    assert laid_out(figure) and stem == f"{Path(name).stem}-k2"
    assert [fit["data"] for fit in fits] == [name]
    path, contents = Path(f"new/folder/{stem}.{kind}"), set()
    for day in "12":
        monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{day}00000")
        called(f"fit.txt -o new/folder --format {kind} --height 1.5")
        contents.add(content := path.read_bytes())
    assert len(contents) == 1 and b"/Type3" not in content
    assert kind != "svg" or b'height="108pt"' in content
    assert os.listdir(path.parent) == [path.name]


def test_several_fits_are_compared_and_no_figure_is_lost(called, tmp_path):
    fits, figures = Path("writeup/fits"), tmp_path / "writeup" / "figures"
    os.makedirs(fits / "others")
    for name in "others/k2.txt", "1.txt", "2.txt":
        (fits / name).write_text(FIT)
    names = [f"{figures}/data-{end}.png" for end in ("k2", "k2-2", "comparison")]
    assert called("") == (None, "\n".join([*names, ""]), "")
    assert plt.get_fignums() == [], "figures are kept that nobody sees"
    Path(names[0]).write_text("old")
    for kind in "png", "pdf":
        os.symlink("/dev/full", figures / "data-k2.part")  # as a disk that is full
        code, out, err = called(f"--format {kind}")
        assert (code, out, err.count("\n")) == (2, "", 1) and "cannot write" in err
    assert sorted(map(str, figures.iterdir())) == sorted(names)
    assert Path(names[0]).read_text() == "old"


def test_show_says_when_nothing_can_be_shown(viz, called, monkeypatch):
    shown, drawn = [], "data-k2.png\n"
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())))
    for backend in "foo", "module://gone", "Agg":
        monkeypatch.setattr(viz, "BACKEND", backend)
        code, out, err = called("fit.txt --show")
        assert (code, out, err.count("\n")) == (None, drawn, 1) and "saved" in err
    plt.close("all")
    monkeypatch.setattr(plt, "get_backend", lambda: "TkAgg")
    assert called("fit.txt --show") == (None, drawn, "") and shown[-1] == 1


@pytest.mark.parametrize("wrong, error", WRONG)
def test_what_is_wrong_gets_a_line_and_no_file(called, wrong, error):
    bad = re.sub(f"(?m)^{wrong.partition(' ')[0]} .*", wrong, FIT)
    Path("bad.txt").write_bytes(bad.encode("latin-1"))
    with open("fit.txt") as file:
        os.dup2(file.fileno(), 0)  # standard input, which has an end
    code, out, err = called("fit.txt bad.txt" if ": " in wrong else wrong)
    assert err.startswith(f"gmm-visualize.py: error: {error}") and err.count("\n") == 1
    assert (code, out, sorted(os.listdir())) == (2, "", ["bad.txt", "fit.txt"])


def test_closed_streams_backends_and_pipes_at_the_edge():
    os.renames("fit.txt", "writeup/fits/k2.txt")
    Path("data.txt").touch()  # no data any more, and no warning
    Path("gmm-visualize.py").write_bytes((ROOT / "gmm-visualize.py").read_bytes())
    script = f"{sys.executable} gmm-visualize.py"
    commands = f"""
        cat writeup/fits/* | MPLBACKEND=module://gone {script} --format pdf -o figures
        MPLBACKEND=foo {script} gone 2>&-  # the error must not go to standard output"""
    done = subprocess.run(["bash", "-c", commands], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "figures/data-k2.pdf\n")
    assert done.stderr == "gmm-visualize.py: note: stdin was not read: - reads it\n"
