"""Finds samples and recordings for a check.

A sample is a small file in testdata/samples; every clone has it. A recording is a larger file of
other people's data. LLM_AUDIT_DATA names the folder of the recordings; the default is
../shared/data. A relative path starts at the repository. recordings.rs and recordings.sh follow the
same rule.

Put testdata/ on `sys.path` to import this file.
"""
import gzip
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VARIABLE = "LLM_AUDIT_DATA"
FOLDER = "../shared/data"


def folder():
    """Returns the folder of the recordings."""
    return HERE.parent / (os.environ.get(VARIABLE) or FOLDER)


def sample(name):
    """Returns the path of a sample, and reports on stderr how many lines it has."""
    path = HERE / "samples" / name
    report(f"samples/{name}: {len(lines(path))} lines")
    return path


def recording(name):
    """Returns the path of a recording, or None if it is absent; reports either on stderr."""
    path = folder() / name
    if not path.exists():
        report(f"{name} is not in {folder()} ({VARIABLE} names the folder)")
        return None
    report(f"{name}: {len(lines(path))} lines in {folder()}")
    return path


def lines(path):
    """Returns the lines of a file that are not blank; the name of a packed file ends in `.gz`."""
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip()]


def report(what):
    print(f"testdata: {what}", file=sys.stderr)
