"""The packages stay a house in which each thing is found: small folders, short modules, typed values between them."""

from tests.support.paths import CHECKOUT

MOST_MODULES = 12
"""Modules in one folder, beside its `__init__`: a folder is read at one glance."""

LONGEST_MODULE = 400
"""Lines of a module. Kernels may be longer: numba compiles a loop with all that it calls into one function."""

MOST_UNTYPED_DICTS = 20
"""Times that `dict[str, Any]` stands in the packages: what passes between modules is a record with named fields."""

PACKAGES = ("metaclip_spark", "udfs")
FOLDERS = sorted(init.parent for package in PACKAGES for init in (CHECKOUT / package).rglob("__init__.py"))
MODULES = sorted(module for folder in FOLDERS for module in folder.glob("*.py"))


def named(path):
    return path.relative_to(CHECKOUT).as_posix()


def test_folders_have_few_modules():
    modules = {named(folder): len(list(folder.glob("*.py"))) - 1 for folder in FOLDERS}
    assert not {folder: count for folder, count in modules.items() if count > MOST_MODULES}


def test_modules_are_short():
    lines = {named(module): len(module.read_text("utf-8").splitlines()) for module in MODULES}
    too_long = {module for module, count in lines.items() if count > LONGEST_MODULE}
    assert not {module for module in too_long if not module.endswith("kernel.py")}


def test_every_module_is_in_a_package():
    assert sorted(module for package in PACKAGES for module in (CHECKOUT / package).rglob("*.py")) == MODULES


def test_records_and_not_dictionaries_pass_between_modules():
    found = {
        named(module): count
        for module in MODULES
        if "clip_benchmark" not in module.parts and (count := module.read_text("utf-8").count("dict[str, Any]"))
    }
    assert sum(found.values()) <= MOST_UNTYPED_DICTS, found
