package runtime

import "io/fs"

// Recipe says what a template is made of. Building it gives a new version of the template of that name.
type Recipe struct {
	Name     string             // [a-z][a-z0-9-]{0,30}
	Suite    string             // release of the distribution, as "trixie"
	Packages []string           // on top of the smallest system
	Users    map[string]int     // system users made before the packages, with their numbers, group included
	Setup    [][]string         // commands that prepare the new system, before Remove
	Remove   []string           // glob patterns of files and folders to take out at the end, relative to the root
	Services map[string]Service // what a Spec may start
	Checks   [][]string         // commands that must succeed in the new system
	Trials   []Trial            // throw-away sites that must answer before a version is published
	Files    fs.FS              // copied over the system: owned by root, below home/site by the site's user. May be nil
	Exec     []string           // glob patterns of Files that are programs
}

// Service is a long-running program of a template.
type Service struct {
	Argv []string `json:"argv"` // Argv[0] is a full path
	User string   `json:"user"` // it is started as; masters that drop to a user of their own start as root
	Stop string   `json:"stop"` // signal that ends it gracefully, without SIG
}

// Trial is a site by which a version is tried: its front page must be found, and say something.
type Trial struct {
	Services []string `json:"services"`
	Env      []string `json:"env"`
	Says     string   `json:"says"`
}
