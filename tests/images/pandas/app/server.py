"""Answers questions about the shop's sales over HTTP; which questions there are is in questions.py."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import questions


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, text = 404, "no such question"
        question = questions.ASKED.get(self.path.strip("/"))
        if question:
            try:
                status, text = 200, str(question())
            except Exception as error:
                status, text = 500, f"{type(error).__name__}: {error}"
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("", 8000), Handler).serve_forever()
