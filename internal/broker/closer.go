package broker

import (
	"context"
	"net"
)

// CloseWith runs end when ctx is done, to wake a client that waits without looking at ctx. The function that it returns calls
// that off, or waits until end has run.
func CloseWith(ctx context.Context, end func()) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		end()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// Dialer opens the connections of a client that knows no context.
type Dialer func(network, address string) (net.Conn, error)

// Dial implements what clients ask for.
func (d Dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

// DialWith returns a dialer that gives up when ctx is done.
func DialWith(ctx context.Context) Dialer {
	return func(network, address string) (net.Conn, error) {
		return (&net.Dialer{Timeout: Patience}).DialContext(ctx, network, address)
	}
}
