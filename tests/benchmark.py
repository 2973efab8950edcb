# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "pytest", "scikit-learn"]
# ///
"""Time gmm-em.py against scikit-learn and print the tables of the README.

Usage: python tests/benchmark.py      (under five minutes; needs scikit-learn, and Linux for
                                       its counts of cores and memory)

Both fit four components to draws from the mixture of data.txt, from the handout's start and to the
handout's stop at tol = 1; scikit-learn's tol is per point, so it gets tol/n. Runs of the two take
turns, and the figures are medians.
"""

import os
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


def ours(data, k):
    """Return ll and the number of iterations of gmm-em.py."""
    steps = []
    ll = em.train(data, k, 1.0, report=lambda *step: steps.append(step))[3]
    return ll, len(steps)


def theirs(data, k):
    """Return ll and the number of iterations of scikit-learn, from the same start."""
    weights, means, varis = em.initialize(data, k)
    model = GaussianMixture(
        k,
        tol=1.0 / len(data),
        reg_covar=0,
        max_iter=10_000,
        weights_init=weights,
        means_init=means[:, None],
        precisions_init=1 / varis[:, None, None],
    )
    model.fit(data[:, None])
    return model.lower_bound_ * len(data), model.n_iter_


def clock(function, *arguments):
    """Return the seconds that a call takes, and its result."""
    begun = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begun, result


def race(data, k, repeats):
    """Return the median seconds and the results of both, run in turns."""
    runs = [(clock(ours, data, k), clock(theirs, data, k)) for _ in range(repeats)]
    return [(statistics.median(t for t, _ in side), side[0][1]) for side in zip(*runs)]


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


def table(*head):
    print("\n| " + " | ".join(head) + " |\n|---" + "|---:" * (len(head) - 1) + "|")


def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def compare_fits():
    """Print the fits of both, with all cores and with one."""
    table(
        "n", "cores", "gmm-em.py", "scikit-learn", "ratio", "iterations", "ll", "ll, scikit-learn"
    )
    cores = os.sched_getaffinity(0)
    for n, allowed, repeats in (
        *((n, cores, 5) for n in (1000, 10_000, 100_000)),
        *((1_000_000, some, 5) for some in (cores, {min(cores)})),
        (10_000_000, cores, 2),
    ):
        os.sched_setaffinity(0, allowed)
        (us, (ll, count)), (them, (their_ll, their_count)) = race(draw(n), 4, repeats)
        os.sched_setaffinity(0, cores)
        times = f"{us * 1e3:,.1f} ms", f"{them * 1e3:,.1f} ms", f"{them / us:.1f}"
        counts = f"{count}, {their_count}"
        row(f"{n:,}", str(len(allowed)), *times, counts, f"{ll:.1f}", f"{their_ll:.1f}")


def show_growth():
    """Print the cost of an iteration against n and against k."""
    table("n", "k", "ms per iteration", "ns per iteration, value and component")
    for n, k in (*((10**i, 4) for i in (5, 6, 7)), *((10**6, k) for k in (1, 2, 8, 16))):
        data = draw(n)
        runs = [clock(ours, data, k) for _ in range(3)]
        sweeps = runs[0][1][1] + 1  # one more E-step, for the last ll
        seconds = statistics.median(t for t, _ in runs) / sweeps
        row(f"{n:,}", str(k), f"{seconds * 1e3:.2f}", f"{seconds / n / k * 1e9:.2f}")


def show_processes(folder):
    """Print start-up, memory and reading, each against the least that it could be."""
    table("what", "gmm-em.py", "yardstick", "ratio or difference")
    fit = wall(sys.executable, str(SCRIPT), str(ROOT / "data.txt"), "4", "1")
    bare = wall(sys.executable, "-c", "import numpy")
    names = "fit of data.txt, k = 4, tol = 1, against `import numpy`"
    row(names, f"{fit * 1e3:.0f} ms", f"{bare * 1e3:.0f} ms", f"{fit / bare:.2f}")

    array = folder / "data.npy"
    np.save(array, draw(10_000_000))
    code = f"import runpy, sys\nsys.argv[0] = {str(SCRIPT)!r}\n"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    most, least = peak(code, array, 8, 1e6), peak("import numpy")
    names = "peak memory at n = 10,000,000, k = 8 (the data: 80 MB), against `import numpy`"
    row(names, f"{most:.0f} MB", f"{least:.0f} MB", f"+{most - least:.0f} MB")

    text = folder / "data.txt"
    np.savetxt(text, draw(1_000_000), fmt="%.6f")
    times = [(clock(em.read_data, text)[0], clock(np.loadtxt, text)[0]) for _ in range(5)]
    read, loadtxt = (statistics.median(side) for side in zip(*times))
    names = "1,000,000 lines of text, against numpy.loadtxt"
    row(names, f"{read * 1e3:.0f} ms", f"{loadtxt * 1e3:.0f} ms", f"{read / loadtxt:.2f}")


if __name__ == "__main__":
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    cpu = re.search("model name\\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    cores = len(os.sched_getaffinity(0))
    print(f"{cpu}, {cores} cores; {versions}, scikit-learn {sklearn.__version__}")
    compare_fits()
    show_growth()
    with tempfile.TemporaryDirectory() as folder:
        show_processes(Path(folder))
