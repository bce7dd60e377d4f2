"""The caller's context as an object."""

import uuid

__all__ = ["RequestContext", "generate_request_id", "get_admin_context", "get_current"]

#: What a context is made of: names of arguments, of attributes and in the dict.
_NAMES = (
    "auth_token", "user_id", "project_id", "domain_id", "user_domain_id", "project_domain_id", "read_only",
    "show_deleted", "request_id", "global_request_id", "resource_uuid", "user_name", "project_name", "domain_name",
    "user_domain_name", "project_domain_name", "is_admin_project", "system_scope", "service_token", "service_user_id",
    "service_user_name", "service_user_domain_id", "service_user_domain_name", "service_project_id",
    "service_project_name", "service_project_domain_id", "service_project_domain_name",
)

#: What the dict calls otherwise.
_SHORTER = {
    "user": "user_id", "domain": "domain_id", "user_domain": "user_domain_id", "project_domain": "project_domain_id",
}

#: What the dict has.
_SENT = (
    "project_id", "system_scope", "read_only", "show_deleted", "auth_token", "request_id", "global_request_id",
    "resource_uuid", "roles", "is_admin_project",
)

#: What is read of a dict, and what it is where the dict has it not.
_READ = {name: None for name in (
    "auth_token", "project_id", "request_id", "global_request_id", "resource_uuid", "roles", "user_name", "project_name",
    "domain_name", "user_domain_name", "project_domain_name", "system_scope",
)} | {"is_admin": False, "read_only": False, "show_deleted": False, "is_admin_project": True}

_current = None


def generate_request_id():
    """A new request's id."""
    return f"req-{uuid.uuid4()}"


def get_current():
    """The one that was made last."""
    return _current


def get_admin_context(show_deleted=False):
    """One that may do everything."""
    return RequestContext(None, project_id=None, is_admin=True, show_deleted=show_deleted, overwrite=False)


class RequestContext:
    """Who asks, for what."""

    user_idt_format = "{user} {project_id} {domain} {user_domain} {p_domain}"
    FROM_DICT_EXTRA_KEYS: list = []

    def __init__(
        self, auth_token=None, user_id=None, project_id=None, domain_id=None, user_domain_id=None,
        project_domain_id=None, is_admin=False, read_only=False, show_deleted=False, request_id=None,
        resource_uuid=None, overwrite=True, roles=None, user_name=None, project_name=None, domain_name=None,
        user_domain_name=None, project_domain_name=None, is_admin_project=True, service_token=None,
        service_user_id=None, service_user_name=None, service_user_domain_id=None, service_user_domain_name=None,
        service_project_id=None, service_project_name=None, service_project_domain_id=None,
        service_project_domain_name=None, service_roles=None, global_request_id=None, system_scope=None,
    ):
        given = locals()
        for name in _NAMES:
            setattr(self, name, given[name])
        self.is_admin = is_admin
        self.roles = roles or []
        self.service_roles = service_roles or []
        self.request_id = request_id or generate_request_id()
        if overwrite or get_current() is None:
            self.update_store()

    def update_store(self):
        """Is the current one."""
        global _current
        _current = self

    def to_policy_values(self):
        """What policies look at."""
        names = (
            "user_id", "user_domain_id", "system_scope", "domain_id", "project_id", "project_domain_id", "roles",
            "is_admin_project", "service_user_id", "service_user_domain_id", "service_project_id",
            "service_project_domain_id", "service_roles",
        )
        return {name: getattr(self, name) for name in names}

    def to_dict(self):
        """As it goes over the wire."""
        identity = self.user_idt_format.format(
            user=self.user_id or "-", project_id=self.project_id or "-", domain=self.domain_id or "-",
            user_domain=self.user_domain_id or "-", p_domain=self.project_domain_id or "-",
        )
        shorter = {short: getattr(self, name) for short, name in _SHORTER.items()}
        own = {"project": self.project_id, "is_admin": self.is_admin, "user_identity": identity}
        return shorter | {name: getattr(self, name) for name in _SENT} | own

    def get_logging_values(self):
        """What log lines may show."""
        names = ("user_name", "project_name", "domain_name", "user_domain_name", "project_domain_name")
        values = {name: getattr(self, name) for name in names} | self.to_dict()
        values["auth_token"] = "***" if self.auth_token else None
        values.pop("auth_token_info", None)
        return values

    @property
    def global_id(self):
        """The request's id among all services, or in this one."""
        return self.global_request_id or self.request_id

    @classmethod
    def from_dict(cls, values, **kwargs):
        """One of what came over the wire."""
        for short, name in _SHORTER.items():
            kwargs.setdefault(name, values.get(short))
        for name, default in _READ.items():
            kwargs.setdefault(name, values.get(name, default))
        for name in cls.FROM_DICT_EXTRA_KEYS:
            kwargs.setdefault(name, values.get(name))
        return cls(**kwargs)
