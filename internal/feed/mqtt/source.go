package mqtt

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// source listens to a topic.
type source struct {
	filter     string
	hosts      []string
	user       string
	password   string
	encryption *tls.Config
	qos        byte
	session    string // "": the broker forgets us with the connection
	retained   bool   // what was retained is taken as well
	reader     *broker.Reader
	log        *slog.Logger
	taken      *memory
	room       int // messages that wait for us at most; 0 is mostWaiting
}

var _ feed.Source = (*source)(nil)

// mostWaiting is the number of messages that wait for us at most. What comes on top is dropped, and told as a gap: a handler that
// waits would keep the client from answering the broker, which would then take us for dead.
const mostWaiting = 1 << 14

const keepAlive = 10 * time.Second

// Traits implements feed.Source.
func (s *source) Traits() feed.Traits { return feed.Traits{} }

// arrival is a message, and when it came.
type arrival struct {
	paho.Message
	at   market.Time
	lost uint64 // messages that were dropped before it
}

// Run implements feed.Source.
func (s *source) Run(ctx context.Context, sink feed.Sink) error {
	err := s.run(ctx, sink)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return broker.Hide(err, s.password)
}

func (s *source) run(ctx context.Context, sink feed.Sink) error {
	room := s.room
	if room == 0 {
		room = mostWaiting
	}
	arrivals := make(chan arrival, room)
	lost := make(chan error, 1)
	opts, err := s.options(ctx)
	if err != nil {
		return err
	}
	opts.SetConnectionLostHandler(func(_ paho.Client, err error) {
		select {
		case lost <- err:
		default:
		}
	})
	dropped := uint64(0) // of the client's goroutine that calls the handler
	opts.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		select {
		case arrivals <- arrival{m, market.FromStd(time.Now()), dropped}:
			dropped = 0
		default:
			dropped++
		}
	})
	client := paho.NewClient(opts)
	if err := await(ctx, client.Connect(), "connect"); err != nil {
		client.Disconnect(0)
		return err
	}
	in := &broker.Intake{Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log}
	err = s.listen(ctx, in, client, arrivals, lost)
	client.Disconnect(100)
	// The broker was told that these have arrived: it does not send them again.
	for len(arrivals) > 0 {
		if s.take(context.WithoutCancel(ctx), in, arrivals, <-arrivals) != nil {
			break
		}
	}
	return err
}

// listen hands over what arrives until ctx is done or the connection ends.
func (s *source) listen(ctx context.Context, in *broker.Intake, client paho.Client, arrivals <-chan arrival, lost <-chan error) error {
	if err := await(ctx, client.Subscribe(s.filter, s.qos, nil), "subscribe to "+s.filter); err != nil {
		return err
	}
	if err := in.Flush(ctx); err != nil { // connected
		return err
	}
	alive := time.NewTicker(broker.Look)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return fmt.Errorf("the connection to the broker has ended: %w", err)
		case <-alive.C:
			if !client.IsConnectionOpen() {
				return errors.New("the connection to the broker has ended")
			}
			if err := in.Flush(ctx); err != nil {
				return err
			}
		case a := <-arrivals:
			if err := s.take(ctx, in, arrivals, a); err != nil {
				return err
			}
		}
	}
}

// take hands over a message and what waits behind it.
func (s *source) take(ctx context.Context, in *broker.Intake, arrivals <-chan arrival, a arrival) error {
	for n := 1; ; n++ {
		if a.lost > 0 {
			in.Sink.Dropped("slow_consumer", int(a.lost))
			if err := in.Lose(ctx, "messages came faster than they could be taken"); err != nil {
				return err
			}
		}
		m := broker.Message{Value: a.Payload(), Topic: a.Topic(), Received: a.at}
		if reason := s.refuse(&a); reason != "" {
			in.Sink.Dropped(reason, 1)
		} else if err := in.Take(ctx, &m, func() {}); err != nil {
			return err
		}
		if n == feed.MaxPush || len(arrivals) == 0 {
			return in.Flush(ctx)
		}
		a = <-arrivals
	}
}

// refuse says why a message is not taken.
func (s *source) refuse(a *arrival) (reason string) {
	if a.Retained() && !s.retained {
		return "retained"
	}
	if a.Qos() == 0 {
		return ""
	}
	key := s.taken.key(a.Topic(), a.MessageID(), a.Payload())
	if a.Duplicate() && s.taken.has(key) {
		return "duplicate"
	}
	s.taken.add(key)
	return ""
}

// options are how the client connects: once. Another attempt is the runner's.
func (s *source) options(ctx context.Context) (*paho.ClientOptions, error) {
	opts := paho.NewClientOptions()
	scheme := "tcp"
	if s.encryption != nil {
		scheme = "ssl"
	}
	for _, host := range s.hosts {
		opts.AddBroker(scheme + "://" + host)
	}
	name := s.session
	if name == "" {
		var b [6]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("draw a name: %w", err)
		}
		name = "tapedeck-" + hex.EncodeToString(b[:])
	}
	dial := broker.DialWith(ctx)
	opts.SetClientID(name).SetCleanSession(s.session == "").SetUsername(s.user).SetPassword(s.password).
		SetProtocolVersion(4).SetOrderMatters(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(keepAlive).SetPingTimeout(broker.Patience).SetConnectTimeout(broker.Patience).SetWriteTimeout(broker.Patience)
	opts.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		conn, err := dial("tcp", u.Host)
		if err != nil || s.encryption == nil {
			return conn, err
		}
		encryption := s.encryption
		if encryption.ServerName == "" {
			encryption = encryption.Clone()
			encryption.ServerName = u.Hostname()
		}
		secured := tls.Client(conn, encryption)
		shaking, cancel := context.WithTimeout(ctx, broker.Patience)
		defer cancel()
		if err := secured.HandshakeContext(shaking); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secured, nil
	})
	return opts, nil
}

// await waits for what the client was asked for.
func await(ctx context.Context, token paho.Token, what string) error {
	patience := time.NewTimer(2 * broker.Patience)
	defer patience.Stop()
	select {
	case <-token.Done():
	case <-patience.C:
		return fmt.Errorf("%s: the broker does not answer", what)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if sub, ok := token.(*paho.SubscribeToken); ok {
		for filter, code := range sub.Result() {
			if code >= 0x80 {
				return fmt.Errorf("%s: the broker refuses %s", what, filter)
			}
		}
	}
	return nil
}
