"""Fit a one-dimensional Gaussian mixture with expectation-maximization (EM).

The model is a weighted sum of k Gaussian densities,

    p(x) = sum_i π_i N(x; µ_i, σ²_i),    N(x; µ, σ²) = exp(-(x - µ)²/2σ²) / sqrt(2πσ²).

    data      x_j, j = 1..n   shape (n,)     the numbers to fit
    k                                        the number of components
    weights   π_i, i = 1..k   shape (k,)     positive or 0, they sum to 1
    means     µ_i             shape (k,)     in the unit of the data
    varis     σ²_i            shape (k,)     variances (not standard deviations), unit squared
    gammas    γ_ij            shape (k, n)   the share of component i in point j; columns sum to 1
    ll                                       ln p(x_1, ..., x_n), a sum over the points
    tol                                      EM stops once ll changes by less than this

Usage: python gmm-em.py data.txt 4 1      (the data, k, tol; --help has the options)

Sensible values: k from 1 to 12 or so; tol = 1 for a first look, 1e-6 for figures to quote.
"Handout" is the assignment, "Bishop" is Pattern Recognition and Machine Learning (2006).
"""

import argparse
import collections
import contextlib
import functools
import itertools
import math
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

EPS = np.finfo(float).eps  # the rounding of 1.0
TINY = np.finfo(float).tiny  # the smallest number with all its digits
BLOCK = 2**18  # elements of gammas at a time: few enough for the processor's cache


class Collapse(ValueError):
    """A component has shrunk onto one value, where the likelihood has no maximum."""


def initialize(data, k):
    """Return the start of EM: equal weights, means spread over the range, variances 1.

    π_i = 1/k,  µ_i = x_min + i (x_max - x_min)/k,  σ²_i = 1        for i = 1..k

    data (n,) -> weights, means, varis, each (k,). Handout, section 2.1.
    """
    low, high = np.min(data), np.max(data)
    weights = np.full(k, 1 / k)
    means = low + np.arange(1, k + 1) * (high - low) / k
    return weights, means, np.ones(k)


def expectation(data, weights, means, varis, return_ll=False):
    """Return gammas, the share of each component in each point.

    γ_ij = π_i N(x_j; µ_i, σ²_i) / p(x_j),    p(x_j) = sum_l π_l N(x_j; µ_l, σ²_l)

    data (n,), parameters (k,) -> gammas (k, n). With `return_ll` also sum_j ln p(x_j), which
    the denominators hold already. Handout, section 3.1; Bishop, equation 9.23.
    """
    data, weights, means, varis = (np.asarray(a, float) for a in (data, weights, means, varis))
    # Far from every component all the densities underflow to 0. Their logs do not, and relative
    # to the largest of them, the peak, at least one term of p(x_j) is 1.
    with np.errstate(divide="ignore", over="ignore"):  # ln 0 = -inf: a component without points
        log_scales = np.log(weights) - 0.5 * np.log(2 * np.pi * varis)
        gammas = data - means[:, None]  # (n,) against (k, 1) -> (k, n), from here on in place
        gammas *= np.sqrt(0.5 / varis)[:, None]
        gammas *= gammas
    np.subtract(log_scales[:, None], gammas, out=gammas)  # ln π_i N(x_j; µ_i, σ²_i)
    peaks = gammas.max(axis=0)  # (n,)
    gammas -= peaks
    np.exp(gammas, out=gammas)
    totals = gammas.sum(axis=0)  # p(x_j) / exp(peak_j)
    gammas *= 1 / totals
    if return_ll:
        return gammas, float(np.log(totals).sum() + peaks.sum())
    return gammas


def maximization(data, gammas):
    """Return the weights, means and varis that maximize the likelihood, given gammas.

    N_i = sum_j γ_ij,  π_i = N_i/n,  µ_i = sum_j γ_ij x_j / N_i,
    σ²_i = sum_j γ_ij (x_j - µ_i)² / N_i

    data (n,), gammas (k, n) -> weights, means, varis, each (k,); where a row of gammas is all 0,
    all three are 0. Handout, section 3.1; Bishop, equations 9.24 to 9.27.
    """
    data, gammas = np.asarray(data, float), np.asarray(gammas, float)
    counts = gammas.sum(axis=1)
    divisors = np.where(counts > 0, counts, 1)  # over an empty row, 0/1 instead of 0/0
    means = (gammas * data).sum(axis=1) / divisors
    squares = data - means[:, None]  # (n,) against (k, 1) -> (k, n), from here on in place
    squares *= squares
    squares *= gammas
    return counts / len(data), means, squares.sum(axis=1) / divisors


def log_likelihood(data, weights, means, varis):
    """Return the log-likelihood ll of the data.

    ll = sum_j ln sum_i π_i N(x_j; µ_i, σ²_i)

    data (n,), parameters (k,) -> float. Handout, section 2.2; Bishop, equation 9.14.
    """
    return expectation(data, weights, means, varis, return_ll=True)[1]


def train(data, k, tol, start=None, report=None):
    """Return the weights, means, varis and ll of the mixture that EM converges to.

    One iteration is E, M, then the ll of the new parameters. EM stops after the first iteration
    t ≥ 2 with |ll_t - ll_(t-1)| < tol. Where rounding hides changes as small as tol, it stops once
    ll changes by no more than its rounding, or has not risen by more in 100 iterations.

    data (n,) -> parameters (k,), float. `start` is (weights, means, varis), by default what
    `initialize` returns; `report(iteration, ll, change)` is called after every iteration.
    Raises Collapse where the variance of a component falls to its rounding, and ValueError for
    data, k, tol or a start that cannot be used. Handout, sections 2.2 and 3.1; Bishop, 9.2.2.
    """
    data = np.asarray(data)
    low, high = check(data, k, tol)
    # Far from 0, a double spends its digits on the offset of a mean. Where x - shift is exact for
    # every x (Sterbenz's lemma), the fit is made around the middle of the range instead.
    shift = low / 2 + high / 2 if high <= 3 * low or low >= 3 * high else 0.0
    if start is None:
        new = initialize([low - shift, high - shift], int(k))
    else:
        new = check_start(start, k, shift)
    # glibc returns the memory of each block to the system and takes it back page by page, which
    # can triple the time, unless an array larger than a block was freed before.
    np.empty(8 * BLOCK)
    with ThreadPoolExecutor(cores()) as pool:
        _, new = sweep(data, shift, *new, pool)
        previous_ll = math.nan  # no change is smaller than tol in the first iteration
        highest_ll, risen = -math.inf, 0
        for iteration in itertools.count(1):
            weights, means, varis = new
            refuse_collapse(weights, means, varis, shift, iteration)
            # The next E-step computes this ll anyway, so it is taken from there.
            ll, new = sweep(data, shift, weights, means, varis, pool)
            change, previous_ll = ll - previous_ll, ll
            if report:
                report(iteration, ll, change)
            rounding = 8 * EPS * (len(data) + abs(ll))
            if ll > highest_ll + rounding:
                highest_ll, risen = ll, iteration
            # Where σ_i is some hundred roundings of µ_i, ll wavers by more than its own rounding.
            if abs(change) < max(tol, rounding) or iteration >= risen + 100:
                return weights, means + shift, varis, ll


def sweep(data, shift, weights, means, varis, pool):
    """Return the ll of the parameters, and the parameters that one EM step makes of them.

    Blocks b are pooled by the law of total variance, which is exact:
    N_i = sum_b N_ib,  µ_i = sum_b N_ib µ_ib / N_i,  σ²_i = sum_b N_ib (σ²_ib + (µ_ib - µ_i)²) / N_i

    data (n,), parameters of data - shift (k,) -> ll, (weights, means, varis). What is a block
    depends on n and k alone, so the result does not depend on the number of threads in `pool`.
    """
    n, size = len(data), max(1, BLOCK // max(4, len(means)))

    def step(first):
        """Return the ll of the block that begins at `first`, its size, and the M-step's result."""
        block = np.subtract(data[first : first + size], shift, dtype=float)
        gammas, ll = expectation(block, weights, means, varis, return_ll=True)
        return ll, len(block), *maximization(block, gammas)

    # Fewer blocks take longer to hand to other threads than to compute.
    run = map if n <= 2 * size else pool.map
    blocks = zip(*run(step, range(0, n, size)))
    lls, sizes, *parts = (np.stack(column, axis=-1) for column in blocks)
    block_weights, block_means, block_varis = parts  # (k, b) each
    block_counts = block_weights * sizes
    counts = block_counts.sum(axis=1)
    # A component without points stays where it is. Below TINY / EPS a count has lost its digits.
    owns = counts > TINY / EPS
    divisors = np.where(owns, counts, 1)
    new_means = (block_counts * block_means).sum(axis=1) / divisors
    squares = block_varis + (block_means - new_means[:, None]) ** 2  # (k, b)
    new_varis = (block_counts * squares).sum(axis=1) / divisors
    new = np.where(owns, (counts / n, new_means, new_varis), (0 * weights, means, varis))
    return math.fsum(lls), new


def refuse_collapse(weights, means, varis, shift, iteration):
    """Raise Collapse if a standard deviation is down to the rounding of its mean."""
    floors = np.maximum((32 * EPS * means) ** 2, TINY)
    collapsed = np.flatnonzero((weights > 0) & (varis <= floors))
    if len(collapsed):
        i = collapsed[0]
        raise Collapse(
            f"component {i + 1} collapsed onto the value {means[i] + shift:.12g} in iteration "
            f"{iteration}, where the likelihood is unbounded: "
            "use fewer components, a larger tol, or --restarts"
        )


def check(data, k, tol):
    """Return the least and the greatest value; raise ValueError if k components cannot fit."""
    if k != int(k) or k < 1 or not 0 < tol < math.inf:
        raise ValueError(f"expected a whole k ≥ 1 and a finite tol > 0, found {k!r} and {tol!r}")
    low, high, distinct = math.inf, -math.inf, []
    for block in blocks_of(data):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        if len(distinct) < max(k, 2):
            distinct = np.union1d(distinct, block)
    if low == high:
        raise ValueError(f"all {len(data)} values are {low}: constant data has no variance to fit")
    if len(distinct) < k:
        found = f"k = {k} exceeds the {len(distinct)} distinct values"
        raise ValueError(f"{found} of the data: ask for fewer components")
    if not 1e-100 < high / 2 - low / 2 < 1e100:
        raise ValueError(f"squares of data from {low} to {high} do not fit a double: rescale it")
    return low, high


def check_start(start, k, shift):
    """Return a start as an array (3, k) with its means shifted; raise ValueError if it is none."""
    weights, means, varis = (np.asarray(values, float) for values in start)
    sane = (weights >= 0) & (abs(means) < 1e100) & (varis > 1e-300) & (varis < 1e200)
    if sane.shape != (k,) or not sane.all() or not math.isclose(weights.sum(), 1, rel_tol=1e-6):
        raise ValueError(f"expected {k} weights that sum to 1, means, varis > 0, found {start}")
    return np.array([weights, means - shift, varis])


def blocks_of(data):
    """Yield data (n,) in blocks of doubles; raise ValueError unless all of it is finite numbers.

    Block by block, since a memory-mapped file may be larger than memory.
    """
    if data.shape == (0,):
        raise ValueError("expected numbers, found none")
    if data.ndim != 1 or data.dtype.kind not in "iuf":
        found = f"shape {data.shape} of {data.dtype}"
        raise ValueError(f"expected one axis of real numbers, found {found}: convert the data")
    for first in range(0, len(data), BLOCK // 16):
        with np.errstate(over="ignore"):  # a long double too large for a double is inf
            block = np.asarray(data[first : first + BLOCK // 16], float)
        bad = np.flatnonzero(~np.isfinite(block))
        if len(bad):
            found = f"{block[bad[0]]} at index {first + bad[0]}"
            raise ValueError(f"expected finite numbers, found {found}: remove it from the data")
        yield block


def cores():
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def random_start(data, k, variance, rng):
    """Return a random start: k distinct data values as means, ascending, one variance for all.

    data (n,) -> weights, means, varis, each (k,)
    """
    values = np.empty(0)
    while len(values) < k:
        values = np.union1d(values, data[rng.integers(len(data), size=1000)])
    means = np.sort(rng.choice(values, k, replace=False))
    return np.full(k, 1 / k), means, np.full(k, variance)


def best_of(data, k, tol, restarts, seed, report):
    """Return the fit with the highest ll among the handout's start and `restarts` random ones.

    data (n,) -> (weights, means, varis, ll), the name of its start, the number of starts that
    collapsed. `report(start, iteration, ll, change)` is called after every iteration. Raises
    Collapse if every start collapses, and what `train` raises.
    """
    starts = {"handout": None}
    if restarts:
        check(
            data, k, tol
        )  # with fewer than k distinct values, a random start would seek them forever
        rng = np.random.default_rng(seed)
        variance = train(data, 1, 1.0)[2][0]  # one component has the variance of the data
        for i in range(1, restarts + 1):
            starts[f"random {i} of {restarts}"] = random_start(data, k, variance, rng)
    fits, collapses = {}, []
    for name, start in starts.items():
        try:
            fits[name] = train(data, k, tol, start, functools.partial(report, name))
        except Collapse as error:
            collapses.append(error)
    if not fits:
        others = f"; so did every one of {restarts} random starts" if restarts else ""
        raise Collapse(f"{collapses[0]}{others}")
    name = max(fits, key=lambda name: fits[name][3])
    return fits[name], name, len(collapses)


def notes(n, weights, means, varis):
    """Yield a sentence for whatever makes a valid fit of n points a useless one."""
    for i, points in enumerate(n * weights, 1):
        if points == 0:
            yield f"component {i} owns no point and keeps its mean: try fewer components"
        elif round(points, 1) < 3:
            yield f"component {i} rests on {points:.1f} points: a spike, not a cluster"
    # No figure shows a hundredth of a standard deviation.
    sds = np.where(weights > 0, np.sqrt(varis), np.nan)
    near = 0.01 * np.minimum(sds, sds[:, None])  # (k, k), like what it is compared with
    same = (abs(means - means[:, None]) < near) & (abs(sds - sds[:, None]) < near)
    twins = [str(i + 1) for i in range(len(means)) if same[i].sum() > 1]
    if twins:
        yield (
            f"components {', '.join(twins)} coincide; if σ = 1 is too wide a start for this unit, "
            "rescale the data, or use --restarts"
        )


def holds_a_number(line):
    """Return whether a line of text is one finite number, or blank, in the way of np.loadtxt."""
    text = line.partition("#")[0].strip()
    try:
        line.encode()  # fails where surrogateescape has let a byte through that is not UTF-8
        # float takes underscores and the digits of all scripts, too.
        return not text or (text.isascii() and "_" not in text and math.isfinite(float(text)))
    except ValueError:
        return False


def read_text(path, name):
    """Return the numbers in a text file, one a line; `name` is what messages call the file."""
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")  # of a file without numbers: an error here, see below
        data = np.loadtxt(path, encoding="utf-8-sig", ndmin=2)
        if data.size and data.shape[1] == 1 and np.isfinite(data).all():
            return data[:, 0]
    # Now that something is wrong, a second look finds the line: loadtxt does not count all of them.
    place, found = name, "none in it"
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not holds_a_number(line):
                place, text = f"{name}:{number}", line.strip()
                found = f"{text[:40]!r}{'…' * (len(text) > 40)}"
                found += " (UTF-16, or no text at all?)" if "\0" in text else ""
                break
    remedy = "write plain UTF-8 text, with a decimal point"
    raise ValueError(f"{place}: expected one finite number a line, found {found}: {remedy}")


def read_data(datapath):
    """Return the numbers of a text file, a .npy array (memory-mapped), or standard input, "-".

    Raises OSError and ValueError; where a line is to blame, the message begins with FILE:LINE.
    """
    name = os.fspath(datapath)
    with open(0 if name == "-" else name, "rb") as file:
        if name.endswith(".npy"):
            try:
                data = np.lib.format.open_memmap(name, mode="r")
                collections.deque(blocks_of(data), maxlen=0)  # raises where a value is no number
                return data
            except Exception as error:  # of any kind, and any number of lines, for a broken header
                raise ValueError(f"{name}: {' '.join(str(error).split())}") from None
        if name != "-" and file.seekable():
            return read_text(name, name)
        with tempfile.TemporaryDirectory() as folder:  # a pipe can be read only once
            path = os.path.join(folder, "data")
            with open(path, "wb") as copy:
                shutil.copyfileobj(file, copy)
            return read_text(path, name)


def main(datapath, k, tol):
    """Return the weights, means, varis and ll of k components fitted to the numbers in a file."""
    return train(read_data(datapath), k, tol)


def number(kind, low, wanted):
    """Return a converter for argparse, of a `kind` of number from `low` on."""

    def convert(text):
        """Return the number in a text; raise what argparse turns into a message."""
        with contextlib.suppress(ValueError):
            if low <= (value := kind(text)) < math.inf:
                return value
        raise argparse.ArgumentTypeError(f"expected {wanted}, found {text!r}")

    return convert


def parse_arguments():
    """Return the arguments of the command line, or exit with code 2 and a line that says why."""
    count = number(int, 0, "a whole number of at least 0")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.error = lambda message: fail(f"{message}; try --help", 2)
    parser.add_argument("data", help='one number a line, a .npy array, or "-" for standard input')
    parser.add_argument("k", type=number(int, 1, "a whole number of at least 1"), help="components")
    parser.add_argument(
        "tol",
        type=number(float, math.ulp(0), "a finite number above 0"),
        help="stop once the log-likelihood (a sum over the points) changes by less",
    )
    parser.add_argument(
        "--restarts",
        type=count,
        default=0,
        metavar="N",
        help="try N random starts as well and keep the fit with the highest ll (default: 0)",
    )
    parser.add_argument(
        "--seed", type=count, default=0, metavar="S", help="of the random starts (default: 0)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show every iteration")
    return parser.parse_args()


def fail(message, code):
    """Exit with one line on standard error."""
    print(f"gmm-em.py: error: {message}", file=sys.stderr)
    sys.exit(code)


def formatted(data, n, k, tol, start, iterations, weights, means, varis, ll):
    """Return the text that gmm-visualize.py reads, and a last line for people."""
    lists = {"weights": weights, "means": means, "varis": varis}
    facts = {"data": data, "n": n, "k": k, "tol": tol, "start": start, "iterations": iterations}
    facts |= {name: " ".join(map(repr, values.tolist())) for name, values in lists.items()}
    facts |= {"ll": ll, "bic": (3 * k - 1) * math.log(n) - 2 * ll}
    lines = [f"{key}: {value}" for key, value in facts.items()]
    rounded = [[f"{x:#.4g}".rstrip(".") for x in values] for values in (weights, means, varis)]
    terms = " + ".join(f"{w} N(x | {m}, {v})" for w, m, v in zip(*rounded))
    return "\n".join([*lines, f"p(x) = {terms}"])


def follow(verbose, waiting):
    """Return a `report` for `best_of`, and the iterations of each start, which it counts.

    It prints every iteration if verbose, else one line, rewritten in place, for somebody waiting.
    """
    iterations, shown = {}, time.monotonic() + 0.9

    def report(start, iteration, ll, change):
        """Count the iteration and show it, to whom it concerns."""
        nonlocal shown
        iterations[start] = iteration
        change = f"{change:.3g}" if iteration > 1 else "-"
        line = f"{start}: iteration {iteration}, ll {ll:.10g}, change {change}"
        if verbose:
            print(line, file=sys.stderr)
        elif waiting and time.monotonic() > shown + 0.1:
            shown = time.monotonic()
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    return report, iterations


def put(text):
    """Print the result, or exit if nobody takes it."""
    try:
        if sys.stdout:  # its encoding may not have all the characters of a file name
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the flush at exit fails once more
        if isinstance(error, BrokenPipeError):
            sys.exit(128 + 13)  # as a shell reports other filters whose reader has gone
        fail(f"cannot write the result: {error.strerror}", 1)


def command_line():
    """Read, fit and print, as the command line asks."""
    args = parse_arguments()
    waiting = sys.stderr.isatty() and not args.verbose
    report, iterations = follow(args.verbose, waiting)
    try:
        data = read_data(args.data)
    except OSError as error:
        fail(f"cannot read {args.data}: {error.strerror}", 2)
    except ValueError as error:
        fail(error, 2)

    def interrupt(*_):
        """End at once: KeyboardInterrupt may strike inside a lock that a thread then waits for."""
        if waiting:
            os.write(2, b"\r\033[K")
        os._exit(130)

    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        fit, start, collapsed = best_of(data, args.k, args.tol, args.restarts, args.seed, report)
    except ValueError as error:
        fail(f"{args.data}: {error}", 1)
    finally:
        signal.signal(signal.SIGINT, usual)
        if waiting:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
    remarks = list(notes(len(data), *fit[:3]))
    if collapsed:
        remarks.append(f"{collapsed} of {args.restarts + 1} starts collapsed and were left out")
    for remark in remarks:
        print(f"gmm-em.py: note: {remark}", file=sys.stderr)
    put(formatted(args.data, len(data), args.k, args.tol, start, iterations[start], *fit))


if __name__ == "__main__":
    try:
        command_line()
    except KeyboardInterrupt:
        sys.exit(130)
