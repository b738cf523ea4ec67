# Finds samples and recordings for a gate. Source this file from the top of the repository.
#
# A sample is a small file in testdata/samples; every clone has it. A recording is a larger file of
# other people's data. LLM_AUDIT_DATA names the folder of the recordings; the default is
# ../shared/data. A relative path starts at the repository. recordings.rs and recordings.py follow
# the same rule.

data=${LLM_AUDIT_DATA:-../shared/data}
if [[ $data != /* ]]; then data=$PWD/$data; fi

# Prints the path of a sample: sample NAME. Reports on stderr how many lines it has.
sample() {
    echo "testdata: samples/$1: $(grep -c . "testdata/samples/$1") lines" >&2
    echo "testdata/samples/$1"
}

# Prints the path of a recording: recording NAME. Reports on stderr how many lines it has, or that it
# is missing; in that case the exit code is 1.
recording() {
    if [[ ! -e $data/$1 ]]; then
        echo "testdata: $1 is not in $data (LLM_AUDIT_DATA names the folder)" >&2
        return 1
    fi
    echo "testdata: $1: $(gzip -dcf "$data/$1" | grep -c .) lines in $data" >&2
    echo "$data/$1"
}
