"""Fills the shop at build time: items, photos, static files. Seeded, so that two builds hold the same shop."""
import os
import random
import sqlite3

from PIL import Image, ImageFilter

ITEMS = 240
rng = random.Random(20)
os.chdir("/srv/web")
os.makedirs("photos", exist_ok=True)
os.makedirs("public/static", exist_ok=True)
words = [line.strip("'\n").lower() for line in open("/usr/share/perl/5.36/unicore/Name.pl", encoding="latin-1") if line.isascii()]
words = sorted({w for line in words for w in line.split() if w.isalpha() and len(w) > 3})[:2000] or ["word"]


def text(paragraphs):
    return "\n\n".join(" ".join(rng.choices(words, k=60)) + "." for _ in range(paragraphs))


db = sqlite3.connect("shop.sqlite")
db.execute("create table item (id integer primary key, name text, cents integer, sold integer, text text)")
for number in range(1, ITEMS + 1):
    name = " ".join(rng.choices(words, k=3))
    db.execute("insert into item values (?, ?, ?, ?, ?)",
               (number, name, rng.randrange(100, 90000), 100000 // number, f"# {name}\n\n" + text(rng.randrange(3, 12))))
    noise = Image.frombytes("RGB", (80, 60), rng.randbytes(80 * 60 * 3)).resize((640, 480)).filter(ImageFilter.DETAIL)
    noise.save(f"photos/{number}.jpg", quality=rng.randrange(70, 92))
db.commit()
db.close()
for number in range(1, 41):
    with open(f"public/static/part{number}.js", "w", encoding="utf-8") as out:
        out.write("// " + text(rng.randrange(10, 200)).replace("\n\n", "\n// ") + "\n")
with open("public/static/shop.css", "w", encoding="utf-8") as out:
    out.write("body { font-family: sans-serif; }\n" * 400)
