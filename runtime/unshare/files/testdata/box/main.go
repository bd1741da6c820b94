// Command box is petitpont-box with nothing but its SFTP server, for tests.
package main

import (
	"os"

	"petitpont/runtime/unshare/files"
)

func main() { os.Exit(files.Main()) }
