package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"tapedeck/internal/websocket"
)

// patience is how long a connection may take until it is open.
const patience = 30 * time.Second

// dial opens the connection of a client.
func (c *crowd) dial(ctx context.Context, client int) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var raw net.Conn
	var err error
	if c.tls {
		raw, err = (&tls.Dialer{Config: &tls.Config{RootCAs: c.trust}}).DialContext(ctx, "tcp", c.target)
	} else {
		raw, err = new(net.Dialer).DialContext(ctx, "tcp", c.target)
	}
	if err != nil {
		return nil, err
	}
	link, err := c.open(raw, client)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return link, nil
}

// open makes a fresh connection a client's.
func (c *crowd) open(raw net.Conn, client int) (*link, error) {
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	path := strings.TrimSuffix(c.opts.URL.EscapedPath(), "/") + "/v2/tape"
	up, err := websocket.Handshake(raw, c.opts.URL.Host, path, c.header(), c.opts.Deflate)
	if err != nil {
		return nil, fmt.Errorf("open a stream on %s: %w", c.opts.URL, err)
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	l := &link{conn: newConn(c.full(client)), early: up.Early}
	if c.opts.MessagePack || up.Deflate {
		l.full = true
		l.decode = newMessages(up.Deflate, &c.inflaters)
	}
	l.socket, err = c.adopt(up.Conn)
	return l, err
}
