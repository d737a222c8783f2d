"""KuCoin's dialect: payloads as the documentation writes them, the ticket, what is refused, and the recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oracle.collectors import tape
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base, kucoin

AT_MS = 1_760_000_000_000
AT = AT_MS * 1_000_000
FEEDS = [base.Feed(3, "BTC-USDT"), base.Feed(5, "ETH-USDT")]
SERVER = {
    "endpoint": "wss://ws-api-spot.kucoin.com/", "encrypt": True, "protocol": "websocket",
    "pingInterval": 18000, "pingTimeout": 10000,
}  # fmt: skip
QUOTE = {
    "sequence": "1545896668986", "price": "60000.5", "size": "0.011", "bestAsk": "60001.5", "bestAskSize": "0.18",
    "bestBid": "60000.25", "bestBidSize": "0.036", "time": AT_MS,
}  # fmt: skip


def dump(**fields: Any) -> bytes:
    return json.dumps({key: value for key, value in fields.items() if value is not ...}, separators=(",", ":")).encode()


def push(topic: str, subject: str, data: object) -> bytes:
    return dump(topic=topic, type="message", subject=subject, data=data)


def best(topic: str = "/spotMarket/level1:BTC-USDT", **other: Any) -> bytes:
    data = {"asks": ["68145.8", "0.51987471"], "bids": ["60000.5", "1.29267802"], "timestamp": AT_MS}
    return push(topic, "level1", data | other)


def match(topic: str = "/market/match:BTC-USDT", **other: Any) -> bytes:
    data = {
        "makerOrderId": "671b5007389355000701b1d3", "price": "60000.5", "sequence": "11067996711960577", "side": "buy",
        "size": "0.003", "symbol": "BTC-USDT", "takerOrderId": "671b50161777ff00074c168d",
        "time": f"{AT + 921_000}", "tradeId": "11067996711960577", "type": "match",
    }  # fmt: skip
    return push(topic, "trade.l3match", data | other)


def ticket(*servers: dict[str, Any], code: str = "200000", token: str = "2neAiu==.mvnek") -> bytes:
    return dump(code=code, data={"token": token, "instanceServers": list(servers)})


def session() -> kucoin.Session:
    return kucoin.Session(FEEDS)


def test_it_asks_for_a_ticket_and_dials_where_it_is_told() -> None:
    live = session()
    assert live.ticket() == base.Request("https://api.kucoin.com/api/v1/bullet-public", "", "POST")
    live.admit(
        ticket({**SERVER, "protocol": "carrier pigeon"}, {**SERVER, "endpoint": "wss://push1.kucoin.com/endpoint"})
    )
    assert live.url() == "wss://push1.kucoin.com/endpoint?token=2neAiu%3D%3D.mvnek"
    assert live.ping_ms < SERVER["pingInterval"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ticket(), Refusal.WRONG_SHAPE),
        (ticket({**SERVER, "endpoint": "ws://ws-api-spot.kucoin.com/"}), Refusal.WRONG_SHAPE),
        (ticket({**SERVER, "endpoint": "wss://[ws-api"}), Refusal.WRONG_SHAPE),
        (ticket({**SERVER, "endpoint": "wss://"}), Refusal.WRONG_SHAPE),
        (ticket({**SERVER, "endpoint": "wss://ws-api-spot.kucoin.com/?a=b"}), Refusal.WRONG_SHAPE),
        (ticket({**SERVER, "pingInterval": 500}), Refusal.WRONG_SHAPE),
        (ticket({**SERVER, "pingInterval": "often"}), Refusal.WRONG_SHAPE),
        (ticket(SERVER, code="429000"), Refusal.VENUE_ERROR),
        (dump(code="400301", msg="restricted"), Refusal.VENUE_ERROR),
        (b"<html>", Refusal.NOT_JSON),
        (b'{"code":"200000","code":"200000","data":{}}', Refusal.DUPLICATE_KEY),
    ],
)
def test_a_ticket_that_admits_nobody_is_refused(body: bytes, reason: Refusal) -> None:
    live = session()
    with pytest.raises(VenueError) as caught:
        live.admit(body)
    assert caught.value.reason == reason
    assert live.url() == "wss://ws-api-spot.kucoin.com/"


def test_it_asks_for_both_topics_of_every_symbol_at_once() -> None:
    asked = [json.loads(send.data) for send in session().open()]
    assert [(call["type"], call["topic"], call["response"]) for call in asked] == [
        ("subscribe", "/spotMarket/level1:BTC-USDT,ETH-USDT", True),
        ("subscribe", "/market/match:BTC-USDT,ETH-USDT", True),
    ]
    assert [json.loads(send.data)["type"] for send in session().resubscribe(["ETH-USDT"])] == [
        *["unsubscribe"] * 2, *["subscribe"] * 2,
    ]  # fmt: skip
    (ping,) = session().idle(AT)
    assert json.loads(ping.data) == {"id": str(AT_MS), "type": "ping"}


def test_futures_are_not_read() -> None:
    with pytest.raises(ValueError, match="spot"):
        kucoin.Session(FEEDS, "futures")


def test_level_1_is_the_top() -> None:
    assert session().receive(best(), AT) == [BookTop(3, 60000.5, 1.29267802, 68145.8, 0.51987471, AT, AT)]
    assert session().receive(best(asks=[]), AT) == [BookTop(3, 60000.5, 1.29267802, 0.0, 0.0, AT, AT)]
    assert session().receive(best(asks=[], bids=[]), AT) == [BookTop(3, 0.0, 0.0, 0.0, 0.0, AT, AT)]
    spaced = json.dumps(json.loads(best())).encode()
    assert session().receive(spaced, AT) == session().receive(best(), AT)


def test_a_trade_states_its_time_in_nanoseconds() -> None:
    assert session().receive(match(), AT) == [Trade(3, 60000.5, 0.003, Side.BUY, AT + 921_000, AT)]
    assert session().receive(match(side="sell"), AT) == [Trade(3, 60000.5, 0.003, Side.SELL, AT + 921_000, AT)]
    spaced = json.dumps(json.loads(match())).encode()
    assert session().receive(spaced, AT) == session().receive(match(), AT)


def test_the_ticker_of_old_recordings_is_a_top_of_no_known_time() -> None:
    live = kucoin.session_for("wss://push-private.kucoin.com/endpoint?token=TOKEN", FEEDS)
    frame = push("/market/ticker:BTC-USDT", "trade.ticker", QUOTE)
    assert live.receive(frame, AT) == [BookTop(3, 60000.25, 0.036, 60001.5, 0.18, 0, AT)]
    assert json.loads(live.open()[0].data)["topic"] == "/market/ticker:BTC-USDT,ETH-USDT"
    now = kucoin.session_for("wss://ws-api-spot.kucoin.com/", FEEDS)
    with pytest.raises(VenueError, match="UNKNOWN_MESSAGE"):
        now.receive(frame, AT)


@pytest.mark.parametrize("said", [{"id": "hQvf8jkno", "type": "welcome"}, {"id": "1", "type": "ack"},
                                  {"id": "1545910590801", "type": "pong"}])  # fmt: skip
def test_what_says_nothing_of_a_market(said: dict[str, Any]) -> None:
    assert session().receive(dump(**said), AT) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (dump(id="1", type="error", code=404, data='topic "subject":"level1" is not found'), Refusal.VENUE_ERROR),
        (dump(id="x", type="error", code="401", data="token is invalid"), Refusal.VENUE_ERROR),
        (push("/market/level2:BTC-USDT", "trade.l2update", {"changes": {}}), Refusal.UNKNOWN_MESSAGE),
        (dump(type="command"), Refusal.UNKNOWN_MESSAGE),
        (best("/spotMarket/level1:XRP-USDT"), Refusal.UNKNOWN_SYMBOL),
        (match("/market/match:ETH-USDT"), Refusal.WRONG_SHAPE),
        (match("/market/match:XRP-USDT", symbol="XRP-USDT"), Refusal.UNKNOWN_SYMBOL),
        (match(side="both"), Refusal.WRONG_SHAPE),
        (match(type="done"), Refusal.WRONG_SHAPE),
        (match(time=str(AT_MS)), Refusal.TIME_UNIT),
        (best(timestamp=AT), Refusal.TIME_UNIT),
        (best(asks=["60001"]), Refusal.WRONG_SHAPE),
        (best(asks=["60001", "1", "2"]), Refusal.WRONG_SHAPE),
        (best(asks=[["60001", "1"]]), Refusal.WRONG_SHAPE),
        (best(asks=None), Refusal.WRONG_SHAPE),
        (match(size="0"), Refusal.NOT_POSITIVE),
        (b"[]", Refusal.WRONG_SHAPE),
    ],
)
def test_what_is_refused_by_name(contract: Any, frame: bytes, reason: Refusal) -> None:
    assert contract.refusal(session(), frame) == reason


def test_no_key_said_twice_hides_behind_one_left_out(contract: Any) -> None:
    for good in (best(), match()):
        for frame in contract.traded(good):
            with pytest.raises(VenueError):
                session().receive(frame, AT)


def test_the_mimic_answers_only_what_was_asked() -> None:
    mimic, live = kucoin.Mimic(FEEDS), session()
    for frame in mimic.greet("/?token=x", AT):
        assert live.receive(frame.encode(), AT) == []
    for send in (*live.open(), *live.idle(AT), *live.resubscribe(["ETH-USDT"])):
        (answer,) = mimic.hear(send.data, AT)
        assert json.loads(answer)["id"] == json.loads(send.data)["id"]
        assert live.receive(answer.encode(), AT) == []
    for wrong in (
        "no json",
        dump(id="1", type="subscribe", topic="/market/match:XRP-EUR").decode(),
        dump(id="1", type="subscribe", topic="/market/level2:BTC-USDT").decode(),
        dump(id="1", type="dance", topic="/market/match:BTC-USDT").decode(),
    ):
        (answer,) = mimic.hear(wrong, AT)
        with pytest.raises(VenueError, match="VENUE_ERROR"):
            live.receive(answer.encode(), AT)


def test_the_mimic_gives_tickets_and_states_tops_over_rest() -> None:
    mimic, live = kucoin.Mimic(FEEDS), session()
    body = mimic.rest("POST", "/api/v1/bullet-public", AT, {})
    assert body is not None
    live.admit(body)
    assert live.url().startswith("wss://ws-api-spot.kucoin.com/?token=mimic%3D%3D")
    stands = BookTop(5, 3000.25, 2.0, 3000.5, 1.0, AT, AT)
    asked = live.poll("ETH-USDT")
    assert asked is not None
    path = asked.url.removeprefix("https://api.kucoin.com")
    assert path == "/api/v1/market/orderbook/level2_20?symbol=ETH-USDT"
    answer = mimic.rest("GET", path, AT, {"ETH-USDT": stands})
    assert answer is not None
    assert live.polled(asked, answer, AT) == [stands]
    assert mimic.rest("GET", "/api/v1/bullet-public", AT, {}) is None
    with pytest.raises(VenueError, match="VENUE_ERROR"):
        live.polled(asked, answer.replace(b"200000", b"400100"), AT)


@pytest.mark.data
def test_the_recording_of_2021_is_read_or_refused_by_name(contract: Any, data: Path) -> None:
    frames = list(tape.read(data / "frames" / "kucoin.ws.1.0.txt.gz"))
    sent = [json.loads(frame.data) for frame in frames if frame.direction is tape.Direction.SENT]
    symbols = next(call["topic"] for call in sent if "match" in call["topic"]).partition(":")[2].split(",")
    live = kucoin.session_for(frames[0].url, [base.Feed(n, symbol) for n, symbol in enumerate(symbols)])
    assert contract.conform(live, frames) == {
        "frames": 4721,
        "BookTop": 830,
        "Trade": 18,
        Refusal.UNKNOWN_MESSAGE: 3859,  # deltas of books and candles, which nobody asks for
    }


@pytest.mark.data
def test_recorded_books_of_rest_state_tops(data: Path) -> None:
    answers = [f for f in tape.read(data / "frames" / "kucoin.http.0.0.txt.gz") if b"bids" in f.data]
    assert len(answers) == 9
    for answer in answers:
        symbol = answer.url.partition("=")[2]
        (top,) = kucoin.Session([base.Feed(1, symbol)]).polled(base.Request("", symbol), answer.data, answer.recv_ns)
        assert isinstance(top, BookTop)
        assert 0.0 < top.bid < top.ask
        assert abs(top.venue_ns - top.recv_ns) < 1_000_000_000


@pytest.mark.data
def test_captured_payloads_are_read_or_refused_by_name(contract: Any, data: Path) -> None:
    frames = list(tape.read(data / "payloads" / "kucoin.jsonl"))
    feeds = [base.Feed(n, s) for n, s in enumerate(("BTC-USDT", "LMR-BTC", "XRP-USDT", "APE3S-USDT"))]
    assert contract.conform(kucoin.Tickers(feeds), frames) == {
        "frames": 16,
        "BookTop": 1,
        "Trade": 3,
        Refusal.UNKNOWN_MESSAGE: 9,  # books
    }
