#!/usr/bin/env python3
"""Runs the public JSONTestSuite through the redactor of the command.

usage: json-suite.py FOLDER COMMAND [ARG ...]     e.g.  json-suite.py JSONTestSuite target/debug/llm-audit redact

FOLDER is a copy of https://github.com/nst/JSONTestSuite. For every file of its `test_parsing`:
  unchanged  a file that parsers must accept (y_) comes out byte for byte
  ends       every file is redacted without a crash
  gone       a secret beside the file, in each frame, plain and inside a string of JSON, does not survive;
             the line ends of the file become blanks, because a line is redacted alone
Prints the failures and a table. Exit code 1 if there are any failures.
"""

import json
import pathlib
import subprocess
import sys

SECRET = b"hunter2hunter2"
# The file replaces FILE. A comma or a bracket of the frame must not depend on what the file is.
FRAMES = {
    "pair": b'{"x":FILE,"h":{"name":"Authorization","value":"SECRET"}}',
    "pair before": b'{"h":{"name":"Authorization","value":"SECRET"},"x":FILE}',
    "headers": b'{"x":FILE,"headers":[["Cookie","SECRET"]]}',
    "raw headers": b'{"x":FILE,"rawHeaders":["Host","a","Cookie","SECRET"]}',
    "key": b'{"x":FILE,"password":"SECRET"}',
    "object": b'{"x":FILE,"credentials":{"user":"a","to":"SECRET"}}',
    "arguments": b'{"x":FILE,"args":["run","--token","SECRET"]}',
    "list": b'[FILE,{"api_key":"SECRET"}]',
}


def redact(command, text):
    """What comes out; None if the command fails."""
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else None


def framed(content):
    """(frame, line) for every frame, plain and nested."""
    content = content.replace(b"\n", b" ").replace(b"\r", b" ")
    for name, frame in FRAMES.items():
        line = frame.replace(b"SECRET", SECRET).replace(b"FILE", content)
        yield name, line
        text = line.decode("utf-8", "surrogateescape")
        nested = json.dumps({"arguments": text}, ensure_ascii=False)
        yield name + ", nested", nested.encode("utf-8", "surrogateescape")


def check_file(command, file, table, failures):
    content, kind = file.read_bytes(), file.name[:1]
    out = redact(command, content)
    checks = [("ends", out is not None)]
    if kind == "y":
        checks.append(("unchanged", out == content))
    names, lines = zip(*framed(content))
    outs = (redact(command, b"".join(line + b"\n" for line in lines)) or b"").split(b"\n")
    same = len(outs) == len(lines) + 1
    checks.append(("lines", same))
    checks += [("gone: " + name, SECRET not in out) for name, out in zip(names, outs)]
    for name, is_good in checks:
        count = table.setdefault((kind, name.split(":")[0]), [0, 0])
        count[0] += is_good
        count[1] += 1
        if not is_good:
            failures.append(f"{file.name}: {name}")


def main(args):
    if len(args) < 2:
        sys.exit(__doc__)
    files = sorted(pathlib.Path(args[0], "test_parsing").glob("*.json"))
    if not files:
        sys.exit(f"json-suite: no files in {args[0]}/test_parsing")
    table, failures = {}, []
    for file in files:
        check_file(args[1:], file, table, failures)
    print("\n".join(failures))
    for (kind, name), (good, total) in sorted(table.items()):
        print(f"{kind}_  {name:10} {good:5}/{total}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
