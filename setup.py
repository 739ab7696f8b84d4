"""Which packages a wheel has; all else is said in pyproject.toml.

MLIR's bindings have no types of their own. The stubs that lowtide is checked with go into the wheel as the stub package
`torch_mlir-stubs` (PEP 561), so that scripts made with `lowtide.script.builders` pass strict type checks where lowtide
is installed. pyproject.toml can't give a package a name that its folder does not have.
"""

from setuptools import find_namespace_packages, setup

FOLDERS = {
    "lowtide": "python/lowtide",
    "lowtide_dialect": "dialects/lowtide_dialect",
    "lowtide_firmware": "firmware/lowtide_firmware",
    "torch_mlir-stubs": "typings/torch_mlir",
}

setup(
    package_dir=FOLDERS,
    packages=[
        *FOLDERS,
        *(f"{name}.{inner}" for name, folder in FOLDERS.items() for inner in find_namespace_packages(folder)),
    ],
)
