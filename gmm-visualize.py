"""Plot the Gaussian mixtures that gmm-em.py has fitted.

The mixture p(x) = sum_i π_i N(x; µ_i, σ²_i) is a black line. Its weighted components
π_i N(x; µ_i, σ²_i) are coloured areas, and the data is the outline of a histogram.

    x         (m,)      the places at which the densities are drawn
    clusters  (k, m)    the weighted components at x: row i is component i
    model     (m,)      the mixture at x: the sum of the clusters
    weights, means, varis   (k,)   the parameters π_i, µ_i, σ²_i, as in gmm-em.py
    bars                the histogram: its densities (b,) and its edges (b + 1,)

Usage: python gmm-em.py data.txt 2-6 1 | python gmm-visualize.py -   (see also --help)
The homework stands first and can be read alone. The handout is cited by section.
"""

import argparse
import contextlib
import functools
import io
import logging
import math
import os
import re
import signal
import sys
import uuid
import warnings
from collections import namedtuple
from pathlib import Path

import numpy as np
from scipy import integrate, special
from scipy.stats import norm

# matplotlib cannot be imported if MPLBACKEND is unknown; only --show uses its value.
BACKEND = os.environ.pop("MPLBACKEND", "") if __name__ == "__main__" else ""
import matplotlib.pyplot as plt  # noqa: E402

# ---- The homework ----
WIDTH, HEIGHT = 6.5, 2.8  # inches of a figure
# Okabe and Ito's colours suit colour-blind readers. Components 7 to 12 are dashed.
COLOURS = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
STYLE = {  # the settings of every function below that has @plt.rc_context(STYLE)
    "axes.formatter.use_mathtext": True,
    "axes.prop_cycle": plt.cycler(ls=["-", "--"]) * plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": ["cmr10", "DejaVu Serif"],
    "font.size": 8,
    "legend.frameon": False,
    "legend.labelspacing": 0.1,
    "lines.linewidth": 0.7,
    "mathtext.fontset": "cm",
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.hashsalt": "gmm",  # without it, two runs would write two different files
}


def gauss(x, mu, var):
    """Return the density N(x; µ, σ²) at every x; arrays broadcast. Handout, 3.2."""
    return norm.pdf(x, mu, np.sqrt(var))


def draw(axes, x, clusters, model, bars=None):
    """Draw components, mixture and histogram; return {name: what a legend shows}."""
    handles = {}
    for i, cluster in enumerate(clusters):
        (line,) = axes.plot(x, cluster)
        area = axes.fill_between(x, cluster, color=line.get_color(), alpha=0.3, lw=0)
        handles[f"component {i + 1}"] = area, line
    handles["mixture $p(x)$"] = axes.plot(x, model, color="black", ls="-", lw=0.9)[0]
    if bars is not None:
        # matplotlib draws areas at zorder 1 and lines at 2: the outline lies between.
        handles["data"] = axes.stairs(*bars, color="0.35", lw=0.6, zorder=1.9)
    return handles


@plt.rc_context(STYLE)
def plot_model(x, clusters, model, bars=None):
    """Return a figure of the components and the mixture. Handout, 3.2."""
    order = np.argsort(x)  # a line joins the points in their order: x must ascend
    x, model = np.asarray(x, float)[order], np.asarray(model, float)[order]
    clusters = np.asarray(clusters, float)[:, order]
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT))
    handles = draw(axes, x, clusters, model, bars)
    axes.margins(x=0)
    axes.set(xlabel="$x$", ylabel="density", ylim=(0, None))
    figure.legend(list(handles.values()), list(handles), loc="outside right upper")
    return figure


def curves(weights, means, varis):
    """Return x, clusters, model of a mixture, with steps of σ_i/10 around each µ_i."""
    parameters = np.array([weights, means, varis], float)  # ValueError if not (3, k)
    weights, means, varis = parameters[:, :, None]  # three columns, (k, 1) each
    sds = np.sqrt(varis)
    low, high = np.min(means - 4 * sds), np.max(means + 4 * sds)
    x = means + sds * np.linspace(-6, 6, 121)  # (k, 1) against (121,) -> (k, 121)
    x = np.unique(np.clip(x, low, high))  # in one row (m,), ascending, without repeats
    clusters = weights * gauss(x, means, varis)  # (k, 1) against (m,) -> (k, m)
    return x, clusters, clusters.sum(axis=0)


def main(weights, means, varis, bars=None):
    """Return the figure of a mixture, or raise ValueError if the lengths differ."""
    return plot_model(*curves(weights, means, varis), bars)


# ---- Who came for the homework can stop here. ----
# ---- The figure of a fit, a dictionary of KEYS and "mixture": see read_fits ----
MONO = ["cmtt10", "DejaVu Sans Mono"]  # letters of equal width, for a table
SWATCH = " " * 5  # as wide as the coloured area at the left of an entry


@plt.rc_context(STYLE)
def figure_of(fit, view, height=HEIGHT):
    """Return main's figure with the axes of a View (view_of) and a fit's numbers."""
    figure = main(*fit["mixture"], view.bars)
    figure.set_figheight(max(height, 0.125 * (fit["k"] + 6)))  # a legend of k + 5 lines
    (axes,), (legend,) = figure.axes, figure.legends
    set_view(axes, view, ticks=6)
    number_components(axes, view, *fit["mixture"])
    scores = rf"ll = {fit['ll']:.2f},\ BIC = {fit['bic']:.2f}"
    axes.set_title(rf"$k = {fit['k']},\ \rm {scores}$", loc="right", size=9, pad=14)
    write_table(legend, fit, view)
    return figure


def set_view(axes, view, ticks):
    """Set the limits of the axes, and about how many ticks they have."""
    axes.set(xlim=(view.low, view.high), ylim=(0, view.top))
    axes.locator_params(nbins=ticks, steps=(1, 2, 5, 10), min_n_ticks=3)
    # matplotlib's factor, such as ×10⁻⁷, goes left, clear of the numbers of components.
    axes.yaxis.get_offset_text().set(ha="right", va="bottom")


def number_components(axes, view, weights, means, varis):
    """Write the numbers of components above the axes; ↑ says that the curve is cut."""
    room, numbered = 0.055 * (view.high - view.low), []
    is_cut = gauss(means[:, None], means, varis) @ weights > view.top  # at p(µ_i)
    above = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
    for i in np.lexsort((-weights, ~is_cut)):  # cut ones first, then the heaviest
        visible = view.low < means[i] < view.high and weights[i] > 0
        if visible and all(abs(means[i] - mean) > room for mean in numbered):
            numbered.append(means[i])
            text = f"${i + 1}^\\uparrow$" if is_cut[i] else f"{i + 1}"
            axes.annotate(text, (means[i], 1), (0, 2), ha="center", size=7, **above)


def write_table(legend, fit, view):
    """Write into a legend how the fit was found, its parameters, and the data."""
    heads, *rows = table(*fit["mixture"])
    legend.set_title(f"{label_of([fit])}\n{SWATCH}{heads}", {"family": MONO, "size": 8})
    legend.set_alignment("left")
    labels = *rows, "mixture p(x)", data_label(fit, view)
    for text, label in zip(legend.get_texts(), labels):
        # In cmtt10, characters that are not ASCII would become wrong letters.
        family = MONO if label.isascii() else MONO[1:]
        text.set(text=label, family=family, parse_math=False)


def label_of(fits):
    """Return the label of a series: the settings with which its fits were found."""
    fit, restarts = fits[0], [fit["restarts"] for fit in fits]
    fewest, most = min(restarts), max(restarts)
    count = f"{fewest} to {most}" if fewest < most else most
    start = f"best of {count} restarts" if most else "handout's start"
    tol = plt.ScalarFormatter(useMathText=True).format_data(fit["tol"])  # 10^{-6}
    floor = f", $\\sigma \\geq {fit['min_sd']:g}$" if fit["min_sd"] else ""
    seed = f", seed {fit['seed']}" if fit["seed"] else ""
    return f"{start},\ntol = ${tol}${floor}{seed}"


def data_label(fit, view):
    """Return the name of the data, cut if it is long, and the number of its values."""
    size = f", n = {fit['n']:,}" + (f" ({view.beyond:,} beyond)" if view.beyond else "")
    name = "".join(c if c.isprintable() else "?" for c in Path(fit["data"]).name)
    room = max(8, 36 - len(size))  # letters, for a legend about as wide as its table
    return (name if len(name) <= room else name[: room - 1] + "…") + size


def table(weights, means, varis):
    """Return the lines of a table: heads, rows such as "1  0.5005  3.289  1.760"."""
    # Numbers have four digits, and a mean more if µ + σ/10 would be written as µ.
    ratios = abs(means) / np.sqrt(varis)
    digits = np.clip(3 + np.log10(1 + ratios), 4, 17).astype(int)
    means = np.where(ratios < 1e-4, 0, means)  # 7e-14 ± 1 is 0, but for rounding
    columns = {  # the heads are TeX: each is drawn as one letter
        r"$\pi$": aligned([f"{weight:#.4g}" for weight in weights]),
        r"$\mu$": aligned([f"{mean:#.{n}g}" for mean, n in zip(means, digits)]),
        r"$\sigma^2$": aligned([f"{vari:#.4g}" for vari in varis]),
    }
    heads = [head.center(len(columns[head][0]) + len(head) - 1) for head in columns]
    rows = zip([f"{i + 1:2}" for i in range(len(means))], *columns.values())
    return ["  ".join(row) for row in (["  ", *heads], *rows)]


def aligned(texts):
    """Return the texts of numbers with blanks that align their decimal points."""
    wholes, _, decimals = zip(*(text.partition(".") for text in texts))
    left, right = max(map(len, wholes)), max(map(len, decimals))
    return [f"{a:>{left}}.{b:<{right}}" for a, b in zip(wholes, decimals)]


# ---- Axes and bars, which the figures of the same data share ----
BLOCK = 10_000  # values are read so many at a time: all may not fit in memory
# The limits of the axes, the bars or None, and the number of values beyond the limits.
View = namedtuple("View", "low high top bars beyond")


def view_of(mixtures, data=None):
    """Return the View of mixtures (weights, means, varis), and of their data if any."""
    lines = [curves(*mixture) for mixture in mixtures]
    values = data
    if data is None:
        values = np.concatenate([quantiles_of(x, model) for x, _, model in lines])
    densities, edges, beyond = histogram(values)
    low, high, highest = edges[0], edges[-1], max(densities)
    peaks = [model[(low < x) & (x < high)].max(initial=0) for x, _, model in lines]
    # A needle is cut 30 % above the highest bar, or it would flatten all other curves.
    top = 1.05 * max(highest, min(max(peaks), 1.3 * highest))
    return View(low, high, top, None if data is None else (densities, edges), beyond)


def quantiles_of(x, model):
    """Return 1000 quantiles of a mixture, which stand for data that is not known."""
    shares = integrate.cumulative_trapezoid(model, x, initial=0)  # the areas left of x
    return np.interp((np.arange(1000) + 0.5) / 1000, shares, x)


def histogram(values):
    """Return the densities and edges of bars, and the number of values beyond them."""
    n, sample = len(values), values
    if n > BLOCK:
        sample = values[np.random.default_rng(0).integers(n, size=BLOCK)]
    low, high, count = bins_of(np.asarray(sample, float), n)
    counts = np.zeros(count)
    for block in np.array_split(values, n // BLOCK + 1):
        in_block, edges = np.histogram(block.astype(float), count, (low, high))
        counts += in_block
    return counts / n * count / (high - low), edges, int(n - counts.sum())


def bins_of(sample, n):
    """Return the ends and the number of the bars of n values, by a sample of these."""
    values, counts = np.unique(sample, return_counts=True)
    low, high = ends_of(sample)
    width = (high - low) / min(80, 20 + 1.5 * math.sqrt(n))
    step = step_of(values[counts > counts.mean() / 10], width)
    # Each bar has the same number of steps, or some would be too high.
    width = step * math.ceil(width / step)
    # The commonest value is in the middle of its step, and bars end where steps end.
    end = values[counts.argmax()] - step / 2
    low = end - width * math.ceil((end - low) / width)
    count = math.ceil((high - low) / width)
    return low, low + count * width, count


def ends_of(sample):
    """Return the ends of the x axis: the central 98 % of the values, and a margin."""
    low, high = np.percentile(sample, [1, 99])
    if len(sample) < 50 or low == high:  # few values, or nearly all of them equal
        low, high = sample.min(), sample.max()
    resolution = np.spacing(max(abs(low), abs(high)))  # from one double to the next
    margin = max(0.15 * (high - low), 100 * resolution, 1e-100)
    return low - margin, high + margin


def step_of(values, width):
    """Return the step to which values were rounded, or else the width of a bar."""
    gaps = np.diff(values)
    gaps = gaps[gaps > width / 1000]  # the others are errors of floating point
    # Whole inches in whole cm are 2 or 3 apart; a gap of 5 is where one is missing.
    steps = gaps[gaps < 1.9 * min(gaps, default=0)]
    return steps.mean() if len(steps) and steps.mean() > width / 10 else width


# ---- The comparison ----
CHARTS, PANEL, ROW = 2.3, 1.9, 0.95  # inches: width of charts, of a panel, its height
SERIES = plt.cycler(marker="osD^v", linestyle=["-", "--", ":", "-.", "-"])


def series_of(fits):
    """Split fits by their settings into series {k: fit}, one line of a chart each."""
    groups, by_settings = {}, {}
    for fit in fits:
        settings = -fit["tol"], fit["min_sd"], fit["seed"]  # the largest tol first
        groups.setdefault((settings, fit["restarts"]), {})[fit["k"]] = fit
    for settings, restarts in sorted(groups):
        group, alike = groups[settings, restarts], by_settings.setdefault(settings, [])
        # Fits of more restarts join the first series that has none of their k.
        joined = [series for series in alike if series.keys().isdisjoint(group)]
        if joined:
            joined[0].update(group)
        else:
            alike.append(group)
    return [series for alike in by_settings.values() for series in alike]


@plt.rc_context(STYLE)
def compare(all_series, view):
    """Return a figure: a row for each k, a column for each series, and two charts."""
    ks = sorted(set().union(*all_series))
    fits = [fit for series in all_series for fit in series.values()]
    lowest = min(fits, key=lambda fit: fit["bic"])
    width = max(WIDTH, CHARTS + PANEL * len(all_series))
    figure = plt.figure(figsize=(width, max(HEIGHT, ROW * (len(ks) + 1))))
    left, right = figure.subfigures(1, 2, width_ratios=(width - CHARTS, CHARTS))
    panels = left.subplots(len(ks), len(all_series), sharex=True, squeeze=False)
    charts = right.subplots(2, sharex=True)
    for series, column, style in zip(all_series, panels.T, SERIES):
        draw_panels(column, ks, series, lowest, view)
        handles = draw_scores(charts, series, lowest, style)
        top = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "borderaxespad": 1.5}
        column[0].legend(handles=handles, fontsize=7, **top)
    ticks = ks[:: 1 + len(ks) // 13]  # the labels of more would touch
    charts[0].set_ylabel("ll")
    charts[1].set(ylabel="BIC (filled: lowest)", xlabel="$k$", xticks=ticks)
    return figure


def draw_panels(column, ks, series, lowest, view):
    """Draw the fits of a series below each other, with ll and BIC - lowest BIC."""
    for k, axes in zip(ks, column):
        if k in series:
            fit = series[k]
            draw(axes, *curves(*fit["mixture"]), view.bars)
            above = fit["bic"] - lowest["bic"]
            bic = f"{above:+.2f}" if above > 0 else f"= {fit['bic']:.2f}"
            axes.set_title(rf"$\rm ll = {fit['ll']:.2f},\ BIC\ {bic}$", size=6.5, pad=2)
        set_view(axes, view, ticks=3)
        axes.spines["left"].set_visible(False)
        axes.set_ylabel(f"$k = {k}$", rotation=0, ha="right", va="center")
        axes.set(xlabel="$x$", yticks=[])
        axes.label_outer()


def draw_scores(charts, series, lowest, style):
    """Draw ll and BIC of a series against k, and fill the lowest BIC; return a line."""
    ks, style = sorted(series), {"color": "black", **style}
    label = label_of([series[k] for k in ks])
    for axes, key in zip(charts, ("ll", "bic")):
        scores = [series[k][key] for k in ks]
        handles = axes.plot(ks, scores, markerfacecolor="none", label=label, **style)
        # The axis spans 1 at least: a difference of 1e-5 must not look like a climb.
        axes.update_datalim([(ks[0], scores[0] - 0.5), (ks[0], scores[0] + 0.5)])
    if series.get(lowest["k"]) is lowest:
        charts[1].plot(lowest["k"], lowest["bic"], **style)
    return handles


# ---- Reading fits ----
LISTS = {"weights": "numbers ≥ 0, sum 1", "means": "numbers", "varis": "numbers > 0"}
NEW = ["min_sd", "restarts", "seed"]  # keys that an older gmm-em.py did not print
KEYS = ["data", "n", "k", "tol", *NEW, "start", "iterations", *LISTS, "ll", "bic"]
WHOLE = {"n": 1, "k": 1, "restarts": 0, "seed": 0, "iterations": 0}  # the least of each
MINIMA = WHOLE | {"tol": 1e-300, "min_sd": 0, "weights": 0, "varis": 1e-300}


def read_fits(path):
    """Return a list of the fits, dictionaries, in a file or "-", standard input.

    Their keys are KEYS, "mixture" (the list of weights, means, varis), and "folder" (of
    the file). Raises ValueError, with the number of the line, if it is of no fit.
    """
    name = "standard input" if path == "-" else path
    fits, fit = [], {}
    for i, line in enumerate(lines_of(path), 1):
        if not line.strip() or line.startswith("p(x) = "):
            continue
        key = KEYS[len(fit)]
        try:
            fit[key] = value_of(key, line, fit.get("k"))
        except ValueError:
            what = f"{fit['k']} {LISTS[key]}" if key in LISTS else "..."
            is_other = (key in NEW or not (fits or fit)) and not line.startswith(key)
            remedy = ": make it again with this gmm-em.py" if is_other else ""
            found = f"expected {key}: {what}, found {line[:40]!r}{remedy}"
            raise ValueError(f"{name}:{i}: {found}") from None
        if key == KEYS[-1]:
            fit["mixture"] = [fit[key] for key in LISTS]
            fit["folder"] = Path(path).absolute().parent
            fits, fit = [*fits, fit], {}
    if fit or not fits:
        raise ValueError(f"{name}:{i}: expected a whole fit, data to bic, found none")
    return fits


def lines_of(path):
    """Return the lines of a file or "-", in UTF-8, or in UTF-16 with its mark."""
    with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
        content = file.read()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return re.split("\r?\n", content.decode(encoding, "surrogateescape"))


def value_of(key, line, k):
    """Return what follows a key in its line; raise ValueError if it is not of a fit."""
    found, _, text = line.partition(": ")
    if found != key or "\0" in text:
        raise ValueError(line)
    if key == "data":  # to the file system, a name is bytes, in UTF-8 or not
        return os.fsdecode(text.encode(errors="surrogateescape"))
    if key == "start" and re.fullmatch("handout|random [0-9]+", text):
        return text
    values = np.array([number(word) for word in text.split()])
    right = len(values) == (k if key in LISTS else 1)
    right = right and values.min() >= MINIMA.get(key, -math.inf)
    if not right or (key == "weights" and not math.isclose(values.sum(), 1)):
        raise ValueError(line)
    if key in LISTS:
        return values
    return int(text) if key in WHOLE else float(text)


def number(text):
    """Return a float of up to 1e150, written in ASCII and without underscores."""
    if not text.isascii() or "_" in text or not abs(float(text)) <= 1e150:
        raise ValueError(text)
    return float(text)


# ---- Finding data ----
def read_values(path):
    """Return the numbers in a file, or None; an .npy array stays on the disk."""
    with contextlib.suppress(Exception):  # a file that cannot be read is not the data
        if path.name.lower().endswith(".npy"):
            return np.load(path, mmap_mode="r").reshape(-1)
        with open(path, encoding="utf-8-sig") as file:  # loadtxt would unpack an x.gz
            return np.loadtxt(file, ndmin=1).reshape(-1)


def is_data_of(fit, values):
    """Tell whether values have the n of a fit, and its ll under its parameters."""
    if values is None or len(values) != fit["n"] or values.dtype.kind not in "iuf":
        return False
    weights, means, varis = np.array(fit["mixture"])[:, :, None]  # (k, 1) each
    ll = 0
    for block in np.array_split(values, len(values) // BLOCK + 1):
        logs = norm.logpdf(block.astype(float), means, np.sqrt(varis))
        ll += special.logsumexp(logs, b=weights, axis=0).sum()
    return abs(ll - fit["ll"]) <= 1e-3 * fit["n"]  # far from 0, means are rounded


def find_data(fit, read=read_values):
    """Return the path of a fit's data, near the fit or here, and its values or None."""
    if fit["data"] == "-":
        return Path("-"), None
    folders = fit["folder"], *fit["folder"].parents, Path()
    paths = [folder / fit["data"] for folder in folders]
    found = [path for path in paths if os.path.isfile(path)]  # a pipe has no end
    for path in found:
        values = read(path)
        if is_data_of(fit, values):
            return path.resolve(), values
    return (found or paths)[0], None


def groups_of(fits):
    """Return [(data or None, fits of it), ...], with a note on data that is missing."""
    read, groups = functools.cache(read_values), {}
    for fit in fits:
        path, data = find_data(fit, read)
        _, group = groups.setdefault((path, fit["n"], data is None), (data, []))
        group.append(fit)
    for path, n, is_missing in groups:
        if is_missing and path != Path("-"):
            why = "; the file there has others" if os.path.isfile(path) else ""
            say(f"note: no histogram: {path} with {n:,} values was not found{why}")
    return groups.values()


def figures(fits, height=HEIGHT):
    """Yield (stem of a file name, figure) of each fit, and of the fits of one data."""
    for data, group in groups_of(fits):
        view = view_of([fit["mixture"] for fit in group], data)
        for fit in group:
            stem = "stdin" if fit["data"] == "-" else Path(fit["data"]).stem
            yield f"{stem}-k{fit['k']}", figure_of(fit, view, height)
        series = series_of(group)
        if len(series) > len(SERIES):
            say(f"note: {stem}: no comparison: {len(series)} series, 5 can be shown")
        elif len(group) > 1:
            yield f"{stem}-comparison", compare(series, view)


# ---- The command line ----
def say(message):
    """Write a line to standard error; if that fails, nothing else is lost."""
    line = f"gmm-visualize.py: {message}".replace("\n", "\\n")
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode(errors="surrogateescape"))


def fail(message):
    """End with a line on standard error and exit code 2."""
    say(f"error: {message}")
    sys.exit(2)


@plt.rc_context(STYLE)
def save(figure, path):
    """Write a figure to a file: all of it or nothing, whatever other runs do there."""
    no_date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix)
    content, part = io.BytesIO(), path.with_name(f".{uuid.uuid4().hex}.part")
    figure.savefig(content, format=path.suffix[1:], metadata=no_date, dpi=200)

    def stop(number, _):
        """Remove what is unfinished, and end with the code that a shell expects."""
        part.unlink(missing_ok=True)
        os._exit(128 + number)

    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, stop)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.getvalue())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        fail(f"cannot write {path}: {error.strerror}")


def parse_arguments():
    """Return the arguments of the command line, or end with a line of error."""
    parser = argparse.ArgumentParser(description="Plot what gmm-em.py has fitted.")
    parser.error, add = fail, parser.add_argument
    add("fits", nargs="*", metavar="FIT", help="default: writeup/fits/*.txt; -: stdin")
    add("-o", type=Path, metavar="DIR", help="default: .; without FIT: writeup/figures")
    add("--format", choices=("png", "pdf", "svg"), default="png")
    add("--height", type=number, default=HEIGHT, metavar="INCHES", help="default: 2.8")
    add("--show", action="store_true", help="open the figures in windows as well")
    args = parser.parse_args()
    if not 0 < args.height <= 100:
        fail(f"argument --height: expected 0 < INCHES ≤ 100, found {args.height}")
    if not args.fits:
        writeup = Path(__file__).resolve().parent / "writeup"
        args.fits = sorted(map(str, writeup.glob("fits/*.txt")))
        args.o = args.o or writeup / "figures"
        if Path("/dev/stdin").is_fifo():
            say("note: standard input was not read: - reads it")
    if not args.fits:
        fail("expected fits in writeup/fits, found none: make -C writeup")
    return args


def command_line():
    """Read the fits, draw and save the figures, as the command line asks."""
    args = parse_arguments()
    try:
        fits = [fit for path in args.fits for fit in read_fits(path)]
    except OSError as error:
        fail(f"cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        fail(error)
    if args.show:
        with contextlib.suppress(Exception):  # of any backend: then Agg stays
            plt.switch_backend(BACKEND or "TkAgg")
    stems, unnamed = [], None
    for stem, figure in figures(fits, args.height):
        stems.append(stem)
        again = f"-{stems.count(stem)}" if stems.count(stem) > 1 else ""
        path = (args.o or Path()) / f"{stem}{again}.{args.format}"
        save(figure, path)
        try:
            os.write(1, os.fsencode(f"{path}\n"))
        except OSError as error:
            unnamed = error.strerror
        if not args.show:
            plt.close(figure)
    if args.show and figure.canvas.required_interactive_framework:
        plt.show(block=True)
    elif args.show:
        say("note: the figures are only saved: no window can be opened")
    if unnamed:
        fail(f"cannot write the names of the figures: {unnamed}")


if __name__ == "__main__":
    # If a stream 0, 1 or 2 is closed, a file that is opened would be taken for it.
    while os.open(os.devnull, os.O_RDWR) <= 2:
        pass
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once, without a traceback
    warnings.simplefilter("ignore")  # of numpy, about files that are not the data
    logging.disable()  # what fontTools says about the dates in the fonts
    plt.rcdefaults()  # a matplotlibrc must not change the figures
    plt.switch_backend("Agg")  # needs no display
    command_line()
