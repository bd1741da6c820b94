package proxy

import (
	"io"
	"log/slog"
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
