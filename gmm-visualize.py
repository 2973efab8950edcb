"""Plot the Gaussian mixtures that gmm-em.py has fitted.

A figure has the k weighted components π_i N(x; µ_i, σ²_i) as areas, the mixture p(x), their sum,
as a line on top, and a histogram of the data as an outline, where the data can be read. Several
fits of the same data share their frame and get one more figure, which compares them.

    x                         shape (m,): where the densities are drawn
    clusters, model           shape (k, m), (m,): the weighted components, their sum the mixture
    weights, means, varis     shape (k,): the parameters π_i, µ_i, σ²_i, as in gmm-em.py

Usage: python gmm-em.py data.txt 2-6 1 | python gmm-visualize.py -      (see also --help)
"""

import argparse
import collections
import contextlib
import io
import math
import os
import signal
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke
from scipy.stats import norm

HERE = Path(__file__).resolve().parent
WIDTH, LEGEND = 6.5, 2.35  # inches: the text of a letter page, and of that the legend
# Okabe and Ito's colours, which colour-blind readers tell apart, so ordered that neighbours differ
# in grey as well; black is the mixture's. From the seventh component on they come again, dashed.
COLOURS = "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7"
# Hollow, so that equal scores of several series show through each other.
MARKS = plt.cycler(marker="osx+", color="kkkk", markerfacecolor=["none"] * 4, linestyle=[""] * 4)
STYLE = {
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "axes.prop_cycle": plt.cycler(linestyle=["-", (0, (4, 1.5))]) * plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": ["cmr10", "DejaVu Serif"],
    "font.size": 8,
    "legend.frameon": False,
    "legend.labelspacing": 0.15,
    "lines.linewidth": 0.7,
    "lines.markersize": 4,
    "mathtext.fontset": "cm",
    "svg.hashsalt": "gmm",  # the same figure, the same file
}


# ---- The handout's functions ----
def gauss(x, mu, var):
    """Return the density N(x; µ, σ²) at every x, in the shape of x. Handout, section 3.2."""
    return norm.pdf(x, mu, np.sqrt(var))


@plt.rc_context(STYLE)
def plot_model(x, clusters, model, labels=None, title=("", ""), frame=None):
    """Return a figure of the k components and the mixture, with a legend. Handout, section 3.2."""
    labels = labels or [f"component {i + 1}" for i in range(len(clusters))]
    frame = frame or frame_of([(x, clusters, model)], {})
    figure, axes = plt.subplots(figsize=(WIDTH, frame[-1]))
    figure.get_layout_engine().set(rect=(0, 0, 1 - LEGEND / WIDTH, 1))
    handles = draw(axes, x, clusters, model, frame)
    number_peaks(axes, x, clusters, model)
    axes.set(xlabel="$x$", ylabel="density")
    axes.set_title(title[0], loc="left", family="DejaVu Sans Mono", fontsize=7, parse_math=False)
    axes.set_title(title[1], loc="right", fontsize=9)
    labels = [*([frame[3]["label"]] if frame[3] else []), *labels, "mixture $p(x)$"]
    place = {"loc": "upper left", "bbox_to_anchor": (1 - LEGEND / WIDTH, 1), "borderaxespad": 0}
    legend = figure.legend(handles, labels, **place)
    room = 0.98 * LEGEND * figure.dpi / legend.get_window_extent().width
    legend.remove()
    figure.legend(handles, labels, **place, fontsize=8 * min(1, room))
    return figure


def main(weights, means, varis, title=None, frame=None):
    """Return the figure of a fitted mixture: parameters (k,), the rest as in `plot_model`."""
    labels = []
    for i, (w, m, v) in enumerate(zip(weights, means, varis), 1):
        labels.append(f"{i}: $\\pi={digits(w)}$, $\\mu={digits(m, v)}$, $\\sigma^2={digits(v)}$")
    title = title or ("", f"$k = {len(labels)}$")
    return plot_model(*curves(weights, means, varis), labels, title, frame)


# ---- What the figures show ----
def curves(weights, means, varis):
    """Return x, clusters and model, x from µ - 4σ to µ + 4σ of each component and fine enough."""
    weights, means, varis = (np.asarray(a, float)[:, None] for a in (weights, means, varis))
    sds = np.sqrt(varis)
    low, high = np.min(means - 4 * sds), np.max(means + 4 * sds)
    x = means + sds * np.linspace(-6, 6, 61)  # (k, 1) against (61,) -> (k, 61)
    x = np.unique(np.append(np.linspace(low, high, 101), x[(low < x) & (x < high)]))
    clusters = weights * gauss(x, means, varis)  # (k, 1) against (m,) -> (k, m)
    return x, clusters, clusters.sum(axis=0)


def histogram(data, n):
    """Return the bars of data (m,), which are all of n values or a sample of them."""
    low, high, bins = data.min(), data.max(), min(60, 2 * math.isqrt(n) + 1)
    # Rounded data rise in steps: bars that are not equally many steps wide would be a comb.
    step = np.diff(np.unique(data)).min()
    width = step * math.ceil((high - low) / step / bins)
    edges = np.arange(low - step / 2, high + width, width)
    heights, edges = np.histogram(data, edges, density=True)
    return {"values": heights, "edges": edges, "label": f"data, $n$ = {n:,}"}


def frame_of(mixtures, bars):
    """Return what figures share: low ≤ x ≤ high, densities up to top, bars, a height in inches.

    Three quarters of a mixture lie where its density is above a usual height. Next to more than ten
    times that nothing else would be high enough to see, and there the axis is cut.
    """
    ends, heights, usual = [*bars.get("edges", [])], [*bars.get("values", [])], 0
    for x, _, model in mixtures:
        ends, heights = [*ends, x[0], x[-1]], [*heights, model.max()]
        order = np.argsort(model)
        mass = np.cumsum((model * np.gradient(x))[order])
        usual = max(usual, model[order][np.searchsorted(mass, mass[-1] / 4)])
    legend = 0.15 * max(2 + len(clusters) for _, clusters, _ in mixtures)  # the longest
    return min(ends), max(ends), min(1.05 * max(heights), 10 * usual), bars, max(1.5, legend)


def draw(axes, x, clusters, model, frame):
    """Draw the histogram, the components and the mixture; return their handles for a legend."""
    low, high, top, bars, _ = frame
    axes.set(xlim=(low, high), ylim=(0, top))
    handles = [axes.stairs(**bars, color="0.55", linewidth=0.7)] if bars else []
    for cluster in clusters:
        (line,) = axes.plot(x, cluster)
        style = {"color": line.get_color(), "alpha": 0.3, "linewidth": 0}
        area = axes.fill_between(x, cluster, where=cluster > 0.008 * top, **style)
        handles.append((area, line))
    handles += axes.plot(x, model, color="black", linestyle="solid", linewidth=0.9)
    above_0 = plt.Rectangle((0, 0.008), 1, 1, transform=axes.transAxes)
    for artist in (*axes.patches, *axes.lines):  # what runs along 0 would thicken the axis
        artist.set_clip_path(above_0)
    return handles


def number_peaks(axes, x, clusters, model):
    """Write the number of each component at its peak, and the height of a peak that is cut off."""
    places, top = [], axes.get_ylim()[1]
    for i, cluster in enumerate(clusters, 1):
        peak = cluster.argmax()
        cut = f" $\\uparrow {digits(model[peak])}$" if model[peak] > top else ""
        place = axes.transLimits.transform((x[peak], min(cluster[peak], top)))  # 0 to 1 in axes
        room = 0.15 if cut else 0.03, 0.08
        if cluster[peak] > 0 and not any((abs(place - other) < room).all() for other in places):
            places.append(place)
            style = {"textcoords": "offset points", "ha": "center", "fontsize": 7}
            halo = [withStroke(linewidth=1.5, foreground="white")]
            axes.annotate(f"{i}{cut}", place, (0, 2), "axes fraction", path_effects=halo, **style)


def digits(number, variance=None):
    """Return a number to four significant digits, a mean to a tenth of its standard deviation."""
    scale = abs(number) / math.sqrt(variance) if variance else 0
    digits, _, exponent = f"{number:#.{max(4, 3 + int(math.log10(1 + scale)))}g}".partition("e")
    return digits.rstrip(".") + (f"\\times 10^{{{int(exponent)}}}" if exponent else "")


@plt.rc_context(STYLE | {"axes.spines.left": False, "ytick.left": False, "ytick.labelleft": False})
def compare(fits, frame):
    """Return a figure with a row for each k: a panel for each series, then ll and BIC."""
    ks, series, taken = sorted({fit["k"] for fit in fits}), {}, collections.Counter()
    # Random starts first: a k that the handout's start has won among restarts is in their series.
    for fit in sorted(fits, key=lambda fit: (-fit["tol"], fit["start"] == "handout")):
        series.setdefault((fit["tol"], taken[fit["tol"], fit["k"]]), []).append(fit)
        taken[fit["tol"], fit["k"]] += 1
    figure = plt.figure(figsize=(max(WIDTH, 1.2 * len(series) + 2.4), min(1.2 * len(ks), 8) + 1))
    widths = [1] * len(series) + [0.8, 0.8]
    grid = figure.subplots(len(ks), len(widths), sharex="col", squeeze=False, width_ratios=widths)
    figure.supylabel("density", fontsize=8)
    for axes, k in zip(grid[:, 0], ks):
        axes.set_ylabel(f"$k = {k}$", rotation=0, ha="right", va="center")
    for panels, own, mark in zip(grid.T, series.values(), MARKS()):
        restarts = own[0]["start"].partition(" of ")[2]
        start = f"best of {restarts} restarts" if restarts else "handout's start"
        handle = plt.Line2D([], [], **mark, label=f"{start},\ntol = {own[0]['tol']:g}")
        panels[0].legend(handles=[handle], loc="lower center", bbox_to_anchor=(0.5, 1))
        panels[-1].set_xlabel("$x$")
        for fit in own:
            row = ks.index(fit["k"])
            draw(panels[row], *curves(*map(fit.get, LISTS)), frame)
            grid[row, -2].plot(fit["ll"], 0, **mark)
            grid[row, -1].plot(fit["bic"], 0, **mark)
    for panels, label in zip(grid.T[-2:], ("ll", "BIC")):
        scores = [fit[label.lower()] for fit in fits]
        room = max(0.15 * np.ptp(scores), 0.5)  # or a difference of 1e-5 would look like a climb
        panels[-1].set(xlabel=label, xlim=(min(scores) - room, max(scores) + room))
    return figure


# ---- What gmm-em.py printed, and the data ----
KEYS = ["data", "n", "k", "tol", "start", "iterations", "weights", "means", "varis", "ll", "bic"]
LISTS = {"weights": "{k} numbers ≥ 0, sum 1", "means": "{k} numbers", "varis": "{k} numbers > 0"}


def value_of(key, line, k):
    """Return what follows a key in its line; raise ValueError if it cannot be of a fit."""
    found, _, text = line.partition(": ")
    if found != key or "\0" in line:
        raise ValueError(line)
    if key not in ("tol", "ll", "bic", *LISTS):
        return text if key in ("data", "start") else int(text)
    values = np.array(text.split(), float)
    wrong = len(values) != (k if key in LISTS else 1) or not np.isfinite(values).all()
    wrong |= key == "weights" and not (min(values) >= 0 and math.isclose(sum(values), 1))
    if wrong or (key == "varis" and min(values) <= 0):
        raise ValueError(line)
    return values if key in LISTS else values[0]


def read_fits(name):
    """Return the fits in a file, or in standard input if its name is "-": dictionaries of KEYS."""
    shown = "standard input" if name == "-" else name
    try:
        with open(0 if name == "-" else name, "rb") as file:
            lines = os.fsdecode(file.read()).splitlines()
    except OSError as error:
        fail(f"cannot read {shown}: {error.strerror}")
    fits, fit = [], {}
    for i, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("p(x) = "):
            continue
        key = KEYS[len(fit)]
        try:
            fit[key] = value_of(key, line, fit.get("k"))
        except ValueError:
            what = LISTS.get(key, "...").format_map(fit)
            fail(f"{shown}:{i}: expected {key}: {what}, found {line[:40]!r}")
        if key == KEYS[-1]:
            fits, fit = [*fits, fit | {"folder": Path(name).absolute().parent}], {}
    if fit or not fits:
        fail(f"{shown}: expected what gmm-em.py prints, found {'half a' if fit else 'no'} fit")
    return fits


def find_data(fit):
    """Return the path of the data of a fit, and a million of the values at most or None.

    Looks in the folder of the fit, in those above it and in the current one, for a file of n values
    with the mean of the mixture, as after an M-step. Whatever ails a file, it is not the data.
    """
    for folder in (fit["folder"], *fit["folder"].parents, Path.cwd()):
        with contextlib.suppress(Exception):
            path = (folder / fit["data"]).resolve()
            if path.suffix.lower() == ".npy":
                data = np.load(path, mmap_mode="r")
            else:  # a pipe would have no end
                data = np.loadtxt(path if path.is_file() else None, encoding="utf-8-sig", ndmin=1)
            sample = np.asarray(data[:: 1 + len(data) // 1_000_001], float)
            error = abs(sample.mean() - np.dot(fit["weights"], fit["means"]))
            if data.shape == (fit["n"],) and error < 1e-3 * np.ptp(sample):
                return path, sample
    return Path("stdin") if fit["data"] == "-" else fit["folder"] / fit["data"], None


def figures(fits):
    """Yield (stem of the file name, figure) for each fit, and for the fits of the same data."""
    groups = {}
    for fit in fits:
        path, data = find_data(fit)
        groups.setdefault((path, fit["n"], data is None), (data, []))[1].append(fit)
    for (path, n, _), (data, group) in groups.items():
        bars = {} if data is None else histogram(data, n)
        frame = frame_of([curves(*map(fit.get, LISTS)) for fit in group], bars)
        name = path.name.encode("latin-1", "backslashreplace").decode("latin-1")  # as the font has
        name = name if len(name) <= 30 else f"{name[:14]}...{name[-13:]}"
        for fit in group:
            title = name, f"$k = {fit['k']},\\ \\mathrm{{ll}} = {fit['ll']:.2f}$"
            yield f"{path.stem}-k{fit['k']}", main(*map(fit.get, LISTS), title, frame)
        if len(group) > 1:
            yield f"{path.stem}-comparison", compare(group, frame)


# ---- The command line ----
def fail(message):
    """End with a line on standard error and exit code 2."""
    with contextlib.suppress(OSError):  # closed, or full
        os.write(2, f"gmm-visualize.py: error: {message}\n".encode(errors="surrogateescape"))
    sys.exit(2)


@plt.rc_context(STYLE)
def save(figure, path):
    """Write a figure to a file, all of it or nothing, and the file's name to standard output."""
    content, part = io.BytesIO(), path.with_name(f"{path.name}.part")
    no_date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # the same file on any day
    figure.savefig(content, format=path.suffix[1:], metadata=no_date.get(path.suffix), dpi=200)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getvalue())
        part.replace(path)
        os.write(1, os.fsencode(f"{path}\n"))  # sys.stdout may not know all characters of a name
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        fail(f"cannot write {path} and its name: {error.strerror}")


def command_line():
    """Read the fits, draw and save the figures, as the command line asks."""
    parser = argparse.ArgumentParser(description="Plot the mixtures that gmm-em.py has fitted.")
    parser.error = fail
    add = parser.add_argument
    add("fits", nargs="*", metavar="FIT", help="gmm-em.py's output (default: writeup/fits/*.txt)")
    add("-o", "--output", type=Path, metavar="DIR", help="default: . (and then writeup/figures)")
    add("--format", choices=("png", "pdf", "svg"), default="png")
    add("--show", action="store_true", help="open the figures in windows as well")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of numpy, about files that turn out not to be the data
    if not args.show:
        plt.switch_backend("Agg")  # needs no display
    folder = args.output or (Path() if args.fits else HERE / "writeup" / "figures")
    names = args.fits or sorted(map(str, HERE.glob("writeup/fits/*.txt")))
    names = names or fail("expected fits in writeup/fits, found none: make -C writeup")
    fits = [fit for name in names for fit in read_fits(name)]
    taken = collections.Counter()
    for stem, figure in figures(fits):
        taken[stem] += 1
        again = f"-{taken[stem]}" if taken[stem] > 1 else ""
        save(figure, folder / f"{stem}{again}.{args.format}")
        if not args.show:
            plt.close(figure)
    if args.show:
        plt.show()


if __name__ == "__main__":
    for name in "SIGINT", "SIGPIPE":  # end at once, without a traceback; Windows has no SIGPIPE
        signal.signal(getattr(signal, name, signal.SIGINT), signal.SIG_DFL)
    command_line()
