package gateway

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// peerSilence returns how long ago the system at the other end last acknowledged anything; ok is false where that cannot be told. A
// living system acknowledges even when its program does not read.
func peerSilence(conn net.Conn) (silence time.Duration, ok bool) {
	tcp, isTCP := conn.(*net.TCPConn)
	if !isTCP {
		return 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	var infoErr error
	if err := raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || infoErr != nil {
		return 0, false
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond, true
}
