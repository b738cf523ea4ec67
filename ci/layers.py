#!/usr/bin/env python3
"""Checks the direction of imports: among the crates, and among the modules of each crate.

A crate or a module imports only from lower layers, and no modules of a crate import each other in a
circle. The layers are declared below. Test code does not count. The map in ARCHITECTURE.md names every
file. With `--self-test` the script checks itself.
"""

import os
import re
import sys
import tempfile
import tomllib

# A crate of ours depends only on those of earlier rows.
CRATES = [
    ["llm-audit-process", "llm-audit-log", "llm-audit-macros"],
    ["llm-audit-redact", "llm-audit-ship", "llm-audit-slo"],
    ["llm-audit"],
    ["llm-audit-aws", "llm-audit-demo", "llm-audit-receive", "llm-audit-rig"],
    ["llm-audit-cli"],
]
# The redactor is useful alone: it does not know the log either.
CRATES_APART = {("llm-audit-redact", "llm-audit-log")}

# The modules of a crate import only from earlier rows. The ring knows nothing of records: the encoder
# writes into its buffers. The event that a caller builds is part of the record, because it borrows
# payloads that know how to encode themselves.
RECORDER = [
    ["error", "export", "panics", "reader", "sanitize", "sync", "timeout", "urls"],
    ["context", "pricing", "ring", "user_names"],
    ["sampler"],
    ["config"],
    ["record", "warnings"],
    ["metrics"],
    ["alerts", "shipping"],
    ["writer"],
    ["recorder"],
    ["testing"],
    ["replay"],
    ["llm"],
    ["judgement", "layer", "span"],
    ["__bench", "__fuzz"],
]
# What the builder was asked for is below the sanitizer, which follows it; the builder is above.
REDACTOR = [
    ["bytes", "cut", "digits", "error", "extent", "kind", "names", "steps"],
    ["confusables", "looks", "opt_in", "patterns", "placeholders", "prefilter", "redactions"],
    ["keys"],
    ["rules"],
    ["manifests", "options", "protected", "scan"],
    ["recent_keys"],
    ["sanitizer"],
    ["builder", "key_numbers", "walk"],
    ["debug", "json"],
    ["explain", "lines", "value"],
]
COMMAND = [["ui"], ["arguments"], ["commands"]]
LAYERS = {"llm-audit": RECORDER, "llm-audit-redact": REDACTOR, "llm-audit-cli": COMMAND}

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

TOKEN = re.compile(
    r"""
      (?P<skip> //[^\n]* | \s+ )
    | (?P<block> /\* )
    | (?P<raw> (?:b|c)?r(?P<hashes>\#*)" )
    | (?P<text> (?:b|c)?" )
    | (?P<char> b?'(?:\\(?:u\{[^}]*\}|x[0-9a-fA-F]{2}|.)|[^'\\])' )
    | (?P<lifetime> '\w+ )
    | (?P<word> (?:r\#)?\w+ )
    | (?P<sign> :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)


def block_comment_end(text, at):
    """The end of the block comment that begins at `at`; such comments nest."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def tokens(text):
    """(token, line) of Rust code. A string or character is one token that begins with a quote."""
    out, at, line = [], 0, 1
    while at < len(text):
        found = TOKEN.match(text, at)
        end, kind = found.end(), found.lastgroup
        if found["block"]:
            end = block_comment_end(text, at)
        elif found["raw"] is not None:
            close = '"' + found["hashes"]
            end = text.index(close, end) + len(close)
            out.append(('"' + text[found.end() : end - len(close)], line))
        elif found["text"] is not None:
            end = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL).match(text, end).end()
            out.append(('"' + text[found.end() : end - 1], line))
        elif found["char"] is not None:
            out.append(("'", line))
        elif found["word"] is not None:
            out.append((found["word"].removeprefix("r#"), line))
        elif found["sign"] is not None:
            out.append((found["sign"], line))
        line += text.count("\n", at, end)
        at = end
    return out


PAIRS = {"(": ")", "[": "]", "{": "}"}


def closing(code, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(code)):
        if code[index][0] in PAIRS:
            depth += 1
        elif code[index][0] in PAIRS.values():
            depth -= 1
            if depth == 0:
                return index
    return len(code) - 1


def cfg(words):
    """Whether a condition holds outside of tests: True, False, or None if that depends."""
    head, at = words[0], 0
    if len(words) > 1 and words[1] == "(":
        parts, depth, part = [], 0, []
        for word in words[2:-1]:
            depth += (word == "(") - (word == ")")
            if word == "," and depth == 0:
                parts.append(part)
                part = []
            else:
                part.append(word)
        values = [cfg(part) for part in [*parts, part] if part]
        if head == "not":
            return None if values[0] is None else not values[0]
        if head == "all":
            return False if False in values else None if None in values else True
        if head == "any":
            return True if True in values else None if None in values else False
    return False if words == ["test"] else None


def is_of_tests(attribute):
    """Whether the words of an attribute say that its item is only for tests."""
    if attribute == ["test"]:
        return True
    return attribute[:2] == ["cfg", "("] and cfg(attribute[2:-1]) is False


def item_end(code, at):
    """The index after the item that begins at `at`: its `;`, or its block."""
    while at < len(code):
        word = code[at][0]
        if word == ";" or word == ",":
            return at + 1
        if word == "{":
            return closing(code, at) + 1
        if word == "}":
            return at
        at = closing(code, at) + 1 if word in PAIRS else at + 1
    return at


def without_tests(code):
    """The code without items that are only for tests, and the modules of the rest with files of
    their own: (name, path or None)."""
    kept, files, at, path = [], [], 0, None
    while at < len(code):
        word = code[at][0]
        if word == "#" and code[at + 1][0] == "!":
            at = closing(code, at + 2) + 1
        elif word == "#" and code[at + 1][0] == "[":
            end = closing(code, at + 1)
            attribute = [word for word, _ in code[at + 2 : end]]
            at = end + 1
            if is_of_tests(attribute):
                while code[at][0] == "#":
                    at = closing(code, at + 1) + 1
                at, path = item_end(code, at), None
            elif attribute[:2] == ["path", "="]:
                path = attribute[2][1:]
        else:
            if word == "mod" and at + 2 < len(code) and code[at + 2][0] == ";":
                files.append((code[at + 1][0], path))
            if word in (";", "}"):
                path = None
            kept.append(code[at])
            at += 1
    return kept, files


def paths(code, at):
    """The paths of the tree that begins at `at`, as lists of words with a line, and its end."""
    prefix, line = [], code[at][1]
    while at < len(code):
        word = code[at][0]
        if word == "{":
            end, trees, at = closing(code, at), [], at + 1
            while at < end:
                inner, at = paths(code, at)
                trees += [(prefix + words, line) for words, line in inner]
                while at < end and code[at][0] != ",":
                    at += 1
                at += 1
            return trees, end + 1
        if not (word == "*" or re.fullmatch(r"\w+", word)):
            break
        prefix.append(word)
        at += 1
        if at < len(code) and code[at][0] == "::" and code[at + 1][0] not in "<":
            at += 1
        else:
            break
    return [(prefix, line)], at


class Module:
    """A file of a crate: its place in the tree, and the paths that it names."""

    def __init__(self, place, file):
        self.place, self.file = place, file
        with open(file, encoding="utf-8") as text:
            self.code, self.children = without_tests(tokens(text.read()))

    def folder(self):
        """The folder of the files of its children."""
        folder, name = os.path.split(self.file)
        stem = name.removesuffix(".rs")
        return folder if stem in ("mod", "lib", "main") else os.path.join(folder, stem)

    def scopes(self):
        """For each token the modules that it is in: those written in the file come on top."""
        stack, ends, at = list(self.place), [], 0
        for at, (word, _) in enumerate(self.code):
            while ends and ends[-1] <= at:
                ends.pop()
                stack.pop()
            yield stack
            if word == "mod" and at + 2 < len(self.code) and self.code[at + 2][0] == "{":
                stack = [*stack, self.code[at + 1][0]]
                ends.append(closing(self.code, at + 2))

    def imports(self):
        """(absolute path in the crate, line) of everything that the file names in its crate."""
        scopes = self.scopes()
        for at, place in enumerate(scopes):
            word = self.code[at][0]
            before = self.code[at - 1][0] if at else ""
            is_path = at + 1 < len(self.code) and self.code[at + 1][0] == "::"
            if word == "use" and before != "::":
                for words, line in paths(self.code, at + 1)[0]:
                    yield self.absolute(words, place), line
            elif word in ("crate", "self", "super") and is_path and before not in ("::", "use"):
                for words, line in paths(self.code, at)[0]:
                    yield self.absolute(words, place), line

    def absolute(self, words, place):
        place = list(place)
        if not words:
            return None
        if words[0] == "crate":
            return words[1:]
        if words[0] not in ("self", "super"):
            # A module that is declared here, or another crate.
            return [*place, *words] if words[0] in dict(self.children) else None
        while words and words[0] in ("self", "super"):
            if words[0] == "super" and place:
                place.pop()
            words = words[1:]
        return [*place, *words]


def modules(root):
    """All files of a crate that are not only for tests."""
    todo, out = [Module([], root)], []
    while todo:
        module = todo.pop()
        out.append(module)
        for name, path in module.children:
            # A path is relative to the folder that the file is in.
            folder = os.path.dirname(module.file) if path else module.folder()
            names = [path] if path else [f"{name}.rs", f"{name}/mod.rs"]
            files = [os.path.join(folder, file) for file in names]
            file = next((file for file in files if os.path.exists(file)), None)
            if file is None:
                sys.exit(f"layers: {module.file}: no file of mod {name}")
            todo.append(Module([*module.place, name], file))
    return out


def reexports(root_module):
    """Names that the root of a crate takes from a module: name to module."""
    names = {}
    for path, _ in root_module.imports():
        if path and len(path) > 1:
            names[path[-1]] = path[0]
    return names


def edges(root):
    """(from, to) to the first place of that import, over the top-level modules of a crate."""
    files = modules(root)
    top = {name for name, _ in files[0].children}
    again = reexports(files[0])
    found = {}
    for module in files[1:]:
        source = module.place[0]
        for path, line in module.imports():
            if not path:
                continue
            target = path[0] if path[0] in top else again.get(path[0])
            if target and target != source:
                place = f"{os.path.relpath(module.file, ROOT)}:{line}"
                found.setdefault((source, target), place)
                if place < found[source, target]:
                    found[source, target] = place
    return top, found


def knots(nodes, found):
    """The sets of modules that import each other in a circle."""
    ahead = {node: {to for at, to in found if at == node} for node in nodes}

    def reachable(start):
        seen, todo = set(), [start]
        while todo:
            for to in ahead[todo.pop()] - seen:
                seen.add(to)
                todo.append(to)
        return seen

    reach = {node: reachable(node) for node in nodes}
    out = {frozenset(b for b in reach[a] if a in reach[b]) for a in nodes if a in reach[a]}
    return sorted(sorted(knot) for knot in out)


def circle(knot, found):
    """A shortest circle of a knot: the modules, the first one again at the end."""
    best = None
    for start in knot:
        todo, seen = [[start]], {start}
        for path in todo:
            for to in sorted(to for at, to in found if at == path[-1] and to in knot):
                if to == start and (best is None or len(path) + 1 < len(best)):
                    best = [*path, start]
                if to not in seen:
                    seen.add(to)
                    todo.append([*path, to])
    return best


def check_modules(name, root):
    """What is wrong among the modules of a crate."""
    top, found = edges(root)
    layers = LAYERS.get(name)
    if layers:
        row = {module: at for at, row in enumerate(layers) for module in row}
        for module in sorted(top - set(row)):
            yield f"{name}: module {module} is in no layer of ci/layers.py"
        for (source, target), place in sorted(found.items()):
            if source in row and target in row and row[source] <= row[target]:
                yield f"{name}: {source} imports {target}, which is not below it ({place})"
    for knot in knots(top, found):
        path = circle(knot, found)
        steps = zip(path, path[1:])
        where = ", ".join(found[step] for step in steps)
        yield f"{name}: cycle: {' → '.join(path)} ({where})"
        if len(knot) > len(path) - 1:
            yield f"{name}: {len(knot)} modules import each other: {', '.join(knot)}"


def dependencies(manifest):
    """The names of the packages of ours that a package is built with, tests apart."""
    tables = [manifest, *manifest.get("target", {}).values()]
    for table in tables:
        for kind in ("dependencies", "build-dependencies"):
            for name, value in table.get(kind, {}).items():
                package = value.get("package", name) if isinstance(value, dict) else name
                if package.startswith("llm-audit"):
                    yield package


def check_crates(manifests):
    """What is wrong among the crates."""
    row = {crate: at for at, crates in enumerate(CRATES) for crate in crates}
    for folder, manifest in manifests:
        name = manifest["package"]["name"]
        if name not in row:
            yield f"crates: {name} is in no layer of ci/layers.py"
            continue
        for other in sorted(set(dependencies(manifest))):
            print(f"layers: {name} → {other}")
            if row.get(other, 99) >= row[name] or (name, other) in CRATES_APART:
                yield f"crates: {name} depends on {other}, which is not below it ({folder}/Cargo.toml)"


def packages():
    """(folder, manifest) of the root and of everything in crates/."""
    folders = ["."] + sorted(f"crates/{name}" for name in os.listdir("crates"))
    for folder in folders:
        path = os.path.join(folder, "Cargo.toml")
        if os.path.exists(path):
            with open(path, "rb") as file:
                yield folder, tomllib.load(file)


def sources():
    """The source files of all crates, tests apart."""
    for top in ["src", *(f"crates/{name}/src" for name in os.listdir("crates"))]:
        for place, _, names in os.walk(top):
            if "tests" not in place.split("/"):
                yield from (f"{place}/{name}" for name in names if name.endswith(".rs") and name != "tests.rs")


def check_map(text, files):
    """What is wrong in the map of ARCHITECTURE.md: every file has a row, and a row's names are in it."""
    rows, folder = {}, None
    for line in text[text.index("\n## The map\n") :].splitlines():
        if line.startswith("### "):
            folder = line.strip("# `") if "`" in line else None
        row = re.fullmatch(r"\| `([^`]+)` \| (.*) \|", line)
        if row and folder:
            rows[folder + row[1]] = row[2]
    for file in sorted(set(rows).symmetric_difference(files)):
        yield f"ARCHITECTURE.md: {file}: {'no such file' if file in rows else 'has no row in the map'}"
    for file, row in rows.items():
        if file in files:
            with open(file, encoding="utf-8") as code:
                words = {word for token, _ in tokens(code.read()) for word in re.findall(r"\w+", token)}
            for name in re.findall(r"`(?:\w+::)?([A-Za-z]\w*)!?`", row):
                if name not in words:
                    yield f"ARCHITECTURE.md: {file} does not name {name}"


# A crate with every way to name a module, and what is found in it.
SAMPLE = {
    "lib.rs": "mod a; mod b; mod c; #[cfg(test)] mod d; #[path = \"other.rs\"] mod e; pub use a::One;",
    "a/mod.rs": "mod deep;\npub struct One;\n#[cfg(test)]\nmod tests { use crate::d::*; use crate::b; }",
    "a/deep.rs": "// crate::c\nconst TEXT: &str = r#\"crate::c::X\"#;\nfn f(_: &'static super::super::b::Two) {}",
    "b.rs": "use std::{fmt, sync::{Arc,\n  atomic::{self as at}}};\nuse crate::{One, e::{self, Three}};",
    "c.rs": "#[cfg(any(test, unix))]\nfn g() { let _ = [crate::e::Three, '\"']; /* /* */ crate::b */ }",
    "d.rs": "use crate::a;",
    "other.rs": "#[cfg(all(test, unix))] use crate::c;\n#[cfg(not(test))] use super::{c::{Four as F}};",
}
SAMPLE_EDGES = {
    ("a", "b"): "a/deep.rs:3",
    ("b", "a"): "b.rs:3",
    ("b", "e"): "b.rs:3",
    ("c", "e"): "c.rs:2",
    ("e", "c"): "other.rs:2",
}


def self_test():
    """Whether the imports and the circles of the sample are found."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in SAMPLE.items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        top, found = edges(os.path.join(folder, "lib.rs"))
        rows = f"\n## The map\n### `{folder}/`\n| `b.rs` | `Arc` and `Four` |\n| `z.rs` | nothing |"
        wrong = list(check_map(rows, [os.path.join(folder, name) for name in ("b.rs", "c.rs")]))
        found = {step: os.path.relpath(os.path.join(ROOT, place), folder) for step, place in found.items()}
    assert top == {"a", "b", "c", "e"}, top
    assert found == SAMPLE_EDGES, found
    assert knots(top, found) == [["a", "b"], ["c", "e"]], knots(top, found)
    assert circle(["a", "b"], found) == ["a", "b", "a"]
    assert len(wrong) == 3 and all(end in "".join(wrong) for end in ("Four", "c.rs", "z.rs")), wrong
    print("layers: the sample's imports and files are found")


def main():
    os.chdir(ROOT)
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    manifests = list(packages())
    wrong = list(check_crates(manifests))
    for folder, manifest in manifests:
        name = manifest["package"]["name"]
        for root in ("src/lib.rs", "src/main.rs"):
            path = os.path.join(ROOT, folder, root)
            if os.path.exists(path):
                wrong += check_modules(name, path)
                break
    with open("ARCHITECTURE.md", encoding="utf-8") as text:
        wrong += check_map(text.read(), list(sources()))
    for what in wrong:
        print(what, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
