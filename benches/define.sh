#!/bin/sh
# CPU instructions of a cold `osai define`, beside those of a program that only parses its arguments with clap and
# prints a line. Counted by callgrind, because wall times drift. Goal: at most twice the floor.
#
#     benches/define.sh [TERM]        with OSAI=PROGRAM to measure another build
set -eu
cd "$(dirname "$0")/.."
term=${1:-quantization}

command -v valgrind >/dev/null || { echo "benches/define.sh: valgrind is missing; install it" >&2; exit 2; }
if [ -z "${OSAI:-}" ]; then
    cargo build --quiet --release --bin osai
    OSAI=target/release/osai
fi
cargo build --quiet --release --manifest-path benches/floor-clap/Cargo.toml --target-dir target/floor

# Instructions of a command, in all.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
}

floor=$(count target/floor/release/floor-clap define "$term")
osai=$(count "$OSAI" define "$term")
awk -v floor="$floor" -v osai="$osai" -v term="$term" 'BEGIN {
    printf "%-28s %9.3f M instructions\n", "clap and one line", floor / 1e6
    printf "%-28s %9.3f M instructions, %.2f of the floor (goal: 2)\n", "osai define " term, osai / 1e6, osai / floor
    exit osai > 2 * floor
}'
