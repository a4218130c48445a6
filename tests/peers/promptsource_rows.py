"""Made-up rows for PromptSource's templates, shaped by what the templates do with their fields.

Nothing here knows a dataset. The syntax trees of all templates of a file are walked together, and what is
done with a field says what it must be: looked up in `answer_choices` - a number in its range; iterated or
joined - a list; asked for an attribute - a mapping; compared with constants - one of these; and so on
(`Reader`). Rows are made of that (`Maker`), rendered, and where templates raise or stay empty other kinds
of values are tried (`mend`) and more rows are drawn (`cover`). All of it is a function of the dataset's key.

All text is out of the word lists below, but for the constants that templates compare fields with or look up.
"""

import copy
import json
import random

from blake3 import blake3
from jinja2 import Template, nodes

# A row's texts are sentences of these. No word here comes from a dataset.
SUBJECTS = "the kettle|a heron|our ferry|the baker|one lantern|an old clock|the gardener|my neighbour|the red tractor|a quiet otter".split("|")
VERBS = "boils|watches|carries|forgets|mends|finds|paints|follows|counts|hides".split("|")
OBJECTS = "the harbour|three plums|a wooden spoon|the last letter|every window|some rain|a blue door|two bridges|the orchard|nothing at all".split("|")
ENDS = "before noon|in March|with great care|again|near the mill|without a word|for 12 days|slowly|at 7:45|by hand".split("|")
ODD = [
    "Ωmega café naïve ﬁsh",
    "日本のやかん",
    "e\u0301clair 🦩 heron",
    "tea ||| milk",
    "{{ not a variable }}",
    "{% not a tag %} {# nor a comment #}",
    "she said \"no\", he said 'yes'",
    "back\\slash \\n and \\t",
    "one\ntwo\n\nthree",
    "<b>bold & quiet</b>",
    "  two blanks before and behind  ",
    "tab\there, no-break\u00a0blank",
    "50% of 3.5 is 1,75",
]
NAMES = ["Ada", "Brom", "Cleo", "Dirk", "Edda", "Fenn"]
ROWS = 6  # designed rows; `cover` may add up to MORE
MORE = 6
POOL = 120  # rows drawn at random that `cover` chooses from


class Dice:
    """Random numbers that are the same everywhere: seeded by text."""

    def __init__(self, *seed):
        self.random = random.Random("\n".join(map(str, seed)))

    def below(self, n):
        return self.random.getrandbits(32) % n

    def of(self, items):
        return items[self.below(len(items))]


class Shape:
    """What is known of one place in a row, or of a value computed from it."""

    def __init__(self, name="", row=False):
        self.name, self.in_row = name, row
        self.attrs, self.item = {}, None
        self.consts, self.seen = {}, {}
        self.contains, self.heads = {}, {}  # pieces of a text, beginnings of it
        self.splits = {}  # separator: Shape of the list that the text is split into
        self.group = None  # fields that are compared with each other
        self.indices = []  # (lowest, length or Shape whose length it is)
        self.least = 0  # items that a list must have
        self.length = None  # of a known list
        self.forced = None
        self.loose = False  # the constants are only some of what it may be

    def vote(self, kind):
        self.seen[kind] = self.seen.get(kind, 0) + 1
        return self

    def attr(self, name):
        if name not in self.attrs:
            self.attrs[name] = Shape(f"{self.name}.{name}", self.in_row)
        return self.attrs[name]

    def element(self):
        if self.item is None:
            self.item = Shape(f"{self.name}[]", self.in_row)
        return self.item

    def needs(self, count):
        self.least = max(self.least, min(count, 40))

    def constant(self, value):
        self.consts[(type(value).__name__, value)] = value

    def link(self, other):
        """The two are compared, or one is looked up among others like it: they must often be equal."""
        if self is other or not (self.in_row and other.in_row):
            return
        group = {**(self.group or {self: None}), **(other.group or {other: None})}
        for shape in group:
            shape.group = group

    def split(self, separator):
        if separator not in self.splits:
            self.splits[separator] = Shape(f"{self.name}/{separator}", self.in_row).vote("list")
        many = self.splits[separator]
        many.element().vote("str")
        return many

    def walk(self):
        yield self
        for shape in self.attrs.values():
            yield from shape.walk()
        if self.item is not None:
            yield from self.item.walk()

    def kind(self):
        if self.forced:
            return self.forced
        saw = self.seen
        if self.attrs or "dict" in saw:
            return "dict"
        if "map" in saw:
            return "map"
        if "list" in saw and saw["list"] >= saw.get("str", 0):
            return "list"
        if self.indices:
            texts = "str" in saw or any(isinstance(value, str) for value in self.consts.values())
            return "digits" if texts else "int"
        if self.group:
            return "linked"
        if any(value not in ("", None) for value in self.consts.values()):
            return "mixed" if self.heads or self.contains or self.splits or self.loose else "const"
        if "str" in saw:
            return "digits" if "int" in saw else "str"
        if self.item is not None and (self.item.attrs or self.item.seen or self.item.item or self.item.indices):
            return "list"
        if "float" in saw:
            return "float"
        if "int" in saw:
            return "int"
        if "seq" in saw:
            return "list"
        return "str"


STR_METHODS = {"lower", "upper", "strip", "startswith", "endswith", "replace", "capitalize", "title", "rstrip", "lstrip"}
MAP_METHODS = {"keys", "items", "values"}
SAME = {"list", "unique", "sort", "reject", "select", "most_frequent", "default", "d"}
ITEM = {"choice", "random", "first", "last", "min", "max"}
TO_STR = {"replace", "lower", "upper", "capitalize", "title", "trim"}


class Reader:
    """Walks the syntax trees of a dataset's templates; `fields` is what the rows must have."""

    def __init__(self, module):
        self.module = module
        self.fields = {}

    def read(self, template):
        self.local, self.choices = {}, Shape("answer_choices").vote("list")
        expression = template.get_answer_choices_expr()
        if expression is not None:
            tree = self.module.env.parse(expression)
            self.body(tree.body)
            if not list(tree.find_all((nodes.Name, nodes.For))):
                fixed = template.get_fixed_answer_choices_list()
                self.choices.length = len(fixed)
                self.choices.texts = fixed
            else:
                for joined in tree.find_all(nodes.Filter):
                    if joined.name == "join":
                        self.choices.source = self.value(joined.node)
                self.choices.length = expression.count("|||") + 1 if not hasattr(self.choices, "source") else None
        self.local = {}
        self.body(self.module.env.parse(template.jinja).body)

    def body(self, body):
        for node in body:
            self.statement(node)

    def statement(self, node):
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                self.value(part)
        elif isinstance(node, nodes.If):
            self.value(node.test)
            self.body(node.body)
            for other in node.elif_:
                self.statement(other)
            self.body(node.else_)
        elif isinstance(node, nodes.For):
            many = self.value(node.iter)
            before = dict(self.local)
            self.bind(node.target, self.items(many))
            self.local["loop"] = Shape("loop")
            for count in ("index", "index0"):
                self.local["loop"].attr(count).vote("int")
            if node.test is not None:
                self.value(node.test)
            self.body(node.body)
            self.body(node.else_)
            self.local = before
        elif isinstance(node, nodes.Assign):
            value = self.value(node.node)
            self.bind(node.target, value)
        else:
            for child in node.iter_child_nodes():
                if isinstance(child, nodes.Expr):
                    self.value(child)
                else:
                    self.statement(child)

    def bind(self, target, value):
        if isinstance(target, nodes.Name):
            self.local[target.name] = value
        elif isinstance(target, nodes.NSRef):
            self.local.setdefault(target.name, Shape(target.name)).attrs[target.attr] = value
        elif isinstance(target, nodes.Tuple):
            parts = getattr(value, "parts", None) or [Shape() for _ in target.items]
            for part, one in zip(target.items, parts):
                self.bind(part, one)

    @staticmethod
    def items(shape):
        """What iterating gives."""
        if "map" in shape.seen or hasattr(shape, "pairs"):
            return shape.element()
        if not (shape.attrs and "dict" not in shape.seen):
            shape.vote("list")
        return shape.element()

    def index(self, expression, base):
        """`base[expression]` where the expression may be computed of fields."""
        lowest, node = 0, expression
        while True:
            if isinstance(node, nodes.Sub) and isinstance(node.right, nodes.Const):
                lowest, node = lowest + node.right.value, node.left
            elif isinstance(node, nodes.Add) and isinstance(node.right, nodes.Const):
                lowest, node = lowest - node.right.value, node.left
            elif isinstance(node, nodes.Filter) and node.name in ("int", "abs", "round", "float"):
                self.value(node)
                node = node.node
            else:
                break
        shape = self.value(node)
        if isinstance(node, (nodes.Name, nodes.Getitem, nodes.Getattr, nodes.Filter)):
            shape.indices.append((lowest, base))

    def value(self, node):
        method = getattr(self, f"value_{type(node).__name__.lower()}", None)
        if method is not None:
            return method(node)
        for child in node.iter_child_nodes():
            self.value(child)
        return Shape()

    def value_const(self, node):
        shape = Shape()
        shape.constant(node.value)
        return shape

    def value_name(self, node):
        if node.name in self.local:
            return self.local[node.name]
        if node.name == "answer_choices":
            return self.choices
        if node.name in ("range", "zip", "namespace", "dict", "loop", "cycler", "joiner", "lipsum"):
            return Shape(node.name)
        if node.name not in self.fields:
            self.fields[node.name] = Shape(node.name, row=True)
        return self.fields[node.name]

    def value_list(self, node):
        shape = Shape().vote("list")
        shape.length = len(node.items)
        shape.parts = [self.value(item) for item in node.items]
        for part in shape.parts:
            shape.element().consts.update(part.consts)
        return shape

    value_tuple = value_list

    def value_dict(self, node):
        shape = Shape()
        shape.keys = [self.value(pair.key) for pair in node.items]
        for pair in node.items:
            if isinstance(pair.key, nodes.Const) and isinstance(pair.key.value, str):
                shape.attrs[pair.key.value] = self.value(pair.value)
        values = [self.value(pair.value) for pair in node.items]
        shape.element().attrs.update(values[0].attrs if values else {})
        return shape

    def value_getattr(self, node):
        return self.value(node.node).attr(node.attr)

    def value_getitem(self, node):
        base = self.value(node.node)
        argument = node.arg
        if isinstance(argument, nodes.Slice):
            for bound in (argument.start, argument.stop, argument.step):
                if bound is not None:
                    bounded = self.value(bound)
                    if bounded.in_row:
                        bounded.indices.append((0, base))
                    for value in bounded.consts.values():
                        if isinstance(value, int):
                            base.needs(abs(value) + (bound is argument.start))
                    if isinstance(bound, nodes.Neg) and isinstance(bound.node, nodes.Const):
                        base.needs(bound.node.value + 1)
            base.vote("seq")
            base.needs(2)
            return base
        if isinstance(argument, nodes.Neg) and isinstance(argument.node, nodes.Const):
            argument = nodes.Const(-argument.node.value)
        if isinstance(argument, nodes.Const):
            if isinstance(argument.value, str):
                return base.attr(argument.value)
            base.vote("seq")
            base.needs(argument.value + 1 if argument.value >= 0 else -argument.value)
            return base.element()
        if hasattr(base, "keys"):
            key = self.value(argument)
            for constant in base.keys:
                key.consts.update(constant.consts)
            return base.element()
        self.index(argument, base)
        base.vote("seq")
        return base.element()

    def value_filter(self, node):
        name = node.name
        base = self.value(node.node) if node.node is not None else Shape()
        arguments = [self.value(argument) for argument in node.args]
        keywords = {pair.key: pair.value for pair in node.kwargs}
        if name == "join":
            joined, each = Shape().vote("str"), self.items(base)
            if each.in_row and not each.attrs and each.item is None:
                joined.consts, each.loose = each.consts, True
            return joined
        if name in ITEM:
            return self.items(base)
        if name == "map":
            many = Shape().vote("list")
            each = self.items(base)
            if "attribute" in keywords and isinstance(keywords["attribute"], nodes.Const):
                for part in str(keywords["attribute"].value).split("."):
                    each = each.attr(part)
                many.item = each
            else:
                if node.args and getattr(node.args[0], "value", None) in TO_STR:
                    each.vote("str")
                    many.item = Shape().vote("str")
                elif node.args and getattr(node.args[0], "value", None) in ITEM:
                    many.item = self.items(each)
                else:
                    many.item = each
            return many
        if name in ("selectattr", "rejectattr"):
            each = self.items(base).attr(node.args[0].value)
            if len(arguments) > 2:
                each.consts.update(arguments[2].consts)
            return base
        if name in SAME:
            if name in ("sort", "unique", "reject", "select", "most_frequent"):
                self.items(base)
            return base
        if name in TO_STR:
            base.vote("str")
            if name == "replace":
                for constant in arguments[0].consts.values():
                    base.contains[str(constant)] = True
            return base
        if name == "length":
            base.vote("seq")
            shape = Shape().vote("int")
            shape.length_of = base
            return shape
        if name in ("round", "float", "abs"):
            base.vote("float" if name != "abs" else "int")
            return Shape().vote("float")
        if name == "int":
            base.vote("int")
            shape = Shape()
            shape.indices = base.indices
            return shape
        return Shape().vote("str")

    def value_call(self, node):
        if isinstance(node.node, nodes.Name):
            arguments = [self.value(argument) for argument in node.args]
            if node.node.name == "zip":
                many = Shape().vote("list")
                many.element().parts = [self.items(argument) for argument in arguments]
                return many
            if node.node.name == "range":
                for argument in arguments:
                    argument.vote("int")
                many = Shape().vote("list")
                many.item = Shape()
                return many
            return Shape(node.node.name)
        if not isinstance(node.node, nodes.Getattr):
            return Shape()
        base, name = self.value(node.node.node), node.node.attr
        arguments = [self.value(argument) for argument in node.args]
        constants = [value for argument in arguments for value in argument.consts.values()]
        if name == "split":
            return base.vote("str").split(str(constants[0]) if constants else " ")
        if name in STR_METHODS:
            base.vote("str")
            for constant in constants[:1]:
                if name == "startswith":
                    base.heads[str(constant)] = True
                elif name == "replace" and str(constant).strip():
                    base.contains[str(constant)] = True
            return base
        if name in MAP_METHODS:
            base.vote("map")
            many = Shape().vote("list")
            if name == "items":
                many.element().parts = [Shape(), base.element()]
            return many
        if name == "index":
            base.vote("seq")
            if hasattr(base, "texts"):
                for text in base.texts:
                    arguments[0].constant(text)
            elif hasattr(base, "parts"):
                arguments[0].consts.update(base.element().consts)
            elif arguments[0].in_row:
                base.element().link(arguments[0])
            elif constants and not (base.item and base.item.in_row is False and base.length):
                for constant in constants:
                    base.contains[str(constant)] = True
            return Shape().vote("int")
        if name == "append":
            base.element().attrs.update(arguments[0].attrs)
            return Shape()
        if name == "join":
            for argument in arguments:
                self.items(argument)
            return Shape().vote("str")
        return Shape()

    def value_compare(self, node):
        left = self.value(node.expr)
        for operand in node.ops:
            right = self.value(operand.expr)
            if operand.op in ("in", "notin"):
                if right.length is not None and right.item is not None:
                    left.consts.update(right.item.consts)
                elif left.in_row and right.in_row:
                    if "list" in right.seen:
                        right.element().link(left)
                elif left.consts:
                    for constant in left.consts.values():
                        right.contains[str(constant)] = True
            elif operand.op in ("eq", "ne"):
                self.same(left, right)
            else:
                for one, other in ((left, right), (right, left)):
                    for constant in list(other.consts.values()):
                        if isinstance(constant, bool) or not isinstance(constant, (int, float)):
                            continue
                        if hasattr(one, "length_of"):
                            one.length_of.needs(int(constant) + 1)
                        elif isinstance(constant, int):
                            for near in (constant - 1, constant, constant + 1, constant + 9):
                                one.constant(near)
                        else:
                            for near in (constant - 0.25, constant, constant + 0.25):
                                one.constant(near)
        return Shape()

    @staticmethod
    def same(left, right):
        left.link(right)
        for one, other in ((left, right), (right, left)):
            if other.in_row:
                continue
            if hasattr(one, "length_of"):
                for constant in list(other.consts.values()):
                    if isinstance(constant, int):
                        one.length_of.needs(constant)
            elif getattr(other, "length", None) == 0:
                one.vote("list")
            else:
                one.consts.update(other.consts)
                for kind in ("int", "str"):
                    if kind in other.seen:
                        one.vote(kind)

    def value_mul(self, node):
        for side in (node.left, node.right):
            shape = self.value(side)
            if shape.in_row:
                shape.vote("float")
        return Shape().vote("float")

    value_div = value_mul

    def value_sub(self, node):
        for side in (node.left, node.right):
            shape = self.value(side)
            if shape.in_row and not shape.indices:
                shape.vote("int")
        return Shape().vote("int")

    def value_neg(self, node):
        self.value(node.node)
        shape = Shape().vote("int")
        if isinstance(node.node, nodes.Const):
            shape.constant(-node.node.value)
        return shape

    def value_add(self, node):
        left, right = self.value(node.left), self.value(node.right)
        for one, other in ((left, right), (right, left)):
            if not one.in_row:
                continue
            kinds = {type(value) for value in other.consts.values()}
            if str in kinds or "str" in other.seen:
                one.vote("str")
            elif int in kinds:
                one.vote("int")
        return left if "list" in left.seen else Shape().vote("str" if "str" in left.seen else "int")

    def value_condexpr(self, node):
        self.value(node.test)
        value = self.value(node.expr1)
        if node.expr2 is not None:
            self.value(node.expr2)
        return value


class Maker:
    """Makes rows of a dataset's fields."""

    def __init__(self, key, fields):
        self.key, self.fields = key, fields

    def row(self, number, wild=False):
        """Designed row `number`, or a random one."""
        dice = Dice(self.key, number, wild)
        self.count = 3 if not wild else 1 + dice.below(5)
        if not wild:
            self.count = [3, 1, 4, 2, 5, 2][number]
        return {name: self.make(shape, number, wild, dice, 0) for name, shape in self.fields.items()}

    def make(self, shape, number, wild, dice, depth, place=0):
        kind = shape.kind()
        if kind == "dict":
            return {name: self.make(of, number, wild, dice, depth + 1, place) for name, of in shape.attrs.items()}
        if kind == "map":
            item = shape.item or Shape()
            return {name: self.make(item, number, wild, dice, depth + 1, at) for at, name in enumerate(NAMES[: self.count])}
        if kind in ("list", "lists", "dicts"):
            return self.many(shape, kind, number, wild, dice, depth)
        if kind == "int":
            return self.integer(shape, number, wild, dice, place)
        if kind == "digits":
            return str(max(0, self.integer(shape, number, wild, dice, place)))
        if kind == "float":
            return [0.5, 3.0, 1.2345678, -0.05, 2.5, 1e-07][(number + place) % 6] if not wild else dice.below(400) / 80
        if kind == "bool":
            return (number + place) % 2 == 0
        if kind == "linked":
            return self.linked(shape, number, wild, dice, place, depth)
        if kind == "const" or kind == "mixed" and dice.below(3):
            return self.constant(shape, number, wild, dice, place)
        return self.text(shape, number, wild, dice, place, depth)

    def many(self, shape, kind, number, wild, dice, depth):
        count = max(self.count, shape.least)
        if dice.below(8) == 0 if wild else number == 5 and Dice(shape.name).below(2):
            return []
        item = shape.item or Shape(shape.name + "[]")
        if kind == "lists":
            item = Shape(item.name)
            item.forced = "list"
        if kind == "dicts":
            item = Shape(item.name)
            item.attrs = shape.attrs
        return [self.make(item, number, wild, dice, depth + 1, place) for place in range(count)]

    def integer(self, shape, number, wild, dice, place):
        lows = [low for low, _ in shape.indices] or [0]
        lengths = []
        for low, base in shape.indices:
            length = base.length
            source = getattr(base, "source", base)
            if length is None:
                length = max(self.count, source.least)
            lengths.append(low + length)
        low, high = min(lows), max(lengths or [3])
        constants = [value for value in shape.consts.values() if isinstance(value, int)]
        if wild:
            if constants and dice.below(3) == 0:
                return int(dice.of(constants))
            return low + dice.below(max(1, high - low))
        if number == 3 and place == 0:
            return -1
        if number == 4 and constants:
            return int(constants[place % len(constants)])
        if number == 2:
            return max(low, high - 1 - place)
        if number == 5 and not shape.indices:
            return 1000 + place
        return low + (number + place) % max(1, high - low)

    def linked(self, shape, number, wild, dice, place, depth):
        """One of a few texts that the fields compared with each other share."""
        if not wild and (number == 5 or number == 3 and depth == 0):
            return self.text(shape, number, wild, dice, place, depth)
        if not place:
            place = (number if not wild else dice.below(self.count)) % self.count if depth == 0 else 0
        shared = Dice(self.key, number, wild, min(one.name for one in shape.group))
        texts = [self.sentence(shared) for _ in range(place + 1)]
        return f"{NAMES[place % len(NAMES)]}: {texts[place]}" if number % 2 else NAMES[place % len(NAMES)]

    def constant(self, shape, number, wild, dice, place):
        values = [value for value in shape.consts.values()]
        if wild:
            pick = dice.below(len(values) + 1)
            if pick < len(values):
                return values[pick]
            number, place = dice.below(4), 0
        elif number not in (3, 5) or len(values) > 4:
            return values[(number + place) % len(values)]
        like = next((value for value in values if value is not None), "")
        if isinstance(like, bool):
            return not like
        if isinstance(like, int):
            return -1 if number == 3 else 7
        if isinstance(like, float):
            return 0.125
        return "neither" if number != 5 else ""

    def sentence(self, dice):
        words = f"{dice.of(SUBJECTS)} {dice.of(VERBS)} {dice.of(OBJECTS)} {dice.of(ENDS)}"
        return words[0].upper() + words[1:] + dice.of([".", ".", "!", "?"])

    def text(self, shape, number, wild, dice, place, depth):
        long_place = Dice(shape.name).below(3)
        if ("str", "") in shape.consts and (dice.below(3) == 0 if wild else number == 1):
            return ""
        if wild:
            text = " ".join(self.sentence(dice) for _ in range(1 + dice.below(2)))
        elif number == 0:
            text = self.sentence(dice)
        elif number == 1:
            text = f"{dice.of(ODD[:3])} {self.sentence(dice)}\n{self.sentence(dice)} "
        elif number == 2 and depth == 0:
            text = LONG[long_place]
        elif number == 2:
            text = dice.of(NAMES)
        elif number == 3:
            text = f"{dice.of(ODD)} {self.sentence(dice)}" if dice.below(2) else dice.of(ODD)
        elif number == 4:
            text = f" {self.sentence(dice)} {self.sentence(dice)}"
        else:
            pick = dice.below(4)
            if pick == 0 and depth == 0:
                return None
            text = "" if pick < 3 else self.sentence(dice).lower()
            return text
        if number == 3 and not wild:
            return text
        for separator, many in shape.splits.items():
            plain = not (many.item.consts or many.item.contains or many.item.splits or many.item.heads)
            if plain and (separator == " " and many.least < 6 or separator.strip() in shape.heads):
                continue
            pieces = [self.make(many.item, number, wild, dice, depth + 1, at) for at in range(max(2, many.least))]
            pieces = [str(piece) for piece in pieces]
            text = separator.join(pieces if not plain else [text, *pieces])
        text += "".join(f"{piece} {dice.of(NAMES).lower()} " for piece in shape.contains)
        if shape.heads:
            text = f"{dice.of(list(shape.heads))} {text}"
        return text


def long_text(number):
    """Some 2,050 to 2,600 characters; the same in all datasets, so that they weigh little."""
    maker, dice, text = Maker("", {}), Dice("long", number), ""
    while len(text) < [2049, 2054, 2600][number]:
        text += maker.sentence(dice) + [" ", "\n", " – "][number]
    if number == 0:
        return text[:2053]  # the longest that is not cut
    if number == 1:
        return text[:2054].strip() + "…"
    return text[:100] + "x" * 2100 + text[100:]  # one word crosses the limit


LONG = [long_text(number) for number in range(3)]


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Draws:
    """`random.choice` while rendering: index `n` is a hash of template, row and `n`; all are noted."""

    def __init__(self, template, row):
        self.key, self.drawn = f"{template.name}\n{dump(row)}", []

    def __call__(self, items):
        if not len(items):
            raise IndexError("Cannot choose from an empty sequence")
        digest = blake3(f"{self.key}\n{len(self.drawn)}".encode()).digest()
        self.drawn.append(int.from_bytes(digest[:8], "little") % len(items))
        return items[self.drawn[-1]]

    def __enter__(self):
        self.real, random.choice = random.choice, self
        return self

    def __exit__(self, *_):
        random.choice = self.real


def full(parts):
    """Two or more parts, the first two of them not empty."""
    return len(parts) >= 2 and all(parts[:2])


class Trial:
    """Renders a dataset's templates quickly: each compiled once, and watched while it writes."""

    def __init__(self, module, templates):
        self.module, self.templates = module, templates
        self.compiled, self.goals = [], set()
        for index, template in enumerate(templates):
            # Jinja2 folds what is constant while it compiles, and `choice` of constants draws then. A template
            # that does this must be compiled for each row.
            with Draws(template, {}) as draws:
                compiled = self.compile(template)
            self.compiled.append(None if draws.drawn else compiled)
            self.goals.update((index, at) for at in ["renders", "full", *compiled[2]])

    def compile(self, template):
        """What renders the text, what renders the choices, and the places where the first of them writes."""
        env = self.module.env
        # The Python that jinja2 makes of a template is a generator, which yields what is written, piece by
        # piece. A line with a yield is a place of the template that some row ought to reach.
        source = env.compile(template.jinja, raw=True)
        code = compile(source, template.name, "exec")
        places = [at for at, line in enumerate(source.split("\n"), 1) if line.lstrip().startswith("yield ")]
        expression = template.get_answer_choices_expr()
        choices = env.from_string(expression) if expression is not None else None
        return Template.from_code(env, code, env.make_globals(None)), choices, places

    def reached(self, index, row):
        """The goals of template `index` that the row reaches: "renders", "full" (two parts), lines that write."""
        reached, text = set(), []
        with Draws(self.templates[index], row):
            template, choices, _ = self.compiled[index] or self.compile(self.templates[index])
            try:
                fields = self.module.Template._escape_pipe(copy.deepcopy(row))
                given = choices and [one.strip() for one in choices.render(**fields).split("|||")]
                writer = template.root_render_func(template.new_context({**fields, "answer_choices": given}))
                for piece in writer:
                    reached.add((index, writer.gi_frame.f_lineno))
                    text.append(piece)
            except Exception:  # noqa: BLE001 - any failure is the same failure here
                return set()
        parts = [part.strip() for part in "".join(text).split("|||")]
        return reached | {(index, "renders")} | ({(index, "full")} if full(parts) else set())

    def of(self, row):
        return set().union(*(self.reached(index, row) for index in range(len(self.templates))))


def total(trial, maker):
    """How good the fields' kinds are: templates with two parts, templates that render, places reached."""
    rows = [maker.row(number) for number in range(5)] + [maker.row(number, wild=True) for number in range(6)]
    reached = set().union(*map(trial.of, rows))
    return sum(at == "full" for _, at in reached), sum(at == "renders" for _, at in reached), len(reached)


KINDS = ["str", "list", "lists", "int", "digits", "float", "bool", "dict", "dicts"]


def mend(trial, maker):
    """Tries other kinds for each field in turn, as long as templates stay without two parts."""
    best = total(trial, maker)
    for _ in range(2):
        before = best
        for name in list(maker.fields):
            for shape in list(maker.fields[name].walk()):
                if best[0] == len(trial.templates):
                    return
                kept = shape.forced
                for kind in KINDS:
                    if kind == "dict" and not shape.attrs or kind == "dicts" and not shape.attrs:
                        continue
                    shape.forced = kind
                    found = total(trial, maker)
                    if found[:2] > best[:2]:
                        best, kept = found, kind
                shape.forced = kept
        if best == before:
            return


def cover(trial, maker):
    """The designed rows, then random ones that reach what these don't; and the goals that stay unreached."""
    rows = [maker.row(number) for number in range(ROWS)]
    missing = trial.goals.difference(*map(trial.of, rows))
    if not missing:
        return rows, missing
    wanting = sorted({index for index, _ in missing})
    pool = [maker.row(number, wild=True) for number in range(POOL)]
    reach = [set().union(*(trial.reached(index, row) for index in wanting)) for row in pool]
    while missing and len(rows) < ROWS + MORE:
        gain, best = max((len(missing & reached), -at) for at, reached in enumerate(reach))
        if gain == 0:
            break
        rows.append(pool[-best])
        missing = missing - reach[-best]
    return rows, missing


def make(module, key, templates):
    """The rows of one dataset, the places where its templates write, and how many of these no row reaches."""
    reader = Reader(module)
    for template in templates:
        reader.read(template)
    reader.fields.pop("answer_choices", None)
    maker = Maker(key, dict(sorted(reader.fields.items())))
    trial = Trial(module, templates)
    rows, missing = cover(trial, maker)
    if any(at in ("renders", "full") for _, at in missing):
        mend(trial, maker)
        rows, missing = cover(trial, maker)
    return rows, len(trial.goals) - 2 * len(templates), len(missing)
