"""Plot the Gaussian mixtures that gmm-em.py has fitted.

Areas are the weighted components, a line their sum, the mixture, an outline the data.

    x                       shape (m,): where the densities are drawn
    clusters, model         shape (k, m), (m,): the weighted components, and their sum
    weights, means, varis   shape (k,): the parameters π_i, µ_i, σ²_i, as in gmm-em.py
Usage: python gmm-em.py data.txt 2-6 1 | python gmm-visualize.py -   (see also --help)
"""

import argparse
import contextlib
import io
import logging
import math
import os
import signal
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
from scipy.stats import norm

# For --show. A backend that is not installed would stop the import of matplotlib.
BACKEND = os.environ.pop("MPLBACKEND", None)
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.patheffects import withStroke  # noqa: E402

HERE = Path(__file__).resolve().parent
TEX = plt.ScalarFormatter(useMathText=True).format_data  # 1e-06 as 10^{-6}
MONO = {"family": ["cmtt10", "DejaVu Sans Mono"], "size": 8}
# Okabe and Ito's, for colour-blind readers. From the seventh on they are dashed.
COLOURS = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
SERIES = plt.cycler(marker="osD^v", linestyle=["-", "--", ":", "-.", "-"])
STYLE = {
    "axes.formatter.use_mathtext": True,
    "axes.formatter.useoffset": False,
    "axes.prop_cycle": plt.cycler(ls=["-", "--"]) * plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": ["cmr10", "DejaVu Serif"],
    "font.size": 8,
    "legend.frameon": False,
    "legend.labelspacing": 0.15,
    "lines.linewidth": 0.7,
    "mathtext.fontset": "cm",
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.hashsalt": "gmm",  # the same figure, the same file
}


# ---- The handout's functions ----
def gauss(x, mu, var):
    """Return the density N(x; µ, σ²) at every x, in its shape. Handout, section 3.2."""
    return norm.pdf(x, mu, np.sqrt(var))


@plt.rc_context(STYLE)
def plot_model(x, clusters, model, labels=None, titles=("", ""), view=None):
    """Return a figure of components and mixture at x in any order. Handout, 3.2."""
    x, model, *clusters = np.asarray([x, model, *clusters], float)[:, np.argsort(x)]
    names = [f"component {i + 1}" for i in range(len(clusters))]
    heads, *labels = labels or ["", *names]  # as a table has
    view = view or View(x[0], x[-1], 1.05 * max(model))
    height = min(100, max(0.14 * len(labels) + 0.6, view.height))  # with the legend
    figure, axes = plt.subplots(figsize=(6.5, height))
    handles = draw(axes, x, clusters, model, view)
    number_peaks(axes, x, clusters, model)
    axes.set_ylabel("density")
    axes.set_title(titles[0], loc="left", pad=9, parse_math=False, **MONO)
    axes.set_title(titles[1], loc="right", pad=9, size=9)
    labels = [*labels, "mixture $p(x)$", view.label][: len(handles)]
    style = {"prop": MONO, "title_fontproperties": MONO, "alignment": "left"}
    figure.legend(handles, labels, title=heads, loc="outside right upper", **style)
    return figure


def main(weights, means, varis, titles=("", ""), above="", view=None):
    """Return the figure of a mixture; raise ValueError if the lengths differ."""
    fit = np.asarray([weights, means, varis], float)  # (3, k)
    view = view or view_of([fit])
    return plot_model(*curves(*fit), table(*fit, above), titles, view)


# ---- What the figures of the same data share ----
# The ends of the axes, (densities, edges) of the data, their label, inches of a figure.
View = namedtuple("View", "low high top bars label height", defaults=((), "", 2.8))


def view_of(mixtures, data=None, height=2.8):
    """Return the view of (weights, means, varis) of all fits, and of the data (n,)."""
    random, values = np.random.default_rng(0), data
    if data is None:  # values that the fits stand for
        fits = np.hstack(mixtures)  # (3, all components)
        _, means, varis = np.repeat(fits, np.ceil(1000 * fits[0]).astype(int), axis=1)
        values = random.normal(means, np.sqrt(varis))
    some = random.choice(values, min(len(values), 100_000), replace=False).astype(float)
    # Tails must not dwarf the central 98 %; a few values are all shown.
    left, right = np.percentile(some, [1, 99] if len(some) >= 50 else [0, 100])
    tail = max(0.15 * (right - left), 1e-12 * abs(left), 1e-100)
    low, high = left - tail, right + tail
    # Rounded values rise in steps: bars that are not whole steps would be a comb.
    width = (high - low) / min(80, 20 + 3 * math.isqrt(len(values)) // 2)
    steps = np.diff(np.unique(some))
    step = steps[steps > width / 1000].min(initial=right - left or width)
    width = step * math.ceil(width / step)
    low -= (low - some[0] + step / 2) % width
    count = math.ceil((high - low) / width)
    counts, edges = np.histogram(values, count, (low, low + count * width))  # in blocks
    densities = counts / len(values) / np.diff(edges)
    # A peak far narrower than a bar is cut, or it would flatten all the others.
    highest = max(max(curves(*each)[2]) for each in mixtures)
    top = 1.05 * min(max(*densities, highest), 2 * max(densities))
    beyond = len(values) - sum(counts)
    label = f"data, $n$ = {len(values):,}" + (f" ({beyond:,} beyond)" if beyond else "")
    bars = () if data is None else (densities, edges)
    return View(edges[0], edges[-1], top, bars, label, height)


def curves(weights, means, varis):
    """Return x, clusters, model: from µ - 4σ to µ + 4σ of each, and fine enough."""
    weights, means, varis = np.asarray([weights, means, varis], float)[:, :, None]
    sds = np.sqrt(varis)
    low, high = min(means - 4 * sds), max(means + 4 * sds)
    x = means + sds * np.linspace(-6, 6, 61)  # (k, 1) against (61,) -> (k, 61)
    x = np.unique(np.append(np.linspace(low, high, 101), x[(low < x) & (x < high)]))
    clusters = weights * gauss(x, means, varis)  # (k, 1) against (m,) -> (k, m)
    return x, clusters, clusters.sum(axis=0)


# ---- Drawing ----
def draw(axes, x, clusters, model, view):
    """Draw a fit; return the handles of components, mixture, histogram for a legend."""
    handles = []
    for cluster in clusters:
        (line,) = axes.plot(x, cluster)
        area = axes.fill_between(x, cluster, color=line.get_color(), alpha=0.3, lw=0)
        handles.append((area, line))
    handles += axes.plot(x, model, color="black", linestyle="solid", linewidth=0.9)
    if view.bars:
        handles.append(axes.stairs(*view.bars, color="0.55", linewidth=0.7, zorder=0.9))
    axes.set(xlim=(view.low, view.high), ylim=(0, view.top), xlabel="$x$")
    axes.locator_params(nbins=6, min_n_ticks=3)
    if abs(view.low) > 1000 * (view.high - view.low):  # or ticks had long numbers
        digits = 1 - math.floor(math.log10(view.high - view.low))
        offset = round(view.low, digits - 2)
        axes.xaxis.set_major_formatter(lambda x, _: f"${round(x - offset, digits):g}$")
        axes.set_xlabel(f"$x$ minus {offset:,.{max(0, digits)}f}")
    return handles


def number_peaks(axes, x, clusters, model):
    """Write the number of each component over its peak, above the mixture."""
    (low, high), (_, top) = axes.get_xlim(), axes.get_ylim()
    peaks = [x[np.argmax(each)] if any(each) else math.inf for each in clusters]
    room, place = 0.028 * (high - low), low
    for i in np.argsort(peaks, kind="stable"):
        if low < peaks[i] < high:
            arrow = "$\\uparrow$" if max(clusters[i]) > top else ""
            place = max(peaks[i], place + (2 * room if arrow else room))  # side by side
            near = model[(peaks[i] - room / 2 < x) & (x < place + room / 2)]
            at = place, min(top, max([*near, np.interp(place, x, model)]))
            text = axes.annotate(
                f"{i + 1}{arrow}", at, (0, 2), textcoords="offset points"
            )
            halo = [withStroke(linewidth=2, foreground="white")]
            text.set(ha="center", size=7, path_effects=halo, annotation_clip=False)


def table(weights, means, varis, above=""):
    """Return the lines of a table of the parameters: all heads, a row for each one."""
    least = math.floor(math.log10(min(varis)))
    decimals = 4, 2 - least // 2, 3 - least  # of a mean: a hundredth of its σ
    digits = 3, max(3, decimals[1] + math.floor(math.log10(max(abs(means)) or 1))), 3
    columns = [["  ", *(f"{i + 1:2}" for i in range(len(means)))]]
    for i, numbers in enumerate((weights, means, varis)):
        form = f".{max(decimals[i], 0)}f" if abs(decimals[i]) < 8 else f".{digits[i]}e"
        texts = [f"{number:{form}}" for number in numbers]
        head, width = (r"$\pi$", r"$\mu$", r"$\sigma^2$")[i], max(7, *map(len, texts))
        head = head.center(width + len(head) - 1)  # which is about one letter wide
        columns.append([head, *(text.rjust(width) for text in texts)])
    heads, *rows = map("  ".join, zip(*columns))
    return [f"{above}{' ' * 5}{heads}", *rows]


# ---- The comparison ----
def series_of(fits):
    """Return [{k: fit}, ...]: of one tol, and one kind of start where a k has both."""
    kinds = {(fit["tol"], fit["k"], fit["start"] == "handout") for fit in fits}
    both = {tol for tol, k, handout in kinds if (tol, k, not handout) in kinds}
    series = {}
    for fit in sorted(fits, key=lambda fit: (-fit["tol"], fit["start"] != "handout")):
        number = int(fit["start"] != "handout" and fit["tol"] in both)
        while fit["k"] in series.setdefault((fit["tol"], number), {}):
            number += 1
        series[fit["tol"], number][fit["k"]] = fit
    return list(series.values())


@plt.rc_context(STYLE)
def compare(series, view):
    """Return a figure of {k: fit}, ...: a row for each k, and ll and BIC against k."""
    ks = sorted(set().union(*series))
    width = max(6.5, 1.35 * len(series) + 2.4)
    figure = plt.figure(figsize=(width, max(2.8, 0.95 * len(ks) + 0.8)))
    left, right = figure.subfigures(1, 2, width_ratios=(width - 2.3, 2.3))
    panels = left.subplots(len(ks), len(series), sharex=True, squeeze=False)
    charts = dict(zip(("ll", "bic"), right.subplots(2, sharex=True)))
    for fits, column, style in zip(series, panels.T, SERIES * 9):
        for k, axes in zip(ks, column):
            axes.spines["left"].set_visible(False)
            axes.set_ylabel(f"$k = {k}$", rotation=0, ha="right", va="center")
            if k in fits:
                draw(axes, *curves(*fits[k]["mixture"]), view)
                axes.set_title(fits[k]["scores"], size=6.5, pad=2)
            axes.set_yticks([])
            axes.label_outer()
        restarts = max(fit["start"].partition(" of ")[2] for fit in fits.values())
        start = f"best of {restarts} restarts" if restarts else "handout's start"
        best = min(fits.values(), key=lambda fit: fit["bic"])
        style["label"] = f"{start},\ntol = ${TEX(best['tol'])}$"
        for key, axes in charts.items():
            scores = [fits[k][key] if k in fits else None for k in ks]
            handle = axes.plot(ks, scores, color="black", mfc="none", **style)
            # The axis spans 1 at least: 1e-5 must not look like a climb.
            axes.update_datalim([(ks[0], best[key] - 0.5), (ks[0], best[key] + 0.5)])
        axes.plot(best["k"], best["bic"], color="black", **style)
        column[0].legend(handles=handle, loc="lower center", bbox_to_anchor=(0.5, 1.1))
    charts["ll"].set_ylabel("ll")
    charts["bic"].set(ylabel="BIC (filled: lowest)", xlabel="$k$", xticks=ks)
    return figure


# ---- What gmm-em.py printed, and the data ----
LISTS = {"weights": "numbers ≥ 0, sum 1", "means": "numbers", "varis": "numbers > 0"}
KEYS = ["data", "n", "k", "tol", "start", "iterations", *LISTS, "ll", "bic"]
LEAST = {"tol": 1e-300, "weights": 0, "varis": sys.float_info.min}


def value_of(key, line, k):
    """Return what follows a key in its line; raise ValueError if it is not of a fit."""
    found, _, text = line.partition(": ")
    if found != key or "\0" in line or (key == "start" and "$" in line):
        raise ValueError(line)
    if key not in ("tol", "ll", "bic", *LISTS):
        return text if key in ("data", "start") else int(text)
    values = np.array(text.split(), float)
    right = len(values) == (k if key in LISTS else 1)
    right &= LEAST.get(key, -1e150) <= values.min() <= values.max() <= 1e150  # no NaN
    right &= key != "weights" or math.isclose(sum(values), 1)
    if not right:
        raise ValueError(line)
    return values if key in LISTS else values[0]


def read_fits(name):
    """Return the fits in a file, or in standard input, "-": KEYS, and what is added."""
    shown = "standard input" if name == "-" else name
    try:
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
            lines = file.read().decode("utf-8-sig", "surrogateescape").split("\n")
    except OSError as error:
        fail(f"cannot read {shown}: {error.strerror}")
    fits, fit = [], {}
    for i, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("p(x) = "):
            continue
        key = KEYS[len(fit)]
        try:
            fit[key] = value_of(key, line.removesuffix("\r"), fit.get("k"))
        except ValueError:
            what = f"{fit['k']} {LISTS[key]}" if key in LISTS else "..."
            fail(f"{shown}:{i}: expected {key}: {what}, found {line[:40]!r}")
        if key == KEYS[-1]:
            fit["scores"] = rf"$\rm ll = {fit['ll']:.2f},\ BIC = {fit['bic']:.2f}$"
            fit["mixture"] = [fit[key] for key in LISTS]
            fit["folder"] = Path(name).absolute().parent
            fits, fit = [*fits, fit], {}
    if fit or not fits:
        fail(f"{shown}:{i}: expected a whole fit, from data to bic, found none")
    return fits


def read_values(path):
    """Return the numbers in a file; those of an array are left on the disk."""
    if path.name.lower().endswith(".npy"):
        return np.load(path, mmap_mode="r")
    with open(path, encoding="utf-8-sig") as file:  # text, also if it is called x.gz
        return np.loadtxt(file, ndmin=1)


def find_data(fit):
    """Return the path of the n values with the mean of a fit, and them, or None."""
    for folder in (fit["folder"], *fit["folder"].parents, Path.cwd()):
        path = folder / fit["data"]
        with contextlib.suppress(Exception):  # whatever ails a file, it is not the data
            if fit["data"] != "-" and path.is_file():  # a pipe would have no end
                data = read_values(path)
                spread = float(data.max()) - float(data.min())
                error = abs(data.mean(dtype=float) - fit["weights"] @ fit["means"])
                if data.size == fit["n"] and error < 1e-3 * spread:
                    return path.resolve(), data.reshape(-1)
    return "-" if fit["data"] == "-" else fit["folder"] / fit["data"], None


def figures(fits, height=2.8):
    """Yield (stem of a file name, figure) for each fit, and for those of one data."""
    groups = {}
    for fit in fits:
        path, data = find_data(fit)
        groups.setdefault((path, fit["n"], data is None), (data, []))[1].append(fit)
    for data, group in groups.values():
        view = view_of([fit["mixture"] for fit in group], data, height)
        for fit in group:
            file = Path("stdin" if fit["data"] == "-" else fit["data"])
            name = file.name.encode("latin-1", "backslashreplace").decode("latin-1")
            titles = name[:24], f"$k = {fit['k']}$,  {fit['scores']}"
            above = f"start: {fit['start']}, tol = ${TEX(fit['tol'])}$\n"
            yield f"{file.stem}-k{fit['k']}", main(*fit["mixture"], titles, above, view)
        if len(group) > 1:
            yield f"{file.stem}-comparison", compare(series_of(group), view)


# ---- The command line ----
def fail(message):
    """End with a line on standard error and exit code 2."""
    print("gmm-visualize.py: error:", message, file=sys.stderr)
    sys.exit(2)


@plt.rc_context(STYLE)
def save(figure, path):
    """Write a figure to a file, all of it or nothing, and the file's name to stdout."""
    no_date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix)
    content, part = io.BytesIO(), path.with_suffix(".part")
    figure.savefig(content, format=path.suffix[1:], metadata=no_date, dpi=200)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getvalue())
        part.replace(path)
        os.write(1, os.fsencode(f"{path}\n"))  # sys.stdout may not know all characters
    except (OSError, UnicodeError) as error:
        with contextlib.suppress(OSError):
            part.unlink()
        fail(f"cannot write {path} and its name: {error}")


def command_line():
    """Read the fits, draw and save the figures, as the command line asks."""
    parser = argparse.ArgumentParser(description="Plot what gmm-em.py has fitted.")
    parser.error, add = fail, parser.add_argument
    add("fits", nargs="*", metavar="FIT", help="default: writeup/fits/*.txt; -: stdin")
    add("-o", type=Path, metavar="DIR", help="default: .; without FIT: writeup/figures")
    add("--format", choices=("png", "pdf", "svg"), default="png")
    add("--height", type=float, default=2.8, metavar="INCHES", help="default: 2.8")
    add("--show", action="store_true", help="open the figures in windows as well")
    args = parser.parse_args()
    names = args.fits or sorted(map(str, HERE.glob("writeup/fits/*.txt")))
    folder = args.o or (Path() if args.fits else HERE / "writeup" / "figures")
    if not args.fits and Path("/dev/stdin").is_fifo():
        print("gmm-visualize.py: note: stdin was not read: - reads it", file=sys.stderr)
    fits = [fit for name in names for fit in read_fits(name)]
    if not fits:
        fail("expected fits in writeup/fits, found none: make -C writeup")
    if args.show:
        with contextlib.suppress(ImportError, ValueError):  # or Agg stays
            plt.switch_backend(BACKEND or "TkAgg")
        if plt.get_backend().lower() == "agg":
            print("gmm-visualize.py: note: only saved, not shown", file=sys.stderr)
    stems = []
    for stem, figure in figures(fits, args.height):
        stems.append(stem)
        again = f"-{stems.count(stem)}" if stems.count(stem) > 1 else ""
        save(figure, folder / f"{stem}{again}.{args.format}")
        if not args.show:
            plt.close(figure)
    plt.show()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once, without a traceback
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stderr = sys.stderr or io.StringIO()  # closed: print would use standard output
    logging.captureWarnings(True)  # of numpy, about files that are not the data
    logging.disable()  # what fontTools says about the dates in the fonts
    plt.switch_backend("Agg")  # needs no display
    command_line()
