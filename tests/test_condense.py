"""Many values condensed to few points: the same sums and fit, in little memory."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import OPTIONS, ROOT, assert_same_fit, run, textbook, trace

pytestmark = pytest.mark.filterwarnings("error")
N = 60_000


def mixed(seed):
    """Return N values of three kinds, k, tol, and a start or None."""
    rng, n, data = np.random.RandomState(seed), N // 3, []
    for _ in range(3):
        m, s = rng.uniform(-20, 20), 10 ** rng.uniform(-1, 1)
        kinds = [
            lambda m, s: rng.normal(m, s, n),
            lambda m, s: rng.normal(m, s, n).round(1),  # ties
            lambda m, s: rng.randint(-5, 30, n),
            lambda m, s: rng.uniform(m, m + 30 * s, n),  # a background
            lambda m, s: rng.normal(m + 500, s, n),  # a gap, or a far group
            lambda m, s: rng.standard_t(3, n) * s + m,  # tails
            lambda m, s: rng.lognormal(0, 1, n),
            lambda m, s: rng.exponential(s, n) - m,
        ]
        data = np.append(data, kinds[rng.randint(len(kinds))](m, s))
    k = 1 + seed % 6
    if seed % 8 == 5:
        data[:30] += 1e6 * rng.normal(size=30)  # outliers a million sds away
    if seed % 2 == 0:
        return data, k, 30, None
    data *= 10.0 ** (seed % 3 * 7 - 7)  # a unit
    means = np.sort(rng.choice(data, k, replace=False))
    varis = np.var(data) * 10 ** rng.uniform(-3, 0, k)
    return data, k, 30, (np.full(k, 1 / k), means, varis)


# In the others of the first 36 the handout's start leads to a collapse.
@pytest.mark.parametrize("seed", sorted({*range(36)} - {2, 8, 28, 34}))
def test_many_values_get_the_fit_of_the_textbook_in_any_order(em, seed):
    data, *arguments = mixed(seed)
    found = trace(em, data[::-1], *arguments)
    assert_same_fit(found, textbook(data, *arguments, dtype=float))


@pytest.mark.parametrize("seed", range(8))
def test_every_grid_has_the_powers_of_the_values(em, seed):
    condensed = em.condense(mixed(seed)[0] + 1e3)
    middle, half = condensed.ends.mean(), np.ptp(condensed.ends) / 2
    powers = np.arange(16)[:, None]
    values = (condensed.values - condensed.shift - middle) / half
    wanted = (values**powers).sum(axis=1)
    assert len(condensed.grids) > 5
    for grid in condensed.grids:
        scaled = (grid.nodes - middle) / half
        found = (scaled**powers * grid.node_weights).sum(axis=1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * N)
        sizes = grid.cell_sizes
        assert sizes.sum() == pytest.approx(N, rel=1e-12) and min(sizes) > 0.9


def test_the_example_of_the_comment_is_true(em):
    source = (ROOT / "gmm-em.py").read_text("utf-8")
    lines = re.findall(r"(?m)^#     (.*)", source.partition("# ---- Many values")[2])
    *lines, last = [line for line in lines if "node" in line or "values" in line]
    names = vars(em).copy()
    exec("\n".join(lines), names)
    found = eval(last.partition("#")[0], names)
    assert found == pytest.approx((5000, (names["values"] ** 2).sum()), rel=1e-12)


@pytest.fixture
def points(em, monkeypatch):
    """Return the list of how many points each call of gammas_and_logs had."""
    points, gammas_and_logs = [], em.gammas_and_logs

    def spy(data, *parameters):
        points.append(len(data))
        return gammas_and_logs(data, *parameters)

    monkeypatch.setattr(em, "gammas_and_logs", spy)
    return points


def test_steps_are_made_on_as_few_points_as_will_do(em, points):
    rng = np.random.RandomState(0)  # a narrow component asks for finer cells
    data = np.append(rng.normal(0, 1, N // 2), rng.normal(0, 0.02, N // 2))
    em.train(data, 2, 1, ([0.5, 0.5], [0, 0], [2, 1]))
    assert points[0] < points[-1] < N / 2
    points.clear()
    em.train(np.arange(-N, 0), 2, 1)  # σ = 1 is too narrow, until it has grown
    assert sum(points[: -(-N // max(points))]) == N and max(points[-9:]) < N / 100


def test_condensing_begins_at_4096_values_and_ignores_empty_components(em, points):
    data, start = mixed(10)[0], np.array([[0.5, 0.5], [-9, 9], [81, 81]])
    for n, fewest in (4095, 4095), (4096, 0):
        em.condense(data[:n]).step(*start)
        assert fewest <= points[-1] <= max(fewest, 700)
    em.condense(data).step(*np.array([[1, 0], [0, 5], [400, 1e-12]]))
    assert points[-1] < N / 100


@pytest.mark.parametrize("seed", [0, 1, 5])  # the sample alone has a needle
def test_a_look_goes_seldom_over_all_values(em, points, seed):
    data = em.condense(np.random.default_rng(seed).normal(0, 1, N))
    assert em.look_around(data, 9, 1.0, 0, 0.0).rank == 0
    assert sum(points) < 5 * N


def test_a_step_keeps_its_digits_from_wide_to_narrow_and_with_steep_gammas(em):
    rng = np.random.RandomState(0)
    wide = np.append(rng.normal(0, 1e3, N), rng.normal(5e8, 1e8, N))
    steep = rng.uniform(-5, 55, N)  # half way, γ goes from 0 to 1 within σ²/50
    for data, means, varis in (wide, [0, 5e8], [1e14, 1e16]), (steep, [0, 50], [1, 1]):
        data, start = em.condense(data), np.array([[0.5, 0.5], means, varis])
        over_values = data._replace(grids=[]).step(*start)
        np.testing.assert_allclose(data.step(*start)[3], over_values[3], rtol=2e-12)


def test_the_data_is_read_twice_however_many_the_iterations(em, monkeypatch):
    read, blocks_of = [], em.blocks_of

    def spy(*arguments):
        for block in blocks_of(*arguments):
            read.append(len(block))
            yield block

    monkeypatch.setattr(em, "blocks_of", spy)
    em.best_of(mixed(10)[0], 3, 1, 2)
    assert sum(read) == 2 * N  # for the range, and to condense


def test_the_bytes_printed_depend_neither_on_cores_nor_on_the_kind_of_file(tmp_path):
    np.save(tmp_path / "data.npy", mixed(10)[0])
    np.savetxt(tmp_path / "data.txt", mixed(10)[0], "%.17g")
    printed = set()
    for name, cores in ("data.npy", "1"), ("data.npy", "2"), ("data.txt", "2"):
        env = os.environ | {"OPENBLAS_NUM_THREADS": cores}
        done = run("gmm-em", name, 4, 1e-3, "--restarts", 1, cwd=tmp_path, env=env)
        printed.add((done.returncode, done.stdout.replace(name, "")))
    assert len(printed) == 1 and printed.pop()[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory")
def test_a_file_larger_than_the_memory_that_is_allowed_is_fitted(tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "data.npy", "w+", float, (20_000_000,))
    file[:] = np.resize(mixed(10)[0], len(file))  # 160 MB
    fit = f"'{sys.executable}' gmm-em.py '{tmp_path}/data.npy' 8 1e3"
    script = f"ulimit -d 120000; OPENBLAS_NUM_THREADS=1 {fit}"  # in units of 1024 bytes
    ran = subprocess.run(script, shell=True, **OPTIONS)
    assert ran.returncode == 0 and "\nn: 20000000\n" in ran.stdout
