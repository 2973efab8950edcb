# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "pytest", "scikit-learn"]
# ///
"""Time gmm-em.py against scikit-learn and a plain numpy loop, and print the tables of the README.

Usage: python tests/benchmark.py      (under five minutes; needs scikit-learn, and Linux for
                                       its count of memory)

All fits of a row have the same start and stop at the same change of ll; scikit-learn's tol is per
point, so it gets tol/n. Runs take turns, and the figures are medians, but for what takes longer
than a minute, which is run once.
"""

import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sklearn
from conftest import ROOT, load
from sklearn.mixture import GaussianMixture

SCRIPT = ROOT / "gmm-em.py"
em = load("gmm-em")


def draw(n):
    """Return n values of the mixture that data.txt comes from."""
    rng = np.random.default_rng(10)
    component = rng.integers(4, size=n)
    return rng.normal(
        np.array([2, 4.5, 9, 14])[component], np.array([0.6, 0.3, 0.6, 1.2])[component]
    )


def ours(data, k, tol, start=None):
    """Return the number of iterations of gmm-em.py."""
    steps = []
    em.train(data, k, tol, start, lambda iteration, *_: steps.append(iteration))
    return len(steps)


def theirs(data, k, tol):
    """Return the number of iterations of scikit-learn, from the handout's start."""
    weights, means, varis = em.initialize(data, k)
    model = GaussianMixture(
        k,
        tol=tol / len(data),
        reg_covar=0,
        max_iter=10_000,
        weights_init=weights,
        means_init=means[:, None],
        precisions_init=1 / varis[:, None, None],
    )
    return model.fit(data[:, None]).n_iter_


def plain(data, k, tol, start=None):
    """Return the number of iterations of the handout's loop, a line of numpy for each equation."""
    weights, means, varis = (a[:, None] for a in start or em.initialize(data, k))
    lls = []
    while len(lls) < 2 or lls[-1] - lls[-2] >= tol:
        terms = weights * np.exp(-((data - means) ** 2) / (2 * varis)) / np.sqrt(2 * np.pi * varis)
        gammas = terms / terms.sum(axis=0)
        totals = gammas.sum(axis=1, keepdims=True)
        weights, means = totals / len(data), (gammas * data).sum(axis=1, keepdims=True) / totals
        varis = (gammas * (data - means) ** 2).sum(axis=1, keepdims=True) / totals
        terms = weights * np.exp(-((data - means) ** 2) / (2 * varis)) / np.sqrt(2 * np.pi * varis)
        lls.append(np.log(terms.sum(axis=0)).sum())
    return len(lls)


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
    print("| " + " | ".join(cells) + " |", flush=True)


def milliseconds(seconds):
    """Return a time in milliseconds, to three digits or the millisecond."""
    return f"{seconds * 1e3:,.0f} ms" if seconds > 0.1 else f"{seconds * 1e3:.3g} ms"


def compare_fits():
    """Print whole fits against scikit-learn and against the plain loop."""
    row("fit", "iterations", "gmm-em.py", "yardstick", "ratio")
    print("|---|---:|---:|---:|---:|")
    for n, repeats in ((10**5, 7), (10**6, 3), (10**7, 1)):
        data = draw(n)
        call = data, 4, 1.0
        (us, count), (them, their_count) = race(repeats, (ours, *call), (theirs, *call))
        us = race(5, (ours, *call))[0][0]
        name, time_of_other = f"{n:,} values, k = 4, tol = 1", f"scikit-learn {milliseconds(them)}"
        row(name, f"{count}", milliseconds(us), time_of_other, f"{them / us:.0f}")
        if n == 10**6:
            quick, count = race(3, (ours, data, 4, 1e-6))[0]
            slow = them / their_count * count
            name, time_of_other = f"{n:,} values, k = 4, tol = 1e-6", milliseconds(slow)
            other = f"scikit-learn {time_of_other} ({count} times its mean iteration)"
            row(name, f"{count}", milliseconds(quick), other, f"{slow / quick:.0f}")
    rng = np.random.default_rng(1)
    tails = rng.standard_t(3, 10**6)
    # From the handout's start a component collapses onto the greatest value of t; and the plain
    # loop underflows where no component is wide.
    wide = np.full(3, 1 / 3), np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 900.0])
    for name, call, repeats in (
        ("1,000,000 lognormal values, k = 3, tol = 1", (rng.lognormal(0, 0.5, 10**6), 3, 1.0), 1),
        ("1,000,000 values of t with 3 d.f., k = 3, tol = 1", (tails, 3, 1.0, wide), 1),
        ("data.txt, k = 4, tol = 1e-6", (np.loadtxt(ROOT / "data.txt"), 4, 1e-6), 99),
    ):
        (us, count), (loop, same) = race(repeats, (ours, *call), (plain, *call))
        assert count == same, "the plain loop stops elsewhere"
        row(
            name,
            f"{count}",
            milliseconds(us),
            f"plain loop {milliseconds(loop)}",
            f"{loop / us:.3g}",
        )


def wall(*command):
    """Return the median wall time of a command as a whole process, after one run for the caches."""
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    times = [clock(lambda: subprocess.run(command, **quiet))[0] for _ in range(12)]
    return statistics.median(times[1:])


def peak(code, *arguments):
    """Return the peak memory, in MB, of a Python process that runs `code`."""
    code += "\nimport re; print(re.search('VmHWM: *(.*) kB', open('/proc/self/status').read())[1])"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024 / 1e6  # Linux counts in units of 1024 bytes


def show_costs(folder):
    """Print what an iteration, the start, memory and reading cost, against the least possible."""
    print("\n| cost | gmm-em.py | yardstick | ratio or difference |\n|---|---:|---:|---:|")
    for n in (10**5, 10**7):
        data = em.condense(draw(n))
        (one, few), (two, many) = race(5, (ours, data, 4, 1.0), (ours, data, 4, 1e-4))
        cost = milliseconds((two - one) / (many - few))
        row(f"one more iteration, {n:,} values, k = 4", cost, "", "")
    fit = wall(sys.executable, str(SCRIPT), str(ROOT / "data.txt"), "4", "1")
    bare = wall(sys.executable, "-c", "import numpy")
    name = "`python gmm-em.py data.txt 4 1`"
    row(name, milliseconds(fit), f"`import numpy` {milliseconds(bare)}", f"{fit / bare:.2f}")

    array = folder / "data.npy"
    np.save(array, draw(10**7))
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); from conftest import load\n"
    code += "load('gmm-em').main(sys.argv[1], 8, 1e6)"
    most, least = peak(code, array), peak("import numpy, pytest")
    name = "peak memory, 10,000,000 values, k = 8, data 80 MB"
    row(name, f"{most:.0f} MB", f"`import numpy` {least:.0f} MB", f"+{most - least:.0f} MB")

    text = folder / "data.txt"
    np.savetxt(text, draw(10**6), fmt="%.6f")
    (read, _), (loadtxt, _) = race(5, (em.read_data, text), (np.loadtxt, text))
    name, other = "reading 1,000,000 lines, condensed", f"`numpy.loadtxt` {milliseconds(loadtxt)}"
    row(name, milliseconds(read), other, f"{read / loadtxt:.2f}")


if __name__ == "__main__":
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    cpu = re.search("model name\\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    print(f"{cpu}, one core; {versions}, scikit-learn {sklearn.__version__}\n")
    compare_fits()
    with tempfile.TemporaryDirectory() as folder:
        show_costs(Path(folder))
