"""The command line: what it prints, what it writes, and how it fails."""

import json
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

import numbapool as nbp
from numbapool.cli import COMMANDS, main
from numbapool.testing import reference


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        try:
            code = main([str(a) for a in args])
        except SystemExit as e:
            code = e.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def one_line(text):
    assert text.count("\n") == 1 and "Traceback" not in text
    return text


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30, 41, 3), dtype=np.uint8)


# ------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("command", COMMANDS)
def test_help(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0 and "usage:" in out


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nothing"],
        ["info", "extra"],
        ["warmup", "--ops", "median"],
        ["demo", "--size", "3"],
        ["warmup", "--dtypes", "complex64"],
        ["demo", "--output", "demo.svg"],
    ],
)
def test_bad_arguments(run, args):
    code, out, err = run(*args)
    assert code == 2 and not out and "error:" in err


def test_module_runs(run_python):
    assert "numbapool" in run_python(
        "import runpy, sys; sys.argv = ['numbapool', 'info']\n"
        "try: runpy.run_module('numbapool', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as e: assert not e.code"
    )


# ------------------------------------------------------------------------------------------------ info, warmup


def test_info(run):
    code, out, _ = run("info")
    assert code == 0
    for word in ("SIMD", "threading layer", "cache", nbp.__version__, np.__version__):
        assert word in out


def test_info_json(run):
    code, out, _ = run("info", "--json")
    assert code == 0 and json.loads(out)["numpy"] == np.__version__


def test_warmup_list(run):
    code, out, _ = run("warmup", "--list", "--ops", "max", "--dtypes", "float32")
    head, rule, *rows = out.splitlines()
    assert code == 0 and head.split()[:2] == ["kernel", "seconds"] and set(rule) == {"─"}
    assert any("max" in row and "float32" in row for row in rows) and "kernels ready" in rows[-1]


def test_warmup_runs_every_call(run):
    code, out, err = run("warmup", "--dtypes", "float32,uint8", "--ops", "avg,lp")
    assert code == 0 and "kernels ready" in out, err


def test_bench_list(run):
    code, _, err = run("bench", "--list")
    assert code == 0, err


# -------------------------------------------------------------------------------------------------------- pool


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("op", ["max", "min", "avg"])
def test_pool_image(run, photo, op, suffix):
    write(f"in{suffix}", photo)
    code, out, err = run("pool", f"in{suffix}", f"out{suffix}", "--op", op, "--window", "2,3", "--ceil-mode")
    options = {"dtype": np.uint8} if op == "avg" else {}
    expected = reference(f"{op}_pool2d", photo, (2, 3), ceil_mode=True, axes=(0, 1), **options)
    assert (code, err) == (0, "") and f"(30, 41, 3) uint8 -> out{suffix} (15, 14, 3) uint8" in out
    np.testing.assert_array_equal(read(f"out{suffix}"), expected)


def test_pool_jpeg(run, photo):
    write("in.jpg", photo)
    assert run("pool", "in.jpg", "out.jpg", "--op", "max", "--window", 2)[0] == 0
    assert read("out.jpg").shape == (15, 20, 3)


@pytest.mark.parametrize(
    "x",
    [np.arange(30 * 40).reshape(30, 40).astype(np.uint16), np.eye(30, dtype=bool)],
    ids=["uint16", "bool"],
)
def test_pool_grey_png(run, x):
    write("in.png", x)
    assert run("pool", "in.png", "out.png", "--op", "max", "--window", 3)[0] == 0
    y = read("out.png")
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, reference("max_pool2d", x, 3))


def test_pool_stack_keeps_its_frames(run):
    tifffile = pytest.importorskip("tifffile")
    stack = np.random.default_rng(0).integers(0, 9999, (4, 20, 22), dtype=np.uint16)
    tifffile.imwrite("in.tif", stack, photometric="minisblack")
    assert run("pool", "in.tif", "out.tif", "--op", "max", "--window", 2)[0] == 0
    np.testing.assert_array_equal(tifffile.imread("out.tif"), reference("max_pool2d", stack, 2))


@pytest.mark.parametrize(
    "args, fn, expected",
    [
        (["--window", "2"], "max_pool2d", {"kernel_size": 2}),
        (
            ["--window", "3,2,2", "--stride", "1,2,1"],
            "max_pool3d",
            {"kernel_size": (3, 2, 2), "stride": (1, 2, 1)},
        ),
        (
            ["--window", "3", "--axes", "1", "--padding", "0:2"],
            "max_pool1d",
            {"kernel_size": 3, "axes": (1,), "padding": ((0, 2),)},
        ),
        (
            ["--window", "3", "--axes=-1,0", "--padding", "1", "--dilation", "2,1", "--stride", "2"],
            "max_pool2d",
            {"kernel_size": 3, "axes": (-1, 0), "padding": 1, "dilation": (2, 1), "stride": 2},
        ),
        (
            ["--window", "3,3", "--padding", "same", "--stride", "1"],
            "max_pool2d",
            {"kernel_size": (3, 3), "padding": "same", "stride": 1},
        ),
    ],
)
def test_pool_array(run, args, fn, expected):
    x = np.random.default_rng(0).random((9, 10, 11))
    np.save("in.npy", x)
    code, _, err = run("pool", "in.npy", "out.npy", "--op", "max", *args)
    assert (code, err) == (0, "")
    np.testing.assert_array_equal(np.load("out.npy"), reference(fn, x, **expected))


def test_pool_dtype(run):
    x = np.full((4, 4), 255, np.uint8)
    np.save("in.npy", x)
    for args, dtype in ((["avg"], "uint8"), (["avg", "--dtype", "float32"], "float32"), (["sum"], "uint64")):
        assert run("pool", "in.npy", "out.npy", "--window", 2, "--op", *args)[0] == 0
        assert np.load("out.npy").dtype == dtype


@pytest.mark.parametrize(
    "args",
    [
        ["in.npy", "out.npy", "--op", "max"],
        ["in.npy", "out.npy", "--op", "median", "--window", "2"],
        ["in.npy", "out.npy", "--op", "max", "--window", "0"],
        ["in.npy", "out.npy", "--op", "max", "--window", "2x2"],
        ["in.npy", "out.npy", "--op", "max", "--window", "2", "--padding", "1:2:3"],
        ["in.npy", "out.npy", "--op", "max", "--window", "2", "--padding=-1"],
        ["in.npy", "out.npy", "--op", "max", "--window", "2", "--dtype", "uint8"],
        ["in.npy", "out.npy", "--op", "avg", "--window", "2", "--dtype", "number"],
        ["in.npy", "out.npy", "--op", "max", "--window", "2", "--axes", "0,1,2,3"],
        ["in.npy", "out.gif", "--op", "max", "--window", "2"],
        ["in.txt", "out.npy", "--op", "max", "--window", "2"],
    ],
)
def test_pool_bad_arguments(run, args):
    np.save("in.npy", np.ones((2, 4, 4, 4)))
    code, out, err = run("pool", *args)
    assert code == 2 and not out and "error: " in err
    assert os.listdir() == ["in.npy"]


@pytest.mark.parametrize(
    "source, target, args, word",
    [
        ("none.npy", "out.npy", ["--window", "2"], "none.npy"),
        ("none.png", "out.npy", ["--window", "2"], "none.png"),
        ("bad.npy", "out.npy", ["--window", "2"], "bad.npy"),
        ("bad.png", "out.png", ["--window", "2"], "bad.png"),
        ("bad.tif", "out.tif", ["--window", "2"], "bad.tif"),
        ("object.npy", "out.npy", ["--window", "2"], "object.npy"),
        ("complex.npy", "out.npy", ["--window", "2"], "complex"),
        ("in.npy", "out.npy", ["--window", "99"], "99"),
        ("in.npy", "out.npy", ["--window", "2", "--padding", "5"], "padding"),
        ("in.npy", "out.npy", ["--window", "2,2,2"], "axes"),
        ("in.npy", "out.npy", ["--window", "2", "--axes", "7"], "axes"),
        ("in.png", "out.npy", ["--window", "2,2,2"], "--axes"),
        ("in.npy", "none/out.npy", ["--window", "2"], "none/out.npy"),
        ("in.npy", "out.png", ["--window", "2"], "float64"),
        ("in.png", "folder.png", ["--window", "2"], "folder.png"),
    ],
)
def test_pool_failures_are_one_line(run, photo, source, target, args, word):
    np.save("in.npy", np.ones((8, 8)))
    np.save("complex.npy", np.ones((8, 8), complex))
    np.save("object.npy", np.array([{}], object))
    write("in.png", photo)
    for name in ("bad.npy", "bad.png", "bad.tif"):
        Path(name).write_bytes(b"nothing of the sort")
    os.mkdir("folder.png")
    before = sorted(os.listdir())
    code, out, err = run("pool", source, target, "--op", "max", *args)
    assert code == 1 and not out and word in one_line(err)
    assert sorted(os.listdir()) == before


def test_pool_keeps_the_old_file_on_failure(run, monkeypatch):
    np.save("in.npy", np.ones((8, 8)))
    Path("out.npy").write_text("old")

    def save(file, y):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    code, _, err = run("pool", "in.npy", "out.npy", "--op", "max", "--window", 2)
    assert code == 1 and "No space left" in one_line(err)
    assert Path("out.npy").read_text() == "old" and sorted(os.listdir()) == ["in.npy", "out.npy"]


def test_pool_onto_itself_and_through_a_link(run):
    np.save("in.npy", np.arange(16.0).reshape(4, 4))
    os.symlink("in.npy", "link.npy")
    assert run("pool", "in.npy", "link.npy", "--op", "max", "--window", 2)[0] == 0
    assert os.path.islink("link.npy") and np.load("in.npy").tolist() == [[5, 7], [13, 15]]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(os.stat("in.npy").st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("name, module", [("in.png", "PIL"), ("in.tif", "tifffile")])
def test_missing_reader_names_the_extra(run, photo, monkeypatch, name, module):
    write(name, photo)
    for loaded in [m for m in sys.modules if m.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = run("pool", name, "out.npy", "--op", "max", "--window", 2)
    assert code == 1 and "numbapool[demo]" in one_line(err)


# -------------------------------------------------------------------------------------------------------- demo


def test_demo(run):
    pytest.importorskip("skimage")
    Image = pytest.importorskip("PIL.Image")
    code, out, err = run("demo", "--size", 400, "--seconds", 0, "--output", "picture.png")
    assert code == 0, err
    assert "agree with the NumPy reference" in out
    for title in ("avg_pool3d(2) backward", "max_unpool2d(indices, 2)", "avg_pool2d(2, where=mask) backward"):
        assert title in out
    assert os.listdir() == ["picture.png"]
    with Image.open("picture.png") as picture:
        assert picture.width > 1000 and len(picture.convert("RGB").getcolors(1 << 24)) > 1000


# ----------------------------------------------------------------------------------------------------- helpers


def write(name, x):
    if name.endswith(".tif"):
        pytest.importorskip("tifffile").imwrite(name, x, photometric="rgb" if x.ndim == 3 else "minisblack")
    else:
        pytest.importorskip("PIL.Image").fromarray(x).save(name)


def read(name):
    if name.endswith(".tif"):
        return pytest.importorskip("tifffile").imread(name)
    with pytest.importorskip("PIL.Image").open(name) as image:
        return np.asarray(image)
