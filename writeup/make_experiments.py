"""Run what the writeup needs beyond the fits of gmm-em.py, and print the results as JSON.

Usage: python make_experiments.py NAME > experiments/NAME.json    (restarts, spike or heldout)
"""

import contextlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SPEC = importlib.util.spec_from_file_location("gmm_em", ROOT / "gmm-em.py")
em = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(em)

SEED = 0


def fits(data, k, tol, restarts):
    """Yield (weights, means, varis, ll) of the handout's start, then of each random one.

    It is None where a component collapses.
    """
    for _, start in em.starts(data, k, restarts, SEED):
        try:
            yield em.train(data, k, tol, start)
        except em.Collapse:
            yield None


def path(data, k, tol):
    """Return the means from the handout's start on, and the change of ll in each iteration.

    data (n,) -> means (iterations + 1, k), changes (iterations,); a collapse ends them like tol.
    """
    means, changes = [em.initialize(data, k)[1]], []

    def report(iteration, change, weights, new_means, varis, ll):
        """Keep what one iteration has changed."""
        means.append(new_means)
        changes.append(change)

    with contextlib.suppress(em.Collapse):
        em.train(data, k, tol, report=report)
    return np.array(means), np.array(changes)


def restarts(data, tol=1e-6, count=50):
    """Return, for each k, where each random start ends: its ll and n min(π_i), or None.

    n min(π_i) are the points of the smallest component; None is a collapse.
    """
    results = {}
    for k in range(2, 7):
        _handout, *others = fits(data, k, tol, count)
        results[k] = [fit and (fit[3], len(data) * min(fit[0])) for fit in others]
    return {"seed": SEED, "tol": tol, "restarts": count, "ends": results}


def spike(data, tol=1e-6, sd=1e-3):
    """Return the fit that four components and a narrow fifth end at.

    The four start where restarts have brought them, the fifth on the two closest distinct values.
    """
    best = max(filter(None, fits(data, 4, tol, 50)), key=lambda fit: fit[3])
    values = np.unique(data)
    nearest = np.argmin(np.diff(values))
    pair = values[nearest : nearest + 2]
    share = 2 / len(data)
    start = [*best[0] * (1 - share), share], [*best[1], pair.mean()], [*best[2], sd**2]
    weights, means, varis, ll = em.train(data, 5, tol, start)
    fit = {"weights": list(weights), "means": list(means), "varis": list(varis), "ll": ll}
    return {"start sd": sd, "pair": list(pair)} | fit


def heldout(data, tol=1e-3, restarts=40, folds=10, repetitions=3):
    """Return, for each k, the ll of every fold under the best fit to all the other folds."""
    rng = np.random.default_rng(SEED)
    splits = [np.array_split(rng.permutation(data), folds) for _ in range(repetitions)]

    def score(k, split, fold):
        """Return the ll of one fold of a split."""
        rest = np.concatenate(split[:fold] + split[fold + 1 :])
        best = max(filter(None, fits(rest, k, tol, restarts)), key=lambda fit: fit[3])
        return em.log_likelihood(split[fold], *best[:3])

    lls = {k: [[score(k, s, f) for f in range(folds)] for s in splits] for k in range(2, 7)}
    return {"seed": SEED, "tol": tol, "restarts": restarts, "ll": lls}


if __name__ == "__main__":
    experiment = {"restarts": restarts, "spike": spike, "heldout": heldout}[sys.argv[1]]
    print(json.dumps(experiment(np.loadtxt(ROOT / "data.txt")), indent=1))
