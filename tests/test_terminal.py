"""gmm-em.py in a terminal: -v, the line of progress, Ctrl-C."""

import os
import re
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX terminals and signals")


def long_run(root, folder, *options, **streams):
    """Start a fit that would take minutes: overlapping components and a tiny tol."""
    np.save(folder / "big.npy", np.random.RandomState(0).normal(size=10**6))
    command = [sys.executable, root / "gmm-em.py", folder / "big.npy", "9", "1e-9", *options]
    return subprocess.Popen(command, **streams)


@posix
def test_ctrl_c_ends_with_code_130_and_no_traceback(root, tmp_path):
    process = long_run(
        root, tmp_path, "-v", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = process.stderr.readline()  # the fit has begun
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT and out == ""
    assert all(": iteration " in line for line in [first, *err.splitlines()])


@posix
def test_a_terminal_sees_one_progress_line_that_is_erased(root, tmp_path):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = long_run(root, tmp_path, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 60
    while seen.count(b"\r") < 2 and time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            seen += os.read(ours, 1000)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            piece = os.read(ours, 1000)
        except OSError:  # how Linux says that the other end has been closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait(timeout=20) == -signal.SIGINT
    empty, *lines = seen.split(b"\r\x1b[K")  # back to the start of the line, erase it
    assert empty == b"" and len(lines) >= 2
    assert all(re.match(rb"k = 9, handout: iteration \d+, ll -\d+", line) for line in lines)
    assert b"\n" not in seen


def test_verbose_shows_every_iteration_on_standard_error(run):
    plain, verbose = run("gmm-em", "data.txt", 3, 1), run("gmm-em", "data.txt", 3, 1, "-v")
    assert plain.stderr == ""  # and no progress line, since it is not a terminal
    assert verbose.stdout == plain.stdout
    iterations = int(re.search(r"^iterations: (\d+)$", plain.stdout, re.M)[1])
    lines = verbose.stderr.splitlines()
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(
            rf"k = 3, handout: iteration {number}, ll -[\d.]+, change (inf|[\d.e-]+)", line
        )
    assert len(lines) == iterations
