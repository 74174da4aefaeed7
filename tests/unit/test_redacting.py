from __future__ import annotations

import pytest

from uploader.redacting import Redactor

SECRET = "s3cr3t-Value.9"


@pytest.mark.parametrize(
    "text",
    [
        f"yolo train api_key={SECRET} epochs=3",
        f"curl -u me:{SECRET} https://example.com",
        f"curl --user 'me:{SECRET}' https://example.com",
        f"mysqldump -h host -u me -p{SECRET} data",
        f"train.py --api-key {SECRET} --epochs 3",
        f"['train.py', '--api-key', '{SECRET}', '--epochs', '3']",
        f"train.py --api-key={SECRET}",
        f"train.py --wandb-token '{SECRET}'",
        f"WANDB_API_KEY={SECRET} python train.py",
        f"AWS_SECRET_ACCESS_KEY: {SECRET}",
        f"token = {SECRET}, epochs = 3",
        f'{{"password": "{SECRET}", "epochs": 3}}',
        f"{{'api_key': '{SECRET}'}}",
        f"Authorization: Bearer {SECRET}",
        f"sent Bearer {SECRET} along",
        f"https://user:{SECRET}@example.com/repo.git",
        f"https://{SECRET}@example.com/repo.git",
        f"rtsp://admin:{SECRET}@10.0.0.1/stream",
        f"postgres://user:p@{SECRET}@host/db",
        f"https://user:pa/{SECRET}@host/x",
        f"https://user:pa'{SECRET}@host/x",
        f"https://user:80{SECRET}/@host/x",
        f"https://bucket.example.com/best.pt?X-Amz-Date=1&X-Amz-Signature={SECRET}&x=1",
        f"https://storage.example.com/best.pt?GoogleAccessId=a&Signature={SECRET}",
        f"https://account.example.net/data.zip?sv=2024&sig={SECRET}",
        f"https://example.com/data.zip?token={SECRET}",
        f"https://upload.example.com/o?upload_id={SECRET}",
        f"train.py --password 'two {SECRET}' --epochs 3",
        f'train.py --password "it\\"s {SECRET}"',
        f"train.py --db-password 'two {SECRET}",
        f"['train.py', '--password', 'two, {SECRET}']",
        f'{{"password": "two, words; {SECRET}", "epochs": 3}}',
        f'password = "two {SECRET}"',
        f"passphrase='two {SECRET}'",
        f"Authorization: Token {SECRET}",
        f"curl -H 'Authorization: ApiKey {SECRET}' https://example.com",
        f"Authorization: {SECRET} and more {SECRET}",
        f'Authorization: Digest username="me", response="{SECRET}"',
        f"Authorization: AWS4-HMAC-SHA256 Credential={SECRET}/x, SignedHeaders=host, Signature={SECRET}",
        f"Proxy-Authorization: Negotiate {SECRET}",
        f"{{'Authorization': 'Token {SECRET}'}}",
        f"{{b'Authorization': b'Token {SECRET}'}}",
        f"[(b'Authorization', b'Token {SECRET}')]",
        f"Cookie: a=1; session={SECRET}",
        f"Set-Cookie: session={SECRET}; Path=/",
        f'{{\\"api_key\\": \\"{SECRET}\\", \\"epochs\\": 3}}',
        f'{{\\\\\\"api_key\\\\\\":\\\\\\"{SECRET}\\\\\\"}}',
        f'{{\\"password\\": \\"say \\\\\\"{SECRET}\\"}}',
        f'{{"api\\u005fkey": "{SECRET}"}}',
        f"api%5Fkey={SECRET}",
        f'\x1b[34;1m"api_key"\x1b[39;49;00m\x1b[37m:\x1b[39m \x1b[32m"{SECRET}"\x1b[0m',
        f"\x1b[36mapi_key\x1b[0m=\x1b[35m{SECRET}\x1b[0m",
        f'"\x1b[36mapi_key\x1b[0m": "\x1b[32m{SECRET}\x1b[0m"',
        f'\\u001b[34m"api_key"\\u001b[0m: "{SECRET}"',
        f"--token \x1b[35m{SECRET}\x1b[0m",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    redacted = Redactor().text(text)
    assert SECRET not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "yolo train model=yolo11n.pt data=coco8.yaml epochs=3",
        "https://github.com/someone/project.git",
        "docker run -u 1000:1000 -p8080:80 image; mkdir -p runs; git push -u origin main:main",
        "git@github.com:someone/project.git",
        "https://example.com/data.zip?version=3",
        "https://example.com:8080/data@2.zip http://[::1]:8080/data@2.zip",
        "[{'url':'http://example:x','mail':'me@example.com'}]",
        "sk-learn-experiment-with-a-long-name, AKIA, npm_install, xoxo-kisses-and-hugs",
        "    1/3   0G   3.589   2.558  100% ━━━━ 32/32 12.0it/s",
        "512 tokens, keyed by name; secretary",
        "names: ['token', 'epochs'], the password's length, no cookies",
        'password=""',
        "Speed: 0.0ms preprocess, 6.8ms inference",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_what_a_data_set_names_is_kept_but_for_known_secrets() -> None:
    results = {"classNames": ["disc, token=abc", "secret: door", "ul_hidden"], "plots": [{"names": {"token": "abc"}}]}
    expected = {**results, "classNames": ["disc, token=abc", "secret: door", "***"]}
    assert Redactor(["ul_hidden"]).results(results) == expected


def test_known_secrets_are_taken_out_wherever_they_are() -> None:
    redactor = Redactor(["ul_abc-1", "ul_abc-123", ""])
    assert redactor.text("xul_abc-123x ul_abc-1") == "x***x ***"


@pytest.mark.parametrize("key", ["a", "test", "training", "e", "12", "20261127"])
def test_a_key_that_is_a_word_of_any_text_is_left_where_it_is_no_key(key: str) -> None:
    text = f"Scanning datasets/test/images a training of {key}{key} 100% ━━━ 12/12, 20261127, latest: {key} e 12"
    assert Redactor([key]).text(text) == text
    assert Redactor([key]).results({"classNames": [key, text]}) == {"classNames": [key, text]}


@pytest.mark.parametrize(
    "text",
    [
        "hockey ball",
        "hockey-ball",
        "turkey: ball",
        "basic ball",
        "key-ball",
        "runs/key/ball",
        "http://host/me/hockey/ball",
    ],
)
def test_a_word_that_only_ends_like_key_announces_none(text: str) -> None:
    assert Redactor(["ball"]).text(text) == text
    assert Redactor(["ball"]).results({text: [text]}) == {text: [text]}


@pytest.mark.parametrize("key", ["a", "test", "training", "12"])
@pytest.mark.parametrize(
    "text",
    [
        "api_key={}",
        "apikey {}",
        "my authToken is {}",
        "Authorization: Basic {}",
        "train.py --api-key {} --epochs 3",
        "['train.py', '--api-key', '{}']",
        "ULTRALYTICS_API_KEY={} python train.py",
        '{{"api_key": "{}", "epochs": 3}}',
        "{{'Authorization': 'Bearer {}'}}",
        "sent Bearer {} along",
        "('x-api-key', '{}')",
        "https://{}@example.com/repo.git",
        "https://example.com/data.zip?key={}",
        "401: the key '{}' is refused",
        "bad key {}",
        "the token is {}.",
    ],
)
def test_it_is_taken_out_where_something_says_that_it_is_one(text: str, key: str) -> None:
    assert Redactor([key]).text(text.format(key)) == Redactor(["ul_real-key-0123456789"]).text(
        text.format("ul_real-key-0123456789")
    )


def test_the_rest_of_a_url_is_kept() -> None:
    url = f"https://user:{SECRET}@example.com/best.pt?X-Goog-Date=5&X-Goog-Signature={SECRET}&alt=media"
    assert Redactor().text(url) == "https://***@example.com/best.pt?X-Goog-Date=***&X-Goog-Signature=***&alt=media"


def test_values_are_redacted_at_any_depth() -> None:
    value = {
        "trainArgs": {"api_key": SECRET, "token": "None", "data": f"https://x?sig={SECRET}", "epochs": "3"},
        "list": [f"--token {SECRET}", 1, None, 2.5],
    }
    assert Redactor().value(value) == {
        "trainArgs": {"api_key": "***", "token": "None", "data": "https://x?sig=***", "epochs": "3"},
        "list": ["--token ***", 1, None, 2.5],
    }


def test_everything_under_a_secrets_name_is_redacted_whatever_holds_it() -> None:
    value = {"api_key": [SECRET], "token": (SECRET, None), "password": {"prod": SECRET, "test": [SECRET.encode()]}}
    hidden = {"api_key": ["***"], "token": ["***", None], "password": {"prod": "***", "test": [b"***"]}}
    assert Redactor().value(value) == hidden
    assert Redactor().value([f"--token {SECRET}".encode(), b"\xff", {f"--token {SECRET}"}]) == [
        b"--token ***",
        b"\xff",
        ["--token ***"],
    ]


def test_a_known_key_is_taken_out_of_names_too() -> None:
    value = {"ul_hidden": {"x ul_hidden": 0.5, 3: "ul_hidden"}}
    left = {"***": {"x ***": 0.5, 3: "***"}}
    redactor = Redactor(["ul_hidden"])
    assert (redactor.value(value), redactor.results(value)) == (left, left)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"--password 'two {SECRET}' --epochs 3", "--password '***' --epochs 3"),
        (f'{{\\"token\\": \\"{SECRET}\\", \\"epochs\\": 3}}', '{\\"token\\": \\"***\\", \\"epochs\\": 3}'),
        (f"curl -H 'Authorization: Token {SECRET}' https://x", "curl -H 'Authorization: ***' https://x"),
        (f"token=\x1b[35m{SECRET}\x1b[0m, epochs=3", "token=\x1b[35m***\x1b[0m, epochs=3"),
        (f"{{'api_key': b'{SECRET}', 'epochs': 3}}", "{'api_key': b'***', 'epochs': 3}"),
    ],
)
def test_what_stands_around_a_secret_stays(text: str, left: str) -> None:
    assert Redactor().text(text) == left


@pytest.mark.timeout(120)  # quadratic matching would take many minutes
@pytest.mark.parametrize(
    "line",
    [
        "a.b-" * 50_000,
        "token" * 40_000,
        "https:" + "/" * 100_000,
        "--" * 100_000,
        "token" + "\\" * 200_000,
        "-eyJabcdefgh" * 60_000,
        "a://b:c" * 40_000,
    ],
)
def test_no_line_takes_long(line: str) -> None:
    assert Redactor().text(line) == line


@pytest.mark.timeout(120)
@pytest.mark.parametrize("line", ['token="' * 40_000, "token='\\\"" * 40_000, "token=\\" * 40_000, "cookie:" * 40_000])
def test_no_secret_takes_long(line: str) -> None:
    Redactor().text(line)


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2_" * 9,
        "hf_" + "aB" * 17,
        "glpat-" + "a1B-" * 5,
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "a1B-_" * 7,
        "xoxb-1234-5678-abcdef",
        "npm_" + "a1B2" * 9,
        "sk-" + "a1B2" * 12,
        "sk-proj-" + "a1B_" * 10,
        f"eyJ{'x' * 9}.eyJ{'y' * 9}.{'s-_9' * 5}",
    ],
)
def test_a_token_that_tells_itself_by_its_form_is_taken_out(token: str) -> None:
    assert Redactor().text(f"logged in with {token} as me") == "logged in with *** as me"
    assert Redactor().text(f"AccountKey={token};EndpointSuffix=x") == "AccountKey=***;EndpointSuffix=x"


def test_a_json_web_token_is_found_behind_other_words() -> None:
    assert Redactor().text(f"my-session-eyJ{'x' * 9}.eyJ{'y' * 9}.{'s-_9' * 5}!") == "my-session-***!"
