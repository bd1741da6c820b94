# La page d'accueil d'un site neuf : remplacez-la. / The welcome page of a new site: replace it.
# Flask, Django... : donnez leur objet WSGI le nom "application". / Give their WSGI object the name "application".
import json
import os
import platform
import re
from html import escape
from urllib.parse import parse_qs

SHARE = "/usr/share/petitpont/welcome/"


def database():
    """La connexion à la base de données du site. / The connection to the site's database."""
    env = os.environ
    if env["DB_ENGINE"] == "postgresql":
        import psycopg2
        return psycopg2.connect(host=env["DB_SOCKET"], dbname=env["DB_NAME"], user=env["DB_USER"], password=env["DB_PASSWORD"])
    import pymysql
    return pymysql.connect(unix_socket=env["DB_SOCKET"], database=env["DB_NAME"], user=env["DB_USER"], password=env["DB_PASSWORD"])


def ask(words):
    if "DB_ENGINE" not in os.environ:
        return ""
    engine = "PostgreSQL" if os.environ["DB_ENGINE"] == "postgresql" else "MariaDB"
    try:
        connection = database()
        cursor = connection.cursor()
        cursor.execute("SELECT version(), current_user")
        version, user = cursor.fetchone()
        connection.close()
    except Exception as error:
        return words["silent"].replace("{error}", escape(str(error)))
    number = re.search(r"\d+(\.\d+)+", version).group()
    return words["answers"].replace("{engine}", engine).replace("{version}", number).replace("{user}", escape(user))


def application(environ, start_response):
    chosen = parse_qs(environ.get("QUERY_STRING", "")).get("lang", [environ.get("HTTP_ACCEPT_LANGUAGE", "fr").lower()])[0]
    with open(SHARE + "words.json", encoding="utf-8") as f:
        words = json.load(f)["fr" if chosen.startswith("fr") else "en"]
    words["host"] = escape(environ.get("HTTP_HOST", platform.node()).split(":")[0])
    words["put"] = words["putApp"]
    words["change"] = words["change"].replace("{file}", "app.py")
    words["language"] = "Python " + ".".join(platform.python_version_tuple()[:2])
    words["log"] = "logs/app.log"
    words["database"] = ask(words)
    with open(SHARE + "page.html", encoding="utf-8") as f:
        page = re.sub(r"\{(\w+)\}", lambda m: words.get(m[1], m[0]), f.read())
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")])
    return [page.encode()]
