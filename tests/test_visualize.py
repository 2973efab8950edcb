"""gmm-visualize.py: its figures by structure, its command line, and the fits that it refuses."""

import io
import os

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


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_gauss_is_the_normal_density_in_the_shape_of_x(viz):
    x = np.linspace(-3, 5, 12).reshape(3, 4)
    density = viz.gauss(x, 1.5, 4.0)
    assert density.shape == x.shape
    np.testing.assert_allclose(density, np.exp(-((x - 1.5) ** 2) / 8) / np.sqrt(8 * np.pi))


@pytest.mark.parametrize("k", [1, 3, 6, 12])
def test_plot_model_draws_every_component_and_the_mixture(viz, k):
    x = np.linspace(-3, 15, 50)
    clusters = np.array([norm.pdf(x, i, 1) / k for i in range(k)])
    figure = viz.plot_model(x, clusters, clusters.sum(axis=0))
    lines = figure.axes[0].get_lines()
    assert isinstance(figure, matplotlib.figure.Figure)
    assert len(lines) == len(legend_of(figure)) == k + 1
    styles = {(line.get_color(), str(line.get_linestyle())) for line in lines}
    assert len(styles) == k + 1, "two curves look the same"
    assert figure.axes[0].get_ylim()[0] == 0
    for line, curve in zip(lines, (clusters.sum(axis=0), *clusters)):
        np.testing.assert_array_equal(line.get_data(), (x, curve))


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
    data = np.random.default_rng(0).normal(5, 2, 300)
    figure = viz.main([0.25, 0.75], [2.0, -90.0], [0.25, 1.6e-5], data=data)
    axes = figure.axes[0]
    assert legend_of(figure) == [
        "data (n = 300)",
        "mixture $p(x)$",
        r"1: $\pi=0.2500$, $\mu=2.000$, $\sigma^2=0.2500$",
        r"2: $\pi=0.7500$, $\mu=-90.00$, $\sigma^2=1.600\times 10^{-5}$",
    ]
    assert axes.get_xlabel() and axes.get_ylabel() and "k = 2" in axes.get_title()
    assert sum(bar.get_width() * bar.get_height() for bar in axes.patches) == pytest.approx(1)
    assert not (axes.spines["top"].get_visible() or axes.spines["right"].get_visible())


def test_the_bins_of_rounded_data_hold_equally_many_of_its_values(viz):
    data = np.round(np.random.default_rng(0).normal(0.08, 0.01, 500), 3)
    edges = viz.edges(data)
    grid = np.round(np.arange(data.min(), data.max() + 5e-4, 1e-3), 3)
    counts = np.histogram(grid, edges)[0]
    assert set(counts[:-1]) == {counts[0]} and counts.sum() == len(grid) and len(edges) <= 61


def test_a_component_keeps_its_colour_everywhere(viz):
    two = viz.read_fits(io.StringIO(FIT), "fit")[0]
    three = two | {"k": 3, "weights": [0.2] * 2 + [0.6], "means": [1.0, 2, 3], "varis": [9.0, 1, 1]}
    figure = viz.compare([three, two, three, two, two])
    panels = [axes for axes in figure.axes if "ll = " in axes.get_title()]
    alone = [
        line.get_color() for line in viz.main(*(three[key] for key in viz.LISTS)).axes[0].lines
    ]
    assert [len(axes.lines) for axes in panels] == [3, 3, 3, 4, 4]
    for axes in panels:
        assert [line.get_color() for line in axes.lines] == alone[: len(axes.lines)]
        top = max(line.get_ydata().max() for line in axes.lines)
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > top, "a curve is cut off"


def test_the_comparison_plots_ll_and_bic_against_k(viz):
    fit = viz.read_fits(io.StringIO(FIT), "fit")[0]
    one = fit | {"k": 1, "weights": [1.0], "means": [0.0], "varis": [1.0], "ll": -7.0, "bic": 20.0}
    ll, bic, *_ = viz.compare([fit, one]).axes
    np.testing.assert_array_equal(ll.get_lines()[0].get_data(), [[1, 2], [-7.0, -1117.5]])
    np.testing.assert_array_equal(bic.get_lines()[0].get_data(), [[1, 2], [20.0, 2265.0]])


def test_a_pipe_makes_a_figure(run, root, tmp_path):
    printed = run("gmm-em", "data.txt", 4, 1).stdout
    done = run("gmm-visualize", "-", "-o", tmp_path, input=printed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'data-k4.png'}\n"
    assert (tmp_path / "data-k4.png").read_bytes().startswith(b"\x89PNG")


def test_a_fit_from_standard_input_data_is_called_stdin(run, root, tmp_path):
    printed = run("gmm-em", "-", 2, 1, input=(root / "data.txt").read_text()).stdout
    done = run("gmm-visualize", "-", cwd=tmp_path, input=printed)
    assert done.stdout == "stdin-k2.png\n" and (tmp_path / "stdin-k2.png").exists()


def test_figures_go_to_the_current_folder_without_a_display(run, fit, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    environment["MPLBACKEND"] = "TkAgg"
    done = run("gmm-visualize", fit, "--format", "svg", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "data-k2.svg\n", "")


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_same_fit_gives_the_same_file_on_any_day(viz, tmp_path, monkeypatch, kind):
    for day in ("1", "2"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{86400 * int(day)}")
        viz.save(viz.main([0.25, 0.75], [2.0, 9.0], [0.25, 16.0]), tmp_path / f"{day}.{kind}")
    assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_several_fits_are_compared_and_none_overwrites_another(run, fit, tmp_path):
    two = tmp_path / "two.txt"
    two.write_text(FIT + FIT.replace("data.txt", "elsewhere/other.npy"))
    done = run("gmm-visualize", fit, two, "-o", tmp_path / "new" / "folder")
    names = [os.path.basename(line) for line in done.stdout.splitlines()]
    assert names == ["data-k2.png", "data-k2-2.png", "data-comparison.png", "other-k2.png"]
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == sorted(names)


def test_without_arguments_all_of_writeup_fits_from_any_folder(run, root, tmp_path):
    project = tmp_path / "project"
    (project / "writeup" / "fits").mkdir(parents=True)
    (project / "gmm-visualize.py").write_bytes((root / "gmm-visualize.py").read_bytes())
    (project / "data.txt").write_bytes((root / "data.txt").read_bytes())
    script = project / "gmm-visualize"
    nothing = run(script, cwd=tmp_path)
    assert nothing.returncode == 2 and "make -C writeup" in nothing.stderr
    (project / "writeup" / "fits" / "k2.txt").write_text(FIT)
    done = run(script, cwd=tmp_path)
    assert done.stdout == f"{project / 'writeup' / 'figures' / 'data-k2.png'}\n"


@pytest.mark.parametrize("kind", ["txt", "npy"])
def test_the_histogram_is_of_the_data_that_the_fit_names(viz, tmp_path, kind, monkeypatch):
    data = np.arange(7.0)
    path = tmp_path / f"numbers.{kind}"
    (np.savetxt if kind == "txt" else np.save)(path, data)
    monkeypatch.chdir(tmp_path.parent)
    fit = {"data": path.name, "n": 7}
    np.testing.assert_array_equal(viz.read_data(fit, tmp_path), data)
    assert viz.read_data(fit | {"n": 8}, tmp_path) is None, "another file of the same name"
    assert viz.read_data(fit | {"data": "gone.txt"}, tmp_path) is None
    assert viz.read_data(fit | {"data": "-"}, tmp_path) is None
    path.write_bytes(b"\x93NUMPY\x00not numbers")
    assert viz.read_data(fit, tmp_path) is None


@pytest.fixture
def refused(viz, tmp_path, monkeypatch, capsys):
    """Return refused(*arguments), which runs the script, in tmp_path, and returns its one line."""

    def refused(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["gmm-visualize.py", *arguments])
        with pytest.raises(SystemExit) as exit:
            viz.command_line()
        out, error = capsys.readouterr()
        assert (exit.value.code, out, error.count("\n")) == (2, "", 1)
        return error

    return refused


MALFORMED = [
    ("data: data.txt\n", "", ":1: expected a line that gmm-em.py prints, found 'n: 400'"),
    ("ll: -1117.5\n", "", ":1: expected a ll: line in this fit, found none"),
    ("varis: 0.25 16.0\n", "", ":1: expected a varis: line in this fit, found none"),
    ("means: 2.0 9.0", "means: 2.0", ":8: expected k = 2 means, found 1"),
    ("k: 2", "k: 3", ":7: expected k = 3 weights, found 2"),
    ("k: 2", "k: two", ":3: expected finite numbers as k, found 'two'"),
    ("0.25 0.75", "0.25 0.70", ":7: expected weights ≥ 0 that sum to 1, found a sum of 0.95"),
    ("0.25 0.75", "-0.25 1.25", ":7: expected weights ≥ 0 that sum to 1, found a sum of 1 and"),
    ("varis: 0.25", "varis: -0.25", ":9: expected varis > 0, found -0.25"),
    ("varis: 0.25", "varis: 0", ":9: expected varis > 0, found 0"),
    ("means: 2.0", "means: nan", ":8: expected finite numbers as means, found 'nan 9.0'"),
    ("ll: -1117.5", "ll: -inf", ":10: expected finite numbers as ll, found '-inf'"),
    ("ll: -1117.5", "ll: 1 2", ":10: expected finite numbers as ll, found '1 2'"),
    ("n: 400", "n: 400\nn: 400", ":3: expected a line that gmm-em.py prints, found 'n: 400'"),
    ("start: handout", "starter: x", ":5: expected a line that gmm-em.py prints, found 'start"),
    (FIT, "", ": expected what gmm-em.py prints, found no fit"),
    (FIT, "3.25\n4.5\n", ":1: expected a line that gmm-em.py prints, found '3.25'"),
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
    with pytest.raises(ValueError, match=r"^two:19: expected weights"):
        viz.read_fits(lines, "two")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone.txt"], "cannot read gone.txt: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["latin.txt"], "latin.txt: expected what gmm-em.py prints, found no UTF-8 text"),
        (["fit.txt", "-o", "fit.txt"], "cannot write to fit.txt: File exists"),
        (["fit.txt", "--format", "gif"], "argument --format: invalid choice: 'gif'"),
        (["fit.txt", "--colour"], "unrecognized arguments: --colour; try --help"),
    ],
)
def test_wrong_arguments_get_one_line(refused, fit, tmp_path, arguments, message):
    (tmp_path / "latin.txt").write_bytes(b"data: caf\xe9\n")
    assert refused(*arguments).startswith(f"gmm-visualize.py: error: {message}")
    assert sorted(os.listdir(tmp_path)) == ["fit.txt", "latin.txt"]


def test_a_failed_first_half_of_the_pipe_leaves_no_fit(run, tmp_path):
    done = run("gmm-visualize", "-", input="", cwd=tmp_path)
    message = "standard input: expected what gmm-em.py prints, found no fit in it"
    assert (done.returncode, done.stderr) == (2, f"gmm-visualize.py: error: {message}\n")
    assert not os.listdir(tmp_path)


def test_a_figure_that_cannot_be_written_leaves_the_old_one(viz, tmp_path, monkeypatch):
    path = tmp_path / "data-k2.png"
    path.write_text("kept")
    figure = viz.main([1.0], [0.0], [1.0])

    def fill_the_disk(part, **options):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(part))

    monkeypatch.setattr(figure, "savefig", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        viz.save(figure, path)
    assert os.listdir(tmp_path) == ["data-k2.png"] and path.read_text() == "kept"
