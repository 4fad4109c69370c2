#!/usr/bin/env python3
"""Counts the instructions of the ARM products, for docs/arm.md.

usage: tests/bench/arm_instructions.py [BUILD]      BUILD: build/arm64-kernels, with the target product_once built

An emulator knows no time, but it executes what the board executes. QEMU notes every instruction (-singlestep -d exec); a run with two products minus
one with a single one is one product. Printed as a table: instructions per byte of packed weights for one row of input (decode), and
multiply-adds an instruction for one row and for eight (prefill).
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENCODINGS = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "int4", "int4_128", "int8", "nf4"]
SETS = {"neon": "cortex-a72", "dotprod": "cortex-a76", "i8mm": "max"}
MULTIPLY_ADDS = 16 * 2048  # of one row in product_once


def executed(program, cpu, *arguments):
    """Instructions of a whole run, and the bytes of weights that it names."""
    command = ["qemu-aarch64-static", "-cpu", cpu, "-singlestep", "-d", "exec,nochain", "-D", "/dev/stderr"]
    with subprocess.Popen([*command, program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        count = sum(line.startswith(b"Trace") for line in run.stderr)
        words = run.stdout.read().split()
    if run.returncode != 0:
        sys.exit(f"arm_instructions: {program} {arguments} failed with {run.returncode}")
    return count, int(words[1])


def of_one_product(program, cpu, kernel, rows):
    once, bytes_read = executed(program, cpu, kernel, rows, 1)
    twice, _ = executed(program, cpu, kernel, rows, 2)
    return twice - once, bytes_read


def main():
    if len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    build = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "arm64-kernels"
    program = build / "bin" / "product_once"
    if not program.is_file():
        sys.exit(f"arm_instructions: {program} is missing: cmake --build {build} --target product_once")
    print("| kernel | instructions a byte | multiply-adds an instruction, 1 row | 8 rows |\n|---|---|---|---|")
    for isa, cpu in SETS.items():
        for encoding in ENCODINGS:
            one, bytes_read = of_one_product(program, cpu, f"matmul/{encoding}/a8/{isa}", 1)
            eight, _ = of_one_product(program, cpu, f"matmul/{encoding}/a8/{isa}", 8)
            print(f"| {encoding}/{isa} | {one / bytes_read:.2f} | {MULTIPLY_ADDS / one:.2f} | {8 * MULTIPLY_ADDS / eight:.2f} |", flush=True)


if __name__ == "__main__":
    main()
