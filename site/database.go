package site

import (
	"context"
	"strconv"
)

// Database is how the programs of a site reach its database. It listens inside the site and nowhere else.
type Database struct {
	Engine   string // mariadb, postgresql
	Host     string
	Port     int
	Socket   string // what its own clients ask for: a file, or for PostgreSQL the folder it is in
	Name     string
	User     string
	Password Secret
}

// engines are the databases as the template sets them up.
var engines = map[string]Database{
	"mariadb":    {Port: 3306, Socket: "/run/mysqld/mysqld.sock"},
	"postgresql": {Port: 5432, Socket: "/run/postgresql"},
}

// database is that of a stack; the zero Database without one.
func (s Stack) database(password Secret) Database {
	if !s.HasDatabase() {
		return Database{}
	}
	d := engines[s.Database]
	d.Engine, d.Host, d.Name, d.User, d.Password = s.Database, "localhost", "site", "site", password
	return d
}

// env are the variables every program of the site finds it by.
func (d Database) env() []string {
	if d.Engine == "" {
		return nil
	}
	return []string{
		"DB_ENGINE=" + d.Engine, "DB_HOST=" + d.Host, "DB_PORT=" + strconv.Itoa(d.Port), "DB_SOCKET=" + d.Socket,
		"DB_NAME=" + d.Name, "DB_USER=" + d.User, "DB_PASSWORD=" + d.Password.Reveal(),
	}
}

// Database tells the owner of a site, or an admin, how to reach its database, password included. It is the only way
// out for the password. A site without a database gets the zero Database.
func (v *Service) Database(_ context.Context, who Identity, name string) (Database, error) {
	e, err := v.find(who, name)
	if err != nil {
		return Database{}, err
	}
	return e.snapshot().Stack.database(e.password), nil
}
