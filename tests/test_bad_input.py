"""Wrong input to gmm-em.py: one line that says where and what, and good input in every dress."""

import io
import os
import threading

import numpy as np
import pytest
from conftest import ROOT, run


def assert_one_error(result, code, *parts):
    """Check the exit code and a single line of error that holds the parts."""
    found, out, err = result
    assert (found, out) == (code, "")
    assert err.startswith("gmm-em.py: error: ") and err.endswith("\n") and err.count("\n") == 1
    assert all(part in err for part in parts), err
    assert len(err) < 250


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


NUMBERS = np.arange(12.0)
GOOD = saved(NUMBERS)
FILES = {  # what is in data.txt or data.npy, and what is said of it
    "only comments": (b"# a\n\n  # b\n", "txt: expected one finite number a line", "found none"),
    "a word": (b"1\n2\nthree\n4\n", "txt:3: ", "'three'"),
    "two numbers on a line": (b"1\n2 3\n", "txt:2: ", "'2 3'"),
    "all numbers on one line": (b"1 2 3\n", "txt:1: ", "'1 2 3'"),
    "a decimal comma": (b"1.5\n2,5\n", "txt:2: ", "'2,5'", "decimal point"),
    "NaN": (b"1\nnan\n2\n", "txt:2: ", "'nan'"),
    "too large for a double": (b"1\n1e999\n", "txt:2: ", "'1e999'"),
    "a grouped number": (b"1\n1_000\n", "txt:2: ", "'1_000'"),
    "digits of another script": ("1\n٣\n".encode(), "txt:2: ", "'٣'"),
    "binary": (bytes(range(256)), "txt:1: ", r"\x00\x01\x02"),
    "a NUL byte": (b"1\n2\0\n3\n", "txt:2: ", r"'2\x00'"),
    "a Latin-1 byte in a comment": (b"1\n2 # \xb5m\n", "txt:2: ", "'2 # "),
    "after comments and blank lines": (b"# a\n\n1 # b\n\nx\n", "txt:5: ", "'x'"),
    "after CRLF": (b"1\r\n\r\n# c\r\nbad\r\n", "txt:4: ", "'bad'"),
    "after a BOM": (b"\xef\xbb\xbf1\nbad\n", "txt:2: ", "'bad'"),
    "many lines": (b"1\n" * 99_999 + b"bad", "txt:100000: ", "'bad'"),
    "an endless line": (b"1\n" + b"x" * 10**6, "txt:2: ", "'" + "x" * 40),
    "an array cut short": (GOOD[:-3], "npy: "),
    "an array that is text": (b"1\n2\n3\n4\n", "npy: "),
    "a header that is no expression": (GOOD.replace(b"}", b" "), "npy: "),
    "an impossible length": (GOOD.replace(b"(12,), }" + 22 * b" ", b"(%d,), }" % 10**23), "npy: "),
    "booleans": (saved(NUMBERS > 3), "npy: ", "bool"),
    "long doubles": (saved(NUMBERS.astype("g")), "npy: ", "1-D real numbers"),
    "objects": (saved(np.array([1, None])), "npy: ", "objects"),
}


@pytest.mark.parametrize("case", FILES)
def test_an_unreadable_file_is_named_with_its_line(command, tmp_path, case):
    content, *parts = FILES[case]
    name = "data." + parts[0][:3]
    (tmp_path / name).write_bytes(content)
    assert_one_error(command(name, 2, 1), 2, f"error: data.{parts[0]}", *parts[1:])


@pytest.mark.parametrize("name", ["gone.txt", "two\nlines", "b\udcff.npy", "folder", "folder.npy"])
def test_a_missing_file_or_a_folder_is_named(command, tmp_path, name):
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    shown = name.replace("\n", r"\n").replace("\udcff", "\ufffd")  # as it is captured
    assert_one_error(command(name, 2, 1), 2, f"error: cannot read {shown}: ")


ARGUMENTS = {
    "": "data, k, tol",
    "data.txt 0 1": "argument k: expected k ≥ 1, or a range such as 2-6, found '0'",
    **{
        f"data.txt {k} 1": f"found '{k}'" for k in ("-3", "1.5", "two", "6-2", "2-", "0-3", "2-3-4")
    },
    f"data.txt {'9' * 5000} 1": "found '999",
    "data.txt 2 small": "argument tol: invalid float value: 'small'",
    "data.txt 2 0": "argument tol: expected a finite number above 0, found 0.0",
    **{f"data.txt 2 {tol}": f"found {float(tol)}" for tol in ("-1", "nan", "inf", "1e400")},
    "data.txt 2 1 --restarts -1": "--restarts and --seed: expected whole numbers of at least 0",
    "data.txt 2 1 --seed -1": "--seed",
}


@pytest.mark.parametrize("line", ARGUMENTS)
def test_wrong_arguments_are_shown(command, tmp_path, line):
    (tmp_path / "data.txt").write_text("1\n2\n3\n4\n")
    assert_one_error(command(*line.split()), 2, ARGUMENTS[line], "; try --help")


@pytest.mark.parametrize(
    "lines, k, restarts, message",
    [
        ("1 2 2 3", 4, 3, "k = 4: expected 4 distinct values, found 3"),
        ("1 2 3 4", 4, 0, "unbounded: use fewer components, a larger tol, or --restarts\n"),
        ("1 2 3 4", 4, 3, "; each of 4 starts ended so: use fewer components or a larger tol\n"),
    ],
)
def test_data_that_cannot_be_fitted_is_code_1(command, tmp_path, lines, k, restarts, message):
    (tmp_path / "data.txt").write_text(lines.replace(" ", "\n"))
    result = command("data.txt", k, 1e-9, "--restarts", restarts)
    assert_one_error(result, 1, "error: data.txt: ", message)
    assert not (restarts and "--restarts" in result[2]), "a remedy that was used"


def test_a_range_of_k_prints_what_can_be_fitted(command, tmp_path):
    (tmp_path / "data.txt").write_text("0\n1\n7\n8\n")
    code, out, err = command("data.txt", "1-4", 0.1)
    alone = "".join(command("data.txt", k, 0.1)[1] for k in (1, 2, 4))
    assert (code, out, err.count("error: ")) == (1, alone, 1) and "k = 3: component" in err


def test_an_error_in_a_real_process_has_no_traceback():
    for text, code, error in ("", 2, "expected one"), ("1\n2\n", 1, "k = 3: "):  # numpy warns of ""
        done = run("gmm-em", "-", 3, 1, input=text)
        found = done.returncode, done.stdout, done.stderr
        assert_one_error(found, code, f"error: standard input: {error}")


LINES = ["1.5", "2.5", "# comment", "", "4", "  9.25  ", "11 # comment", "1e1", "", ""]
FIT = [1.5, 2.5, 4, 9.25, 11, 10]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["data.txt", "data.gz", "data.xz"])  # whatever it is called
def test_text_is_read_in_every_dress(em, tmp_path, end, mark, name):
    (tmp_path / name).write_bytes((mark + end.join(LINES)).encode())
    assert em.read_data(tmp_path / name).values.tolist() == FIT


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i2", ">i8", "u1", "f2"])
def test_arrays_are_read_in_every_kind_of_real_number(em, tmp_path, kind):
    (tmp_path / "data.NPY").write_bytes(saved(NUMBERS.astype(kind)))
    found, wanted = em.main(tmp_path / "data.NPY", 2, 1), em.train(NUMBERS, 2, 1)
    np.testing.assert_array_equal(np.hstack(found), np.hstack(wanted))


def test_a_named_pipe_gives_what_the_file_gives(tmp_path):
    read, text = run("gmm-em", "data.txt", 3, 1).stdout, (ROOT / "data.txt").read_text()
    os.mkfifo(tmp_path / "data.txt")
    writer = threading.Thread(target=(tmp_path / "data.txt").write_text, args=[text], daemon=True)
    writer.start()
    assert run("gmm-em", "data.txt", 3, 1, cwd=tmp_path).stdout == read
