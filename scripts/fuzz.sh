#!/bin/sh
# Fuzzes every target with libFuzzer; fails on a finding and keeps its input in build/fuzz/findings/.
#   scripts/fuzz.sh [SECONDS [SUBJECT ...]]      default 60 seconds for each of all targets
# New inputs that reach new code go to build/fuzz/corpus/<subject>, never into the tree.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
case $seconds in '' | *[!0-9]*) sed -n 's/^# \{0,1\}//; 2,4p' "$0" >&2; exit 2 ;; esac
[ $# -eq 0 ] || shift

say() { printf 'fuzz: %s\n' "$*"; }

scripts/setup.sh --dev
scripts/build.sh fuzz
if [ $# -eq 0 ]; then
    for source in fuzz/fuzz_*.c; do
        subject=${source#fuzz/fuzz_}
        set -- "$@" "${subject%.c}"
    done
fi
findings=build/fuzz/findings
mkdir -p "$findings"
failed=
for subject in "$@"; do
    program=build/fuzz/fuzz/fuzz_$subject
    [ -x "$program" ] || { say "no target fuzz_$subject"; exit 2; }
    corpus=build/fuzz/corpus/$subject
    mkdir -p "$corpus"
    log=build/fuzz/$subject.log
    say "$subject: $seconds s"
    # HT_CPU: the sanitizers see no further into wider kernels, and the narrow ones run everywhere.
    if HT_CPU=${HT_CPU:-avx2} "$program" "$corpus" "fuzz/corpus/$subject" -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 -artifact_prefix="$findings/$subject-" >"$log" 2>&1; then
        say "$subject: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no finding"
    else
        grep -vE '^#[0-9]+.(NEW|REDUCE|pulse|RELOAD)' "$log" | tail -n 60
        say "$subject: A FINDING; its input is in $findings, all of the log in $log"
        failed="$failed $subject"
    fi
done
[ -z "$failed" ] || { say "findings in:$failed"; exit 1; }
