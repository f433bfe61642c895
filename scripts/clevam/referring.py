"""Which of several: `the dog on the left` is the leftmost of what `the dog` names. Detectors do not know their left.

Only what cannot mean anything else is understood: `the left hand` may be anywhere.
"""

import re

WHICH = {
    "left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "lowest", "low": "lowest",
    "largest": "largest", "biggest": "largest", "smallest": "smallest",
    "左": "leftmost", "右": "rightmost", "上": "topmost", "下": "lowest", "最大": "largest", "最小": "smallest",
}  # fmt: skip
ORDER = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5,
}  # fmt: skip
_THE = r"(?P<article>the |a |an )?"
_PICTURE = r"( of the (picture|image|frame|video|screen))?"
_RULES = (
    rf"{_THE}(?P<order>first|second|third|fourth|fifth) (?P<thing>.+?) from (the )?(?P<side>left|right){_PICTURE}",
    r"(?P<all>all|all of|both|both of) (?P<article>the )(?P<thing>.+)",
    r"(?P<all>both|every|each) (?P<thing>(?!of ).+)",
    r"从?(?P<side>左|右)[边起数]*第(?P<order>[一二三四五])[只个条头匹辆位](?P<thing>.+)",
    r"(?P<all>所有|全部)的?(?P<thing>.+)",
    rf"{_THE}(?P<thing>.+?),?( that is| which is| standing| sitting| lying)? (on|at) the (far )?"
    rf"(?P<which>left|right|top|bottom)(([ -]hand)? side)?{_PICTURE}",
    rf"{_THE}(?P<which>left|right|top|bottom)[ -]?most (?P<thing>.+)",
    rf"{_THE}(?P<which>largest|biggest|smallest) (?P<thing>(?!of ).+)",
    r"(画面|图)?(中|里)?最?(?P<which>左|右|上|下)[边面方侧]的?(那[只个条头匹辆位])?(?P<thing>.+)",
    r"(?P<which>最大|最小)的(那[只个条头匹辆位])?(?P<thing>.+)",
)


def parse(phrase: str) -> tuple[str, str | int | None]:
    """What a phrase names, and which of them it means (config.Masks.pick), or None if it says nothing of it."""
    plain = phrase.strip().rstrip(".。")
    for rule in _RULES:
        if found := re.fullmatch(rule, plain, re.IGNORECASE):
            said = found.groupdict()
            return (said.get("article") or "") + said["thing"], _which(said)
    return phrase, None


def _which(said: dict[str, str | None]) -> str | int:
    if said.get("all"):
        return "all"
    if order := said.get("order"):
        return ORDER[order.lower()] * (-1 if said["side"].lower() in ("right", "右") else 1)
    return WHICH[said["which"].lower()]
