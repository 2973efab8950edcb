# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "pytest", "scikit-learn", "threadpoolctl"]
# ///
"""Measure gmm-em.py against scikit-learn, a plain loop and simpler searches.

Usage: python tests/benchmark.py    (about seven minutes on two free cores;
                                     needs scikit-learn, and Linux)

Every fit runs on one core. Fits that are compared have the same start and stop at the
same change of ll; they run in turns, and times are medians, or of one run where it
takes several seconds.
"""

import itertools
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import sklearn
from conftest import ROOT, load
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

SCRIPT, DATA = ROOT / "gmm-em.py", ROOT / "data.txt"
CORES = len(os.sched_getaffinity(0))
em = load("gmm-em")


def draw(n, means, sds, weights=None, seed=10):
    """Return n values of a Gaussian mixture, of equal weights unless some are given."""
    rng = np.random.default_rng(seed)
    component = rng.choice(len(means), size=n, p=weights)
    return rng.normal(np.take(means, component), np.take(sds, component))


def like_data_txt(n):
    """Return n values of the mixture that data.txt comes from."""
    return draw(n, [2, 4.5, 9, 14], [0.6, 0.3, 0.6, 1.2])


# ---- Three loops ----
def ours(data, k, tol, start=None):
    """Return the number of iterations of gmm-em.py."""
    steps = []
    em.train(data, k, tol, start, report=lambda *step: steps.append(step[0]))
    return len(steps)


def sklearn_fit(data, k, tol, **settings):
    """Return the mixture that scikit-learn fits; its tol is per point."""
    settings |= {"tol": tol / len(data), "reg_covar": 0, "max_iter": 10_000}
    return GaussianMixture(k, **settings).fit(data[:, None])


def theirs(data, k, tol):
    """Return the number of iterations of scikit-learn from the handout's start.

    It knows the ll of an iteration only in the next one: the last one is not counted.
    """
    weights, means, varis = em.initialize(data, k)
    start = {"weights_init": weights, "means_init": means[:, None]}
    start["precisions_init"] = 1 / varis[:, None, None]
    return sklearn_fit(data, k, tol, **start).n_iter_ - 1


def plain(data, k, tol, start=None):
    """Return the number of iterations of a loop with a line for each equation."""
    weights, means, varis = (a[:, None] for a in start or em.initialize(data, k))
    lls, gammas = [], None
    while len(lls) < 3 or lls[-1] - lls[-2] >= tol:  # the first ll is that of the start
        if lls:
            points = gammas.sum(axis=1, keepdims=True)
            weights = points / len(data)
            means = (gammas * data).sum(axis=1, keepdims=True) / points
            varis = (gammas * (data - means) ** 2).sum(axis=1, keepdims=True) / points
        powers = np.exp(-((data - means) ** 2) / (2 * varis))
        terms = weights * powers / np.sqrt(2 * np.pi * varis)
        totals = terms.sum(axis=0)
        gammas = terms / totals
        lls.append(np.log(totals).sum())
    return len(lls) - 1


# ---- Clocks and tables ----
def clock(function, *arguments):
    """Return the seconds that a call takes, and its result."""
    begun = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begun, result


def race(repeats, *calls):
    """Return the median seconds and the result of each call, run in turns."""
    runs = [[clock(*call) for call in calls] for _ in range(repeats)]
    return [(statistics.median(t for t, _ in side), side[0][1]) for side in zip(*runs)]


def row(*cells):
    """Print a row of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def head(*cells):
    """Print the head of a table: its first column is text, the others are numbers."""
    print()
    row(*cells)
    print("|---" + "|---:" * (len(cells) - 1) + "|")


def digits(number):
    """Return a number to three digits, or to the unit."""
    return f"{number:#.3g}".rstrip(".") if number < 999.5 else f"{number:,.0f}"


def duration(seconds):
    """Return a time in seconds or milliseconds."""
    return f"{digits(seconds)} s" if seconds >= 1 else f"{digits(seconds * 1e3)} ms"


# ---- Whole fits ----
def compare(repeats, name, other, *call):
    """Print a row of whole fits, and return the seconds of the other's iteration."""
    (us, count), (them, same) = race(repeats, (ours, *call), (other, *call))
    assert count == same, f"{name}: {same} iterations instead of {count}"
    yardstick = "scikit-learn" if other is theirs else "plain loop"
    yardstick += f" {duration(them)}"
    row(name, f"{count}", duration(us), yardstick, digits(them / us))
    return them / count


def compare_fits():
    """Print whole fits against scikit-learn and against the plain loop."""
    head("fit", "iterations", "gmm-em.py", "yardstick", "ratio")
    small, k4 = np.loadtxt(DATA), "k = 4, tol = 1"
    compare(99, f"data.txt, 400 values, {k4}", theirs, small, 4, 1.0)
    for n, repeats in ((16_000, 9), (10**5, 9), (10**6, 3), (10**7, 1)):
        data, name = like_data_txt(n), f"{n:,} values, {k4}"
        iteration = compare(repeats, name, theirs, data, 4, 1.0)
        if n == 10**6:
            us, count = race(3, (ours, data, 4, 1e-6))[0]
            them = iteration * count
            other = f"scikit-learn {duration(them)} ({count} times its iteration above)"
            row(f"{name}e-6", f"{count}", duration(us), other, digits(them / us))
    rng = np.random.default_rng(1)
    skew, tails = rng.lognormal(0, 0.5, 10**6), rng.standard_t(3, 10**6)
    # From the handout's start a component collapses onto the greatest value of t; and
    # the plain loop underflows where no component is wide.
    wide = np.full(3, 1 / 3), np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 900.0])
    compare(1, "1,000,000 lognormal, k = 3, tol = 1", plain, skew, 3, 1.0)
    name = "1,000,000 of t with 3 d.f., k = 3, tol = 1"
    compare(1, name, plain, tails, 3, 1.0, wide)
    compare(99, f"data.txt, {k4}e-6", plain, small, 4, 1e-6)


# ---- Restarts and random starts ----
def our_best(data, k, tol, restarts):
    """Return the ll that gmm-em.py finds with restarts."""
    return em.best_of(data, k, tol, restarts)[0].fit[3]


def their_best(data, k, tol, restarts, init):
    """Return the ll that scikit-learn finds with as many starts."""
    search = {"n_init": restarts + 1, "init_params": init, "random_state": 0}
    model = sklearn_fit(data, k, tol, **search)
    parameters = model.weights_, model.means_[:, 0], model.covariances_[:, 0, 0]
    return em.log_likelihood(data, *parameters)


def compare_restarts():
    """Print what restarts cost and find: ours, scikit-learn's default, its fastest."""
    head("51 starts, data.txt, k = 4, tol = 1e-6", "time", "ll")
    call, inits = (np.loadtxt(DATA), 4, 1e-6, 50), ("kmeans", "k-means++")
    calls = [(our_best, *call), *((their_best, *call, init) for init in inits)]
    names = ["gmm-em.py", *(f"scikit-learn, {init}" for init in inits)]
    for name, (seconds, ll) in zip(names, race(5, *calls)):
        row(name, duration(seconds), f"{ll:.6f}")


def densities():
    """Yield name, means, standard deviations and weights of known mixtures.

    Marron and Wand, Exact mean integrated squared error, Annals of Statistics 20 (1992)
    712-736, table 1: those with three components or more that 500 values can show.
    """
    claws, halves = np.arange(-2.0, 3), 0.5 ** np.arange(6)
    thirds, teeth = (2 / 3) ** np.arange(8), np.repeat([2 / 7, 1 / 21], 3)
    sds, comb = 0.1 * 2**-claws, np.array([-15, -3, 9, 16, 18, 20])
    yield "3 strongly skewed", 3 * (thirds - 1), thirds, [1 / 8] * 8
    yield "9 trimodal", [-1.2, 1.2, 0], [0.6, 0.6, 0.25], [0.45, 0.45, 0.1]
    yield "10 claw", [0, *claws / 2], [1] + [0.1] * 5, [0.5] + [0.1] * 5
    yield "12 asymmetric claw", [0, *claws + 0.5], [1, *sds], [0.5, *sds * 20 / 31]
    yield "14 smooth comb", (65 - 96 * halves) / 21, halves * 32 / 63, halves * 32 / 63
    yield "15 discrete comb", comb / 7, teeth, teeth


STARTS = 100  # random ones of each rule, in each case


def cases():
    """Yield a density, data, k for 36 cases: six densities, k = 3 or 4, three seeds."""
    for density, k, seed in itertools.product(densities(), (3, 4), range(3)):
        name, means, sds, weights = density
        assert math.isclose(sum(weights), 1), "the density does not integrate to 1"
        yield name, draw(500, means, sds, weights, seed), k


def equal_variances(data, k):
    """Yield random starts of a simpler rule: k values as means, the σ² of all."""
    rng = np.random.default_rng(0)
    for _ in range(STARTS):
        means = np.sort(rng.choice(np.unique(data), k, replace=False))
        yield np.full(k, 1 / k), means, np.full(k, data.var())


def climb(data, k, tol, start):
    """Return the ll from a start, -inf if the fit is left out, and the iterations."""
    steps = []
    try:
        fit = em.train(data, k, tol, start, report=lambda *step: steps.append(step[0]))
    except em.Collapse:
        return -math.inf, len(steps)
    return fit[3] if fit[0].min() >= em.FEW / len(data) else -math.inf, len(steps)


def search(data, k, tol, restarts):
    """Return the ll that gmm-em.py finds, and the iterations of all its starts."""
    last = {}
    report = lambda end: last.update({end.number: end.iterations})  # noqa: E731
    best = em.best_of(data, k, tol, restarts, report=report)[0]
    return best.fit[3], sum(last.values())


def chance(hits, starts):
    """Return the chance that one of so many of STARTS starts is one of the hits."""
    return 1 - math.comb(STARTS - hits, starts) / math.comb(STARTS, starts)


def compare_searches(case):
    """Return, for each search, whether it finds the best fit, and its iterations.

    After these: for tol = 1 and 1e-6 whether the handout's start ends more than 1 below
    the best fit, and whether that is said.
    """
    _, data, k = case
    handout = climb(data, k, 1e-6, None)
    parts = em.random_starts(data, k, STARTS, 0)
    simple = [climb(data, k, 1e-6, start) for start in equal_variances(data, k)]
    single = [climb(data, k, 1e-6, start) for start in parts]
    double = {n: search(data, k, 1e-6, n) for n in (20, 100)}
    best = max(ll for ll, _ in [handout, *simple, *single, *double.values()])
    assert best > -math.inf, "every fit is to be left out"
    known, row = handout[0] > best - 0.01, [handout[0] > best - 0.01, handout[1]]
    mean = statistics.mean(iterations for _, iterations in single)
    cost = min(
        STARTS, round(double[100][1] / mean)
    )  # so many starts to tol cost as much
    for ends, count in (simple, 20), (single, 20), (single, cost):
        hits = sum(ll > best - 0.01 for ll, _ in ends)
        iterations = statistics.mean(iterations for _, iterations in ends)
        row += [known or chance(hits, count), count * iterations + handout[1]]
    for n in (20, 100):
        row += [double[n][0] > best - 0.01, double[n][1]]
    for tol in (1.0, 1e-6):
        try:
            found, *_, gain = em.best_of(data, k, tol)
            row += [best - found.fit[3] > 1, gain > 0]
        except em.Collapse:
            row += [False, False]
    return row


def compare_starts():
    """Print how often searches find the best fit, and poor fits get a word."""
    head("search", "best fit found, % of cases", "iterations of all starts, mean")
    with ProcessPoolExecutor(CORES) as pool:
        found = np.array(list(pool.map(compare_searches, cases())), float)
    names = [
        "handout's start alone",
        "20 starts at random values, with the σ² of all",
        "20 starts as those of gmm-em.py, all to tol",
        "as many of these as cost what 100 in two stages cost",
        "gmm-em.py --restarts 20",
        "gmm-em.py --restarts 100",
    ]
    means = found[:, :12].mean(axis=0).reshape(6, 2)
    for name, (share, iterations) in zip(names, means):
        row(name, f"{100 * share:.0f}", f"{iterations:,.0f}")
    head("fit from the handout's start", "more than 1 below", "said", "said of others")
    for tol, (poor, told) in zip(("1", "1e-6"), found[:, 12:].T.reshape(2, 2, -1)):
        said = poor * told
        counts = f"{poor.sum():.0f}", f"{said.sum():.0f}", f"{(told - said).sum():.0f}"
        row(f"tol = {tol}", *counts)
    print(f"""
Each of the {len(found)} cases is 500 values of a density of Marron and Wand (six
densities, three seeds), k = 3 or 4, tol = 1e-6. The best fit is that of the highest ll
from the handout's start, {STARTS} random ones of both rules and the searches, without
fits that gmm-em.py leaves out. It is found where a start comes within 0.01. Of searches
that take every start to tol, this is the mean over all choices of their starts from the
{STARTS}. The handout's start is one of the starts of every search.""")


# ---- Digits ----
def digits_right(case):
    """Return the right digits of every weight with a tol of 1e-6, 1e-8 and 1e-10."""
    _, data, k = case
    exact = em.best_of(data, k, 1e-13, 20)[0].fit
    right = []
    for tol in (1e-6, 1e-8, 1e-10):
        weights, *_, ll = em.best_of(data, k, tol, 20)[0].fit
        same = abs(ll - exact[3]) < 0.001  # the fit is the same one
        error = abs(np.sort(weights) / np.sort(exact[0]) - 1).max()
        right.append(-math.log10(2 * error + 1e-16) if same else math.nan)
    return right


def show_digits():
    """Print what share of fits have so many right digits of every weight."""
    with ProcessPoolExecutor(CORES) as pool:
        right = np.array(list(pool.map(digits_right, cases())))
    head("tol, --restarts 20", *(f"{n} digits right, % of fits" for n in (2, 3, 4)))
    for tol, found in zip(("1e-6", "1e-8", "1e-10"), right.T):
        found = found[np.isfinite(found)]
        row(tol, *(f"{100 * np.mean(found >= n):.0f}" for n in (2, 3, 4)))


# ---- Costs ----
def wall(*command):
    """Return the median wall time of a process, after one run for the caches."""
    quiet = {"capture_output": True, "check": True}
    times = [clock(lambda: subprocess.run(command, **quiet))[0] for _ in range(12)]
    return statistics.median(times[1:])


def peak(code, *arguments):
    """Return the peak memory, in MB, of a Python process that runs `code`."""
    code += "\nprint(open('/proc/self/status').read())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    status = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kilobytes = re.search(r"VmHWM:\s*(\d+) kB", status)[1]
    return int(kilobytes) * 1024 / 1e6  # Linux counts in units of 1024 bytes


def show_costs(folder):
    """Print what an iteration, the start, memory and reading cost."""
    head("cost", "gmm-em.py", "yardstick", "ratio or difference")
    for n in (em.MANY - 1, em.MANY, 10**5, 10**7):
        data = em.condense(like_data_txt(n))
        (one, few), (two, many) = race(5, (ours, data, 4, 1.0), (ours, data, 4, 1e-4))
        cost = duration((two - one) / (many - few))
        row(f"one more iteration, {n:,} values, k = 4", cost, "", "")
    bare = wall(sys.executable, "-c", "import numpy")
    other = f"`import numpy` {duration(bare)}"
    for look in [], ["--restarts", "0"]:
        fit = wall(sys.executable, SCRIPT, DATA, "4", "1", *look)
        name = " ".join(["`python gmm-em.py data.txt 4 1", *look]) + "`"
        row(name, duration(fit), other, digits(fit / bare))
    for n in (400, 10**6, 10**7):
        data, k4 = em.condense(like_data_txt(n)), (4, 1.0)
        calls = (em.look_around, data, *k4, 0, 0.0), (ours, data, *k4)
        (look, _), (fit, _) = race(5, *calls)
        name, other = f"look around, {n:,} values, k = 4", f"the fit {duration(fit)}"
        row(name, duration(look), other, digits(look / fit))

    array, text = folder / "data.npy", folder / "data.txt"
    np.save(array, like_data_txt(10**7))
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['main'](sys.argv[2], 8, 1e6)"
    most, least = peak(code, SCRIPT, array), peak("import numpy")
    name = "peak memory, 10,000,000 values, k = 8, data 80 MB"
    other = f"`import numpy` {least:.0f} MB"
    row(name, f"{most:.0f} MB", other, f"+{most - least:.0f} MB")
    np.savetxt(text, like_data_txt(10**6), fmt="%.6f")
    (read, _), (loadtxt, _) = race(5, (em.read_data, text), (np.loadtxt, text))
    name, other = "reading 1,000,000 lines", f"`loadtxt` {duration(loadtxt)}"
    row(name, duration(read), other, digits(read / loadtxt))


if __name__ == "__main__":
    cpu = re.search("model name\\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    versions += f", scikit-learn {sklearn.__version__}"
    print(f"{cpu}, {CORES} cores, each fit on one; {versions}", flush=True)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        compare_fits()
        compare_restarts()
        compare_starts()
        show_digits()
        show_costs(Path(folder))
