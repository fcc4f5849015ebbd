package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Redis is how a server is reached: redis://host:6379/name, rediss:// when encrypted. The name is that of a channel or a stream; the
// number of a database is given by db=.
type Redis struct {
	Name    string
	secrets []string
	opts    redis.Options
}

// RedisParams returns the names of the parameters that NewRedis knows.
func RedisParams() []string { return append(LoginParams(), "db") }

// NewRedis reads the target and the parameters of a URL.
func NewRedis(scheme, target string, p Params) (*Redis, error) {
	a, err := ParseAddress(target, "6379")
	if err != nil {
		return nil, err
	}
	if len(a.Hosts) > 1 {
		return nil, errors.New("the URL names more than one Redis server")
	}
	if a.Path == "" {
		return nil, fmt.Errorf("the URL names no channel and no stream, as in %s://host:6379/ticks", scheme)
	}
	if a.User != "" && a.Password == "" && !strings.Contains(target, ":@") {
		a.User, a.Password = "", a.User // redis://secret@host, as many write it
	}
	user, password, err := Login(&a, p)
	if err != nil {
		return nil, err
	}
	db, err := p.Uint("db", 0)
	if err != nil || db > 1<<20 {
		return nil, p.Errorf("db", "want the number of a database")
	}
	encryption, err := TLS(p, strings.HasPrefix(scheme, "rediss"))
	if err != nil {
		return nil, err
	}
	if encryption != nil {
		encryption.ServerName, _, _ = net.SplitHostPort(a.Hosts[0])
	}
	return &Redis{Name: a.Path, secrets: []string{password}, opts: redis.Options{
		Addr: a.Hosts[0], Username: user, Password: password, DB: int(db), TLSConfig: encryption, ClientName: "tapedeck",
		Protocol: 2, MaxRetries: -1, DialTimeout: Patience, ReadTimeout: Patience, WriteTimeout: Patience, DialerRetries: 1,
		ContextTimeoutEnabled: true, PoolSize: 2, DisableIdentity: true,
	}}, nil
}

// Client returns a client. It connects when it is first asked something, and tries nothing twice.
func (r *Redis) Client() *redis.Client {
	opts := r.opts
	return redis.NewClient(&opts)
}

// Hide returns err without the secrets of the URL.
func (r *Redis) Hide(err error) error { return Hide(err, r.secrets...) }

// Quiet keeps go-redis from writing to the process's standard error, which it does unless it is told otherwise: what happens is in
// the errors that it returns.
func Quiet() { redis.SetLogger(silence{}) }

type silence struct{}

// Printf implements what go-redis logs with.
func (silence) Printf(context.Context, string, ...any) {}
