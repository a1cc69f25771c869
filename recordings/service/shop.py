"""A small shop: a web application that keeps no connections between requests, as Django does unless it is told otherwise.

Each request opens what it needs, uses it and closes it at its end. Beside that it notes which connection was whose
request's, by the connection's local port: `port,request,route,request_us`, a line each.
"""
import contextlib
import json
import os
import socket
import time

import flask
import psycopg2
import redis

app = flask.Flask(__name__)
DATABASE = {"host": "127.0.0.1", "port": int(os.environ["DATABASE_PORT"]), "dbname": "shop", "user": "shop",
            "password": os.environ["DATABASE_PASSWORD"], "sslmode": "disable", "gssencmode": "disable"}
CACHE = {"host": "127.0.0.1", "port": int(os.environ["CACHE_PORT"])}
NOTES = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def micros():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def note(descriptor):
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        port = connection.getsockname()[1]
    os.write(NOTES, f"{port},{flask.g.number},{flask.g.route},{flask.g.began}\n".encode())


@contextlib.contextmanager
def database():
    connection = psycopg2.connect(**DATABASE)
    try:
        note(connection.fileno())
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextlib.contextmanager
def cache():
    client = redis.Redis(**CACHE, single_connection_client=True)
    connection = client.connection
    try:
        note(connection._sock.fileno())
        yield client
    finally:
        client.close()
        connection.disconnect()


def rows(cursor, query, *values):
    cursor.execute(query, values)
    return cursor.fetchall()


@app.before_request
def identify():
    flask.g.began = micros()
    flask.g.number = int(flask.request.headers.get("X-Request-Number", 0))
    flask.g.route = flask.request.path.split("/")[1] or "home"


@app.get("/")
def home():
    with cache() as store:
        page = store.get("page:home")
        if page is None:
            with database() as cursor:
                page = json.dumps(rows(cursor, "select id, name from product order by sold desc limit 10"))
            store.set("page:home", page, px=1500)
    return page


@app.get("/product/<int:product>")
def show(product):
    key = f"product:{product}"
    with cache() as store:
        known = store.get(key)
        with database() as cursor:
            if known is None:
                known = json.dumps(rows(cursor, "select name, price from product where id = %s", product))
                store.set(key, known, ex=60)
            stock = rows(cursor, "select amount from stock where product = %s", product)
    return {"product": json.loads(known), "stock": stock}


@app.get("/search")
def search():
    words = "%" + flask.request.args["q"] + "%"
    with database() as cursor:
        total = rows(cursor, "select count(*) from product where name like %s", words)
        found = rows(cursor, "select id, name from product where name like %s order by sold desc limit 20", words)
    return {"total": total, "found": found}


@app.post("/login/<int:customer>")
def login(customer):
    with database() as cursor:
        name = rows(cursor, "select name from customer where id = %s", customer)
    session = f"session:{customer}"
    with cache() as store:
        store.hset(session, mapping={"customer": customer, "name": name[0][0]})
        store.expire(session, 600)
    return session


@app.post("/cart/<int:product>")
def put(product):
    with cache() as store:
        store.hincrby("cart:" + flask.request.headers["X-Session"], str(product))
    return "put"


@app.post("/checkout")
def checkout():
    session = flask.request.headers["X-Session"]
    with cache() as store:
        customer = int(store.hget("session:" + session, "customer") or 1)
        cart = store.hgetall("cart:" + session)
        with database() as cursor:
            cursor.execute('insert into "order" (customer) values (%s) returning id', (customer,))
            order = cursor.fetchone()[0]
            for product, amount in sorted(cart.items()):
                cursor.execute("update stock set amount = amount - %s where product = %s", (int(amount), int(product)))
                cursor.execute("insert into item values (%s, %s, %s)", (order, int(product), int(amount)))
        store.delete("cart:" + session, "page:home")
    return {"order": order}


@app.get("/start")
def start():
    """What the application does before its first request."""
    with database() as cursor:
        rows(cursor, "select version from schema_version")
    with cache() as store:
        store.ping()
    return "ready"
