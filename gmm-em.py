"""Fit a one-dimensional Gaussian mixture with expectation-maximization (EM).

The model is a weighted sum of k Gaussian densities (π_i is a weight, π is 3.14...),
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
The homework stands first and can be read alone. Sources: the handout, by section; and
Bishop, Pattern Recognition and Machine Learning (2006), by equation.
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
import warnings
from collections import namedtuple

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander

LEAST_SIZE = 1e-290  # a component is called empty if N_i, its sum of gammas, is less
LEAST_VARI = 1e-150  # (x - µ)²/σ² stays finite up to distances of 1e75


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
    # Columns (k, 1) of parameters and the row (n,) of data broadcast to tables (k, n).
    weights = np.asarray(weights, float)[:, None]
    means = np.asarray(means, float)[:, None]
    varis = np.asarray(varis, float)[:, None]
    with np.errstate(divide="ignore"):  # ln 0 = -inf is right for the weight 0
        log_scales = np.log(weights) - np.log(2 * np.pi * varis) / 2
    log_terms = log_scales - (data - means) ** 2 / (2 * varis)
    # Now the log-sum-exp trick, ln sum_i e^a_i = m + ln sum_i e^(a_i - m), is used: the
    # a_i are the log_terms of a point, m the largest. Without it (as with norm.pdf) a
    # point 39 σ or more from every component has terms that are all 0, and γ_ij = 0/0.
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

    N_i = sum_j γ_ij,  π_i = N_i / n,
    µ_i = sum_j γ_ij x_j / N_i,  σ²_i = sum_j γ_ij (x_j - µ_i)² / N_i
    data (n,), gammas (k, n) -> weights, means, varis, each (k,), no σ²_i below
    LEAST_VARI. An empty component gets the weight 0, and a mean and a variance without
    meaning. Handout, 3.1; Bishop, 9.24-9.27.
    """
    data, gammas = np.asarray(data, float), np.asarray(gammas, float)
    sizes = gammas.sum(axis=1)  # N_i
    sizes[sizes < LEAST_SIZE] = 0
    divisors = np.where(sizes > 0, sizes, 1)  # 1 spares an empty component 0/0
    shares = gammas / divisors[:, None]  # γ_ij / N_i
    means = (shares * data).sum(axis=1)
    squares = (data - means[:, None]) ** 2  # a row (n,) less a column (k, 1): (k, n)
    varis = (shares * squares).sum(axis=1)
    return sizes / sizes.sum(), means, np.maximum(varis, LEAST_VARI)


def log_likelihood(data, weights, means, varis):
    """Return the log-likelihood ll of the data.

    ll = sum_j ln sum_i π_i N(x_j; µ_i, σ²_i)
    data (n,), parameters (k,) -> float. Handout, 2.2; Bishop, 9.14.
    """
    _, logs = gammas_and_logs(data, weights, means, varis)
    return float(logs.sum())


def em_step(data, weights, means, varis):
    """Return the ll of a mixture, then the weights, means and varis of the next one.

    It is `log_likelihood`, `expectation` and `maximization` in one pass: E computes all
    p(x_j) anyway, so that ll costs nothing extra.
    """
    if isinstance(data, Condensed):  # it is what train makes of data: "Many values"
        return data.step(weights, means, varis)
    gammas, logs = gammas_and_logs(data, weights, means, varis)
    return float(logs.sum()), *maximization(data, gammas)


def train(data, k, tol, start=None, min_sd=0.0, report=None):
    """Return the weights, means, varis and ll of the mixture at which EM stops.

    One iteration is E, M, then the ll of the new mixture. EM stops after the first
    iteration t ≥ 2 with ll_t - ll_(t-1) < tol. EM never lowers ll, except by rounding.
    data (n,) -> parameters (k,), ll. `start` (weights, means, varis) may stand in for
    `initialize`; no σ_i falls below `min_sd`, in data's unit; each iteration calls
    `report(iteration, change of ll, weights, means, varis, ll)`. Raises ValueError if
    there is no fit. Handout, 3.1; Bishop, 9.23-9.28.
    """
    data = condense(data)  # checked, and prepared to be fast: see "Many values"
    refuse_unfittable(data, k, tol, start, min_sd)
    # Here µ and x are less data.shift: the middle of data that is far from 0, or 0.
    if start is None:
        weights, means, varis = initialize(data.ends, k)  # ends: least, greatest x
    else:
        weights, means, varis = np.array(start, float)
        means = means - data.shift
    # One pass gives the ll of a mixture and the next mixture: each iteration takes its
    # mixture from the pass before it.
    _, *new = em_step(data, weights, means, varis)
    last_ll = -math.inf  # so that iteration 1 never stops EM: the start is none
    for iteration in itertools.count(1):
        weights, new_means, new_varis = new
        means = np.where(weights > 0, new_means, means)  # an empty one keeps µ and σ²
        varis = np.where(weights > 0, new_varis, varis)
        varis = np.maximum(varis, min_sd**2)
        refuse_collapse(data, weights, means, varis, iteration, min_sd)  # if σ_i ≈ 0
        ll, *new = em_step(data, weights, means, varis)
        change, last_ll = ll - last_ll, ll
        fit = weights, means + data.shift, varis, ll
        if report:
            report(iteration, change, *fit)
        if change < tol:
            return fit


def main(datapath, k, tol):
    """Return the weights, means, varis and ll of k components fitted to a file."""
    return train(read_data(datapath), k, tol)


# ---- Who came for the homework can stop here. ----
# ---- What cannot be fitted ----
MIN_RANGE, MAX_RANGE = 1e-60, 1e75  # range² ≫ LEAST_VARI, and range²/LEAST_VARI < inf


class Collapse(ValueError):
    """A component has shrunk onto one value, where the likelihood has no maximum."""

    def __init__(self, fact, iteration, min_sd, restarts=None):
        self.fact, self.iteration = fact, iteration
        ended = f"; each of {restarts + 1} starts ended so" if restarts else ""
        remedies = ["fewer components"]  # one component does not collapse
        if restarts is None:  # none were tried (0: a look around found no fit)
            remedies.append("--restarts 100")
        if iteration > 2:  # a larger tol could have stopped EM before
            remedies.append("a larger tol")
        remedies.append("a larger --min-sd" if min_sd else "a floor for σ (--min-sd)")
        unbounded = f"{fact}, where the likelihood is unbounded{ended}"
        super().__init__(f"{unbounded}: use {' or '.join(remedies)}")


def refuse_unfittable(data, k, tol, start, min_sd):
    """Raise ValueError if there is no fit to look for, or no start to look from."""
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"expected a whole k ≥ 1, found {k!r}")
    if not 0 < tol < math.inf:
        raise ValueError(f"expected a finite tol > 0, found {tol!r}")
    if not 0 <= min_sd <= MAX_RANGE:
        raise ValueError(f"expected 0 ≤ min_sd ≤ {MAX_RANGE}, found {min_sd!r}")
    # No two cells of a grid hold the same value: enough cells spare us counting values.
    needed, found = max(k, 2), (len(data.grids[-1].cell_sizes) if data.grids else 0)
    if found < needed:
        found = len(np.unique(data.values))
    if found < needed:
        advice = "lower k" if found > 1 else "a constant has no mixture"
        raise ValueError(f"expected {needed} distinct values, found {found}: {advice}")
    size = float(data.ends[1]) - float(data.ends[0])
    if not MIN_RANGE < size < MAX_RANGE:
        raise ValueError(f"range {size}, not {MIN_RANGE} to {MAX_RANGE}: rescale it")
    if start is not None:
        weights, means, varis = np.array(start, float)
        valid = abs(means / 2 - data.shift / 2) <= MAX_RANGE / 2  # without overflow
        valid &= (weights >= 0) & (varis >= LEAST_VARI) & (varis <= 1 / LEAST_VARI)
        valid &= math.isclose(weights.sum(), 1, rel_tol=1e-6)
        if valid.shape != (k,) or not valid.all():
            raise ValueError(f"expected a mixture of {k} components, found {start}")


def refuse_collapse(data, weights, means, varis, iteration, min_sd):
    """Raise Collapse if a σ_i is about the rounding of doubles near µ_i less shift."""
    limits = (32 * sys.float_info.epsilon * means) ** 2
    limits = np.maximum(limits, 2 * LEAST_VARI)  # `pooled` may round LEAST_VARI up
    collapsed = (weights > 0) & (varis <= limits)
    if not collapsed.any():
        return
    i = np.argmax(collapsed)  # the first of them
    blocks = blocks_of(data.values, data.shift, BLOCK)
    near = [block[(block - means[i]) ** 2 <= limits[i]] for block in blocks]
    value = f"{np.median(np.concatenate(near)) + data.shift:.15g}"
    share = f"{sum(map(len, near))} of the {len(data.values)} values"
    what = f"component {i + 1} collapsed onto the value {value}"
    raise Collapse(f"{what} in iteration {iteration} ({share})", iteration, min_sd)


# ---- Restarts ----
ROUGH_TOL, FINALISTS = 1e-3, 3  # random starts run to ROUGH_TOL, the best 3 to tol
LOOK_TOL, LOOK_STARTS, LOOK_VALUES, LOOK_FEW = 0.01, 20, 1000, 10  # for look_around
SAME, NEGLIGIBLE = 1e-6, 0.01  # differences of ll that decide nothing, or hardly count
FEW = 2.95  # fewer points, printed as 2.9 or less, are too few for a cluster
# An End is where EM stops from start `number` (0: the handout's); loss = -ll. They sort
# by rank (1: a component on < FEW points; 2: a collapse, its fit the error), then loss.
End = namedtuple("End", "rank loss number iterations change fit")
HANDOUT = End(0, math.inf, 0, 0, math.inf, None)  # the handout's start, before EM


def random_starts(data, k, count, seed):
    """Yield random starts: weights, means and varis of k parts of a sorted sample."""
    data, rng = condense(data), np.random.default_rng(seed)
    uniform = (np.ptp(data.ends) / k) ** 2 / 12  # the variance of a k-th of the range
    for _ in range(count):
        sample = np.sort(rng.choice(data.values, 10 * k).astype(float))
        # They are cut into k parts of two or more, for one value has no variance.
        cuts = np.sort(rng.choice(np.arange(1, 9 * k), k - 1, replace=False))
        parts = np.split(sample, cuts + np.arange(1, k))
        weights = np.array([len(part) / len(sample) for part in parts])
        means = np.array([part.mean() for part in parts])
        varis = [part.var() if part[0] < part[-1] else uniform for part in parts]
        yield weights, means, np.maximum(varis, LEAST_VARI)


def climb(data, k, tol, begun, min_sd, report, least=FEW):
    """Return the End that EM reaches from `begun`: an End, or a start put into one."""
    end = begun

    def step(iteration, _, *fit):
        """Make the next End: iterations and the change of ll go on from `begun`."""
        nonlocal end
        rank, loss = int(len(data.values) * fit[0].min() < least), -fit[3]
        iterations, change = begun.iterations + iteration, end.loss - loss
        end = End(rank, loss, begun.number, iterations, change, fit)
        if report:
            report(end)

    try:
        train(data, k, tol, begun.fit and begun.fit[:3], min_sd, step)
    except Collapse as error:
        return end._replace(rank=2, fit=error)
    return end


def search(sample, data, k, tols, count, most, seed, min_sd, report=None):
    """Return the Ends of random starts on a sample, then of the best `most` on data."""
    rough, finals = [], []
    least = FEW if sample is data else LOOK_FEW  # fewer may be chance in a sample
    for number, start in enumerate(random_starts(sample, k, count, seed), 1):
        begun = HANDOUT._replace(number=number, fit=start)
        rough.append(climb(sample, k, tols[0], begun, min_sd, report, least))
    for end in sorted(rough):
        if end.rank == 2 or sum(final.rank <= end.rank for final in finals) >= most:
            break  # enough finals are of this rank or a better one
        finals.append(climb(data, k, tols[1], end, min_sd, report))
    return rough, finals


def look_around(data, k, tol, seed, min_sd):
    """Return the best End of a rough search, with the ll of all values, or None."""
    sample, tols = data, (max(tol, LOOK_TOL), sys.float_info.max)  # 2 iterations
    if len(data.values) > LOOK_VALUES:
        sample = condense(np.random.default_rng(seed).choice(data.values, LOOK_VALUES))
    with contextlib.suppress(ValueError):  # a sample may have too few distinct values
        finals = search(sample, data, k, tols, LOOK_STARTS, 1, seed, min_sd)[1]
        return min((end for end in finals if end.rank < 2), default=None)


def best_of(data, k, tol, restarts=None, seed=0, min_sd=0.0, report=None):
    """Return the best End, those that went to tol, the last of each start, and a gain.

    The gain is the ll by which `look_around` beats the best, or 0; it is called only if
    `restarts` is None. Raises ValueError as `train`, and Collapse if every start does.
    """
    data, looks, tols = condense(data), restarts is None, (max(tol, ROUGH_TOL), tol)
    seen = look_around(data, k, tol, seed, min_sd) if looks else None
    handout = climb(data, k, tol, HANDOUT, min_sd, report)
    options = restarts, (FINALISTS if tol < ROUGH_TOL else 0), seed, min_sd, report
    rough, finals = search(data, data, k, tols, *options) if restarts else ([], [])
    ends = sorted([handout, *(finals or rough)])  # no finals: the rough tol is tol
    latest = {end.number: end for end in [*rough, *ends]}.values()
    if ends[0].rank == 2:
        last = max(end.iterations for end in latest) + 1
        tried = restarts or (0 if looks and not seen else None)  # as in Collapse
        raise Collapse(handout.fit.fact, last, min_sd, tried)
    rank, most = ends[0].rank, ends[0].loss + min(tol, SAME)
    equals = [end for end in ends if end.rank == rank and end.loss <= most]
    best = min(equals, key=lambda end: end.number)  # rounding decides nothing
    if best.number > 0:
        order = np.argsort(best.fit[1])
        best = best._replace(fit=(*np.array(best.fit[:3])[:, order], best.fit[3]))
    gain = best.loss - seen.loss if seen and seen.rank <= best.rank else 0.0
    return best, ends, latest, gain if gain > max(1, tol) else 0.0


# ---- Reading numbers ----
def read_data(datapath):
    """Return the numbers of a text file, a .npy array or "-", or raise ValueError."""
    path = os.fsdecode(datapath)
    name = "standard input" if path == "-" else path
    try:
        if path.lower().endswith(".npy"):
            data = np.lib.format.open_memmap(path, mode="r")
            return data[:, 0] if data.shape[1:] == (1,) else data
        with open(0 if path == "-" else path, "rb") as file:
            content = file.read()
    except Exception as error:  # a broken .npy header raises anything, in many lines
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ValueError(f"cannot read {name}: {why or type(error).__name__}") from None
    return read_text(content, name)


def read_text(content, name):
    """Return the numbers in the bytes of a text file, one a line."""
    with contextlib.suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loadtxt warns of no data: an error below
        table = np.loadtxt(io.TextIOWrapper(io.BytesIO(content), "utf-8-sig"), ndmin=2)
        if table.size and table.shape[1] == 1 and np.isfinite(table).all():
            return table[:, 0]
    # This second pass finds the wrong line: loadtxt counts no blank lines and comments.
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "surrogateescape")
    expected = "expected one finite number a line (UTF-8, decimal point), found"
    for number, line in enumerate(text, 1):
        word = line.partition("#")[0].strip()
        with contextlib.suppress(ValueError):
            line.encode()  # fails for a byte that is not UTF-8
            if math.isfinite(decimal(word or "0")):
                continue
        raise ValueError(f"{name}:{number}: {expected} {line.strip()[:40]!r}")
    raise ValueError(f"{name}: {expected} none")


def decimal(word):
    """Return the number that a word is, an int if it has digits only; or ValueError."""
    if not word.isascii() or "_" in word:  # Python takes 1_000 and all scripts, too
        raise ValueError(f"{word!r} is not a plain number")
    return int(word) if re.fullmatch("[0-9]{1,18}", word) else float(word)


# ---- The command line ----
def say(text, end="\n"):
    """Write a line to standard error; in a terminal, over the line of progress."""
    erase = "\r\033[K" if sys.stderr.isatty() else ""
    try:
        print(erase + text.replace("\n", "\\n"), end=end, file=sys.stderr, flush=True)
    except OSError:  # a full disk must not cost the fit, nor the exit code at the end
        sys.stderr = io.StringIO()


def fail(text, code):
    """End with a line of error and an exit code."""
    say(f"gmm-em.py: error: {text}")
    sys.exit(code)


def parse_arguments():
    """Return the arguments of the command line, or end with a line of error."""
    parser = argparse.ArgumentParser(description="Fit a Gaussian mixture with EM.")
    # argparse itself would print the usage, which is long, before an error.
    parser.error = lambda text: fail(f"{text}; try --help", 2)
    add = parser.add_argument
    add("data", help='one number a line, a .npy array, or "-" for standard input')
    add("k", help="the number of components, or a range such as 2-6")
    add("tol", type=decimal, help="stop once ll, a sum over the values, rises by less")
    add("--restarts", type=decimal, metavar="N", help="try N random starts, too")
    add("--seed", type=decimal, default=0, metavar="S", help="of the random starts")
    add("--min-sd", type=decimal, default=0.0, metavar="SD", help="a floor for each sd")
    add("-v", "--verbose", action="store_true", help="show every iteration")
    # argparse takes -1e-6 for an option; with a blank before it, it is a value.
    negative = re.compile(r"-([\d.]+e[-+]?\d+|inf|nan)", re.IGNORECASE)
    words = [f" {word}" if negative.fullmatch(word) else word for word in sys.argv[1:]]
    args = parser.parse_args(words)
    ends = re.fullmatch("([0-9]{1,9})(?:-([0-9]{1,9}))?", args.k)
    first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
    if not 1 <= first <= last:
        parser.error(f"argument k: expected 1 ≤ k < 1e9 or 2-6, found {args.k!r:.40}")
    args.k, args.tol = range(first, last + 1), float(args.tol)
    if not 0 < args.tol < math.inf:
        parser.error(f"argument tol: expected a finite number > 0, found {args.tol}")
    if not 0 <= args.min_sd <= MAX_RANGE:
        parser.error(f"argument --min-sd: expected 0 to 1e75, found {args.min_sd}")
    counts = args.restarts or 0, args.seed
    if not all(isinstance(count, int) for count in counts):
        parser.error(f"--restarts, --seed: expected whole numbers ≥ 0, found {counts}")
    return args


def text_of(args, n, end, bic):
    """Return the text that gmm-visualize.py reads, and a last line for people."""
    name = args.data.replace("\n", "\\n").replace("\r", "\\r")
    start = f"random {end.number}" if end.number else "handout"
    weights, means, varis = (" ".join(map(repr, x.tolist())) for x in end.fit[:3])
    terms = []
    for weight, mean, vari in zip(*end.fit[:3]):
        # At least four digits, and so many that the last is worth σ/10 at the most.
        digits = np.clip(3 + int(math.log10(1 + abs(mean) / math.sqrt(vari))), 4, 17)
        terms.append(f"{weight:#.4g} N(x | {mean:#.{digits}g}, {vari:#.4g})")
    formula = re.sub(r"\.(?!\d)", "", " + ".join(terms))  # 1234, not 1234.
    return (
        f"data: {name}\nn: {n}\nk: {len(terms)}\ntol: {args.tol}\n"
        f"min_sd: {float(args.min_sd)}\nrestarts: {args.restarts or 0}\n"
        f"seed: {args.seed}\nstart: {start}\niterations: {end.iterations}\n"
        f"weights: {weights}\nmeans: {means}\nvaris: {varis}\n"
        f"ll: {end.fit[3]}\nbic: {bic}\np(x) = {formula}\n"
    )


def changes_as_one(data, weights, means, varis):
    """Return {(i, j): change of ll if i, j were one} of neighbours and close pairs."""
    means, sds, changes = means - data.shift, np.sqrt(varis), {}
    order = [i for i in np.argsort(means) if weights[i] > 0]
    for place, i in enumerate(order):
        for j in order[place + 1 :]:
            if j == order[place + 1] or means[j] - means[i] < 2 * (sds[i] + sds[j]):
                changes[min(i, j), max(i, j)] = 0.0
    for points, node_weights, _ in data.parts(weights, means, varis):
        gammas, logs = gammas_and_logs(points, weights, means, varis)
        for i, j in changes:
            pair, weight = [i, j], weights[i] + weights[j]
            mean = weights[pair] @ means[pair] / weight
            vari = weights[pair] @ (varis[pair] + (means[pair] - mean) ** 2) / weight
            # In p(x_j) the merged component replaces i and j; the others stay.
            others = np.maximum(1 - gammas[i] - gammas[j], 1e-300)
            log_one = -((points - mean) ** 2) / (2 * vari) - logs
            scale = weight / math.sqrt(2 * math.pi * vari)
            ratios = others + scale * np.exp(np.minimum(log_one, 500))
            changes[i, j] += float((np.log(ratios) * node_weights).sum())
    return {pair: round(change, 6) + 0.0 for pair, change in changes.items()}


def component_notes(data, args, end, told):
    """Yield a sentence for each kind of doubt; `told` if --restarts were advised."""
    weights, means, varis, _ = end.fit
    sizes, remedies = len(data.values) * weights, ["fewer components"]
    if not args.restarts and not told:
        remedies.insert(0, "--restarts 100")
    if min(sizes) == 0:
        which = ", ".join(f"{i + 1}" for i in np.flatnonzero(sizes == 0))
        yield f"components without points: {which}; try {' or '.join(remedies)}"
    pairs = []
    for (i, j), change in sorted(changes_as_one(data, weights, means, varis).items()):
        if change > -max(args.tol, NEGLIGIBLE):
            pairs.append(f"{i + 1} and {j + 1} (as one: ll {change:+.2g})")
    if pairs:
        if end.change > NEGLIGIBLE and not told:  # EM was still under way
            remedies.insert(0, "a smaller tol")
        which = f"{', '.join(pairs)}; try {' or '.join(remedies)}"
        yield f"components that could be one: {which}"
    few = np.flatnonzero((sizes > 0) & (sizes < FEW))
    if len(few):
        which = ", ".join(f"{i + 1} ({sizes[i]:.1f})" for i in few)
        yield f"components on fewer than 3 points, too few for a cluster: {which}"


def search_notes(args, best, ends, latest, gain):
    """Yield sentences on the other starts, and on components with σ at the floor."""
    if gain > 0:
        more = " and a smaller tol" if best.change > NEGLIGIBLE else ""
        least = f"by at least {math.floor(100 * gain) / 100} in ll"
        yield f"another start ends higher, {least}; try --restarts 100{more}"
    near = [e for e in ends if e.rank == best.rank and e.loss < best.loss + NEGLIGIBLE]
    if args.restarts and args.tol < ROUGH_TOL and len(near) == 1:
        yield "the best fit was found by one start alone; more --restarts may beat it"
    few = [best.loss - end.loss for end in latest if best.rank < end.rank < 2]
    collapsed, higher = sum(end.rank == 2 for end in latest), max([0.0, *few])
    if higher > 0 or collapsed + len(few) > len(latest) / 2:
        few = f"{len(few)} with a component on fewer than 3 points"
        how = f" (one ended {higher:.2g} higher in ll)" if higher > 0 else ""
        yield f"left out of {len(latest)} starts: {collapsed} collapses, {few}{how}"
    at_floor = (best.fit[0] > 0) & (best.fit[2] <= args.min_sd**2)
    if at_floor.any():
        which = ", ".join(f"{i + 1}" for i in np.flatnonzero(at_floor))
        yield f"components whose σ is at the floor: {which}"


def show(args, k, end):
    """Show an iteration, if all are to be shown, or some of them in a terminal."""
    if args.verbose or (sys.stderr.isatty() and time.monotonic() > args.shown + 0.1):
        args.shown = time.monotonic()
        start = f"random {end.number}" if end.number else "handout"
        line = f"k = {k}, {start}: iteration {end.iterations}, ll {end.fit[3]:.10g}"
        say(f"{line}, change {end.change:.3g}", end="\n" if args.verbose else "")


def print_fit(data, k, args):
    """Print a fit and its notes; return [(bic, k)], or [] if there is a doubt."""
    args.shown = time.monotonic() + 0.9  # the first line comes after a second
    options = args.restarts, args.seed, args.min_sd, lambda end: show(args, k, end)
    best, *others, gain = best_of(data, k, args.tol, *options)
    doubts = list(component_notes(data, args, best, gain > 0))
    for sentence in [*search_notes(args, best, *others, gain), *doubts]:
        say(f"gmm-em.py: note: k = {k}: {sentence}")
    say("", end="")  # erases the progress
    bic = (3 * k - 1) * math.log(len(data.values)) + 2 * best.loss
    text = text_of(args, len(data.values), best, bic).encode(errors="surrogateescape")
    try:  # not print: standard output may be closed, or in another encoding
        with open(1, "wb", closefd=False) as out:
            out.write(text)
    except OSError as error:
        fail(f"cannot write the result: {error.strerror}", 1)
    return [] if doubts else [(bic, k)]


def command_line():
    """Read, fit and print; exit with 2 for bad input, 1 if a fit failed, or else 0."""
    args = parse_arguments()
    name = "standard input" if args.data == "-" else args.data
    try:
        data = condense(read_data(args.data), name)
    except ValueError as error:
        fail(error, 2)
    clear, code = [], 0  # clear: (bic, k) of the fits without a doubt
    for k in args.k:
        try:
            clear += print_fit(data, k, args)
        except ValueError as error:
            say(f"gmm-em.py: error: {name}: k = {k}: {error}")
            code = 1
    if args.restarts and len(clear) > 1:
        (lowest, k), (next_bic, other) = sorted(clear)[:2]
        which = f"that of k = {k}, {next_bic - lowest:.3g} below that of k = {other}"
        say(f"gmm-em.py: note: k = {args.k[0]}-{args.k[-1]}: lowest bic: {which}")
    sys.exit(code)


# ---- Many values ----
# A cell is an interval. Its values x_j are replaced by 16 points z_q, the nodes, with
# weights w_q such that sum_q w_q f(z_q) = sum_j f(x_j) for polynomials f to degree 15.
# For the cell [-1, 1], with Q, NODES and C as defined below:
#     values = np.random.default_rng(0).uniform(-1, 1, 5000)
#     node_weights = chebvander(values, Q - 1).sum(axis=0) @ C
#     node_weights.sum(), node_weights @ NODES**2  # 5000, and the sum of values**2
# All that an EM step needs are sums over j of f(x_j), where f is γ_i, γ_i x,
# γ_i (x - µ_i)² or ln p. In narrow cells f is nearly a polynomial (Grid.step tests it),
# so that a step may be made over the nodes: there are at most 65,536. Why C: with
# Chebyshev's polynomials T_m, f = sum_m a_m T_m has a_m = sum_q C[m, q] f(z_q), so that
# w_q = sum_m C[m, q] sum_j T_m(x_j). The w_q sum to the number of values; some may be
# negative. Trefethen, Approximation Theory and Approximation Practice, 3.
MANY = 2**12  # so many values are worth a grid; steps without one go by so many
BLOCK = 10_000  # numbers at a time, few enough for the processor's cache
Q, NODES = 16, chebpts1(16)  # the nodes of [-1, 1] are Chebyshev's points
C = np.linalg.inv(chebvander(NODES, Q - 1))
# These turn node weights of two neighbouring cells into those of their union: (Q, 2Q).
HALVES = C.T @ chebvander(np.append(NODES - 1, NODES + 1) / 2, Q - 1).T


class Grid(namedtuple("Grid", "width nodes node_weights cell_sizes")):
    """The m cells of one width that hold values: nodes, weights (mQ,), sizes (m,)."""

    def step(self, weights, means, varis):
        """Return em_step over the values, or None if the cells are too wide for it."""
        gammas, logs = gammas_and_logs(self.nodes, weights, means, varis)
        last_two = gammas.reshape(len(gammas), -1, Q) @ C[-2:].T  # a_14, a_15 (k, m, 2)
        # N_i errs by about the sum over cells of (|a_14| + |a_15|) times their sizes.
        errors = (self.cell_sizes @ abs(last_two)).sum(axis=1)  # (k,)
        weights, means, varis = maximization(self.nodes, gammas * self.node_weights)
        # 1e-12 is far above rounding, and below all digits that matter to a reader.
        resolved = (errors <= 1e-12 * weights * self.cell_sizes.sum()).all()
        # In wider cells σ²_i would be a small difference of large terms.
        if resolved and self.width**2 < varis[weights > 0].min():
            return float((logs * self.node_weights).sum()), weights, means, varis


class Condensed(namedtuple("Condensed", "values shift ends grids")):
    """The values (n,) as given, and the ends and grids of values - shift."""

    def step(self, weights, means, varis):
        """Return em_step over values - shift."""
        parts = self.parts(weights, means, varis)
        steps = [(len(points), *step) for points, _, step in parts]
        return pooled(steps) if len(steps) > 1 else steps[0][1:]

    def parts(self, weights, means, varis):
        """Yield points, their weights and em_step over them: of a grid or of blocks."""
        narrowest = math.sqrt(varis[weights > 0].min())
        for grid in self.grids:
            if 1.4 * grid.width < narrowest:  # wider cells could hide that component
                step = grid.step(weights, means, varis)
                if step:
                    yield grid.nodes, grid.node_weights, step
                    return
        for block in blocks_of(self.values, self.shift, MANY):
            yield block, 1.0, em_step(block, weights, means, varis)


def blocks_of(data, shift, size):
    """Yield data - shift in blocks of doubles: a file may be larger than memory."""
    for first in range(0, len(data), size):
        yield np.subtract(data[first : first + size], shift, dtype=float)


def pooled(steps):
    """Return the step over all blocks b, given (size, *step) of each."""
    # µ_i = sum_b N_ib µ_ib / N_i,  σ²_i = sum_b N_ib (σ²_ib + (µ_ib - µ_i)²) / N_i
    sizes, lls, weights, means, varis = map(np.array, zip(*steps))  # (b,), (b, k), ...
    parts = weights * sizes[:, None]  # N_ib, (b, k)
    totals = parts.sum(axis=0)  # N_i
    shares = parts / np.where(totals > 0, totals, 1)
    new_means = (shares * means).sum(axis=0)
    new_varis = (shares * (varis + (means - new_means) ** 2)).sum(axis=0)
    return float(lls.sum()), totals / sizes.sum(), new_means, new_varis


def condense(data, name="data"):
    """Return data (n,) as Condensed, or raise ValueError if it is not real numbers."""
    if isinstance(data, Condensed):
        return data
    if np.ma.is_masked(data):
        raise ValueError(f"{name}: expected no masked values: pass data.compressed()")
    data = np.asarray(data)
    real = data.dtype.kind in "iuf" and data.itemsize <= 8 and data.ndim == 1
    if not real or not len(data):
        found = f"found {data.dtype} {data.shape}"
        raise ValueError(f"{name}: expected 1-D real numbers, {found}")
    ends = [(block.min(), block.max()) for block in blocks_of(data, 0.0, BLOCK)]
    if not np.isfinite(ends).all():  # NaN spreads to both ends of its block
        bad = np.argmin(np.isfinite(data))
        found = f"found {data[bad]} at index {bad}"
        raise ValueError(f"{name}: expected finite numbers, {found}")
    low, high = float(np.min(ends)), float(np.max(ends))
    # Doubles far from 0 have few digits left for x - µ: their middle becomes 0. This is
    # exact: by Sterbenz's lemma x - y is not rounded if y/2 ≤ x ≤ 2y.
    shift = low / 2 + high / 2 if high <= 3 * low or low >= 3 * high else 0.0
    low, high = low - shift, high - shift
    many = len(data) >= MANY and MIN_RANGE < high - low < MAX_RANGE
    grids = grids_of(data, shift, low, high) if many else []
    return Condensed(data, shift, np.array([low, high]), grids)


def grids_of(data, shift, low, high):
    """Return grids from coarse to fine: cells merged in pairs make a coarser one."""
    cells = min(2**12, 2 ** int(math.log2(len(data) / 32)))  # n/2 nodes at most
    sums, grids = np.zeros((Q, cells)), []  # sums of T_m over the values of each cell
    for block in blocks_of(data, shift, BLOCK):
        place = (block - low) / (high - low) * cells
        cell = np.minimum(place.astype(int), cells - 1)
        u = 2 * (place - cell) - 1  # from -1 to 1 in each cell
        for m, values in enumerate(chebvander(u, Q - 1).T):
            sums[m] += np.bincount(cell, values, cells)
    node_weights = np.einsum("mc,mq->cq", sums, C)  # sums.T @ C, in a fixed order
    while len(node_weights) > 4:  # still wider cells would hardly ever do
        width, sizes = (high - low) / len(node_weights), node_weights.sum(axis=1)
        full = np.flatnonzero(sizes > 0.5)  # the others have no values
        nodes = low + width * (full[:, None] + 0.5 + NODES / 2)  # (m, 1) -> (m, Q)
        own = node_weights[full].ravel()
        grids.insert(0, Grid(width, nodes.ravel(), own, sizes[full]))
        node_weights = np.einsum("cj,qj->cq", node_weights.reshape(-1, 2 * Q), HALVES)
    return grids


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once, without a traceback
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stderr = sys.stderr or io.StringIO()  # closed: print would use standard output
    command_line()
