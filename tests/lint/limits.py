"""Sizes: a file one can read in a sitting, a function one can see at once. A waiver names the file and the reason."""
import re

from common import ROOT, finish, sources, waivers

FILE_LINES = {".cc": 600, ".h": 400}
FUNCTION_LINES = 70


def functions(lines):
    """(first line, length) of each top-level body: code is formatted, so a body ends at a `}` as far left as its head."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            if re.match(r"^\S.*[)\w>]\s*(const|noexcept|override|\s)*\{$", line) and not re.match(
                    r"^(namespace|struct|class|enum|union|extern|template|constexpr|static const|#|const |\}|TEST_CASE|union)",
                    line):
                start = number
        elif line.startswith("}"):
            yield start, number - start + 1
            start = None


def main():
    excused = waivers()
    complaints, files, longest = [], 0, 0
    for path in sources(".h", ".cc"):
        name = str(path.relative_to(ROOT))
        lines = path.read_text().splitlines()
        files += 1
        if len(lines) > FILE_LINES[path.suffix] and ("file", name) not in excused:
            complaints.append(f"{name}: {len(lines)} lines, at most {FILE_LINES[path.suffix]}")
        for first, length in functions(lines):
            longest = max(longest, length)
            if length > FUNCTION_LINES and ("function", name) not in excused:
                complaints.append(f"{name}:{first}: a function of {length} lines, at most {FUNCTION_LINES}")
    finish("limits", complaints, f"{files} files, longest function {longest} lines")


main()
