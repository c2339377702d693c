#!/usr/bin/env bash
# Backtests an engine in a CI: gates on its scanner, gates on its market, and reports, which are written in any case.
#
#   backtest.sh CORPUS ENGINE [BASE]
#
# CORPUS  folder of the corpus, or the name of a shipped one
# ENGINE  the engine's file
# BASE    the engine's file to compare with, such as that of the branch to merge into; gates may then say `base`
#
# From the environment, all optional:
#   SCAN_GATES, MARKET_GATES   gates, one a line; see `sim bench scan --help`. Blank lines do not count
#   CANNOT_TELL                pass, warn (default) or fail: what becomes of a gate that this machine cannot tell
#   OUT                        folder for reports; default `backtest`, which is replaced
#   SIM_CACHE                  folder of verdicts, worth keeping from one job to the next
#   SUMMARY                    file that a summary in Markdown is added to
#
# Exit codes: 0 all gates hold; 3 one fails; another: something went wrong, which is said on stderr.
set -uo pipefail

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: backtest.sh CORPUS ENGINE [BASE]" >&2
    exit 2
fi
corpus=$1 engine=$2 base=${3:-}
out=${OUT:-backtest}
rm -rf "$out" && mkdir -p "$out" || exit 2

against=()
[ -z "$base" ] || against=(--against "$base")

# The worst that happened: an error is worse than a gate that fails.
worst=0
note() {
    if [ "$1" -ne 0 ] && { [ "$worst" -eq 0 ] || [ "$worst" -eq 3 ]; }; then
        worst=$1
    fi
}

# bench SUBJECT GATES: `sim bench SUBJECT` with these gates, and its reports.
bench() {
    local subject=$1 gate gates=()
    while IFS= read -r gate; do
        [ -z "${gate//[[:space:]]/}" ] || gates+=(--gate "$gate")
    done <<<"$2"
    sim bench "$subject" "$corpus" --engine "$engine" \
        ${against[@]+"${against[@]}"} ${gates[@]+"${gates[@]}"} --cannot-tell "${CANNOT_TELL:-warn}" \
        --export json="$out/bench-$subject.json" --export junit="$out/junit-$subject.xml" \
        --export markdown="$out/summary-$subject.md"
    note $?
    if [ -n "${SUMMARY:-}" ] && [ -s "$out/summary-$subject.md" ]; then
        cat "$out/summary-$subject.md" >>"$SUMMARY"
    fi
}

bench scan "${SCAN_GATES:-}"
bench replay "${MARKET_GATES:-}"

# The page that a person opens: what the engine would have earned, and why not more.
sim replay "$corpus" --engine "$engine" --out "$out/run" >"$out/run.txt" &&
    sim explain "$out/run" --save >"$out/explanation.txt" &&
    sim report "$out/run" -o "$out/report.html"
note $?

exit "$worst"
