package views

import (
	"fmt"

	"petitpont/site"
)

// Snippet is a ready piece of code that connects to a site's database. Only the .env file holds the password: the others
// read it from the environment, so that it is in no file that is shown or handed in.
type Snippet struct {
	Key    string // of its name: snippet.<key>
	Code   string
	Secret bool // it holds the password
}

// snippets are those of a database, the site's own language first.
func snippets(d site.Database, language string) []Snippet {
	all := []Snippet{
		{"php", phpSnippet(d), false}, {"py", pythonSnippet(d), false}, {"node", nodeSnippet(d), false}, {"env", envSnippet(d), true},
	}
	own := map[string]int{"python": 1, "node": 2}[language]
	all[0], all[own] = all[own], all[0]
	return all
}

func phpSnippet(d site.Database) string {
	where := fmt.Sprintf("mysql:unix_socket=%s;dbname=%s;charset=utf8mb4", d.Socket, d.Name)
	if d.Engine == "postgresql" {
		where = fmt.Sprintf("pgsql:host=%s;dbname=%s", d.Socket, d.Name)
	}
	return fmt.Sprintf("$db = new PDO(\n    '%s',\n    '%s',\n    getenv('DB_PASSWORD')\n);", where, d.User)
}

func pythonSnippet(d site.Database) string {
	module, where := "pymysql", "unix_socket"
	if d.Engine == "postgresql" {
		module, where = "psycopg2", "host"
	}
	name := "database"
	if d.Engine == "postgresql" {
		name = "dbname"
	}
	return fmt.Sprintf("import os\nimport %[1]s\n\ndb = %[1]s.connect(\n    %[2]s=%[3]q,\n    %[4]s=%[5]q,\n    user=%[6]q,\n    password=os.environ[\"DB_PASSWORD\"],\n)",
		module, where, d.Socket, name, d.Name, d.User)
}

func nodeSnippet(d site.Database) string {
	if d.Engine == "postgresql" {
		return fmt.Sprintf("const { Client } = require('pg');\nconst db = new Client({\n  host: '%s',\n  database: '%s',\n  user: '%s',\n  password: process.env.DB_PASSWORD,\n});\ndb.connect();",
			d.Socket, d.Name, d.User)
	}
	return fmt.Sprintf("const db = require('mysql').createConnection({\n  socketPath: '%s',\n  database: '%s',\n  user: '%s',\n  password: process.env.DB_PASSWORD,\n});",
		d.Socket, d.Name, d.User)
}

func envSnippet(d site.Database) string {
	return fmt.Sprintf("DB_ENGINE=%s\nDB_HOST=%s\nDB_PORT=%d\nDB_SOCKET=%s\nDB_NAME=%s\nDB_USER=%s\nDB_PASSWORD=%s",
		d.Engine, d.Host, d.Port, d.Socket, d.Name, d.User, d.Password.Reveal())
}
