"""What can be wrong with a value of a message, by name: tables of damages, and what each is refused for.

A table's keys are the names under which a failure is reported. The reason is the one that `errors.Refusal` gives the
word for; where two are given, both are true of the damage, and which is met depends on how the dialect writes.
"""

from __future__ import annotations

import json
from typing import NamedTuple, TypeAlias

from oracle.errors import Refusal

AT_NS = 1_760_000_000_000_000_000
DEEP_LEVELS = 100_000

Reasons: TypeAlias = tuple[Refusal, ...]


class Damage(NamedTuple):
    """A bad message: its name, where in the frame it is bad, and what may come of it.

    `may` widens the reasons: `empty` (a book's side may be read as empty), `untimed` (as a time that is not stated),
    `same` (nobody reads what is damaged), `silent` (the message says nothing any more). `packed`: the bytes are as
    they are on the wire, and shall not be compressed.
    """

    name: str
    where: str
    frame: bytes
    reasons: Reasons
    may: tuple[str, ...] = ()
    packed: bool = False


JSON = (Refusal.NOT_JSON,)
UTF8 = (Refusal.NOT_UTF8,)
SHAPE = (Refusal.WRONG_SHAPE,)
NUMBER = (Refusal.NOT_A_NUMBER,)
POSITIVE = (Refusal.NOT_POSITIVE,)
DEEP = (Refusal.TOO_DEEP,)
LARGE = (Refusal.TOO_LARGE,)
TWICE = (Refusal.DUPLICATE_KEY,)
UNIT = (Refusal.TIME_UNIT,)
SYMBOL = (Refusal.UNKNOWN_SYMBOL,)
UNASKED = (Refusal.UNKNOWN_MESSAGE, Refusal.WRONG_SHAPE)
BEYOND = (Refusal.WRONG_SHAPE, Refusal.NOT_A_NUMBER)  # text of digits that no double holds

NO_JSON_TOKENS = {  # what stands where a value should, unquoted
    "a bare NaN": b"NaN",
    "a bare -NaN": b"-NaN",
    "a bare Infinity": b"Infinity",
    "a bare -Infinity": b"-Infinity",
    "a bare +Infinity": b"+Infinity",
    "a bare nan": b"nan",
    "a bare inf": b"inf",
    "undefined": b"undefined",
    "None": b"None",
    "nil": b"nil",
    "NULL": b"NULL",
    "True": b"True",
    "no value": b"",
    "an underscore in a bare number": b"1_000",
    "bare hexadecimal digits": b"0x10",
    "bare binary digits": b"0b1",
    "a bare leading zero": b"01",
    "two bare zeros": b"00.5",
    "a bare plus sign": b"+1",
    "a bare point before the digits": b".5",
    "a bare point without digits after it": b"1.",
    "a bare point before an exponent": b"1.e5",
    "a bare exponent without digits": b"1e",
    "a bare exponent with only a sign": b"1e+",
    "a bare minus": b"-",
    "two bare minuses": b"--1",
    "a bare difference": b"2-1",
    "two bare points": b"1.2.3",
    "a letter after a bare exponent": b"1e5x",
    "a bare float suffix": b"1f",
    "a bare bigint suffix": b"1n",
    "a space in a bare number": b"1 000",
    "an apostrophe in a bare number": b"1'000",
    "a bare currency sign": b"$1",
    "a bare percentage": b"1%",
    "a bare fraction": b"1/2",
    "a bare number in brackets": b"(1)",
    "bare Arabic digits": "١٢٣".encode(),
    "bare fullwidth digits": "１２３".encode(),
    "bare Devanagari digits": "१२३".encode(),
    "a bare minus sign of typography": "−1".encode(),
    "single quotes": b"'1'",
    "back quotes": b"`1`",
    "typographic quotes": "“1”".encode(),
    "a text without its end": b'"1',
    "a text with a raw line feed": b'"1\n"',
    "a text with a raw NUL": b'"1\x00"',
    "a text with a raw escape byte": b'"\x1b[31m1"',
    "a text with a raw tab": b'"1\t"',
    "an escape that is none": b'"\\x31"',
    "a short Unicode escape": b'"\\u31"',
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "a high surrogate before a letter": b'"\\ud800x"',
}

NO_NUMBERS = {  # what stands in quotes where digits should
    "a word": "cheap",
    "an underscore in digits": "1_000",
    "Arabic digits": "١٢٣",
    "Persian digits": "۱۲۳",
    "Devanagari digits": "१२३",
    "fullwidth digits": "１２３",
    "mathematical digits": "𝟏𝟐𝟑",
    "a Chinese numeral": "一",
    "a Roman numeral": "Ⅻ",
    "a superscript": "1²",
    "a vulgar fraction": "½",
    "hexadecimal digits": "0x10",
    "a hexadecimal float": "0x1p3",
    "binary digits": "0b1",
    "octal digits": "0o7",
    "a letter after an exponent": "1e5x",
    "an exponent without digits": "1e",
    "an exponent with only a sign": "1e-",
    "an exponent alone": "e5",
    "an exponent with a point": "1e5.5",
    "two points": "1.2.3",
    "a decimal comma": "60000,5",
    "commas by thousands": "60,000.5",
    "points by thousands and a decimal comma": "60.000,5",
    "spaces by thousands": "60 000.5",
    "no-break spaces by thousands": "60\u00a0000.5",
    "thin spaces by thousands": "60\u202f000.5",
    "apostrophes by thousands": "60'000.5",
    "lakhs": "1,00,000",
    "an Arabic decimal separator": "1٫5",
    "a dollar sign": "$1",
    "a euro sign": "€1",
    "a pound sign": "£1",
    "a yen sign": "¥1",
    "a currency behind": "1 USD",
    "a percentage": "1%",
    "a fraction": "1/2",
    "a time of day": "12:30",
    "an ordinal": "1st",
    "thousands as k": "60k",
    "two minuses": "--1",
    "a plus sign": "+1",
    "a minus behind": "1-",
    "a typographic minus": "−1",
    "brackets for a loss": "(1)",
    "a point without digits after it": "1.",
    "a point without digits before it": ".5",
    "a point alone": ".",
    "a minus alone": "-",
    "a space": " ",
    "a space before": " 1",
    "a space behind": "1 ",
    "a tab before": "\t1",
    "a line feed behind": "1\n",
    "a carriage return behind": "1\r",
    "a NUL in it": "1\x00",
    "a zero-width space behind": "1\u200b",
    "a byte order mark in it": "\ufeff1",
    "a right-to-left mark": "\u200f1",
    "a leading zero": "01",
    "a float suffix": "1f",
    "a long suffix": "1L",
    "a decimal suffix": "1m",
    "a list in quotes": "[1]",
    "two numbers": "1;2",
    "true in quotes": "true",
    "null in quotes": "null",
    "None in quotes": "None",
    "not available": "N/A",
    "a dash for nothing": "—",
    "a spreadsheet's error": "#REF!",
    "a format": "%s",
    "a template": "${price}",
    "a statement": "1; DROP TABLE prices",
    "markup": "<b>1</b>",
    "an emoji": "💰",
    "ten thousand letters": "x" * 10_000,
}

INFINITE_TEXTS = {
    "NaN in quotes": "NaN",
    "nan in quotes": "nan",
    "-NaN in quotes": "-NaN",
    "Infinity in quotes": "Infinity",
    "-Infinity in quotes": "-Infinity",
    "inf in quotes": "inf",
    "INF in quotes": "INF",
    "+inf in quotes": "+inf",
    "1e400 in quotes": "1e400",
    "-1e400 in quotes": "-1e400",
    "1E+999 in quotes": "1E+999",
    "5000 digits in quotes": "9" * 5_000,
}

NO_NUMBERS_AT_ALL = {  # JSON, and of another type
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "an empty text": b'""',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a list of it": b"[1]",
    "a list in a list": b"[[1]]",
    "an object with it": b'{"value":1}',
}

ABSURD = {  # numbers that are none of a market's, whichever way they are written: the digits, and why
    "1e309": ("1e309", BEYOND),
    "1e400": ("1e400", BEYOND),
    "-1e400": ("-1e400", BEYOND),
    "1e99999": ("1e99999", BEYOND),
    "400 digits": ("9" * 400, BEYOND),
    "5000 digits": ("9" * 5_000, BEYOND),
    "5000 digits and a fraction": ("9" * 5_000 + ".5", BEYOND),
    "minus 5000 digits": ("-" + "9" * 5_000, BEYOND),
    "1e19": ("1e19", NUMBER),
    "1e100": ("1e100", NUMBER),
    "the largest double": ("1.7976931348623157e308", NUMBER),
    "the smallest denormal": ("5e-324", NUMBER),
    "a denormal": ("1e-310", NUMBER),
    "the smallest normal double": ("2.2250738585072014e-308", NUMBER),
    "1e-30": ("1e-30", NUMBER),
    "minus one": ("-1", POSITIVE),
    "a small negative": ("-0.00000001", POSITIVE),
    "a large negative": ("-60000.5", POSITIVE),
    "a negative exponent form": ("-6e4", POSITIVE),
    "a negative denormal": ("-5e-324", POSITIVE),
}

NO_FRACTIONS = {  # what a funding rate cannot be
    "one": "1",
    "minus one": "-1",
    "a hundred": "100",
    "a large negative": "-60000.5",
    "1e19": "1e19",
    "1e400": "1e400",
    "the largest double": "1.7976931348623157e308",
    "5000 digits": "9" * 5_000,
}

ZEROS = {  # a trade's are refused; of a book, they may say that a side is empty
    "zero": "0",
    "zero with a fraction": "0.00000000",
    "minus zero": "-0",
    "minus zero with a fraction": "-0.0",
    "zero with an exponent": "0e5",
    "less than any double": "1e-400",
    "far less than any double": "1e-99999",
}

NO_SYMBOLS = {  # `{}` is the symbol that was asked for
    "another symbol": "XRPEUR",
    "no symbol": "",
    "a symbol and a space": "{} ",
    "a space and a symbol": " {}",
    "a symbol and a letter": "{}X",
    "a symbol twice": "{0}{0}",
    "a symbol and a NUL": "{}\x00",
    "a symbol and a line feed": "{}\n",
    "a Cyrillic letter in a symbol": "ВТС",
    "a fullwidth symbol": "ＢＴＣＵＳＤ",
    "a symbol and a zero-width space": "{}\u200b",
    "a symbol and a combining accent": "{}\u0301",
    "a symbol from right to left": "\u202e{}",
    "a path for a symbol": "../{}",
    "a format for a symbol": "%s%n",
    "a replacement character for a symbol": "\ufffd",
    "a wildcard for a symbol": "*",
    "ten thousand letters for a symbol": "X" * 10_000,
}

NO_WORDS = {
    "an unknown word": "dance",
    "a word with a space": "{} ",
    "a word with a letter more": "{}x",
    "a word with a NUL": "{}\x00",
    "a word from right to left": "\u202e{}",
    "ten thousand letters for a word": "x" * 10_000,
}

NO_TIMES = {  # what a time in words cannot be; `{second}` is the true one to the second, `{day}` its date
    "a time without its zone": "{second}",
    "a time of another zone": "{second}+08:00",
    "a time with a zone by name": "{second} UTC",
    "a time of month 13": "2025-13-09T08:53:20Z",
    "a time of 30 February": "2025-02-30T08:53:20Z",
    "a time of hour 25": "{day}T25:53:20Z",
    "a time of minute 60": "{day}T08:60:20Z",
    "a time of second 61": "{day}T08:53:61Z",
    "a time of year 0": "0000-10-09T08:53:20Z",
    "a time in American order": "10/09/2025 08:53:20",
    "a time in words": "Thu, 09 Oct 2025 08:53:20 GMT",
    "a time with a decimal comma": "{second},5Z",
    "a time with an underscore": "{second}.1_0Z",
    "a time with Arabic digits": "{second}.٣Z",
    "a date alone": "{day}",
    "a time of day alone": "08:53:20Z",
    "a time with a space before": " {second}Z",
    "a time with a NUL": "{second}Z\x00",
    "seconds of the epoch in words": "1760000000",
    "milliseconds of the epoch in words": "1760000000000",
    "no time in words": "",
    "a word for a time": "yesterday",
    "a time of 1925": "1925-10-09T08:53:20Z",
    "a time of the year 9999": "9999-12-31T23:59:59Z",
}

APART_S = {  # how far off an event's time is
    "a time two days behind": -2 * 86_400,
    "a time a day and a second behind": -86_401,
    "a time a day and a second ahead": 86_401,
    "a time two days ahead": 2 * 86_400,
    "a time a month behind": -30 * 86_400,
    "a time a year ahead": 365 * 86_400,
    "a time ten years behind": -3_652 * 86_400,
}

UNITS = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3, "nanoseconds": 1}

ODD_INTEGERS = {  # where an integer time stands
    "a time of minus one": "-1",
    "a time of one": "1",
    "a time of 2^31": "2147483648",
    "a time of 2^63": "9223372036854775808",
    "a time of 2^64": "18446744073709551616",
    "a time of 30 digits": "9" * 30,
}

NO_UTF8 = {  # bytes within a text
    "0xff": b"\xff",
    "0xfe": b"\xfe",
    "a continuation byte alone": b"\x80",
    "a text in Latin-1": b"caf\xe9!",
    "a text in Shift-JIS": b"\x83e\x83X\x83g",
    "a text in GB 18030": b"\xd6\xd0",
    "a slash in two bytes": b"\xc0\xaf",
    "a NUL in two bytes": b"\xc0\x80",
    "a slash in three bytes": b"\xe0\x80\xaf",
    "a slash in four bytes": b"\xf0\x80\x80\xaf",
    "a surrogate in UTF-8": b"\xed\xa0\x80",
    "a pair of surrogates in UTF-8": b"\xed\xa0\xbd\xed\xb2\xb0",
    "a character above U+10FFFF": b"\xf4\x90\x80\x80",
    "a character of five bytes": b"\xf8\x88\x80\x80\x80",
    "a character of six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "two bytes of three": b"\xe2\x82",
    "three bytes of four": b"\xf0\x9f\x92",
    "a first byte twice": b"\xe2\xe2\x82\xac",
}

CONTROLS = {f"the control character {name}": bytes((code,)) for name, code in (
    ("NUL", 0), ("SOH", 1), ("BEL", 7), ("BS", 8), ("TAB", 9), ("LF", 10), ("VT", 11), ("FF", 12), ("CR", 13),
    ("SUB", 26), ("ESC", 27), ("US", 31),
)}  # fmt: skip


def quoted(text: str) -> bytes:
    """A text as JSON writes it, with what is not ASCII as it stands."""
    return json.dumps(text, ensure_ascii=False).encode()
