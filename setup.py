"""Packages `statetape.*` from the folders at the top of the repository.

`engine/` is imported as `statetape.engine`, and so on. The sub-folders are found, not listed, so
a new system under `specs/` needs no edit here.
"""

from setuptools import find_packages, setup

FOLDERS = ("engine", "fsm", "storage", "specs", "cli")

setup(
    packages=[
        f"statetape.{package}"
        for folder in FOLDERS
        for package in (folder, *(f"{folder}.{sub}" for sub in find_packages(folder)))
    ],
    package_dir={f"statetape.{folder}": folder for folder in FOLDERS},
    package_data={"": ["*.yaml", "*.css", "*.js", "py.typed"]},
)
