package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server puts h behind the deadlines of a public door (RULE FAIR). Bodies and answers have none as a whole, because
// uploads and streams may take hours; Proxy cuts off those that stand still. When h can be closed, Shutdown closes it,
// so that tunnels do not outlive the server.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS only
	srv := &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    64 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          128,
			MaxDecoderHeaderTableSize:     4 << 10,
			MaxReadFrameSize:              64 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     256 << 10,
			SendPingTimeout:               30 * time.Second,
			PingTimeout:                   15 * time.Second,
			WriteByteTimeout:              time.Minute,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // scanners and broken handshakes
	}
	if closer, ok := h.(io.Closer); ok {
		srv.RegisterOnShutdown(func() {
			if err := closer.Close(); err != nil {
				log.Warn("close door", "err", err)
			}
		})
	}
	return srv
}

// Serve accepts on every listener until ctx ends, then lets the requests in progress finish for up to grace, and cuts
// off what remains. It returns nil after an orderly end.
func Serve(ctx context.Context, srv *http.Server, grace time.Duration, listeners ...net.Listener) error {
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- srv.Serve(l) }()
	}
	select {
	case err := <-failed:
		srv.Close() //nolint:errcheck // the first error is the one to tell
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(last); err != nil {
		return srv.Close()
	}
	return nil
}
