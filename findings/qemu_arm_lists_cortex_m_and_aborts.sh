#!/usr/bin/env bash
# qemu-user-static 7.2.22 (Debian 12): `qemu-arm -cpu help` lists cortex-m0 to cortex-m55, and every one of them aborts.
#
# Whatever the program, an assertion of the emulator itself fails before its first instruction; cortex-a7 runs the same
# program.  It is none of the program's faults, and -B and -R, which move guest memory, do not help.
#
# What follows: what is compiled for a Cortex-M is run by qemu-system-arm (-M mps2-an386 -semihosting -kernel), with
# a vector table and a reset function of its own (tests/devices/cortex_m4.c).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download "qemu-user-static=1:7.2+dfsg-7+deb12u18+b3"
dpkg -x qemu-user-static_*.deb .
qemu=usr/bin/qemu-arm-static
"$qemu" --version | head -1
python3 - <<'PYTHON'
"""A program in Thumb code that ends with 7: movs r0, #7; movs r7, #1; svc 0."""
import struct

code = bytes.fromhex("0720" "0127" "00df")
start, size = 0x10000, 84 + len(code)
elf = b"\x7fELF\x01\x01\x01" + bytes(9)
elf += struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, start + 84 + 1, 52, 0, 0x05000200, 52, 32, 1, 0, 0, 0)
elf += struct.pack("<IIIIIIII", 1, 0, start, start, size, size, 5, 0x1000)
with open("seven", "wb") as file:
    file.write(elf + code)
PYTHON
chmod +x seven
code=0
"$qemu" -cpu cortex-a7 ./seven || code=$?
echo "cortex-a7: exit code $code"
test "$code" = 7
{ "$qemu" -cpu help || true; } | grep -E "^ +cortex-m[0-9]+$"
for cpu in cortex-m0 cortex-m3 cortex-m4 cortex-m7 cortex-m33 cortex-m55; do
    code=0
    "$qemu" -cpu "$cpu" ./seven 2>said || code=$?
    echo "$cpu: exit code $code, $(head -1 said)"
    test "$code" = 134
    grep -q "page_set_flags: Assertion" said
done
