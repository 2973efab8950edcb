"""Plot the Gaussian mixtures that gmm-em.py has fitted.

Each figure has the k weighted components π_i N(x; µ_i, σ²_i), the mixture p(x), which is their
sum, and behind them a histogram of the data, where the data can be read. Several fits of the same
data get one more figure, to compare them.

    x         shape (m,)      where the densities are drawn
    clusters  shape (k, m)    the weighted components; row i is component i
    model     shape (m,)      the mixture, the sum of the rows
    weights, means, varis     shape (k,): the parameters π_i, µ_i, σ²_i, as in gmm-em.py

Usage: python gmm-em.py data.txt 4 1 | python gmm-visualize.py -
       python gmm-visualize.py      (all of writeup/fits; --help has the options)
"""

import argparse
import collections
import contextlib
import itertools
import math
import sys
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

HERE = Path(__file__).resolve().parent
INTEGERS, NUMBERS, LISTS = (
    ("n", "k", "iterations"),
    ("tol", "ll", "bic"),
    ("weights", "means", "varis"),
)
KEYS = ("data", "start", *INTEGERS, *NUMBERS, *LISTS)  # what gmm-em.py prints of every fit

# Okabe and Ito's colours, which colour-blind readers tell apart; black is the mixture's. From the
# seventh component on they come again, dashed.
COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
DASHES = "solid", (0, (4, 1.5)), (0, (1, 1))
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "svg.hashsalt": "gmm",  # the same figure, the same file
}


def gauss(x, mu, var):
    """Return the density N(x; µ, σ²) of mean `mu` and variance `var` at every x, in the shape of x.

    Handout, section 3.2.
    """
    return norm.pdf(x, mu, np.sqrt(var))


def plot_model(x, clusters, model, labels=None, title=None, data=None):
    """Return a figure of the k weighted components and the mixture: k + 1 curves with a legend.

    x (m,), clusters (k, m), model (m,); one of `labels` for each component; a density histogram of
    `data` (n,) lies behind the curves. Handout, section 3.2.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4))
        draw(axes, x, clusters, model, labels, data)
        axes.set(xlabel="$x$", ylabel="density", ylim=(0, None))
        if title:
            axes.set_title(title, parse_math=False)
        figure.legend(loc="outside right upper")
    return figure


def draw(axes, x, clusters, model, labels=None, data=None):
    """Draw the histogram, the components and the mixture into one pair of axes."""
    if data is not None:
        axes.hist(data, edges(data), density=True, color="0.88", label=f"data (n = {len(data)})")
    axes.plot(x, model, color="black", linewidth=1.8, label="mixture $p(x)$")
    for i, cluster in enumerate(clusters):
        axes.plot(
            x,
            cluster,
            color=COLOURS[i % len(COLOURS)],
            linestyle=DASHES[i // len(COLOURS) % len(DASHES)],
            linewidth=1.2,
            label=labels[i] if labels else f"component {i + 1}",
        )
    axes.autoscale(axis="x", tight=True)


def edges(data):
    """Return the edges of at most 60 bins of equal width for a histogram of data (n,)."""
    low, high = float(data.min()), float(data.max())
    bins = min(60, 2 * math.isqrt(len(data)) + 1)
    step = np.diff(np.unique(data[:: 1 + len(data) // 10_000])).min(initial=np.inf)
    values = (high - low) / step + 1
    if values < 500:  # rounded data: as many of its values in each bin, or the bars say nothing
        width = step * math.ceil(values / bins)
        return low - step / 2 + width * np.arange(math.ceil(values * step / width) + 1)
    return np.linspace(low, high, bins + 1)


def curves(weights, means, varis):
    """Return x, clusters and model, from µ - 4σ to µ + 4σ of each component and fine enough for it.

    parameters (k,) -> x (m,), clusters (k, m), model (m,)
    """
    weights, means, varis = (np.asarray(a, float)[:, None] for a in (weights, means, varis))
    sds = np.sqrt(varis)
    low, high = np.min(means - 4 * sds), np.max(means + 4 * sds)
    x = means + sds * np.linspace(-8, 8, 401)  # (k, 1) against (401,) -> (k, 401)
    x = np.unique(np.append(np.linspace(low, high, 1001), x[(low < x) & (x < high)]))
    clusters = weights * gauss(x, means, varis)  # (k, 1) against (m,) -> (k, m)
    return x, clusters, clusters.sum(axis=0)


def main(weights, means, varis, title=None, data=None):
    """Return the figure of a fitted mixture: parameters (k,), data (n,) for the histogram."""
    labels = [
        f"{i}: $\\pi={digits(w)}$, $\\mu={digits(m)}$, $\\sigma^2={digits(v)}$"
        for i, (w, m, v) in enumerate(zip(weights, means, varis), 1)
    ]
    title = title or f"k = {len(labels)}"
    return plot_model(*curves(weights, means, varis), labels, title, data)


def digits(number):
    """Return a number to four significant digits, for a formula."""
    digits, _, exponent = f"{number:#.4g}".partition("e")
    return f"{digits}\\times 10^{{{int(exponent)}}}" if exponent else digits.rstrip(".")


def compare(fits, data=None):
    """Return a figure of fits of the same data: ll and BIC against k, beside the mixtures."""
    fits = sorted(fits, key=lambda fit: fit["k"])
    columns = math.ceil(math.sqrt(len(fits)))
    rows = math.ceil(len(fits) / columns)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(2.4 + 1.9 * columns, max(3.3, 1.6 * rows)))
        left, right = figure.subfigures(1, 2, width_ratios=(2.4, 1.9 * columns))
        for axes, key, best in zip(left.subplots(2, sharex=True), ("ll", "bic"), (max, min)):
            by_k = itertools.groupby(fits, key=lambda fit: fit["k"])
            line = {k: best(fit[key] for fit in group) for k, group in by_k}
            axes.plot(line.keys(), line.values(), color="black", linewidth=1)
            axes.plot([fit["k"] for fit in fits], [fit[key] for fit in fits], "o", color="black")
            axes.set_ylabel({"ll": "log-likelihood ll", "bic": "BIC (lower is better)"}[key])
            axes.ticklabel_format(useOffset=False)
        axes.set_xlabel("$k$")
        axes.set_xticks(sorted(line))
        panels = right.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for fit, axes in itertools.zip_longest(fits, panels.flat):
            if fit is None:
                axes.set_axis_off()
                panels[-2, panels[-1].tolist().index(axes)].tick_params(labelbottom=True)
                continue
            draw(axes, *curves(*(fit[key] for key in LISTS)), data=data)
            axes.set_title(heading(fit))
        panels[0, 0].set_ylim(bottom=0)
        right.supxlabel("$x$", fontsize="medium")
        right.supylabel("density", fontsize="medium")
    return figure


def heading(fit):
    """Return k and ll as a title has them."""
    return f"k = {fit['k']}, ll = {fit['ll']:.2f}".replace("-", "\N{MINUS SIGN}")


def read_fits(lines, name):
    """Return the fits in what gmm-em.py printed: dictionaries with the keys that it prints.

    Raises ValueError, FILE:LINE first, where a line or a fit is not what gmm-em.py prints.
    """
    fits, places = [], []
    for number, line in enumerate(lines, 1):
        key, colon, value = line.strip().partition(": ")
        if not line.strip() or line.startswith("p(x) = "):
            continue
        if key == "data" and colon:
            fits.append({})
            places.append({"fit": number})
        if key not in KEYS or not fits or key in fits[-1]:
            found = f"found {line.strip()[:40]!r}"
            raise ValueError(f"{name}:{number}: expected a line that gmm-em.py prints, {found}")
        try:
            fits[-1][key] = parse(key, value)
        except ValueError:
            found = f"found {value[:40]!r}"
            raise ValueError(
                f"{name}:{number}: expected finite numbers as {key}, {found}"
            ) from None
        places[-1][key] = number
    if not fits:
        raise ValueError(f"{name}: expected what gmm-em.py prints, found no fit in it")
    for fit, place in zip(fits, places):
        refuse_malformed(fit, place, name)
    return fits


def parse(key, value):
    """Return the value of one line, as text, a number, or a list of numbers."""
    if key in ("data", "start"):
        return value
    if key in INTEGERS:
        return int(value)
    numbers = [float(word) for word in value.split()]
    if not np.isfinite(numbers).all() or (key in NUMBERS and len(numbers) != 1):
        raise ValueError
    return numbers if key in LISTS else numbers[0]


def refuse_malformed(fit, place, name):
    """Raise ValueError, FILE:LINE first, unless a fit is whole and describes a mixture."""
    for key in KEYS:
        if key not in fit:
            raise ValueError(
                f"{name}:{place['fit']}: expected a {key}: line in this fit, found none"
            )
    for key in LISTS:
        if len(fit[key]) != fit["k"]:
            found = f"found {len(fit[key])}"
            raise ValueError(f"{name}:{place[key]}: expected k = {fit['k']} {key}, {found}")
    if min(fit["weights"]) < 0 or not math.isclose(sum(fit["weights"]), 1, rel_tol=1e-6):
        found = (
            f"found a sum of {sum(fit['weights']):.6g} and a minimum of {min(fit['weights']):.6g}"
        )
        raise ValueError(f"{name}:{place['weights']}: expected weights ≥ 0 that sum to 1, {found}")
    if min(fit["varis"]) <= 0:
        found = f"found {min(fit['varis']):.6g}"
        raise ValueError(f"{name}:{place['varis']}: expected varis > 0, {found}")


def read_data(fit, folder):
    """Return the data of a fit, or None where no file of that name holds as many numbers.

    A relative name is looked up in the current folder, in `folder`, and beside this script.
    """
    for path in (base / fit["data"] for base in (Path(), folder, HERE)):
        with contextlib.suppress(OSError, ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without numbers: it is passed over
            if not path.is_file():
                continue
            if path.suffix == ".npy":
                data = np.lib.format.open_memmap(path, mode="r")
            else:
                data = np.loadtxt(path, encoding="utf-8-sig")
            if data.shape == (fit["n"],) and np.isfinite([data.min(), data.max()]).all():
                return data
    return None


def save(figure, path):
    """Write a figure to a file, whole or not at all, and say so."""
    kind = path.suffix[1:]
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(
        kind
    )  # no date: same file
    part = path.with_name(f".{path.name}.part")
    try:
        with plt.rc_context(STYLE):
            figure.savefig(part, format=kind, metadata=metadata)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    print(path)


def parse_arguments():
    """Return the arguments of the command line, or exit with code 2 and a line that says why."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
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


def fail(message):
    """Exit with one line on standard error."""
    print(f"gmm-visualize.py: error: {message}", file=sys.stderr)
    sys.exit(2)


def read_all(names):
    """Return (fit, folder of its file) for each fit, or exit if a file is not as it should be."""
    fits = []
    for name in names:
        try:
            with open(0 if name == "-" else name, encoding="utf-8-sig") as file:
                found = read_fits(file, "standard input" if name == "-" else name)
        except OSError as error:
            fail(f"cannot read {name}: {error.strerror}")
        except UnicodeDecodeError:
            fail(f"{name}: expected what gmm-em.py prints, found no UTF-8 text")
        except ValueError as error:
            fail(error)
        fits += [(fit, Path() if name == "-" else Path(name).parent) for fit in found]
    return fits


def figures(fits):
    """Yield (stem of the file name, figure) for each fit, and for the fits of the same data."""
    by_data, taken = {}, collections.Counter()
    for fit, folder in fits:
        by_data.setdefault(fit["data"], []).append((fit, folder))
    for name, group in by_data.items():
        stem = "stdin" if name == "-" else Path(name).stem
        data = read_data(*group[0])
        for fit, _ in group:
            title = f"{Path(name).name}: {heading(fit)}"
            figure = main(*(fit[key] for key in LISTS), title, data)
            taken[stem, fit["k"]] += 1
            again = f"-{taken[stem, fit['k']]}" if taken[stem, fit["k"]] > 1 else ""
            yield f"{stem}-k{fit['k']}{again}", figure
        if len(group) > 1:
            yield f"{stem}-comparison", compare([fit for fit, _ in group], data)


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
    try:
        command_line()
    except KeyboardInterrupt:
        sys.exit(130)
