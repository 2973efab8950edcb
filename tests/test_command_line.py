"""gmm-em.py as a command: what it reads and refuses, prints and notes, and streams."""

import io
import itertools
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, bash, fit_of, run
from scipy.special import logsumexp
from scipy.stats import norm

pytestmark = pytest.mark.filterwarnings("error")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
DATA = ROOT / "data.txt"


# ---- Input ----
def assert_one_error(result, code, *parts):
    """Check the exit code and a single line of error that holds the parts."""
    found, out, err = result
    assert (found, out, err.find("\n")) == (code, "", len(err) - 1)
    assert err.startswith("gmm-em.py: error: ") and len(err) < 280
    assert all(part in err for part in parts), err


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


NUMBERS = np.arange(12.0)
GOOD, LENGTH = saved(NUMBERS), b"(12,), }" + 22 * b" "
FILES = {  # what is in data.txt or data.npy, and what is said of it
    "only comments": (b"# a\n\n  # b\n", "txt: expected one finite", "found none"),
    "all numbers on one line": (b"1 2 3\n", "txt:1: ", "'1 2 3'"),
    "a decimal comma": (b"1.5\n2,5\n", "txt:2: ", "'2,5'", "decimal point"),
    "NaN": (b"1\nnan\n2\n", "txt:2: ", "'nan'"),
    "a grouped number": (b"1\n1_000\n", "txt:2: ", "'1_000'"),
    "digits of another script": ("1\n٣\n".encode(), "txt:2: ", "'٣'"),
    "a NUL byte": (b"1\n2\0\n3\n", "txt:2: ", r"'2\x00'"),
    "a Latin-1 byte in a comment": (b"1\n2 # \xb5m\n", "txt:2: ", "'2 # "),
    "a word": (b"\xef\xbb\xbf1 # b\r\n\r\n# c\r\nbad\r\n", "txt:4: ", "'bad'"),
    "an endless line": (b"1\n" + b"x" * 10**6, "txt:2: ", "'" + "x" * 40),
    "an array cut short": (GOOD[:-3], "npy: "),
    "a header that is no expression": (GOOD.replace(b"}", b" "), "npy: "),
    "an impossible length": (GOOD.replace(LENGTH, b"(%d,), }" % 10**23), "npy: "),
    "booleans": (saved(NUMBERS > 3), "npy: ", "bool"),
    "long doubles": (saved(NUMBERS.astype("g")), "npy: ", "1-D real numbers"),
    "objects": (saved(np.array([1, None])), "npy: ", "objects"),
    "two columns": (saved(NUMBERS.reshape(6, 2)), "npy: ", "(6, 2)"),
}


@pytest.mark.parametrize("case", FILES)
def test_an_unreadable_file_is_named_with_its_line(command, tmp_path, case):
    content, *parts = FILES[case]
    name = "data." + parts[0][:3]
    (tmp_path / name).write_bytes(content)
    assert_one_error(command(name, 2, 1), 2, f" data.{parts[0]}", *parts[1:])


@pytest.mark.parametrize("name", ["two\nlines", "b\udcff.npy", "folder", "folder.npy"])
def test_a_missing_file_or_a_folder_is_named(command, tmp_path, name):
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    shown = name.replace("\n", r"\n").replace("\udcff", "?")  # as it is captured
    assert_one_error(command(name, 2, 1), 2, f"read {shown}: ", " directory\n")


BAD_TOL = "-1", "-1e-6", "-.5E+3", "nan", "inf", "-inf", "1e400"
ODD = "1_0", "١"  # numbers for Python, but for nobody else
BAD_K = "0", "-3", "1.5", "two", "6-2", "2-", "0-3", "2-3-4", *ODD
BAD_SD = "-1.0", "-1e-06", "nan", "inf"
NAMES = "--restarts", "--seed", "--min-sd"
ARGUMENTS = {
    "data.txt": "k, tol; try",
    **{f"data.txt {k} 1": f"or 2-6, found '{k}'" for k in BAD_K},
    f"data.txt {'9' * 5000} 1": "argument k: expected 1 ≤ k < 1e9 or 2-6, found '999",
    "data.txt 2 0": "argument tol: expected a finite number > 0, found 0.0",
    **{f"data.txt 2 {tol}": f"number > 0, found {float(tol)}" for tol in BAD_TOL},
    "data.txt 2 1 --restarts 1.5": "whole numbers ≥ 0, found (1.5, 0)",
    "data.txt 2 1 --seed -1e1": "--seed: expected whole numbers ≥ 0, found (0, -10.0)",
    **{f"data.txt 2 {x}": f"tol: invalid decimal value: '{x}'" for x in (*ODD, "one")},
    **{f"data.txt 2 1 {x} {odd}": f" {x}: invalid" for x in NAMES for odd in ODD},
    **{f"data.txt 2 1 --min-sd {sd}": f"1e75, found {sd}" for sd in BAD_SD},
    "data.txt 2 1 a\nb": "unrecognized arguments: a\\nb",
}


@pytest.mark.parametrize("line", ARGUMENTS)
def test_wrong_arguments_are_shown(command, tmp_path, line):
    (tmp_path / "data.txt").write_text("1\n2\n3\n4\n")
    assert_one_error(command(*line.split(" ")), 2, ARGUMENTS[line], "; try --help")


FLOOR, LARGER = " or a floor for σ (--min-sd)\n", " or a larger --min-sd\n"
FEWER = "where the likelihood is unbounded: use fewer components"
ENDED = "unbounded; each of 4 starts ended so: use fewer components or a larger tol"
LONE = "onto the value 90 in iteration 1 (2 of the 7 values), "  # where tol is no help
BOTH, LOOKS = " or --restarts 100 or a larger tol", ("", " --restarts 0")
MARKS = "3 3 3 4 4 4 4 5 5 5 8 8 9 9 9 9 10 10 10"  # of which other starts find a fit
UNFITTABLE = [  # values, k, tol and options, and how the error ends, with its \n
    ("1 2 2 2", "4 1 --restarts 3", "expected 4 distinct values, found 2: lower k\n"),
    ("2 3 4 5 6 90 90", "2 1", f"component 2 collapsed {LONE}{FEWER}{FLOOR}"),
    ("2 3 4 5 6 90 90", "2 1 --min-sd 1e-15", f"{LONE}{FEWER}{LARGER}"),
    ("1 2 3 4", "4 1e-9", f"{FEWER} or a larger tol{FLOOR}"),
    ("2 3 4 5 6 90", "2 1e-6 --restarts 10", f"or a larger tol{FLOOR}"),  # of others
    *((MARKS, f"3 1e-6{look}", f"{FEWER}{BOTH}{FLOOR}") for look in LOOKS),
    ("1 2 3 4", "4 1e-9 --restarts 3", f"{ENDED}{FLOOR}"),
]


@pytest.mark.parametrize("values, options, end", UNFITTABLE)
def test_what_has_no_fit_is_code_1_with_advice(command, tmp_path, values, options, end):
    (tmp_path / "data.txt").write_text(values.replace(" ", "\n"))
    assert_one_error(command("data.txt", *options.split()), 1, ": data.txt: k = ", end)


def test_a_range_of_k_prints_what_can_be_fitted(command, tmp_path):
    (tmp_path / "data.txt").write_text("0\n1\n7\n8\n")
    code, out, err = command("data.txt", "1-4", 0.1)
    alone = "".join(command("data.txt", k, 0.1)[1] for k in (1, 2, 4))
    assert (code, out, err.count("error: ")) == (1, alone, 1)
    assert "k = 3: component" in err


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["data.txt", "x.gz", "x.xz"])  # whatever it is called
def test_text_is_read_in_every_dress(em, tmp_path, end, mark, name):
    lines = ["1.5", "2.5", "# comment", "", "4", "  9.25  ", "11 # ten", "1e1", "", ""]
    (tmp_path / name).write_bytes((mark + end.join(lines)).encode())
    numbers = em.read_data(tmp_path / name)
    assert type(numbers) is np.ndarray
    assert numbers.tolist() == [1.5, 2.5, 4, 9.25, 11, 10]


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i2", ">i8", "u1", "f2"])
def test_arrays_are_read_in_every_kind_of_real_number(em, tmp_path, kind):
    path, wanted = tmp_path / "data.NPY", np.hstack(em.train(NUMBERS, 2, 1e-6))
    for array, name in (NUMBERS, path), (NUMBERS[:, None], os.fsencode(path)):
        path.write_bytes(saved(array.astype(kind)))
        np.testing.assert_array_equal(np.hstack(em.main(name, 2, 1e-6)), wanted)


# ---- The fit ----
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
    assert facts["start"].startswith("random ") and facts["min_sd"] == "0.1"
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


def data_of(weights, means, varis):
    """Return 100 quantiles of a mixture, as a sample that it fits."""
    quantiles = [(np.arange(n) + 0.5) / n for n in np.round(100 * np.array(weights))]
    return np.concatenate([*map(norm.ppf, quantiles, means, np.sqrt(varis))])


def pairs_that_could_be_one(data, fit, least):
    """Return the note on all pairs that cost less than so much as one, or none."""
    told = []
    for i, j in itertools.combinations(np.flatnonzero(fit[0]), 2):
        w, m, v = fit[:, [i, j]]
        mean, merged = w @ m / w.sum(), np.delete(fit, j, axis=1)
        merged[:, i] = w.sum(), mean, w @ (v + (m - mean) ** 2) / w.sum()
        change = ll_of(data, *merged) - ll_of(data, *fit)
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
    few = "1 with a component on fewer than 3 points"
    beaten = f"0 collapses, {few} (one ended 1.3 higher"
    alone = "the best fit was found by one start alone; more --restarts may beat it"
    data, lost = data_of(*fit_of(0)[:3]), em.Collapse("it collapsed", 3, 0.0)
    end = lambda higher, *few: fit_of(ll_of(data, *fit_of(0)[:3]) + higher, *few)  # noqa: E731
    cases = [  # tol, what the random starts lead to, and the only note if any
        (1e-6, [end(-0.02), end(-5), end(-0.005, 0.01)], alone),
        (1e-3, [end(-0.02), end(-5)], None),  # there is no second stage that could tell
        (1e-6, [end(-0.005), end(-1, 0.01)], None),
        (1e-6, [end(0), end(1.26, 0.01)], beaten),
        (1e-6, [end(0), lost, lost, end(-1, 0.01)], f"2 collapses, {few}"),
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


MANY = "data.txt 9 1e-3 --restarts 3 --seed 6"
FIT = r"data: data.txt\n(.*\n){6}start: random .\niterations: \d\d+\n(.*\n){6}"
NOTE = r"gmm-em.py: note: k = 9: left out of 4 starts: 1 collapses, 2 with a .+\n"
FAILURE = NOTE + r"gmm-em.py: error: cannot write the result: .+\n"
WRONG = r"gmm-em.py: error: standard input: "
ENDS = [  # a command with its streams, the exit code, and what is printed
    (f"$em {MANY} 2>&-", 0, FIT, ""),  # the note has nowhere to go
    (f"$em {MANY} 2>/dev/full", 0, FIT, ""),
    (f"$em {MANY} 2>/dev/null | head -1", 0, r"data: data.txt\n", ""),
    (f"$em {MANY} | true", 0, "", NOTE),
    (f"$em {MANY} >/dev/full", 1, "", FAILURE),
    (f"$em {MANY} >&-", 1, "", FAILURE),
    ("$em - 3 1 </dev/null", 2, "", f"{WRONG}expected one .+\n"),
    ("seq 2 | $em - 3 1", 1, "", f"{WRONG}k = 3: .+ found 2: .+\n"),
    ("$em <(seq 2) 3 1", 1, "", r"gmm-em.py: error: /dev/.+ found 2: .+\n"),
]


@linux
@pytest.mark.parametrize("command, code, out, err", ENDS)
def test_errors_and_closed_and_full_streams_make_no_noise(command, code, out, err):
    found, *printed = bash(command, cwd=ROOT)
    assert found == code and all(map(re.fullmatch, (out, err), printed))


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
    without = "export PYTHONOPTIMIZE=2; $em data.txt 2 1 && $viz --help"
    assert bash(without, cwd=ROOT)[0] == 0


# ---- README.md ----
README = (ROOT / "README.md").read_text("utf-8")
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```", README, re.M | re.S))
EXAMPLES = dict(re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", CONSOLE, re.M))
assert len(EXAMPLES) == CONSOLE.count("\n$ ") + 1 >= 6
NUMBER = re.compile(r"-?\d+\.\d+")
THREE = np.array([[0.5005, 0.2493, 0.2501], [3.29, 8.987, 14.1], [1.76, 0.2971, 1.263]])


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Return shell(command) -> what it prints, in a folder with what it needs."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("gmm-em.py", "gmm-visualize.py", "data.txt"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "python").symlink_to(sys.executable)  # whatever the machine calls it
    paths = [str(Path(sys.executable).parent), str(folder), os.environ["PATH"]]
    env = os.environ | {"PATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    return lambda command: bash(f"exec 2>&1; {command}", cwd=folder, env=env)[1]


@pytest.mark.parametrize("command", EXAMPLES)
def test_a_command_prints_what_the_readme_says(shell, command):
    found, wanted = shell(command), EXAMPLES[command]
    assert NUMBER.sub("#", found) == NUMBER.sub("#", wanted)
    # Another processor may round the last digits differently.
    numbers = [pytest.approx(float(x), rel=1e-6) for x in NUMBER.findall(wanted)]
    assert [float(number) for number in NUMBER.findall(found)] == numbers


def test_the_python_block_does_what_it_says(shell):
    block = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)[0]
    shell("python gmm-em.py data.txt 4 1e-6 --restarts 20 >fit.txt")
    names = "round(ll, 2), gammas.sum(), *thresholds, *errors, *saved.round(1)"
    printed = shell(f"python - <<END\n{block}print({names})\nEND").split()
    found, x, errors, saved = np.split(np.array(printed, float), [2, 4, 7])
    assert found.tolist() == [-989.79, 1] and saved.tolist() == [2.1, 4.5, 9, 14.1]
    terms = THREE[0] * norm.pdf(x[:, None], THREE[1], np.sqrt(THREE[2]))
    assert terms[[0, 1], [0, 1]] == pytest.approx(terms[[0, 1], [1, 2]], rel=0.1)
    assert errors == pytest.approx(np.sqrt(THREE[2] / THREE[0] / 400), rel=0.3)
