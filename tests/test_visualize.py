"""gmm-visualize.py: its figures by structure, its command line, the fits it refuses."""

import os
import re
import sys
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
from conftest import ROOT, bash, load, run
from matplotlib import pyplot as plt
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.text import Text
from scipy.stats import norm

plt.switch_backend("Agg")
IGNORED = "ignore::DeprecationWarning", "ignore:(Glyph|loadtxt)"
pytestmark = pytest.mark.filterwarnings("error", *IGNORED)
NAMES = [("dié_$x^2$日\udcff.t", "svg"), (240 * "n", "pdf"), ("\f\u2028\x85. ", "png")]
UNITS = [(0, 1), (0, 1e-9), (0.012, 1e-3), (1.7e12, 1e3), (-1e5, 0.5), (20, 1e-16)]
STEPS = [(2.54, 1), (5 / 9, 0.1), (1, 1), (0.5, 0.5), (5, 5), (0.4536, 0.1)]
HEIGHTS = [f"fit.txt --height {text}" for text in (0, -1, "nan", "1_0", "２", 1e9)]
ARGUMENTS = dict.fromkeys(HEIGHTS, "argument --height: ") | {
    "- -": "standard input:1: expected a whole fit, data to bic, found none",
    "gone.txt": "cannot read gone.txt: No such file or directory",
    "fit.txt -o fit.txt": "cannot write fit.txt/data-k2.png: File exists",
    "": "expected fits in writeup/fits, found none: make -C writeup",
}
LINES = r"""1 data: \0|2 n: café|2 n: 0|3 k: 2.0|4 tol: 0|5 min_sd: -1|6 restarts: x
7 seed: ２|8 start: $x^2_$|9 iterations: 1_0|10 weights: 0.2 0.7|10 weights: -1 2
10 k: 3|11 means: nan 9|11 means: 1_0 9|11 means: 1e308 9|11 means: ２ 9|11 means: 9
12 varis: 0 9|13 ll: inf|14 bic: 1 2|3 n: 1\nn: 1|16 bic: 1\n\n3|17 bic: 1\ndata: a
6 min_sd:|7 restarts:|8 seed:"""  # the last three were not printed by older versions
PRINTED = run("gmm-em", "data.txt", 2, 1).stdout


@pytest.fixture(autouse=True)
def fit(viz, tmp_path, monkeypatch):
    """Run every test in a folder of its own, with a fit but not its data."""
    monkeypatch.setattr(viz, "__file__", str(tmp_path / "gmm-visualize.py"))
    monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest keeps its own
    monkeypatch.chdir(tmp_path)
    Path("fit.txt").write_text(PRINTED)
    yield viz.read_fits("fit.txt")[0]
    plt.close("all")


def changed(fit, *mixture, **changes):
    """Return a fit with other weights, means and varis, and with other facts."""
    mixture = [np.array(values, float) for values in mixture]
    return fit | {"mixture": mixture, "k": len(mixture[0])} | changes


def legible(figure):
    """Draw a figure; assert that no texts overlap and that the ticks are true."""
    with patch.object(Text, "draw", autospec=True, side_effect=Text.draw) as draw:
        figure.canvas.draw()
    drawn = [call.args[0] for call in draw.call_args_list]
    drawn = [text for text in drawn if text.get_visible() and text.get_text().strip()]
    assert min(text.get_size() for text in drawn) > 6
    ends = np.array([text.get_window_extent().extents for text in drawn])
    low, high = ends[:, :2], ends[:, 2:]
    assert low.min() > -1.5 and (high < figure.bbox.size + 1.5).all()
    overlaps = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    for a, b in np.argwhere(overlaps.min(axis=2) > 0.5):
        assert a == b, f"{drawn[a]} overlaps {drawn[b]}"
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        offset, (low, high) = axis.get_offset_text(), axis.get_view_interval()
        ticks = [tick for tick in axis.get_major_ticks() if tick.label1 in drawn]
        for tick in ticks:  # 2.5, and beside the axis 10^{-5}+5 10^{3}
            plain = (tick.label1.get_text() + offset.get_text()).replace("−", "-")
            plain = re.sub(r"[${} ]|\\mathdefault", "", plain).replace("^", "**")
            error = eval(plain.replace(r"\times", "*")) - tick.get_loc()
            assert abs(error) < 1e-3 * (high - low) + np.spacing(high)
        assert len(ticks) >= 3 or figure.subfigs, "few ticks"


def test_plot_model_draws_every_component_and_the_mixture_on_top(viz):
    x, k = np.linspace(-3, 15, 50), 12
    clusters = [norm.pdf(x, i, 1) / k for i in range(k)]
    curves, mixed = np.array([*clusters, sum(clusters)]), np.random.permutation(50)
    *components, model = curves[:, mixed].tolist()
    figure = viz.plot_model(x[mixed].tolist(), components, model, ([1 / 18], [-3, 15]))
    (axes,), (legend,) = figure.axes, figure.legends
    lines, areas, (outline,) = axes.lines, axes.collections, axes.patches
    names = [f"component {i + 1}" for i in range(k)] + ["mixture $p(x)$", "data"]
    assert [text.get_text() for text in legend.get_texts()] == names
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$x$", "density")
    legible(figure)
    drawn = [line.get_data() for line in lines]
    np.testing.assert_array_equal(drawn, [(x, curve) for curve in curves])
    tops = [area.get_datalim(axes.transData).y1 for area in areas]
    assert tops == pytest.approx(np.max(clusters, axis=1))
    *colours, black = [to_rgb(line.get_color()) for line in lines]
    faces = [np.ravel(a.get_facecolor()) for a in (*areas, *legend.legend_handles[:k])]
    np.testing.assert_array_equal([face[:3] for face in faces], colours * 2)
    assert all(0.1 < face[3] < 0.5 for face in faces), "areas hide what is below"
    hues = np.sort(rgb_to_hsv(colours[:4])[:, 0])
    assert min(np.diff([*hues, hues[0] + 1])) > 0.1, "two of four look the same"
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == k + 1
    assert black == (0, 0, 0) and lines[k].get_linestyle() == "-"
    assert not outline.get_fill(), "the data hides the areas"
    assert all(0.4 < a.get_linewidth() < 2 for a in (outline, *lines))
    depths = [a.get_zorder() for a in (*areas, outline, *lines)]
    assert depths == sorted(depths) and depths[k - 1] < depths[k] < depths[k + 1]
    assert axes.get_xlim() == (-3, 15) and axes.get_ylim()[0] == 0


def test_the_curves_are_fine_enough_for_every_component(viz):
    narrow = [0.5, 0.3, 0.2], [0.0, 5.0, 2.5], [1.0, 1.5, 1e-4]
    far = [0.9, 0.1], [1.7e9, 1.7e9 + 1e6], [1.0, 1e-4]
    for weights, means, varis in ([1.0], [5.0], [2.0]), narrow, far:
        (axes,), sds = viz.main(weights, means, varis).axes, np.sqrt(varis)
        assert axes.get_xlim() == (min(means - 4 * sds), max(means + 4 * sds))
        *components, mixture = [line.get_data() for line in axes.lines]
        for weight, mean, sd, (x, y) in zip(weights, means, sds, components):
            near = mean + sd * np.linspace(-4, 4, 999)  # between the points
            exact = weight * norm.pdf(near, mean, sd)
            assert max(abs(np.interp(near, x, y) - exact)) < 0.002 * max(exact)
        np.testing.assert_allclose(mixture[1], sum(y for _, y in components))
    assert viz.gauss(np.ones((3, 4)), 0, 1) == pytest.approx(norm.pdf(np.ones((3, 4))))
    for lengths in ([1.0], [0.0, 1], [1.0]), ([0.5, 0.5], [1, 2], [1.0]):
        with pytest.raises(ValueError):
            viz.main(*lengths)


def test_the_legend_has_the_parameters_and_numbers_stand_above_the_means(viz, fit):
    weights, means = [0.3, 0.1, 0.595, 0.005, 0], [-2, 0.02, 7e-14, 4, 5]
    fit = changed(fit, weights, means, [28.1171917, 1, 2, 1e-8, 1], data="µ²")
    fit |= {"tol": 1e-6, "restarts": 9, "seed": 3, "min_sd": 0.5, "ll": -1.5, "bic": 9}
    values = np.random.default_rng(0).normal([-2, 0, 3], 1, (400, 3)).ravel()
    view = viz.view_of([fit["mixture"]], values)
    figure = viz.figure_of(fit, view)
    legible(figure)
    (axes,), (legend,) = figure.axes, figure.legends
    assert axes.get_title("right") == r"$k = 5,\ \rm ll = -1.50,\ BIC = 9.00$"
    *rows, _, name = legend.get_texts()
    wanted = r"""best of 9 restarts, tol = $10^{−6}$, $\sigma \geq 0.5$, seed 3
        $\pi$ $\mu$ $\sigma^2$ 1 0.3000 -2.000 28.12 2 0.1000 0.02000 1.000 3 0.5950
        0.000 2.000 4 0.005000 4.000000 1.000e-08 5 0.000 5.000 1.000"""
    lines = [text.get_text() for text in (legend.get_title(), *rows)]
    assert " ".join(lines).split() == wanted.split()
    assert len({re.sub("[^.]", " ", line) for line in lines[1:]}) == 1, "points"
    assert np.ptp([row.get_window_extent().width for row in rows]) < 2, "no typewriter"
    assert name.get_family() == ["DejaVu Sans Mono"], "cmtt10 has no µ"
    assert all(8 <= text.get_size() < 10 for text in legend.get_texts())
    numbers = {text.get_text(): text.xy[0] for text in axes.texts}
    assert numbers == {"1": -2, "3": 7e-14, "$4^\\uparrow$": 4}
    assert view.top / 1.05 == pytest.approx(1.3 * max(view.bars[0])), "where it is cut"
    assert all(text.get_window_extent().y0 >= axes.bbox.y1 for text in axes.texts)


def test_the_x_axis_is_of_the_bulk_and_what_is_beyond_is_counted(viz, fit, data):
    rng, wide = np.random.default_rng(1), [[0.9, 0.1], [0.0, 1.0], [1.0, 1e6]]
    duo = rng.normal(0, [1, 5, 1], (30_000, 3)).ravel()  # two channels take turns
    samples = duo, rng.standard_cauchy(500), rng.standard_t(3, 20_000), data
    for sample in *samples, np.repeat([3, 4, 5], 40), np.repeat([0, 7], [199, 1]):
        view, n = viz.view_of([wide], sample), len(sample)
        left, right = np.percentile(sample, [1, 99])
        assert view.low < left and right < view.high
        beyond = np.count_nonzero((sample < view.low) | (sample > view.high))
        wide_enough = right - left >= (view.high - view.low) / 2
        assert wide_enough or (left == right and beyond == 0)
        densities, edges = view.bars
        assert densities @ np.diff(edges) == pytest.approx(1 - beyond / n)
        assert 12 < len(densities) <= 120 or left in (0, 3)
        label = f"data.txt, n = {n:,} ({beyond} beyond)".replace(" (0 beyond)", "")
        (legend,) = viz.figure_of(fit | {"n": n}, view).legends
        assert legend.get_texts()[-1].get_text() == label
    assert viz.view_of([wide], np.array([*range(48), 1000])).beyond == 0
    assert 100 < viz.view_of([wide]).high < 3000, "where the data is unknown"
    assert viz.view_of([wide], duo).top / 1.05 == pytest.approx(0.9 * norm.pdf(0), 1e-3)
    spiky = np.append(np.zeros(40), rng.normal(3, 1, 60))
    densities, edges = viz.view_of([wide], spiky).bars
    spike = densities.argmax()
    assert edges[spike] + edges[spike + 1] == pytest.approx(0), "not in its middle"


@pytest.mark.parametrize("step, unit", STEPS)
def test_bars_of_rounded_values_are_as_high_as_the_mixture(viz, step, unit):
    for seed, sd in [(seed, sd) for seed in range(3) for sd in (4 * step, 30 * step)]:
        values = np.random.default_rng(seed).normal(50, sd, 20_000)
        values = np.round(np.round(np.round(values / step) * step / unit) * unit, 6)
        values = np.append(values, values[:3] + unit / 2)  # a few are rounded less
        densities, edges = viz.view_of([[[1], [50], [sd**2]]], values).bars
        ratios = densities * np.diff(edges) / np.diff(norm.cdf(edges, 50, sd))
        ratios = ratios[(edges[:-1] > 50 - sd) & (edges[1:] < 50 + sd)]
        assert min(ratios) > 0.6 and max(ratios) < 1.55


@pytest.mark.parametrize("middle, sd", UNITS)
def test_ticks_are_true_and_no_texts_overlap_in_any_unit(viz, fit, middle, sd):
    for k, letters, ll in (1, 5, -1e3), (3, 60, -123456789.12), (12, 20, 4321):
        means = middle + sd * np.linspace(-6, 6, k)
        fit = changed(fit, [1 / k] * k, means, np.geomspace(1e-8, 1, k) * sd**2)
        fit |= {"data": "n" * letters, "ll": ll, "bic": -2 * ll, "n": 12_345_678}
        values = np.add.outer(means, sd * np.linspace(-2, 2, 9)).ravel()
        view = viz.view_of([fit["mixture"]], None if k == 3 else values)
        assert view.low < min(means) and max(means) < view.high
        figure = viz.figure_of(fit, view, 1.5)
        legible(figure)
        (axes,), (legend,) = figure.axes, figure.legends
        assert figure.get_size_inches().tolist() == [6.5, 1.5] or k == 12
        assert axes.bbox.x1 < legend.get_window_extent().x0
        offset = axes.yaxis.get_offset_text()  # clear of the components' numbers
        assert offset.get_window_extent().x1 <= axes.bbox.x0 + 1


def test_fits_of_the_same_data_only_share_their_axes(viz, fit, data, monkeypatch):
    folder, elsewhere = Path("above/fits").absolute(), {"folder": Path("/elsewhere")}
    os.makedirs(folder)
    np.savetxt(folder / "data.txt", 2 * data)
    np.savetxt("above/data.txt", data)
    ll = np.log(norm.pdf(data[:, None], range(0, 18, 2)).mean(axis=1)).sum()
    fit, stdin = fit | {"folder": folder}, fit | {"data": "-"}
    other = changed(fit, [1 / 9] * 9, range(0, 18, 2), [1] * 9, ll=ll)
    apart = [fit, other | {"n": 9}], [fit, other | elsewhere], [stdin, stdin | {"n": 9}]
    alike = [stdin, other | elsewhere | {"data": "-"}]
    assert [len([*viz.figures(pair)]) for pair in (*apart, alike)] == [2, 2, 2, 3]
    monkeypatch.setattr(np, "loadtxt", parse := Mock(wraps=np.loadtxt))
    found = dict(viz.figures([fit, other])).values()
    panels = [axes for figure in found for axes in figure.axes if axes.patches]
    looks = {(axes.viewLim.bounds, axes.lines[1].get_color()) for axes in panels}
    assert (len(panels), len(looks), parse.call_count) == (4, 1, 2)


def test_a_comparison_has_a_column_for_each_series(viz, fit, capfd):
    def search(tol, restarts, *ks, **changes):
        facts = fit | {"tol": tol, "restarts": restarts} | changes
        return [changed(facts, [1 / k] * k, range(k), [1] * k) for k in ks]

    fit |= {"data": "-", "ll": -1e8, "bic": -3}
    rows, columns = range(1, 14), [range(1, 14), [2], [2, 3, 4], [4], [5]]
    fits = search(1e-6, 50, 4, 3) + search(1e-6, 100, 4) + search(1, 0, *rows[::-1])
    fits += search(1e-6, 9, 2) + search(1e-6, 9, 5, min_sd=2) + search(1, 0, 2, seed=3)
    fits[1] |= {"bic": -20, "ll": -1e8 - 0.25}  # not the highest ll
    series = viz.series_of(fits)
    figure = viz.compare(series, viz.view_of([fits[0]["mixture"]]))
    legible(figure)
    panels, charts = (part.axes for part in figure.subfigs)
    curves = [(k + 1) * (k in ks) for k in rows for ks in columns]
    assert [len(axes.lines) for axes in panels] == curves
    assert [axes.get_ylabel() for axes in panels[::5]] == [f"$k = {k}$" for k in rows]
    scores = r"100000000.00,\ BIC\ +17.00$", r"100000000.25,\ BIC\ = -20.00$"
    titles = [axes.get_title() for axes in panels[10:13:2]]
    assert titles == [rf"$\rm ll = -{score}" for score in scores]
    labels = [axes.get_legend().get_texts()[0].get_text() for axes in panels[:5]]
    start, tight = "handout's start,\ntol = $1$", "restarts,\ntol = $10^{−6}$"
    best = [f"best of {count} {tight}" for count in ("9 to 50", 100, 9)]
    best[2] += r", $\sigma \geq 2$"
    assert labels == [start, f"{start}, seed 3", *best]
    for axes, key, lowest in zip(charts, ("ll", "bic"), ([], [[[3, -20]]])):
        points = [[[k, own[k][key]] for k in sorted(own)] for own in series]
        lines = [line for line in axes.lines if line.get_mfc() == "none"]
        filled = [line for line in axes.lines if line.get_mfc() != "none"]
        assert [line.get_xydata().tolist() for line in lines] == points
        assert [line.get_xydata().tolist() for line in filled] == lowest
        assert len({line.get_marker() for line in lines}) == 5
        assert len({line.get_linestyle() for line in lines}) >= 4
        assert len({*rows} & {*axes.get_xticks()}) > 4, "ticks at 2.5"
        assert np.ptp(axes.get_ylim()) >= 1, "rounding looks like a climb"
    few = fits[:4] + fits[-3:] + search(0.1, 0, 2)
    stems = [stem for stem, _ in viz.figures(few)]
    assert stems == [f"stdin-k{fit['k']}" for fit in few]
    assert " 6 series" in capfd.readouterr().err


def test_the_histogram_is_of_the_data_that_the_fit_names(viz, fit, data, capfd):
    small = np.resize([-100, 100, 9, 8], 400)  # of squares that overflow in int8
    Path("text.gz").write_text("\ufeff# text\n" + 100 * "-100\n100\n9\n8\n", "utf-8")
    Path("link.txt").symlink_to("text.gz")
    np.save("int8.npy", small.astype("int8")[:, None])
    other = changed(fit, [1], [0], [4900], ll=norm.logpdf(small, 0, 70).sum())
    for name in "text.gz", "link.txt", "int8.npy":
        other |= {"data": name, "folder": Path("/elsewhere")}  # the data is here
        ((stem, figure),) = viz.figures([other])
        assert stem == f"{Path(name).stem}-k1" and len(figure.axes[0].patches) == 1
    assert isinstance(viz.find_data(other)[1], np.memmap)
    np.savetxt("moments", 2 * data.mean() - data)  # of the same n, mean and variance
    np.savetxt("-", data)
    np.savetxt("data.txt", data)
    np.save("words.npy", np.full(400, "word"))
    os.mkfifo("pipe.npy")  # which would be waited for
    Path("bad.npy").write_bytes(b"\x93NUMPY\x00not numbers")
    names = "-", "gone.xz", "pipe.npy", "bad.npy", "words.npy", "moments"
    wrong = [{"data": name} for name in names] + [{"n": 399}, {"ll": fit["ll"] + 1}]
    for change in *wrong, {}:
        ((_, figure),) = viz.figures([other := fit | change])
        note = capfd.readouterr().err
        assert len(figure.axes[0].patches) == (not change)
        assert note.count("\n") == (change not in ({"data": "-"}, {}))
        assert f"{other['data']} with {other['n']} values" in note or not note


@pytest.mark.parametrize("name, kind", NAMES)
def test_any_name_gives_the_same_file_on_any_day(viz, command, monkeypatch, name, kind):
    text = Path("fit.txt").read_text().replace("data.txt", name).replace("\n", "\r\n")
    Path("fit.txt").write_bytes(f"\ufeff{text}".encode(errors="surrogateescape"))
    ((_, figure),) = viz.figures(viz.read_fits("fit.txt"))
    legible(figure)
    path, contents = Path(f"new/folder/{Path(name).stem}-k2.{kind}"), set()
    options = f"-o new/folder --format {kind} --height 1.5".split()
    for day in "12":
        monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{day}00000")
        command("fit.txt", *options, script=viz)
        contents.add(content := path.read_bytes())
    assert len(contents) == 1 and os.listdir(path.parent) == [path.name]
    sign = {"svg": b'height="108pt"', "pdf": b"/FontFile2", "png": b"\x89PNG"}[kind]
    assert sign in content and b"/Type3" not in content


def test_several_fits_are_compared_and_read_in_utf_16_too(viz, command):
    fits, figures = Path("writeup/fits"), Path("writeup/figures").absolute()
    os.makedirs(fits / "others")
    (fits / "others" / "3.txt").write_text(PRINTED)
    again = PRINTED.replace("tol: 1", "tol: 2").replace("handout", "random 7")
    (fits / "2.txt").write_text(again + PRINTED.replace("data.txt", "other"), "utf-16")
    (fits / "1.txt").write_text(PRINTED)
    code, out, _ = command(script=viz)
    stems = "data-k2", "data-k2-2", "data-comparison", "other-k2"
    assert (code, out.split()) == (None, [f"{figures}/{stem}.png" for stem in stems])
    assert sorted(os.listdir(figures)) == sorted(f"{stem}.png" for stem in stems)
    assert plt.get_fignums() == [], "figures are kept that nobody sees"


def test_wrong_arguments_and_fits_get_a_line_and_no_file(viz, command):
    cases = [(*case, "") for case in ARGUMENTS.items()]
    for case in re.split("[|\n]", LINES):
        number, line = case.replace(r"\n", "\n").replace(r"\0", "\0").split(" ", 1)
        cases += [("fit.txt bad.txt", f"bad.txt:{number}: expected ", line)]
    os.dup2(os.open("fit.txt", os.O_RDONLY), 0)  # standard input, which has an end
    for arguments, error, line in cases:
        key, old = line.partition(" ")[0], line.endswith(":")
        bad = re.sub(f"(?m)^{key} .*", "" if old else line, PRINTED)
        Path("bad.txt").write_bytes(bad.encode("latin-1", "replace"))
        code, out, err = command(*arguments.split(), script=viz)
        assert (code, out, sorted(os.listdir())) == (2, "", ["bad.txt", "fit.txt"])
        assert err.splitlines()[-1].startswith(f"gmm-visualize.py: error: {error}")
        assert err.endswith("make it again with this gmm-em.py\n") == old


def test_show_opens_windows_and_says_when_it_cannot(viz, command, monkeypatch):
    shown, canvas = [], type(plt.figure().canvas)
    monkeypatch.setattr(plt, "show", lambda block: shown.append(plt.get_fignums()))
    for name in "foo", "module://gone", "module://os", "webagg", "svg", "pdf", "Agg":
        monkeypatch.setattr(viz, "BACKEND", name)
        code, out, err = command("fit.txt", "--show", script=viz)
        assert (code, out, shown) == (None, "data-k2.png\n", []) and "only saved" in err
        plt.switch_backend("Agg")
    plt.close("all")
    monkeypatch.setattr(canvas, "required_interactive_framework", "tk")
    monkeypatch.setattr(plt, "switch_backend", lambda name: None)
    err = command("fit.txt", "--show", script=viz)[2]
    assert "only saved" not in err and len(shown[0]) == 1
    monkeypatch.setenv("MPLBACKEND", "svg")
    assert load("gmm-visualize").os.environ["MPLBACKEND"] == "svg"


def test_settings_and_the_locale_of_the_user_change_nothing(data):
    np.savetxt("donné.txt", data)
    Path("fit.txt").write_text(PRINTED.replace("data.txt", "donné.txt"), "utf-8")
    Path("rc").write_text("axes.grid: True\nfigure.facecolor: red\naxes.labelsize: 20")
    plain = "export PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 LC_ALL=C; $viz fit.txt"
    done = bash(f"{plain}; MPLBACKEND=no MATPLOTLIBRC=rc $viz fit.txt -o é")
    assert done == (0, "donné-k2.png\né/donné-k2.png\n", "")
    assert Path("donné-k2.png").read_bytes() == Path("é/donné-k2.png").read_bytes()
    assert plt.imread("donné-k2.png").shape[:2] == (560, 1300)


def test_streams_full_disks_signals_and_other_runs_cost_no_figure(viz, command):
    for streams, code in (">/dev/full 2>&1", 2), (">&- 2>&- <&-", 0):
        assert bash(f"$viz fit.txt fit.txt -o ../{code} {streams}")[0] == code
        assert len(os.listdir(f"../{code}")) == 3, "two figures and a comparison"
    assert bash("mkdir a; cd a; rmdir ../a; $viz - <../fit.txt")[2].count("\n") == 1
    replace, other = Path.replace, lambda: bash("$viz fit.txt --format pdf")
    with patch.object(Path, "replace", lambda *paths: other() and replace(*paths)):
        assert command("fit.txt", script=viz)[:2] == (None, "data-k2.png\n")
    pdf, png = Path("data-k2.pdf").read_bytes(), Path("data-k2.png").read_bytes()
    assert pdf[:4] == b"%PDF" and png[1:4] == b"PNG"
    assert bash("ulimit -f 8; $viz fit.txt")[2].endswith("File too large\n")
    end = "    Path.replace = lambda *_: os.kill(os.getpid(), 15); command_line"
    Path("../end.py").write_text(
        (ROOT / "gmm-visualize.py").read_text("utf-8").replace("    command_line", end)
    )
    assert bash(f"{sys.executable} ../end.py fit.txt")[0] == 143
    assert sorted(os.listdir()) == ["data-k2.pdf", "data-k2.png", "fit.txt"]
    assert Path("data-k2.png").read_bytes() == png
