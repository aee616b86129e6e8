"""TLS to localhost: a server in a thread, and a client that verifies its certificate."""

import http.client
import http.server
import json
import ssl
import threading

CERTIFICATE = "tls/cert.pem"
KEY = "tls/key.pem"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"supplier": "open"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def serve():
    """Starts the server on a free port of this worker's own, and returns the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def ask(port):
    context = ssl.create_default_context(cafile=CERTIFICATE)
    connection = http.client.HTTPSConnection("localhost", port, timeout=5, context=context)
    connection.request("GET", "/")
    answer = json.load(connection.getresponse())
    answer["version"] = connection.sock.version() if connection.sock else None
    connection.close()
    return answer
