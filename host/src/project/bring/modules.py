"""Modules as `bring` reads them: by their syntax, without running any of it.

Before it: `bring.py` says what is needed of which. After it: the text of what stays.
"""

import ast
import os

#: Bytes of a module, and modules in all.
MAX_BYTES, MAX_MODULES = 2 << 20, 500


class Refused(Exception):
    """Words for the user."""


def root_of(node):
    """The name that an expression such as `a.b[c].d()` begins with, and the attributes that follow at once."""
    chain = []
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        if isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        else:
            chain.clear()
            node = node.func if isinstance(node, ast.Call) else node.value
    return (node.id, tuple(reversed(chain))) if isinstance(node, ast.Name) else (None, ())


def is_typing_only(node):
    """Whether this is an `if` of what is read by type checkers alone."""
    if not isinstance(node, ast.If):
        return False
    root, chain = root_of(node.test)
    return "TYPE_CHECKING" in (root, *chain)


def is_main(node):
    """Whether this is an `if __name__ == "__main__"`."""
    test = getattr(node, "test", None)
    return isinstance(node, ast.If) and isinstance(test, ast.Compare) and root_of(test.left)[0] == "__name__"


def imports(node, inner=False, optional=False):
    """The imports in a statement: each with whether it is in a function, and whether it may fail."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node, inner, optional
        return
    if is_typing_only(node):
        return
    inner = inner or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    optional = optional or isinstance(node, ast.Try)
    for child in ast.iter_child_nodes(node):
        yield from imports(child, inner, optional)


def bound(node, alias):
    """The name that one of an import's has in the module."""
    return alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)


def _targets(node):
    """The names that a statement binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {bound(node, alias) for alias in node.names if alias.name != "*"}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    return set().union(*[_targets(child) for child in ast.iter_child_nodes(node)])


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _uses(node, local):
    """The names that a statement uses and that are no function's own: each with the attributes after it, and its line."""
    if isinstance(node, ast.Attribute):
        root, chain = root_of(node)
        below = node
        while isinstance(below, ast.Attribute):
            below = below.value
        if isinstance(below, ast.Name):
            if root not in local:
                yield root, chain, node.lineno
            return
        node = below
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Store) and node.id not in local:
            yield node.id, (), node.lineno
        return
    if isinstance(node, _FUNCTIONS):
        args = node.args
        outside = [*getattr(node, "decorator_list", ()), *args.defaults, *[one for one in args.kw_defaults if one]]
        given = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        outside += [one.annotation for one in given if one and one.annotation]
        outside += [node.returns] if getattr(node, "returns", None) else []
        for one in outside:
            yield from _uses(one, local)
        body = node.body if isinstance(node.body, list) else [node.body]
        shared = {name for one in ast.walk(node) if isinstance(one, ast.Global) for name in one.names}
        # What a function imports is looked after as if its module did.
        shared |= {name for one in ast.walk(node) if isinstance(one, (ast.Import, ast.ImportFrom)) for name in _targets(one)}
        own = {one.arg for one in given if one}.union(*[_targets(one) for one in body]) - shared
        for one in body:
            yield from _uses(one, local | own)
        return
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, local)


def _changes(node, own):
    """The names of whose objects a statement changes something: `X.a = 1`, `CONF.register_opts(…)`, `setattr(X, …)`."""
    changed = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Assign, ast.AugAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            changed |= {root_of(target)[0] for target in targets if not isinstance(target, ast.Name)}
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            root, chain = root_of(part.value.func)
            if root in own or "CONF" in chain:
                changed.add(root)
            elif not chain:
                changed |= {arg.id for arg in part.value.args if isinstance(arg, ast.Name)}
    return changed


class Module:
    """A module, and what is needed of it."""

    def __init__(self, name, path, text, is_package, ours=False):
        self.name, self.path, self.is_package, self.ours = name, path, is_package, ours
        try:
            self.body = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            reason = getattr(error, "msg", None) or type(error).__name__
            raise Refused(f"{path}{f':{line}' if line else ''}: Python cannot read it: {reason}") from None
        self.lines = text.splitlines(keepends=True)
        self.binders, self.changers = {}, {}
        #: Statements that stay, by their number, and of imports which names.
        self.kept = {}
        #: Names that are needed, and the uses of each: (attributes after it, line).
        self.needed, self.uses = set(), {}
        #: Names that are other modules.
        self.aliases = {}
        imported = {name for node in self.body if isinstance(node, (ast.Import, ast.ImportFrom)) for name in _targets(node)}
        for number, node in enumerate(self.body):
            if is_main(node):
                continue
            for name in _targets(node):
                self.binders.setdefault(name, []).append(number)
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                own = {name for name in self.binders if name not in imported}
                for name in _changes(node, own):
                    self.changers.setdefault(name, []).append(number)

    @property
    def file(self):
        """Where it lies in the project."""
        return self.name.replace(".", "/") + ("/__init__.py" if self.is_package else ".py")

    def note_uses(self, node):
        """Remembers which names a statement uses, and what of each; returns the names."""
        found = list(_uses(node, frozenset()))
        for name, chain, line in found:
            self.uses.setdefault(name, set()).add((chain, line))
        return {name for name, _, _ in found}

    def kept_nodes(self):
        """The statements that stay."""
        return [self.body[number] for number in sorted(self.kept)]

    def left_out(self):
        """What does not stay, in words: names with their lines, and the lines of what has none."""
        told = []
        for number, node in enumerate(self.body):
            names = _targets(node) - self.kept.get(number, set()) if number in self.kept else _targets(node)
            if names and (number not in self.kept or isinstance(node, (ast.Import, ast.ImportFrom))):
                told.append(f"{', '.join(sorted(names))} ({node.lineno})")
            elif number not in self.kept and not self._is_docstring(number) and not is_main(node):
                told.append(f"line {node.lineno}")
        return told

    def text(self):
        """What stays, as it was written."""
        lines, owner = list(self.lines), {}
        for number, node in enumerate(self.body):
            first = min([node.lineno, *[one.lineno for one in getattr(node, "decorator_list", ())]])
            stays = number in self.kept or self._is_docstring(number)
            for line in range(first, node.end_lineno + 1):
                owner[line] = owner.get(line, False) or stays
            if not stays:
                # With the comments right above it.
                above = first - 1
                while above > 0 and above not in owner and lines[above - 1].startswith("#"):
                    owner[above] = False
                    above -= 1
        for line, stays in owner.items():
            if not stays:
                lines[line - 1] = ""
        for number, names in self.kept.items():
            node = self.body[number]
            if isinstance(node, (ast.Import, ast.ImportFrom)) and _targets(node) - names:
                few = [alias for alias in node.names if bound(node, alias) in names]
                made = ast.unparse(
                    ast.Import(few) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, few, node.level)
                )
                lines[node.lineno - 1 : node.end_lineno] = [made + "\n"] + [""] * (node.end_lineno - node.lineno)
        return _squeezed(lines)

    def _is_docstring(self, number):
        node = self.body[number]
        return number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _squeezed(lines):
    """Without more than two empty lines at once."""
    text, empty = [], 0
    for line in "".join(lines).splitlines():
        empty = empty + 1 if not line.strip() else 0
        if empty <= 2:
            text.append(line.rstrip())
    return "\n".join(text).strip("\n") + "\n" if any(text) else ""


class Modules:
    """Those of the project, and ours."""

    def __init__(self, ours):
        self.ours = ours
        self.known, self._missing = {}, set()
        #: Folders in which a top-level name is the project's, by that name.
        self.roots = {}

    def add(self, path):
        """The module in a file, by the packages that it lies in."""
        folder, base = os.path.split(os.path.abspath(path))
        if not base.endswith(".py"):
            raise Refused(f"{path}: endpoints are taken from a file that ends in .py")
        parts = [] if base == "__init__.py" else [base[:-3]]
        while os.path.isfile(os.path.join(folder, "__init__.py")):
            folder, name = os.path.split(folder)
            parts.insert(0, name)
        if not parts or f"{parts[0]}/__init__.py" in self.ours:
            # Of a package that the sandbox has one of ours for: by itself.
            parts = parts[-1:] or ["endpoints"]
            folder = os.path.dirname(os.path.abspath(path))
        elif len(parts) == 1:
            # Whatever lies beside it, and is not by the same name one of ours.
            self.roots[""] = folder
        if parts[0] in ("app", "nova_guest", "nova_entry", "nova_typed"):
            raise Refused(f"{path}: {parts[0]} is the name of a module of the project's own: give yours another")
        name = ".".join(parts)
        # What was not there may be, now that more is.
        self._missing.clear()
        if len(parts) > 1 and self.roots.setdefault(parts[0], folder) != folder:
            raise Refused(f"{path}: {parts[0]} is a package in {self.roots[parts[0]]} already: take it from another project")
        known = self.known.get(name)
        if known is not None and known.path != os.path.abspath(path):
            raise Refused(f"{path}: {known.path} is {name} already: take it from another project, or rename it")
        return known or self._read(name, os.path.abspath(path), base == "__init__.py")

    def get(self, name):
        """A module by its name: the project's or ours; `None` where it is neither."""
        if name not in self.known and name not in self._missing:
            self._look_for(name)
            if name not in self.known:
                self._missing.add(name)
        return self.known.get(name)

    def _look_for(self, name):
        for file in (name.replace(".", "/") + "/__init__.py", name.replace(".", "/") + ".py"):
            root = self.roots.get(name.partition(".")[0])
            if root is None and name.partition(".")[0] + "/__init__.py" not in self.ours:
                root = self.roots.get("")
            if root is not None and os.path.isfile(os.path.join(root, file)):
                self._read(name, os.path.join(root, file), file.endswith("/__init__.py"))
                return
            if root is None and file in self.ours:
                self.known[name] = Module(name, file, self.ours[file], file.endswith("/__init__.py"), ours=True)
                return

    def _read(self, name, path, is_package):
        if len(self.known) >= MAX_MODULES:
            raise Refused(f"{path}: more than {MAX_MODULES} modules belong to it: take what the class needs into one of its own")
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from None
        if len(data) > MAX_BYTES:
            raise Refused(f"{path}: more than {MAX_BYTES} bytes")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused(f"{path}: not UTF-8") from None
        module = self.known[name] = Module(name, path, text, is_package)
        return module
