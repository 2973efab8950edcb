"""Wrong input to gmm-em.py: one line that says where and what, and good input in every dress."""

import io
import os
import re
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files, pipes and signals")


@pytest.fixture
def command(em, monkeypatch, capfd, tmp_path):
    """Return command(*arguments) -> exit code, stdout, stderr, run in this process and tmp_path."""

    def command(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["gmm-em.py", *map(str, arguments)])
        code = 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                em.command_line()
            except SystemExit as end:
                code = end.code
        return code, *capfd.readouterr()

    return command


def assert_one_error(result, code, *parts):
    """Check the exit code and a single line of error that holds the parts."""
    found, out, err = result
    assert (found, out) == (code, "")
    assert err.startswith("gmm-em.py: error: ") and err.endswith("\n") and err.count("\n") == 1
    assert all(part in err for part in parts), err


TEXTS = {
    "empty": (b"", "data.txt: ", "found none"),
    "only comments": (b"# a\n\n  # b\n", "data.txt: ", "found none"),
    "only a BOM": (b"\xef\xbb\xbf", "data.txt: ", "found none"),
    "a word": (b"1\n2\nthree\n4\n", "data.txt:3: ", "'three'"),
    "a heading": (b"height\n1\n2\n", "data.txt:1: ", "'height'"),
    "two numbers on a line": (b"1\n2 3\n", "data.txt:2: ", "'2 3'"),
    "two numbers on every line": (b"1 2\n3 4\n", "data.txt:1: ", "'1 2'"),
    "all numbers on one line": (b"1 2 3\n", "data.txt:1: ", "'1 2 3'"),
    "semicolons": (b"1\n2;\n", "data.txt:2: ", "'2;'"),
    "a decimal comma": (b"1.5\n2,5\n", "data.txt:2: ", "'2,5'", "decimal point"),
    "NaN": (b"1\nnan\n2\n", "data.txt:2: ", "'nan'"),
    "infinity": (b"1\n2\n-Infinity\n", "data.txt:3: ", "'-Infinity'"),
    "too large for a double": (b"1\n1e999\n", "data.txt:2: ", "'1e999'"),
    "complex": (b"1\n1+2j\n", "data.txt:2: ", "'1+2j'"),
    "hexadecimal": (b"1\n0x10\n", "data.txt:2: ", "'0x10'"),
    "a grouped number": (b"1\n1_000\n", "data.txt:2: ", "'1_000'"),
    "digits of another script": ("1\n٣\n".encode(), "data.txt:2: ", "'٣'"),
    "a typographic minus": ("1\n−5\n".encode(), "data.txt:2: ", "'−5'"),
    "binary": (bytes(range(256)), "data.txt:1: ", r"\x00\x01\x02"),
    "UTF-16 with a BOM": ("1\n2\n".encode("utf-16"), "data.txt:1: ", "UTF-8"),
    "UTF-16 without a BOM": ("1\n2\n".encode("utf-16-le"), "data.txt:1: ", r"'1\x00'", "UTF-8"),
    "a NUL byte": (b"1\n2\0\n3\n", "data.txt:2: ", r"'2\x00'"),
    "a Latin-1 byte": (b"1\n2\xb5\n", "data.txt:2: ", "'2", "UTF-8"),
    "a Latin-1 byte in a comment": (b"1\n2 # \xb5m\n", "data.txt:2: ", "'2 # ", "UTF-8"),
    "after comments and blank lines": (b"# a\n\n1 # b\n\nx\n", "data.txt:5: ", "'x'"),
    "before a comment": (b"1\n2 m # two metres\n", "data.txt:2: ", "'2 m # two metres'"),
    "after CRLF": (b"1\r\n\r\n# c\r\nbad\r\n", "data.txt:4: ", "'bad'"),
    "after CR": (b"1\r2\rbad\r", "data.txt:3: ", "'bad'"),
    "after a BOM": (b"\xef\xbb\xbf1\nbad\n", "data.txt:2: ", "'bad'"),
    "a BOM in the middle": (b"1\n\xef\xbb\xbf2\n", "data.txt:2: ", r"'\ufeff2'"),
    "a million lines": (b"1\n" * 999_999 + b"bad", "data.txt:1000000: ", "'bad'"),
    "an endless line": (b"1\n" + b"x" * 10**6, "data.txt:2: ", "'" + "x" * 40),
}


@pytest.mark.parametrize("case", TEXTS)
def test_unreadable_text_is_shown_with_its_line(command, tmp_path, case):
    content, *parts = TEXTS[case]
    (tmp_path / "data.txt").write_bytes(content)
    result = command("data.txt", 2, 1)
    assert_one_error(result, 2, *parts)
    assert len(result[2]) < 250


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


NUMBERS = np.arange(12.0)
GOOD = saved(NUMBERS)
ARRAYS = {
    "truncated": (GOOD[:-3], ""),
    "truncated in its header": (GOOD[:40], ""),
    "of no bytes": (b"", ""),
    "text": (b"1\n2\n3\n4\n", ""),
    "of a later format": (GOOD[:6] + b"\x09" + GOOD[7:], "version"),
    "with a header that is no expression": (GOOD.replace(b"}", b" "), ""),
    "of impossible length": (GOOD.replace(b"(12,), }" + 22 * b" ", b"(%d,), }" % 10**23), ""),
    "zero axes": (saved(np.array(3.0)), "shape () of float64"),
    "two axes": (saved(NUMBERS[:, None]), "shape (12, 1) of float64"),
    "three axes": (saved(NUMBERS.reshape(2, 3, 2)), "shape (2, 3, 2) of float64"),
    "no values": (saved(NUMBERS[:0]), "shape (0,) of float64"),
    "strings": (saved(np.array(["1", "2"])), "1-D real numbers", "<U1"),
    "complex": (saved(NUMBERS + 1j), "1-D real numbers", "complex128"),
    "booleans": (saved(NUMBERS > 3), "1-D real numbers", "bool"),
    "dates": (saved(np.array(["2020-01-01"], "M8[D]")), "1-D real numbers", "datetime64"),
    "objects": (saved(np.array([1, None]), allow_pickle=True), "objects"),
    "NaN": (saved(np.where(NUMBERS == 4, np.nan, NUMBERS)), "finite numbers", "nan at index 4"),
    "infinity": (saved(np.where(NUMBERS == 5, -np.inf, 0)), "finite numbers", "-inf at index 5"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_unreadable_array_is_named(command, tmp_path, case):
    content, *parts = ARRAYS[case]
    (tmp_path / "data.npy").write_bytes(content)
    assert_one_error(command("data.npy", 2, 1), 2, "data.npy: ", *parts)


@pytest.mark.parametrize("name", ["missing.txt", "missing.npy", "folder", "folder.npy"])
def test_a_missing_file_or_a_folder_is_named(command, tmp_path, name):
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    assert_one_error(command(name, 2, 1), 2, f"cannot read {name}: ")


@pytest.mark.parametrize(
    "arguments, parts",
    [
        ([], ["data, k, tol"]),
        (["data.txt", 2], ["tol"]),
        (["data.txt", 2, 1, "more"], ["unrecognized", "more"]),
        (["data.txt", 2, 1, "--wat"], ["unrecognized", "--wat"]),
        (["data.txt", 0, 1], ["k: expected k ≥ 1, or a range such as 2-6, found '0'"]),
        (["data.txt", -3, 1], ["k: ", "found '-3'"]),
        (["data.txt", 1.5, 1], ["k: ", "found '1.5'"]),
        (["data.txt", "two", 1], ["k: ", "found 'two'"]),
        (["data.txt", "nan", 1], ["k: ", "found 'nan'"]),
        (["data.txt", "", 1], ["k: ", "found ''"]),
        (["data.txt", "9" * 5000, 1], ["k: ", "found '999"]),
        *((["data.txt", k, 1], ["k: ", f"found {k!r}"]) for k in ("6-2", "2-", "0-3", "2-3-4")),
        (["data.txt", 2, "small"], ["tol: invalid float value: 'small'"]),
        (["data.txt", 2, 0], ["tol: expected a finite number above 0, found 0.0"]),
        (["data.txt", 2, -1], ["tol: ", "found -1.0"]),
        (["data.txt", 2, "nan"], ["tol: ", "found nan"]),
        (["data.txt", 2, "inf"], ["tol: ", "found inf"]),
        (["data.txt", 2, "1e400"], ["tol: ", "found inf"]),
        (["data.txt", 2, 1, "--restarts", -1], ["--restarts", "at least 0"]),
        (["data.txt", 2, 1, "--restarts", "x"], ["--restarts: invalid int value: 'x'"]),
        (["data.txt", 2, 1, "--seed", -1], ["--seed", "at least 0"]),
    ],
)
def test_wrong_arguments_are_shown(command, tmp_path, arguments, parts):
    (tmp_path / "data.txt").write_text("1\n2\n3\n4\n")
    assert_one_error(command(*arguments), 2, *parts, "--help")


UNFIT = [
    ("1 2 2 3", 4, "k = 4: expected 4 distinct values, found 3: use fewer components"),
    ("5 5 5", 1, "k = 1: expected 2 distinct values, found 1"),
    ("5", 1, "k = 1: expected 2 distinct values, found 1"),
    ("1 2 3 4", 4, "k = 4: component 4 collapsed onto the value 4 in iteration"),
    ("-1e308 1e308", 1, "k = 1: a range of inf is not 1e-75 to 1e75: rescale it"),
]


@pytest.mark.parametrize("restarts", [0, 3])
@pytest.mark.parametrize("lines, k, message", UNFIT)
def test_data_that_cannot_be_fitted_is_code_1(command, tmp_path, lines, k, message, restarts):
    (tmp_path / "data.txt").write_text(lines.replace(" ", "\n"))
    result = command("data.txt", k, 1e-9, "--restarts", restarts)
    assert_one_error(result, 1, "data.txt: ", message)
    if "collapsed" in message:
        assert ("each of 4 starts ended so: use fewer" in result[2]) == bool(restarts)
        assert ("or --restarts" in result[2]) == (not restarts), "a remedy that was used"


def test_a_range_of_k_prints_what_can_be_fitted(command, tmp_path):
    (tmp_path / "data.txt").write_text("1\n2\n2\n3\n")
    code, out, err = command("data.txt", "1-5", 1)
    alone = "".join(command("data.txt", k, 1)[1] for k in (1, 2, 3))
    assert (code, out, err.count("error: ")) == (1, alone, 2)
    assert "k = 4: " in err and "k = 5: " in err


def test_starts_that_collapse_are_counted_in_a_note(command, root):
    _, out, err = command(root / "data.txt", 6, 1e-6, "--restarts", 3)
    assert out.startswith("data: ")
    assert "gmm-em.py: note: 2 of 4 starts collapsed and were left out\n" in err


def test_packed_files_are_read_as_the_bytes_that_they_have(command, tmp_path):
    for end in ("gz", "bz2", "xz", "lzma"):
        (tmp_path / f"data.{end}").write_text("1\n2\n4\n")
        assert command(f"data.{end}", 1, 1)[0] == 0
        (tmp_path / f"data.{end}").write_bytes(b"\x1f\x8b\x08not numbers")
        assert_one_error(command(f"data.{end}", 1, 1), 2, f"data.{end}:1: ")


@posix
@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_a_result_does_not_need_standard_error(root, stream):
    # A collapsed start makes a note, which has nowhere to go.
    script = f"'{sys.executable}' -OO gmm-em.py data.txt 6 1e-6 --restarts 3 {stream}"
    done = subprocess.run(script, shell=True, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("data: ")


def test_an_error_in_a_real_process_has_no_traceback(run, tmp_path):
    (tmp_path / "data.txt").write_text("1\n2,5\n")
    done = run("gmm-em", "data.txt", 2, 1, cwd=tmp_path)
    assert_one_error((done.returncode, done.stdout, done.stderr), 2, "data.txt:2: ", "'2,5'")


LINES = ["1.5", "2.5", "# comment", "", "4", "  9.25  ", "11 # comment", "1e1"]
FIT = [1.5, 2.5, 4, 9.25, 11, 10]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "\n\n"])
def test_text_is_read_in_every_dress(em, tmp_path, end, mark, last):
    path = tmp_path / "data.txt"
    path.write_bytes((mark + end.join(LINES) + last.replace("\n", end)).encode())
    assert em.read_data(path).values.tolist() == FIT


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<i2", ">i8", "u1", "f2"])
def test_arrays_are_read_in_every_kind_of_real_number(em, tmp_path, kind):
    np.save(tmp_path / "data.npy", NUMBERS.astype(kind))
    fit = em.main(tmp_path / "data.npy", 2, 1)
    np.testing.assert_array_equal(
        np.concatenate(fit[:3]), np.concatenate(em.train(NUMBERS, 2, 1)[:3])
    )


def test_standard_input_gives_what_the_file_gives(run, root):
    text = (root / "data.txt").read_text()
    piped, read = run("gmm-em", "-", 3, 1, input=text), run("gmm-em", "data.txt", 3, 1)
    assert piped.returncode == 0
    assert piped.stdout == read.stdout.replace("data: data.txt", "data: -")


def test_wrong_standard_input_is_shown_with_its_line(run):
    done = run("gmm-em", "-", 2, 1, input="1\n\nx\n")
    assert_one_error((done.returncode, done.stdout, done.stderr), 2, "standard input:3: ", "'x'")


@posix
def test_a_fifo_is_read(em, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    text = "\n".join(LINES)
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=[text], daemon=True)
    writer.start()
    assert em.read_data(tmp_path / "pipe").values.tolist() == FIT


@posix
@pytest.mark.parametrize("name", ["µ.txt", "byte\udcff.txt"])
@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_file_name_that_standard_output_cannot_show_makes_no_traceback(
    run, tmp_path, name, encoding
):
    try:
        (tmp_path / name).write_text("1\n2\n3\n4\n")
    except OSError:
        pytest.skip("no such names on this file system")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = run("gmm-em", name, 1, 1, cwd=tmp_path, env=environment, text=False)
    assert b"Traceback" not in done.stderr


@posix
@pytest.mark.parametrize("reader", ["true", "head -1"])
def test_a_closed_pipe_makes_no_noise(root, reader):
    script = f"'{sys.executable}' gmm-em.py data.txt 3 1 | {reader}"
    done = subprocess.run(script, shell=True, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == ("" if reader == "true" else "data: data.txt\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_an_error(run):
    with open("/dev/full", "w") as full:
        done = run(
            "gmm-em", "data.txt", 3, 1, capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert re.fullmatch("gmm-em.py: error: cannot write the result: .+\n", done.stderr)
