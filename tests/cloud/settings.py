"""The configuration files of nova and placement, written for one place and one broker."""

from place import BIN, HERE

# What every service of nova has; a compute has no more, for it reaches no database.
COMMON = """[DEFAULT]
transport_url = {broker}
state_path = {run}/{name}
host = {name}
my_ip = 127.0.0.1
use_stderr = true
# By what oslo.messaging says of every message, ledger.py counts them.
default_log_levels = amqp=WARN,sqlalchemy=WARN,urllib3=WARN,stevedore=WARN,keystoneauth=WARN,oslo_messaging._drivers.amqpdriver=DEBUG
{more}
[oslo_concurrency]
lock_path = {run}/locks
[placement]
auth_type = none
endpoint_override = {placement}
[glance]
endpoint_override = {glance}
[neutron]
auth_type = none
endpoint_override = {neutron}
"""
# What the services beside the computes have: one worker each, no quotas, no filters but that for living hosts,
# and no weight against hosts whose builds failed: a story has one whose builds do.
CONTROLLER = """[database]
connection = {cell1}
[api_database]
connection = {api}
[wsgi]
api_paste_config = {run}/api-paste.ini
[conductor]
workers = 1
[scheduler]
workers = 1
[filter_scheduler]
enabled_filters = ComputeFilter
build_failure_weight_multiplier = 0
[quota]
instances = -1
cores = -1
ram = -1
"""
PLACEMENT = """[DEFAULT]
use_stderr = true
[api]
auth_strategy = noauth2
[placement_database]
connection = {placement}
"""
# Where nova-conductor goes when something else stands where it stood.
LEGACY = "nova_legacy"


class Settings:
    """Writes the files. `notifications` makes nova send its notifications too, which no service needs."""

    def __init__(self, place, store, notifications=False):
        self.place, self.store, self.notifications = place, store, notifications

    def path(self, name):
        return self.place.run / f"{name}.conf"

    def write(self, name, text):
        self.path(name).write_text(text)

    def common(self, name, broker, more=""):
        (self.place.run / name).mkdir(exist_ok=True)
        text = COMMON.format(broker=broker, run=self.place.run, name=name, more=more,
                             **{other: self.place.url(other) for other in ("placement", "glance", "neutron")})
        if self.notifications:
            text += "[oslo_messaging_notifications]\ndriver = messagingv2\n[notifications]\nnotification_format = both\n"
        return text

    def write_controller(self, broker):
        databases = {name: self.store.url(name) for name in ("cell1", "api")}
        self.write("nova", self.common("controller", broker) + CONTROLLER.format(run=self.place.run, **databases))
        self.write("placement", PLACEMENT.format(placement=self.store.url("placement")))
        paste = (BIN.parent / "etc/nova/api-paste.ini").read_text().replace(" authtoken keystonecontext ", " everybody_is_admin ")
        paste += "\n[filter:everybody_is_admin]\npaste.filter_factory = serve:everybody_is_admin\n"
        (self.place.run / "api-paste.ini").write_text(paste)

    def write_compute(self, name, broker, driver):
        self.write(name, self.common(name, broker, f"compute_driver = {driver}"))

    def write_conductor(self, name, exchange):
        """What a conductor reads behind nova.conf: its host's name, and the control exchange, which may be one of its own."""
        host = name.replace("conductor", "controller")
        self.write(name, f"[DEFAULT]\nhost = {host}\ncontrol_exchange = {exchange}\n")

    def environment(self):
        """What all of nova wants: its directory, our modules, and threads in place of eventlet's."""
        return {"OS_NOVA_CONFIG_DIR": str(self.place.run), "OS_PLACEMENT_CONFIG_DIR": str(self.place.run),
                "PYTHONPATH": str(HERE), "OS_NOVA_DISABLE_EVENTLET_PATCHING": "1", "PYTHONUNBUFFERED": "1"}
