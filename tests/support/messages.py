"""The messages that leave the program, found in its code: what a person can meet, as it is written there.

A message is the text of an exception, of a log call at `info` or above, of what is printed to stderr, of a finding or a
problem that a command lists, or a line of a command's output that names a command to run. What is filled in is shown as
`…`. A text is followed from there to where it is written: through variables, the functions that return it, and the
functions that are given it.

Left out, as nobody meets them as such:

- pieces: a text of fewer than three words of its own, which is only ever a part of others
- what is caught where it is raised: exceptions of a private class, and those of `CAUGHT`
- answers of the local platform to a request (`ApiError`), which its clients word anew: the page has them by status
- what is logged at `debug`
- the next step of a finding, which is printed beside it
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOLE = "…"
CAUGHT = frozenset(
    {
        "AttributeError",  # of a module or stream, for Python itself
        "DatabaseError",  # of sqlite3, translated by `from_sqlite`
        "HTTPException",  # of http.client, worded anew by the transport
        "IndexError",  # of a damaged page, which `doctor --repair` passes over
        "KeyError",
        "OperationalError",
    }
)
CLICK = frozenset({"BadParameter", "ClickException", "NoSuchOption", "UsageError"})
CARRIERS = {
    "Finding": ("detail", 2),
    "Judgement": ("why", 2),
    "Problem": ("why", 1),
    "PlainTextResponse": ("content", 0),
}
"""What `doctor`, `wait` and `import` list, and plain pages: the field with the text, and its place in a call."""
LOGGED = frozenset({"critical", "error", "exception", "info", "log", "warning", "warn"})
LOGGERS = frozenset({"_log", "_LOG", "LOGGER", "logger", "warnings"})
PRINTED = frozenset({"echo", "print", "secho"})
SAID = frozenset({"_say", "say"})
"""What a training prints among its own lines."""
NO_MESSAGE = re.compile(rf"SELECT .*|[a-z]+(?: (?:--[a-z]+|[A-Z]+|{HOLE}))+")
"""What is read by SQLite, or typed by a person."""
NAMING = ("uploader/commands/", "uploader/reports/", "journal/mirror/")
FEWEST_WORDS = 3
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """One module: its functions by name, its constants, and who encloses each node."""

    name: str
    tree: ast.Module
    functions: dict[str, list[Function]] = field(default_factory=lambda: defaultdict(list))
    constants: dict[str, ast.expr] = field(default_factory=dict)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    texts: list[ast.expr] = field(default_factory=list)
    _values: dict[ast.AST, list[tuple[str, ast.expr]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if isinstance(node, Function):
                self.functions[node.name].append(node)
            elif isinstance(node, ast.Call):
                self.calls.append(node)
            elif isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                self.texts.append(node)
        for statement in self.tree.body:
            for name, value in _assigned(statement):
                self.constants[name] = value

    def values(self, function: Function) -> list[tuple[str, ast.expr]]:
        """Return what is assigned in a function, by name."""
        if function not in self._values:
            self._values[function] = [pair for each in ast.walk(function) for pair in _assigned(each)]
        return self._values[function]

    def enclosing(self, node: ast.AST) -> Function | None:
        """Return the function that a node is in."""
        while (above := self.parents.get(node)) is not None:
            if isinstance(above, Function):
                return above
            node = above
        return None


@dataclass(frozen=True)
class Sink:
    """An expression whose text a person meets, and where it is."""

    module: Module
    value: ast.expr


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value
    elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
        yield node.target.id, node.iter


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, other)


def called(node: ast.Call) -> str:
    """Return the last name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def written(node: ast.expr) -> str | None:
    """Return a text as it is written, with `…` for what is filled in; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = written(node.left), written(node.right)
        return None if left is None and right is None else f"{left or HOLE}{right or HOLE}"
    return None


def in_words(text: str) -> str:
    """Return a message in one line, each thing that is filled in as one `…`."""
    text = re.sub(r"%(?:\.\d+)?[sdrfg]|(?<!\{)\{[a-z_]*\}(?!\})", HOLE, text)
    return " ".join(re.sub(rf"{HOLE}(?:{HOLE})+", HOLE, text).split())


def word_count(text: str) -> int:
    return sum(bool(re.search("[A-Za-z]", word)) for word in text.split())


class Inventory:
    """All messages of some modules."""

    def __init__(self, sources: dict[str, str]) -> None:
        """Parse them; the keys are their paths."""
        self.modules = [Module(name, ast.parse(text)) for name, text in sources.items()]
        self._exceptions = self._exception_classes()
        self._functions: dict[str, list[tuple[Module, Function]]] = defaultdict(list)
        for module in self.modules:
            for name, found in module.functions.items():
                self._functions[name] += [(module, one) for one in found]
        self._constants = {name: (each, value) for each in self.modules for name, value in each.constants.items()}
        self._forwarders: dict[tuple[str, str], set[str]] = defaultdict(set)  # (module or "", function): parameters

    def _exception_classes(self) -> set[str]:
        every = {name for name in dir(builtins) if _is_exception(getattr(builtins, name))} | CLICK | CAUGHT
        bases = {
            each.name: {ast.unparse(base).rpartition(".")[2] for base in each.bases}
            for module in self.modules
            for each in ast.walk(module.tree)
            if isinstance(each, ast.ClassDef)
        }
        answers = {"ApiError"}
        for known in (every, answers):
            while more := {name for name, of in bases.items() if of & known} - known:
                known |= more
        return {name for name in every - CAUGHT - answers if not name.startswith("_")}

    def messages(self) -> dict[str, str]:
        """Return each message with the first place where it is written."""
        found: dict[str, str] = {}
        done: set[ast.expr] = set()
        new = list(self._sinks())
        while new:
            for sink in new:  # following these may find functions that are given texts, so calls of those come next
                done.add(sink.value)
                for text, place in self._texts(sink, frozenset()):
                    found.setdefault(text, place)
            new = [sink for sink in self._given() if sink.value not in done]
        return found

    def _sinks(self) -> Iterator[Sink]:
        for module in self.modules:
            for call in module.calls:
                yield from (Sink(module, value) for value in self._told(call))
            yield from (Sink(module, node) for node in module.texts if self._names_a_command(module, node))

    def _given(self) -> Iterator[Sink]:
        names = {name for _, name in self._forwarders}
        for module in self.modules:
            for call in module.calls:
                if (name := called(call)) in names:
                    yield from (Sink(module, value) for value in self._forwarded(module, call, name))

    def _told(self, call: ast.Call) -> Iterable[ast.expr]:
        """Return the arguments of a call that a person gets to read."""
        name = called(call)
        if name in self._exceptions:
            return [*call.args, *(each.value for each in call.keywords)]
        if name in CARRIERS:
            wanted, place = CARRIERS[name]
            return [*call.args[place : place + 1], *(each.value for each in call.keywords if each.arg == wanted)]
        return _shown(call, name)

    def _forwarded(self, module: Module, call: ast.Call, name: str) -> Iterable[ast.expr]:
        names = self._forwarders.get((module.name, name)) or (
            set() if name.startswith("_") else self._forwarders.get(("", name), set())
        )
        if not names:
            return []
        functions = module.functions.get(name) or [one for _, one in self._functions[name]]
        positions = [each.arg for each in functions[0].args.args if each.arg not in {"self", "cls"}]
        by_place = [value for place, value in zip(positions, call.args, strict=False) if place in names]
        return by_place + [each.value for each in call.keywords if each.arg in names]

    def _names_a_command(self, module: Module, node: ast.expr) -> bool:
        """Return whether it is a line of a command's output that says what to run."""
        if not module.name.startswith(NAMING):
            return False
        text = written(node)
        above = module.parents.get(node)
        if not text or isinstance(above, ast.Expr | ast.JoinedStr | ast.FormattedValue | ast.BinOp):
            return False
        is_help = isinstance(above, ast.keyword) and above.arg in {"help", "epilog"}
        return not is_help and "Exit codes:" not in text and bool(re.search(rf"`{HOLE}`", text))

    def _texts(self, sink: Sink, seen: frozenset[ast.expr]) -> Iterator[tuple[str, str]]:
        module, node = sink.module, sink.value
        if node in seen:
            return
        seen |= {node}
        if (text := written(node)) is not None:
            text = in_words(text)
            if word_count(text) >= FEWEST_WORDS:
                if not NO_MESSAGE.fullmatch(text):
                    yield text, module.name
                return
        for part in self._parts(module, node):
            yield from self._texts(part, seen)

    def _parts(self, module: Module, node: ast.expr) -> Iterator[Sink]:
        """Yield what a text is taken from."""
        if isinstance(node, ast.Name):
            yield from self._of_name(module, node)
        elif isinstance(node, ast.Call):
            yield from self._of_call(module, node)
        elif isinstance(node, ast.IfExp):
            yield from (Sink(module, each) for each in (node.body, node.orelse))
        elif isinstance(node, ast.Dict):
            yield from (Sink(module, each) for each in node.values)
        elif isinstance(node, ast.Attribute | ast.Compare | ast.Constant | ast.Lambda):
            return
        elif isinstance(node, ast.Subscript):
            yield Sink(module, node.value)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            yield Sink(module, node.elt)
        else:
            yield from (Sink(module, each) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr))

    def _of_name(self, module: Module, node: ast.Name) -> Iterator[Sink]:
        function = module.enclosing(node)
        while function is not None:
            values = [value for name, value in module.values(function) if name == node.id]
            yield from (Sink(module, value) for value in values)
            arguments = function.args
            if node.id in {each.arg for each in (*arguments.args, *arguments.kwonlyargs)}:
                self._forwarders[module.name, function.name].add(node.id)
                if not function.name.startswith("_"):
                    self._forwarders["", function.name].add(node.id)
                return
            if values:
                return
            function = module.enclosing(function)
        if node.id in module.constants:
            yield Sink(module, module.constants[node.id])
        elif node.id.isupper() and node.id in self._constants:
            yield Sink(*self._constants[node.id])

    def _of_call(self, module: Module, call: ast.Call) -> Iterator[Sink]:
        name = called(call)
        if name == "map" and isinstance(call.args[0], ast.Name):
            name = call.args[0].id
        if name in {"join", "format", "strip", "replace", "removeprefix", "capitalize", "str", "cast"}:
            of = [call.func.value] if isinstance(call.func, ast.Attribute) else []
            yield from (Sink(module, each) for each in [*of, *call.args])
            return
        here = [(module, one) for one in module.functions.get(name, ())]
        for where, function in here or ([] if name.startswith("_") else self._functions[name]):
            if function.returns is not None and "str" in ast.unparse(function.returns):
                for each in ast.walk(function):
                    if isinstance(each, ast.Return | ast.Yield) and each.value is not None:
                        yield Sink(where, each.value)


def _shown(call: ast.Call, name: str) -> list[ast.expr]:
    """Return what a call prints or logs."""
    of = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name in LOGGED and of in LOGGERS:
        return _logged(call)
    if name in SAID:
        return call.args
    is_shown = (name, of) == ("fail", "self") or name == "confirm" or (name in PRINTED and _goes_to_stderr(call))
    return call.args[:1] if is_shown else []


def _logged(call: ast.Call) -> list[ast.expr]:
    """Return what a log call tells: its first text, and what is filled into that where it has no words of its own."""
    first, *others = (each for each in call.args if not ast.unparse(each).startswith(("level", "logging.")))
    return [first] if word_count(in_words(written(first) or "")) >= FEWEST_WORDS else [first, *others]


def _is_exception(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseException)


def _goes_to_stderr(call: ast.Call) -> bool:
    words = {each.arg: ast.unparse(each.value) for each in call.keywords}
    return words.get("err") == "True" or words.get("file") == "sys.stderr"


@cache
def messages() -> dict[str, str]:
    """Return each message of the program with the module that it is written in."""
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for package in ("journal", "uploader")
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    return Inventory(sources).messages()
