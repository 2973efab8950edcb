"""gmm-visualize.py: its figures by structure, its command line, and the fits that it refuses."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy.integrate import trapezoid
from scipy.stats import norm

matplotlib.use("Agg")

FIT = """\
data: data.txt
n: 400
k: 2
tol: 1.0
start: handout
iterations: 3
weights: 0.25 0.75
means: 2.0 9.0
varis: 0.25 16.0
ll: -1117.5
bic: 2265.0
p(x) = 0.2500 N(x | 2.000, 0.2500) + 0.7500 N(x | 9.000, 16.00)
"""


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def fit(tmp_path):
    path = tmp_path / "fit.txt"
    path.write_text(FIT)
    return path


@pytest.fixture
def called(viz, tmp_path, monkeypatch, capsys):
    """Return called(*arguments), which runs the script in tmp_path and returns what it prints."""

    def called(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["gmm-visualize.py", *arguments])
        viz.command_line()
        return capsys.readouterr().out.splitlines()

    return called


@pytest.fixture
def refused(called, capsys):
    """Return refused(*arguments), which runs the script and returns its one line of error."""

    def refused(*arguments):
        with pytest.raises(SystemExit) as exit:
            called(*arguments)
        out, error = capsys.readouterr()
        assert (exit.value.code, out, error.count("\n")) == (2, "", 1)
        return error

    return refused


@pytest.fixture
def parsed(viz):
    return viz.read_fits(FIT.splitlines(), "fit")[0]


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_gauss_is_the_normal_density_in_the_shape_of_x(viz):
    x = np.linspace(-3, 5, 12).reshape(3, 4)
    density = viz.gauss(x, 1.5, 4.0)
    assert density.shape == x.shape
    np.testing.assert_allclose(density, np.exp(-((x - 1.5) ** 2) / 8) / np.sqrt(8 * np.pi))


@pytest.mark.parametrize("k", [1, 3, 6, 12])
def test_plot_model_draws_every_component_and_the_mixture(viz, k):
    x = np.linspace(-3, 15, 50)
    clusters = np.array([norm.pdf(x, i, 1) / k for i in range(k)])
    model = clusters.sum(axis=0)
    figure = viz.plot_model(x, clusters, model)
    axes = figure.axes[0]
    *components, mixture = axes.get_lines()
    assert legend_of(figure) == ["mixture $p(x)$", *(f"component {i + 1}" for i in range(k))]
    styles = {(line.get_color(), str(line.get_linestyle())) for line in axes.get_lines()}
    assert len(styles) == k + 1, "two curves look the same"
    for line, curve in zip(axes.get_lines(), (*clusters, model)):
        np.testing.assert_array_equal(line.get_data(), (x, curve))
    assert mixture.get_color() == "black" and len(axes.collections) == k
    above = max(artist.get_zorder() for artist in (*components, *axes.collections))
    assert mixture.get_zorder() >= above, "the mixture lies under a component"
    assert axes.get_ylim() == (0, pytest.approx(1.05 * model.max()))
    assert (
        np.ptp([line.clipbox.y0 for line in axes.lines])
        == 0
        < axes.lines[0].clipbox.y0 - axes.bbox.y0
    )
    figure.draw_without_rendering()
    legend, inches = figure.legends[0].get_window_extent(), figure.bbox
    assert inches.width / figure.dpi == 6.5 and legend.y0 > 0 and legend.x1 < inches.x1


@pytest.mark.parametrize(
    "weights, means, varis",
    [
        ([1.0], [5.0], [2.0]),
        ([0.5, 0.3, 0.2], [0.0, 5.0, 2.5], [1.0, 1.5, 1e-4]),
        ([0.5, 0.5], [0.0, 1e6], [1.0, 1.0]),
        ([0.9, 0.1], [1.7e9, 1.7e9 + 5], [1.0, 1e-4]),
    ],
)
def test_the_grid_shows_every_component_however_narrow_or_far(viz, weights, means, varis):
    x, clusters, model = viz.curves(weights, means, varis)
    sds = np.sqrt(varis)
    assert x[0] <= min(means - 4 * sds) and x[-1] >= max(means + 4 * sds)
    np.testing.assert_allclose(clusters.sum(axis=0), model)
    for cluster, weight, sd in zip(clusters, weights, sds):
        assert trapezoid(cluster, x) == pytest.approx(weight, rel=1e-3)
        assert cluster.max() == pytest.approx(weight / sd / np.sqrt(2 * np.pi), rel=1e-6)


def test_the_figure_of_a_fit_carries_its_numbers(viz):
    bars = viz.histogram(np.random.default_rng(0).normal(5, 2, 300), 1_234_567)
    figure = viz.main([0.25, 0.75], [2.0, 1.7e9 + 3.29], [0.25, 1.6e-5], ("a_b", "k"), bars)
    axes = figure.axes[0]
    assert legend_of(figure) == [
        "data, $n$ = 1,234,567",
        "mixture $p(x)$",
        r"1: $\pi=0.2500$, $\mu=2.000$, $\sigma^2=0.2500$",
        r"2: $\pi=0.7500$, $\mu=1700000003.2900$, $\sigma^2=1.600\times 10^{-5}$",
    ]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$x$", "density")
    assert (axes.get_title("left"), axes.get_title()) == ("a_b", "k")
    assert "$k = 1$" in viz.main([1.0], [2.0], [3.0]).axes[0].get_title()
    (outline,) = axes.patches
    heights, edges, _ = outline.get_data()
    assert sum(heights * np.diff(edges)) == pytest.approx(1) and not outline.get_fill()
    assert not (axes.spines["top"].get_visible() or axes.spines["right"].get_visible())
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().x1 < figure.bbox.x1


def test_a_spike_is_cut_off_and_its_height_written(viz):
    axes = viz.main([0.5, 0.3, 0.2], [0, 5, 2.5], [1, 1.5, 1e-6]).axes[0]
    _, _, model = viz.curves([0.5, 0.3, 0.2], [0, 5, 2.5], [1, 1.5, 1e-6])
    assert 0.5 < axes.get_ylim()[1] < 1
    assert texts_of(axes) == ["1", "2", f"3 $\\uparrow {model.max():.2f}$"]
    assert axes.texts[-1].xy == (pytest.approx(6.5 / (5 + 4 * np.sqrt(1.5) + 4)), 1)


def test_components_that_coincide_or_own_nothing_share_a_number(viz):
    axes = viz.main([0.3, 0.3, 0.4, 0], [0, 0.001, 5, 9], [1, 1, 1, 1]).axes[0]
    assert texts_of(axes) == ["1", "3"]


def test_the_bins_of_rounded_data_hold_equally_many_of_its_values(viz):
    data = np.round(np.random.default_rng(0).normal(0.08, 0.01, 500), 3)
    edges = viz.histogram(data, 500)["edges"]
    grid = np.round(np.arange(data.min(), data.max() + 5e-4, 1e-3), 3)
    counts = np.histogram(grid, edges)[0]
    assert set(counts[:-1]) == {counts[0]} and counts.sum() == len(grid) and len(edges) <= 61


def test_fits_of_the_same_data_have_the_same_frame(viz, parsed, fit, root):
    (fit.parent / "data.txt").write_bytes((root / "data.txt").read_bytes())
    parsed |= {"weights": [0.25, 0.75], "means": [4.0, 8.5], "varis": [1.0, 25.0]}
    parsed["means"][1] = (np.loadtxt(root / "data.txt").mean() - 1) / 0.75
    many = parsed | {"k": 12, "weights": [1 / 12] * 12, "varis": [1e-10] + [0.5] * 11}
    many["means"] = [np.dot(parsed["weights"], parsed["means"])] * 12
    frames = []
    for stem, figure in viz.figures([(parsed, fit.parent), (many, fit.parent)]):
        for axes in figure.axes[-24 if "comparison" in stem else 0 :]:
            if len(axes.lines) in (3, 13):
                figure.draw_without_rendering()
                place = tuple(axes.get_window_extent().bounds) if "k" in stem[-4:] else ()
                frames.append((axes.get_xlim(), axes.get_ylim(), place))
                assert len(axes.patches) == 1, "a histogram is missing"
                colours = [line.get_color() for line in axes.lines[:2]]
                assert colours == list(viz.COLOURS[:2]), "a component has another colour"
    assert len(frames) == 4 and frames[0] == frames[1] and frames[2] == frames[3]
    assert frames[0][:2] == frames[2][:2]


def variant(fit, k, **changes):
    lists = {"weights": [1 / k] * k, "means": [*range(k)], "varis": [1.0] * k}
    return fit | lists | {"k": k, "ll": -10.0 - k, "bic": 50.0 + k} | changes


def test_the_comparison_has_a_column_for_each_series_and_ll_and_bic_level_with_the_rows(
    viz, parsed
):
    random = {"tol": 1e-6, "start": "random 7 of 50"}
    fits = [variant(parsed, k) for k in (10, 1, 2)]
    fits += [variant(parsed, 1, tol=1e-6, ll=-3.0), *(variant(parsed, k, **random) for k in (2, 3))]
    fits.append(variant(parsed, 2, tol=1e-6))
    frame = viz.frame_of([viz.curves(*viz.parameters(fit)) for fit in fits], None)
    figure = viz.compare(fits, None, frame)
    ll, bic, *panels = figure.axes
    figure.draw_without_rendering()
    assert [len(axes.lines) for axes in panels] == [2, 3, 0, 11, 2, 3, 4, 0, 0, 3, 0, 0]
    names = [axes.get_legend().get_texts()[0].get_text() for axes in panels[::4]]
    best = "best of 50 restarts,\ntol = 1e-06"
    assert names == ["handout's start,\ntol = 1", best, "handout's start,\ntol = 1e-06"]
    assert [axes.get_ylabel() for axes in panels[:4]] == [f"$k = {k}$" for k in (1, 2, 3, 10)]
    for axes, name, first in (ll, "ll", [-11, -12, -20]), (bic, "BIC", [51, 52, 60]):
        assert axes.get_xlabel() == name
        np.testing.assert_array_equal(axes.lines[0].get_data(), [first, [0, 1, 3]])
        rows = axes.transData.transform([(0, y) for y in axes.lines[0].get_ydata()])[:, 1]
        middles = [np.mean(panels[i].bbox.intervaly) for i in (0, 1, 3)]
        np.testing.assert_allclose(rows, middles, atol=0.5)
    np.testing.assert_array_equal(ll.lines[1].get_data(), [[-3, -12, -13], [0, 1, 2]])
    marks = {(line.get_marker(), line.get_markerfacecolor()) for line in ll.lines}
    assert len(marks) == 3


def test_ll_that_hardly_differs_does_not_look_like_a_climb(viz, parsed):
    fits = [variant(parsed, k, ll=-5 - 1e-5 * k) for k in (1, 2)]
    frame = viz.frame_of([viz.curves(*viz.parameters(fit)) for fit in fits], None)
    figure = viz.compare(fits, None, frame)
    assert np.ptp(figure.axes[0].get_xlim()) >= 1
    figure.draw_without_rendering()
    assert figure.get_figheight() < 4 and figure.get_figwidth() == 6.5


def test_a_pipe_makes_a_figure(run, root, tmp_path):
    printed = run("gmm-em", "data.txt", 4, 1).stdout
    done = run("gmm-visualize", "-", "-o", tmp_path, input=printed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'data-k4.png'}\n"
    assert (tmp_path / "data-k4.png").read_bytes().startswith(b"\x89PNG")


def test_figures_go_to_the_current_folder_without_a_display(run, fit, tmp_path):
    environment = os.environ | {"MPLBACKEND": "module://a_display_that_is_not_there"}
    done = run("gmm-visualize", fit, "--format", "svg", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "data-k2.svg\n", "")


def test_show_opens_every_figure(called, fit, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())))
    called("fit.txt", "fit.txt", "--show")
    assert shown == [3]
    called("fit.txt")
    assert len(shown) == 1 and len(plt.get_fignums()) == 3, "figures are kept that nobody sees"


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_same_fit_gives_the_same_file_on_any_day(viz, tmp_path, monkeypatch, kind):
    for day in ("1", "2"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{86400 * int(day)}")
        viz.save(viz.main([0.25, 0.75], [2.0, 9.0], [0.25, 16.0]), tmp_path / f"{day}.{kind}")
    assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_several_fits_are_compared_and_none_overwrites_another(called, fit, tmp_path):
    (tmp_path / "two").write_text(FIT + 2 * FIT.replace("data.txt", "elsewhere/data.npy"))
    names = [os.path.basename(line) for line in called("fit.txt", "two", "-o", "new/folder")]
    one = ["data-k2.png", "data-k2-2.png", "data-comparison.png"]
    assert names == [*one, "data-k2-3.png", "data-k2-4.png", "data-comparison-2.png"]
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == sorted(names)


def test_without_arguments_all_of_writeup_fits(called, refused, viz, tmp_path, monkeypatch):
    monkeypatch.setattr(viz, "HERE", tmp_path / "project")
    (tmp_path / "project" / "writeup" / "fits").mkdir(parents=True)
    assert "make -C writeup" in refused()
    (tmp_path / "project" / "writeup" / "fits" / "k2.txt").write_text(FIT)
    assert called() == [str(tmp_path / "project" / "writeup" / "figures" / "data-k2.png")]


@pytest.mark.parametrize("kind", ["txt", "int8.npy", "float16.npy", "float64.npy"])
@pytest.mark.filterwarnings("error")
def test_the_histogram_is_of_the_data_that_the_fit_names(viz, tmp_path, kind, parsed, monkeypatch):
    folder = tmp_path / "above" / "of the fit"
    folder.mkdir(parents=True)
    path = tmp_path / "above" / f"numbers.{kind}"
    data = np.resize([-100, 100, 9, 9], 400).astype(kind.partition(".")[0] if "." in kind else int)
    (np.savetxt if kind == "txt" else np.save)(path, data)
    fit = parsed | {"data": path.name, "means": [3.0, 5.0]}  # 0.25 * 3 + 0.75 * 5 = 4.5
    (found, sample), nowhere = viz.find_data(fit, folder), (folder / path.name, None)
    np.testing.assert_array_equal(sample, data)
    assert found == path and sum(viz.histogram(sample, 400)["values"]) > 0
    (figure,) = (figure for _, figure in viz.figures([(fit, folder)]))
    assert figure.axes[0].get_title("left") == path.name and len(figure.axes[0].patches) == 1
    monkeypatch.chdir(tmp_path / "above")
    assert viz.find_data(fit, tmp_path)[0] == path, "not found from the current folder"
    monkeypatch.chdir(tmp_path)
    assert viz.find_data(fit | {"n": 399}, folder) == nowhere, "another file of the same name"
    assert viz.find_data(fit | {"means": [4.0, 9.0]}, folder) == nowhere, "replaced since the fit"
    wrong = np.full(400, 4.5), np.full(400, "4.5x"), np.full((400, 2), 4.5), np.full(400, np.inf)
    for content in wrong:
        (np.save if kind[-3:] == "npy" else lambda *a: np.savetxt(*a, fmt="%s"))(path, content)
        assert viz.find_data(fit, folder) == nowhere
    path.write_bytes(b"\x93NUMPY\x00not numbers")
    assert viz.find_data(fit, folder) == nowhere
    assert viz.find_data(fit | {"data": "gone.xz"}, folder) == (folder / "gone.xz", None)


def test_fits_of_different_data_are_not_compared(viz, parsed, tmp_path):
    for a, b in [
        (parsed, parsed | {"n": 399}),
        (parsed | {"data": "-"}, parsed | {"data": "-", "n": 1}),
    ]:
        assert all(
            "comparison" not in stem for stem, _ in viz.figures([(a, tmp_path), (b, tmp_path)])
        )
    pair = [(parsed, tmp_path / "a"), (parsed, tmp_path / "b")]
    assert [stem for stem, _ in viz.figures(pair)] == ["data-k2"] * 2
    same = parsed | {"data": "-"}
    stems = [stem for stem, _ in viz.figures([(same, tmp_path / "a"), (same, tmp_path / "b")])]
    assert stems == ["stdin-k2", "stdin-k2", "stdin-comparison"]


def test_a_million_values_cost_a_second_at_most(viz, parsed, tmp_path):
    data = np.lib.format.open_memmap(tmp_path / "data.npy", "w+", float, (3_000_000,))
    data[:] = np.arange(3_000_000) % 1000
    fit = parsed | {"data": "data.npy", "n": 3_000_000, "means": [499.5, 499.5]}
    _, sample = viz.find_data(fit, tmp_path)
    assert 500_000 < len(sample) <= 1_000_000
    assert viz.histogram(sample, 3_000_000)["values"].max() < 0.0012


SHARES, POSITIVE = "expected 2 numbers ≥ 0 with sum 1", "expected 2 numbers > 0"
MALFORMED = [
    ("data: data.txt\n", "", ":1: expected a data: line, found 'n: 400'"),
    ("ll: -1117.5\n", "", ":10: expected a ll: line, found 'bic: 2265.0'"),
    ("varis: 0.25 16.0\n", "", f":9: {POSITIVE}, found 'll: -1117.5'"),
    ("means: 2.0 9.0", "means: 2.0", ":8: expected 2 numbers for the means, found 'means: 2.0'"),
    ("k: 2", "k: 3", ":7: expected 3 numbers ≥ 0 with sum 1, found 'weights: 0.25 0.75'"),
    ("k: 2", "k: two", ":3: expected a k: line, found 'k: two'"),
    ("0.25 0.75", "0.25 0.70", f":7: {SHARES}, found 'weights: 0.25 0.70'"),
    ("0.25 0.75", "-0.25 1.25", f":7: {SHARES}, found 'weights: -0.25 1.25'"),
    ("varis: 0.25", "varis: -0.25", f":9: {POSITIVE}, found 'varis: -0.25 16.0'"),
    ("varis: 0.25", "varis: 0", f":9: {POSITIVE}, found 'varis: 0 16.0'"),
    ("means: 2.0", "means: nan", ":8: expected 2 numbers for the means, found 'means: nan 9.0'"),
    ("ll: -1117.5", "ll: -inf", ":10: expected a ll: line, found 'll: -inf'"),
    ("n: 400", "n: 400\nn: 400", ":3: expected a k: line, found 'n: 400'"),
    ("bic: 2265.0\n", "", ": expected what gmm-em.py prints, found half a fit at its end"),
    (FIT, "", ": expected what gmm-em.py prints, found no fit in it"),
    (FIT, "3.25\n4.5\n", ":1: expected a data: line, found '3.25'"),
]


@pytest.mark.parametrize("old, new, message", MALFORMED)
def test_a_malformed_fit_is_refused_by_line_and_nothing_is_written(
    refused, tmp_path, old, new, message
):
    assert old in FIT
    (tmp_path / "good.txt").write_text(FIT)
    (tmp_path / "bad.txt").write_text(FIT.replace(old, new, 1))
    (tmp_path / "data-k2.png").write_text("kept")
    error = refused("good.txt", "bad.txt")
    assert error.startswith(f"gmm-visualize.py: error: bad.txt{message}")
    assert len(os.listdir()) == 3 and (tmp_path / "data-k2.png").read_text() == "kept"


def test_the_second_fit_of_a_file_is_checked_as_well(viz):
    lines = (FIT + FIT.replace("0.75", "0.8")).splitlines()
    with pytest.raises(ValueError, match=r"^two:19: expected 2 numbers ≥ 0"):
        viz.read_fits(lines, "two")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone.txt"], "cannot read gone.txt: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["latin.txt"], "latin.txt:2: expected a n: line, found 'n: caf\ufffd'"),
        (["fit.txt", "-o", "fit.txt"], "cannot write to fit.txt: File exists"),
        (["fit.txt", "--format", "gif"], "argument --format: invalid choice: 'gif'"),
        (["fit.txt", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_get_one_line(refused, fit, tmp_path, arguments, message):
    (tmp_path / "latin.txt").write_bytes(b"data: caf\xe9\nn: caf\xe9")
    assert refused(*arguments).startswith(f"gmm-visualize.py: error: {message}")
    assert sorted(os.listdir(tmp_path)) == ["fit.txt", "latin.txt"]


def test_errors_names_and_pipes_at_the_edge(root, tmp_path):
    (tmp_path / "fit.txt").write_text(FIT.replace("data.txt", "dié_$x^2$日.txt"))
    script = f"{sys.executable} {root / 'gmm-visualize.py'}"
    commands = f"""
        {script} gone.txt 2>&-; echo $?  # the error must not go to standard output
        PYTHONIOENCODING=ascii {script} fit.txt
        {script} fit.txt | true
        {script} - </dev/null"""
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(["bash", "-c", commands], **options)
    assert done.stdout == "2\ndi\\xe9_$x^2$\\u65e5-k2.png\n"
    no_fit = "standard input: expected what gmm-em.py prints, found no fit in it"
    assert (done.returncode, done.stderr) == (2, f"gmm-visualize.py: error: {no_fit}\n")


def test_a_figure_that_cannot_be_drawn_leaves_the_old_one(viz, tmp_path, monkeypatch):
    path = tmp_path / "data-k2.png"
    path.write_text("kept")
    figure = viz.main([1.0], [0.0], [1.0])
    monkeypatch.setattr(figure, "savefig", lambda file, **_: file.write(b"half") / 0)
    with pytest.raises(ZeroDivisionError):
        viz.save(figure, path)
    assert os.listdir(tmp_path) == ["data-k2.png"] and path.read_text() == "kept"
