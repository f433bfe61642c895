"""An edit said in one sentence: "replace A with B", or 把A换成B."""

import re

_FORMS = [
    re.compile(r"(?:please\s+)?(?:replace|exchange|swap)\s+(.+?)\s+(?:with|by|for)\s+(.+)", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?:please\s+)?(?:change|turn|make|transform)\s+(.+?)\s+(?:in)?to\s+(.+)", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?:请)?(?:把|将)\s*(.+?)\s*(?:替换成|替换为|换成|换为|变成|变为|改成|改为)\s*(.+)", re.DOTALL),
]


def parse(text: str) -> tuple[str, str]:
    """(A, B) of a sentence. Raises ValueError if it has another form."""
    said = text.strip().rstrip(".!。！")
    for form in _FORMS:
        if found := form.fullmatch(said):
            return found[1].strip(), found[2].strip()
    raise ValueError(f"{text!r} is not of the form `replace A with B` or 把A换成B; or give find and replace")
