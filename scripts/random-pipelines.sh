#!/bin/sh
# Random pipelines against a recursive evaluator, at length: 100,000 on one thread and on threads with 5,000 of them in
# processes, and 10,000 each under AddressSanitizer + UndefinedBehaviorSanitizer and under ThreadSanitizer.
#
#     scripts/random-pipelines.sh [SEED]
set -eu
cd "$(dirname "$0")/.."
seed=${1:-1}
rooms='base;os;codec;db;trace;cache;engine;flow'

run() { # NAME SANITIZERS N N_IN_PROCESSES
    echo "== $1: $3 pipelines, $4 of them in processes too"
    cmake -G Ninja -B "build/random-$1" -DCMAKE_BUILD_TYPE="$([ -n "$2" ] && echo Debug || echo Release)" \
        -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DHT_SANITIZE="$2" -DHT_CLI=OFF "-DHT_ROOMS=$rooms" -DHT_WERROR=ON >/dev/null
    cmake --build "build/random-$1" --target test_random_pipelines >/dev/null
    timeout 900 "build/random-$1/tests/unit/flow/test_random_pipelines" "$3" "$seed" "$4"
}
run release '' 100000 5000
run asan address,undefined 10000 100
run tsan thread 10000 100
