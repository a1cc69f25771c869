"""The shop: small, but it leans on what such applications lean on."""
import io
import sqlite3

import lxml.etree
import lxml.html
import markdown
import yaml
from flask import Flask, Response, g, render_template, request
from itsdangerous import URLSafeTimedSerializer
from PIL import Image, ImageDraw
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

app = Flask(__name__)
with open("settings.yaml", encoding="utf-8") as settings:
    app.config.update(yaml.safe_load(settings))
tickets = URLSafeTimedSerializer(app.config["SHOP_NAME"])


def database():
    if "db" not in g:
        g.db = sqlite3.connect("file:shop.sqlite?mode=ro", uri=True)
        g.db.row_factory = sqlite3.Row
    return g.db


@app.teardown_appcontext
def close(_):
    if "db" in g:
        g.db.close()


@app.get("/health")
def health():
    return "ok"


@app.get("/")
def front():
    items = database().execute("select * from item order by sold desc limit 24").fetchall()
    return render_template("front.html", items=items)


@app.get("/item/<int:number>")
def item(number):
    row = database().execute("select * from item where id = ?", (number,)).fetchone()
    return render_template(
        "item.html",
        item=row,
        text=markdown.markdown(row["text"], extensions=["tables", "toc"]),
        price=f"{row['cents'] / 100:.2f} {app.config['CURRENCY']}",
    )


@app.get("/photo/<int:number>")
def photo(number):
    picture = Image.open(f"photos/{number}.jpg")
    picture.thumbnail((200, 200))
    ImageDraw.Draw(picture).text((4, 4), f"no. {number}", fill="white")
    out = io.BytesIO()
    picture.save(out, request.args.get("as", "jpeg"))
    return Response(out.getvalue(), mimetype="image/" + request.args.get("as", "jpeg"))


@app.get("/search")
def search():
    like = "%" + request.args["q"] + "%"
    rows = database().execute("select id, name from item where text like ? limit 20", (like,)).fetchall()
    feed = lxml.etree.Element("found")
    for row in rows:
        lxml.etree.SubElement(feed, "item", id=str(row["id"])).text = row["name"]
    return Response(lxml.etree.tostring(feed, pretty_print=True), mimetype="application/xml")


@app.get("/source/<language>")
def source(language):
    text = open(__file__, encoding="utf-8").read()
    return highlight(text, get_lexer_by_name(language), HtmlFormatter())


@app.get("/login")
def login():
    answer = Response("welcome")
    answer.set_cookie("ticket", tickets.dumps(request.args["user"]))
    return answer
