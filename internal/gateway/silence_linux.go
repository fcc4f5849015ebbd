package gateway

import (
	"time"

	"golang.org/x/sys/unix"
)

// peerSilence returns how long ago the system at the other end of a TCP connection last acknowledged anything; ok is false where that
// cannot be told. A living system acknowledges even when its program does not read.
func peerSilence(fd int) (silence time.Duration, ok bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, false
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond, true
}
