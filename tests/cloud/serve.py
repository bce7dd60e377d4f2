"""Runs nova-api or placement behind the standard library's HTTP server, with everybody an administrator: there is no keystone.

    python serve.py api|placement PORT       OS_NOVA_CONFIG_DIR or OS_PLACEMENT_CONFIG_DIR is in the environment
"""

import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def everybody_is_admin(global_conf, **local):
    """The filter of nova-api's pipeline that stands for keystone's."""
    from nova import context

    def wrap(application):
        def call(environ, start_response):
            environ["nova.context"] = context.RequestContext(
                "admin", "admin", is_admin=True, auth_token="none", service_catalog=[], roles=["admin", "member", "reader"])
            return application(environ, start_response)
        return call
    return wrap


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

    def address_string(self):
        return self.client_address[0]


def nova_api():
    from nova.api.openstack import wsgi_app
    sys.argv[1:] = []
    return wsgi_app.init_application("osapi_compute", "nova-api")


def placement():
    from placement.wsgi.api import application

    def call(environ, start_response):
        environ["HTTP_X_AUTH_TOKEN"] = "admin"
        return application(environ, start_response)
    return call


if __name__ == "__main__":
    what, port = sys.argv[1], int(sys.argv[2])
    served = {"api": nova_api, "placement": placement}[what]()
    make_server("127.0.0.1", port, served, server_class=Server, handler_class=Quiet).serve_forever()
