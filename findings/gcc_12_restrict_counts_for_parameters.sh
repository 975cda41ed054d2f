#!/usr/bin/env bash
# gcc 12.2.0 (Debian 12): `restrict` counts for a function's parameters, not for pointers that are declared in its body.
#
# The same loop over seven arrays: with restrict-qualified parameters it becomes vectors as it is, even after the function
# was inlined.  With restrict-qualified pointers in the body, read from a struct, gcc compares all addresses at run time
# first ("loop versioned ... because of possible aliasing"), inlined or not, and from more than ten pairs on
# (--param vect-max-version-for-alias-checks) it does not make vectors at all.  C gives both the same meaning.
#
# What follows: functions that take one struct tell gcc by `#pragma GCC ivdep` at their loops over elements; a test asks
# that each of these is vectorized.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download {gcc-12,cpp-12,libgcc-12-dev}=12.2.0-14+deb12u1 libisl23 libmpc3 libmpfr6 libgmp10
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH="$folder/usr/lib/x86_64-linux-gnu"
gcc="usr/bin/gcc-12"
"$gcc" --version | head -1 | grep -F "12.2.0"
cat > loops.c <<'C'
struct arrays { float *out, *a, *b, *c, *d, *e, *f; };
#define LOOP \
    for (long n = from; n < to; ++n) \
        for (long k = 0; k < 32; ++k) \
            out[n * 32 + k] = a[k] * (b[n * 32 + k] * c[k] - d[k] * e[n * 32 + k] - f[k]);

#ifdef PARAMETERS
static inline void inner(long from, long to, float *restrict out, const float *restrict a, const float *restrict b,
    const float *restrict c, const float *restrict d, const float *restrict e, const float *restrict f)
{
    LOOP
}
void outer(struct arrays *w, long from, long to)
{
    inner(from, to, w->out, w->a, w->b, w->c, w->d, w->e, w->f);
}
#else
void outer(struct arrays *w, long from, long to)
{
    float *restrict out = w->out;
    const float *restrict a = w->a, *restrict b = w->b, *restrict c = w->c;
    const float *restrict d = w->d, *restrict e = w->e, *restrict f = w->f;
    LOOP
}
#endif
C
told() { "$gcc" -B "$folder/usr/lib/gcc/x86_64-linux-gnu/12/" -O3 -march=x86-64-v3 -S -o /dev/null "$@" -fopt-info-vec loops.c 2>&1; }
parameters=$(told -DPARAMETERS)
body=$(told)
few=$(told --param=vect-max-version-for-alias-checks=5)
printf 'parameters:\n%s\nin the body:\n%s\nin the body, with fewer comparisons allowed:\n%s\n' "$parameters" "$body" "$few"
grep -q "loop vectorized" <<< "$parameters"
test "$(grep -c "versioned" <<< "$parameters")" = 0
grep -q "versioned for vectorization because of possible aliasing" <<< "$body"
test "$(grep -c "loop vectorized" <<< "$few")" = 0
