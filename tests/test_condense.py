"""Many values condensed to few points: the same sums, the same fit, in little memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import assert_same_fit, textbook

N = 60_000


def mixed(seed):
    """Return N values of three kinds, a number of components, tol, and a start or None."""
    rng, parts = np.random.RandomState(seed), []
    for _ in range(3):
        place, scale, size = rng.uniform(-20, 20), 10 ** rng.uniform(-1, 1), N // 3
        kinds = [
            lambda m, s, n: rng.normal(m, s, n),
            lambda m, s, n: rng.normal(m, s, n).round(1),  # ties
            lambda m, s, n: rng.randint(-5, 30, n),
            lambda m, s, n: rng.uniform(m, m + 30 * s, n),  # a background
            lambda m, s, n: rng.normal(m + 500, s, n),  # a gap, or a far group
            lambda m, s, n: rng.standard_t(3, n) * s + m,  # tails
            lambda m, s, n: rng.lognormal(0, 1, n),
            lambda m, s, n: rng.exponential(s, n) - m,
        ]
        parts.append(kinds[rng.randint(len(kinds))](place, scale, size))
    data, k = np.concatenate(parts), 1 + seed % 6
    if seed % 8 == 5:
        data[:30] += 1e6 * rng.normal(size=30)  # outliers a million sds away
    if seed % 2 == 0:
        return data, k, 30, None
    means = np.sort(rng.choice(data, k, replace=False))
    return data, k, 30, (np.full(k, 1 / k), means, np.var(data) * 10 ** rng.uniform(-3, 0, k))


# In the others of the first 48 the handout's start leads to a collapse.
@pytest.mark.parametrize("seed", sorted({*range(48)} - {2, 8, 28, 34}))
def test_many_values_get_the_fit_of_the_textbook(trace, seed):
    assert_same_fit(trace(*mixed(seed)), textbook(*mixed(seed), dtype=float))


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is a double here")
@pytest.mark.parametrize("seed", [3, 11, 18])
def test_many_values_get_the_fit_of_the_textbook_in_long_double(trace, seed):
    assert_same_fit(trace(*mixed(seed)), textbook(*mixed(seed)), rtol=1e-11)


@pytest.mark.parametrize("seed", range(8))
def test_every_grid_has_the_powers_of_the_values(em, seed):
    condensed = em.condense(mixed(seed)[0] + 1e3)
    middle, half = (condensed.high + condensed.low) / 2, (condensed.high - condensed.low) / 2
    powers = np.arange(16)[:, None]
    wanted = (((condensed.values - condensed.shift - middle) / half) ** powers).sum(axis=1)
    assert len(condensed.grids) > 5
    for grid in condensed.grids:
        found = (((grid.nodes - middle) / half) ** powers * grid.counts).sum(axis=1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * N)
        assert grid.counts.sum() == pytest.approx(N, rel=1e-12)
        assert grid.sizes.sum() == pytest.approx(N, rel=1e-12)


@pytest.fixture
def points(em, monkeypatch):
    """The number of points of every E-step, as a list that grows."""
    found, expectation = [], em.expectation

    def spy(data, *arguments, **options):
        found.append(len(data))
        return expectation(data, *arguments, **options)

    monkeypatch.setattr(em, "expectation", spy)
    return found


def test_steps_are_made_on_as_few_points_as_will_do(em, points):
    em.train(mixed(10)[0], 5, 30)
    assert max(points) < N / 50
    del points[:]
    rng = np.random.RandomState(0)  # a narrow component asks for finer cells
    data = np.append(rng.normal(0, 1, N // 2), rng.normal(0, 0.02, N // 2))
    em.train(data, 2, 1, ([0.5, 0.5], [0, 0], [2, 1]))
    assert points[0] < points[-1] < N / 2
    del points[:]
    em.train(np.arange(N), 2, 1)  # of a range of many thousand σ, until σ has grown
    assert sum(points[:2]) == N and max(points[-9:]) < N / 100


def test_ties_collapse_no_sooner_and_no_later_than_uncondensed(em):
    data = np.append(np.random.RandomState(0).normal(0, 1, N), [0.5] * N)
    start = [0.5, 0.5], [0, 0.5], [1, 0.1]
    verdicts = []
    for values in em.condense(data), em.condense(data)._replace(grids=[]):
        with pytest.raises(em.Collapse) as error:
            em.train(values, 2, 1e-6, start)
        verdicts.append(str(error.value))
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("block", [28, 2**12])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_size_of_blocks_and_the_order_of_values_change_rounding_only(
    em, trace, monkeypatch, seed, block
):
    data, k, tol, start = mixed(seed)
    data = np.random.RandomState(0).permutation(data)[:: 1 if block > 28 else 100]
    wanted = trace(data, k, tol, start)
    monkeypatch.setattr(em, "BLOCK", block)
    assert_same_fit(trace(data[::-1], k, tol, start), wanted, rtol=1e-11)


def test_the_data_is_read_twice_however_many_the_iterations(em, monkeypatch):
    read, blocks_of = [], em.blocks_of

    def spy(*arguments):
        for block in blocks_of(*arguments):
            read.append(len(block))
            yield block

    monkeypatch.setattr(em, "blocks_of", spy)
    em.best_of(mixed(10)[0], 3, 1, 2, 0, lambda *step: None)
    assert sum(read) < 2.2 * N


def test_the_bytes_printed_depend_neither_on_cores_nor_on_the_kind_of_file(run, tmp_path):
    data = mixed(10)[0]
    np.save(tmp_path / "data.npy", data)
    (tmp_path / "data.txt").write_text("\n".join(map(repr, data.tolist())))
    printed = []
    for name, cores in ("data.npy", "1"), ("data.npy", "2"), ("data.txt", "2"):
        env = os.environ | {"OPENBLAS_NUM_THREADS": cores}
        done = run("gmm-em", name, 4, 1e-3, "--restarts", 1, cwd=tmp_path, env=env)
        assert done.returncode == 0
        printed.append(done.stdout.replace(name, ""))
    assert printed[0] == printed[1] == printed[2]


LIMITED = """
import re, resource, runpy, sys
import numpy
numpy.ones((99, 99)) @ numpy.ones((99, 99))  # the linear algebra takes its memory once
used = int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 40_000_000,) * 2)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs the limits of Linux")
def test_a_file_of_80_mb_is_fitted_in_40_mb(root, tmp_path):
    n = 10_000_000
    np.lib.format.open_memmap(tmp_path / "data.npy", "w+", float, (n,))[:] = np.resize(
        mixed(10)[0], n
    )
    command = [sys.executable, "-c", LIMITED, root / "gmm-em.py", tmp_path / "data.npy", "8", "1e3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and f"n: {n}\n" in done.stdout
