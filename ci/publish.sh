#!/usr/bin/env bash
# Every package that can be published builds from what it packs. It packs what a user needs: licenses,
# a readme, and no tests, scripts or data. Options go to cargo: `publish.sh --allow-dirty` before a
# commit, `publish.sh --no-verify` to build nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "publish: metadata and contents"
python3 - "$@" <<'END'
import json, os, subprocess, sys

KEYWORDS_MAX = 5
FOLDERS_PACKED = {"src", "docs", "examples"}
wrong = []


def cargo(*args):
    return subprocess.run(["cargo", *args], check=True, stdout=subprocess.PIPE).stdout.decode()


def read(path):
    with open(path, "rb") as file:
        return file.read()


packages = json.loads(cargo("metadata", "--no-deps", "--format-version", "1"))["packages"]
for package in packages:
    name, folder = package["name"], os.path.dirname(package["manifest_path"])
    if package["publish"] == []:
        continue
    for field in ("description", "license", "readme", "keywords", "categories"):
        if not package[field]:
            wrong.append(f"{name}: no {field}")
    if len(package["keywords"]) > KEYWORDS_MAX:
        wrong.append(f"{name}: {len(package['keywords'])} keywords, at most {KEYWORDS_MAX}")
    for field in ("repository", "homepage", "documentation"):
        if "example" in (package[field] or ""):
            wrong.append(f"{name}: {field} is a placeholder: {package[field]}")
    listed = cargo("package", "--list", "--quiet", "-p", name, *sys.argv[1:]).splitlines()
    for needed in ("LICENSE-APACHE", "LICENSE-MIT", "README.md"):
        if needed not in listed:
            wrong.append(f"{name}: {needed} is not packed")
        elif needed != "README.md" and read(f"{folder}/{needed}") != read(needed):
            wrong.append(f"{name}: {needed} is not that of the workspace")
    folders = {file.split("/")[0] for file in listed if "/" in file}
    for other in sorted(folders - FOLDERS_PACKED):
        wrong.append(f"{name}: {other}/ is packed")
    print(f"publish: {name}, {len(listed)} files")
for what in wrong:
    print(f"publish: {what}", file=sys.stderr)
sys.exit(1 if wrong else 0)
END

# Cargo keeps what it unpacked for an earlier run, and does not see that the sources changed since.
rm -rf "${CARGO_HOME:-$HOME/.cargo}"/registry/src/-*/llm-audit*
cargo publish --workspace --dry-run "$@"
echo "publish: ok"
