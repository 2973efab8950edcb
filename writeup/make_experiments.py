"""Run what the writeup needs beyond the fits of gmm-em.py, and print it as JSON.

Usage: python make_experiments.py NAME > experiments/NAME.json
NAME is heldout, restarts, spike or starts.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
KS = 2, 3, 4, 5, 6
SEED = 0
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


def spread(data, k):
    """Return k means spread from the smallest to the largest value."""
    return np.linspace(data.min(), data.max(), k)


def shifted(data, k, shift):
    """Return the handout's means, shifted to the left by a share of their distance."""
    low, high = data.min(), data.max()
    return low + (np.arange(1, k + 1) - shift) * (high - low) / k


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


def starts(data, steps=100):
    """Return where EM ends from means other than the handout's, and with other tol.

    The ll of an end are those with tol = 1 and 1e-6, None for a collapse.
    """
    middle, tols = middle_of_gap(data)[2], (1e-2, 1e-3)

    def end(k, means):
        lls, tight = (path(data, k, tol, means)[1] for tol in (1, 1e-6))
        left, nearest = sum(means < middle), min(abs(means - middle))
        return {
            "left": int(left),
            "nearest": round(nearest, 3),
            "iterations": len(lls),
            "ll": [ll and round(ll, 6) for ll in (lls[-1], tight[-1])],
        }

    shifts = np.linspace(0, 1, steps + 1)
    return {
        "spread": end(4, spread(data, 4)),
        "centres": end(4, shifted(data, 4, 0.5)),
        "steps": steps,
        "shifted": {k: [end(k, shifted(data, k, x)) for x in shifts] for k in (4, 5)},
        "tols": tols,
        "by tol": {k: [em.train(data, k, tol)[3] for tol in tols] for k in (3, 4)},
    }


def restarts(data, tol=1e-6, counts=(50, 50, 500, 500, 500)):
    """Return where each random start ends: ll, and points of the smallest component."""
    ends = {k: [] for k in KS}
    for k, count in zip(KS, counts):
        for name, start in em.starts(data, k, count, SEED):
            if name == "handout":
                continue
            try:
                weights, _, _, ll = em.train(data, k, tol, start)
                points = len(data) * weights.min()
                ends[k].append((round(ll, 6), round(points, 6)))
            except em.Collapse:
                ends[k].append(None)
    return {"seed": SEED, "tol": tol, "few": em.FEW, "ends": ends}


def best_fit(data, k, tol, restarts, seed):
    """Return the weights, means, varis and ll of the best of the starts."""
    return em.best_of(data, k, tol, restarts, seed, 0.0, lambda *step: None)[0]


def spike(data, tol=1e-6, sd=1e-3):
    """Return the fit that four components and a narrow fifth end at.

    The four start where restarts have brought them, the fifth on the two closest
    distinct values.
    """
    weights, means, varis, _ = best_fit(data, 4, tol, 50, SEED)
    values = np.unique(data)
    nearest = np.argmin(np.diff(values))
    pair = values[nearest : nearest + 2]
    share = 2 / len(data)
    start = [*weights * (1 - share), share], [*means, pair.mean()], [*varis, sd**2]
    fit = em.train(data, 5, tol, start)
    lists = (np.array(values).tolist() for values in fit)
    keys = "weights", "means", "varis", "ll"
    return {"start sd": sd, "pair": pair.tolist()} | dict(zip(keys, lists))


def heldout(data, tol=1e-3, restarts=20, folds=10, splits=10):
    """Return, for each k and split, the ll of every fold under the fit to the others.

    Every fit has random starts of its own.
    """
    rng = np.random.default_rng(SEED)
    lls = {k: np.zeros((splits, folds)) for k in KS}
    for split in range(splits):
        parts = np.array_split(rng.permutation(data), folds)
        for fold, part in enumerate(parts):
            rest = np.concatenate(parts[:fold] + parts[fold + 1 :])
            for k in KS:
                seed = int(rng.integers(2**32))
                weights, means, varis, _ = best_fit(rest, k, tol, restarts, seed)
                ll = em.log_likelihood(part, weights, means, varis)
                lls[k][split, fold] = ll
    lists = {k: lls[k].tolist() for k in KS}
    return {"seed": SEED, "tol": tol, "restarts": restarts, "ll": lists}


if __name__ == "__main__":
    names = {"heldout": heldout, "restarts": restarts, "spike": spike, "starts": starts}
    results = names[sys.argv[1]](np.loadtxt(ROOT / "data.txt"))
    lines = (f'"{key}": {json.dumps(value)}' for key, value in results.items())
    print("{" + ",\n".join(lines) + "}")
