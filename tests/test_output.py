"""What gmm-em.py prints: the fit, notes, progress in a terminal, and broken streams."""

import itertools
import math
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import OPTIONS, ROOT, run
from scipy.stats import norm

pytestmark = pytest.mark.filterwarnings("error")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
DATA = ROOT / "data.txt"


def test_the_fit_is_printed_to_the_last_digit(command, em, data):
    *fit, ll = em.train(data, 3, 1)
    text = f"data: {DATA}\nn: 400\nk: 3\ntol: 1.0\nmin_sd: 0.0\nrestarts: 0\nseed: 0\nstart: handout\niterations: 15\n"
    for key, values in zip(("weights", "means", "varis"), fit):
        text += f"{key}: {' '.join(map(repr, values.tolist()))}\n"
    terms = [f"{w:#.4g} N(x | {m:#.4g}, {v:#.4g})" for w, m, v in zip(*fit)]
    text += f"ll: {ll!r}\nbic: {8 * math.log(400) - 2 * ll!r}\n"
    assert command(DATA, 3, 1) == (0, f"{text}p(x) = {' + '.join(terms)}\n", "")


def test_means_have_digits_down_to_a_tenth_of_their_sd(em):
    cases = ("1234", "2.500e+05"), ("1700000.00", "1.000"), (f"{1:.16f}", "1.000e-40")
    for mean, vari in cases:
        fit = *np.array([[1.0], [float(mean)], [float(vari)]]), -1.0
        text = em.text_of("data.txt", 9, 1.0, 0.0, 0, 0, "handout", 3, fit)
        assert text.endswith(f"\np(x) = 1.000 N(x | {mean}, {vari})\n")


# ---- Notes ----
def ll_of(data, weights, means, varis):
    """Return the log-likelihood by scipy's density."""
    densities = norm.pdf(data[:, None], means, np.sqrt(varis))
    return np.log(densities @ weights).sum()


def as_one(weights, means, varis, i, j):
    """Return the mixture in which i and j are one component, in the place of i."""
    x = np.array([weights, means, varis], float)
    w, m, v = x[:, [i, j]]
    mean, square = w @ m / w.sum(), w @ (v + m**2) / w.sum()
    x[:, i] = w.sum(), mean, square - mean**2
    return np.delete(x, j, axis=1)


def data_of(weights, means, varis):
    """Return 100 quantiles of a mixture, as a sample that it fits."""
    quantiles = [(np.arange(n) + 0.5) / n for n in np.round(100 * np.array(weights))]
    return np.concatenate([*map(norm.ppf, quantiles, means, np.sqrt(varis))])


def note_of(rises, advice):
    """Return the note on {(i, j): the rise of ll if one component stood for both}."""
    told = [f"{i + 1} and {j + 1} (as one: ll {rises[i, j]:+.2g})" for i, j in rises]
    return f"components that could be one: {', '.join(told)}; try {advice}"


FEW = "components on fewer than 3 points, too few for a cluster:"
EMPTY = "components without points: 2, 3; try {}"
MIXTURES = [  # weights, means, varis, the pairs that could be one, and another note
    ([0.5, 0.5], [3, 3.3], [4, 4], [(0, 1)], ""),  # worth less than 0.01
    ([0.2, 0.5, 0.3], [3.01, 9, 3], [1, 1, 1], [(0, 2)], ""),
    ([0.4, 0.3, 0.3], [3, 3.01, 3.02], [1, 1, 1], [(0, 1), (1, 2)], ""),
    ([0.5, 0.5], [3, 3], [1, 25], [], ""),  # one in the other
    ([0.98, 0.01, 0.01], [0, 30, 30.001], [1, 1, 1], [(1, 2)], ""),  # told once
    ([1, 0, 0], [0, 0, 9], [1, 1, 1], [], EMPTY),
    ([0.9704, 0.0296], [0, 30], [1, 1], [], ""),  # 3.0 points, as printed
    ([0.951, 0.029, 0.02], [0, 30, 60], [1, 1, 1], [], f"{FEW} 2 (2.9), 3 (2.0)"),
]
BOTH, FEWER = "--restarts or fewer components", "fewer components"


@pytest.mark.parametrize("restarts, advice", [(0, BOTH), (1, FEWER)])
@pytest.mark.parametrize("case", MIXTURES)
def test_a_doubt_is_told_once_with_the_change_of_ll(em, case, restarts, advice):
    *parameters, pairs, note = case
    weights, means, _ = fit = np.array(parameters, float)
    sample, far, changes = data_of(*fit), np.add(fit, [[0], [1e4], [0]]), {}
    data, ll = em.condense(sample + 1e4), ll_of(sample, *fit)
    for i, j, change in em.changes_as_one(data, *far, ll):
        changes[i, j] = change
        wanted = ll_of(sample, *as_one(*fit, i, j)) - ll
        assert change == pytest.approx(wanted, abs=1e-7)
    order = [i for i in np.argsort(means) if weights[i] > 0]
    assert [*changes] == [tuple(sorted(pair)) for pair in itertools.pairwise(order)]
    notes = [note.format(advice)] if note else []
    if pairs:
        notes.append(note_of({pair: changes[pair] for pair in pairs}, advice))
    assert [*em.notes(data, 1e-6, restarts, 0.0, 0.0, (*far, ll))] == notes


def test_a_pair_is_judged_by_tol_and_its_remedies_are_those_that_can_work(em):
    fit = np.array([[0.5, 0.5], [4, 6.5], [1, 1.21]])
    sample = data_of(*fit)
    fit = *fit, ll_of(sample, *fit)
    fall = fit[3] - ll_of(sample, [1], [5.25], [1.105 + 1.25**2])
    data, tol = em.condense(sample), 1.01 * fall
    assert fall > 1 and [*em.notes(data, 0.99 * fall, 0, 0.0, 0.0, fit)] == []
    smaller = f"a smaller tol or {BOTH}", f"a smaller --min-sd or {FEWER}"
    cases = (0.5, 1.0, smaller[0]), (1.0, 0.0, BOTH), (1.1, 0.0, smaller[1])
    for min_sd, change, advice in cases:
        notes = [*em.notes(data, tol, 0, min_sd, change, fit)]
        assert notes == [note_of({(0, 1): -fall}, advice)]


def test_true_notes_are_printed(em, command):
    heights = 1.52, 1.55, 1.56, 1.59, 1.6, 1.63, 1.75, 1.77, 1.79, 1.8, 1.83, 1.86
    np.savetxt("heights.txt", heights)  # EM cannot leave the start
    stopped = DATA, 4, (2, 3), f"a smaller tol or {BOTH}"
    for file, k, pair, advice in stopped, ("heights.txt", 2, (0, 1), BOTH):
        *fit, ll = em.main(file, k, 1)
        change = ll_of(np.loadtxt(file), *as_one(*fit, *pair)) - ll
        note = f"gmm-em.py: note: k = {k}: {note_of({pair: change}, advice)}\n"
        assert command(file, k, 1)[::2] == (0, note)


def test_good_fits_get_no_note(command):
    assert "one:" not in command(DATA, "1-4", 1e-6, "--restarts", 10)[2]
    rest = 2 + np.arange(60) / 30
    np.savetxt("zeros.txt", np.append(np.zeros(40), rest))
    code, out, err = command("zeros.txt", 2, 1e-6, "--restarts", 10, "--min-sd", 0.05)
    formula = f"0.002500) + 0.6000 N(x | {rest.mean():.4g}, {rest.var():.4g})\n"
    assert (code, err) == (0, "") and out.endswith(formula)


# ---- Progress and streams ----
def test_verbose_shows_every_iteration_on_standard_error(em, command, monkeypatch):
    monkeypatch.setattr(em.time, "monotonic", itertools.count().__next__)
    _, plain, quiet = command(DATA, 3, 1)
    _, verbose, err = command(DATA, 3, 1, "-v")
    assert (quiet, verbose) == ("", plain)  # no progress line: this is not a terminal
    line = r"k = 3, handout: iteration (\d+), ll -[\d.]+, change (?:inf|[\d.]+)"
    iterations = [int(re.fullmatch(line, shown)[1]) for shown in err.splitlines()]
    assert iterations == [*range(1, 16)] and "\niterations: 15\n" in plain


def test_a_terminal_sees_one_progress_line_after_a_second(em, command, monkeypatch):
    monkeypatch.setattr(em.time, "monotonic", itertools.count(0, 0.08).__next__)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, out, err = command(DATA, 4, 1e-6)
    nothing, *lines, last = err.split("\r\x1b[K")  # to the line's start, and erase it
    assert nothing == last == "" and "\n" not in err
    line = r"k = 4, handout: iteration (\d+), ll -\d"
    iterations = [int(re.match(line, shown)[1]) for shown in lines]
    end = int(re.search(r"\niterations: (\d+)\n", out)[1])
    assert iterations == [*range(13, end + 1, 2)]  # at most ten times a second


def test_ctrl_c_ends_with_code_130_and_no_traceback(tmp_path):
    # Overlapping components and a tiny tol: this would take minutes.
    np.save(tmp_path / "big.npy", np.random.RandomState(0).normal(size=10**6))
    script = [sys.executable, ROOT / "gmm-em.py", "big.npy", "9", "1e-9", "-v"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(script, cwd=tmp_path, **pipes)
    process.stderr.readline()  # the fit has begun
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT and out == ""  # a shell says 130
    assert all(": iteration " in line for line in err.splitlines())


FIT = r"data: data.txt\n(.*\n){6}start: random .\niterations: \d\d+\n(.*\n){6}"
NOTE = r"gmm-em.py: note: k = 9: left out of 4 starts: 1 collapsed and 2 with a .+\n"
FAILURE = NOTE + r"gmm-em.py: error: cannot write the result: .+\n"
ENDS = [
    ("2>&-", 0, FIT, ""),  # the note has nowhere to go
    ("2>/dev/null | head -1", 0, r"data: data.txt\n", ""),
    ("| true", 0, "", NOTE),
    (">/dev/full", 1, "", FAILURE),
    (">&-", 1, "", FAILURE),
]


@linux
@pytest.mark.parametrize("streams, code, out, err", ENDS)
def test_closed_and_full_streams_make_no_noise(streams, code, out, err):
    command = f"'{sys.executable}' gmm-em.py data.txt 9 1e-3 --restarts 3 --seed 6"
    done = subprocess.run(f"{command} {streams}", shell=True, **OPTIONS)
    assert re.fullmatch(out, done.stdout) and re.fullmatch(err, done.stderr)
    assert done.returncode == code


@linux
@pytest.mark.parametrize("name", ["µ.txt", "byte\udcff.txt", "two\n\rlines.txt"])
def test_a_file_of_any_name_is_fitted_and_named(tmp_path, name):
    (tmp_path / name).write_text("1\n2\n3\n4\n")
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "1"}
    done = run("gmm-em", name, 1, 1, cwd=tmp_path, env=environment, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(os.fsencode("data: " + name.replace("\n\r", r"\n\r")))


def test_help_is_printed(em, viz, command):
    for script in em, viz:
        code, out, err = command("--help", script=script)
        assert (code, err) == (0, "") and out.startswith("usage: a script")
