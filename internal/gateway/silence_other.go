//go:build !linux

package gateway

import (
	"net"
	"time"
)

// peerSilence is not known on this system.
func peerSilence(net.Conn) (silence time.Duration, ok bool) { return 0, false }
