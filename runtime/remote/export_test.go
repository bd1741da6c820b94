package remote

import (
	"net"
	"time"
)

// SetRequestTime lets a test wait less for the server to lose patience.
func (o *Options) SetRequestTime(d time.Duration) { o.requestTime = d }

func unixConn(c net.Conn) *net.UnixConn { return c.(*net.UnixConn) }
