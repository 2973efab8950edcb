"""Plot the Gaussian mixtures that gmm-em.py has fitted.

A figure has the k weighted components π_i N(x; µ_i, σ²_i) as areas, the mixture p(x), their sum,
as a line on top, and a histogram of the data as an outline, where the data can be read. Several
fits of the same data share their frame and get one more figure, which compares them.

    x         shape (m,)      where the densities are drawn
    clusters  shape (k, m)    the weighted components; row i is component i
    model     shape (m,)      the mixture, the sum of the rows
    weights, means, varis     shape (k,): the parameters π_i, µ_i, σ²_i, as in gmm-em.py
    bars                      the histogram, as keywords of Axes.stairs, or None
    frame                     low, high, top, height: the axes show low ≤ x ≤ high and densities
                              from 0 to top, in a figure that is so many inches high

Usage: python gmm-em.py data.txt 2-6 1 | python gmm-visualize.py -
       python gmm-visualize.py      (all of writeup/fits; --help has the options)
"""

import argparse
import collections
import contextlib
import io
import itertools
import math
import operator
import signal
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke
from scipy.stats import norm

HERE = Path(__file__).resolve().parent
WIDTH = 6.5  # inches, that of the text on letter paper: 8 points are 8 points in print
# Okabe and Ito's colours, which colour-blind readers tell apart, so ordered that neighbours differ
# in grey as well; black is the mixture's. From the seventh component on they come again, dashed.
COLOURS = "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7"
STYLE = {
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": plt.cycler(linestyle=["-", (0, (4, 1.5))]) * plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.max_open_warning": 0,  # --show keeps all of them open
    "font.family": ["cmr10", "DejaVu Serif"],
    "font.size": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "legend.labelspacing": 0.15,
    "mathtext.fontset": "cm",
    "savefig.dpi": 200,
    "svg.hashsalt": "gmm",  # the same figure, the same file
}


# ---- The handout's functions ----


def gauss(x, mu, var):
    """Return the density N(x; µ, σ²) at every x, in the shape of x. Handout, section 3.2."""
    return norm.pdf(x, mu, np.sqrt(var))


def plot_model(x, clusters, model, labels=None, title=("", ""), bars=None, frame=None):
    """Return a figure of the k weighted components and the mixture: k + 1 curves with a legend.

    x (m,), clusters (k, m), model (m,); a label for each component; a title for the left and one
    for the right; a frame if other figures have it as well. Handout, section 3.2.
    """
    labels = labels or [f"component {i + 1}" for i in range(len(clusters))]
    frame = frame or frame_of([(x, clusters, model)], bars)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, frame[-1]), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 0.64, 1))  # the rest is the legend's
        handles = draw(axes, x, clusters, model, bars, frame, numbered=True)
        axes.set(xlabel="$x$", ylabel="density")
        axes.set_title(title[0], loc="left", family="cmtt10", fontsize=8, pad=8, parse_math=False)
        axes.set_title(title[1], x=1, ha="right", fontsize=9, pad=8)
        labels = [*([bars["label"]] if bars else []), "mixture $p(x)$", *labels]
        legend = figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.645, 1))
        widest = max(text.get_window_extent().width for text in legend.get_texts())
        for text in legend.get_texts():
            text.set_fontsize(8 * min(1, 0.29 * figure.bbox.width / widest))
    return figure


def main(weights, means, varis, title=None, bars=None, frame=None):
    """Return the figure of a fitted mixture: parameters (k,), the rest as in `plot_model`."""
    labels = [
        f"{i}: $\\pi={digits(w)}$, $\\mu={digits(m, v)}$, $\\sigma^2={digits(v)}$"
        for i, (w, m, v) in enumerate(zip(weights, means, varis), 1)
    ]
    title = title or ("", f"$k = {len(labels)}$")
    return plot_model(*curves(weights, means, varis), labels, title, bars, frame)


# ---- What the figures show ----


def curves(weights, means, varis):
    """Return x, clusters and model, from µ - 4σ to µ + 4σ of each component and fine enough for it.

    parameters (k,) -> x (m,), clusters (k, m), model (m,)
    """
    weights, means, varis = (np.asarray(a, float)[:, None] for a in (weights, means, varis))
    sds = np.sqrt(varis)
    low, high = np.min(means - 4 * sds), np.max(means + 4 * sds)
    x = means + sds * np.linspace(-6, 6, 121)  # (k, 1) against (121,) -> (k, 121)
    x = np.unique(np.append(np.linspace(low, high, 201), x[(low < x) & (x < high)]))
    clusters = weights * gauss(x, means, varis)  # (k, 1) against (m,) -> (k, m)
    return x, clusters, clusters.sum(axis=0)


def histogram(data, n):
    """Return the bars of data (m,), which are all of n values or a sample of them."""
    low, high = data.min(), data.max()
    bins = min(60, 2 * math.isqrt(n) + 1)
    edges = np.linspace(low, high, bins + 1)
    step = np.diff(np.unique(data[:10_000])).min(initial=np.inf)
    values = (high - low) / step + 1
    if values < 500:  # rounded data: as many of its values in each bar, or the heights say nothing
        width = step * math.ceil(values / bins)
        edges = np.arange(low - step / 2, high + width, width)
    heights, edges = np.histogram(data, edges, density=True)
    return {"values": heights, "edges": edges, "label": f"data, $n$ = {n:,}"}


def frame_of(mixtures, bars):
    """Return the frame that shows all mixtures, each (x, clusters, model), and the bars.

    Three quarters of a mixture lie where its density is above a usual height. Next to 20 times that
    nothing else would be high enough to see, and the axis is cut at 8 times.
    """
    x = [end for grid, *_ in mixtures for end in (grid[0], grid[-1])]
    heights, usual = [model.max() for *_, model in mixtures], 0
    for grid, _, model in mixtures:
        order = np.argsort(model)
        mass = np.cumsum((model * np.gradient(grid))[order])
        usual = max(usual, model[order][np.searchsorted(mass, mass[-1] / 4)])
    if bars:
        x, heights = [*x, *bars["edges"]], [*heights, *bars["values"]]
    top = 1.05 * max(heights) if max(heights) < 20 * usual else 8 * usual
    entries = 2 + max(len(clusters) for _, clusters, _ in mixtures)  # of the longest legend
    return min(x), max(x), top, max(1.65, 0.1 + 0.15 * entries)


def draw(axes, x, clusters, model, bars, frame, numbered):
    """Draw the histogram, the components and the mixture; return their handles for a legend."""
    low, high, top, _ = frame
    axes.set(xlim=(low, high), ylim=(0, top))
    outline = [axes.stairs(**bars, color="0.55", linewidth=0.7)] if bars else []
    components, places, halo = [], [], [withStroke(linewidth=1.5, foreground="white")]
    for i, cluster in enumerate(clusters, 1):
        (line,) = axes.plot(x, cluster, linewidth=0.7)
        style = {"color": line.get_color(), "alpha": 0.3, "linewidth": 0}
        shape, peak = np.minimum(cluster, top), cluster.argmax()
        area = axes.fill_between(x, shape, where=shape > 0.002 * top, **style)
        components.append((area, line))
        cut = f" $\\uparrow {digits(model[peak])}$" if model[peak] > top else ""
        place = (x[peak] - low) / (high - low), shape[peak] / top
        room = 0.15 if cut else 0.02, 0.08
        if cluster[peak] > 0 and not any(np.allclose(place, p, 0, room) for p in places):
            places.append(place)
            style = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center"}
            text = (f"{i}" if numbered else "") + cut
            axes.annotate(text, place, (0, 1), fontsize=7, path_effects=halo, **style)
    mixture = axes.plot(x, model, color="black", linestyle="solid", linewidth=0.9)
    above_0 = plt.Rectangle((0, 0.008), 1, 1, transform=axes.transAxes)
    for artist in (*outline, *axes.lines):
        artist.set_clip_path(above_0)
    return [*outline, *mixture, *components]


def digits(number, variance=None):
    """Return a number to four significant digits, a mean to a tenth of its standard deviation."""
    scale = abs(number) / math.sqrt(variance) if variance else 0
    digits, _, exponent = f"{number:#.{max(4, 3 + int(math.log10(1 + scale)))}g}".partition("e")
    return digits.rstrip(".") + (f"\\times 10^{{{int(exponent)}}}" if exponent else "")


def compare(fits, bars, frame):
    """Return a figure with a row for each k: a column of fits for each series, then ll and BIC.

    Fits of one tol and k go to a series each, those from random starts first: so a k that the
    handout's start has won among the restarts comes to the series of the restarts.
    """
    by_place, taken, ks = {}, collections.Counter(), sorted({fit["k"] for fit in fits})
    for fit in sorted(fits, key=lambda fit: fit["start"] == "handout"):
        taken[fit["tol"], fit["k"]] += 1
        by_place.setdefault((-fit["tol"], taken[fit["tol"], fit["k"]]), {})[fit["k"]] = fit
    series = [by_place[place] for place in sorted(by_place)]
    columns, gap = len(series), 0.12  # between the rows, in heights of a row
    width, height = max(WIDTH, 1.2 * columns + 2.4), min(1.2 * len(ks), 8) + 1
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width, height))
        figure.supylabel("density", x=0.01, fontsize=8)
        figure.subplots_adjust(0.9 / width, 0.45 / height, 0.985, 1 - 0.45 / height, 0.12, gap)
        grid = figure.add_gridspec(len(ks), columns + 2, width_ratios=[1] * columns + [0.7] * 2)
        for j, (key, name) in enumerate({"ll": "ll", "bic": "BIC"}.items()):
            axes = figure.add_subplot(grid[:, columns + j], xlabel=name)
            marks = plot_scores(axes, series, ks, key, 0.5 / (1 + gap))
        for (j, by_k), (i, k) in itertools.product(enumerate(series), enumerate(ks)):
            axes = figure.add_subplot(grid[i, j], xlim=frame[:2], ylim=(0, frame[2]), xlabel="$x$")
            axes.set_ylabel(f"$k = {k}$", rotation=0, ha="right", va="center")
            axes.locator_params(nbins=4)
            axes.label_outer()
            if k in by_k:
                draw(axes, *curves(*parameters(by_k[k])), bars, frame, numbered=False)
            if i == 0:
                axes.legend(handles=[marks[j]], loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def plot_scores(axes, series, ks, key, edge):
    """Plot the ll or BIC of each series, level with the rows of its fits; return the lines."""
    for by_k, (marker, fill) in zip(series, itertools.cycle(["ok", "sw", "^k", "Dw"])):
        fits = [by_k[k] for k in sorted(by_k)]
        restarts = max(fit["start"].partition(" of ")[2] for fit in fits)
        start = f"best of {restarts} restarts" if restarts else "handout's start"
        label = f"{start},\ntol = {fits[0]['tol']:g}"
        style = {"color": "black", "linestyle": "solid", "linewidth": 0.7, "markersize": 4}
        points = [fit[key] for fit in fits], [ks.index(fit["k"]) for fit in fits]
        axes.plot(*points, marker=marker, markerfacecolor=fill, label=label, **style)
    axes.margins(x=0.15)
    low, high = axes.get_xlim()
    wider = max(0, 1 - (high - low)) / 2  # or a difference of 1e-5 would look like a climb
    axes.set(xlim=(low - wider, high + wider), ylim=(len(ks) - 1 + edge, -edge))
    axes.set_yticks(range(len(ks)), [])
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(left=False)
    axes.grid(axis="y", color="0.9")
    axes.spines["left"].set_visible(False)
    return axes.lines


# ---- What gmm-em.py printed, and the data ----


def number(text):
    """Return the finite number in a text; raise ValueError if there is none."""
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


def numbers(text):
    """Return the finite numbers in a text; raise ValueError if something else is in it."""
    return [number(word) for word in text.split()]


KEYS = {  # of a fit, in the order in which gmm-em.py prints them, and how to read them
    **{"data": str, "n": int, "k": int, "tol": number, "start": str, "iterations": int},
    **{"weights": numbers, "means": numbers, "varis": numbers, "ll": number, "bic": number},
}
RULES = {  # for the k numbers of a list
    "weights": ("≥ 0 with sum 1", lambda x: min(x) >= 0 and math.isclose(sum(x), 1, rel_tol=1e-6)),
    "means": ("for the means", lambda x: True),
    "varis": ("> 0", lambda x: min(x) > 0),
}
parameters = operator.itemgetter(*RULES)


def read_fits(lines, name):
    """Return the fits in what gmm-em.py printed: dictionaries of KEYS.

    Raises ValueError, FILE:LINE first, where a line is not what gmm-em.py prints.
    """
    fits, fit = [], {}
    for i, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("p(x) = "):
            continue
        key, _, text = line.partition(": ")
        wanted = list(KEYS)[len(fit)]
        rule, holds = RULES.get(wanted, ("", None))
        with contextlib.suppress(ValueError):
            value = KEYS[wanted](text)
            if key == wanted and (not holds or (len(value) == fit["k"] and holds(value))):
                fit[key] = value
        if wanted not in fit:
            what = f"{fit['k']} numbers {rule}" if rule else f"a {wanted}: line"
            raise ValueError(f"{name}:{i}: expected {what}, found {line[:40]!r}")
        if len(fit) == len(KEYS):
            fits, fit = [*fits, fit], {}
    if fit or not fits:
        found = "half a fit at its end" if fit else "no fit in it"
        raise ValueError(f"{name}: expected what gmm-em.py prints, found {found}")
    return fits


def find_data(fit, folder):
    """Return the path of the data of a fit that lies in a folder, and its numbers or None.

    The name is looked up in that folder, in those above it and in the current one. A file is the
    data if it holds n values that have the mean of the mixture, as they do after an M-step. Of more
    than a million, every second, or third, or so, is returned.
    """
    for path in ((base / fit["data"]).resolve() for base in (folder, *folder.parents, Path.cwd())):
        # Whatever ails a file, be it a broken header or two columns, it is not the data.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix == ".npy":
                data = np.lib.format.open_memmap(path, mode="r")
            else:
                data = np.loadtxt(path if path.is_file() else [], encoding="utf-8-sig", ndmin=1)
            sample = np.asarray(data[:: 1 + len(data) // 1_000_001], float)
            error = abs(sample.mean() - np.dot(fit["weights"], fit["means"]))
            if data.shape == (fit["n"],) and error < 1e-3 * np.ptp(sample) < math.inf:
                return path, sample
    return folder / fit["data"], None


def figures(fits):
    """Yield (stem of the file name, figure) for each fit, and for the fits of the same data."""
    groups = {}
    for fit, folder in fits:
        path, data = find_data(fit, folder) if fit["data"] != "-" else (Path("stdin"), None)
        groups.setdefault((path, fit["n"], data is None), (data, []))[1].append(fit)
    for (path, n, _), (data, group) in groups.items():
        bars = None if data is None else histogram(data, n)
        frame = frame_of([curves(*parameters(fit)) for fit in group], bars)
        name = path.name.encode("ascii", "backslashreplace").decode()  # cmtt10 has nothing else
        name = name if len(name) <= 30 else f"{name[:14]}...{name[-13:]}"
        for fit in group:
            title = name, f"$k = {fit['k']},\\ \\mathrm{{ll}} = {fit['ll']:.2f}$"
            yield f"{path.stem}-k{fit['k']}", main(*parameters(fit), title, bars, frame)
        if len(group) > 1:
            yield f"{path.stem}-comparison", compare(group, bars, frame)


# ---- The command line ----


def parse_arguments():
    """Return the arguments of the command line, and a function that ends it with an error."""
    parser = argparse.ArgumentParser(description="Plot the mixtures that gmm-em.py has fitted.")
    parser.error = lambda message: parser.exit(2, f"gmm-visualize.py: error: {message}\n")
    what = 'what gmm-em.py printed, "-" for standard input (default: all of writeup/fits)'
    parser.add_argument("fits", nargs="*", metavar="FIT", help=what)
    where = "folder of the figures (default: this one, or writeup/figures if there is no FIT)"
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help=where)
    parser.add_argument("--format", choices=("png", "pdf", "svg"), default="png")
    parser.add_argument("--show", action="store_true", help="open the figures in windows as well")
    return parser.parse_args(), parser.error


def save(figure, path):
    """Write a figure to a file, in one go once it is drawn, and say so."""
    content = io.BytesIO()
    no_date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # the same file on any day
    with plt.rc_context(STYLE):
        figure.savefig(content, format=path.suffix[1:], metadata=no_date.get(path.suffix))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.getvalue())
    print(path)


def command_line():
    """Read the fits, draw and save the figures, as the command line asks."""
    args, fail = parse_arguments()
    if not args.show:
        plt.switch_backend("Agg")  # needs no display
    folder = args.output or (Path() if args.fits else HERE / "writeup" / "figures")
    names = args.fits or sorted(map(str, (HERE / "writeup" / "fits").glob("*.txt")))
    if not names:
        fail("expected fits in writeup/fits, found none: make -C writeup, or name a FIT")
    fits, taken = [], collections.Counter()
    for name in names:
        shown = "standard input" if name == "-" else name
        try:
            with open(0 if name == "-" else name, encoding="utf-8-sig", errors="replace") as file:
                fits += [(fit, Path(name).absolute().parent) for fit in read_fits(file, shown)]
        except OSError as error:
            fail(f"cannot read {shown}: {error.strerror}")
        except ValueError as error:
            fail(error)
    for stem, figure in figures(fits):
        taken[stem] += 1
        again = f"-{taken[stem]}" if taken[stem] > 1 else ""
        try:
            save(figure, folder / f"{stem}{again}.{args.format}")
        except OSError as error:
            fail(f"cannot write to {error.filename or folder}: {error.strerror}")
        if not args.show:
            plt.close(figure)
    if args.show:
        plt.show()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C and a closed pipe end it in silence
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stderr = sys.stderr or io.StringIO()  # None where it is closed
    if sys.stdout:  # its encoding may not have all the characters of a file name
        sys.stdout.reconfigure(errors="backslashreplace")
    command_line()
