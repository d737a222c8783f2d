"""The shipped file loads as it stands, says its defaults truly, and makes the instruments that are published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle import config
from oracle.config.settings import Section
from oracle.core.params import Role
from oracle.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "oracle.toml"


def test_the_shipped_world() -> None:
    made = config.world(config.load(SHIPPED, {}))
    assert {i.id for i in made.indices} == {"BTC-USD", "ETH-USD", "USDT-USD", "USDC-USD"}
    assert [i.id for i in made.indices][-1] == "ETH-USD"
    assert [(p.id, p.tick_units) for p in made.perps] == [("BTC-USD-PERP", 10), ("ETH-USD-PERP", 1)]
    votes = {i.id: len(i.sources) for i in made.indices}
    assert votes == {"BTC-USD": 8, "ETH-USD": 8, "USDT-USD": 4, "USDC-USD": 3}
    assert sum(s.role is Role.PERP for s in made.sources) == 4
    for one in made.indices:
        groups = {made.sources[s].group for s in one.sources}
        assert len(groups) >= one.rules.index.groups_configured_min


def test_the_shipped_values_are_the_defaults() -> None:
    shipped, bare = config.load(SHIPPED, {}), config.Settings()
    for name in ("service", "metrics", "engine_feed", "journal", "clock", "limits"):
        assert getattr(shipped, name) == getattr(bare, name), name


def test_every_line_of_the_shipped_file_that_is_commented_out_could_stand(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", SHIPPED.read_text(encoding="utf-8"))
    assert "[venues.kraken]" in text
    path = tmp_path / "oracle.toml"
    path.write_text(text.replace('"…"', f'"{"ab" * 16}"'), encoding="utf-8")
    made = config.load(path, {})
    assert made.venue("kraken").url == "wss://proxy.example"
    assert config.world(made).perps[0].rules.mark.band_bps == 150.0


def test_the_comments_of_the_shipped_file_are_the_descriptions() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    for section in Section.__subclasses__():
        for name, field in section.model_fields.items():
            said = re.search(rf"(?m)^(?:# )?{name} = .*?# ?(.+)$", text)
            assert said or name in ("keys_file", "keys", "key_file", "rules", "conversions"), name
            assert field.description


def test_load_refuses_what_world_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "o.toml"
    path.write_text('[[index]]\nid = "X"\nbase = "BTC"\nsources = ["kraken:BTC/USD"]')
    with pytest.raises(ConfigError, match="1 owner group behind a LIVE index"):
        config.load(path, {})


def test_load_needs_no_instrument() -> None:
    assert config.load(None, {}).index == ()
