#!/usr/bin/env bash
# Feeds every fuzz target for so many seconds, guided by coverage: `tests/fuzz/run.sh [SECONDS]`
#
# Stable Rust: the coverage is LLVM's own (-Cpasses=sancov-module), libFuzzer comes as the crate
# libfuzzer-sys. What was built and found stays in target/fuzz: inputs that reach something new in
# corpus/, inputs that break a promise in found/. Exits 1 if there was one of those.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || {
    echo "fuzz: SECONDS is not a number: $seconds" >&2
    exit 1
}
folder=$PWD/target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

flags=(-Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$option")
done
# With --target, build scripts and macros are left as they are.
RUSTFLAGS="${flags[*]}" cargo build --locked --package fuzz --features libfuzzer --bin fuzz \
    --profile fuzz --target "$host" --target-dir "$folder"
fuzz=$folder/$host/fuzz/fuzz

printf '%-12s %12s %10s %8s %8s  %s\n' target runs runs/s edges inputs found
failed=0
for target in $(FUZZ_TARGET=list "$fuzz"); do
    corpus=$folder/corpus/$target found=$folder/found/$target log=$folder/$target.log
    mkdir -p "$corpus" "$found"
    # What was found before and is mended counts no more.
    for input in "$found"/*; do
        if [ -e "$input" ] && FUZZ_TARGET=$target "$fuzz" "$input" >/dev/null 2>&1; then
            rm "$input"
        fi
    done
    FUZZ_TARGET=$target FUZZ_SEEDS=$corpus "$fuzz" "$corpus" -max_total_time="$seconds" \
        -max_len=65536 -timeout=20 -rss_limit_mb=4096 -dict=tests/fuzz/json.dict \
        -artifact_prefix="$found/" -print_final_stats=1 >"$log" 2>&1 || failed=1
    read -r edges inputs < <(sed -n 's/.* cov: \([0-9]*\) .* corp: \([0-9]*\)\/.*/\1 \2/p' "$log" | tail -n 1) || true
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    count=$(find "$found" -type f | wc -l)
    printf '%-12s %12s %10s %8s %8s  %s\n' "$target" "${runs:-0}" "${rate:-0}" "${edges:-0}" "${inputs:-0}" "$count"
    if [ "$count" -gt 0 ]; then
        failed=1
        find "$found" -type f -exec echo "  again: FUZZ_TARGET=$target $fuzz" {} \;
    fi
done
exit $failed
