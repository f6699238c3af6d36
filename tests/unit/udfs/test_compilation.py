"""How kernels are compiled, kept, found again and carried; and that nobody waits for them who can do without."""

import errno
import fcntl
import gc
import logging
import os
import pickle
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import llvmlite.binding
import numba
import pytest
from numba.core import types
from numba.extending import overload

from tests.support.paths import CHECKOUT
from tests.support.zipped import in_a_zip
from udfs import kernel_cache
from udfs.balancing.expected_sizes_kernel import expected_sizes_kernel
from udfs.compilation import KernelSet, kernel, part_of_kernel, part_options, while_compiling
from udfs.kernel_cache import family_of, find_kept

KEPT = expected_sizes_kernel.function
COMPILE = "from udfs.balancing import expected_sizes_kernel as kernel; compiled = kernel.expected_sizes_kernel()"
PROCESSOR = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
COUNT = "; print(sum(compiled.stats.cache_misses.values()))"


def test_compiled_code_is_kept_by_the_sources_of_the_whole_package(tmp_path):
    shutil.copytree(CHECKOUT / "udfs", tmp_path / "udfs", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)

    def folders_after_a_start():
        script = "from udfs.balancing import expected_sizes_kernel as kernel; kernel.expected_sizes_kernel()"
        subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, check=True)
        return {path.parents[1].name for path in tmp_path.rglob("*.nbi")}

    first = folders_after_a_start()
    assert len(first) == 1
    assert folders_after_a_start() == first
    with (tmp_path / "udfs" / "schemas.py").open("a") as schemas:
        schemas.write("FURTHER = 1\n")
    assert len(folders_after_a_start()) == 2


def test_one_process_compiles_and_the_others_load(tmp_path):
    script = (
        "import sys\n"
        "from udfs.balancing import expected_sizes_kernel as kernel\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(sum(kernel.expected_sizes_kernel().stats.cache_misses.values()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "NUMBA_CACHE_DIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", script], env=environment, **pipes) for _ in range(3)]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 3
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(process.communicate()[0] for process in started) == ["0\n", "0\n", "1\n"]


def test_compiled_code_is_kept_wherever_a_zip_lies(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path / "home")}
    environment = {
        name: value for name, value in environment.items() if name not in {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME"}
    }
    kept = []
    # Spark copies what --py-files names into another folder for every run.
    for folder in (tmp_path / "first", tmp_path / "second"):
        script = "from udfs.balancing import expected_sizes_kernel as kernel; kernel.expected_sizes_kernel()"
        given = environment | {"PYTHONPATH": str(in_a_zip(folder))}
        subprocess.run([sys.executable, "-c", script], env=given, cwd=tmp_path, check=True)
        kept.append({path: path.stat().st_mtime_ns for path in (tmp_path / "home").rglob("*.nb?")})
    assert kept[0]
    assert kept[0] == kept[1]


def run(script, cache, **more):
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "NUMBA_CACHE_DIR": str(cache), **more}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_code_is_found_again_by_the_same_processor_and_versions_only(tmp_path, monkeypatch):
    run(COMPILE, tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    digest = kernel_cache._digest.__wrapped__
    monkeypatch.setattr(kernel_cache, "_digest", digest)
    assert find_kept(KEPT)
    for owner, name, value in (
        (numba.config, "CPU_NAME", "generic"),
        (numba.config, "CPU_FEATURES", "+avx512f"),
        (numba, "__version__", "0.1"),
        (kernel_cache.llvmlite, "__version__", "0.1"),
        (sys.implementation, "cache_tag", "cpython-399"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(owner, name, value)
            assert find_kept(KEPT) is None, name
    assert find_kept(KEPT)


def test_code_that_was_not_written_to_its_end_is_not_there(tmp_path, monkeypatch):
    run(COMPILE, tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    [code] = find_kept(KEPT).glob("*.nbc")
    code.unlink()
    assert list(code.parent.glob("*.nbi"))
    assert find_kept(KEPT) is None


def double(number):
    return 2 * number


@kernel(double)
def double_kernel():
    return numba.int64(numba.int64)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder in which the code of `double_kernel` is kept, which this process has not loaded."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(double_kernel, "loaded", None)
    double_kernel()
    monkeypatch.setattr(double_kernel, "loaded", None)
    return find_kept(double)


def zero_the_second_half(content):
    return content[: len(content) // 2].ljust(len(content), b"\0")


DAMAGES = [lambda _content: b"", lambda content: content[: len(content) // 2], zero_the_second_half]


@pytest.mark.parametrize("damage", DAMAGES, ids=["emptied", "cut", "zero-filled"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_code_is_deleted_and_compiled_anew(kind, damage, kept, caplog, monkeypatch):
    [file] = kept.glob(f"*.{kind}")
    file.write_bytes(damage(file.read_bytes()))
    kernels = KernelSet(double_kernel, fewest_bytes=sys.maxsize)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            kernels.prepare(1)
    assert double_kernel.loaded is None
    assert [str(kept) in record.getMessage() for record in caplog.records] == [True]
    assert not list(kept.glob("*.nb?"))
    assert double_kernel()(4) == 8
    monkeypatch.setattr(double_kernel, "loaded", None)
    assert double_kernel.load()


def test_a_damaged_index_without_code_does_not_keep_a_kernel_from_being_kept(kept, monkeypatch):
    [index], [code] = kept.glob("*.nbi"), kept.glob("*.nbc")
    index.write_bytes(b"")
    code.unlink()
    assert double_kernel()(4) == 8
    monkeypatch.setattr(double_kernel, "loaded", None)
    assert double_kernel.load()


def test_an_index_that_does_not_name_the_code_is_replaced(kept, monkeypatch):
    [index] = kept.glob("*.nbi")
    index.write_bytes(pickle.dumps("0.1"))
    assert not double_kernel.load()
    assert double_kernel()(4) == 8
    monkeypatch.setattr(double_kernel, "loaded", None)
    assert double_kernel.load()


def test_damaged_code_that_came_with_python_stays_and_is_not_asked_again(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    shipped = Path(shutil.copytree(tmp_path / "cache", kernel_cache.shipped_folder()))
    [code] = shipped.rglob("*.nbc")
    code.write_bytes(b"")
    shutil.rmtree(kept)
    assert not double_kernel.load()
    assert code.exists()
    assert double_kernel()(4) == 8
    assert find_kept(double) == kept


@pytest.mark.usefixtures("kept")
def test_code_that_is_there_is_loaded_while_another_process_holds_the_lock(monkeypatch):
    monkeypatch.setattr(kernel_cache, "_LONGEST_COMPILATION_SECONDS", 5.0)
    with kernel_cache.lock_file(f"{double.__module__}.{double.__qualname__}") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begun = time.monotonic()
        assert double_kernel.load()
        assert time.monotonic() - begun < 3


def test_the_family_of_a_processor():
    names = "avx2 bmi bmi2 cx16 f16c fma lzcnt movbe popcnt sahf sse4.2 xsave avx512f"
    features = dict.fromkeys(names.split(), True)
    assert family_of("x86_64", features) == "x86-64-v3"
    assert family_of("x86_64", features | {"avx2": False}) is None
    assert family_of("x86_64", {}) is None
    assert family_of("aarch64", {"neon": True, "sve": True}) == "generic"
    assert family_of("riscv64", features) is None


@pytest.mark.parametrize("given", [{}, {"NUMBA_CPU_NAME": "haswell"}, {"NUMBA_CPU_FEATURES": "+avx"}])
def test_a_processor_that_the_environment_names_is_taken(given, tmp_path, monkeypatch):
    for name in PROCESSOR:
        monkeypatch.delenv(name, raising=False)
    family = family_of(platform.machine(), llvmlite.binding.get_host_cpu_features())
    chosen = (family, "" if family else None) if not given else tuple(map(given.get, PROCESSOR))
    show = "import udfs.kernel_cache, numba; print((numba.config.CPU_NAME, numba.config.CPU_FEATURES))"
    assert run(show, tmp_path, **given) == repr(chosen)


def test_code_that_came_with_python_is_loaded_and_not_compiled_again(tmp_path):
    built, shipped = tmp_path / "built", tmp_path / "python" / "share" / "metaclip-spark"
    run(COMPILE, built)
    # Files that are copied are as old as the copy.
    shutil.copytree(built, shipped, copy_function=shutil.copyfile)
    script = f"import sys; sys.prefix = {str(tmp_path / 'python')!r}; {COMPILE}{COUNT}"
    assert run(script, tmp_path / "empty") == "0"
    assert not (tmp_path / "empty").exists() or not list((tmp_path / "empty").rglob("*.nbc"))
    assert run(script, tmp_path / "empty", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="") == "1"


def test_scratch_space_that_others_may_write_to_holds_no_code(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = kernel_cache._scratch_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(OSError, match="somebody else's"):
        kernel_cache._scratch_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OSError, match="somebody else's"):
        kernel_cache._scratch_folder()


def test_a_folder_of_the_package_that_cannot_be_written_is_passed_over(tmp_path):
    shutil.copytree(CHECKOUT / "udfs", tmp_path / "udfs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "udfs" / "__pycache__").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("NUMBA_CACHE_DIR", None)
    show = "from udfs.kernel_cache import lock_file; print(lock_file('any').name)"
    shown = subprocess.run([sys.executable, "-c", show], env=environment, cwd=tmp_path, check=True, capture_output=True)
    assert Path(shown.stdout.decode()).is_relative_to(tmp_path / "cache" / "metaclip-spark")


def test_parts_are_made_into_machine_code_with_their_kernel_only(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    @part_of_kernel
    def half(number):
        return number // 2

    @part_of_kernel
    def quarter(number):
        return half(half(number))

    @kernel(lambda number: quarter(number) + half(number))
    def sums():
        return numba.int64(numba.int64)

    assert sums()(40) == 30
    for part in (half, quarter):
        [result] = part.overloads.values()
        assert result.library.get_pointer_to_function(result.fndesc.llvm_func_name) == 0


SLOW = """
import os, pathlib, time
def wait():
    pathlib.Path(os.environ["STARTED"], str(os.getpid())).touch()
    time.sleep(120)
"""
ASK = """
import sys, time
from udfs.compilation import KernelSet
class Slow:
    name = "slow", "wait"
    def load(self): return False
kernels = KernelSet(Slow(), fewest_bytes=100)
kernels.prepare(99)
assert kernels._process is None
kernels.prepare(1)
print(kernels._process is not None, flush=True)
sys.stdin.readline()
"""


def test_one_process_of_a_machine_compiles_in_the_background_and_ends_with_its_parent(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "started").mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{tmp_path}", "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    environment["STARTED"] = str(tmp_path / "started")

    def ask():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", ASK], env=environment, **pipes)

    def started():
        return sorted(int(path.name) for path in (tmp_path / "started").iterdir())

    first = ask()
    try:
        assert first.stdout.readline() == "True\n"
        until(started)
        [child] = started()
        second = ask()
        assert second.stdout.readline() == "False\n"
        second.communicate("\n")
        assert is_running(child)
    finally:
        first.kill()
        first.communicate()
    until(lambda: not is_running(child))
    third = ask()
    assert third.stdout.readline() == "True\n"
    until(lambda: len(started()) == 2)
    third.communicate("\n")
    until(lambda: not any(map(is_running, started())))


def until(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(pid):
    try:
        os.kill(pid, 0)
        with Path(f"/proc/{pid}/stat").open(encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (OSError, ValueError):
        return False


def test_what_was_compiled_in_the_background_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(expected_sizes_kernel, "loaded", None)
    kernels = KernelSet(expected_sizes_kernel, fewest_bytes=1)
    kernels.prepare(1)
    until(kernels.load)
    assert not sum(expected_sizes_kernel().stats.cache_misses.values())
    until(lambda: kernels._process.poll() == 0)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_where_files_cannot_be_locked_kernels_are_compiled_in_the_background(number, tmp_path, monkeypatch):
    def flock(_file, _operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(expected_sizes_kernel, "loaded", None)
    monkeypatch.setattr(fcntl, "flock", flock)
    kernels = KernelSet(expected_sizes_kernel, fewest_bytes=1)
    kernels.prepare(1)
    kernels._process.kill()
    kernels._process.communicate()


MEASURE = """
from udfs.kernels import warm
from udfs.balancing.expected_sizes_kernel import expected_sizes_kernel as kernel
from udfs.probe import probe_worker
from udfs.sources import FetchOptions
findings = probe_worker(int, [], FetchOptions(), lambda: warm([kernel]))
print(findings.kernels, sum(kernel.loaded.stats.cache_misses.values()))
"""


def test_a_worker_is_measured_without_what_the_compiler_takes(tmp_path):
    assert run(MEASURE, tmp_path) == "compiled 0"
    assert run(MEASURE, tmp_path) == "found 0"


def test_where_nothing_can_be_kept_only_kernels_of_extraction_are_not_compiled():
    script = (
        "from udfs.kernels import KERNELS, warm\n"
        "from udfs.balancing.expected_sizes_kernel import expected_sizes_kernel as needed\n"
        "print(warm([KERNELS.kernels[0], needed]), KERNELS.kernels[0].loaded, needed.loaded is not None)"
    )
    assert run(script, "/proc/nowhere") == "not_kept None True"


def test_where_nothing_can_be_kept_that_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/proc/nowhere")
    monkeypatch.setattr(expected_sizes_kernel, "loaded", None)
    kernels = KernelSet(expected_sizes_kernel, fewest_bytes=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            kernels.prepare(1)
    assert len(caplog.records) == 1
    assert not kernels.load()


def test_a_version_of_numba_that_was_not_tried_compiles_parts_in_its_own_way():
    assert "pipeline_class" in part_options((0, 62))
    assert part_options((0, 69)) == part_options((1, 0)) == {}


def test_numba_types_each_call_of_its_own_functions_once(monkeypatch):
    asked = Counter()
    resolve = types.BaseFunction.get_call_type

    def counted(function, context, args, kws):
        asked[function, args] += 1
        return resolve(function, context, args, kws)

    def sums(first, second):
        total = 0
        for number in range(first):
            total = total + number * second
        for number in range(second):
            total = total + number * first
        return total

    monkeypatch.setattr(types.BaseFunction, "get_call_type", counted)
    plain = numba.njit("int64(int64, int64)")(sums)
    before = asked.total()
    asked.clear()
    with while_compiling((0, 62)):
        assert not gc.isenabled()
        quick = numba.njit("int64(int64, int64)")(sums)
    assert set(asked.values()) == {1}
    assert asked.total() < before
    assert quick(7, 5) == plain(7, 5) == sums(7, 5)


def test_callers_with_other_options_get_another_implementation_of_the_same_call():
    def divide(first, second):
        return first // second

    @overload(divide)
    def _divide(first, second):
        both_whole = isinstance(first, types.Integer) and isinstance(second, types.Integer)
        return (lambda first, second: first // second) if both_whole else None

    @numba.njit(error_model="python")
    def checked(first, second):
        return divide(first, second)

    def both(first, second):
        return checked(first, second) if first == 7 else divide(first, second)

    with while_compiling((0, 62)):
        compiled = numba.njit("int64(int64, int64)", error_model="numpy")(both)
    assert compiled(1, 0) == 0
    with pytest.raises(ZeroDivisionError):
        compiled(7, 0)


def test_numba_is_as_before_once_a_kernel_is_compiled_or_cannot_be():
    resolve = types.BaseFunction.get_call_type
    with pytest.raises(ZeroDivisionError), while_compiling((0, 62)):
        assert types.BaseFunction.get_call_type is not resolve
        raise ZeroDivisionError
    assert types.BaseFunction.get_call_type is resolve
    assert gc.isenabled()
    with while_compiling((0, 69)):
        assert types.BaseFunction.get_call_type is resolve


def test_a_part_that_several_parts_call_is_linked_with_the_kernel_once():
    @part_of_kernel
    def add_one(number):
        return number + 1

    @part_of_kernel
    def add_two(number):
        return add_one(add_one(number))

    @part_of_kernel
    def add_three(number):
        return add_one(add_two(number))

    @numba.njit("int64(int64)", _nrt=False)
    def add_five(number):
        return add_two(add_three(number))

    libraries = add_five.overloads[numba.int64,].library._linking_libraries
    linked = [library.name.rsplit(".", 1)[-1] for library in dict.fromkeys(libraries)]
    assert sorted(set(linked) - {"nrt"}) == ["add_one", "add_three", "add_two"]
    assert len(linked) == len(set(linked))
    assert add_five(1) == 6
