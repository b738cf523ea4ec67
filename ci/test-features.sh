# Sourced by scripts: the features that the README's test command turns on. With the same ones, and without `-p`, cargo
# takes what that command has built.
test_features=$(sed -n 's/^cargo test --features \([a-z,-]*\).*/\1/p' README.md | head -n 1)
[[ -n $test_features ]] || {
    echo "README.md has no test command" >&2
    exit 1
}
