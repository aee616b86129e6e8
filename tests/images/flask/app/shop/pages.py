"""What the shop answers."""

from flask import Blueprint, current_app, jsonify, render_template

from . import clock, secure
from .stock import GOODS

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index():
    return render_template("index.html", goods=GOODS)


@blueprint.get("/health")
def health():
    return "ok"


@blueprint.get("/opens/<path:zone>")
def opens(zone):
    return jsonify(zone=zone, opens=clock.opening_time(zone))


@blueprint.get("/tls")
def tls():
    return jsonify(secure.ask(current_app.config["TLS_PORT"]))


@blueprint.get("/report")
def report():
    # Only the owner asks for this, once a month: nothing else imports the module.
    from . import report as monthly

    return monthly.as_csv(GOODS), {"Content-Type": "text/csv; charset=utf-8"}
