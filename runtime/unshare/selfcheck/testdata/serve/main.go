// Command serve answers on port 80. It is all a throw-away site of the tests needs.
package main

import (
	"net/http"
	"os"
)

func main() {
	if http.ListenAndServe(":80", nil) != nil {
		os.Exit(1)
	}
}
