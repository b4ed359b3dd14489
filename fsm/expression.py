"""Expressions: a small, exact, bounded subset of Python.

Theory of operation. The text is parsed (`syntax`), checked node by node against an allow-list
while its types are inferred, and rewritten so that every name becomes a look-up in one of three
dicts; only the rewritten tree is compiled. What the allow-list does not know cannot run: there are
no attributes beyond declared fields, no imports, no floats, no powers or shifts, no nested loops,
and calls only to the builtins below and the functions that the machine declares. So a hostile file
gets an error with its place, never the process that loads it.

What one evaluation costs is bounded by the size of its data: numbers and texts that it makes have
the bounds of stored ones, and what walks a whole list, map or text is a loop, so it has no place
inside another. A map is walked in the order of its keys: nothing depends on the order in which they
came.

A compiled expression is called with three arguments: `d` the instance's data, `p` the parameters
and let-names (in an invariant: the data before), `m` the moment (now, height, key, state).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from .composite import List, Map, Optional, Record
from .inference import (
    BOOL,
    INT,
    LITERAL,
    NONE,
    NOTHING,
    arithmetic,
    assignable,
    common,
    holds_json,
    is_number,
    may_contain,
    may_order,
    unbounded,
)
from .syntax import Source
from .types import (
    INT_BITS_MAX,
    TEXT,
    Amount,
    Bool,
    Bytes,
    Int,
    Scalar,
    Text,
    Type,
    ValueInvalid,
)

SEEN_MAX = 8

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
_SHOWN = (Int, Amount, Bool, Text, Scalar, Bytes)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)

Compiled = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Binding:
    """What a name means: its type, and which of the three dicts holds it, or is it, or a constant.

    `where` is `d`, `p`, `m`, `constant`, or `old` for the data before, as a whole.
    """

    type: Type
    where: str
    constant: str | int | bool | None = None


@dataclass(frozen=True)
class Function:
    """A pure function that expressions may call."""

    name: str
    takes: tuple[Type, ...]
    gives: Type
    call: Callable[..., Any]


@dataclass(frozen=True)
class Scope:
    """The names and functions that an expression may use."""

    names: Mapping[str, Binding]
    functions: Mapping[str, Function] = field(default_factory=dict)

    def plus(self, names: Mapping[str, Binding]) -> Scope:
        """Return this scope with more names; a later name hides an earlier one."""
        return Scope({**self.names, **names}, self.functions)


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its text, its type, how to call it, and what it looks at."""

    text: str
    type: Type
    call: Compiled
    reads: tuple[tuple[str, Type, Compiled], ...] = ()
    narrows: str | None = None


def _never(_d: Any, _p: Any, _m: Any) -> Any:
    raise AssertionError("an expression is called before it is made")


def compile_expression(
    source: str | int | bool, scope: Scope, at: Callable[[int], str]
) -> Expression:
    """Return `source` compiled in `scope`. `at(offset)` gives the place of a character in it.

    Raises SpecError for anything outside the language, with its place.
    """
    return _Compiler(Source(str(source).strip(), at), scope).compile()


class _Compiler:
    """One pass over one expression: check, infer, rewrite."""

    def __init__(self, source: Source, scope: Scope) -> None:
        self.source = source
        self.scope = scope
        self.fail = source.fail
        self.loop: dict[str, Type] = {}
        self.looping = False
        self.reads: dict[str, tuple[Type, ast.expr]] = {}

    def compile(self) -> Expression:
        tree = self.source.parse()
        node, of = self.visit(tree)
        reads = tuple(
            (label, read, self._later(read_node, None))
            for label, (read, read_node) in list(self.reads.items())[:SEEN_MAX]
        )
        expression = Expression(self.source.text, of, _never, reads, self._narrows(tree))
        object.__setattr__(expression, "call", self._later(node, expression))
        return expression

    def _later(self, node: ast.expr, of: Expression | None) -> Compiled:
        """Return a function that compiles the tree when it is first called.

        Most expressions of a machine are never called by the command that loads it. An expression
        is given its compiled form then, so that it costs nothing from the second call on.
        """

        def first(d: Any, p: Any, m: Any) -> Any:
            compiled = self._code(node)
            if of is not None:
                object.__setattr__(of, "call", compiled)
            return compiled(d, p, m)

        return first

    def _code(self, node: ast.expr) -> Compiled:
        """Compile a rewritten tree to a function of (d, p, m)."""
        arguments = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(arg=name) for name in "dpm"],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(args=arguments, body=node)))
        names = {f"f_{name}": function.call for name, function in self.scope.functions.items()}
        code = compile(tree, f"<{self.source.text}>", "eval")
        return eval(code, {"__builtins__": {}, **_BUILTIN_CALLS, **names})  # type: ignore[no-any-return] # noqa: S307

    def _narrows(self, tree: ast.expr) -> str | None:
        """`x is not None` proves that x is there: what follows may use it."""
        if (
            isinstance(tree, ast.Compare)
            and isinstance(tree.left, ast.Name)
            and len(tree.ops) == 1
            and isinstance(tree.ops[0], ast.IsNot)
        ):
            return tree.left.id
        return None

    def visit(self, node: ast.expr) -> tuple[ast.expr, Type]:
        """Return the rewritten node and its type, or raise SpecError."""
        visitor = getattr(self, f"visit_{type(node).__name__.lower()}", None)
        if visitor is None:
            raise self.fail(f"{type(node).__name__} is not part of the language", node)
        result: tuple[ast.expr, Type] = visitor(node)
        return result

    def visit_constant(self, node: ast.Constant) -> tuple[ast.expr, Type]:
        value = node.value
        if value is None:
            return node, NONE
        if type(value) is bool:
            return node, BOOL
        if type(value) is int:
            if value.bit_length() > INT_BITS_MAX:
                raise self.fail("a number too large", node)
            return node, LITERAL
        if type(value) is str:
            try:
                return ast.Constant(TEXT.coerce(value, "")), TEXT
            except ValueInvalid as error:
                raise self.fail(error.message, node) from None
        raise self.fail(f"{type(value).__name__} is not part of the language", node)

    def visit_name(self, node: ast.Name) -> tuple[ast.expr, Type]:
        name = node.id
        if name in self.loop:
            return ast.Name(f"l_{name}", ast.Load()), self.loop[name]
        binding = self.scope.names.get(name)
        if binding is None:
            if name in ("true", "false", "none", "null"):
                return self.visit_constant(ast.Constant({"true": True, "false": False}.get(name)))
            known = ", ".join(sorted(self.scope.names))
            raise self.fail(f"no name {name!r} (there are {known})", node)
        return self._read(name, binding)

    def _read(self, name: str, binding: Binding) -> tuple[ast.expr, Type]:
        if binding.where == "constant":
            return ast.Constant(binding.constant), binding.type
        if binding.where == "old":
            return ast.Name("p", ast.Load()), binding.type
        read: ast.expr
        if binding.where == "m":
            read = ast.Attribute(ast.Name("m", ast.Load()), name, ast.Load())
        else:
            read = _item(ast.Name(binding.where, ast.Load()), ast.Constant(name))
        self._see(name, binding.type, read)
        return read, binding.type

    def _see(self, label: str, of: Type, read: ast.expr) -> None:
        """Remember a scalar that the expression looks at, so that a refusal can show it."""
        base = of.of if isinstance(of, Optional) else of
        if not self.looping and isinstance(base, _SHOWN):
            self.reads.setdefault(label, (of, read))

    def visit_attribute(self, node: ast.Attribute) -> tuple[ast.expr, Type]:
        value, of = self.visit(node.value)
        if not isinstance(of, Record):
            hint = ": check `is not None` first" if isinstance(of, Optional) else ""
            raise self.fail(f"{of.name} has no fields{hint}", node)
        if node.attr not in of.fields:
            raise self.fail(f"{of.name} has no field {node.attr!r}", node)
        read = _item(value, ast.Constant(node.attr))
        self._see(self.source.segment(node), of.fields[node.attr], read)
        return read, of.fields[node.attr]

    def visit_subscript(self, node: ast.Subscript) -> tuple[ast.expr, Type]:
        value, of = self.visit(node.value)
        index, index_type = self.visit(node.slice)
        if isinstance(of, Map):
            self.match(of.key, index_type, node)
        elif isinstance(of, List):
            self.match(INT, index_type, node)
        else:
            raise self.fail(f"{of.name} has no items", node)
        return _item(value, index), of.of

    def visit_boolop(self, node: ast.BoolOp) -> tuple[ast.expr, Type]:
        return ast.BoolOp(node.op, [self.truth(value) for value in node.values]), BOOL

    def truth(self, node: ast.expr) -> ast.expr:
        """Return a node that must be true or false: numbers and texts are not."""
        value, of = self.visit(node)
        if not isinstance(of, Bool):
            raise self.fail(f"{of.name} is not true or false: compare it with something", node)
        return value

    def visit_unaryop(self, node: ast.UnaryOp) -> tuple[ast.expr, Type]:
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(node.op, self.truth(node.operand)), BOOL
        if not isinstance(node.op, ast.USub):
            raise self.fail(f"{type(node.op).__name__} is not part of the language", node)
        value, of = self.visit(node.operand)
        self.number(of, node)
        return ast.UnaryOp(node.op, value), of

    def visit_binop(self, node: ast.BinOp) -> tuple[ast.expr, Type]:
        if not isinstance(node.op, _ARITHMETIC):
            raise self.fail(f"{type(node.op).__name__} is not part of the language", node)
        left, left_type = self.visit(node.left)
        right, right_type = self.visit(node.right)
        if isinstance(node.op, ast.Add) and left_type is TEXT and right_type is TEXT:
            self.walk(node)
            return _call("joined_", left, right), TEXT
        self.number(left_type, node.left)
        self.number(right_type, node.right)
        of = arithmetic(node.op, left_type, right_type)
        if of is None:
            raise self.fail(f"{left_type.name} and {right_type.name} do not go together", node)
        if isinstance(node.op, ast.Mult):
            return _call("product_", left, right), of
        return ast.BinOp(left, node.op, right), of

    def visit_compare(self, node: ast.Compare) -> tuple[ast.expr, Type]:
        left_node = node.left
        left, left_type = self.visit(left_node)
        rewritten = ast.Compare(left, node.ops, [])
        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            right, right_type = self.visit(right_node)
            self._comparable(operator, left_type, right_type, node)
            if isinstance(operator, ast.In | ast.NotIn) and not isinstance(right_type, Map):
                self.walk(right_node)
            rewritten.comparators.append(right)
            left_type = right_type
        return rewritten, BOOL

    def _comparable(self, operator: ast.cmpop, left: Type, right: Type, node: ast.expr) -> None:
        if isinstance(operator, ast.Is | ast.IsNot):
            if right is not NONE:
                raise self.fail("`is` only compares with None", node)
            if not isinstance(left, Optional):
                raise self.fail(f"{left.name} is never None", node)
        elif isinstance(operator, ast.In | ast.NotIn):
            if not may_contain(left, right):
                raise self.fail(f"{left.name} cannot be in {right.name}", node)
        elif isinstance(operator, _ORDER) and not may_order(left, right):
            raise self.fail(f"{left.name} and {right.name} have no order", node)
        elif not (assignable(left, right) or assignable(right, left)):
            raise self.fail(f"{left.name} and {right.name} are never equal", node)
        elif holds_json(left) or holds_json(right):
            raise self.fail("json is stored, and compared with nothing but None", node)

    def visit_ifexp(self, node: ast.IfExp) -> tuple[ast.expr, Type]:
        test = self.truth(node.test)
        then, then_type = self.visit(node.body)
        other, other_type = self.visit(node.orelse)
        return ast.IfExp(test, then, other), self.common([then_type, other_type], node)

    def visit_tuple(self, node: ast.Tuple | ast.List) -> tuple[ast.expr, Type]:
        visited = [self.visit(item) for item in node.elts]
        of = self.common([item_type for _, item_type in visited], node) if visited else NOTHING
        return ast.Tuple([item for item, _ in visited], ast.Load()), List(of)

    visit_list = visit_tuple

    def visit_dict(self, node: ast.Dict) -> tuple[ast.expr, Type]:
        """A record: `{redeemed: 0, nonce: 1}`; an empty one is an empty map as well."""
        fields: dict[str, Type] = {}
        values: list[ast.expr] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Name):
                raise self.fail("a record's field is a plain name", node)
            rewritten, of = self.visit(value)
            fields[key.id] = of
            values.append(rewritten)
        keys: list[ast.expr | None] = [ast.Constant(name) for name in fields]
        if len(keys) != len(values):
            raise self.fail("a field stands here twice", node)
        return ast.Dict(keys, values), Record("record", fields)

    def visit_call(self, node: ast.Call) -> tuple[ast.expr, Type]:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self.fail("calls are `name(value, …)`", node)
        name = node.func.id
        builtin = _BUILTINS.get(name)
        if builtin is not None and name not in self.scope.functions:
            return builtin(self, node)
        function = self.scope.functions.get(name)
        if function is None:
            raise self.fail(f"no function {name!r}", node)
        if len(node.args) != len(function.takes):
            raise self.fail(f"{name} takes {len(function.takes)} values", node)
        arguments = []
        for takes, argument in zip(function.takes, node.args, strict=True):
            rewritten, of = self.visit(argument)
            self.match(takes, of, argument)
            arguments.append(rewritten)
        return _call(f"f_{name}", *arguments), function.gives

    def visit_generatorexp(self, node: ast.GeneratorExp | ast.ListComp) -> tuple[ast.expr, Type]:
        made, of = self._generate(node)
        return _call("tuple_", made), List(of)

    visit_listcomp = visit_generatorexp

    def _generate(self, node: ast.GeneratorExp | ast.ListComp) -> tuple[ast.expr, Type]:
        """Return a generator, for who walks it once, and the type of what it gives."""
        generators, element, of = self._comprehend(node, node.generators, [node.elt])
        return ast.GeneratorExp(element[0], generators), of[0]

    def visit_dictcomp(self, node: ast.DictComp) -> tuple[ast.expr, Type]:
        generators, pair, of = self._comprehend(node, node.generators, [node.key, node.value])
        if not isinstance(of[0], Int | Text | Scalar):
            raise self.fail(f"{of[0].name} is no key of a map", node.key)
        return ast.DictComp(pair[0], pair[1], generators), Map(of[0], of[1])

    def _comprehend(
        self, node: ast.expr, generators: list[ast.comprehension], elements: list[ast.expr]
    ) -> tuple[list[ast.comprehension], list[ast.expr], list[Type]]:
        """One loop over one finite collection; loops do not nest, so work stays linear."""
        self.walk(node)
        loop = generators[0]
        if len(generators) != 1:
            raise self.fail("loops do not nest", node)
        over, of = self.visit(loop.iter)
        if not isinstance(loop.target, ast.Name) or not isinstance(of, List | Map):
            raise self.fail("a loop is `… for name in list or map`", node)
        name = loop.target.id
        if isinstance(of, Map):
            over = _call("sorted", over)
        self.loop = {name: of.key if isinstance(of, Map) else of.of}
        self.looping = True
        tests = [self.truth(test) for test in loop.ifs]
        visited = [self.visit(element) for element in elements]
        self.loop = {}
        self.looping = False
        target = ast.Name(f"l_{name}", ast.Store())
        rewritten = [ast.comprehension(target=target, iter=over, ifs=tests, is_async=0)]
        return rewritten, [item for item, _ in visited], [of for _, of in visited]

    def walk(self, node: ast.expr) -> None:
        """Raise if a whole list, map or text is walked for every step of a loop."""
        if self.looping and not isinstance(node, ast.Tuple | ast.List):
            raise self.fail("loops do not nest: put this in a `let` before", node)

    def number(self, of: Type, node: ast.expr) -> None:
        """Raise unless `of` is a number."""
        if not is_number(of):
            raise self.fail(f"{of.name} is not a number", node)

    def match(self, wanted: Type, given: Type, node: ast.expr) -> None:
        """Raise unless a `given` value may stand where `wanted` is meant."""
        if not assignable(wanted, given):
            raise self.fail(f"{given.name} where {wanted.name} is meant", node)

    def common(self, types: list[Type], node: ast.expr) -> Type:
        """Return one type for all of `types`, or raise."""
        result = types[0]
        for of in types[1:]:
            both = common(result, of)
            if both is None:
                raise self.fail(f"{result.name} and {of.name} in one place", node)
            result = both
        return result

    def arguments(self, node: ast.Call, *counts: int) -> list[tuple[ast.expr, Type]]:
        """Return the visited arguments of a builtin that takes one of `counts` values."""
        if len(node.args) not in counts:
            takes = " or ".join(map(str, counts))
            raise self.fail(f"{_name(node)} takes {takes} values", node)
        return [self.visit(argument) for argument in node.args]

    def items(self, node: ast.Call) -> tuple[ast.expr, Type]:
        """Return a builtin's one argument, a list or map, and the type of what looping gives."""
        if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            return self._generate(node.args[0])
        [(value, of)] = self.arguments(node, 1)
        self.walk(node.args[0])
        if not isinstance(of, List | Map):
            raise self.fail(f"{of.name} is not a list or map", node)
        return value, of.key if isinstance(of, Map) else of.of


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _name(call: ast.Call) -> str:
    """Return the name of the builtin that is called."""
    return cast(ast.Name, call.func).id


def _length(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    [(value, of)] = compiler.arguments(node, 1)
    if not isinstance(of, List | Map | Text | Scalar | Bytes):
        raise compiler.fail(f"{of.name} has no length", node)
    return _call("len", value), INT


def _extreme(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    name = _name(node)
    if len(node.args) == 1:
        value, of = compiler.items(node)
        compiler.number(of, node)
        return _call(name, value), of
    visited = [compiler.visit(argument) for argument in node.args]
    if not visited:
        raise compiler.fail(f"{name} takes a list, or two or more numbers", node)
    for _, of in visited:
        compiler.number(of, node)
    return _call(name, *(value for value, _ in visited)), compiler.common(
        [unbounded(of) for _, of in visited], node
    )


def _total(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    value, of = compiler.items(node)
    compiler.number(of, node)
    return _call("sum", value), unbounded(of)


def _every(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    value, of = compiler.items(node)
    if not isinstance(of, Bool):
        raise compiler.fail(f"{of.name} is not true or false", node)
    return _call(_name(node), value), BOOL


def _absolute(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    [(value, of)] = compiler.arguments(node, 1)
    compiler.number(of, node)
    return _call("abs", value), unbounded(of)


def _get(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    """`get(map, key)` is none where the key is missing; `get(map, key, other)` is other."""
    (value, of), (key, key_type), *other = compiler.arguments(node, 2, 3)
    if not isinstance(of, Map):
        raise compiler.fail(f"{of.name} is not a map", node)
    compiler.match(of.key, key_type, node)
    if not other:
        return _call("get_", value, key), Optional(of.of)
    compiler.match(of.of, other[0][1], node)
    return _call("get_", value, key, other[0][0]), of.of


def _values(compiler: _Compiler, node: ast.Call) -> tuple[ast.expr, Type]:
    [(value, of)] = compiler.arguments(node, 1)
    compiler.walk(node.args[0])
    if not isinstance(of, Map):
        raise compiler.fail(f"{of.name} is not a map", node)
    return _call("values_", value), List(of.of)


def _values_by_key(mapping: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(mapping[key] for key in sorted(mapping))


def _product(left: int, right: int) -> int:
    product = left * right
    if product.bit_length() > INT_BITS_MAX:
        raise ValueInvalid(f"a product of more than {INT_BITS_MAX} bits")
    return product


def _joined(left: str, right: str) -> str:
    return TEXT.coerce(left + right, "")


_BUILTINS: dict[str, Callable[[_Compiler, ast.Call], tuple[ast.expr, Type]]] = {
    "len": _length,
    "min": _extreme,
    "max": _extreme,
    "sum": _total,
    "any": _every,
    "all": _every,
    "abs": _absolute,
    "get": _get,
    "values": _values,
}
_BUILTIN_CALLS: dict[str, Callable[..., Any]] = {
    "len": len,
    "min": min,
    "max": max,
    "sum": sum,
    "any": any,
    "all": all,
    "abs": abs,
    "sorted": sorted,
    "tuple_": tuple,
    "get_": dict.get,
    "values_": _values_by_key,
    "product_": _product,
    "joined_": _joined,
}


def _item(value: ast.expr, index: ast.expr) -> ast.expr:
    return ast.Subscript(value, index, ast.Load())
