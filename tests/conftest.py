"""The two scripts as modules and as commands, and the loop of the handout."""

import importlib.util
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


def load(name):
    """Import a script by its path: a hyphen keeps it from being imported by name."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script, *arguments, **options):
    """Run a script as a user would; the options are those of subprocess.run."""
    command = [sys.executable, ROOT / f"{script}.py", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 120} | options
    return subprocess.run(command, **options)


def trace(em, data, k, tol, start=None):
    """Return weights, means, varis, ll and every ll of em.train, whose reports are checked."""
    steps = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = em.train(data, k, tol, start, lambda *step: steps.append(step))
    iterations, changes, *_, lls = zip(*steps)
    assert iterations == tuple(range(1, len(lls) + 1))
    assert changes == (math.inf, *np.diff(lls))
    assert min(changes[:-1]) >= tol > changes[-1] >= -1e-14 * (len(data) + abs(lls[-1]))
    np.testing.assert_array_equal(np.hstack(fit), np.hstack(steps[-1][2:]))
    return *fit, lls


def textbook(data, k, tol, start=None, dtype=np.longdouble):
    """Return weights, means, varis, ll and every ll of the handout's loop."""
    x = np.asarray(data, dtype)
    if start is None:
        means = x.min() + np.arange(1, k + 1) * (x.max() - x.min()) / k
        start = np.full(k, dtype(1) / k), means, np.ones(k)
    weights, means, varis = (np.array(values, dtype)[:, None] for values in start)
    two_pi, lls = 8 * np.arctan(dtype(1)), []
    while len(lls) < 3 or lls[-1] - lls[-2] >= tol:  # the first ll is that of the start
        with np.errstate(divide="ignore"):
            joint = np.log(weights) - np.log(two_pi * varis) / 2 - (x - means) ** 2 / (2 * varis)
        peaks = joint.max(axis=0)  # np.logaddexp, which needs none, takes three times as long
        logs = np.log(np.exp(joint - peaks).sum(axis=0)) + peaks
        gammas = np.exp(joint - logs)
        lls.append(logs.sum())
        last = weights[:, 0], means[:, 0], varis[:, 0], lls[-1], lls[1:]
        points = gammas.sum(axis=1, keepdims=True)
        weights, own = points / len(x), np.maximum(points, np.finfo(dtype).tiny)
        means = np.where(points > 0, (gammas * x).sum(axis=1, keepdims=True) / own, means)
        squares = (gammas * (x - means) ** 2).sum(axis=1, keepdims=True)
        varis = np.where(points > 0, squares / own, varis)
    return last


def assert_same_fit(found, wanted, rtol=1e-9):
    """Compare weights, means (in standard deviations), varis, ll, and the number of iterations."""
    weights, means, varis, ll, lls = found
    wanted = [np.asarray(values, float) for values in wanted]
    # A mean is returned as a double, which far from 0 has its last digit at 1e-16 of the offset.
    off = abs(means - wanted[1]) - np.spacing(abs(means).max())
    assert (off <= rtol * np.sqrt(wanted[2])).all()
    np.testing.assert_allclose(weights, wanted[0], rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(varis, wanted[2], rtol=rtol)
    np.testing.assert_allclose(ll, wanted[3], rtol=rtol, atol=1e-9)
    assert len(lls) == len(wanted[4])


@pytest.fixture(scope="session")
def data():
    return np.loadtxt(ROOT / "data.txt")


@pytest.fixture(scope="session")
def em():
    return load("gmm-em")


@pytest.fixture(scope="session")
def viz():
    return load("gmm-visualize")


@pytest.fixture
def command(em, monkeypatch, capfd, tmp_path):
    """Return command(*arguments) -> exit code, stdout, stderr, run in this process and tmp_path."""

    def command(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["gmm-em.py", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
            warnings.simplefilter("error")
            em.command_line()
        return end.value.code, *capfd.readouterr()

    return command
