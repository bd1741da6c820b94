package unshare

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"petitpont/runtime"
)

// stack is a choice of the create form.
type stack struct{ server, language, database string }

func (s stack) String() string { return s.server + "+" + s.language + "+" + s.database }

// stacks are all that make sense: a database needs a language that asks it.
func stacks() (all []stack) {
	for _, server := range []string{"nginx", "apache", "caddy"} {
		all = append(all, stack{server, "none", "none"})
		for _, language := range []string{"php", "python", "node"} {
			for _, database := range []string{"none", "mariadb", "postgresql"} {
				all = append(all, stack{server, language, database})
			}
		}
	}
	return all
}

// of makes a spec of the stack, as site does.
func (s stack) of(spec runtime.Spec) runtime.Spec {
	spec.Services = []string{s.server}
	spec.Env = []string{"PETITPONT_SITE=demo", "PETITPONT_SERVER=" + s.server, "PETITPONT_LANGUAGE=" + s.language, "PETITPONT_DATABASE=" + s.database}
	if s.language != "none" {
		spec.Services = append(spec.Services, s.language)
	}
	if s.database != "none" {
		spec.Services = append(spec.Services, s.database)
		socket := map[string]string{"mariadb": "/run/mysqld/mysqld.sock", "postgresql": "/run/postgresql"}[s.database]
		spec.Env = append(spec.Env, "DB_ENGINE="+s.database, "DB_HOST=localhost", "DB_SOCKET="+socket, "DB_NAME=site", "DB_USER=site", "DB_PASSWORD=Abc123def456Ghi789jk")
	}
	return spec
}

// programs by language that compute something and, with a database, write a row and read it back.
var programsOf = map[string]struct{ file, text string }{
	"none": {"www/index.html", "computed 42 row none\n"},
	"php": {"www/index.php", `<?php
$row = 'none';
if (getenv('DB_ENGINE')) {
	$socket = getenv('DB_SOCKET');
	$db = new PDO((getenv('DB_ENGINE') === 'postgresql' ? "pgsql:host=$socket" : "mysql:unix_socket=$socket") . ';dbname=' . getenv('DB_NAME'), getenv('DB_USER'), getenv('DB_PASSWORD'));
	$db->exec('CREATE TABLE IF NOT EXISTS words (word varchar(20))');
	$db->exec("INSERT INTO words VALUES ('written')");
	$row = $db->query('SELECT word FROM words')->fetchColumn();
}
echo 'computed ', 6 * 7, " row $row from ", $_SERVER['REMOTE_ADDR'], ' ', $_SERVER['HTTPS'] ?? '', ' ', $_SERVER['HTTP_HOST'], "\n";
`},
	"python": {"app/app.py", `import os

def row():
    e = os.environ
    if "DB_ENGINE" not in e:
        return "none"
    if e["DB_ENGINE"] == "postgresql":
        import psycopg2
        db = psycopg2.connect(host=e["DB_SOCKET"], dbname=e["DB_NAME"], user=e["DB_USER"], password=e["DB_PASSWORD"])
    else:
        import pymysql
        db = pymysql.connect(unix_socket=e["DB_SOCKET"], database=e["DB_NAME"], user=e["DB_USER"], password=e["DB_PASSWORD"])
    c = db.cursor()
    c.execute("CREATE TABLE IF NOT EXISTS words (word varchar(20))")
    c.execute("INSERT INTO words VALUES ('written')")
    db.commit()
    c.execute("SELECT word FROM words")
    return c.fetchone()[0]

def application(env, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [("computed %d row %s from %s host %s\n" % (6 * 7, row(), env.get("HTTP_X_FORWARDED_FOR"), env["HTTP_HOST"])).encode()]
`},
	"node": {"app/server.js", `const e = process.env;
async function row() {
	if (!e.DB_ENGINE) return 'none';
	const sql = ['CREATE TABLE IF NOT EXISTS words (word varchar(20))', "INSERT INTO words VALUES ('written')", 'SELECT word FROM words'];
	let rows;
	if (e.DB_ENGINE === 'postgresql') {
		const db = new (require('pg').Client)({ host: e.DB_SOCKET, database: e.DB_NAME, user: e.DB_USER, password: e.DB_PASSWORD });
		await db.connect();
		for (const s of sql) rows = (await db.query(s)).rows;
		await db.end();
	} else {
		const db = require('mysql').createConnection({ socketPath: e.DB_SOCKET, database: e.DB_NAME, user: e.DB_USER, password: e.DB_PASSWORD });
		for (const s of sql) rows = await new Promise((done, failed) => db.query(s, (err, r) => err ? failed(err) : done(r)));
		db.destroy();
	}
	return rows[0].word;
}
require('http').createServer(async (q, s) => {
	const text = await row().catch(String);
	s.end('computed ' + 6 * 7 + ' row ' + text + ' from ' + q.headers['x-forwarded-for'] + ' host ' + q.headers.host + '\n');
}).listen(e.PORT);
`},
}

// TestEachChoiceOfTheCreateForm makes a site of each, looks at its welcome page at once, then puts a program there that
// computes and reads a row from the database.
func TestEachChoiceOfTheCreateForm(t *testing.T) {
	r := open(t)
	t.Run("stacks", func(t *testing.T) { // so that the driver outlives them all
		for i, s := range stacks() {
			t.Run(s.String(), func(t *testing.T) {
				t.Parallel()
				tries(t, r, s, i)
			})
		}
	})
}

func tries(t *testing.T, r *rig, s stack, slot int) {
	one := s.of(spec(t, slot))
	r.create(t, one)
	t.Cleanup(func() { r.destroy(t, one.ID) })
	began := time.Now()
	addr := r.start(t, one.ID).String()
	status, page := get(t, addr, "/?lang=en", nil)
	welcome := map[string]string{"none": "Put your files", "php": "PHP 8.4 works", "python": "Python 3.13 works", "node": "Node.js 20 works"}[s.language]
	answers := map[string]string{"none": welcome, "mariadb": "<strong>MariaDB</strong> database answers", "postgresql": "<strong>PostgreSQL</strong> database answers"}[s.database]
	if status != http.StatusOK || !strings.Contains(page, welcome) || !strings.Contains(page, answers) {
		t.Fatalf("welcome page: %d\n%s\n%s", status, page, r.sh(t, one.ID, "cat logs/*.log", true))
	}
	t.Logf("create to the welcome page: %d ms", time.Since(began).Milliseconds())

	p := programsOf[s.language]
	if out := r.sh(t, one.ID, fmt.Sprintf("rm -rf www/index.*; cat >%s <<'END'\n%sEND\nmkdir -p www; echo body{} >www/style.css; echo secret >www/.env; echo '<?php echo 1;' >www/old.php", p.file, p.text), false); out != "" {
		t.Fatal(out)
	}
	want := "computed 42 row written"
	if s.database == "none" {
		want = "computed 42 row none"
	}
	headers := map[string]string{"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
	until(t, s.String()+" serves "+want, func() bool {
		status, page = get(t, addr, "/", headers)
		return status == http.StatusOK && strings.HasPrefix(page, want)
	})
	if s.language != "none" && !strings.Contains(page, "from 203.0.113.7") || s.language == "php" && !strings.Contains(page, " on blog.example.org") || !strings.Contains(page, "blog.example.org") && s.language != "none" {
		t.Errorf("what the gateway says does not arrive: %s", page)
	}
	if status, page := get(t, addr, "/style.css", nil); status != http.StatusOK || page != "body{}\n" {
		t.Errorf("a file of www: %d %q", status, page)
	}
	if _, page := get(t, addr, "/.env", nil); strings.Contains(page, "secret") {
		t.Error("a hidden file is shown")
	}
	if _, page := get(t, addr, "/old.php", nil); s.language == "none" && strings.Contains(page, "<?php") {
		t.Error("a program is shown as text")
	}
}

func get(t testing.TB, addr, path string, headers map[string]string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "blog.example.org"
	for k, v := range headers {
		q.Header.Set(k, v)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	res, err := c.Do(q)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}
