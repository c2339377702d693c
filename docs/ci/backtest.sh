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
#   SCAN_GATES, MARKET_GATES   gates, one a line; see `sim bench scan --help`. Without SCAN_GATES scanners are not measured:
#                              an engine of recorded verdicts has none
#   CANNOT_TELL                pass, warn (default) or fail: what becomes of a gate that this machine cannot tell
#   OUT                        folder for reports; default `backtest`, which is replaced; one that is not of a backtest must be empty
#   SIM_CACHE                  folder of verdicts, worth keeping from one job to the next
#   SUMMARY                    file that a summary in Markdown is added to
#
# Exit codes: 0 all gates hold; 3 one fails; another: something went wrong, which is said on stderr.
set -uo pipefail
SCAN_GATES=${SCAN_GATES:-}

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: backtest.sh CORPUS ENGINE [BASE]" >&2
    exit 2
fi
corpus=$1 engine=$2 base=${3:-}
out=${OUT:-backtest}
for file in "$engine" ${base:+"$base"}; do
    if [ ! -f "$file" ]; then
        echo "there is no engine's file $file" >&2
        exit 2
    fi
done
# Only what an earlier run of this script left is taken away, or a folder with nothing in it.
if [ -e "$out" ] && [ ! -e "$out/.backtest" ] && ! { [ -d "$out" ] && [ -z "$(ls -A "$out")" ]; }; then
    echo "$out exists, and is not of a backtest; name another folder with OUT" >&2
    exit 2
fi
{ [ ! -e "$out/.backtest" ] || rm -rf "$out"; } && mkdir -p "$out" && touch "$out/.backtest" || exit 2

against=()
[ -z "$base" ] || against=(--against "$base")

# Gates that fail are for the end; an error ends it at once.
failed=0
note() {
    case $1 in
    0) ;;
    3) failed=3 ;;
    *) exit "$1" ;;
    esac
}

# bench SUBJECT GATES: `sim bench SUBJECT` with these gates, and its reports.
bench() {
    local subject=$1 gate gates=() code
    while IFS= read -r gate; do
        [ -z "${gate//[[:space:]]/}" ] || gates+=(--gate "$gate")
    done <<<"$2"
    sim bench "$subject" "$corpus" --engine "$engine" \
        ${against[@]+"${against[@]}"} ${gates[@]+"${gates[@]}"} --cannot-tell "${CANNOT_TELL:-warn}" \
        --export json="$out/bench-$subject.json" --export junit="$out/junit-$subject.xml" \
        --export markdown="$out/summary-$subject.md"
    code=$?
    # Whatever became of it: what was measured before an error is worth reading.
    if [ -n "${SUMMARY:-}" ] && [ -s "$out/summary-$subject.md" ]; then
        cat "$out/summary-$subject.md" >>"$SUMMARY"
    fi
    note "$code"
}

[ -z "${SCAN_GATES//[[:space:]]/}" ] || bench scan "$SCAN_GATES"
bench replay "${MARKET_GATES:-}"

# The page that a person opens: what the engine would have earned, and why not more.
sim replay "$corpus" --engine "$engine" --out "$out/run" >"$out/run.txt" &&
    sim explain "$out/run" --save >"$out/explanation.txt" &&
    sim report "$out/run" -o "$out/report.html"
note $?

exit "$failed"
