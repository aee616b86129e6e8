"""A corner shop's web application."""

from flask import Flask

from . import office, pages, secure


def create_app():
    app = Flask(__name__)
    app.config["TLS_PORT"] = secure.serve()
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(office.blueprint)
    return app
