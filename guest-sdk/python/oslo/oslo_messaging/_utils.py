"""Versions, as oslo.messaging compares them."""


def version_is_compatible(imp_version, version):
    """Whether one who implements the first serves the second: of the same major, and no higher minor and revision."""
    if imp_version is None:
        return True
    if version is None:
        return False
    implemented, asked = imp_version.split("."), version.split(".")
    revision = int(asked[2]) if len(asked) > 2 else 0
    own_revision = int(implemented[2]) if len(implemented) > 2 else 0
    if int(asked[0]) != int(implemented[0]):
        return False
    return (int(asked[1]), revision) <= (int(implemented[1]), own_revision)
