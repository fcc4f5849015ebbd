//go:build !linux

package load

import "net"

// adopt takes over a connection.
func (c *crowd) adopt(conn net.Conn) (socket, error) { return &connSocket{Conn: conn}, nil }

func (l *loop) run() error { return l.runSlow() }
