"""Plot the Gaussian mixtures that gmm-em.py has fitted.

A figure has the k weighted components π_i N(x; µ_i, σ²_i) as areas, the mixture p(x), their sum,
as a line on top of them, and a histogram of the data as an outline, where the data can be read.
Several fits of the same data get one more figure, to compare them.

    x         shape (m,)      where the densities are drawn
    clusters  shape (k, m)    the weighted components; row i is component i
    model     shape (m,)      the mixture, the sum of the rows
    weights, means, varis     shape (k,): the parameters π_i, µ_i, σ²_i, as in gmm-em.py
    bars                      the histogram, as arguments of Axes.stairs, or None
    frame                     low, high, top, height: the axes show low <= x <= high and densities
                              up to top, in a figure so many inches high

Usage: python gmm-em.py data.txt 2-6 1 | python gmm-visualize.py -
       python gmm-visualize.py      (all of writeup/fits; --help has the options)
"""

import argparse
import collections
import contextlib
import functools
import io
import itertools
import math
import signal
import sys
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.patheffects import withStroke
from scipy.stats import norm

HERE = Path(__file__).resolve().parent
WIDTH = 6.5  # inches, the width of the text on letter paper: type is printed in its own size
# Okabe and Ito's colours, which colour-blind readers tell apart, so ordered that neighbours differ
# in grey as well; black is the mixture's. From the seventh component on they come again, dashed.
COLOURS = "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7"
MARKS = ("o", "black"), ("s", "white"), ("^", "0.6"), ("D", "black"), ("v", "white")  # of series
GAP = 0.12  # between the rows of a comparison, in heights of a row
STYLE = {
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(linestyle=["-", (0, (4, 1.5))]) * cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.max_open_warning": 0,
    "font.family": ["cmr10", "DejaVu Serif"],
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "legend.labelspacing": 0.15,
    "mathtext.fontset": "cm",
    "savefig.dpi": 200,
    "svg.hashsalt": "gmm",  # the same figure, the same file
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


# ---- The handout's functions ----


def gauss(x, mu, var):
    """Return the density N(x; µ, σ²) of mean `mu` and variance `var` at every x, in the shape of x.

    Handout, section 3.2.
    """
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
        handles = draw(axes, x, clusters, model, bars, frame)
        number_peaks(axes, x, clusters)
        label_cuts(axes, x, model)
        axes.set(xlabel="$x$", ylabel="density")
        family = "cmtt10" if title[0].isascii() else "DejaVu Sans Mono"  # cmr10 has no _ and no <
        axes.set_title(title[0], loc="left", family=family, fontsize=8, parse_math=False)
        axes.set_title(title[1], x=1, ha="right", fontsize=9)
        labels = [*([bars["label"]] if bars else []), "mixture $p(x)$", *labels]
        legend = figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.645, 1))
        texts = legend.get_texts()
        excess = max(text.get_window_extent().width for text in texts) / (0.29 * figure.bbox.width)
        for text in texts:
            text.set_fontsize(text.get_fontsize() / max(1, excess))
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
    """Return the bars of a density histogram of data (m,), all of n values or a sample of them."""
    low, high = data.min(), data.max()
    bins = min(60, 2 * math.isqrt(n) + 1)
    step = np.diff(np.unique(data[:10_000])).min(initial=np.inf)
    edges = np.linspace(low, high, bins + 1)
    if (high - low) / step < 500:  # rounded data: as many of its values in each bar, or it says
        width = step * math.ceil(((high - low) / step + 1) / bins)  # nothing
        edges = np.arange(low - step / 2, high + width, width)
    heights, edges = np.histogram(data, edges, density=True)
    return {"values": heights, "edges": edges, "label": f"data, $n$ = {n:,}"}


def frame_of(mixtures, bars):
    """Return the frame in which (x, clusters, model) of each mixture, and the bars, can be seen.

    Most of a mixture is higher than the least density of its densest three quarters. What is more
    than 20 times as high would leave nothing else to see, and is cut off at 8 times that height.
    """
    low, high = min(x[0] for x, *_ in mixtures), max(x[-1] for x, *_ in mixtures)
    peak, usual = max(model.max() for *_, model in mixtures), 0
    if bars:
        low, high = min(low, bars["edges"][0]), max(high, bars["edges"][-1])
        peak = max(peak, bars["values"].max())
    for x, _, model in mixtures:
        order = np.argsort(model)
        mass = np.cumsum((model * np.gradient(x))[order])
        usual = max(usual, model[order][np.searchsorted(mass, 0.25 * mass[-1])])
    entries = 2 + max(len(clusters) for _, clusters, _ in mixtures)
    height = max(1.65, 0.1 + 0.15 * entries)
    return low, high, 1.05 * peak if peak < 20 * usual else 8 * usual, height


def draw(axes, x, clusters, model, bars, frame):
    """Draw the histogram, the components and the mixture; return their handles for a legend."""
    low, high, top, _ = frame
    axes.set(xlim=(low, high), ylim=(0, top))
    outline = [axes.stairs(**bars, color="0.55", linewidth=0.7)] if bars else []
    components = []
    for cluster in clusters:
        (line,) = axes.plot(x, cluster, linewidth=0.7)
        seen = cluster > 0.002 * top
        shape = np.minimum(cluster, 2 * top)
        area = axes.fill_between(x, shape, where=seen, color=line.get_color(), alpha=0.3, lw=0)
        components.append((area, line))
    mixture = axes.plot(x, model, color="black", linestyle="solid", linewidth=0.9)
    above_0 = plt.Rectangle((0, 0.008), 1, 1, transform=axes.transAxes)
    for artist in (*outline, *axes.lines):
        artist.set_clip_path(above_0)
    return [*outline, *mixture, *components]


def number_peaks(axes, x, clusters):
    """Write the number of each component at its peak, and at one place those that coincide."""
    width, top = np.ptp(axes.get_xlim()), axes.get_ylim()[1]
    places = []
    for i, cluster in enumerate(clusters, 1):
        j = cluster.argmax()
        if cluster[j] == 0:
            continue
        peak = x[j], min(cluster[j], top)
        for place, numbers in places:
            if abs(peak[0] - place[0]) < 0.02 * width and abs(peak[1] - place[1]) < 0.08 * top:
                numbers.append(i)
                break
        else:
            places.append((peak, [i]))
    halo = [withStroke(linewidth=1.5, foreground="white")]
    for place, numbers in places:
        text = ", ".join(map(str, numbers))
        style = {"ha": "center", "fontsize": 7, "path_effects": halo}
        axes.annotate(text, place, (0, 1), textcoords="offset points", **style)


def label_cuts(axes, x, model):
    """Write at the top how high the mixture is where the axis is cut."""
    (low, high), (_, top) = axes.get_xlim(), axes.get_ylim()
    cut = np.flatnonzero(model > top)
    for part in np.split(cut, np.flatnonzero(np.diff(x[cut]) > 0.12 * (high - low)) + 1):
        if len(part):
            peak = part[model[part].argmax()]
            side, shift = ("left", 3) if x[peak] < (low + high) / 2 else ("right", -3)
            text = f"$\\uparrow {digits(model[peak])}$"
            style = {"ha": side, "va": "top", "fontsize": 7}
            axes.annotate(text, (x[peak], top), (shift, 0), textcoords="offset points", **style)


def digits(number, variance=None):
    """Return a number as a formula has it: four significant digits.

    A mean whose variance is given gets as many as it takes to a tenth of its standard deviation.
    """
    wanted = 4
    if variance:
        wanted = max(4, 3 + int(math.log10(1 + abs(number) / math.sqrt(variance))))
    digits, _, exponent = f"{number:#.{wanted}g}".partition("e")
    digits = digits.rstrip(".")
    return f"{digits}\\times 10^{{{int(exponent)}}}" if exponent else digits


# ---- The comparison ----


def series_of(fits):
    """Return fits in series, {k: fit} each: what one command printed for a range of k.

    A fit joins the first series of its tol that lacks its k. Those from random starts come first,
    so that the fits which the handout's start has won among restarts find their place with them.
    """
    series = []
    for fit in sorted(fits, key=lambda fit: fit["start"] == "handout"):
        for tol, by_k in series:
            if tol == fit["tol"] and fit["k"] not in by_k:
                by_k[fit["k"]] = fit
                break
        else:
            series.append((fit["tol"], {fit["k"]: fit}))
    order = sorted(series, key=lambda item: (-item[0], "random" in str(item[1])))
    return [by_k for _, by_k in order]


def name_of(by_k):
    """Return what the fits of a series have in common, in two lines."""
    starts = sorted({fit["start"].partition(" of ")[2] for fit in by_k.values()} - {""})
    start = f"best of {', '.join(starts)} restarts" if starts else "handout's start"
    return f"{start},\ntol = {next(iter(by_k.values()))['tol']:g}"


def compare(fits, bars, frame):
    """Return a figure with a row for each k: a column of fits for each series, then ll and BIC."""
    series, ks = series_of(fits), sorted({fit["k"] for fit in fits})
    rows, columns = len(ks), len(series)
    width, height = max(WIDTH, 1.2 * (columns + 2)), min(1.2 * rows, 8) + 1
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width, height))
        grid = figure.add_gridspec(
            rows,
            columns + 2,
            width_ratios=[*[1] * columns, 0.6, 0.6],
            **{"left": 0.9 / width, "right": 1 - 0.1 / width, "wspace": 0.12},
            **{"bottom": 0.45 / height, "top": 1 - 0.45 / height, "hspace": GAP},
        )
        for j, (key, name) in enumerate({"ll": "ll", "bic": "BIC (lower is better)"}.items()):
            axes = figure.add_subplot(grid[:, columns + j], xlabel=name)
            marks = plot_scores(axes, series, ks, key)
        for j, (by_k, mark) in enumerate(zip(series, marks)):
            panels = [figure.add_subplot(grid[i, j]) for i in range(rows)]
            draw_column(panels, by_k, ks, bars, frame)
            panels[0].legend([mark], [name_of(by_k)], loc="lower center", bbox_to_anchor=(0.5, 1))
            panels[-1].set_xlabel("$x$")
            for axes, k in zip(panels, ks):
                if j == 0:
                    axes.set_ylabel(f"$k = {k}$", rotation=0, ha="right", va="center")
                else:
                    axes.tick_params(labelleft=False)
        figure.supylabel("density", x=0.01, fontsize=9)
    return figure


def draw_column(panels, by_k, ks, bars, frame):
    """Draw the fits of a series into panels, one for each k; without a fit a panel stays empty."""
    for axes, k in zip(panels, ks):
        axes.locator_params(nbins=4)
        axes.tick_params(labelbottom=k == max(by_k))
        if k in by_k:
            mixture = curves(*(by_k[k][key] for key in LISTS))
            draw(axes, *mixture, bars, frame)
            label_cuts(axes, mixture[0], mixture[-1])
        else:
            axes.set(frame_on=False, xticks=[], yticks=[])


def plot_scores(axes, series, ks, key):
    """Plot the ll or BIC of each series, level with the rows of its fits; return the lines."""
    for by_k, (marker, fill) in zip(series, itertools.cycle(MARKS)):
        style = {"color": "black", "linewidth": 0.7, "markersize": 4, "markerfacecolor": fill}
        rows = [i for i, k in enumerate(ks) if k in by_k]
        axes.plot([by_k[ks[i]][key] for i in rows], rows, marker, linestyle="-", **style)
    axes.margins(x=0.15)
    low, high = axes.get_xlim()
    half = max(1, high - low) / 2  # or a difference of 1e-5 would look like a climb
    edge = 0.5 / (1 + GAP)
    axes.set(xlim=((low + high) / 2 - half, (low + high) / 2 + half))
    axes.set(ylim=(len(ks) - 1 + edge, -edge), yticks=range(len(ks)), yticklabels=[])
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(left=False)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.spines["left"].set_visible(False)
    return axes.lines


# ---- What gmm-em.py printed, and the data ----


def number(text):
    """Return the finite number in a text; raise ValueError if there is none."""
    if not abs(value := float(text)) < math.inf:
        raise ValueError(text)
    return value


def numbers(text):
    """Return the finite numbers in a text; raise ValueError if one is none."""
    return [number(word) for word in text.split()]


LISTS = "weights", "means", "varis"
KEYS = {  # what gmm-em.py prints of a fit, in this order, and how to read it
    **{"data": str, "n": int, "k": int, "tol": number, "start": str, "iterations": int},
    **dict.fromkeys(LISTS, numbers),
    **{"ll": number, "bic": number},
}


def read_fits(lines, name):
    """Return the fits in what gmm-em.py printed: dictionaries with the keys that it prints.

    Raises ValueError, FILE:LINE first, where a line is not what gmm-em.py prints.
    """
    fits, place = [], name
    for place, line in ((f"{name}:{i}", line.strip()) for i, line in enumerate(lines, 1)):
        if not line or line.startswith("p(x) = "):
            continue
        if not fits or len(fits[-1]) == len(KEYS):
            fits.append({})
        expected = list(KEYS)[len(fits[-1])]
        key, _, value = line.partition(": ")
        if key != expected:
            raise ValueError(f"{place}: expected a {expected}: line, found {line[:40]!r}")
        try:
            fits[-1][key] = KEYS[key](value)
        except ValueError:
            found = f"found {value[:40]!r}"
            raise ValueError(f"{place}: expected finite numbers as {key}, {found}") from None
        if key in LISTS:
            refuse_malformed(fits[-1], key, place)
    if not fits:
        raise ValueError(f"{name}: expected what gmm-em.py prints, found no fit in it")
    if len(fits[-1]) < len(KEYS):
        expected = list(KEYS)[len(fits[-1])]
        raise ValueError(f"{place}: expected a {expected}: line, found the end")
    return fits


def refuse_malformed(fit, key, place):
    """Raise ValueError, FILE:LINE first, unless a list of parameters can be that of a mixture."""
    values, k = fit[key], fit["k"]
    least, total = min(values, default=0), math.fsum(values)
    wanted, found = "", f"a sum of {total:.6g} and a minimum of {least:.6g}"
    if len(values) != k:
        wanted, found = f"k = {k} {key}", len(values)
    elif key == "weights" and not (least >= 0 and math.isclose(total, 1, rel_tol=1e-6)):
        wanted = "weights ≥ 0 that sum to 1"
    elif key == "varis" and least <= 0:
        wanted, found = "varis > 0", f"{least:.6g}"
    if wanted:
        raise ValueError(f"{place}: expected {wanted}, found {found}")


@functools.cache
def load(path):
    """Return how many numbers a file holds, and these, or of more than a million a sample."""
    # Whatever ails a file, be it a broken header or two columns, it is not the data of a fit.
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".npy":
            data = np.lib.format.open_memmap(path, mode="r")
        else:
            data = np.loadtxt(path, encoding="utf-8-sig", ndmin=1) if path.is_file() else []
        n = len(data)
        if n > 1_000_000:  # a thousand runs of a thousand values: few pages of a large file
            starts = np.linspace(0, n - 1000, 1000).astype(int)
            data = data[starts[:, None] + np.arange(1000)].ravel()
        data = np.asarray(data, float)
        if data.ndim == 1 and 0 < np.ptp(data) < math.inf:
            return n, data
    return 0, None


def find_data(fit, folder):
    """Return the path of the data of a fit that lies in `folder`, and its numbers or None.

    The name is looked up in that folder, in those above it and in the current one. A file is taken
    for the data if it holds n values with the mean of the mixture: after an M-step, the two means
    are the same.
    """
    mean = np.dot(fit["weights"], fit["means"])
    for base in (folder, *folder.parents, Path.cwd()):
        path = (base / fit["data"]).resolve()
        n, data = load(path)
        if n == fit["n"] and abs(data.mean() - mean) < 1e-3 * np.ptp(data):
            return path, data
    return folder / fit["data"], None


# ---- The command line ----


def save(figure, path):
    """Write a figure to a file, whole or not at all, and say so."""
    kind, content = path.suffix[1:], io.BytesIO()
    no_date = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}  # the same figure, same file
    with plt.rc_context(STYLE):
        figure.savefig(content, format=kind, metadata=no_date.get(kind))
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content.getvalue())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    print(path)


def figures(fits):
    """Yield (stem of the file name, figure) for each fit, and for the fits of the same data."""
    groups, taken = {}, collections.Counter()
    for fit, folder in fits:
        if fit["data"] == "-":
            path, data = Path("standard input"), None
        else:
            path, data = find_data(fit, folder)
        groups.setdefault((path, fit["n"], data is None), (data, []))[1].append(fit)
    for (path, n, _), (data, group) in groups.items():
        bars = None if data is None else histogram(data, n)
        frame = frame_of([curves(*(fit[key] for key in LISTS)) for fit in group], bars)
        stem = "stdin" if group[0]["data"] == "-" else path.stem
        name = path.name.encode("cp1252", "backslashreplace").decode("cp1252")
        name = name if len(name) <= 30 else f"{name[:14]}...{name[-13:]}"
        for fit in group:
            heading = f"$k = {fit['k']},\\ \\mathrm{{ll}} = {fit['ll']:.2f}$"
            figure = main(*(fit[key] for key in LISTS), (name, heading), bars, frame)
            yield unused(f"{stem}-k{fit['k']}", taken), figure
        if len(group) > 1:
            yield unused(f"{stem}-comparison", taken), compare(group, bars, frame)


def unused(stem, taken):
    """Return the stem of a file name, with a number where it is taken already."""
    taken[stem] += 1
    return stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"


def fail(message):
    """Exit with one line on standard error."""
    if sys.stderr:  # is None where it is closed, and print would take standard output instead
        print(f"gmm-visualize.py: error: {message}", file=sys.stderr)
    sys.exit(2)


def read_all(names):
    """Return (fit, folder of its file) for each fit, or exit if a file is not as it should be."""
    fits = []
    for name in names:
        shown = "standard input" if name == "-" else name
        try:
            with open(0 if name == "-" else name, encoding="utf-8-sig") as file:
                found = read_fits(file, shown)
        except OSError as error:
            fail(f"cannot read {shown}: {error.strerror}")
        except UnicodeDecodeError:
            fail(f"{shown}: expected what gmm-em.py prints, found no UTF-8 text")
        except ValueError as error:
            fail(error)
        folder = Path("." if name == "-" else name).absolute().parent
        fits += [(fit, Path.cwd() if name == "-" else folder) for fit in found]
    return fits


def parse_arguments():
    """Return the arguments of the command line, or exit with code 2 and a line that says why."""
    parser = argparse.ArgumentParser(description="Plot the mixtures that gmm-em.py has fitted.")
    parser.error = lambda message: fail(f"{message}; try --help")
    parser.add_argument(
        "fits",
        nargs="*",
        metavar="FIT",
        help='what gmm-em.py printed, one or more fits; "-" for standard input '
        "(default: writeup/fits/*.txt, with the figures in writeup/figures)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder of the figures (default: this one)"
    )
    parser.add_argument("--format", choices=("png", "pdf", "svg"), default="png")
    parser.add_argument("--show", action="store_true", help="open the figures in windows as well")
    return parser.parse_args()


def command_line():
    """Read the fits, draw and save the figures, as the command line asks."""
    args = parse_arguments()
    if not args.show:
        matplotlib.use("Agg")  # needs no display
    names = args.fits or sorted(map(str, (HERE / "writeup" / "fits").glob("*.txt")))
    if not names:
        fail("expected fits in writeup/fits, found none: make -C writeup, or name a FIT")
    fits = read_all(names)
    folder = args.output or (Path() if args.fits else HERE / "writeup" / "figures")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stem, figure in figures(fits):
            save(figure, folder / f"{stem}.{args.format}")
            if not args.show:
                plt.close(figure)
    except OSError as error:
        fail(f"cannot write to {error.filename or folder}: {error.strerror}")
    if args.show:
        plt.show()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C and a closed pipe end it in silence
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.stdout:  # its encoding may not have all the characters of a file name
        sys.stdout.reconfigure(errors="backslashreplace")
    command_line()
