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
from conftest import OPTIONS, ROOT, fit_of, run
from scipy.special import logsumexp
from scipy.stats import norm

pytestmark = pytest.mark.filterwarnings("error")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
DATA = ROOT / "data.txt"


def test_the_fit_is_printed_to_the_last_digit(command, em, data):
    *fit, ll = em.train(data, 3, 1)
    text = f"data: {DATA}\nn: 400\nk: 3\ntol: 1.0\nmin_sd: 0.0\nrestarts: 0\nseed: 0\n"
    text += "start: handout\niterations: 15\n"
    for key, values in zip(("weights", "means", "varis"), fit):
        text += f"{key}: {' '.join(map(repr, values.tolist()))}\n"
    terms = [f"{w:#.4g} N(x | {m:#.4g}, {v:#.4g})" for w, m, v in zip(*fit)]
    text += f"ll: {ll!r}\nbic: {8 * math.log(400) - 2 * ll!r}\n"
    assert command(DATA, 3, 1) == (0, f"{text}p(x) = {' + '.join(terms)}\n", "")


def test_a_fit_can_be_repeated_from_what_it_printed(command):
    arguments = "--restarts", 12, "--seed", 3, "--min-sd", 0.1
    _, out, _ = command(DATA, 4, 1e-4, *arguments)
    facts = dict(line.split(": ", 1) for line in out.splitlines()[:-1])
    assert facts["start"].startswith("random ")
    again = [facts[key] for key in ("data", "k", "tol")]
    for key in ("restarts", "seed", "min_sd"):
        again += [f"--{key.replace('_', '-')}", facts[key]]
    assert command(*again)[1] == out != command(*again, "--seed", 4)[1]


def test_means_have_digits_down_to_a_tenth_of_their_sd(notes_of):
    tiny = f"{1:.16f}", "1.000e-40"
    for mean, vari in ("1234", "2.500e+05"), ("1700000000.00", "1.000"), tiny:
        _, out = notes_of([1.0, 2.0], [[1.0], [float(mean)], [float(vari)]])
        assert out.endswith(f"\np(x) = 1.000 N(x | {mean}, {vari})\n")


# ---- Notes ----
@pytest.fixture
def notes_of(command, scripted):
    """Return notes_of(data, fit, ...) -> notes and output, as if EM found this fit."""

    def notes_of(data, fit, *options, tol=1e-6, change=0.0, before=(), after=()):
        np.savetxt("some.txt", data, "%.17g")
        fit = *np.array(fit, float), ll_of(np.array(data), *fit)
        scripted([*before, fit, *after], change)
        k = len(fit[0])
        code, out, err = command("some.txt", k, tol, *(options or ["--restarts", 0]))
        prefix, lines = f"gmm-em.py: note: k = {k}: ", err.splitlines()
        assert code == 0 and all(line.startswith(prefix) for line in lines)
        return [line.removeprefix(prefix) for line in lines], out

    return notes_of


def ll_of(data, weights, means, varis):
    """Return the log-likelihood by scipy's density."""
    logs = norm.logpdf(data[:, None], means, np.sqrt(varis))
    return logsumexp(logs, axis=1, b=weights).sum()


def as_one(weights, means, varis, i, j):
    """Return the mixture in which i and j are one component, in the place of i."""
    x = np.array([weights, means, varis], float)
    w, m, v = x[:, [i, j]]
    mean = w @ m / w.sum()
    x[:, i] = w.sum(), mean, w @ (v + (m - mean) ** 2) / w.sum()
    return np.delete(x, j, axis=1)


def data_of(weights, means, varis):
    """Return 100 quantiles of a mixture, as a sample that it fits."""
    quantiles = [(np.arange(n) + 0.5) / n for n in np.round(100 * np.array(weights))]
    return np.concatenate([*map(norm.ppf, quantiles, means, np.sqrt(varis))])


def pairs_that_could_be_one(data, fit, least):
    """Return the note on all pairs that cost less than so much as one, or none."""
    told = []
    for i, j in itertools.combinations(range(len(fit[0])), 2):
        if fit[0][i] and fit[0][j]:
            change = ll_of(data, *as_one(*fit, i, j)) - ll_of(data, *fit)
            if change > -least:
                change = round(change, 6) + 0  # what is less is rounding
                told.append(f"{i + 1} and {j + 1} (as one: ll {change:+.2g})")
    return [f"components that could be one: {', '.join(told)}"] if told else []


ON_FEW = "components on fewer than 3 points, too few for a cluster: "
EMPTY = "components without points: "
MIXTURES = [  # weights, means, varis, and a note other than that on pairs
    ([0.5, 0.5], [3, 3.3], [4, 4], ""),  # worth less than 0.01
    ([0.2, 0.5, 0.3], [3.01, 9, 3], [1, 1, 1], ""),
    ([0.4, 0.3, 0.3], [3, 3.01, 3.02], [1, 1, 1], ""),
    ([0.45, 0.1, 0.45], [2.75, 3, 3.25], [4, 1e-4, 4], ""),  # a line on a background
    ([0.5, 0.5], [3, 3], [1, 25], ""),  # one in the other
    ([0.96, 0.02, 0.02], [0, 30, 30.001], [1, 1, 1], f"{ON_FEW}2 (2.0), 3 (2.0)"),
    ([1, 0, 0], [0, 0, 9], [1, 1, 1], f"{EMPTY}2, 3"),
    ([0.9704, 0.0296], [0, 30], [1, 1], ""),  # 3.0 points, as printed
    ([0.951, 0.029, 0.02], [0, 30, 60], [1, 1, 1], f"{ON_FEW}2 (2.9), 3 (2.0)"),
]


@pytest.mark.parametrize("case", MIXTURES)
@pytest.mark.parametrize("times", [1, 60])  # the second is condensed
def test_a_doubt_is_told_with_the_change_of_ll(notes_of, case, times):
    *parameters, last = case
    fit = np.array(parameters, float)
    fit[1] += 1e4
    data = np.concatenate([data_of(*fit) + 1e-6 * shift for shift in range(times)])
    found, _ = notes_of(data, fit, tol=1e-3)
    wanted = pairs_that_could_be_one(data, fit, 0.01)
    if last and (times == 1 or ON_FEW not in last):
        wanted = [last, *wanted] if EMPTY in last else [*wanted, last]
    advice = "; try --restarts 100 or fewer components"
    assert found == [note + advice * (ON_FEW not in note) for note in wanted]


def test_a_pair_is_judged_by_tol_and_its_remedies_are_those_that_can_work(notes_of):
    fit = np.array([[0.5, 0.5], [4, 6.5], [1, 1.21]])
    data = data_of(*fit)
    fall = ll_of(data, *fit) - ll_of(data, [1], [5.25], [1.105 + 1.25**2])
    assert fall > 1 and notes_of(data, fit, tol=0.99 * fall)[0] == []
    (note,) = pairs_that_could_be_one(data, fit, 1.01 * fall)
    other, fewer = (*fit, ll_of(data, *fit) + 9.999), "fewer components"
    look, none = {"before": 21 * [other]}, ["--restarts", 0]
    cases = [  # options, the last change of ll, what other starts lead to
        (none, 1.0, {}, f"a smaller tol or --restarts 100 or {fewer}"),
        (none, 0.005, {}, f"--restarts 100 or {fewer}"),
        (["--restarts", 1], 0.0, {"after": [other]}, fewer),
        (["--seed", 0], 1.0, look, fewer),  # the rest is advised there
    ]
    for options, change, starts, advice in cases:
        state = {"tol": 1.01 * fall, "change": change} | starts
        found, _ = notes_of(data, fit, *options, **state)
        assert found[-1] == f"{note}; try {advice}"
        higher = "another start ends higher, by at least 9.99 in ll; try --restarts 100"
        assert found[:-1] == [f"{higher} and a smaller tol"] * (starts is look)


def test_what_the_other_starts_tell(em, notes_of):
    few = "with a component on fewer than 3 points"
    alone = "the best fit was found by one start alone; more --restarts may beat it"
    data, lost = data_of(*fit_of(0)[:3]), em.Collapse("it collapsed", 3, 0.0)
    end = lambda higher, *few: fit_of(ll_of(data, *fit_of(0)[:3]) + higher, *few)  # noqa: E731
    cases = [  # tol, what the random starts lead to, and the only note if any
        (1e-6, [end(-0.02), end(-5), end(-0.005, 0.01)], alone),
        (1e-3, [end(-0.02), end(-5)], None),  # there is no second stage that could tell
        (1e-6, [end(-0.005), end(-1, 0.01)], None),
        (
            1e-6,
            [end(0), end(1.26, 0.01)],
            f"0 collapses, 1 {few} (one ended 1.3 higher",
        ),
        (1e-6, [end(0), lost, lost, end(-1, 0.01)], f"2 collapses, 1 {few}"),
    ]
    for tol, ends, note in cases:
        after = ends + [each for each in ends if each is not lost] * (tol < 1e-3)
        options = {"tol": tol, "after": after}
        found, _ = notes_of(data, fit_of(0)[:3], "--restarts", len(ends), **options)
        assert len(found) == bool(note) and all(note in line for line in found)
    for smallest, which in (0.5, "1, 2"), (0, "1"):
        mixture = fit_of(0, smallest)[:3]
        found, _ = notes_of(data, mixture, "--restarts", 0, "--min-sd", 1)
        assert found[0] == f"components whose σ is at the floor: {which}"


def test_a_look_around_says_if_another_start_ends_higher(command):
    heights = 1.52, 1.55, 1.56, 1.59, 1.6, 1.63, 1.75, 1.77, 1.79, 1.8, 1.83, 1.86
    np.savetxt("heights.txt", heights)  # EM cannot leave the handout's start
    clusters = data_of([0.25] * 4, [2, 4.5, 9, 14], [0.36, 0.09, 0.36, 1.44])
    np.savetxt("many.txt", np.add.outer(clusters, np.arange(50) / 999).ravel())
    note = r"another start ends higher, by at least ([\d.]+) in ll; try --restarts 100"
    for fit in ("heights.txt", 2, 1e-6), (DATA, 4, 1e-6), ("many.txt", 2, 1):
        (_, out, err), (_, same, silent) = command(*fit), command(*fit, "--restarts", 0)
        best = command(*fit, "--restarts", 30)[1]
        lls = [float(re.search(r"\nll: (.*)\n", text)[1]) for text in (out, best)]
        assert 1 < float(re.search(note, err)[1]) < lls[1] - lls[0] + 0.01
        assert same == out and not re.search(note, silent)
        assert not re.search(note, command(fit[0], 1, 1)[2])


def test_the_lowest_bic_of_a_range_is_told_where_restarts_were_made(command):
    _, out, err = command(DATA, "2-5", 1e-6, "--restarts", 20)
    bics = sorted(map(float, re.findall(r"\nbic: (.*)\n", out)))
    ahead = f"that of k = 4, {bics[1] - bics[0]:.3g} below that of k = 5"
    assert f"gmm-em.py: note: k = 2-5: lowest bic: {ahead}\n" in err
    assert "one:" not in err, "a good fit is in doubt"
    for arguments in ("2-5", 1e-6), (4, 1e-6, "--restarts", 20):
        assert "lowest bic" not in command(DATA, *arguments)[2]
    # At k = 7 a component is left with few points, or could be one with another.
    _, _, err = command(DATA, "3-7", 1, "--restarts", 3)
    doubted = {int(k) for k in re.findall(r"k = (\d): components (?:that|on|wi)", err)}
    told = {int(k) for k in re.findall(r" k = (\d)\b", err.partition("lowest bic")[2])}
    assert doubted and told and not doubted & told


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
    _, out, err = command(DATA, 4, 1e-6, "--restarts", 0)
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
NOTE = r"gmm-em.py: note: k = 9: left out of 4 starts: 1 collapses, 2 with a .+\n"
FAILURE = NOTE + r"gmm-em.py: error: cannot write the result: .+\n"
ENDS = [
    ("2>&-", 0, FIT, ""),  # the note has nowhere to go
    ("2>/dev/full", 0, FIT, ""),
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


def test_help_is_printed_and_no_docstring_is_needed(em, viz, command):
    for script in em, viz:
        code, out, err = command("--help", script=script)
        assert (code, err) == (0, "") and out.startswith("usage: a script")
    for arguments in (["gmm-em.py", DATA, "2", "1"], ["gmm-visualize.py", "--help"]):
        done = subprocess.run([sys.executable, "-OO", *arguments], **OPTIONS)
        assert done.returncode == 0
