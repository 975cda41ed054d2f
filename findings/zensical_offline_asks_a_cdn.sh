#!/usr/bin/env bash
# Zensical 0.0.73: the offline plugin puts a script of a CDN into every page; without the plugin there is none.
#
# "offline" makes a site that is opened from disk: links end in .html, the search index is a script.  Its search needs a
# shim for workers on file:// pages (iframe-worker), and that one is named by its address on a public CDN, in the head of
# each page, 404.html included, without async or defer: where there is no network there is no shim.  The build reports "No
# issues found".  One would guess that everything an offline site needs lies in its folder.
#
# What follows: keep the shim among the own files and name it in extra.polyfills; a path with "iframe-worker" in it stops
# the plugin from adding the other.  And look through the pages built for src="http.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zensical==0.0.73
mkdir "$folder/docs"
cd "$folder"
echo "# Home" > docs/index.md
foreign() {
    printf 'site_name: Box\ntheme:\n  font: false\n%b' "$1" > mkdocs.yml
    rm -rf site
    venv/bin/zensical build > log 2>&1
    found=$(grep -oh '<script src="http[^"]*"' site/index.html site/404.html || true)
}
foreign ""
echo "without the plugin: ${found:-no script from elsewhere}"
[ -z "$found" ]
foreign 'plugins:\n  - offline\n'
echo "with it: $found"
[ "$(grep -c iframe-worker <<< "$found")" = 2 ]
grep -q "No issues found" log
foreign 'plugins:\n  - offline\nextra:\n  polyfills:\n    - assets/iframe-worker.js\n'
echo "with a shim of one's own: ${found:-no script from elsewhere}"
[ -z "$found" ]
grep -q 'assets/iframe-worker.js"' site/index.html
