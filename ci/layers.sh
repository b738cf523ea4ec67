#!/usr/bin/env bash
# Imports go one way: no crate and no module imports from a layer above it. No modules of a crate
# import each other in a circle. ci/layers.py declares the layers.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "layers: crates and their modules, without tests"
python3 ci/layers.py --self-test
python3 ci/layers.py
echo "layers: ok"
