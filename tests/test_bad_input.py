"""Wrong input to gmm-em.py: one line says where and what. Good input in every dress."""

import io
import os
import threading

import numpy as np
import pytest
from conftest import run

pytestmark = pytest.mark.filterwarnings("error")


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


BAD_K = "0", "-3", "1.5", "two", "6-2", "2-", "0-3", "2-3-4"
BAD_TOL = "-1", "-1e-6", "-.5E+3", "nan", "inf", "-inf", "1e400"
ODD = "1_0", "١"  # numbers for Python, but for nobody else
OPTIONS = "--restarts", "--seed", "--min-sd"
ARGUMENTS = {
    "data.txt": "k, tol; try",
    **{f"data.txt {k} 1": f"or 2-6, found '{k}'" for k in BAD_K},
    f"data.txt {'9' * 5000} 1": "argument k: expected 1 ≤ k < 1e9 or 2-6, found '999",
    "data.txt 2 small": "argument tol: invalid decimal value: 'small'",
    "data.txt 2 0": "argument tol: expected a finite number > 0, found 0.0",
    **{f"data.txt 2 {tol}": f"number > 0, found {float(tol)}" for tol in BAD_TOL},
    "data.txt 2 1 --restarts -1": "--restarts, --seed: expected whole numbers ≥ 0",
    "data.txt 2 1 --restarts 1.5": "whole numbers ≥ 0, found (1.5, 0)",
    "data.txt 2 1 --seed -1e3": "whole numbers ≥ 0, found (0, -1000.0)",
    "data.txt 2 1 --min-sd -1": "--min-sd: expected 0 to 1e75, found -1.0",
    **{f"data.txt 2 {odd}": f"tol: invalid decimal value: '{odd}'" for odd in ODD},
    **{f"data.txt {odd} 1": f"or 2-6, found '{odd}'" for odd in ODD},
    **{f"data.txt 2 1 {x} {odd}": f" {x}: invalid" for x in OPTIONS for odd in ODD},
    **{f"data.txt 2 1 --min-sd {sd}": f"found {sd}" for sd in ("-1e-06", "nan", "inf")},
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


def test_an_error_in_a_real_process_has_no_traceback():
    for text, code, error in ("", 2, "expected one"), ("1\n2\n", 1, "k = 3: "):
        done = run("gmm-em", "-", 3, 1, input=text)
        found = done.returncode, done.stdout, done.stderr
        assert_one_error(found, code, f"error: standard input: {error}")


LINES = ["1.5", "2.5", "# comment", "", "4", "  9.25  ", "11 # comment", "1e1", "", ""]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["data.txt", "x.gz", "x.xz"])  # whatever it is called
def test_text_is_read_in_every_dress(em, tmp_path, end, mark, name):
    (tmp_path / name).write_bytes((mark + end.join(LINES)).encode())
    assert em.read_data(tmp_path / name).tolist() == [1.5, 2.5, 4, 9.25, 11, 10]


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i2", ">i8", "u1", "f2"])
def test_arrays_are_read_in_every_kind_of_real_number(em, tmp_path, kind):
    path, wanted = tmp_path / "data.NPY", np.hstack(em.train(NUMBERS, 2, 1e-6))
    for array, name in (NUMBERS, path), (NUMBERS[:, None], os.fsencode(path)):
        path.write_bytes(saved(array.astype(kind)))
        np.testing.assert_array_equal(np.hstack(em.main(name, 2, 1e-6)), wanted)


def test_a_named_pipe_is_read(em, tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    threading.Thread(target=pipe.write_text, args=["1\n2\n"], daemon=True).start()
    assert em.read_data(pipe).tolist() == [1, 2]
