#!/usr/bin/env python3
"""One table out of several reports of `ci/score.py --json`, a column for each.

usage: table.py TITLE=FILE ...

A cell of a kind is `redacted in full/labelled`, one of look-alikes `wrongly redacted/labelled`. Exit
code 1 when the reports are not of the same texts.
"""
import json
import sys
from collections import Counter
from pathlib import Path

# The kinds of ci/score.py, without a folder of compiled code beside it.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import score

UNCLAIMED = "unclaimed "


def rows_of(path):
    """The rows of a report, those of all its files together."""
    rows = {}
    for tallies in json.loads(Path(path).read_text())["files"].values():
        for name, tally in tallies.items():
            rows.setdefault(name, Counter()).update(tally)
    return rows


def full(tally):
    return f"{tally['full']}/{tally['labelled']}"


def false(tally):
    return f"{tally['false']}/{tally['look-alikes']}"


def whole(rows, wanted):
    """The sum of the rows whose names are wanted."""
    result = Counter()
    for name, tally in rows.items():
        if wanted(name):
            result.update(tally)
    return result


def is_personal(name):
    return name in score.PII.values()


def is_claimed(name):
    return name in score.RULES


def is_secret(name):
    rule = name.removeprefix(UNCLAIMED)
    return is_claimed(name) or rule != name and rule not in score.IDENTIFIERS


def is_any(name):
    return is_claimed(name) or name.startswith(UNCLAIMED)


def lines(columns):
    """(what, a cell for each column) of the table; None for a line between."""
    names = list(columns[0])

    def each(cell):
        return [cell(rows) for rows in columns]

    def by_kind(name):
        return name, each(lambda rows: full(rows[name]))

    personal = [name for name in names if is_personal(name) and columns[0][name]["labelled"]]
    claimed = [name for name in names if is_claimed(name)]
    if personal:
        yield from map(by_kind, [*personal, "short card"])
        # What was taken as another kind, a date or a host, may well be one: it is not in the table.
        yield "wrongly one of these", each(lambda rows: str(whole(rows, is_personal)["false"]))
        yield None
    if claimed:
        yield from map(by_kind, [name for name in claimed if columns[0][name]["labelled"]])
        yield None
        yield "all claimed", each(lambda rows: full(whole(rows, is_claimed)))
        yield "  in part besides", each(lambda rows: str(whole(rows, is_claimed)["part"]))
        yield "claimed or not", each(lambda rows: full(whole(rows, is_secret)))
        yield "look-alikes taken", each(lambda rows: false(whole(rows, is_claimed)))
        yield "  of any rule", each(lambda rows: false(whole(rows, is_any)))


def main():
    if len(sys.argv) < 2 or any("=" not in argument for argument in sys.argv[1:]):
        sys.exit("usage: table.py TITLE=FILE ...")
    titles, paths = zip(*(argument.split("=", 1) for argument in sys.argv[1:]))
    columns = [rows_of(path) for path in paths]

    def of(rows):
        return {name: (tally["labelled"], tally["look-alikes"]) for name, tally in rows.items()}

    if any(of(rows) != of(columns[0]) for rows in columns):
        sys.exit("table: the reports are not of the same texts")

    widths = [max(len(title), 9) for title in titles]
    print(f"{'':<22}" + "".join(f"  {title:>{width}}" for title, width in zip(titles, widths)))
    for line in lines(columns):
        if line is None:
            print()
            continue
        name, cells = line
        print(f"{name:<22}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths)))


if __name__ == "__main__":
    main()
