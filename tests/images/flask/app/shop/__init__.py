"""A corner shop's web application."""

from flask import Flask

from . import pages, secure


def create_app():
    app = Flask(__name__)
    app.config["TLS_PORT"] = secure.serve()
    app.register_blueprint(pages.blueprint)
    return app
