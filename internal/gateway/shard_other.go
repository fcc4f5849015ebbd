//go:build !linux

package gateway

import (
	"context"
	"net"
)

// shard is not there on this system: soloists drive the sessions.
type shard struct{}

func newShard(*Gateway) (*shard, error) { return nil, nil }

func (*shard) adopt(*session, net.Conn, guest) bool { return false }

func (*shard) run(context.Context) {}

// conn is not there either; the readers have nothing to do.
type conn struct{}

func (*conn) work(context.Context, *scratch) {}
