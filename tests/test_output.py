"""What gmm-em.py prints: the fit, the notes, its progress in a terminal, and broken streams."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, run

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and byte names")
KEYS = ["data", "n", "k", "tol", "start", "iterations", "weights", "means", "varis", "ll", "bic"]


def test_the_fit_is_printed_to_the_last_digit(command, em, data):
    code, out, err = command(ROOT / "data.txt", 3, 1)
    *lines, formula = out.splitlines()
    facts = dict(line.split(": ", 1) for line in lines)
    weights, means, varis, ll = em.train(data, 3, 1)
    assert (code, err, list(facts)) == (0, "", KEYS)
    assert list(facts.values())[:6] == [str(ROOT / "data.txt"), "400", "3", "1.0", "handout", "15"]
    for key, values in ("weights", weights), ("means", means), ("varis", varis):
        assert [float(word) for word in facts[key].split(" ")] == values.tolist()
    assert float(facts["ll"]) == ll
    assert float(facts["bic"]) == pytest.approx(8 * np.log(400) - 2 * ll)
    terms = [f"{w:#.4g} N(x | {m:#.4g}, {v:#.4g})" for w, m, v in zip(weights, means, varis)]
    assert formula == "p(x) = " + " + ".join(terms)


@pytest.mark.parametrize("mean, vari", [("1234", "2.500e+05"), ("1700000000.00", "1.000")])
def test_means_have_digits_down_to_a_tenth_of_their_sd(em, mean, vari):
    fit = np.array([1.0]), np.array([float(mean)]), np.array([float(vari)]), -1.0
    formula = em.text_of("data.txt", 9, 1.0, "handout", 3, fit).splitlines()[-1]
    assert formula == f"p(x) = 1.000 N(x | {mean}, {vari})"


OWNS_NONE = "component 2 owns no point and keeps its mean: try fewer components"
TWINS = "components 1, 2 coincide; if σ = 1 is too wide a start for this unit, rescale the data"


@pytest.mark.parametrize(
    "weights, means, varis, beginnings",
    [
        ([0.97, 0.03], [0, 5], [1, 1], []),
        ([0.971, 0.029], [0, 5], [1, 1], ["component 2 rests on 2.9 points, too few for a"]),
        ([0.9704, 0.0296], [0, 5], [1, 1], []),  # 3.0 points, as they are printed
        ([1, 0], [0, 0], [1, 1], [OWNS_NONE]),
        ([0.5, 0.5], [0, 0.0099], [1, 1], [TWINS]),
        ([0.5, 0.5], [0, 0.0101], [1, 1], []),
        ([0.5, 0.5], [0, 0.009], [1, 0.5], []),
        ([0.5, 0.5], [3, 3], [1, 1.018**2], []),
        ([0.5, 0.5], [3, 3], [1, 1.009**2], [TWINS]),
        ([0.5, 0.5], [0, 9e-5], [1e-4, 1e-4], [TWINS]),
        ([0.25] * 4, [0, 7, 0, 7], [1] * 4, ["components 1, 3 coinc", "components 2, 4 coinc"]),
        ([0.25] * 4, [0.016, 0, 0.024, 0.008], [1] * 4, ["components 1, 2, 3, 4 coincide"]),
    ],
)
def test_a_fit_that_is_of_no_use_gets_a_note_and_others_none(em, weights, means, varis, beginnings):
    arguments = [np.array(values, float) for values in (weights, means, varis)]
    found = list(em.notes(100, "handout", *arguments))
    assert len(found) == len(beginnings)
    assert all(note.startswith(words) for note, words in zip(found, beginnings))
    for note in em.notes(100, "random 3 of 9", *arguments):
        assert "--restarts" not in note, "a remedy that was used"


def test_verbose_shows_every_iteration_on_standard_error(command):
    _, plain, quiet = command(ROOT / "data.txt", 3, 1)
    _, verbose, err = command(ROOT / "data.txt", 3, 1, "-v")
    assert (quiet, verbose) == ("", plain)  # no progress line: this is not a terminal
    lines = err.splitlines()
    for i, line in enumerate(lines, 1):
        words = rf"k = 3, handout: iteration {i}, ll -[\d.]+, change (inf|[\d.]+)"
        assert re.fullmatch(words, line)
    assert f"\niterations: {len(lines)}\n" in plain


def test_a_terminal_sees_one_progress_line_once_a_second_has_passed(em, command, monkeypatch):
    clock = iter(np.arange(0, 99, 0.08))
    monkeypatch.setattr(em.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(em.os, "isatty", lambda descriptor: True)
    _, out, err = command(ROOT / "data.txt", 4, 1e-6)
    nothing, *lines, last = err.split("\r\x1b[K")  # back to the start of the line, erase it
    iterations = [int(re.match(r"k = 4, handout: iteration (\d+), ll -\d", x)[1]) for x in lines]
    assert nothing == last == "" and out.startswith("data: ") and "\n" not in err
    assert iterations == list(range(13, 175, 2))  # of 174, not oftener than ten times a second


def test_ctrl_c_ends_with_code_130_and_no_traceback(tmp_path):
    # Overlapping components and a tiny tol: this would take minutes.
    np.save(tmp_path / "big.npy", np.random.RandomState(0).normal(size=10**6))
    command = [sys.executable, ROOT / "gmm-em.py", tmp_path / "big.npy", "9", "1e-9", "-v"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **streams)
    process.stderr.readline()  # the fit has begun
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT and out == ""  # a shell says 130
    assert all(": iteration " in line for line in err.splitlines())


FIT = r"data: data.txt\n(.*\n){3}start: random . of 3\n(.*\n){7}"
NOTE = r"gmm-em.py: note: k = 9: 1 of 4 starts collapsed and were left out\n"
FAILURE = NOTE + r"gmm-em.py: error: cannot write the result: .+\n"
STREAMS = {
    "2>&-": (FIT, ""),  # the note has nowhere to go
    "2>/dev/null | head -1": (r"data: data.txt\n", ""),
    "| true": ("", NOTE),
    ">/dev/full": ("", FAILURE),
    ">&-": ("", FAILURE),
}


@linux
@pytest.mark.parametrize("streams", STREAMS)
def test_closed_and_full_streams_make_no_noise(streams):
    script = f"'{sys.executable}' gmm-em.py data.txt 9 1e-3 --restarts 3 --seed 6 {streams}"
    done = subprocess.run(script, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    out, err = STREAMS[streams]
    assert re.fullmatch(out, done.stdout) and re.fullmatch(err, done.stderr)
    assert done.returncode == (1 if err == FAILURE else 0)


@linux
@pytest.mark.parametrize("name", ["µ.txt", "byte\udcff.txt", "two\nlines.txt"])
def test_a_file_of_any_name_is_fitted_and_named(tmp_path, name):
    (tmp_path / name).write_text("1\n2\n3\n4\n")
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "1"}
    done = run("gmm-em", name, 1, 1, cwd=tmp_path, env=environment, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[0] == b"data: " + os.fsencode(name).replace(b"\n", b"\\n")


def test_help_is_printed(em, viz, monkeypatch, capfd):
    for script in em, viz:
        monkeypatch.setattr("sys.argv", ["a script", "--help"])
        with pytest.raises(SystemExit, match="0"):
            script.command_line()
        assert capfd.readouterr().out.startswith("usage: a script")
