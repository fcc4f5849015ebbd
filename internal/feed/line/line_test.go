package line

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/venuetest"
)

func TestDeadLineIsReplaced(t *testing.T) {
	for _, f := range []venuetest.Fault{venuetest.Silence, venuetest.HalfOpen, venuetest.Dumb} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			b := start(t, coinbaseLab())
			b.flowing()
			b.server.Inject(f, nil)
			b.until("it has connected again", func() bool { return len(b.server.Connects()) >= 2 })
			b.flowing()
			if !slices.ContainsFunc(b.states, func(e market.Entry) bool { return e.Symbol == "" && e.State == market.StateDown }) {
				t.Errorf("no status says that the feed was down: %v", b.states)
			}
			b.check()
		})
	}
}

func TestGateBoundsConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{every: time.Millisecond, window: time.Minute, most: connects}
		var times []time.Time
		for i := range 200 {
			if err := g.wait(t.Context(), i == 0); err != nil {
				t.Fatal(err)
			}
			times = append(times, time.Now())
		}
		for i := 1; i+connects < len(times); i++ {
			if d := times[i+connects].Sub(times[i]); d < time.Minute {
				t.Fatalf("connects %d to %d came within %s", i, i+connects, d)
			}
		}
	})
}

// TestAcceptThenKickIsNotHammered lets a venue end every connection at once, for twenty minutes.
func TestAcceptThenKickIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{window: time.Minute, most: connects}
		b := feed.NewBackoff(func(int64) int64 { return 0 }) // the shortest pauses there can be
		var times []time.Time
		for began := time.Now(); time.Since(began) < 20*time.Minute; {
			if err := g.wait(t.Context(), len(times) == 0); err != nil {
				t.Fatal(err)
			}
			times = append(times, time.Now())
			if err := pause(t.Context(), max(b.Pause(0), time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if most := 20*connects + 2; len(times) > most {
			t.Errorf("got %d connects in 20 minutes, want at most %d", len(times), most)
		}
	})
}

func TestHoleOfARestartIsFilled(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	tp := &tapetest.Memory{}
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	b := run(t, l, s, tp)
	b.flowing()
	b.caughtUp()
	if err := b.end(); err != nil {
		t.Fatal(err)
	}
	for range 2500 { // three pages
		s.Trade("BTC-USD")
	}
	s.Trade("ETH-USD")
	b = run(t, l, s, tp)
	b.caughtUp()
	b.flowing()
	b.check()
	filled := 0
	for _, g := range b.gaps {
		if g.Flags&market.FlagFilled != 0 && g.Symbol == "COINBASE:BTC-USD" && g.Text == "not running" {
			filled++
		}
	}
	if filled != 1 {
		t.Errorf("got %d filled gaps of BTC-USD, want one: %s", filled, describe(b.gaps))
	}
}

func TestRefusedSymbolIsToldAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	l.names = append(l.names, "NOPE-USD")
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	s.RefuseREST(1, http.StatusInternalServerError, 0) // so that the list does not tell
	b := run(t, l, s, &tapetest.Memory{})
	b.flowing()
	b.until("the refusal is on the tape", func() bool {
		return slices.ContainsFunc(b.states, func(e market.Entry) bool {
			return e.Symbol == "COINBASE:NOPE-USD" && e.State == market.StateDown && strings.Contains(e.Text, "not a valid product")
		})
	})
	if log := b.log.text(); !strings.Contains(log, "going on with the names as they are written") || !strings.Contains(log, "the venue refuses a symbol") {
		t.Error("the log does not say what happened")
	}
}

func TestAllRefusedIsPermanent(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	l.names = []string{"NOPE-USD"}
	s := venuetest.Start(t, l.profile, venuetest.Options{})
	s.RefuseREST(1, http.StatusInternalServerError, 0)
	b := run(t, l, s, &tapetest.Memory{})
	err := b.wait()
	if !feed.IsPermanent(err) || !strings.Contains(err.Error(), "NOPE-USD") {
		t.Errorf("got %v, want a permanent error that names the symbol", err)
	}
}

// wait returns what the feed ends with by itself.
func (b *bench) wait() error {
	b.t.Helper()
	select {
	case err := <-b.ended:
		b.ended <- err
		return err
	case <-time.After(30 * time.Second):
		b.t.Fatal("the feed does not end")
		return nil
	}
}

func TestUnknownSymbolNamesWhatIsNear(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	l.names = []string{"BTC-USD", "ETH-USDT"}
	err := start(t, l).wait()
	if want := "the venue does not list ETH-USDT (did you mean ETH-USD?)"; !feed.IsPermanent(err) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestPlannedReplacementMakesNoHole(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	l.traits = func(t *venue.Traits) {
		t.Lifetime = 300 * time.Millisecond
		t.Heartbeat = 10 * time.Second // no line is dead here, however busy the machine
		t.Reorder = 5 * time.Second    // two connections at once are as late as a busy machine makes them
	}
	l.waits = func(w *timings) { w.settle, w.stall, w.ready = 400*time.Millisecond, time.Minute, 10*time.Second }
	b := start(t, l)
	b.flowing()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for len(b.server.Connects()) < 5 {
		b.server.Trade("BTC-USD")
		b.server.Trade("ETH-USD")
		<-ticker.C
	}
	b.flowing()
	b.caughtUp()
	if err := b.end(); err != nil {
		t.Fatal(err)
	}
	b.check()
	for _, e := range b.states {
		if e.State == market.StateDown && e.Text != "stopped" {
			t.Errorf("the feed was down: %s", e.Text)
		}
	}
	if len(b.gaps) > 0 {
		t.Errorf("gaps: %s", describe(b.gaps))
	}
}

func TestSilentStreamOfOneSymbolIsFound(t *testing.T) {
	t.Parallel()
	b := start(t, coinbaseLab())
	b.flowing()
	b.server.Mute("BTC-USD")
	for range 5 {
		b.server.Trade("BTC-USD")
	}
	b.caughtUp()
	if n := len(b.server.Connects()); n != 1 {
		t.Errorf("it took %d connections", n)
	}
	b.check()
}

// spy is a venue whose address and header hold a secret.
type spy struct {
	venue.Venue
	stream string
}

func (s spy) Endpoint(venue.Kinds) (string, http.Header) {
	return s.stream + "/stream?token=s3cr3t-t0ken", http.Header{"X-Key": {"s3cr3t-t0ken"}}
}

func (s spy) Listing() venue.Listing { return spyListing{s.Venue.Listing()} }

type spyListing struct{ venue.Listing }

func (spyListing) First([]string) *venue.Request {
	return &venue.Request{URL: "http://127.0.0.1:1/products?token=s3cr3t-t0ken", Header: http.Header{"X-Key": {"s3cr3t-t0ken"}}}
}

func TestSecretIsNeverTold(t *testing.T) {
	for name, prepare := range map[string]func(s *venuetest.Server) string{
		"nobody there": func(*venuetest.Server) string { return "ws://127.0.0.1:1" },
		"unauthorized": func(s *venuetest.Server) string { s.RefuseDials(1, http.StatusUnauthorized, 0); return s.URL() },
		"forbidden":    func(s *venuetest.Server) string { s.RefuseDials(1, http.StatusForbidden, 0); return s.URL() },
		"no such host": func(*venuetest.Server) string { return "ws://nowhere.invalid" },
		"not a socket": func(s *venuetest.Server) string { s.RefuseDials(1, http.StatusOK, 0); return s.URL() },
		"redirected":   func(s *venuetest.Server) string { s.RefuseDials(1, http.StatusFound, 0); return s.URL() },
		"not available": func(s *venuetest.Server) string {
			s.RefuseDials(1, http.StatusUnavailableForLegalReasons, 0)
			return s.URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := coinbaseLab()
			inner := l.venue
			var stream string
			l.venue = func(t *testing.T, s, rest string) venue.Venue { return spy{inner(t, s, rest), stream} }
			s := venuetest.Start(t, l.profile, venuetest.Options{})
			stream = prepare(s)
			b := run(t, l, s, &tapetest.Memory{})
			b.until("the feed is down", func() bool {
				return slices.ContainsFunc(b.states, func(e market.Entry) bool { return e.State == market.StateDown })
			})
			err := b.end()
			said := b.log.text() + fmt.Sprint(err, b.runner.Info())
			for _, e := range b.states {
				said += e.Text
			}
			if strings.Contains(said, "s3cr3t") {
				t.Errorf("the secret is told: %s", said)
			}
		})
	}
}

func TestRefusalAtFirstIsPermanentAndLaterIsNot(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	s.RefuseDials(1, http.StatusForbidden, 0)
	if err := run(t, l, s, &tapetest.Memory{}).wait(); !feed.IsPermanent(err) || !errors.Is(err, venue.ErrRefused) {
		t.Errorf("got %v, want a permanent error", err)
	}
	b := run(t, l, s, &tapetest.Memory{})
	b.flowing()
	s.RefuseDials(1, http.StatusForbidden, 0)
	s.Inject(venuetest.GoingAway, nil)
	b.flowing()
	b.check()
}

func TestWishesAreSubscribedTo(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	l.names = nil
	l.traits = func(t *venue.Traits) { t.Heartbeat = 10 * time.Second }
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	v := hurry(l.venue(t, s.URL(), s.REST()), nil)
	wishes := feed.NewWishes()
	err := wishes.Offer(feed.Offer{Feed: "coinbase", Venue: "COINBASE", Linger: 10 * time.Millisecond, Name: func(name string) (market.Symbol, error) {
		in, err := v.Name(name)
		return in.Symbol, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.wishes = wishes
	l.symbols = map[string]market.Symbol{"BTC-USD": "COINBASE:BTC-USD"}
	b := run(t, l, s, &tapetest.Memory{})
	if err := wishes.Want([]market.Symbol{"COINBASE:BTC-USD"}); err != nil {
		t.Fatal(err)
	}
	b.flowing()
	b.caughtUp()
	wishes.Release([]market.Symbol{"COINBASE:BTC-USD"})
	b.until("it is let go", func() bool {
		return !slices.ContainsFunc(s.Conns(), func(c *venuetest.Conn) bool { return len(c.Subscribed()) > 0 })
	})
	requests := s.Requests()
	for range 100 {
		s.Trade("BTC-USD") // nobody wants to know
	}
	if err := wishes.Want([]market.Symbol{"COINBASE:BTC-USD"}); err != nil {
		t.Fatal(err)
	}
	b.flowing()
	if s.Requests() != requests {
		t.Error("what nobody wanted was fetched")
	}
	if !slices.ContainsFunc(b.gaps, func(g market.Entry) bool { return g.Text == notWanted && g.Flags&market.FlagFilled == 0 }) {
		t.Errorf("no gap says that nobody wanted it: %s", describe(b.gaps))
	}
}

func TestBackOffHonoursTheVenue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{s: &source{t: realTimings(), log: slog.New(slog.DiscardHandler)}}
		began := time.Now()
		b := feed.NewBackoff(func(int64) int64 { return 0 })
		if err := g.rest(t.Context(), b, &venue.RetryError{Err: errors.New("busy"), After: 17 * time.Second}, true); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 17*time.Second {
			t.Errorf("waited %s, want what the venue asked for", d)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := g.rest(ctx, b, errors.New("x"), true); err != nil {
			t.Errorf("stopped: got %v", err)
		}
	})
}

// TestListThatComesLater starts while the venue can't be asked, with a symbol that there is not: the venue takes the subscription to it as any other, and
// only its list tells.
func TestListThatComesLater(t *testing.T) {
	t.Parallel()
	l := binanceLab(false)
	l.names = []string{"BTC-USDT", "ETH-USDT", "XYZ-USDT"}
	l.waits = func(w *timings) { w.unlisted = 20 * time.Millisecond }
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	s.RefuseREST(1, http.StatusInternalServerError, 0)
	b := run(t, l, s, &tapetest.Memory{})
	b.flowing()
	b.until("the refusal is on the tape", func() bool {
		return slices.ContainsFunc(b.states, func(e market.Entry) bool {
			return e.Symbol == "BINANCE:XYZ-USDT" && e.State == market.StateDown && strings.Contains(e.Text, "it is not listed")
		})
	})
	b.flowing() // the others go on
}
