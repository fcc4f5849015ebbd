//go:build !linux

package gateway

import "time"

// peerSilence is not known on this system.
func peerSilence(int) (silence time.Duration, ok bool) { return 0, false }
