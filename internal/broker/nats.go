package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// NATS is how a server is reached: nats://host:4222,host:4222/subject, natss:// when encrypted.
type NATS struct {
	Subject string
	servers string
	secrets []string
	opts    []nats.Option
}

// NATSParams returns the names of the parameters that NewNATS knows.
func NATSParams() []string { return append(LoginParams(), "token", "credentials") }

// NewNATS reads the target and the parameters of a URL. What stands in the path must be a subject; wild says that it may stand
// for many.
func NewNATS(scheme, target string, p Params, wild bool) (*NATS, error) {
	a, err := ParseAddress(target, "4222")
	if err != nil {
		return nil, err
	}
	if err := checkSubject(a.Path, wild); err != nil {
		return nil, err
	}
	n := &NATS{Subject: a.Path, servers: "nats://" + strings.Join(a.Hosts, ",nats://")}
	user, password, err := Login(&a, p)
	if err != nil {
		return nil, err
	}
	if user != "" {
		n.opts = append(n.opts, nats.UserInfo(user, password))
		n.secrets = append(n.secrets, password)
	}
	if p.Has("token") {
		token, err := p.Secret("token")
		if err != nil {
			return nil, err
		}
		n.opts = append(n.opts, nats.Token(token))
		n.secrets = append(n.secrets, token)
	}
	if p.Has("credentials") {
		text, err := p.Secret("credentials")
		if err != nil {
			return nil, err
		}
		if !strings.Contains(text, "BEGIN NATS USER JWT") {
			return nil, p.Errorf("credentials", "want file:PATH of a .creds file")
		}
		n.opts = append(n.opts, nats.UserCredentialBytes([]byte(text)))
	}
	encryption, err := TLS(p, scheme == "natss")
	if err != nil {
		return nil, err
	}
	if encryption != nil {
		n.opts = append(n.opts, nats.Secure(encryption))
	}
	return n, nil
}

// checkSubject says what is wrong with a subject.
func checkSubject(s string, wild bool) error {
	if s == "" {
		return errors.New("the URL names no subject, as in nats://host:4222/ticks.aapl")
	}
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		switch {
		case token == "", strings.ContainsAny(token, " \t\r\n"):
			return fmt.Errorf("%.80q is not a subject: words between points", s)
		case token == "*" && wild, token == ">" && wild && i == len(tokens)-1:
		case strings.ContainsAny(token, "*>"):
			return fmt.Errorf("%.80q: a * stands for one whole word, a > for all that follow at the end%s", s, map[bool]string{false: "; neither can be published to"}[wild])
		}
	}
	return nil
}

// Conn is a connection that is not made anew when it is lost.
type Conn struct {
	*nats.Conn
	Lost <-chan struct{} // closed when the connection has ended

	mu     sync.Mutex
	reason error
	hide   func(error) error
}

// Dial connects.
func (n *NATS) Dial(ctx context.Context, opts ...nats.Option) (*Conn, error) {
	lost := make(chan struct{})
	c := &Conn{Lost: lost, hide: n.Hide}
	var dialed error // of the last server that was tried, which the client does not tell
	dial := DialWith(ctx)
	all := append([]nats.Option{
		nats.Name("tapedeck"), nats.NoReconnect(), nats.Timeout(Patience), nats.PingInterval(Look), nats.MaxPingsOutstanding(1),
		nats.SetCustomDialer(Dialer(func(network, address string) (conn net.Conn, err error) {
			conn, dialed = dial(network, address)
			return conn, dialed
		})), nats.ClosedHandler(func(*nats.Conn) { close(lost) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.note(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.note(err) }),
	}, n.opts...)
	nc, err := nats.Connect(n.servers, append(all, opts...)...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if dialed != nil {
			err = dialed
		}
		return nil, n.Hide(fmt.Errorf("connect to NATS: %w", err))
	}
	c.Conn = nc
	return c, nil
}

func (c *Conn) note(err error) {
	if err == nil || errors.Is(err, nats.ErrSlowConsumer) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == nil {
		c.reason = err
	}
}

// Err says why the connection was lost, or what the server has refused.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == nil {
		return errors.New("the connection to NATS has ended")
	}
	return c.hide(fmt.Errorf("the connection to NATS has ended: %w", c.reason))
}

// Refused returns what the server has refused, such as a subscription, nil when it has not.
func (c *Conn) Refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hide(c.reason)
}

// End closes the connection and waits until nothing of it runs.
func (c *Conn) End() {
	c.Close()
	<-c.Lost
}

// Hide returns err without the secrets of the URL.
func (n *NATS) Hide(err error) error { return Hide(err, n.secrets...) }
