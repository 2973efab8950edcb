"""Fit a one-dimensional Gaussian mixture with expectation-maximization (EM).

The model is a weighted sum of k Gaussian densities,
    p(x) = sum_i π_i N(x; µ_i, σ²_i),    N(x; µ, σ²) = exp(-(x - µ)²/2σ²) / sqrt(2πσ²).

    data      x_j, j = 1..n   shape (n,)     the numbers to fit
    k                                        the number of components: 1 to 12 or so
    weights   π_i, i = 1..k   shape (k,)     positive or 0, they sum to 1
    means     µ_i             shape (k,)     in the unit of the data
    varis     σ²_i            shape (k,)     variances (not standard deviations), unit squared
    gammas    γ_ij            shape (k, n)   the responsibility (share) of component i for point j
    ll                                       ln p(x_1, ..., x_n), a sum over the values
    tol                                      EM stops once ll rises by less; 1e-6 for firm figures

Usage: python gmm-em.py data.txt 4 1      (the data, k, tol; --help has the options)
Cited are sections of the handout, equations of Bishop, Pattern Recognition and Machine Learning
(2006), and chapters of Trefethen, Approximation Theory and Approximation Practice (2013).
"""

import argparse
import contextlib
import io
import itertools
import math
import os
import re
import signal
import sys
import time
from collections import namedtuple

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander

EPS, TINY = sys.float_info.epsilon, sys.float_info.min  # spacing at 1; the least normal double


# ---- The functions of the handout ----
def initialize(data, k):
    """Return the start of EM: equal weights, means spread over the range, variances 1.

    π_i = 1/k,  µ_i = x_min + i (x_max - x_min)/k,  σ²_i = 1        for i = 1..k
    data (n,) -> weights, means, varis, each (k,). Handout, 2.1.
    """
    means = np.linspace(float(np.min(data)), float(np.max(data)), k + 1)[1:]
    return np.full(k, 1 / k), means, np.ones(k)


def expectation(data, weights, means, varis, return_logs=False):
    """Return gammas, the responsibility of each component for each point.

    γ_ij = π_i N(x_j; µ_i, σ²_i) / p(x_j),    p(x_j) = sum_l π_l N(x_j; µ_l, σ²_l)
    data (n,), parameters (k,) -> gammas (k, n), whose columns sum to 1. With `return_logs`
    also ln p(x_j), (n,), which the denominators hold already. Handout, 3.1; Bishop, 9.23.
    """
    data, weights, means, varis = (np.asarray(a, float) for a in (data, weights, means, varis))
    # Log-sum-exp: far from every component all the densities underflow to 0. Their logs do not, and
    # relative to the largest of them, the peak, at least one term of p(x_j) is 1.
    with np.errstate(divide="ignore", over="ignore"):  # ln 0 = -inf: a component without points
        log_scales = np.log(weights) - 0.5 * np.log(2 * np.pi * varis)
        terms = (data - means[:, None]) ** 2  # (n,) against (k, 1) -> (k, n), then in place
        terms *= -0.5 / varis[:, None]
    terms += log_scales[:, None]  # ln π_i N(x_j; µ_i, σ²_i)
    peaks = terms.max(axis=0)  # (n,)
    terms -= peaks
    totals = np.exp(terms, out=terms).sum(axis=0)  # p(x_j) / exp(peak_j)
    gammas = np.divide(terms, totals, out=terms)
    return (gammas, np.log(totals) + peaks) if return_logs else gammas


def maximization(data, gammas):
    """Return the weights, means, varis that maximize the expected complete-data ll, given gammas.

    N_i = sum_j γ_ij,  π_i = N_i / sum_l N_l,  µ_i = sum_j γ_ij x_j / N_i,
    σ²_i = sum_j γ_ij (x_j - µ_i)² / N_i
    data (n,), or (k, n) for data of each component's own, gammas (k, n), on a grid times counts ->
    weights, means, varis, each (k,), 0 where N_i has no digits. Handout, 3.1; Bishop, 9.24-9.27.
    """
    data, gammas = np.asarray(data, float), np.asarray(gammas, float)
    totals = gammas.sum(axis=1)  # N_i
    totals[totals < TINY / EPS] = 0
    divisors = totals + (totals == 0)  # for an empty row, 0/1 instead of 0/0
    means = (gammas * data).sum(axis=1) / divisors  # not @: BLAS may round as the cores permit
    squares = (data - means[:, None]) ** 2  # (n,) against (k, 1) -> (k, n)
    return totals / totals.sum(), means, (gammas * squares).sum(axis=1) / divisors


def log_likelihood(data, weights, means, varis):
    """Return the log-likelihood ll of the data.

    ll = sum_j ln sum_i π_i N(x_j; µ_i, σ²_i)
    data (n,), parameters (k,) -> float. Handout, 2.2; Bishop, 9.14.
    """
    return float(expectation(data, weights, means, varis, return_logs=True)[1].sum())


def train(data, k, tol, start=None, report=lambda *step: None):
    """Return the weights, means, varis and ll of the mixture at which EM stops.

    One iteration is E, M, then the ll of the new parameters. EM never lowers ll: it stops after the
    first iteration t ≥ 2 with ll_t - ll_(t-1) < tol, which takes in a fall by rounding.
    data (n,), or condensed, `start` (weights, means, varis) -> parameters (k,), ll. Calls
    `report(iteration, change, weights, means, varis, ll)` after every iteration. Raises ValueError
    for what has no fit, Collapse where σ_i is down to rounding. Handout, 3.1; Bishop, 9.23-9.28.
    """
    data = condense(data)
    weights, means, varis = checked_start(data, k, tol, start)
    _, new_weights, new_means, new_varis = em_step(data, weights, means, varis)
    ll = -math.inf  # none before iteration 1, whose infinite change never ends the loop
    for iteration in itertools.count(1):
        weights, owns = new_weights, new_weights > 0  # without points, a component stays as it is
        means, varis = np.where(owns, new_means, means), np.where(owns, new_varis, varis)
        refuse_collapse(weights, means, varis, data.shift, iteration)
        # The E-step of the next iteration has the ll of these parameters in its denominators.
        new_ll, new_weights, new_means, new_varis = em_step(data, weights, means, varis)
        change, ll = new_ll - ll, new_ll
        fit = weights, means + data.shift, varis, ll
        report(iteration, change, *fit)
        if change < tol:
            return fit


def main(datapath, k, tol):
    """Return the weights, means, varis and ll of k components fitted to the numbers in a file."""
    return train(read_data(datapath), k, tol)


# ---- What train rests on: condensed data, a step over it, and what has no fit ----
BLOCK = 2**16  # elements of gammas at a time: few enough for the processor's cache
SMALL, LARGE = 1e-75, 1e75  # between these, squares and the ratios of squares are doubles
Q = 16  # nodes to a cell
NODES = chebpts1(Q)  # Chebyshev's, in [-1, 1]
COEFFICIENTS = 2 / Q * chebvander(NODES, Q - 1).T  # row m: from values at the nodes to a_m
COEFFICIENTS[0] /= 2
HALVES = COEFFICIENTS.T @ chebvander(np.append(NODES - 1, NODES + 1) / 2, Q - 1).T  # L_q, (Q, 2Q)
Condensed = namedtuple("Condensed", "values shift ends grids")  # ends, grids: of values - shift
Grid = namedtuple("Grid", "width nodes counts sizes")  # m cells: nodes, counts (mQ,), sizes (m,)


class Collapse(ValueError):
    """A component has shrunk onto one value, where the likelihood has no maximum."""


def condense(data):
    """Return data with its range and, if its values are many, points that have the same sums.

    A step needs sums of functions f that are smooth on the scale of the narrowest component. In a
    cell of width h around c, f is interpolated at Chebyshev's Q nodes u_q: with signed counts c_q,
        sum_j f(x_j) ≈ sum_q c_q f(c + h u_q/2),    c_q = sum_j L_q(2(x_j - c)/h),
        L_q(u) = (1 + 2 sum_m T_m(u_q) T_m(u))/Q,    u_q = cos((q - 1/2)π/Q),    0 < m < Q
    over the values x_j of the cell: exact for polynomials of degree < Q, and near enough where
    `resolves` finds the last Chebyshev coefficients of every γ_i negligible, for ln p has no other
    singularities than γ_i: the complex zeros of p. One pass over the data makes the finest grid;
    merging its cells in pairs makes the coarser ones, without error. Trefethen, chapters 3, 4, 8.
    data (n,) -> Condensed. Raises ValueError unless data is finite real numbers.
    """
    if isinstance(data, Condensed):
        return data
    data = np.asarray(data)
    if data.ndim != 1 or data.dtype.kind not in "iuf" or data.itemsize > 8 or not len(data):
        raise ValueError(f"expected 1-D real numbers, found shape {data.shape} of {data.dtype}")
    ends = [(block.min(), block.max()) for block in blocks_of(data, 0.0, BLOCK)]
    if not np.isfinite(ends).all():  # NaN spreads to both ends of its block
        bad = np.argmin(np.isfinite(data))
        raise ValueError(f"expected finite numbers, found {data[bad]} at index {bad}: remove it")
    low, high = float(np.min(ends)), float(np.max(ends))
    # Far from 0, a double spends its digits on the offset of a mean. Where x - shift is exact for
    # every x (Sterbenz's lemma), the fit is made around the middle of the range instead.
    shift = low / 2 + high / 2 if high <= 3 * low or low >= 3 * high else 0.0
    low, high, grids = low - shift, high - shift, []
    if len(data) >= 2**15 and 0 < high - low < math.inf:  # with fewer values it does not pay
        cells = min(2**12, 2 ** int(math.log2(len(data) / 32)))  # n/2 nodes at most
        counts = counts_of(data, shift, low, high, cells)
        while len(counts) > 1:
            width, sizes = (high - low) / len(counts), counts.sum(axis=1)
            full = np.flatnonzero(sizes > 0.5)  # the others have no values
            nodes = low + width * (full[:, None] + 0.5 + NODES / 2)  # (m, 1) and (Q,) -> (m, Q)
            grids.insert(0, Grid(width, nodes.ravel(), counts[full].ravel(), sizes[full]))
            counts = np.einsum("cj,qj->cq", counts.reshape(-1, 2 * Q), HALVES)
    return Condensed(data, shift, np.array([low, high]), grids)


def counts_of(data, shift, low, high, cells):
    """Return the counts c_q of the finest grid, (cells, Q), from the sums of T_m over each cell."""
    sums = np.zeros((Q, cells))
    for block in blocks_of(data, shift, BLOCK // 2):
        place = (block - low) / (high - low) * cells
        cell = np.minimum(place.astype(int), cells - 1)
        double = 4 * (place - cell) - 2  # 2u
        previous, current = double / 2, np.ones(len(block))  # T_-1 = T_1, T_0
        for m in range(Q):
            sums[m] += np.bincount(cell, current, cells)
            previous, current = current, np.subtract(double * current, previous, out=previous)
    return np.einsum("mc,mq->cq", sums, COEFFICIENTS)


def resolves(grid, gammas, weights, varis):
    """Return whether a grid is fine enough for gammas, and for the weights and varis they give.

    sum over cells of (|a_Q-2| + |a_Q-1|) size ≤ 1e-12 N_i,    a_m the Chebyshev coefficients of γ_i
    """
    tails = grid.sizes @ abs(gammas.reshape(len(gammas), -1, Q) @ COEFFICIENTS[-2:].T)  # (k, 2)
    resolved = tails.sum(axis=1) <= 1e-12 * weights * grid.sizes.sum()
    # A σ_i smaller than the cells would be a small difference of large terms.
    return resolved.all() and grid.width**2 < varis.min(where=weights > 0, initial=math.inf)


def em_step(data, weights, means, varis):
    """Return the ll of the parameters, and the weights, means and varis that EM makes of them.

    The step is made on the coarsest grid that resolves it, or else over the values, in blocks b
    that are pooled by the law of total variance,
    µ_i = sum_b N_ib µ_ib / N_i,    σ²_i = sum_b N_ib (σ²_ib + (µ_ib - µ_i)²) / N_i
    """
    narrowest = varis.min(where=weights > 0, initial=math.inf)
    for grid in data.grids:
        if grid.width**2 < narrowest:  # narrower than a cell, γ_i may be 0 at every node
            gammas, logs = expectation(grid.nodes, weights, means, varis, return_logs=True)
            update = maximization(grid.nodes, gammas * grid.counts)
            if resolves(grid, gammas, update[0], update[2]):
                return float((grid.counts * logs).sum()), *update
    ll, blocks = 0.0, []
    for block in blocks_of(data.values, data.shift, BLOCK // len(weights) + 1):
        gammas, logs = expectation(block, weights, means, varis, return_logs=True)
        ll += float(logs.sum())
        update = maximization(block, gammas)
        blocks.append((update[0] * len(block), *update[1:]))
    if len(blocks) == 1:  # of small data, where pooling would cost as much as the step
        return ll, *update
    points, means, varis = np.transpose(blocks, (1, 2, 0))  # N_ib, µ_ib, σ²_ib, each (k, b)
    weights, new_means, between = maximization(means, points)
    within = maximization(varis, points)[1]
    return ll, weights, new_means, within + between


def blocks_of(data, shift, size):
    """Yield data - shift in blocks of doubles: a memory-mapped file may be larger than memory."""
    for first in range(0, len(data), size):
        yield np.subtract(data[first : first + size], shift, dtype=float)


def checked_start(data, k, tol, start):
    """Return the start of a fit to x - shift; raise ValueError if there is nothing to fit."""
    if not (k >= 1 and k % 1 == 0 and 0 < tol < math.inf):
        raise ValueError(f"expected a whole k ≥ 1 and a finite tol > 0, found {k!r} and {tol!r}")
    needed, sample = max(k, 2), data.values[:: len(data.values) // 1000 + 1]
    blocks = map(np.unique, blocks_of(data.values, 0.0, BLOCK))  # not read if the sample will do
    if len(set(sample.tolist())) < needed and (found := len(set().union(*blocks))) < needed:
        raise ValueError(f"expected {needed} distinct values, found {found}: lower k or add values")
    low, high = data.ends.tolist()
    if not SMALL < high - low < LARGE:
        raise ValueError(f"a range of {high - low} is not {SMALL} to {LARGE}: rescale the data")
    if start is None:
        return initialize(data.ends, int(k))  # of the values it needs the least and the greatest
    weights, means, varis = np.array(start, float)  # (3, k)
    means = means - data.shift
    sane = (weights >= 0) & (abs(means) < LARGE) & (varis > SMALL**2) & (varis < LARGE**2)
    if sane.shape != (k,) or not sane.all() or not math.isclose(weights.sum(), 1, rel_tol=1e-6):
        raise ValueError(f"expected {k} weights that sum to 1, means, varis > 0, found {start}")
    return weights, means, varis


def refuse_collapse(weights, means, varis, shift, iteration):
    """Raise Collapse if a standard deviation is down to 32 roundings of its mean."""
    for i in np.flatnonzero((weights > 0) & (varis <= np.maximum((32 * EPS * means) ** 2, TINY))):
        what = f"component {i + 1} collapsed onto the value {means[i] + shift:.15g} in iteration"
        remedy = "use fewer components, a larger tol, or --restarts"
        raise Collapse(f"{what} {iteration}, where the likelihood is unbounded: {remedy}")


# ---- Restarts ----
def starts(data, k, restarts, seed):
    """Yield (name, start): the handout's, None for `train`, then `restarts` random ones."""
    yield "handout", None
    if restarts:
        data, rng = condense(data), np.random.default_rng(seed)
        variance = train(data, 1, 1.0)[2][0]  # that of the data, which may be a file
    for i in range(1, restarts + 1):
        distinct = set()
        while len(distinct) < k:
            distinct.update(data.values[rng.integers(len(data.values), size=1000)].tolist())
        means = np.sort(rng.choice(sorted(distinct), k, replace=False))
        yield f"random {i} of {restarts}", (np.full(k, 1 / k), means, np.full(k, variance))


def best_of(data, k, tol, restarts, seed, report):
    """Return the fit of highest ll, its start's name, and how many starts collapsed, or raise."""
    data, best, collapses = condense(data), None, []
    for name, start in starts(data, k, restarts, seed):
        try:
            fit = train(data, k, tol, start, lambda *step, name=name: report(name, *step))
            best = (fit, name) if best is None or fit[3] > best[0][3] else best
        except Collapse as error:
            collapses.append(str(error))
    if best is None:
        others = f"; each of {restarts + 1} starts ended so: use fewer components or a larger tol"
        raise Collapse(collapses[0].partition(":")[0] + others if restarts else collapses[0])
    return *best, len(collapses)


# ---- Reading numbers ----
def read_text(content, name):
    """Return the numbers in the bytes of a file, one a line, condensed; messages give its name."""
    with contextlib.suppress(ValueError, UserWarning):
        text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig")
        return condense(np.loadtxt(text, ndmin=2).squeeze(axis=1))  # of one column only
    # Now that something is wrong, a second look finds the line: loadtxt does not count all of them.
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "surrogateescape")
    expected = "expected one finite number a line, in UTF-8, with a decimal point, found"
    for number, line in enumerate(text, 1):
        word = line.partition("#")[0].strip()
        with contextlib.suppress(ValueError):
            line.encode()  # fails where surrogateescape has let a byte through that is not UTF-8
            # float takes underscores and the digits of all scripts, too.
            if not word or (word.isascii() and "_" not in word and math.isfinite(float(word))):
                continue
        raise ValueError(f"{name}:{number}: {expected} {line.strip()[:40]!r}")
    raise ValueError(f"{name}: {expected} none")


def read_data(datapath):
    """Return the numbers of a text file, a .npy array or "-", condensed, or raise ValueError."""
    name = "standard input" if datapath == "-" else os.fspath(datapath)
    try:
        with contextlib.redirect_stderr(None):  # where numpy warns of what is wrong
            if name.lower().endswith(".npy"):
                return condense(np.lib.format.open_memmap(name, mode="r"))
            with open(0 if datapath == "-" else datapath, "rb") as file:
                return read_text(file.read(), name)
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror}") from None
    except Exception as error:  # of any kind, and any number of lines, for a broken .npy header
        message = " ".join(str(error).split())
        raise ValueError(message if message.startswith(name) else f"{name}: {message}") from None


# ---- The command line ----
def say(line, code=None, end="\n"):
    """Write a line to standard error, over a line of progress; exit if a code is given."""
    with contextlib.suppress(OSError):  # closed, or full
        text = "\r\033[K" * os.isatty(2) + line.replace("\n", "\\n") + end
        os.write(2, text.encode(errors="surrogateescape"))
    if code:
        sys.exit(code)


def parse_arguments():
    """Return the arguments of the command line, or exit with code 2 and a line that says why."""
    parser = argparse.ArgumentParser(description="Fit a one-dimensional Gaussian mixture with EM.")
    parser.error = lambda message: say(f"gmm-em.py: error: {message}; try --help", 2)
    add = parser.add_argument
    add("data", help='one number a line, a .npy array, or "-" for standard input')
    add("k", help="the number of components, or a range such as 2-6")
    add("tol", type=float, help="stop once ll, a sum over the values, rises by less")
    add("--restarts", type=int, default=0, metavar="N", help="try N random starts too (default: 0)")
    add("--seed", type=int, default=0, metavar="S", help="of the random starts (default: 0)")
    add("-v", "--verbose", action="store_true", help="show every iteration")
    args = parser.parse_args()
    ends = re.fullmatch("([0-9]{1,9})(?:-([0-9]{1,9}))?", args.k)
    if not ends or not 1 <= int(ends[1]) <= int(ends[2] or ends[1]):
        parser.error(f"argument k: expected k ≥ 1, or a range such as 2-6, found {args.k[:40]!r}")
    args.k = range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    if not 0 < args.tol < math.inf:
        parser.error(f"argument tol: expected a finite number above 0, found {args.tol}")
    if args.restarts < 0 or args.seed < 0:
        parser.error("arguments --restarts and --seed: expected whole numbers of at least 0")
    return args


def text_of(name, n, tol, start, iterations, fit):
    """Return the text that gmm-visualize.py reads, and a last line for people."""
    weights, means, varis, ll = fit
    facts = {"data": name.replace("\n", "\\n").replace("\r", "\\r"), "n": n, "k": len(weights)}
    facts |= {"tol": tol, "start": start, "iterations": iterations}
    for key, values in zip(("weights", "means", "varis"), fit):
        facts[key] = " ".join(map(repr, values.tolist()))
    facts |= {"ll": ll, "bic": (3 * len(weights) - 1) * math.log(n) - 2 * ll}
    # Four digits, or until the last one of the mean is at most a tenth of σ.
    digits = np.maximum(4, 3 + np.log10(1 + abs(means) / np.sqrt(varis)).astype(int))
    terms = zip(weights, means, digits, varis)
    formula = " + ".join(f"{w:#.4g} N(x | {m:#.{d}g}, {v:#.4g})" for w, m, d, v in terms)
    formula = re.sub(r"\.(?!\d)", "", formula)  # 1234, not 1234.
    return "".join(f"{key}: {fact}\n" for key, fact in facts.items()) + f"p(x) = {formula}\n"


def notes(n, start, weights, means, varis):
    """Yield a sentence for whatever makes a valid fit of n points a useless one."""
    for i, points in enumerate(n * weights, 1):
        if points == 0:
            yield f"component {i} owns no point and keeps its mean: try fewer components"
        elif round(points, 1) < 3:
            yield f"component {i} rests on {points:.1f} points, too few for a cluster"
    wide = "if σ = 1 is too wide a start for this unit, rescale the data, or use --restarts"
    remedy = wide if start == "handout" else "try fewer components"
    sds = np.where(weights > 0, np.sqrt(varis), np.nan)
    near = 0.01 * sds  # no plot shows a hundredth of σ
    same = (abs(means - means[:, None]) < near) & (abs(sds - sds[:, None]) < near)  # (k, k)
    same = np.linalg.matrix_power(same, len(same))  # also by way of others
    for twins in sorted({tuple(np.flatnonzero(row) + 1) for row in same if row.sum() > 1}):
        yield f"components {', '.join(map(str, twins))} coincide; {remedy}"


def print_fit(data, k, args):
    """Fit k components, showing progress, and print the notes and the fit; or raise ValueError."""
    iterations, shown = {}, time.monotonic() + 0.9  # after a second, and ten times a second

    def report(start, iteration, change, weights, means, varis, ll):
        """Count the iterations of each start, and show some or all of them."""
        nonlocal shown
        iterations[start] = iteration
        if args.verbose or (os.isatty(2) and time.monotonic() > shown + 0.1):
            shown = time.monotonic()
            line = f"k = {k}, {start}: iteration {iteration}, ll {ll:.10g}, change {change:.3g}"
            say(line, end="\n" if args.verbose else "")

    fit, start, lost = best_of(data, k, args.tol, args.restarts, args.seed, report)
    left_out = [f"{lost} of {args.restarts + 1} starts collapsed and were left out"] if lost else []
    for note in [*left_out, *notes(len(data.values), start, *fit[:3])]:
        say(f"gmm-em.py: note: k = {k}: {note}")
    say("", end="")
    try:  # past sys.stdout, which knows neither every name nor a full disk
        with open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False) as out:
            out.write(text_of(args.data, len(data.values), args.tol, start, iterations[start], fit))
    except OSError as error:
        say(f"gmm-em.py: error: cannot write the result: {error.strerror}", 1)


def command_line():
    """Read, fit and print, as the command line asks."""
    args = parse_arguments()
    try:
        data = read_data(args.data)
    except ValueError as error:
        say(f"gmm-em.py: error: {error}", 2)
    name, code = args.data if args.data != "-" else "standard input", 0
    for k in args.k:
        try:
            print_fit(data, k, args)
        except ValueError as error:
            say(f"gmm-em.py: error: {name}: k = {k}: {error}")
            code = 1
    sys.exit(code)


if __name__ == "__main__":
    for name in "SIGINT", "SIGPIPE":  # end at once, without a traceback; Windows has no SIGPIPE
        signal.signal(getattr(signal, name, signal.SIGINT), signal.SIG_DFL)
    command_line()
