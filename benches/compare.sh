#!/usr/bin/env bash
# osai beside llama.cpp: same file, same threads, in turn; medians of the rounds and their ratios.
#
#   benches/compare.sh [--llama DIR] [--work DIR] [--rounds N] [--prompt N] [--answer N] [FILE...]
#
# Without FILE: the bundled SmolLM2 and files with random weights of about 0.5 B parameters, made in the work folder.
# --llama: an unpacked llama.cpp whose build folders `build` (native) and `build-avx2` lie beside it or in it; without
# it, the copy inside the Python package llama-cpp-python is fetched and built (some ten minutes). Needs cmake, ninja,
# g++, and python3 with venv. Run it on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

llama='' work=target/compare rounds=5 prompt=256 answer=48 files=()
while [ $# -gt 0 ]; do
    case $1 in
        --llama) llama=$2; shift 2 ;;
        --work) work=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --prompt) prompt=$2; shift 2 ;;
        --answer) answer=$2; shift 2 ;;
        -*) echo "unknown option $1" >&2; exit 2 ;;
        *) files+=("$1"); shift ;;
    esac
done
mkdir -p "$work"
work=$(realpath "$work")

# --- llama.cpp -------------------------------------------------------------------------------------------------------
python() {
    [ -x "$work/venv/bin/python" ] || { python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install numpy gguf cmake ninja; }
    PATH="$work/venv/bin:$PATH" "$work/venv/bin/python" "$@"
}
if [ -z "$llama" ]; then
    llama=$work/llama
    if [ ! -d "$llama" ]; then
        python -m pip -q download --no-deps --no-binary :all: --no-build-isolation -d "$work" llama-cpp-python
        mkdir "$llama.part" && tar -xzf "$work"/llama_cpp_python-*.tar.gz --strip-components 1 -C "$llama.part"
        mv "$llama.part" "$llama"
    fi
fi
source=$(find "$llama" -path '*/include/llama.h' -printf '%h\n' -quit)
source=${source%/include}
[ -n "$source" ] || { echo "no llama.h under $llama" >&2; exit 1; }
build() { # folder, cmake options
    local to=$llama/$1; shift
    [ -e "$to/bin/libllama.so" ] && return
    python -c 'import cmake' # makes the venv
    PATH="$work/venv/bin:$PATH" cmake -S "$source" -B "$to" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_OPENMP=OFF \
        -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF "$@" >"$to.log"
    PATH="$work/venv/bin:$PATH" ninja -C "$to" llama llama-quantize >>"$to.log"
}
build build
build build-avx2 -DGGML_NATIVE=OFF -DGGML_AVX512=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON
for set in build build-avx2; do
    bin=$(realpath "$llama/$set/bin")
    g++ -O2 -std=c++17 -I"$source/include" -I"$source/ggml/include" benches/llama_cpp.cpp -o "$work/llama-$set" \
        -L"$bin" -lllama -lggml -lggml-base -lggml-cpu -Wl,-rpath,"$bin"
done

# --- osai ------------------------------------------------------------------------------------------------------------
osai=$(cargo bench --bench engine --no-run --message-format=json |
    sed -n 's/.*"name":"engine".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$osai" ] || { echo 'the benchmark was not built' >&2; exit 1; }

# --- files -----------------------------------------------------------------------------------------------------------
if [ ${#files[@]} = 0 ]; then
    smol=${HOME}/.local/share/osai/models/SmolLM2-135M-Instruct.Q4_1.gguf
    [ -f "$smol" ] || { echo "no $smol; run \`osai model add\` first" >&2; exit 1; }
    files=("$smol")
    for shape in '1024 24 4864 16 4' '896 24 4864 14 2'; do
        hidden=${shape%% *}
        base=$work/m$hidden.Q8_0.gguf
        # shellcheck disable=SC2086 # five numbers
        [ -f "$base" ] || { python benches/random_model.py "$smol" "$base.part" $shape Q8_0 && mv "$base.part" "$base"; }
        files+=("$base")
        for type in Q4_K_M Q6_K Q4_0; do
            file=$work/m$hidden.$type.gguf
            [ -f "$file" ] || "$llama/build/bin/llama-quantize" --allow-requantize "$base" "$file" "$type" >"$work/quantize.log" 2>&1
            files+=("$file")
        done
    done
fi

# --- measuring -------------------------------------------------------------------------------------------------------
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
figure() { sed -n "s/.*\b$2 \([0-9.]*\).*/\1/p" "$1" | median; }

echo "machine: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg)"
one=$(taskset -c 0 "$osai" stream 1 | sed 's/gb_s //')
all=$("$osai" stream "$(nproc)" | sed 's/gb_s //')
echo "memory gives one thread $one GB/s, $(nproc) threads $all GB/s"
echo
printf '%-26s %-6s %3s | %21s | %21s | %21s | %21s | %s\n' file isa thr 'prefill, CPU time' 'decode, CPU time' 'prefill, wall' \
    'decode, wall' 'first token s / peak MB: osai, llama.cpp; GB/s of decode'
best=$("$osai" isa)
compare() { # file, isa, llama.cpp's build, threads
    local file=$1 isa=$2 set=$3 threads=$4 pin=()
    [ "$threads" = 1 ] && pin=(taskset -c 0)
    : >"$work/osai.out"; : >"$work/llama.out"
    for _ in $(seq "$rounds"); do
        "${pin[@]}" "$osai" run "$file" "$threads" "$prompt" "$answer" "$isa" >>"$work/osai.out"
        "${pin[@]}" "$work/llama-$set" "$file" "$threads" "$prompt" "$answer" >>"$work/llama.out"
    done
    printf '%-26s %-6s %3d' "$(basename "$file" .gguf | cut -c1-26)" "$isa" "$threads"
    for what in prefill_cpu decode_cpu prefill_wall decode_wall; do
        awk -v a="$(figure "$work/osai.out" $what)" -v b="$(figure "$work/llama.out" $what)" \
            'BEGIN {printf " | %7.1f %7.1f %4.2fx", a, b, a / b}'
    done
    awk -v oa="$(figure "$work/osai.out" open_wall)" -v ob="$(figure "$work/llama.out" open_wall)" \
        -v pa="$(figure "$work/osai.out" peak_kib)" -v pb="$(figure "$work/llama.out" peak_kib)" \
        -v size="$(stat -Lc %s "$file")" -v rate="$(figure "$work/osai.out" decode_wall)" \
        'BEGIN {printf " | %.2f %.2f (%.2fx)  %.0f %.0f (file %.0f)  %.1f GB/s\n",
            oa, ob, oa / ob, pa * 1.024e-3, pb * 1.024e-3, size / 1e6, size * rate / 1e9}'
}
for file in "${files[@]}"; do
    compare "$file" "$best" build 1
    [ "$(nproc)" -gt 1 ] && compare "$file" "$best" build 2
    [ "$best" = avx512 ] && compare "$file" avx2 build-avx2 1
done
