// Command petitpont-box is what the runtime starts inside a box's namespaces. Nobody starts it by hand.
//
// It is its own small program, without cgo, because the process that builds a box must be quick to start and must
// carry nothing of the panel, the gate or the database into the tenant's reach.
package main

import (
	"fmt"
	"os"

	"petitpont/runtime/unshare/files"
	"petitpont/runtime/unshare/packages"
	"petitpont/runtime/unshare/probe"
	"petitpont/runtime/unshare/stage"
)

func main() {
	word := ""
	if len(os.Args) > 1 {
		word = os.Args[1]
	}
	switch word {
	case "stage":
		os.Exit(stage.Main())
	case "files":
		os.Exit(files.Main())
	case "probe":
		os.Exit(probe.Main(os.Args[2:]))
	case "packages":
		os.Exit(packages.Main())
	default:
		fmt.Fprintln(os.Stderr, "petitpont-box is started by petitpont, not by hand")
		os.Exit(2)
	}
}
