package natstape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/tape"
)

// A message carries a record and a few headers; the server counts them together.
const maxPayload = tape.MaxRecord + 64<<10

// session is one run of the embedded server, and the connection to it.
type session struct {
	server *server.Server
	conn   *nats.Conn    // of the writer
	reader *nats.Conn    // of fetches, which must not be able to slow down or break the writer's
	slots  chan struct{} // a place for each fetch that may be under way
	js     jetstream.JetStream
	acks   chan *nats.Msg // answers to what the writer published
	inbox  string         // prefix of the subjects they come on
	reads  atomic.Uint64  // numbers the inboxes of fetches
	own    string         // prefix of those inboxes

	ended  chan struct{} // closed by close
	failed chan struct{} // closed when the server says that it can't write: it then answers no more
	failOf sync.Once
}

// startSession starts the server over a folder and connects to it.
func startSession(dir string, log *slog.Logger) (*session, error) {
	store := storeDir(dir)
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of JetStream: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName:             "tapedeck",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		NoSystemAccount:        true,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               store,
		SyncAlways:             true,
		JetStreamMaxMemory:     64 << 20, // for the server's own needs: nothing of ours is in memory only
		JetStreamMaxStore:      1 << 60,  // we look after the disk ourselves
		MaxPayload:             maxPayload,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the NATS server: %w", err)
	}
	s := &session{server: srv, acks: make(chan *nats.Msg, 4*maxTurn), failed: make(chan struct{}), slots: make(chan struct{}, maxFetches), ended: make(chan struct{})}
	srv.SetLoggerV2(serverLog{log, s.fail}, false, false, false)
	srv.Start()
	if err := s.connect(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) connect() error {
	if !s.server.ReadyForConnections(30 * time.Second) {
		return errors.New("the NATS server doesn't come up")
	}
	if !s.server.JetStreamEnabled() {
		return errors.New("the NATS server refuses to start JetStream; its log says why")
	}
	for _, conn := range []**nats.Conn{&s.conn, &s.reader} {
		var err error
		*conn, err = nats.Connect("", nats.InProcessServer(s.server), nats.Name("tape"), nats.NoReconnect(), nats.Timeout(10*time.Second))
		if err != nil {
			return fmt.Errorf("connect to the NATS server: %w", err)
		}
	}
	var err error
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(30*time.Second)); err != nil {
		return fmt.Errorf("connect to JetStream: %w", err)
	}
	s.inbox, s.own = s.conn.NewInbox()+".", s.reader.NewInbox()+"."
	if _, err := s.conn.ChanSubscribe(s.inbox+">", s.acks); err != nil {
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return nil
}

// close ends the connection and the server, and waits for the server's end.
func (s *session) close() {
	close(s.ended)
	for _, conn := range []*nats.Conn{s.conn, s.reader} {
		if conn != nil {
			conn.Close()
		}
	}
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// fail notes that the server can't write any more.
func (s *session) fail() { s.failOf.Do(func() { close(s.failed) }) }

// hasFailed tells whether the server said that it can't write.
func (s *session) hasFailed() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

// raw is a message of the stream.
type raw struct {
	position tape.Position
	subject  string
	data     []byte
}

// getRequest asks JetStream for messages directly, without a consumer (ADR-31 of NATS).
type getRequest struct {
	Seq      uint64 `json:"seq,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
	LastFor  string `json:"last_by_subj,omitempty"`
}

// What one fetch may bring. It keeps the writer waiting, so it must not be long.
const (
	fetchMessages = 256
	fetchBytes    = 512 << 10
	maxFetches    = 4 // at once: the server closes a connection for which more than 64 MiB wait
)

// fetch returns the messages from a position on that are there, up to n of them and about fetchBytes, and at least one if it
// can be loaded. None means that there is none at from: it may be lost, or the first of several that are.
func (s *session) fetch(ctx context.Context, from tape.Position, n int) ([]raw, error) {
	return s.get(ctx, getRequest{Seq: uint64(from), Batch: n, MaxBytes: fetchBytes}, n)
}

// lastOf returns the last message on a subject; ok is false when there is none that can be loaded.
func (s *session) lastOf(ctx context.Context, subject string) (m raw, ok bool, err error) {
	ms, err := s.get(ctx, getRequest{LastFor: subject}, 1)
	if err != nil || len(ms) == 0 {
		return raw{}, false, err
	}
	return ms[0], true, nil
}

// getTimeout bounds a fetch. It must outlast a sync of the writer's, which fetches wait for.
const getTimeout = 15 * time.Second

func (s *session) get(ctx context.Context, req getRequest, n int) ([]raw, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode a request: %w", err)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.ended:
		return nil, unavailable("read messages", nats.ErrConnectionClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, getTimeout, unavailable("read messages", errNoAnswer))
	defer cancel()
	inbox := s.own + strconv.FormatUint(s.reads.Add(1), 36)
	answers := make(chan *nats.Msg, n+1)
	sub, err := s.reader.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, unavailable("subscribe", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails only when the connection is gone, and the subscription with it
	if err := s.reader.PublishRequest("$JS.API.DIRECT.GET."+streamName, inbox, body); err != nil {
		return nil, unavailable("ask for messages", err)
	}
	var ms []raw
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.ended:
			return nil, unavailable("read messages", nats.ErrConnectionClosed)
		case m := <-answers:
			if status := m.Header.Get("Status"); status != "" {
				return ms, statusError(status, m.Header.Get("Description"))
			}
			seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("BUG: answer without a sequence: %w", err)
			}
			ms = append(ms, raw{tape.Position(seq), m.Header.Get(jetstream.SubjectHeader), m.Data})
			if req.Batch == 0 {
				return ms, nil
			}
		}
	}
}

// statusError tells what a status in place of a message means: 404 is no message, 204 the end of several.
func statusError(status, description string) error {
	switch status {
	case "404", "204":
		return nil
	}
	return unavailable("read messages", fmt.Errorf("status %s %s", status, description))
}

func unavailable(act string, err error) error {
	return fmt.Errorf("%w: %s: %w", tape.ErrUnavailable, act, err)
}

// serverLog passes the server's log on. Its notices are of interest to those who debug only.
type serverLog struct {
	log  *slog.Logger
	fail func() // called when the server can't write, which it tells nobody but its log
}

func (l serverLog) say(level slog.Level, format string, args []any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	l.log.Log(context.Background(), level, "nats server", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l serverLog) Noticef(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

// Warnf leaves out that large messages are discouraged: ours don't travel.
func (l serverLog) Warnf(format string, args ...any) {
	if !strings.HasPrefix(format, "Maximum payloads over") {
		l.say(slog.LevelWarn, format, args)
	}
}
func (l serverLog) Fatalf(format string, args ...any) { l.say(slog.LevelError, format, args) }

// Errorf looks for what the server says after a failed write or sync ("critical write error", in two spellings).
func (l serverLog) Errorf(format string, args ...any) {
	l.say(slog.LevelError, format, args)
	if strings.Contains(format, "ritical write error") {
		l.fail()
	}
}
func (l serverLog) Debugf(format string, args ...any) { l.say(slog.LevelDebug, format, args) }
func (l serverLog) Tracef(format string, args ...any) { l.say(slog.LevelDebug, format, args) }

// request publishes a message and waits until it is stored.
func (s *session) request(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, 2*getTimeout)
	defer cancel()
	answer, err := s.conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return unavailable("publish", err)
	}
	var a ack
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return fmt.Errorf("read an acknowledgement: %w", err)
	}
	if a.Error != nil {
		return unavailable("publish", errors.New(a.Error.Description))
	}
	return nil
}
