"""Fit a one-dimensional Gaussian mixture with expectation-maximization (EM).

The model is a weighted sum of k Gaussian densities,
    p(x) = sum_i π_i N(x; µ_i, σ²_i),  N(x; µ, σ²) = exp(-(x - µ)²/2σ²) / sqrt(2πσ²).

    data      x_j, j = 1..n   (n,)     the numbers to fit
    k                                  the number of components: 1 to 12 or so
    weights   π_i, i = 1..k   (k,)     positive or 0, they sum to 1
    means     µ_i             (k,)     in the unit of the data
    varis     σ²_i            (k,)     variances (not standard deviations), unit squared
    gammas    γ_ij            (k, n)   the responsibility of component i for point j
    ll                                 ln p(x_1, ..., x_n), a sum over the points
    tol                                EM stops once ll rises by less

Usage: python gmm-em.py data.txt 4 1       (the data, k, tol; --help has the options)

The homework stands first and can be read alone. Cited are the handout by section;
Bishop, Pattern Recognition and Machine Learning (2006), by equation; and, in the last
part, Trefethen, Approximation Theory and Approximation Practice (2013), by chapter.
"""

import argparse
import contextlib
import functools
import io
import itertools
import math
import os
import re
import signal
import sys
import time
import warnings
from collections import namedtuple

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander

LEAST_POINTS = 1e-290  # a component with fewer has none
LEAST_VARI = 1e-150  # the least σ²: (x - µ)²/σ² stays finite up to distances of 1e75


# ---- The homework ----
def initialize(data, k):
    """Return the start of EM: equal weights, means spread over the range, variances 1.

    π_i = 1/k,  µ_i = x_min + i (x_max - x_min)/k,  σ²_i = 1            for i = 1..k
    data (n,) -> weights, means, varis, each (k,). Handout, 2.1.
    """
    low, high = float(np.min(data)), float(np.max(data))
    means = low + np.arange(1, k + 1) * (high - low) / k
    return np.full(k, 1 / k), means, np.ones(k)


def gammas_and_logs(data, weights, means, varis):
    """Return gammas, and ln p(x_j), from the terms π_i N(x_j; µ_i, σ²_i) of p(x_j).

    γ_ij = π_i N(x_j; µ_i, σ²_i) / p(x_j),  p(x_j) = sum_l π_l N(x_j; µ_l, σ²_l)
    data (n,), parameters (k,) -> gammas (k, n), logs (n,). Bishop, 9.23 and 9.14.
    """
    data = np.asarray(data, float)
    # Parameters in columns (k, 1) and data in a row (n,) give terms in a table (k, n).
    weights, means, varis = np.array([weights, means, varis], float)[:, :, None]
    with np.errstate(divide="ignore"):  # ln 0 = -inf is meant: a term of 0
        log_scales = np.log(weights) - np.log(2 * np.pi * varis) / 2
    log_terms = log_scales - (data - means) ** 2 * (0.5 / varis)
    # Far from every component all terms would be rounded to 0, and γ be 0/0. They are
    # divided by the largest, which changes no γ: then one of them is 1.
    largest = log_terms.max(axis=0)
    terms = np.exp(log_terms - largest)
    totals = terms.sum(axis=0)
    return terms / totals, largest + np.log(totals)


def expectation(data, weights, means, varis):
    """Return gammas, the responsibility of each component for each point (E-step).

    γ_ij = π_i N(x_j; µ_i, σ²_i) / sum_l π_l N(x_j; µ_l, σ²_l)
    data (n,), parameters (k,) -> gammas (k, n). Handout, 3.1; Bishop, 9.23.
    """
    gammas, _ = gammas_and_logs(data, weights, means, varis)
    return gammas


def maximization(data, gammas):
    """Return the weights, means and varis that fit the gammas best (M-step).

    N_i = sum_j γ_ij,  π_i = N_i / n,  n = sum_i N_i,
    µ_i = sum_j γ_ij x_j / N_i,  σ²_i = sum_j γ_ij (x_j - µ_i)² / N_i
    data (n,), gammas (k, n) -> weights, means, varis, each (k,); without points, that
    is 0, some number and LEAST_VARI or more. Handout, 3.1; Bishop, 9.24-9.27.
    """
    data, gammas = np.asarray(data, float), np.asarray(gammas, float)
    points = gammas.sum(axis=1)  # N_i
    points[points < LEAST_POINTS] = 0
    divisors = np.where(points > 0, points, 1)  # not by 0: nobody uses that mean
    means = (gammas * data).sum(axis=1) / divisors
    squares = (data - means[:, None]) ** 2  # (n,) against (k, 1) -> (k, n)
    varis = (gammas * squares).sum(axis=1) / divisors
    return points / points.sum(), means, np.maximum(varis, LEAST_VARI)


def log_likelihood(data, weights, means, varis):
    """Return the log-likelihood ll of the data.

    ll = sum_j ln sum_i π_i N(x_j; µ_i, σ²_i)
    data (n,), parameters (k,) -> float. Handout, 2.2; Bishop, 9.14.
    """
    _, logs = gammas_and_logs(data, weights, means, varis)
    return float(logs.sum())


def em_step(data, weights, means, varis):
    """Return the ll of the parameters, then those that one E and M make of them."""
    gammas, logs = gammas_and_logs(data, weights, means, varis)
    return float(logs.sum()), *maximization(data, gammas)


def train(data, k, tol, start=None, min_sd=0.0, report=lambda *_: None):
    """Return the weights, means, varis and ll of the mixture at which EM stops.

    One iteration is E, M, then the ll of the new parameters. EM never lowers ll, but by
    rounding. The loop stops after the first iteration t ≥ 2 with ll_t - ll_(t-1) < tol.
    data (n,), `start` (weights, means, varis), `min_sd` the least σ_i in data's unit
    -> parameters (k,), ll. Calls `report(iteration, change, weights, means, varis, ll)`
    in each. Raises ValueError if there is no fit. Handout, 3.1; Bishop, 9.23-9.28.
    """
    data = condense(data)  # data.step is em_step; data.ends: min, max, less data.shift
    refuse_unfittable(data, k, tol, start, min_sd)
    if start is None:
        weights, means, varis = initialize(data.ends, k)
    else:
        weights, means, varis = np.array(start, float)
        means = means - data.shift  # data far from 0 is fitted around its middle
    last_ll = -math.inf
    for iteration in itertools.count():  # 0 is the start itself
        ll, *new = data.step(weights, means, varis)  # ll of these, new ones by E and M
        if iteration > 0:
            change, last_ll = ll - last_ll, ll
            fit = weights, means + data.shift, varis, ll
            report(iteration, change, *fit)
            if change < tol:
                return fit
        weights, new_means, new_varis = new
        has_points = weights > 0  # the others stay where they are
        means = np.where(has_points, new_means, means)
        varis = np.where(has_points, new_varis, varis)
        varis = np.maximum(varis, min_sd**2)
        refuse_collapse(data, weights, means, varis, iteration + 1, min_sd)


def main(datapath, k, tol):
    """Return the weights, means, varis and ll of k components fitted to a file."""
    return train(read_data(datapath), k, tol)


# ---- Who came for the homework can stop here. ----
# ---- What cannot be fitted ----
SHORT, LONG = 1e-60, 1e75  # what the range of the data may be


class Collapse(ValueError):
    """A component has shrunk onto one value, where the likelihood has no maximum."""

    def __init__(self, fact, iteration, min_sd, restarts=0):
        self.fact, self.iteration = fact, iteration
        all_ended = f"; each of {restarts + 1} starts ended so" if restarts else ""
        remedies = ["fewer components"]  # k > 1: one component has the σ of the data
        if not restarts:
            remedies.append("--restarts")
        if iteration > 2:  # EM can stop after iteration 2
            remedies.append("a larger tol")
        remedies.append("a larger --min-sd" if min_sd else "a floor for σ (--min-sd)")
        unbounded = f"where the likelihood is unbounded{all_ended}"
        super().__init__(f"{fact}, {unbounded}: use {' or '.join(remedies)}")


def refuse_unfittable(data, k, tol, start, min_sd):
    """Raise ValueError if there is no fit to look for, or no start to look from."""
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"expected a whole k ≥ 1, found {k!r}")
    if not 0 < tol < math.inf:
        raise ValueError(f"expected a finite tol > 0, found {tol!r}")
    if not 0 <= min_sd <= LONG:
        raise ValueError(f"expected 0 ≤ min_sd ≤ {LONG}, found {min_sd!r}")
    needed, distinct = max(k, 2), set()
    for block in blocks_of(data.values, data.shift, 100):
        distinct.update(block.tolist())
        if len(distinct) >= needed:  # mostly after one block
            break
    found = len(distinct)
    if found < needed:
        advice = "lower k" if found > 1 else "a constant has no mixture"
        raise ValueError(f"expected {needed} distinct values, found {found}: {advice}")
    low, high = data.ends.tolist()
    if not SHORT < high - low < LONG:
        raise ValueError(f"range {high - low}, not {SHORT} to {LONG}: rescale the data")
    if start is not None:
        weights, means, varis = np.array(start, float)
        valid = (weights >= 0) & (abs(means - data.shift) <= LONG)
        valid &= (varis >= LEAST_VARI) & (varis <= 1 / LEAST_VARI)
        valid &= math.isclose(weights.sum(), 1, rel_tol=1e-6)
        if valid.shape != (k,) or not valid.all():
            raise ValueError(f"expected a mixture of {k} components, found {start}")


def refuse_collapse(data, weights, means, varis, iteration, min_sd):
    """Raise Collapse if a component is as narrow as rounding: σ_i ≤ 32 epsilon |µ_i|.

    Here µ_i is that of data - shift; doubles near it are up to epsilon |µ_i| apart.
    """
    limits = np.maximum((32 * sys.float_info.epsilon * means) ** 2, LEAST_VARI)
    collapsed = (weights > 0) & (varis <= limits)
    if not collapsed.any():
        return
    i = np.argmax(collapsed)  # the first of them
    blocks = blocks_of(data.values, data.shift, BLOCK)
    near = [block[(block - means[i]) ** 2 <= limits[i]] for block in blocks]
    value = f"{np.median(np.concatenate(near)) + data.shift:.15g}"
    what = f"component {i + 1} collapsed onto the value {value}"
    share = f"{sum(map(len, near))} of the {len(data.values)} values"
    raise Collapse(f"{what} in iteration {iteration} ({share})", iteration, min_sd)


# ---- Restarts ----
FEW = 2.95  # 3.0 as it is printed: fewer points are no cluster


def starts(data, k, restarts, seed):
    """Yield (name, start): the handout's as None, for `train`, then the random ones."""
    yield "handout", None
    data, rng = condense(data), np.random.default_rng(seed)
    for i in range(1, restarts + 1):
        yield f"random {i} of {restarts}", random_start(data, k, rng)


def random_start(data, k, rng):
    """Return the weights, means, varis of k parts of random values, sorted and cut."""
    sample = np.sort(rng.choice(data.values, 10 * k).astype(float))
    # 9k are cut into parts of ≥ 1, and each gets one more: of two there is a variance.
    cuts = np.sort(rng.choice(np.arange(1, 9 * k), k - 1, replace=False))
    parts = np.split(sample, cuts + np.arange(1, k))
    uniform = (np.ptp(data.ends) / k) ** 2 / 12  # the variance of a k-th of the range
    weights = np.array([len(part) / len(sample) for part in parts])
    means = np.array([part.mean() for part in parts])
    varis = [part.var() if part[0] < part[-1] else uniform for part in parts]
    return weights, means, np.maximum(varis, LEAST_VARI)


def best_of(data, k, tol, restarts, seed, min_sd, report):
    """Return the fit of highest ll, the name of its start, and how many are left out.

    Left out are starts that collapse, and those that end with a component on few points
    where others do not: two numbers. Raises ValueError as `train`, and if all collapse.
    """
    data, fits, collapses = condense(data), {}, []
    for name, start in starts(data, k, restarts, seed):
        report_of_start = functools.partial(report, name)
        try:
            fits[name] = train(data, k, tol, start, min_sd, report_of_start)
        except Collapse as error:
            collapses.append(error)
    if not fits:
        latest = max(error.iteration for error in collapses)
        raise Collapse(collapses[0].fact, latest, min_sd, restarts)
    n = len(data.values)
    sound = {name: fit for name, fit in fits.items() if n * fit[0].min() >= FEW}
    kept = sound or fits
    name = max(kept, key=lambda name: kept[name][3])  # of equal ones the first
    weights, means, varis, ll = kept[name]
    order = np.arange(k) if name == "handout" else np.argsort(means)
    fit = weights[order], means[order], varis[order], ll
    return fit, name, (len(collapses), len(fits) - len(kept))


# ---- Reading numbers ----
def read_data(datapath):
    """Return the numbers of a text file, a .npy array or "-", or raise ValueError."""
    path = os.fsdecode(datapath)
    name = "standard input" if path == "-" else path
    try:
        if path.lower().endswith(".npy"):
            data = np.lib.format.open_memmap(path, mode="r")
            return condense(data[:, 0] if data.shape[1:] == (1,) else data)
        with open(0 if path == "-" else path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror}") from None
    except Exception as error:  # a broken .npy header raises anything, in many lines
        message = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name}: {message}") from None
    return condense(read_text(content, name))


def read_text(content, name):
    """Return the numbers in the bytes of a text file, one a line."""
    with contextlib.suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no data, which is an error below
        table = np.loadtxt(io.TextIOWrapper(io.BytesIO(content), "utf-8-sig"), ndmin=2)
        if table.size and table.shape[1] == 1 and np.isfinite(table).all():
            return table[:, 0]
    # loadtxt does not count blank lines and comments: a second look finds the line.
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "surrogateescape")
    expected = "expected one finite number a line (UTF-8, decimal point), found"
    for number, line in enumerate(text, 1):
        word = line.partition("#")[0].strip()
        with contextlib.suppress(ValueError):
            line.encode()  # fails for a byte that is not UTF-8
            # float takes underscores and the digits of all scripts, too.
            if word.isascii() and "_" not in word and math.isfinite(float(word or 0)):
                continue
        raise ValueError(f"{name}:{number}: {expected} {line.strip()[:40]!r}")
    raise ValueError(f"{name}: {expected} none")


# ---- The command line ----
NEGLIGIBLE = 0.01  # a change of ll that tells no two mixtures apart


def say(text, end="\n"):
    """Write a line to standard error; in a terminal, over the line of progress."""
    erase = "\r\033[K" if sys.stderr.isatty() else ""
    print(erase + text.replace("\n", "\\n"), end=end, file=sys.stderr, flush=True)


def parse_arguments():
    """Return the arguments of the command line, or end with a line of error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    error = "gmm-em.py: error: {}; try --help\n"  # without the usage, which is long
    parser.error = lambda text: parser.exit(2, error.format(text.replace("\n", "\\n")))
    add = parser.add_argument
    add("data", help='one number a line, a .npy array, or "-" for standard input')
    add("k", help="the number of components, or a range such as 2-6")
    add("tol", type=float, help="stop once ll, a sum over the values, rises by less")
    add("--restarts", type=int, default=0, metavar="N", help="try N random starts too")
    add("--seed", type=int, default=0, metavar="S", help="of the random starts")
    add("--min-sd", type=float, default=0.0, metavar="SD", help="a floor for each sd")
    add("-v", "--verbose", action="store_true", help="show every iteration")
    # argparse takes -1e-6 for an option, but not with a blank before it.
    negative = re.compile(r"-([\d.]+e[-+]?\d+|inf|nan)", re.IGNORECASE)
    words = [f" {word}" if negative.fullmatch(word) else word for word in sys.argv[1:]]
    args = parser.parse_args(words)
    ends = re.fullmatch("([0-9]{1,9})(?:-([0-9]{1,9}))?", args.k)
    first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
    if not 1 <= first <= last:
        parser.error(f"argument k: expected 1 ≤ k < 1e9 or 2-6, found {args.k!r:.40}")
    args.k = range(first, last + 1)
    if not 0 < args.tol < math.inf:
        parser.error(f"argument tol: expected a finite number > 0, found {args.tol}")
    if args.restarts < 0 or args.seed < 0:
        parser.error("arguments --restarts and --seed: expected whole numbers ≥ 0")
    if not 0 <= args.min_sd <= LONG:
        parser.error(f"argument --min-sd: expected 0 to {LONG}, found {args.min_sd}")
    return args


def text_of(name, n, tol, min_sd, restarts, seed, start, iterations, fit):
    """Return the text that gmm-visualize.py reads, and a last line for people."""
    weights, means, varis, ll = fit
    k = len(weights)
    facts = {"data": name.replace("\n", "\\n").replace("\r", "\\r"), "n": n, "k": k}
    facts |= {"tol": tol, "min_sd": min_sd, "restarts": restarts, "seed": seed}
    facts |= {"start": start.partition(" of ")[0], "iterations": iterations}
    for key, values in zip(("weights", "means", "varis"), fit):
        facts[key] = " ".join(map(repr, values.tolist()))
    facts |= {"ll": ll, "bic": (3 * k - 1) * math.log(n) - 2 * ll}
    terms = []
    for weight, mean, vari in zip(weights, means, varis):
        # Four digits, or until the last is at most a tenth of σ; a double has 17.
        digits = np.clip(3 + int(math.log10(1 + abs(mean) / math.sqrt(vari))), 4, 17)
        terms.append(f"{weight:#.4g} N(x | {mean:#.{digits}g}, {vari:#.4g})")
    formula = re.sub(r"\.(?!\d)", "", " + ".join(terms))  # 1234, not 1234.
    lines = [f"{key}: {fact}\n" for key, fact in facts.items()]
    return "".join(lines) + f"p(x) = {formula}\n"


def changes_as_one(data, weights, means, varis, ll):
    """Yield (i, j, change of ll) for neighbours, if one had the moments of both."""
    means = means - data.shift
    order = [i for i in np.argsort(means) if weights[i] > 0]
    for i, j in itertools.pairwise(order):
        pair = [i, j]
        shares = weights[pair] / weights[pair].sum()
        mean = (shares * means[pair]).sum()
        vari = (shares * (varis[pair] + (means[pair] - mean) ** 2)).sum()
        one = np.array([weights, means, varis])
        one[:, pair] = [[weights[pair].sum(), 0], [mean, mean], [vari, vari]]
        yield min(pair), max(pair), data.step(*one)[0] - ll


def notes(data, tol, restarts, min_sd, change, fit):
    """Yield a sentence for each kind of doubt about a fit."""
    points = len(data.values) * fit[0]
    remedies = ["fewer components"] if restarts else ["--restarts", "fewer components"]
    if max(fit[2]) <= min_sd**2:  # the floor, not the start, limits this fit
        remedies = ["a smaller --min-sd", "fewer components"]
    told = set(np.flatnonzero(points == 0))
    if told:
        which = ", ".join(f"{i + 1}" for i in sorted(told))
        yield f"components without points: {which}; try {' or '.join(remedies)}"
    pairs = []
    for i, j, change_as_one in changes_as_one(data, *fit):
        if change_as_one > -max(tol, NEGLIGIBLE):
            pairs.append(f"{i + 1} and {j + 1} (as one: ll {change_as_one:+.2g})")
            told |= {i, j}
    if pairs:
        if change > NEGLIGIBLE:  # EM was still under way
            remedies.insert(0, "a smaller tol")
        which = f"{', '.join(pairs)}; try {' or '.join(remedies)}"
        yield f"components that could be one: {which}"
    few = [i for i in np.flatnonzero(points < FEW) if i not in told]
    if few:
        which = ", ".join(f"{i + 1} ({points[i]:.1f})" for i in few)
        yield f"components on fewer than 3 points, too few for a cluster: {which}"


def print_fit(data, k, args):
    """Fit k components and print the fit, its progress and notes, or raise."""
    last = {}  # of each start: its last iteration and change of ll
    shown = time.monotonic() + 0.9  # the first line of progress comes after a second

    def report(start, iteration, change, weights, means, varis, ll):
        """Remember the last iteration of each start, and show some of them or all."""
        nonlocal shown
        last[start] = iteration, change
        if args.verbose or (sys.stderr.isatty() and time.monotonic() > shown + 0.1):
            shown = time.monotonic()
            line = f"iteration {iteration}, ll {ll:.10g}, change {change:.3g}"
            say(f"k = {k}, {start}: {line}", end="\n" if args.verbose else "")

    search = args.restarts, args.seed, args.min_sd
    fit, start, (collapsed, few) = best_of(data, k, args.tol, *search, report)
    iterations, change = last[start]
    note = f"gmm-em.py: note: k = {k}:"
    why = [f"{collapsed} collapsed"] if collapsed else []
    why += [f"{few} with a component on fewer than 3 points"] if few else []
    if why:
        say(f"{note} left out of {args.restarts + 1} starts: {' and '.join(why)}")
    for sentence in notes(data, args.tol, args.restarts, args.min_sd, change, fit):
        say(f"{note} {sentence}")
    say("", end="")  # erases the progress
    settings = args.tol, args.min_sd, args.restarts, args.seed
    text = text_of(args.data, len(data.values), *settings, start, iterations, fit)
    try:  # not print: standard output may be closed, or in another encoding
        with open(1, "wb", closefd=False) as out:
            out.write(text.encode(errors="surrogateescape"))
    except OSError as error:
        say(f"gmm-em.py: error: cannot write the result: {error.strerror}")
        sys.exit(1)


def command_line():
    """Read, fit and print; exit with 2 for bad input, 1 for a lost fit, or else 0."""
    args = parse_arguments()
    try:
        data = read_data(args.data)
    except ValueError as error:
        say(f"gmm-em.py: error: {error}")
        sys.exit(2)
    name, code = "standard input" if args.data == "-" else args.data, 0
    for k in args.k:
        try:
            print_fit(data, k, args)
        except ValueError as error:
            say(f"gmm-em.py: error: {name}: k = {k}: {error}")
            code = 1
    sys.exit(code)


# ---- Many values ----
# All that an EM step needs of the data are sums over j of f(x_j), where f is γ_i,
# γ_i x, γ_i (x - µ_i)² or ln p. In a cell, an interval that is shorter than every σ_i,
# such an f is nearly a polynomial, given by its values at Q points of it, the nodes:
#     f(x) = sum_q L_q(x) f(x_q),  so  sum_j f(x_j) = sum_q c_q f(x_q),
# where the polynomial L_q is 1 at x_q and 0 at the other nodes. The counts of nodes,
# c_q = sum_j L_q(x_j), are made once, and a step takes only them. Trefethen, 2-5, 8.
MANY = 2**12  # with fewer values it does not pay
BLOCK = 10_000  # numbers at a time, few enough for the processor's cache
Q, NODES = 16, chebpts1(16)  # Chebyshev's points of [-1, 1]
# f = sum_m a_m T_m, a_m = sum_q C[m, q] f(x_q), L_q = sum_m C[m, q] T_m (Chebyshev's)
C = np.linalg.inv(chebvander(NODES, Q - 1))
HALVES = C.T @ chebvander(np.append(NODES - 1, NODES + 1) / 2, Q - 1).T  # L_q: (Q, 2Q)
# For speed, T_0 to T_7 are summed over each eighth of a cell, and c_q is made of these.
NODES_8 = np.add.outer(np.arange(-7, 8, 2), chebpts1(8)).ravel() / 8
C_8 = np.linalg.inv(chebvander(chebpts1(8), 7))
EIGHTHS = (C.T @ chebvander(NODES_8, Q - 1).T).reshape(Q, 8, 8) @ C_8.T


class Grid(namedtuple("Grid", "width nodes counts sizes")):
    """The m cells of a width that have values: nodes, counts (mQ,); sizes (m,)."""

    def step(self, weights, means, varis):
        """Return em_step over the values, or None if the cells are too wide for it."""
        gammas, logs = gammas_and_logs(self.nodes, weights, means, varis)
        last_two = gammas.reshape(len(gammas), -1, Q) @ C[-2:].T  # (k, m, 2)
        # The error of N_i is about sum over cells of (|a_Q-2| + |a_Q-1|) size.
        errors = (self.sizes @ abs(last_two)).sum(axis=1)  # (k,)
        weights, means, varis = maximization(self.nodes, gammas * self.counts)
        resolved = (errors <= 1e-12 * weights * self.sizes.sum()).all()
        if not resolved or self.width**2 >= varis[weights > 0].min():
            return None  # or σ²_i would be a small difference of large terms
        return float((logs * self.counts).sum()), weights, means, varis


class Condensed(namedtuple("Condensed", "values shift ends grids")):
    """The values (n,) as given, and the ends, grids and step of values - shift."""

    def step(self, weights, means, varis):
        """Return em_step over all values, by way of the coarsest grid that will do."""
        if len(self.values) < MANY:
            values = np.subtract(self.values, self.shift, dtype=float)
            return em_step(values, weights, means, varis)
        narrowest = math.sqrt(varis[weights > 0].min())
        for grid in self.grids:
            if 1.4 * grid.width < narrowest:  # wider cells could hide it
                step = grid.step(weights, means, varis)
                if step is not None:
                    return step
        size = BLOCK // len(weights) + 1
        blocks = blocks_of(self.values, self.shift, size)
        steps = [em_step(block, weights, means, varis) for block in blocks]
        return pooled(steps, size, len(self.values))


def blocks_of(data, shift, size):
    """Yield data - shift in blocks of doubles: a file may be larger than memory."""
    for first in range(0, len(data), size):
        yield np.subtract(data[first : first + size], shift, dtype=float)


def pooled(steps, size, n):
    """Return the step over n values, given those over blocks b; the last may be short.

    µ_i = sum_b N_ib µ_ib / N_i,  σ²_i = sum_b N_ib (σ²_ib + (µ_ib - µ_i)²) / N_i
    """
    lls, weights, means, varis = map(np.array, zip(*steps))  # (b,), (b, k), ...
    sizes = np.minimum(size, n - size * np.arange(len(steps)))
    points = weights * sizes[:, None]  # N_ib, (b, k)
    totals = points.sum(axis=0)
    divisors = np.where(totals > 0, totals, 1)
    new_means = (points * means).sum(axis=0) / divisors
    new_varis = (points * (varis + (means - new_means) ** 2)).sum(axis=0) / divisors
    return float(lls.sum()), totals / n, new_means, new_varis


def condense(data):
    """Return data (n,) as Condensed, or raise ValueError if it is not real numbers."""
    if isinstance(data, Condensed):
        return data
    if np.ma.is_masked(data):
        raise ValueError("expected no masked values: pass data.compressed()")
    data = np.asarray(data)
    real = data.dtype.kind in "iuf" and data.itemsize <= 8
    if not real or data.ndim != 1 or not len(data):
        raise ValueError(f"expected 1-D real numbers, found {data.dtype} {data.shape}")
    ends = [(block.min(), block.max()) for block in blocks_of(data, 0.0, BLOCK)]
    if not np.isfinite(ends).all():  # NaN spreads to both ends of its block
        bad = np.argmin(np.isfinite(data))
        raise ValueError(f"expected finite numbers, found {data[bad]} at index {bad}")
    low, high = float(np.min(ends)), float(np.max(ends))
    # Far from 0 a double has few digits left for x - µ. The middle of the range becomes
    # 0, where |x|/2 ≤ |shift| ≤ 2|x|: then x - shift, of doubles x, is not rounded.
    shift = low / 2 + high / 2 if high <= 3 * low or low >= 3 * high else 0.0
    low, high = low - shift, high - shift
    many = len(data) >= MANY and SHORT < high - low < LONG
    grids = grids_of(data, shift, low, high) if many else []
    return Condensed(data, shift, np.array([low, high]), grids)


def grids_of(data, shift, low, high):
    """Return grids from coarse to fine: cells merged in pairs make a coarser one."""
    counts, grids = counts_of(data, shift, low, high), []
    while len(counts) > 4:  # still wider cells would hardly ever do
        width, sizes = (high - low) / len(counts), counts.sum(axis=1)
        full = np.flatnonzero(sizes > 0.5)  # the others have no values
        nodes = low + width * (full[:, None] + 0.5 + NODES / 2)  # (m, 1) -> (m, Q)
        grids.insert(0, Grid(width, nodes.ravel(), counts[full].ravel(), sizes[full]))
        counts = np.einsum("cj,qj->cq", counts.reshape(-1, 2 * Q), HALVES)
    return grids


def counts_of(data, shift, low, high):
    """Return the counts c_q of the finest grid, (cells, Q), from sums of T_m."""
    cells = min(2**12, 2 ** int(math.log2(len(data) / 32)))  # n/2 nodes at most
    sums = np.zeros((8, 8 * cells))
    for block in blocks_of(data, shift, BLOCK):
        place = (block - low) / (high - low) * 8 * cells
        eighth = np.minimum(place.astype(int), 8 * cells - 1)
        u = 2 * (place - eighth) - 1  # from -1 to 1 in each eighth
        before, current = u, np.ones(len(u))  # T_-1 = T_1, T_0
        for m in range(8):
            sums[m] += np.bincount(eighth, current, 8 * cells)
            before, current = current, 2 * u * current - before  # T_m+1
    return np.einsum("cj,qj->cq", sums.T.reshape(cells, 64), EIGHTHS.reshape(Q, 64))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once, without a traceback
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stderr = sys.stderr or io.StringIO()  # closed: print would use standard output
    command_line()
