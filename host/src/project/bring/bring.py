"""Takes oslo.messaging's endpoint classes out of the modules that they are in, with all that they need. Runs none of it.

Before it: `bring.rs` gives `{"classes": [[FILE, CLASS], …], "ours": {PATH: TEXT}}` on standard input; `ours` are the packages
that the sandbox has for oslo's. After it: what it prints, `{"files": {PATH: TEXT}, "report": [LINE, …]}`, becomes a project; or
`{"refused": WORDS}`.

What a module has beside that is left out. So an endpoint class can be brought that lies beside others which need a database.
"""

import ast
import json
import os
import signal
import sys

#: How long it may take.
SECONDS = 60

#: Modules of Python's own that the sandbox does not have, or that do nothing in it.
NO_THREADS = "the sandbox has one thread: what starts another fails"
NO_SOCKETS = "the sandbox has no sockets: nova.rpc and nova.http ask others"
NO_PROCESSES = "the sandbox has no processes"
NOT_BUILT_IN = "the sandbox's Python does not have it"
STANDARD = {
    **dict.fromkeys(("asyncio", "concurrent", "threading", "_thread"), NO_THREADS),
    **dict.fromkeys(("multiprocessing", "subprocess", "signal"), NO_PROCESSES),
    **dict.fromkeys(
        ("ftplib", "http", "imaplib", "poplib", "select", "selectors", "smtplib", "socket", "socketserver", "xmlrpc"), NO_SOCKETS
    ),
    **dict.fromkeys(
        ("bz2", "ctypes", "curses", "fcntl", "grp", "lzma", "mmap", "pty", "pwd", "readline", "resource", "ssl",
         "syslog", "termios", "tkinter", "tty", "turtle"),
        NOT_BUILT_IN,
    ),
}
#: Where a submodule is another matter than its package.
FINE = {"http.HTTPStatus"}

#: Packages of others that cannot work in a sandbox.
OTHERS = {
    **dict.fromkeys(("eventlet", "greenlet", "gevent", "futurist", "oslo_service", "cotyledon", "oslo_concurrency"), NO_THREADS),
    **dict.fromkeys(
        ("sqlalchemy", "oslo_db", "alembic", "pymysql", "MySQLdb", "psycopg2", "redis", "etcd3", "tooz", "memcache", "pymongo"),
        "the sandbox has no database: ask the service that has one through nova.rpc, and keep small state in nova.keyvalue",
    ),
    **dict.fromkeys(
        ("requests", "httpx", "aiohttp", "urllib3", "keystoneauth1", "keystonemiddleware", "keystoneclient", "openstack",
         "paramiko", "kombu", "amqp", "pika", "ldap3", "websockify"),
        NO_SOCKETS,
    ),
    **dict.fromkeys(("oslo_privsep", "oslo_rootwrap", "psutil", "pyroute2"), NO_PROCESSES),
    **dict.fromkeys(
        ("cryptography", "lxml", "numpy", "libvirt", "libvirtmod", "netifaces", "bcrypt", "yaml_c", "rpds", "pydantic_core"),
        "it is made of machine code, which no sandbox runs",
    ),
}


class Bringing:
    """What is found out about some classes."""

    def __init__(self, ours):
        self.modules = Modules(ours)
        self.work, self.report, self.told = [], [], set()
        self.inner, self.topics, self.options, self.asks = {}, set(), set(), False

    def tell(self, module, line, name, words):
        """Reports an import or a use, once for each name."""
        if name not in self.told:
            self.told.add(name)
            self.report.append((module.path, line, f"{name}: {words}"))

    def need(self, module, name, where=None):
        """A name of a module is used."""
        if name in module.needed:
            return
        module.needed.add(name)
        if module.ours:
            submodule = self.modules.get(f"{module.name}.{name}") if module.is_package else None
            if name not in module.binders and submodule is None and where is not None:
                words = f"the sandbox's {module.name} does not have it; the real package has, and may be brought along"
                self.tell(*where, f"{module.name}.{name}", words)
            return
        for number in module.binders.get(name, []) + module.changers.get(name, []):
            self.keep(module, number, name)

    def keep(self, module, number, name):
        """A statement stays; of an import, the part with this name."""
        node = module.body[number]
        names = module.kept.get(number)
        fresh = names is None
        module.kept.setdefault(number, set()).add(name)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if fresh or name not in names:
                for alias in node.names:
                    if bound(node, alias) == name or alias.name == "*":
                        self.follow(module, node, alias, False, False)
            return
        if not fresh:
            return
        used = module.note_uses(node)
        for one, inner, optional in imports(node):
            for alias in one.names:
                self.follow(module, one, alias, inner, optional)
        for name in sorted(used):
            self.need(module, name)
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                self.notice(part)
        for other in module.binders:
            if other in module.changers and number in module.binders[other]:
                self.need(module, other)

    def notice(self, call):
        """What the manifest has to be asked about: topics and options."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        first = call.args[0] if call.args else None
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        if name == "Target":
            values = [keyword.value for keyword in call.keywords if keyword.arg == "topic"]
            self.topics |= {one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        elif name in ("get_rpc_client", "RPCClient"):
            self.asks = True
        elif name.endswith("Opt") and text is not None:
            self.options.add(text.replace("-", "_"))

    def follow(self, module, node, alias, inner, optional):
        """What an import leads to."""
        if isinstance(node, ast.Import):
            base, names = alias.name, []
        else:
            parts = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [alias.name]
        where = (module, node.lineno)
        target = self.modules.get(base)
        if target is None:
            self.judge(where, base, names, inner, optional)
            return
        self.touch(target)
        if inner and not module.ours:
            self.inner.setdefault(base, None)
        as_name = bound(node, alias)
        if isinstance(node, ast.Import):
            module.aliases[as_name] = base if alias.asname else base.partition(".")[0]
        elif alias.name == "*":
            for name in list(target.binders):
                self.need(target, name, where)
        else:
            submodule = self.modules.get(f"{base}.{alias.name}") if target.is_package else None
            own = [number for number in target.binders.get(alias.name, ()) if not (target is module and number in target.kept)]
            if submodule is not None and (not own or target is module):
                self.touch(submodule)
                module.aliases[as_name] = submodule.name
                if inner:
                    self.inner.setdefault(submodule.name, None)
            elif own or target.ours or "__getattr__" in target.binders:
                self.need(target, alias.name, where)
                self.need(target, "__getattr__")
            elif not optional:
                self.tell(*where, f"{base}.{alias.name}", "there is nothing of this name")

    def touch(self, module):
        """A module is read when it is imported, and so are its packages."""
        for number, node in enumerate(module.body):
            if isinstance(node, ast.ImportFrom) and not module.ours:
                if node.module == "__future__" or any(alias.name == "*" for alias in node.names):
                    for alias in node.names:
                        if number not in module.kept or alias.name not in module.kept[number]:
                            self.keep(module, number, bound(node, alias))
        name = module.name.rpartition(".")[0]
        parent = self.modules.get(name) if name else None
        if parent is not None and not parent.needed and not parent.ours:
            parent.needed.add("")
            self.touch(parent)

    def settle(self):
        """Follows what is used of modules, until there is nothing new."""
        done = set()
        while True:
            uses = [
                (module, root, chain, line)
                for module in list(self.modules.known.values()) if not module.ours
                for root in list(module.aliases) for chain, line in list(module.uses.get(root, ()))
                if (module.name, root, chain) not in done
            ]
            if not uses:
                return
            for module, root, chain, line in uses:
                done.add((module.name, root, chain))
                self.use(module, module.aliases[root], chain, line)

    def use(self, module, name, chain, line):
        """`name.chain[0].chain[1]…` is used."""
        target = self.modules.get(name)
        while target is not None and chain:
            submodule = self.modules.get(f"{target.name}.{chain[0]}") if target.is_package else None
            if submodule is None or (chain[0] in target.binders and not target.ours):
                self.need(target, chain[0], (module, line))
                return
            self.touch(submodule)
            target, chain = submodule, chain[1:]
        if target is not None and not target.ours:
            # It goes somewhere as a whole.
            for name in list(target.binders):
                self.need(target, name, (module, line))

    def judge(self, where, base, names, inner, optional):
        """An import of what is neither the project's nor ours."""
        top = base.partition(".")[0]
        full = ".".join([base, *names])
        if optional:
            return
        if top in sys.stdlib_module_names:
            words = STANDARD.get(base, STANDARD.get(top, ""))
            if base == "urllib" and names == ["request"] or base == "urllib.request":
                words = NO_SOCKETS
            if words and full not in FINE:
                self.tell(*where, base, words)
            elif inner:
                self.inner.setdefault(base, None)
            return
        if top in OTHERS:
            self.tell(*where, base, OTHERS[top])
            return
        machine = self.machine_code(top)
        if machine:
            self.tell(*where, base, f"it has machine code ({machine}), which no sandbox runs")
        else:
            self.tell(*where, base, f"bring it along, if it is Python alone: pip install --no-deps --target PROJECT {top}")

    def machine_code(self, top):
        """A file of machine code in a package that lies beside the project's own."""
        for root in set(self.modules.roots.values()):
            for folder, _, files in os.walk(os.path.join(root, top)):
                for file in files:
                    if file.endswith((".so", ".pyd")):
                        return os.path.relpath(os.path.join(folder, file), root)
        return None


def arguments(modules, module, name):
    """What a class's constructor has to be given, as far as its text says so."""
    node = next((module.body[number] for number in module.binders.get(name, ())), None)
    if not isinstance(node, ast.ClassDef):
        return []
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            args = part.args
            places = [*args.posonlyargs, *args.args][1:]
            must = places[: len(places) - len(args.defaults)] if args.defaults else places
            named = [arg for arg, default in zip(args.kwonlyargs, args.kw_defaults) if default is None]
            return [arg.arg for arg in [*must, *named]]
    for base in node.bases:
        root, chain = root_of(base)
        if not chain and root in module.binders:
            return arguments(modules, module, root)
    return []


def app(classes, inner):
    """The project's `app.py`."""
    lines = ['"""oslo.messaging\'s endpoint classes, as they are, served by Nova Host."""\n\n', "from nova_guest.endpoints import serve\n\n"]
    made, names = [], set()
    for module, name, must in classes:
        # Of two of one name, the second has a number.
        own = next(own for own in (name, *[f"{name}{number}" for number in range(2, len(classes) + 2)]) if own not in names)
        names.add(own)
        lines.append(f"from {module} import {name}{f' as {own}' if own != name else ''}\n")
        given = ", ".join([f"{one}=None" for one in must])
        made.append(f"    {own}({given}),{'  # Write down what it is made with.' if must else ''}\n")
    if inner:
        lines.append("\n# Imported when methods run, when there are no files: they are read now.\n")
        lines += [f"import {name}  # noqa: F401\n" for name in sorted(inner)]
    return "".join([*lines, "\n# Of two that offer a method in one version, the first has it.\nserve([\n", *made, "])\n"])


def bring(asked):
    """The files of a project, and what is to be said about them."""
    bringing = Bringing(asked["ours"])
    classes = []
    for path, name in asked["classes"]:
        module = bringing.modules.add(path)
        found = [number for number in module.binders.get(name, ()) if isinstance(module.body[number], ast.ClassDef)]
        if not found:
            there = [node.name for node in module.body if isinstance(node, ast.ClassDef)]
            raise Refused(f"{path}: no class {name} at its top; there is {', '.join(there) or 'none'}")
        bringing.touch(module)
        bringing.need(module, name)
        classes.append((module.name, name, arguments(bringing.modules, module, name)))
    bringing.settle()
    own = [module for module in bringing.modules.known.values() if not module.ours and (module.kept or module.needed)]
    files = {module.file: module.text() for module in own}
    for module in own:
        # A package without statements is still one.
        for end in range(1, len(module.name.split("."))):
            files.setdefault("/".join(module.name.split(".")[:end]) + "/__init__.py", "")
    files["app.py"] = app(classes, bringing.inner)
    report = []
    for module in own:
        left = module.left_out() if module.kept else []
        report.append(f"{module.file}: from {module.path}" + (f"; left out, for no class needs it: {', '.join(left)}" if left else ""))
    for module, name, must in classes:
        if must:
            report.append(f"app.py: {name} is made with {', '.join(must)}: write down what they are")
    manifest = ""
    if bringing.asks:
        topics = ", ".join([f'"{topic}/*"' for topic in sorted(bringing.topics)]) or '"TOPIC/*"'
        manifest += f"# They ask others: say here whom they may ask, and for what.\n# grants.rpc = [{topics}]\n"
    if bringing.options:
        names = ", ".join(sorted(bringing.options))
        manifest += f"\n# Options that they read: {names}. One of a group is \"GROUP.NAME\".\n# [config]\n"
    return {"files": files, "report": report, "cannot": [f"{path}:{line}: {words}" for path, line, words in sorted(bringing.report)], "manifest": manifest}


def give_up(*_):
    """Ends what takes too long."""
    raise Refused(f"more than {SECONDS} seconds: so much belongs to these classes that it is of no use in a sandbox")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        if not hasattr(sys, "stdlib_module_names"):
            raise Refused("python3 is older than 3.10, and must not be")
        answer = bring(json.load(sys.stdin))
    except Refused as error:
        answer = {"refused": str(error)}
    json.dump(answer, sys.stdout)
