package main

import (
	"context"
	"net"
	"testing"
	"time"
)

// speaker is a door that greets with words, once it has heard as many bytes.
func speaker(t *testing.T, hears int, words string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, hears))
			_, _ = c.Write([]byte(words))
			_ = c.Close()
		}
	}()
	return l
}

func TestDoorsAreTriedFromOutside(t *testing.T) {
	closed := speaker(t, 0, "")
	_ = closed.Close()
	for name, c := range map[string]struct {
		listeners map[door][]net.Listener
		check     string
		well      bool
	}{
		"a gate that greets":            {map[door][]net.Listener{doorGate: {speaker(t, 0, "SSH-2.0-Go\r\n")}}, "gate", true},
		"a gate that is something else": {map[door][]net.Listener{doorGate: {speaker(t, 0, "220 mail\r\n")}}, "gate", false},
		"a proxy that answers":          {map[door][]net.Listener{doorSites: {speaker(t, 200, "HTTP/1.1 404 Not Found\r\n\r\n")}}, "proxy", true},
		"a proxy that hangs up":         {map[door][]net.Listener{doorSites: {speaker(t, 200, "")}}, "proxy", false},
		"one of two doors is shut":      {map[door][]net.Listener{doorGate: {speaker(t, 0, "SSH-2.0-Go\r\n"), closed}}, "gate", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			all := doorChecks(c.listeners, "localhost")
			if len(all) != 1 || all[0].Name != c.check {
				t.Fatalf("%+v", all)
			}
			if err := all[0].Look(ctx); (err == nil) != c.well {
				t.Errorf("got %v", err)
			}
		})
	}
}
