#!/usr/bin/env bash
# What `ci/score.sh` measures, measured of other finders of personal data and secrets as well:
#   score.sh [--reports] [--pii FILE]... [--secrets FILE]...
# They are installed with pip at the versions below; none of them loads a language model or asks a
# service. `--reports` prints the whole report of each before the table. Without files: the recordings
# that are present, and the samples of testdata instead of those that are missing.
#
# To read it right: the kinds of secrets are those that llm-audit claims, and it was tuned on the
# recordings. Their personal data is from the generator of Presidio's own evaluation.
# Presidio knows no form of a secret: what it takes of one, it takes as something else, mostly a URL.
# The tool detect-secrets points at a line of code and knows no personal data. If it names only the
# prefix of a token, or all except the prefix, the token counts as redacted in part.
# The samples are too small for a comparison. Their addresses end in `.example`, which Presidio rejects.
set -euo pipefail
cd "$(dirname "$0")/../.."

source testdata/recordings.sh
reports=
files=()
while (($#)); do
    case $1 in
    --reports) reports=1 && shift ;;
    --pii | --secrets) files+=("$1" "${2:?"$1 needs a file"}") && shift 2 ;;
    *) echo "usage: score.sh [--reports] [--pii FILE]... [--secrets FILE]..." >&2 && exit 2 ;;
    esac
done
if ((${#files[@]} == 0)); then
    pii=$(recording pii-vectors.jsonl || sample pii-vectors.jsonl)
    secrets=$(recording secret-vectors.jsonl.gz || sample secret-vectors.jsonl)
    if [[ $pii$secrets == *testdata/samples/* ]]; then
        echo "peers: a recording is missing; the samples show that the script works, and compare nothing"
    fi
    files=(--pii "$pii" --secrets "$secrets")
fi

target="${CARGO_TARGET_DIR:-target}"
venv="$target/peers-venv"
# The last two decide what Presidio takes for a telephone number and for an e-mail address.
versions=(presidio-analyzer==2.2.366 detect-secrets==1.5.0 phonenumbers==9.0.43 tldextract==5.4.0)
if [[ ! -x $venv/bin/pip ]]; then
    echo "peers: installing ${versions[*]} into $venv"
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check "${versions[@]}"
cargo build --release -q -p llm-audit-cli --no-default-features

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
columns=()
# measure TITLE COMMAND...: a column of the table.
measure() {
    local title=$1 status=0 file
    shift
    file="$work/${#columns[@]}.json"
    if [[ -n $reports ]]; then
        printf '\n== %s ==\n' "$title"
        python3 ci/score.py "${files[@]}" -- "$@" || status=$?
    fi
    python3 ci/score.py --json "${files[@]}" -- "$@" >"$file" || status=$?
    # 1 is a missed threshold, which is llm-audit's.
    if ((status > 1)); then
        echo "peers: $title could not be scored" >&2
        exit 1
    fi
    columns+=("$title=$file")
}
rival=("$venv/bin/python" ci/peers/rivals.py)
measure "llm-audit" "$target/release/llm-audit" redact
measure "Presidio" "${rival[@]}" presidio
measure "detect-secrets" "${rival[@]}" detect-secrets
measure "the same, files" "${rival[@]}" detect-secrets-files
measure "floor rules" "${rival[@]}" floor

printf '\n%s\n\n' "redacted in full/labelled, by ${versions[*]}"
python3 ci/peers/table.py "${columns[@]}"
