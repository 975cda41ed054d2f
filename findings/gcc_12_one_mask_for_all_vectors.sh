#!/usr/bin/env bash
# gcc 12.2.0 (Debian 12): at -O3 with AVX2, `d[..k] = a[..k] > 0 ? g[..k] : 0` over a few k gives wrong numbers, without a word.
#
# The inner loop is unrolled, what is left is vectorized as a group, and all vectors of a masked load get the first one's
# mask (.MASK_LOAD of -fdump-tree-vect).  Of 3, 6, 8, 10 and 12 doubles in a row some are wrong, of 1, 32 and 64 none.
# -O2 and --param=max-completely-peel-times=1 are right; -fno-tree-slp-vectorize and -fno-tree-fre are not.
#
# What follows: C programs are compiled with that parameter, and unroll by a pragma where they mean it; a test compares
# gradients of few channels as the program's own flags compile them.  Needs an x86-64 processor with AVX2, and binutils.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download {gcc-12,cpp-12,libgcc-12-dev}=12.2.0-14+deb12u1 libisl23 libmpc3 libmpfr6 libgmp10
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH="$folder/usr/lib/x86_64-linux-gnu"
gcc="usr/bin/gcc-12"
"$gcc" --version | head -1 | grep -F "12.2.0"
cat > rows.c <<'C'
#include <stdio.h>
#include <string.h>

enum { ROWS = 26, COUNT = ROWS * ROWS * K };
static double d[COUNT], g[COUNT], a[COUNT];

__attribute__((noinline)) static void choose(double *restrict out, const double *restrict in, const double *restrict by)
{
    for (long i = 0; i < ROWS; ++i)
        for (long j = 0; j < ROWS; ++j)
            for (long k = 0; k < K; ++k) {
                const long at = i * ROWS * K + j * K + k;
                out[at] = by[at] > 0 ? in[at] : 0;
            }
}

int main(void)
{
    int wrong = 0;
    for (long i = 0; i < COUNT; ++i) g[i] = i + 1, a[i] = i * 7 % 3 - 1;
    memset(d, 85, sizeof d);
    choose(d, g, a);
    for (long i = 0; i < COUNT; ++i) wrong += d[i] != (a[i] > 0 ? g[i] : 0);
    printf("%d\n", wrong);
}
C
wrong() { # flags, K
    "$gcc" -B "$folder/usr/lib/gcc/x86_64-linux-gnu/12/" -march=x86-64-v3 $1 "-DK=$2" rows.c -o rows
    ./rows
}
for k in 3 6 10 12; do
    bad=$(wrong -O3 $k)
    echo "$k in a row: -O3 $bad wrong, -O2 $(wrong -O2 $k), --param $(wrong "-O3 --param=max-completely-peel-times=1" $k)"
    test "$bad" -gt 0
    test "$(wrong -O2 $k)" = 0
    test "$(wrong "-O3 --param=max-completely-peel-times=1" $k)" = 0
done
test "$(wrong -O3 32)" = 0
