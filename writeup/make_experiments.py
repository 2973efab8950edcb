"""Run what the writeup needs beyond the fits of gmm-em.py, and print it as JSON.

Usage: python make_experiments.py NAME > experiments/NAME.json
NAME is heldout, seeds, spikes or starts.
"""

import importlib.util
import itertools
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
KS = 2, 3, 4, 5, 6
TOL, RESTARTS = 1e-6, 100  # of the best fits, wherever the writeup speaks of them
LAST = 20  # the last iteration that is drawn


def load(name):
    """Import a script by its path: a hyphen keeps it from being imported by name."""
    path = ROOT / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


em = load("gmm-em")


def middle_of_gap(data):
    """Return the two neighbouring values with the widest gap, and its middle."""
    values = np.sort(data)
    widest = np.argmax(np.diff(values))
    low, high = values[widest : widest + 2]
    return low, high, (low + high) / 2


def shifted(data, k, shift):
    """Return the handout's means, shifted to the left by a share of their distance.

    Shifted by all of it, they have the places of `moved`.
    """
    low, high = data.min(), data.max()
    return low + (np.arange(1, k + 1) - shift) * (high - low) / k


def moved(data, k, i, place):
    """Return the handout's means, of which only mean i is at another place."""
    means = shifted(data, k, 0)
    means[i - 1] = place
    return means


def path(data, k, tol, means):
    """Return weights, means, varis at the start and after each iteration, and every ll.

    The weights and the variances start as the handout's. After a collapse ll is None.
    data (n,), means (k,) -> (iterations + 1, 3, k), iterations numbers
    """
    weights, _, varis = em.initialize(data, k)
    path, lls = [(weights, means, varis)], []

    def report(iteration, change, weights, means, varis, ll):
        path.append((weights, means, varis))
        lls.append(ll)

    try:
        em.train(data, k, tol, path[0], report=report)
    except em.Collapse:
        lls.append(None)
    return np.array(path), lls


def best_fit(data, k, seed):
    """Return the weights, means, varis and ll of the best of the starts."""
    best, *_ = em.best_of(data, k, TOL, RESTARTS, seed)
    return best.fit


def starts(data, steps=100):
    """Return where EM ends from means other than the handout's, and with other tol.

    Of each start it gives the distance of the nearest mean from the middle of the gap;
    how many means are on the left of the middle, at the start and where tol = 1 and TOL
    end; and the ll of both ends, where None is a collapse. "left only" and "right only"
    are the handout's means for k = 3 to 6 without those on the other side.
    """
    low, high, middle = min(data), max(data), middle_of_gap(data)[2]
    tols = 1e-2, 1e-3

    def end(means):
        means = np.array(means, float)
        ends = [path(data, len(means), tol, means) for tol in (1, TOL)]
        left = [means, *(fits[-1, 1] for fits, _ in ends)]
        return {
            "means": means.round(6).tolist(),
            "nearest": round(min(abs(means - middle)), 3),
            "left": [int(sum(places < middle)) for places in left],
            "ll": [lls[-1] and round(lls[-1], 6) for _, lls in ends],
        }

    shifts = np.linspace(0, 1, steps + 1)
    handout = [shifted(data, k, 0) for k in KS[1:]]
    return {
        "moved": {k: end(moved(data, k, k, low)) for k in (3, 4, 5)},
        "second": end(moved(data, 4, 2, 3)),
        "two": [end(means) for means in ([3, high], [7, 9])],
        "left only": [end(means[means < middle]) for means in handout],
        "right only": [end(means[means > middle]) for means in handout],
        "steps": steps,
        "shifted": {k: [end(shifted(data, k, x)) for x in shifts] for k in (4, 5)},
        "tols": tols,
        "by tol": {k: [em.train(data, k, tol)[3] for tol in tols] for k in (3, 4)},
    }


def seeds(data, count=20):
    """Return the ll of the best fit of each k with each of some seeds."""
    found = {k: [best_fit(data, k, seed)[3] for seed in range(count)] for k in KS}
    return {"ll": {k: np.round(lls, 6).tolist() for k, lls in found.items()}}


def spikes(data):
    """Return where four components and a spike on two neighbouring values end.

    The four start where the best fit has them. The spike starts halfway between the
    two values, its σ half their distance. The ll of a collapse is None.
    """
    weights, means, varis, _ = best_fit(data, 4, seed=0)
    values, share = np.unique(data), 2 / len(data)
    lls, fits = [], []
    for low, high in itertools.pairwise(values):
        mean, sd = (low + high) / 2, (high - low) / 2
        start = [*weights * (1 - share), share], [*means, mean], [*varis, sd**2]
        try:
            fit = em.train(data, 5, TOL, start)
            lls.append(round(fit[3], 6))
            fits.append((fit[3], [low, high], [each.tolist() for each in fit[:3]]))
        except em.Collapse:
            lls.append(None)
    _, pair, best = max(fits)
    return {"ll": lls, "pair": pair, "best": best}


def heldout(data, folds=10, splits=5):
    """Return the ll of held-out values for each k: of each split, and of each value.

    A split holds every value out once, with the others of one of its folds. Every fit
    has random starts of its own. The ll of a value is the mean of those of the splits.
    """
    rng = np.random.default_rng(0)
    lls = {k: np.zeros((splits, len(data))) for k in KS}
    for split in range(splits):
        for part in np.array_split(rng.permutation(len(data)), folds):
            rest = np.delete(data, part)
            for k in KS:
                *fit, _ = best_fit(rest, k, seed=int(rng.integers(2**32)))
                for j in part:
                    lls[k][split, j] = em.log_likelihood(data[[j]], *fit)
    return {
        "folds": folds,
        "splits": {k: lls[k].sum(axis=1).round(6).tolist() for k in KS},
        "values": {k: lls[k].mean(axis=0).round(6).tolist() for k in KS},
    }


if __name__ == "__main__":
    names = {"heldout": heldout, "seeds": seeds, "spikes": spikes, "starts": starts}
    results = names[sys.argv[1]](np.loadtxt(ROOT / "data.txt"))
    lines = (f'"{key}": {json.dumps(value)}' for key, value in results.items())
    print("{" + ",\n".join(lines) + "}")
