"""What the shop's owner asks for now and then: each answer imports what it needs when it is first wanted."""

from flask import Blueprint, Response, render_template, request

from .stock import GOODS

blueprint = Blueprint("office", __name__, url_prefix="/office")
answers = {}


def answer(function):
    """Makes a function without arguments the answer to its own name."""
    answers[function.__name__] = function
    return function


@blueprint.get("/<name>")
def ask(name):
    if name not in answers:
        return "no such answer", 404
    try:
        return Response(str(answers[name]()), mimetype="text/plain")
    except Exception as error:
        return Response(f"{type(error).__name__}: {error}", status=500, mimetype="text/plain")


@blueprint.get("/invoice/<name>")
def invoice(name):
    return render_template("invoice.html", items=GOODS, customer=name)


@blueprint.post("/scan")
def scan():
    return {name: len(file.read()) for name, file in request.files.items()}


@answer
def ledger():
    import sqlite3

    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE goods (name TEXT, price INTEGER)")
        database.executemany("INSERT INTO goods VALUES (:name, :price)", GOODS)
        return database.execute("SELECT sum(price) FROM goods").fetchone()[0]


@answer
def feed():
    import xml.etree.ElementTree as tree

    root = tree.fromstring("<goods><item>apples</item><item>bread</item></goods>")
    return " ".join(item.text for item in root)


@answer
def pages():
    from html.parser import HTMLParser

    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    parser.feed("<p><b>x</b></p>")
    return " ".join(found)


@answer
def library():
    import ctypes

    return ctypes.CDLL(None).abs(-3)


@answer
def callback():
    import ctypes

    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1)(1)


@answer
def packed():
    import bz2
    import gzip
    import lzma

    text = b"goods" * 100
    return sum(len(module.decompress(module.compress(text))) for module in (bz2, gzip, lzma))


@answer
def archive():
    import io
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("goods.txt", "apples")
    return zipfile.ZipFile(file).read("goods.txt").decode()


@answer
def digests():
    import hashlib

    return " ".join(hashlib.new(name, b"goods").hexdigest()[:6] for name in ("blake2b", "sha3_256", "md5"))


@answer
def password():
    import hashlib

    return hashlib.scrypt(b"secret", salt=b"salt", n=16, r=8, p=1).hex()[:8]


@answer
def mean():
    import fractions
    import statistics

    return statistics.mean(fractions.Fraction(item["price"], 100) for item in GOODS)


@answer
def system():
    import subprocess

    return subprocess.run(["uname", "-s"], check=True, capture_output=True, text=True).stdout.strip()


@answer
def shell():
    import subprocess

    return subprocess.run("echo $((6 * 7))", shell=True, check=True, capture_output=True, text=True).stdout.strip()


@answer
def workers():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as pool:
        return pool.submit(pow, 2, 10).result(timeout=5)


@answer
def shared():
    from multiprocessing import shared_memory

    memory = shared_memory.SharedMemory(create=True, size=16)
    try:
        memory.buf[0] = 7
        return memory.buf[0]
    finally:
        memory.close()
        memory.unlink()


@answer
def loop():
    import asyncio

    async def later():
        await asyncio.sleep(0)
        return "later"

    return asyncio.run(later())


@answer
def letter():
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"] = "Grüße"
    message.set_content("Goods")
    return message["Subject"], message.get_content_type()


@answer
def japanese():
    return "日本".encode("euc_jp").hex()


@answer
def domain():
    return "bücher.example".encode("idna").decode()


@answer
def normalized():
    import unicodedata

    return unicodedata.name(unicodedata.normalize("NFC", "a\u0308"))


@answer
def scratch():
    import tempfile

    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("kept")
        file.seek(0)
        return file.read()


@answer
def settings():
    import configparser
    import tomllib

    parser = configparser.ConfigParser()
    parser.read_string("[shop]\nname = corner")
    return parser["shop"]["name"], tomllib.loads("open = true")["open"]


@answer
def similar():
    import difflib

    return difflib.get_close_matches("cofee", [item["name"] for item in GOODS])[0]


@answer
def owner():
    import pwd

    return pwd.getpwnam("app").pw_uid


@answer
def host():
    import socket

    return socket.gethostbyname("localhost")


@answer
def authorities():
    import ssl

    return ssl.create_default_context().verify_mode.name


@answer
def traceback():
    import traceback

    try:
        GOODS[99]
    except IndexError:
        return "GOODS[99]" in traceback.format_exc()
