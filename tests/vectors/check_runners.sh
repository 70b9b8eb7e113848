#!/bin/sh
# Proves that a vector runner can fail: exit codes and last lines on files that
# agree, disagree, cannot be used, hold nothing for it, or are not there.
# check_runners.sh PATH-OF-hkdf-vectors PATH-OF-hkdf_sha256.json
set -u
runner=$1 good=$2
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
failures=0

# expect CODE PATTERN-OF-OUTPUT ARGUMENT...
expect() {
    code=$1 pattern=$2
    shift 2
    output=$("$runner" "$@" 2>&1)
    got=$?
    if [ $got -ne "$code" ] || ! printf '%s\n' "$output" | grep -qx "$pattern"; then
        printf 'FAILED: %s: exit %s (not %s), or no line "%s" in:\n%s\n' \
            "$*" $got "$code" "$pattern" "$output"
        failures=$((failures + 1))
    fi
}

expect 0 '8 vectors agree, 0 skipped' "$good"
sed 's/3cb25f25/3cb25f24/' "$good" >"$dir/changed"
expect 1 'tcId 1: gives another result' "$dir/changed"
expect 1 '[0-9]* vectors agree, 0 skipped' "$dir/changed"
sed 's/"result": "invalid"/"result": "valid"/' "$good" >"$dir/valid"
expect 1 'tcId 7: is valid, but was refused' "$dir/valid"
sed 's/"result": "valid"/"result": "invalid"/' "$good" >"$dir/invalid"
expect 1 'tcId 3: is invalid, but was accepted' "$dir/invalid"
sed 's/HKDF-SHA-256/HKDF-SHA-512/' "$good" >"$dir/sha512"
expect 2 '0 vectors agree, 8 skipped' "$dir/sha512"
head -c 1000 "$good" >"$dir/truncated"
expect 2 '.*truncated: line .*' "$dir/truncated"
sed 's/3cb25f25/3cb25fzz/' "$good" >"$dir/nothex"
expect 2 '.*"okm" is not hexadecimal.*' "$dir/nothex"
printf '{}' >"$dir/empty"
expect 2 '.*"testGroups" is not there.*' "$dir/empty"
expect 2 '.*absent: .*' "$dir/absent"
expect 77 'skipped: .*absent is not there' --if-present "$dir/absent"
expect 0 '8 vectors agree, 0 skipped' --if-present "$good"
expect 2 'usage: .*'

[ $failures -eq 0 ] && echo "all as expected"
exit $((failures != 0))
