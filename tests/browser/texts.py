"""Texts that a page must be able to show: long ones, Markdown, right-to-left and CJK, and some that attack."""

from __future__ import annotations

import json
from pathlib import Path

LONG = """Sourdough needs three things: **flour**, **water** and **time**.

1. Feed the starter twice, eight hours apart, until it doubles.
2. Mix 500 g flour with 350 g water and rest for an hour.
3. Add the starter and 10 g salt, then fold every thirty minutes.

```python
def hydration(water: float, flour: float) -> float:
    return water / flour  # 0.7 is a good beginning
```

| step  | hours |
|-------|-------|
| bulk  | 4     |
| proof | 12    |

> Cold dough is easier to score.

""" + "\n\n".join(
    f"Day {day}: " + "the crumb opens as the gluten relaxes and the yeast goes on with its slow work, " * 4
    for day in range(1, 7)
)
SHORT = "Mix flour, water, salt and starter. Wait a day. Bake it hot, in a closed pot, for forty-five minutes."
ATTACKS = (
    "<script>document.title = 'attacked'</script><img src=x onerror=\"document.title = 'attacked'\">",
    "[here](javascript:document.title='attacked') ![pixel](http://127.0.0.1:9/pixel.png) <iframe src='//a.b'></iframe>",
)
ARABIC = (
    "الخبز المخمّر يحتاج إلى الوقت والصبر قبل كل شيء.\n\n- اخلط **الطحين** بالماء واتركه ساعة.\n"
    "- أضف الخميرة والملح، ثم اطوِ العجين كل نصف ساعة.\n\nاخبزه في قدر مغلق (250°C) مدة 45 دقيقة.",
    "اشترِ الخبز من المخبز. هذا أسهل بكثير.",
)
CJK = (
    "酸面包需要三样东西:**面粉**、**水**和**时间**。\n\n1. 每天喂养酵头两次,直到它的体积翻倍。\n"
    "2. 将 500 克面粉与 350 克水混合,静置一小时。\n\n低温发酵十二小时之后,在预热的铸铁锅里烘烤四十五分钟。",
    "まず粉と水を混ぜて一時間休ませます。次に種と塩を加え、三十分ごとに折りたたみます。" * 3,
)
UNBROKEN = "x" * 600, "https://example.org/" + "a-very-long-path/" * 40
ROWS = [
    (
        "How do I bake a sourdough bread at home? I have an ordinary oven, a cast-iron pot and one free weekend.",
        (LONG, SHORT),
    ),
    ("كيف أخبز خبزًا مخمّرًا في المنزل؟", ARABIC),
    ("家里怎么做酸面包?請給我一個簡單的食譜。", CJK),
    ("Say something that no line can break.", UNBROKEN),
    ("How does one attack a page?", ATTACKS),
]


def write_pairs(path: Path) -> str:
    """The texts as a table of pairs; returns its path."""
    rows = [{"prompt": prompt, "first": first, "second": second} for prompt, (first, second) in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
