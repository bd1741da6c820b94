// Command serve answers on port 80. It is all a throw-away site of the tests needs.
package main

import (
	"errors"
	"net/http"
	"os"
	"syscall"
	"time"
)

func main() {
	err := http.ListenAndServe(":80", nil)
	for errors.Is(err, syscall.EADDRINUSE) { // sites that a test leaves without a network of their own share the port
		time.Sleep(time.Hour)
	}
	os.Exit(1)
}
