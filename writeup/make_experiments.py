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
SEED = 0


def load(name):
    """Import a script by its path: a hyphen keeps it from being imported by name."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


em = load("gmm-em")


def fits(data, k, tol, restarts):
    """Yield (weights, means, varis, ll) of the handout's start, then of each random one.

    It is None where a component collapses.
    """
    for _name, start in em.starts(data, k, restarts, SEED):
        try:
            yield em.train(data, k, tol, start)
        except em.Collapse:
            yield None


def path(data, k, tol):
    """Return the means at the handout's start and after each iteration; a collapse ends them, too.

    data (n,) -> (iterations + 1, k)
    """
    path = [em.initialize(data, k)[1]]

    def report(iteration, change, weights, means, varis, ll):
        path.append(means)

    with contextlib.suppress(em.Collapse):
        em.train(data, k, tol, report=report)
    return np.array(path)


def widest_gap(data):
    """Return the two neighbouring values that have the widest gap between them."""
    values = np.sort(data)
    widest = np.argmax(np.diff(values))
    return values[widest], values[widest + 1]


def best_fit(data, k, tol, restarts):
    """Return the fit of highest ll among the handout's start and the random ones."""
    return max(filter(None, fits(data, k, tol, restarts)), key=lambda fit: fit[3])


def restarts(data, tol=1e-6, count=50):
    """Return where each random start ends: the ll, and the points of the smallest component."""
    ends = {}
    for k in range(2, 7):
        _handout, *others = fits(data, k, tol, count)
        ends[k] = [fit and (fit[3], len(data) * min(fit[0])) for fit in others]
    return {"seed": SEED, "tol": tol, "restarts": count, "ends": ends}


def spike(data, tol=1e-6, sd=1e-3):
    """Return the fit that four components and a narrow fifth end at.

    The four start where restarts have brought them, the fifth on the two closest distinct values.
    """
    weights, means, varis, _ll = best_fit(data, 4, tol, 50)
    values = np.unique(data)
    nearest = np.argmin(np.diff(values))
    pair = values[nearest : nearest + 2]
    share = 2 / len(data)
    start = [*weights * (1 - share), share], [*means, pair.mean()], [*varis, sd**2]
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
        weights, means, varis, _ll = best_fit(rest, k, tol, restarts)
        return em.log_likelihood(split[fold], weights, means, varis)

    lls = {}
    for k in range(2, 7):
        lls[k] = [[score(k, split, fold) for fold in range(folds)] for split in splits]
    return {"seed": SEED, "tol": tol, "restarts": restarts, "ll": lls}


if __name__ == "__main__":
    experiment = {"restarts": restarts, "spike": spike, "heldout": heldout}[sys.argv[1]]
    print(json.dumps(experiment(np.loadtxt(ROOT / "data.txt")), indent=1))
