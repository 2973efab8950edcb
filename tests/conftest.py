"""The two scripts as modules and as commands, and the loop of the handout."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot  # noqa: F401 - an old one warns when it is first imported
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 120}


def load(name):
    """Import a script by its path: a hyphen keeps it from being imported by name."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script, *arguments, **options):
    """Run a script as a user would; the options are those of subprocess.run."""
    command = [sys.executable, ROOT / f"{script}.py", *map(str, arguments)]
    return subprocess.run(command, **OPTIONS | options)


def bash(command, **options):
    """Run a command with $em and $viz for the scripts -> exit code, stdout, stderr."""
    python = f"env -u PYTHONUNBUFFERED {sys.executable} {ROOT}"  # buffered, as a user's
    scripts = f"em='{python}/gmm-em.py'; viz='{python}/gmm-visualize.py'"
    options = OPTIONS | {"cwd": None, "encoding": "utf-8"} | options
    done = subprocess.run(["bash", "-c", f"{scripts}; {command}"], **options)
    return done.returncode, done.stdout, done.stderr


def textbook(data, k, tol, start=None, min_sd=0.0, dtype=np.longdouble):
    """Return weights, means, varis, ll and every ll of the handout's loop."""
    x = np.asarray(data, dtype)
    if start is None:
        means = x.min() + np.arange(1, k + 1) * np.ptp(x) / k
        start = np.full(k, dtype(1) / k), means, np.ones(k)
    weights, means, varis = (np.array(values, dtype)[:, None] for values in start)
    two_pi, lls = 8 * np.arctan(dtype(1)), []
    while len(lls) < 3 or lls[-1] - lls[-2] >= tol:  # the first ll is the start's
        with np.errstate(divide="ignore"):
            scales = np.log(weights) - np.log(two_pi * varis) / 2
        joint = scales - (x - means) ** 2 / (2 * varis)
        peaks = joint.max(axis=0)  # np.logaddexp, without them, takes thrice as long
        logs = np.log(np.exp(joint - peaks).sum(axis=0)) + peaks
        gammas = np.exp(joint - logs)
        lls.append(logs.sum())
        last = weights[:, 0], means[:, 0], varis[:, 0], lls[-1], lls[1:]
        points = gammas.sum(axis=1, keepdims=True)
        weights, shares = points / len(x), gammas / np.where(points > 0, points, 1)
        means = np.where(points > 0, (shares * x).sum(axis=1, keepdims=True), means)
        moments = (shares * (x - means) ** 2).sum(axis=1, keepdims=True)
        varis = np.maximum(np.where(points > 0, moments, varis), dtype(min_sd) ** 2)
    return last


@pytest.fixture(scope="session")
def data():
    return np.loadtxt(ROOT / "data.txt")


@pytest.fixture(scope="session")
def em():
    return load("gmm-em")


@pytest.fixture(scope="session")
def viz():
    return load("gmm-visualize")


def fit_of(ll, smallest=0.5):
    """Return the fit of two components, one with so small a weight, as train would."""
    return np.array([1 - smallest, smallest]), np.array([9.0, 0.0]), np.ones(2), ll


@pytest.fixture
def scripted(em, monkeypatch):
    """Return scripted(outcomes) -> [(tol, start) of each call]: train returns them."""

    def scripted(outcomes, change=0.0):
        calls = []

        def train(data, k, tol, start=None, min_sd=0.0, report=None):
            calls.append((tol, start))
            outcome = outcomes[len(calls) - 1]
            if isinstance(outcome, Exception):
                raise outcome
            *fit, ll = outcome
            for iteration in (1, 2):  # the second one changes ll by `change`
                report(iteration, change, *fit, ll - change * (2 - iteration))
            return *fit, ll

        monkeypatch.setattr(em, "train", train)
        return calls

    return scripted


@pytest.fixture
def command(em, monkeypatch, capfd, tmp_path):
    """Return command(*arguments) -> exit code, stdout, stderr, run here in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments, script=em):
        monkeypatch.setattr(sys, "argv", ["a script", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            sys.exit(script.command_line())
        return end.value.code, *capfd.readouterr()

    return command
