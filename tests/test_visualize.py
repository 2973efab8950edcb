"""gmm-visualize.py: its figures by structure, its command line, and the fits that it refuses."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from conftest import ROOT, load
from matplotlib import pyplot as plt
from scipy.integrate import trapezoid
from scipy.stats import norm

matplotlib.use("Agg")

FIT = load("gmm-em").text_of(
    "data.txt", 400, 1.0, "handout", 3, (*np.array([[0.25, 0.75], [2, 9], [0.25, 16]]), -1117.5)
)


@pytest.fixture(autouse=True)
def folder(viz, tmp_path, monkeypatch):
    """Run every test in a folder of its own, with a fit but not its data."""
    monkeypatch.setattr(viz, "HERE", tmp_path)
    (tmp_path / "fit.txt").write_text(FIT)
    monkeypatch.chdir(tmp_path)
    plt.close("all")
    return tmp_path


@pytest.fixture
def called(viz, monkeypatch, capfd):
    """Return called(*arguments), which runs the script and returns the lines that it prints."""

    def called(*arguments):
        monkeypatch.setattr("sys.argv", ["gmm-visualize.py", *arguments])
        viz.command_line()
        return capfd.readouterr().out.splitlines()

    return called


@pytest.fixture
def fit(viz):
    return viz.read_fits("fit.txt")[0]


def variant(fit, k, **changes):
    lists = {"weights": [1 / k] * k, "means": [*range(k)], "varis": [1.0] * k}
    return fit | lists | {"k": k, "ll": -10.0 - k, "bic": 50.0 + k} | changes


def texts(artists):
    return [artist.get_text() for artist in artists]


def legend_of(figure):
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.width / figure.dpi == 6.5
    assert box.x0 > figure.axes[0].bbox.x1 and box.x1 <= figure.bbox.x1 and box.y0 >= 0
    return texts(figure.legends[0].get_texts())


def test_gauss_is_the_normal_density_in_the_shape_of_x(viz):
    x = np.linspace(-3, 5, 12).reshape(3, 4)
    density = np.exp(-((x - 1.5) ** 2) / 8) / np.sqrt(8 * np.pi)
    np.testing.assert_allclose(viz.gauss(x, 1.5, 4.0), density, strict=True)


@pytest.mark.parametrize("k", [1, 3, 6, 12])
def test_plot_model_draws_every_component_and_the_mixture_on_top(viz, k):
    x = np.linspace(-3, 15, 50)
    clusters = np.array([norm.pdf(x, i, 1) / k for i in range(k)])
    model = clusters.sum(axis=0)
    figure = viz.plot_model(x, clusters, model)
    assert legend_of(figure) == [*(f"component {i + 1}" for i in range(k)), "mixture $p(x)$"]
    (axes,) = figure.axes
    for line, curve in zip(axes.lines, [*clusters, model], strict=True):
        np.testing.assert_array_equal(line.get_data(), (x, curve))
        assert line.clipbox.y0 > axes.bbox.y0, "a line runs along the axis"
    styles = {(line.get_color(), str(line.get_linestyle())) for line in axes.lines}
    assert len(styles) == k + 1, "two curves look the same"
    keys = [handle.get_facecolor()[:3] for handle in figure.legends[0].legend_handles[:-1]]
    assert keys == [matplotlib.colors.to_rgb(line.get_color()) for line in axes.lines[:-1]]
    for line, area in zip(axes.lines[:-1], axes.collections, strict=True):
        assert matplotlib.colors.same_color(area.get_facecolor()[0, :3], line.get_color())
        width, height = area.get_datalim(axes.transData).size
        assert width > 4 and height == pytest.approx(line.get_ydata().max())
        assert area.get_zorder() <= axes.lines[-1].get_zorder()
    assert axes.lines[-1].get_color() == "black"
    assert axes.get_ylim() == (0, pytest.approx(1.05 * model.max()))


def test_the_grid_shows_every_component_however_narrow_or_far(viz):
    narrow = [0.5, 0.3, 0.2], [0.0, 5.0, 2.5], [1.0, 1.5, 1e-4]
    far = [0.9, 0.1], [1.7e9, 1.7e9 + 1e6], [1.0, 1e-4]
    for weights, means, varis in (([1.0], [5.0], [2.0]), narrow, far):
        (x, clusters, model), sds = viz.curves(weights, means, varis), np.sqrt(varis)
        assert (x[0], x[-1]) == (min(means - 4 * sds), max(means + 4 * sds))
        np.testing.assert_allclose(clusters.sum(axis=0), model)
        np.testing.assert_allclose(trapezoid(clusters, x), weights, rtol=4e-3)
        np.testing.assert_allclose(clusters.max(axis=1), weights / sds * norm.pdf(0), rtol=1e-6)


def test_the_figure_of_a_fit_carries_its_numbers(viz):
    bars = viz.histogram(np.random.default_rng(0).normal(5, 2, 300), 1_234_567)
    frame = 0, 2e9, 1, bars, 1.5
    figure = viz.main([0.25, 0.75], [2, 1.7e9 + 3.29], [0.25, 1.6e-5], ("a_$b", "k"), frame)
    assert legend_of(figure) == [
        "data, $n$ = 1,234,567",
        r"1: $\pi=0.2500$, $\mu=2.000$, $\sigma^2=0.2500$",
        r"2: $\pi=0.7500$, $\mu=1700000003.2900$, $\sigma^2=1.600\times 10^{-5}$",
        "mixture $p(x)$",
    ]
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$x$", "density")
    assert not (axes.spines["top"].get_visible() or axes.spines["right"].get_visible())
    assert (axes.get_title("left"), axes.get_title("right")) == ("a_$b", "k")
    assert viz.main([1.0], [2.0], [3.0]).axes[0].get_title("right") == "$k = 1$"
    (outline,) = axes.patches
    heights, edges, _ = outline.get_data()
    assert sum(heights * np.diff(edges)) == pytest.approx(1) and not outline.get_fill()


def test_peaks_are_numbered_where_there_is_room_and_a_spike_is_cut_and_its_height_written(viz):
    parameters = [0.5, 0.3, 0.2], [0, 5, 2.5], [1, 1.5, 1e-6]
    axes, height = viz.main(*parameters).axes[0], 0.2 / np.sqrt(2 * np.pi * 1e-6)
    assert 0.5 < axes.get_ylim()[1] < 2
    spike = f"3 $\\uparrow {height + norm.pdf(2.5) / 2 + 0.3 * norm.pdf(2.5, 5, 1.5**0.5):.2f}$"
    assert texts(axes.texts) == ["1", "2", spike]
    assert axes.texts[-1].xy == (pytest.approx(6.5 / (5 + 4 * np.sqrt(1.5) + 4)), 1)
    together = viz.main([0.3, 0.2, 0.3, 0.2, 0], [0, 0, 0.001, 5, 9], [1] * 5).axes[0]
    assert texts(together.texts) == ["1", "2", "4"]
    broad, narrow = viz.curves([1], [0], [1]), viz.curves([1], [9], [1e-4])
    for order in ([broad, narrow], [narrow, broad]):
        assert viz.frame_of(order, {})[2] == pytest.approx(1.05 * 100 * norm.pdf(0))


def test_bars_hold_equally_many_values_of_rounded_data_and_a_sample_of_a_million(viz, fit):
    data = np.round(np.random.default_rng(0).normal(0.08, 0.01, 500), 3)
    grid = np.round(np.arange(data.min(), data.max() + 5e-4, 1e-3), 3)
    bars = viz.histogram(data, 500)
    counts = np.histogram(grid, bars["edges"])[0]
    assert set(counts[:-1]) == {2} and counts.sum() == len(grid)
    assert min(abs(grid - edge).min() for edge in bars["edges"]) > 4e-4, "a value is on an edge"
    np.save("data.npy", np.arange(3_000_000) % 1000)
    _, sample = viz.find_data(fit | {"data": "data.npy", "n": 3_000_000, "means": [499.0, 499.0]})
    bars = viz.histogram(sample, 3_000_000)["values"]
    assert 500_000 < len(sample) <= 1_000_000 and 50 < len(bars) <= 61 and bars.max() < 0.0012


def test_fits_of_the_same_data_have_the_same_frame(viz, fit, folder):
    (folder / "data.txt").write_bytes((ROOT / "data.txt").read_bytes())
    data = np.loadtxt("data.txt")
    fit |= {"means": [data.mean() - 3, data.mean() + 1], "varis": [1.0, 1.0]}
    narrow = variant(fit, 12, means=[data.mean()] * 12, varis=[1e-10] + [0.5] * 11)
    one, twelve, comparison = (figure for _, figure in viz.figures([fit, narrow]))
    frames, places = set(), set()
    for axes in (one.axes[0], twelve.axes[0], comparison.axes[0], comparison.axes[3]):
        axes.figure.draw_without_rendering()
        places.add(axes.bbox.bounds)
        frames.add((*axes.get_xlim(), *axes.get_ylim()))
        assert len(axes.patches) == 1, "a histogram is missing"
        assert [line.get_color() for line in axes.lines[:2]] == list(viz.COLOURS[:2])
    assert len(frames) == 1 and len(places) == 3, "of the panels of the comparison each has its own"
    low, high, _, top = frames.pop()
    assert low <= data.min() and high >= data.max() and top > max(axes.patches[0].get_data()[0])


def test_the_comparison_has_a_column_for_each_series_and_ll_and_bic_level_with_the_rows(viz, fit):
    random = {"tol": 1e-6, "start": "random 7 of 50"}
    fits = [variant(fit, 1, tol=1e-6, ll=-3.0), variant(fit, 2, tol=1e-6)]
    fits += [variant(fit, k) for k in (10, 1, 2)] + [variant(fit, k, **random) for k in (2, 3)]
    frame = -5, 14, 0.5, {}, 1.5
    figure = viz.compare(fits, frame)
    figure.draw_without_rendering()
    grid = np.reshape(figure.axes, (4, 5))
    curves = [[len(axes.lines) for axes in row[:3]] for row in grid]
    assert curves == [[2, 2, 0], [3, 3, 3], [0, 4, 0], [11, 0, 0]]
    legends = [axes.get_legend() for axes in grid[0, :3]]
    best = "best of 50 restarts,\ntol = 1e-06"
    names = ["handout's start,\ntol = 1", best, "handout's start,\ntol = 1e-06"]
    assert [texts(legend.get_texts()) for legend in legends] == [[name] for name in names]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == [f"$k = {k}$" for k in (1, 2, 3, 10)]
    assert [axes.get_xlabel() for axes in grid[-1]] == ["$x$"] * 3 + ["ll", "BIC"]
    for column, first in (3, [-11, -12, -20]), (4, [51, 52, 60]):
        for axes, score in zip(grid[[0, 1, 3], column], first):
            ((x, y),) = axes.lines[0].get_xydata()
            middle = pytest.approx(np.mean(axes.bbox.intervaly))
            assert (x, axes.transData.transform((x, y))[1]) == (score, middle)
    assert [line.get_xdata()[0] for line in grid[0, 3].lines] == [-11, -3]
    marks = [line.get_marker() for line in grid[1, 3].lines]
    assert marks == [legend.legend_handles[0].get_marker() for legend in legends]
    assert len(set(marks)) == 3 and figure.get_figwidth() == 6.5
    level = viz.compare([variant(fit, k, ll=-5 - 1e-5 * k) for k in (1, 2)], frame)
    assert np.ptp(level.axes[1].get_xlim()) >= 1, "a difference of 1e-5 looks like a climb"


def test_the_same_fit_gives_the_same_file_on_any_day(viz, folder, monkeypatch):
    for kind in ("pdf", "svg"):
        for day in ("1", "2"):
            monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{86400 * int(day)}")
            viz.save(viz.main([0.25, 0.75], [2, 9], [0.25, 16]), folder / f"{day}.{kind}")
        assert (folder / f"1.{kind}").read_bytes() == (folder / f"2.{kind}").read_bytes()


def test_several_fits_are_compared_and_none_overwrites_another(called, monkeypatch, folder):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())))
    monkeypatch.setattr(plt, "switch_backend", shown.append)
    (folder / "writeup" / "fits" / "others").mkdir(parents=True)
    (folder / "writeup" / "fits" / "others" / "k2.txt").write_text(FIT)
    (folder / "writeup" / "fits" / "1.txt").write_text(FIT)
    (folder / "writeup" / "fits" / "2.txt").write_text(FIT + FIT.replace("data.", "below/data."))
    names = ["data-k2", "data-k2-2", "data-comparison", "data-k2-3"]
    names = [str(folder / "writeup" / "figures" / f"{name}.png") for name in names]
    assert called("--format", "png") == names
    assert sorted(map(str, (folder / "writeup" / "figures").iterdir())) == sorted(names)
    assert (shown, plt.get_fignums()) == (["Agg"], []), "figures are kept that nobody sees"
    options = "-o", "new/folder", "--show", "--format", "svg"
    assert called("fit.txt", *options) == ["new/folder/data-k2.svg"]
    assert shown == ["Agg", 1] and (folder / "new" / "folder" / "data-k2.svg").is_file()


@pytest.mark.parametrize("kind", ["txt", "int8.npy", "float16.npy", "float64.npy"])
@pytest.mark.filterwarnings("error")
def test_the_histogram_is_of_the_data_that_the_fit_names(viz, folder, monkeypatch, kind):
    (folder / "below").mkdir()
    (folder / "fit.txt").replace("below/fit.txt")
    fit, path = viz.read_fits("below/fit.txt")[0], folder / f"numbers.{kind}"
    assert fit["folder"] == folder / "below"
    monkeypatch.chdir("/")
    save = np.save if "npy" in kind else lambda *a: np.savetxt(*a, encoding="utf-8-sig")
    data = np.resize([-100, 100, 9, 9], 400).astype("int" if kind == "txt" else kind[:-4])
    fit |= {"data": path.name, "means": [3.0, 5.0]}  # 0.25 * 3 + 0.75 * 5 = 4.5
    save(path, data)
    found, sample = viz.find_data(fit)
    ((stem, figure),) = viz.figures([fit])
    titles = [figure.axes[0].get_title(side) for side in ("left", "right")]
    assert (found, stem, sample.tolist()) == (path, f"{path.stem}-k2", data.tolist())
    assert titles == [path.name, r"$k = 2,\ \mathrm{ll} = -1117.50$"]
    assert len(figure.axes[0].patches) == 1
    monkeypatch.chdir(folder)
    assert viz.find_data(fit | {"folder": Path("/")})[0] == path, "not looked for where it is run"
    os.mkfifo("pipe")  # which would be waited for
    threading.Thread(target=np.savetxt, args=("pipe", data), daemon=True).start()
    for other in ({"n": 399}, {"means": [4.0, 9.0]}, {"data": "gone.xz"}, {"data": "pipe"}):
        assert viz.find_data(fit | other)[1] is None
    for wrong in (np.full(400, 4.5), np.full((400, 2), 4.5), np.full(400, np.inf), []):
        save(path, wrong)
        assert viz.find_data(fit) == (fit["folder"] / path.name, None)
    path.write_bytes(b"\x93NUMPY\x00not numbers")
    assert viz.find_data(fit)[1] is None


def test_fits_of_different_data_are_not_compared(viz, fit, folder):
    stdin, elsewhere = fit | {"data": "-"}, {"folder": folder / "elsewhere"}
    for pair in ([fit, fit | {"n": 399}], [fit, fit | elsewhere], [stdin, stdin | {"n": 399}]):
        assert all("comparison" not in stem for stem, _ in viz.figures(pair))
    stems = [stem for stem, _ in viz.figures([stdin, stdin | elsewhere])]
    assert stems == ["stdin-k2", "stdin-k2", "stdin-comparison"]


def test_names_and_legends_of_any_length_stay_within_the_figure(viz, fit):
    name = "dié_$x^2$日" + 60 * "0" + ".txt"
    parameters = {"means": [1.7e9, 1.7e9 + 9], "weights": [1 - 1e-9, 1e-9], "varis": [1e-9] * 2}
    ((_, figure),) = viz.figures([fit | {"data": name} | parameters])
    legend_of(figure)
    left, right = figure.axes[0]._left_title, figure.axes[0]._right_title
    assert left.get_text() == r"dié_$x^2$\u65e...000000000.txt"
    assert not left.get_parse_math() and left.get_window_extent().x1 < right.get_window_extent().x0


REFUSED = [  # arguments, what is replaced in FIT by what to make bad.txt, and the error
    ("fit.txt bad.txt", "data: data.txt\n", "", "bad.txt:1: expected data: ..., found 'n: 400'"),
    ("bad.txt", "data.txt", "\0", "bad.txt:1: expected data: ..., found 'data: \\x00'"),
    ("bad.txt", "n: 400", "n: café", "bad.txt:2: expected n: ..., found 'n: caf\\udce9'"),
    ("bad.txt", "k: 2", "k: 3", "bad.txt:7: expected weights: 3 numbers ≥ 0, sum 1, found 'weig"),
    ("bad.txt", "0.25 0.75", "0.2 0.7", "bad.txt:7: expected weights: 2 numbers ≥ 0, sum 1, fou"),
    ("bad.txt", "0.25 0.75", "-1 2", "bad.txt:7: expected weights: 2 numbers ≥ 0, sum 1, found"),
    ("bad.txt", "means: 2.0", "means: nan", "bad.txt:8: expected means: 2 numbers, found 'mean"),
    ("bad.txt", "varis: 0.25", "varis: 0", "bad.txt:9: expected varis: 2 numbers > 0, found 'v"),
    ("bad.txt", "bic: ", "bic: 2 ", "bad.txt:11: expected bic: ..., found 'bic: 2 2264."),
    ("bad.txt", "p(x)", "data: a\np(x)", "bad.txt: expected what gmm-em.py prints, found half a"),
    ("bad.txt", "bic: ", "p(x) = ", "bad.txt: expected what gmm-em.py prints, found half a fit"),
    ("bad.txt", FIT, 2 * FIT + "3", "bad.txt:25: expected data: ..., found '3'"),
    ("-", "", "", "standard input: expected what gmm-em.py prints, found no fit"),
    ("gone.txt", "", "", "cannot read gone.txt: No such file or directory"),
    (".", "", "", "cannot read .: Is a directory"),
    ("fit.txt -o fit.txt", "", "", "cannot write fit.txt/data-k2.png and its name: File exists"),
    ("fit.txt --format gif", "", "", "argument --format: invalid choice: 'gif'"),
    ("", "", "", "expected fits in writeup/fits, found none: make -C writeup"),
]


@pytest.mark.parametrize("arguments, old, new, error", REFUSED)
def test_what_is_wrong_gets_a_line_and_no_file(called, capfd, folder, arguments, old, new, error):
    (folder / "bad.txt").write_bytes(FIT.replace(old, new, 1).encode("latin-1"))
    with pytest.raises(SystemExit) as end:
        called(*arguments.split())
    out, line = capfd.readouterr()
    assert line.startswith(f"gmm-visualize.py: error: {error}") and line.count("\n") == 1
    assert (end.value.code, out, sorted(os.listdir())) == (2, "", ["bad.txt", "fit.txt"])


def test_closed_streams_names_and_pipes_at_the_edge(folder):
    name = "dié_$x^2$日"
    no_points = FIT.replace("0.25 0.75", "0.0 1.0")  # for the first component
    (folder / "fit.txt").write_text(no_points.replace("data.txt", f"{name}.txt"))
    (folder / f"{name}.txt").touch()  # no data any more, and no warning
    interrupt = "argparse.ArgumentParser.parse_args = lambda self: signal.raise_signal(2)"
    run = f"runpy.run_path('{ROOT / 'gmm-visualize.py'}', run_name='__main__')"
    script = f"{sys.executable} {ROOT / 'gmm-visualize.py'}"
    commands = f"""
        {sys.executable} -c "import argparse, runpy, signal; {interrupt}; {run}"; echo $?
        PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 LC_ALL=C {script} fit.txt
        {script} fit.txt | true
        ulimit -f 10; {script} fit.txt 2>&-  # the error must not go to standard output"""
    done = subprocess.run(["bash", "-c", commands], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (2, f"130\n{name}-k2.png\n", "")
    # The old figure stays, and no part of the new.
    assert (folder / f"{name}-k2.png").stat().st_size > 10_240 and len(os.listdir(folder)) == 3
