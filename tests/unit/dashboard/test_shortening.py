"""Scripts and styles as browsers get them. That they do the same is shown by every test with a browser."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from uploader.dashboard.asset_files import ASSETS
from uploader.dashboard.script_tokens import TEXT, tokens
from uploader.dashboard.shortening import shorter_script, shorter_style, shorter_template

SCRIPTS = sorted(each.name for each in ASSETS.glob("*.js"))


@pytest.mark.parametrize(
    ("code", "shorter"),
    [
        ("// said\nconst value = 1; /* said */\nvalue;", "let a=1;a;"),
        ("function named(first, second) { return first + second; }", "function c(a,b){return a+b}"),
        (
            "const found = { named: 1, other() {} }; found.named; found?.other();",
            "let a={named:1,other(){}};a.named;a?.other();",
        ),
        ("const { line, facts = 2, ...others } = run;\nshow(line, line, line, facts, facts, others);", None),
        ("const value = 1; told({ value, size: value });", "let a=1;told({value:a,size:a});"),
        ("const told = (value) => `a ${value.map((each) => `<${each}>`)} b`;", "let c=b=>`a ${b.map(a=>`<${a}>`)} b`;"),
        (
            "const half = size / 2 / other; half.replace(/[/\"']+\\/x/g, half);",
            "let a=size/2/other;a.replace(/[/\"']+\\/x/g,a);",
        ),
        ("const rows = all.sort((a, b) => rows.of(a, b));", "let c=all.sort((a,b)=>c.of(a,b));"),
        (
            "const one = 1, two = 2;\nh({ in: `${one} ${two}` }, one ? two : one);",
            "let a=1,b=2;h({in:`${a} ${b}`},a?b:a);",
        ),
        (
            "const a = 1; let b = () => { const c = 1; }; const d = 1; told(); let e;",
            "let a=1,b=()=>{let c=1},d=1;told();let e;",
        ),
        ("export const a = 1; const b = 2; let c;", "export let a=1;let b=2,c;"),
        ("told(true, !false, of.true);", "told(!0,!!1,of.true);"),
        (
            'import { lowerIsBetter, at } from "./a.js";\nlowerIsBetter(lowerIsBetter);',
            'import{lowerIsBetter as a,at}from"./a.js";a(a);',
        ),
        ('export { lowerIsBetter } from "./a.js";', 'export{lowerIsBetter}from"./a.js";'),
        ("return (value) => value;", "return a=>a;"),
        ("const every = async (value) => await value;", "let b=async a=>await a;"),
        ("class Rows { lines = 1; #count = 2; get lines2() { return this.#count + lines; } }", None),
        ("export const value = 1; export async function named(place) { place(); }", None),
        (
            'import { h, at } from "./base.js";\nconst at2 = (where) => at(where);',
            'import{h,at}from"./base.js";let b=a=>at(a);',
        ),
        ("for (const [name, value] of all) told(name, value, value);", "for(let[b,a]of all)told(b,a,a);"),
        ("let first = 1, second = first, third;\nthird = + +second - -first;", "let a=1,b=a,c;c=+ +b- -a;"),
        ("try { told(); } catch (error) { said(error.message); }", "try{told()}catch(a){said(a.message)}"),
        ("const one = [1, 2, ].map(f)\nlet two = `x`\ntold(one, two)", "let a=[1,2].map(f)\nlet b=`x`\ntold(a,b)"),
    ],
)
def test_a_script_is_shorter_and_says_the_same(code: str, shorter: str | None) -> None:
    found = shorter_script(code)
    assert shorter in (None, found)
    assert said(found) == said(code)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_others_know_of_a_script_stays(name: str) -> None:
    """Properties, texts, exports and the browser's own names are as often there as before."""
    code = (ASSETS / name).read_text("utf-8")
    assert said(shorter_script(code)) == said(code)


def test_what_a_script_does_not_declare_keeps_its_name_and_is_no_other_s() -> None:
    assert shorter_script("const long = a + b; told(long, document.title);") == "let c=a+b;told(c,document.title);"


def test_a_style_sheet_says_the_same() -> None:
    style = """
    /* said */
    :root { --line: light-dark(#e0e2e6, #32363c); }
    .many tr:has(:checked) > * { margin: 0.5rem calc(1px + 10.5%) -0.25em; content: "a  /* b */ ; " / ""; }
    .a[type="search"]::before, [data-none=""] { color: transparent !important; content: "transparent"; }
    @media (min-width: 40rem) and (pointer: coarse) { .a :hover, .b { color: red; } }
    """
    assert shorter_style(style) == (
        ":root{--line:light-dark(#e0e2e6,#32363c)}"
        '.many tr:has(:checked)>*{margin:.5rem calc(1px + 10.5%) -.25em;content:"a  /* b */ ; " / ""}'
        '.a[type=search]:before,[data-none=""]{color:#0000!important;content:"transparent"}'
        "@media (min-width:40rem) and (pointer:coarse){.a :hover,.b{color:red}}"
    )


def test_a_template_says_the_same() -> None:
    template = (
        "<a>\n  {% if b %}\n    c d\n  {% endif %}\n<style>\n.a { b: c; }\n</style><style>{{ style | safe }}</style>"
    )
    assert shorter_template(template) == (
        "<a>\n{% if b %}\nc d\n{% endif %}\n<style>.a{b:c}</style><style>{{ style | safe }}</style>"
    )


def said(code: str) -> Counter[str]:
    """Return the properties, texts and exports of a script; true and false may be written `!0` and `!1`."""
    found = [one for one in tokens(code) if one.text not in ("0", "1")]
    texts = ["", *(one.text for one in found)]
    told = [one.text for one, last in zip(found, texts, strict=False) if one.kind == TEXT or last in (".", "?.", "#")]
    exported = [
        re.match(r"(?:async )?(?:const|let|class|function) (\w+)|{[^}]*}", part) for part in code.split("export ")[1:]
    ]
    return Counter([*told, *(each[1] for each in exported if each and each[1])])
