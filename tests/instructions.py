#!/usr/bin/env python3
"""Counts the instructions of what each delivery and each listed user costs, as it is deployed, and
holds them within 10 % of what is recorded: `tests/instructions.py PROGRAM` (tests/hot).

Time differs from machine to machine and from run to run; instructions, which valgrind counts, hardly
do. RENEW=1 records what was counted, after a change that is meant to cost more or less.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

RECORD = Path(__file__).parent / "hot" / "instructions.json"
KINDS = ["verify_and_read", "read", "print"]
TOLERANCE = 0.10
TIMES = 200


def stop(why):
    sys.exit(f"instructions: {why}")


def counted(program, kind, times):
    """Instructions of the whole program, its start included."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, kind, str(times)]
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected\s*:\s*(\d+)", ran.stderr)
    if ran.returncode != 0 or not found:
        stop(f"{' '.join(command)} fails:\n{ran.stderr}")
    return int(found[1])


def each(program, kind):
    """Instructions of doing it once: twice as many times, less as many."""
    return (counted(program, kind, 2 * TIMES) - counted(program, kind, TIMES)) // TIMES


def main(program):
    if not shutil.which("valgrind"):
        stop("valgrind is missing, which counts them: run tests/setup.sh test, or apt-get install valgrind")
    found = {kind: each(program, kind) for kind in KINDS}
    record = json.loads(RECORD.read_text())
    machine = platform.machine()
    if os.environ.get("RENEW"):
        record[machine] = found
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        print(f"instructions: recorded {found}")
        return
    if machine not in record:
        stop(f"none are recorded for {machine}: run make instructions RENEW=1 on the commit before yours")
    wrong = []
    for kind, is_now in found.items():
        was = record[machine][kind]
        print(f"instructions: {kind:<16} {is_now:>8}, recorded {was:>8} ({is_now / was - 1:+.1%})")
        if abs(is_now - was) > TOLERANCE * was:
            wrong.append(kind)
    if wrong:
        stop(f"{', '.join(wrong)}: more than {TOLERANCE:.0%} off; if that is meant, run make instructions RENEW=1")


main(sys.argv[1])
