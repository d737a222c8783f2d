"""A small folder of documents: two methodologies, one of them with an earlier version, and what supports them."""

from __future__ import annotations

from pathlib import Path

HK1 = """\
# HK-1

Version 1.0.0. A short text: `ladder.md` and [README](README.md) say more, `nothing.md` does not exist.

## 1. Prices & <script>alert(1)</script>

<!-- parameters 1.0.0 -->
| Parameter | Value |
|---|--:|
| `funding.sample_late_ms_max` | 3 600 000 |
<!-- /parameters 1.0.0 -->

After the table.

```python
assert 1 < 2
```

## Worked example

<img src="https://elsewhere.example/x.png"> ![a picture](https://elsewhere.example/y.png) [a trap](javascript:alert(1))

## Worked example
"""
TEXTS = {
    "hk1.md": HK1,
    "weighted_median.md": "# Weighted median\n\nVersion 1.0.0.\n\n## 1. Benchmark\n\nSee [the other](hk1.md).\n",
    "README.md": "# All of it\n\nHow to read these. [Elsewhere](https://example.org/a?b=1)\n",
    "ladder.md": "# The ladder\n\nVersion 1.0.\n",
    "CHANGES.md": "# Changes\n\n- HK-1 1.0.0.\n",
    "versions/hk1-0.9.0.md": "# HK-1\n\nVersion 0.9.0. As it was.\n",
}


def written(folder: Path, **changed: str) -> Path:
    """The folder with these documents; `changed` are further or other texts, by name without `.md`."""
    for name, text in {**TEXTS, **{f"{name}.md": text for name, text in changed.items()}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder
