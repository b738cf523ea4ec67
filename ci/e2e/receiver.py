"""A webhook on a free port. It keeps what it gets, a line for each request, in a file for each path.

`receiver.py FOLDER http` or `https`: the address is then in a file of that name. `https` takes `cert.pem` and
`key.pem` from the folder.
"""

import http.server
import os
import ssl
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(os.path.join(sys.argv[1], os.path.basename(self.path)), "ab") as file:
            file.write(body.replace(b"\n", b" ") + b"\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
if sys.argv[2] == "https":
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(os.path.join(sys.argv[1], "cert.pem"), os.path.join(sys.argv[1], "key.pem"))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
with open(os.path.join(sys.argv[1], sys.argv[2]), "w") as file:
    file.write(f"{sys.argv[2]}://127.0.0.1:{server.server_port}\n")
server.serve_forever()
